"""The front door: who may speak to the engine, and which part answers.

The port is code execution (CreateFunction, Invoke), so a web page must not reach it: a foreign
``Origin``, any ``Sec-Fetch-Site`` but ``same-origin`` and ``none``, and an unknown ``Host`` are
refused before anything runs. WebSocket upgrades follow AWS, where any origin may connect; the
authorizer decides about them.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from socketstack.core import addressing

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_KNOWN_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "host.docker.internal"})
_KNOWN_SUFFIXES: Final = (".localhost", ".amazonaws.com", ".localhost.localstack.cloud")
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})
_CONTROL_PATH: Final = re.compile(r"/v2/(apis|tags|domainnames|vpclinks|portals|portalproducts)\b")
_INVOKE_PATH: Final = re.compile(r"/2015-03-31/functions/[^/]+/invocations/?$")
_SCOPE: Final = re.compile(r"Credential=[^/,]+/\d{8}/[^/]+/([^/]+)/aws4_request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Who answers what."""

    upgrade: Handler
    connections: Handler
    control_plane: Handler
    invoke: Handler
    own: Handler
    """``/_socketstack/*``: health, events, live folders."""
    other_services: Handler


class FrontDoor:
    """Guards the port and shows each request its room."""

    def __init__(self, rooms: Rooms, *, allowed_hosts: tuple[str, ...] = ()) -> None:
        self._rooms = rooms
        self._hosts = _KNOWN_HOSTS | {host.lower() for host in allowed_hosts}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        if is_upgrade(request):
            return await self._rooms.upgrade(request)
        refusal = self.refusal(request)
        if refusal is not None:
            return web.json_response({"message": refusal}, status=403)
        return await self._room(request)(request)

    def refusal(self, request: web.BaseRequest) -> str | None:
        """Why a request that is no WebSocket upgrade may not pass, or None."""
        host = request.headers.get("Host", "")
        name = _without_port(host)
        if name not in self._hosts and not name.endswith(_KNOWN_SUFFIXES):
            return (
                f"Forbidden: the engine does not answer to the host {name!r}. Use localhost, "
                "or name this host in SOCKETSTACK_ALLOWED_HOSTS."
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in {f"{s}://{host.lower()}" for s in _SCHEMES}:
            return f"Forbidden: a page of {origin} may not call the engine."
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in _OWN_FETCH_SITES:
            return f"Forbidden: a {site} page may not call the engine."
        return None

    def _room(self, request: web.BaseRequest) -> Handler:
        path = request.path
        if path.startswith("/_socketstack/"):
            return self._rooms.own
        if addressing.is_management_path(request.rel_url.raw_path):
            return self._rooms.connections
        if path.startswith("/_aws/execute-api/") or ".execute-api." in request.headers["Host"]:
            return self._rooms.upgrade  # a plain request where a socket belongs: refused there
        if _CONTROL_PATH.match(path) and _service(request) in {"apigateway", None}:
            return self._rooms.control_plane
        if _INVOKE_PATH.match(path):
            return self._rooms.invoke
        return self._rooms.other_services


_SCHEMES: Final = ("http", "https")


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether a request asks to become a WebSocket."""
    return (
        request.method == "GET"
        and request.headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in request.headers.get("Connection", "").lower()
    )


def _service(request: web.BaseRequest) -> str | None:
    match = _SCOPE.search(request.headers.get("Authorization", ""))
    return match.group(1) if match else None


def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host).lower()
