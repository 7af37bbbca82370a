"""The engine's own addresses: ``/_socketstack/health``, ``events``, ``live`` and ``clock``.

``GET health`` answers when every part can. ``GET events`` streams the trace as JSON lines: what
is kept, then what happens; ``?follow=false`` ends after the first part. ``POST live`` names the
source folders whose saved changes are to be live. ``GET clock`` tells API Gateway's time, ``POST
clock`` moves it forward.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Final

from aiohttp import web

from socketstack.core.jsontext import MISSING, read_json
from socketstack.core.model import Json
from socketstack.errors import BadRequest, PayloadTooLarge, ServiceError
from socketstack.inspector.live import LiveApi
from socketstack.inspector.skips import Skips, read_skip
from socketstack.trace import Trace, TraceEvent

_WAITING_EVENTS: Final = 10_000
_BODY_MAX_BYTES: Final = 1024 * 1024
_ROOT: Final = "/_socketstack/"


class InspectorWeb:
    """Answers ``/_socketstack/*``."""

    def __init__(
        self,
        *,
        trace: Trace,
        health: Callable[[], dict[str, Json]],
        live: LiveApi,
        skips: Skips,
    ) -> None:
        self._trace = trace
        self._health = health
        self._live = live
        self._skips = skips

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; unknown addresses get 404 with the known ones."""
        try:
            return await self._answer(request)
        except ServiceError as error:
            return web.json_response({"message": error.message}, status=error.status)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        match (request.method, request.path.removeprefix(_ROOT)):
            case ("GET", "health"):
                return web.json_response(self._health())
            case ("GET", "events"):
                return await self._events(request)
            case ("POST", "live"):
                return web.json_response({"functions": self._live.set(await _body(request))})
            case ("GET", "clock"):
                return web.json_response(self._skips.state())
            case ("POST", "clock"):
                return web.json_response(self._skips.skip(read_skip(await _body(request))))
            case _:
                message = "Known here: GET health, GET events, POST live, GET and POST clock."
                return web.json_response({"message": message}, status=404)

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        waiting: asyncio.Queue[TraceEvent] = asyncio.Queue(_WAITING_EVENTS)
        lost = 0

        def take(event: TraceEvent) -> None:
            nonlocal lost
            try:
                waiting.put_nowait(event)
            except asyncio.QueueFull:
                lost += 1

        kept = self._trace.recent()
        unsubscribe = self._trace.subscribe(take)
        try:
            await response.prepare(request)
            await response.write(b"".join(_line(event) for event in kept))
            while request.query.get("follow", "true") != "false":
                await response.write(_line(await waiting.get()))
                if lost:
                    await response.write(json.dumps({"lostEvents": lost}).encode() + b"\n")
                    lost = 0
        finally:
            unsubscribe()
        await response.write_eof()
        return response


async def _body(request: web.BaseRequest) -> Json:
    """The request's JSON. Raises ``BadRequest`` for what is none, ``PayloadTooLarge`` at 1 MB."""
    data = bytearray()
    try:
        async for chunk in request.content.iter_chunked(64 * 1024):
            data += chunk
            if len(data) > _BODY_MAX_BYTES:
                raise PayloadTooLarge(f"The body is larger than {_BODY_MAX_BYTES} bytes.")
    except (ConnectionError, web.RequestPayloadError):
        raise BadRequest("The body ended early.") from None  # the client left: nobody reads this
    value = read_json(bytes(data))
    if value is MISSING:
        raise BadRequest("Not understood: the body is not JSON, or nests too deeply.")
    return value


def _line(event: TraceEvent) -> bytes:
    return json.dumps(event.as_json(), ensure_ascii=False).encode() + b"\n"
