"""A real HTTP server for integrations to call, which keeps what it got."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    """With its query, as sent."""
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The last value of a header."""
        wanted = name.lower()
        return next((v for n, v in reversed(self.headers) if n.lower() == wanted), None)


class HttpBackend:
    """Answers every request with ``answer``."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://localhost:{port}"
        self.received: list[Received] = []
        self.answer: Answer | web.Response = _echo

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Keep a request and answer it."""
        headers = tuple((n.decode(), v.decode()) for n, v in request.raw_headers)
        body = await request.read()
        self.received.append(Received(request.method, request.raw_path, headers, body))
        if isinstance(self.answer, web.Response):
            ready = self.answer  # one can be sent once only
            return web.Response(status=ready.status, body=ready.body, headers=ready.headers)
        return await self.answer(request)


async def _echo(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=await request.read())


@asynccontextmanager
async def http_backend(context: ssl.SSLContext | None = None) -> AsyncIterator[HttpBackend]:
    """A server on a port of its own; with a context it speaks TLS."""
    holder: list[HttpBackend] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await holder[0].handle(request)

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port: int = runner.addresses[0][1]
    holder.append(HttpBackend(port, "https" if context else "http"))
    try:
        yield holder[0]
    finally:
        await runner.cleanup()


def json_answer(value: object, status: int = 200, **headers: str) -> web.Response:
    """A JSON answer; header names have underscores for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return web.json_response(value, status=status, headers=named)
