"""The front door: who may speak to the engine, and which part answers.

The port is code execution (CreateFunction, Invoke), so a web page must not reach it: a foreign
``Origin``, any ``Sec-Fetch-Site`` but ``same-origin`` and ``none``, and an unknown ``Host`` are
refused before anything runs. WebSocket upgrades follow AWS, where any origin may connect; the
authorizer decides about them.

A browser sends ``Sec-Fetch-Site`` only to names it trusts to be local (``localhost``, loopback
addresses). A page could navigate to another name that leads here, and that request would carry
neither it nor an ``Origin``; under such names every call must therefore carry an AWS signature in
its ``Authorization`` header, which no navigation can. For the same reason no action is taken from
the query string of an unsigned GET.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from aiohttp import web
from aiohttp.http import RawRequestMessage
from yarl import URL

from socketstack.core import addressing
from socketstack.core.causes import Cause
from socketstack.dataplane.shortcut import Answer

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Post = Callable[[RawRequestMessage, bytes, str], web.Response]
Refusal = tuple[Cause, str]
"""Why a request may not pass: the cause, and what its sender reads."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_KNOWN_HOSTS: Final = frozenset({"host.docker.internal"})
_KNOWN_SUFFIX: Final = ".localhost.localstack.cloud"
_EXECUTE_API: Final = re.compile(r"[a-z0-9]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_SIGNED: Final = "AWS4-"
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})
_CONTROL_PATH: Final = re.compile(r"/v2/(apis|tags|domainnames|vpclinks|portals|portalproducts)\b")
_INVOKE_PATH: Final = re.compile(r"/2015-03-31/functions/[^/]+/invocations/?$")
_SCOPE: Final = re.compile(r"Credential=[^/,]+/\d{8}/[^/]+/([^/]+)/aws4_request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Who answers what."""

    upgrade: Handler
    connections: Handler
    post: Post
    """The POSTs among them whose whole body is there."""
    control_plane: Handler
    invoke: Handler
    own: Handler
    """``/_socketstack/*``: health, events, live folders."""
    other_services: Handler


class FrontDoor:
    """Guards the port and shows each request its room."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        allowed_hosts: tuple[str, ...] = (),
        is_custom_domain: Callable[[str], bool] = lambda _name: False,
        tell: Callable[[Cause, str], None] = lambda _cause, _reason: None,
    ) -> None:
        self._rooms = rooms
        self._tell = tell
        self._is_custom_domain = is_custom_domain
        self._hosts = _KNOWN_HOSTS | {host.lower() for host in allowed_hosts} - _LOOPBACK

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        if is_upgrade(request):
            return await self._rooms.upgrade(request)
        refusal = self._refusal(request.method, request.headers, request.rel_url)
        if refusal is not None:
            cause, message = refusal
            self._tell(cause, message)
            return web.json_response({"message": message, "code": cause.code}, status=403)
        return await self._room(request)(request)

    def at_once(self, message: RawRequestMessage) -> Answer | None:
        """What answers a request in the turn of the loop that reads it; None when nothing does.

        Functions post to connections by the thousand. Who may not pass is refused by ``handle``.
        """
        if (
            message.method == "POST"
            and addressing.is_management_path(message.url.raw_path)
            and self._refusal(message.method, message.headers, message.url) is None
        ):
            return partial(self._rooms.post, message)
        return None

    def _refusal(self, method: str, headers: Mapping[str, str], url: URL) -> Refusal | None:
        """Why a request that is no WebSocket upgrade may not pass, or None."""
        host = headers.get("Host", "")
        name = _without_port(host)
        if not self._is_known(name):
            message = (
                f"Forbidden: the engine does not answer to the host {name!r}. Use localhost, "
                "or name this host in SOCKETSTACK_ALLOWED_HOSTS."
            )
            return Cause.UNKNOWN_HOST, message
        return _page_refusal(headers, host) or _unsigned_refusal(method, headers, url, name)

    def _is_known(self, name: str) -> bool:
        return (
            _is_loopback(name)
            or name in self._hosts
            or name.endswith(_KNOWN_SUFFIX)
            or _EXECUTE_API.fullmatch(name) is not None
            or self._is_custom_domain(name)
        )

    def _room(self, request: web.BaseRequest) -> Handler:
        if addressing.is_management_path(request.rel_url.raw_path):
            return self._rooms.connections
        path = request.path
        host = request.headers["Host"]
        if (
            path.startswith("/_aws/execute-api/")
            or ".execute-api." in host
            or self._is_custom_domain(_without_port(host))
        ):
            # A plain request where a socket belongs is refused there; under an API's own name
            # nothing else is served.
            return self._rooms.upgrade
        if path.startswith("/_socketstack/"):
            return self._rooms.own
        if _CONTROL_PATH.match(path) and _service(request) in {"apigateway", None}:
            return self._rooms.control_plane
        if _INVOKE_PATH.match(path):
            return self._rooms.invoke
        return self._rooms.other_services


_SCHEMES: Final = ("http", "https")


def _page_refusal(headers: Mapping[str, str], host: str) -> Refusal | None:
    """Why a request that a page made may not pass, or None."""
    origin = headers.get("Origin")
    if origin is not None and origin.lower() not in {f"{s}://{host.lower()}" for s in _SCHEMES}:
        return Cause.FOREIGN_PAGE, f"Forbidden: a page of {origin} may not call the engine."
    site = headers.get("Sec-Fetch-Site", "none")
    if site not in _OWN_FETCH_SITES:
        return Cause.FOREIGN_PAGE, f"Forbidden: a {site} page may not call the engine."
    return None


def _unsigned_refusal(
    method: str, headers: Mapping[str, str], url: URL, name: str
) -> Refusal | None:
    """Why a request without a signature may not pass, or None."""
    message = _unsigned_problem(method, headers, url, name)
    return None if message is None else (Cause.UNSIGNED_CALL, message)


def _unsigned_problem(method: str, headers: Mapping[str, str], url: URL, name: str) -> str | None:
    if headers.get("Authorization", "").startswith(_SIGNED):
        return None
    if not _is_loopback(name):
        return (
            f"Forbidden: calls to {name!r} must be signed in their Authorization header. "
            "Use localhost for others."
        )
    if "Upgrade-Insecure-Requests" in headers and "Sec-Fetch-Site" not in headers:
        return "Forbidden: a browser that does not say where it comes from may not call this."
    if method != "POST" and "Action" in url.query:
        return "Forbidden: an action in the address of an unsigned request is not taken."
    return None


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


def _is_loopback(name: str) -> bool:
    return name in _LOOPBACK or name.endswith(".localhost")


@lru_cache(maxsize=256)  # asked for every request, and clients have few
def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host).lower()
