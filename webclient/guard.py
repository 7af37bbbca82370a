"""Who may call the web server: Host, Origin, content type; and the headers of every answer.

The server can push and, locally, mint tokens, so pages of other sites must not reach it: a
foreign ``Origin``, a cross-site ``Sec-Fetch-Site`` and an unknown ``Host`` (a name rebound to
127.0.0.1) are refused before anything runs.
"""

import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_MAX_BYTES: Final = 128 * 1024
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})
_REASONS: Final = {
    413: f"The body is too large: {BODY_MAX_BYTES} bytes are allowed.",
    404: "There is nothing at this address.",
}
_logger = logging.getLogger("webclient")


def refuse(status: HTTPStatus, message: str, **more: object) -> web.Response:
    """A refusal as JSON: ``{"message": …}`` and whatever else helps."""
    return web.json_response({"message": message, **more}, status=status)


def foreign(request: web.BaseRequest, allowed_hosts: frozenset[str]) -> str | None:
    """Why a request does not come from our own page or a tool, or None.

    Following a link to the page from another site is fine; calling ``/api/*`` from there is not.
    """
    host = request.headers.get("Host", "").lower()
    if re.sub(r":\d+$", "", host) not in allowed_hosts:
        return "Forbidden: unknown Host. Use http://localhost, or name it in WEB_ALLOWED_HOSTS."
    if not request.path.startswith("/api/"):
        return None
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
        return "Forbidden: pages of another origin may not call this server."
    if request.headers.get("Sec-Fetch-Site", "none").lower() not in _OWN_FETCH_SITES:
        return "Forbidden: pages of another site may not call this server."
    return None


def middleware(extra_hosts: tuple[str, ...]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The guard in front of every route."""
    allowed_hosts = _LOOPBACK | frozenset(extra_hosts)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = foreign(request, allowed_hosts)
        if refusal is not None:
            return refuse(HTTPStatus.FORBIDDEN, refusal)
        if request.method == "POST" and request.content_type != "application/json":
            return refuse(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json."
            )
        try:
            return await handler(request)
        except web.HTTPException as error:
            return refuse(HTTPStatus(error.status), _REASONS.get(error.status, error.reason))
        except (BotoCoreError, ClientError) as error:
            _logger.warning("%s %s: %s", request.method, request.path, error)
            return refuse(
                HTTPStatus.BAD_GATEWAY,
                "The system behind this page does not answer. Is it up? (make local-up)",
            )
        except Exception:
            _logger.exception("%s %s failed", request.method, request.path)
            return refuse(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The web server failed; its log (web.log in the state folder) says why.",
            )

    return guard


def security_headers(
    websocket_url: str,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A signal handler that puts the security headers on every answer."""
    parts = urlsplit(websocket_url)
    policy = "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self' {parts.scheme}://{parts.netloc}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )

    async def add(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"

    return add
