"""The engine's own addresses: ``/_socketstack/health``, ``events`` and ``live``.

``GET health`` answers when every part can. ``GET events`` streams the trace as JSON lines: what
is kept, then what happens; ``?follow=false`` ends after the first part. ``POST live`` names the
source folders whose saved changes are to be live.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from socketstack.core.model import Json
from socketstack.runner.base import LiveFolder
from socketstack.trace import Trace, TraceEvent

_WAITING_EVENTS: Final = 10_000
_ROOT: Final = "/_socketstack/"

SetLive = Callable[[str, Sequence[LiveFolder]], None]


class InspectorWeb:
    """Answers ``/_socketstack/*``."""

    def __init__(
        self, *, trace: Trace, health: Callable[[], dict[str, Json]], live: SetLive
    ) -> None:
        self._trace = trace
        self._health = health
        self._live = live

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; unknown addresses get 404 with the known ones."""
        match (request.method, request.path.removeprefix(_ROOT)):
            case ("GET", "health"):
                return web.json_response(self._health())
            case ("GET", "events"):
                return await self._events(request)
            case ("POST", "live"):
                return await self._set_live(request)
            case _:
                message = "Known here: GET health, GET events, POST live."
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

    async def _set_live(self, request: web.BaseRequest) -> web.Response:
        try:
            wanted = _live_folders(json.loads(await request.read()))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            message = (
                f"Not understood ({error}). Send "
                '{"functions": {"NAME": [{"source": "/absolute/folder", "prefix": ""}]}}.'
            )
            return web.json_response({"message": message}, status=400)
        for name, folders in wanted.items():
            self._live(name, folders)
        return web.json_response({"functions": sorted(wanted)})


def _line(event: TraceEvent) -> bytes:
    return json.dumps(event.as_json(), ensure_ascii=False).encode() + b"\n"


def _live_folders(
    body: Mapping[str, Mapping[str, list[dict[str, str]]]],
) -> dict[str, list[LiveFolder]]:
    wanted: dict[str, list[LiveFolder]] = {}
    for name, folders in body["functions"].items():
        wanted[name] = [
            LiveFolder(source=_folder(entry["source"]), prefix=entry.get("prefix", ""))
            for entry in folders
        ]
    return wanted


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or not path.is_dir():
        message = f"{text} is not an absolute path of a folder"
        raise ValueError(message)
    return path
