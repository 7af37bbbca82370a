"""The engine's own addresses: ``/_socketstack/`` health, events, traces, live and clock.

``GET health`` answers when every part can, with 503 as long as one cannot. ``GET events`` streams
the trace as JSON lines: what is kept, then what happens; ``?follow=false`` ends after the first
part. ``GET traces`` lists what was decided, newest first; ``GET traces/{id}`` has all steps of one.
``POST live`` names the source folders whose saved changes are to be live. ``POST expect`` says
that a SAM template is about to be deployed: what that needs is loaded on the side. ``GET clock``
tells API Gateway's time, ``POST clock`` moves it forward.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from itertools import islice
from typing import Final

from aiohttp import web

from socketstack.core.jsontext import MISSING, read_json
from socketstack.core.model import Json
from socketstack.errors import BadRequest, NotFound, PayloadTooLarge, ServiceError
from socketstack.inspector.live import LiveApi
from socketstack.inspector.skips import Skips, read_skip
from socketstack.inspector.traces import KEPT_REFUSALS, KEPT_TRACES, TraceBook
from socketstack.trace import Trace, TraceEvent

_WAITING_EVENTS: Final = 10_000
_BODY_MAX_BYTES: Final = 1024 * 1024
_ROOT: Final = "/_socketstack/"
_TRACES: Final = "traces/"
_LISTED: Final = 50
_KNOWN: Final = (
    "Known here: GET health, events, traces, traces/{id}, clock; POST live, expect, clock."
)


class InspectorWeb:
    """Answers ``/_socketstack/*``."""

    def __init__(
        self,
        *,
        trace: Trace,
        health: Callable[[], dict[str, Json]],
        live: LiveApi,
        skips: Skips,
        expect: Callable[[], Awaitable[None]],
    ) -> None:
        self._traces = TraceBook(trace)
        self._trace = trace
        self._health = health
        self._live = live
        self._skips = skips
        self._expect = expect

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; unknown addresses get 404 with the known ones."""
        try:
            return await self._answer(request)
        except ServiceError as error:
            return web.json_response({"message": error.message}, status=error.status)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        status = HTTPStatus.OK
        match (request.method, request.path.removeprefix(_ROOT)):
            case ("GET", "events"):
                return await self._events(request)
            case ("GET", "health"):
                answer = self._health()
                if answer["status"] != "ok":
                    status = HTTPStatus.SERVICE_UNAVAILABLE
            case ("GET", "traces"):
                answer = {"traces": self._list(request)}
            case ("GET", path) if path.startswith(_TRACES):
                answer = self._one(path.removeprefix(_TRACES))
            case ("POST", "live"):
                answer = {"functions": list[Json](self._live.set(await _body(request)))}
            case ("POST", "expect"):
                await self._expect()
                answer = {}
            case ("GET", "clock"):
                answer = self._skips.state()
            case ("POST", "clock"):
                answer = self._skips.skip(read_skip(await _body(request)))
            case _:
                raise NotFound(_KNOWN)
        return web.json_response(answer, status=status)

    def _list(self, request: web.BaseRequest) -> list[Json]:
        """The newest traces; ``limit``, ``refused=true`` and ``connectionId`` choose among them."""
        limit = request.query.get("limit", str(_LISTED))
        if not limit.isascii() or not limit.isdigit():
            raise BadRequest(f"limit is {limit!r}: write a number of traces, such as {_LISTED}.")
        only_refused = request.query.get("refused") == "true"
        connection_id = request.query.get("connectionId")
        chosen = (
            shown
            for each in self._traces.newest()
            if not only_refused or each.refusal is not None
            if (shown := each.summary()) and connection_id in {None, shown.get("connectionId")}
        )
        return list(islice(chosen, int(limit)))

    def _one(self, trace_id: str) -> dict[str, Json]:
        found = self._traces.find(trace_id)
        if found is None:
            raise NotFound(
                f"No trace has the id {trace_id!r}. Kept are the newest {KEPT_TRACES} and "
                f"{KEPT_REFUSALS} older refusals, by request id or connection id."
            )
        return found.as_json()

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
