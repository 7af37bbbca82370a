"""The aiohttp app and the process that serves it."""

import asyncio
import errno
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from webclient import api, guard
from webclient.backend import Backend
from webclient.errors import ConfigError
from webclient.settings import Settings
from webclient.stack import read_stack

STATIC: Final = Path(__file__).parent / "static"
_SHUTDOWN_SECONDS: Final = 2.0


def make_app(backend: Backend, settings: Settings) -> web.Application:
    """The app for one stack. Nothing is read or opened before the first request."""
    app = web.Application(
        middlewares=[guard.middleware(settings.allowed_hosts)],
        client_max_size=guard.BODY_MAX_BYTES,
    )
    app[api.BACKEND] = backend
    app.on_response_prepare.append(guard.security_headers(backend.stack.websocket_url))
    app.router.add_get("/", _index)
    app.router.add_static("/static/", STATIC)
    api.add_routes(app)
    return app


async def serve(
    settings: Settings,
    *,
    prepare: Callable[[], None] = lambda: None,
    tell: Callable[[Backend, int], None] = lambda _backend, _port: None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: Which stack, and the port.
        prepare: Run once the stack is known, before the port is opened; may block.
        tell: Run with the stack and the port's number once the port is open; may block.

    Raises ``ConfigError`` when the port is taken or the stack cannot be read.
    """
    stack = await asyncio.to_thread(read_stack, settings)
    backend = await asyncio.to_thread(Backend, stack, settings)
    runner = web.AppRunner(make_app(backend, settings), shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await asyncio.to_thread(prepare)
        port = await _listen(runner, settings)
        await asyncio.to_thread(tell, backend, port)
        await _stop_signal()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Settings) -> int:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {settings.port} on {settings.host} is taken by another program. Stop that "
                "program, or set WEB_PORT to a free port, for example WEB_PORT=8081."
            ) from error
        raise ConfigError(
            f"{settings.host}:{settings.port} cannot be opened: {error.strerror}. Set WEB_HOST "
            "and WEB_PORT to an address of this machine."
        ) from error
    return int(runner.addresses[0][1])


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _index(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(STATIC / "index.html")
