"""What LocalStack calls when it starts, is ready, and stops.

With our server (``server``) the engine has LocalStack's address. With another one it listens beside
it, on the port that LocalStack documents for WebSocket APIs, 4510 (``SOCKETSTACK_PORT``).
"""

import logging
from typing import Final

from localstack import config
from localstack.runtime import current, hooks

from socketstack.localstack import repairs, rules, server, transform
from socketstack.localstack.checks import first_problem
from socketstack.localstack.host import current_host, open_host
from socketstack.settings import Settings, environment, from_environment

_SOCKET_PORT: Final = "4510"
_BEFORE_SERVICES: Final = 100
"""Priority of the stop hook: $disconnect functions still find their table."""

_logger = logging.getLogger(__name__)


@hooks.on_infra_start(priority=_BEFORE_SERVICES)  # type: ignore[untyped-decorator]
def start() -> None:
    """Run the engine; what it raises ends LocalStack, since nothing would answer sockets."""
    host = current_host() or open_host(_settings())
    host.start()
    transform.install(host)
    repairs.apply()
    rules.apply(host)
    _logger.info("Socketstack answers sockets on port %s", host.engine.port)


@hooks.on_infra_ready(priority=_BEFORE_SERVICES)  # type: ignore[untyped-decorator]
def ready() -> None:
    """Make real calls: only when services answer does the engine call itself healthy."""
    host = current_host()
    if host is None:
        return
    runtime = current.get_current_runtime()
    host.engine.app.attach(runtime.components.gateway)
    host.engine.problem = first_problem(host)
    if host.engine.problem:
        _logger.error("LocalStack does not work: %s", host.engine.problem)
        runtime.exit(1)


@hooks.on_infra_shutdown(priority=_BEFORE_SERVICES)  # type: ignore[untyped-decorator]
def stop() -> None:
    """Close the sockets and end the functions, before the services go."""
    host = current_host()
    if host is not None:
        host.stop()


def _settings() -> Settings:
    """The engine's settings inside a LocalStack that somebody started in their own way."""
    own = config.GATEWAY_LISTEN[0]
    if config.GATEWAY_SERVER == server.NAME:
        return from_environment(host=own.host, port=own.port)
    return from_environment({"SOCKETSTACK_PORT": _SOCKET_PORT, **environment()}, host=own.host)
