"""LocalStack's own port, answered by our front door: ``GATEWAY_SERVER=socketstack``.

LocalStack's servers give every WebSocket a thread. With this one, sockets and ``@connections`` are
served by the engine's event loop on the very port that AWS calls go to; what is none of ours goes
on to LocalStack's gateway. So one address serves everything, TLS included, as on the embedded
engine, and the guard against foreign pages and hosts stands in front of LocalStack too.
"""

import threading
from typing import Final

from localstack.runtime.server.core import RuntimeServer, RuntimeServerPlugin

from socketstack.localstack.gateway import Gateway
from socketstack.localstack.host import required_host

NAME: Final = "socketstack"


class FrontDoorServerPlugin(RuntimeServerPlugin):  # type: ignore[misc]
    """How LocalStack finds ``FrontDoorServer``."""

    name = NAME

    def load(self, *_args: object, **_kwargs: object) -> "FrontDoorServer":
        """A server."""
        return FrontDoorServer()


class FrontDoorServer(RuntimeServer):  # type: ignore[misc]
    """Stands for the engine's listener, which the start hook has opened."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def register(
        self, gateway: Gateway, listen: object, ssl_creds: tuple[str, str] | None = None
    ) -> None:
        """Let the engine answer by LocalStack's gateway; address and certificates are its own."""
        del listen, ssl_creds
        required_host().engine.app.attach(gateway)

    def run(self) -> None:
        """Wait in the main thread until ``shutdown``; signals are LocalStack's."""
        self._stopping.wait()

    def shutdown(self) -> None:
        """Let ``run`` return; the shutdown hook has stopped the engine."""
        self._stopping.set()
