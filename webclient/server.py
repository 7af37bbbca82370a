"""The aiohttp app and the process that serves it."""

import asyncio
import errno
import json
import os
import signal
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


async def serve(settings: Settings, *, ready_file: Path | None = None, instance: str = "") -> None:
    """Serve until SIGTERM or SIGINT.

    Once the port is open, its number, the process id and ``instance`` are written to
    ``ready_file``. Raises ``ConfigError`` when the port is taken or the stack cannot be read.
    """
    stack = await asyncio.to_thread(read_stack, settings)
    backend = await asyncio.to_thread(Backend, stack, settings)
    runner = web.AppRunner(make_app(backend, settings), shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        port = await _listen(runner, settings)
        if ready_file is not None:
            write_state(ready_file, pid=os.getpid(), port=port, instance=instance)
        await _stop_signal()
    finally:
        await runner.cleanup()


def write_state(path: Path, *, pid: int, port: int, instance: str) -> None:
    """Write the state file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{pid}")
    unfinished.write_text(json.dumps({"pid": pid, "port": port, "instance": instance}))
    unfinished.replace(path)


async def _listen(runner: web.AppRunner, settings: Settings) -> int:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(port_taken(settings)) from error
        raise ConfigError(
            f"{settings.host}:{settings.port} cannot be opened: {error.strerror}. Set WEB_HOST "
            "and WEB_PORT to an address of this machine."
        ) from error
    return int(runner.addresses[0][1])


def port_taken(settings: Settings) -> str:
    """What to tell when another program has the port."""
    return (
        f"Port {settings.port} on {settings.host} is taken by another program. Stop that program, "
        "or set WEB_PORT to a free port, for example WEB_PORT=8081."
    )


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _index(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(STATIC / "index.html")
