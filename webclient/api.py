"""``/api/*``: push, token, connections, refusal, config. Requests and answers are JSON.

In front of AWS, everything but ``config`` needs ``Authorization: Bearer`` with a token that the
stack's authorizer would accept and whose ``scope`` holds ``push``; tokens are not minted there.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from functions.authorizer.verification import TokenRefusedError
from functions.push.push import (
    Counts,
    Everybody,
    MessageTooLargeError,
    Target,
    TargetError,
    User,
    encode,
    parse_target,
)
from webclient.backend import Backend
from webclient.guard import refuse
from webclient.tokens import PUSH_SCOPE

BACKEND: Final = web.AppKey("backend", Backend)
_USER_ID_MAX_CHARACTERS: Final = 256
_PUSH_EXAMPLE: Final = '{"to":"all","message":"hello"}'
_USER_EXAMPLE: Final = '{"userId":"alice"}'


class _BadRequestError(Exception):
    """The body cannot be used; the text says why."""


def add_routes(app: web.Application) -> None:
    """Add the routes of this page to an app that has a ``BACKEND``."""
    app.router.add_get("/api/config", config)
    app.router.add_get("/api/connections", connections)
    app.router.add_get("/api/refusal", refusal)
    app.router.add_post("/api/push", push)
    app.router.add_post("/api/token", token)


async def config(request: web.Request) -> web.StreamResponse:
    """What the page needs to know; nothing secret."""
    backend = request.app[BACKEND]
    stack = backend.stack
    return web.json_response(
        {
            "stackName": stack.name,
            "region": stack.region,
            "isLocal": stack.is_local,
            "canMint": stack.is_local and backend.can_admit,
            "takesTickets": bool(stack.ticket_table_name),
            "websocketUrl": stack.websocket_url,
            "tokenIssuer": stack.token_issuer,
            "tokenAudience": stack.token_audience,
        }
    )


async def connections(request: web.Request) -> web.StreamResponse:
    """Who is connected."""
    refusal = await _not_permitted(request)
    if refusal is not None:
        return refusal
    rows = await asyncio.to_thread(request.app[BACKEND].connections)
    rows.sort(key=lambda row: row.connected_at_ms)
    listed = [
        {
            "connectionId": row.connection_id,
            "userId": row.user_id,
            "connectedAt": row.connected_at_ms,
        }
        for row in rows
    ]
    return web.json_response({"connections": listed})


async def refusal(request: web.Request) -> web.StreamResponse:
    """Why the newest handshake since ``?since=`` (ms) was refused, as the local engine tells it."""
    since = request.query.get("since", "0")
    if not (since.isascii() and since.isdigit()):
        return refuse(HTTPStatus.BAD_REQUEST, '"since" is no time in milliseconds.')
    found = await asyncio.to_thread(request.app[BACKEND].refusal, int(since))
    return web.json_response({"refusal": found})


async def token(request: web.Request) -> web.StreamResponse:
    """Mint a short-lived token or ticket for a user; local demo only."""
    backend = request.app[BACKEND]
    if not backend.stack.is_local or not backend.can_admit:
        return refuse(
            HTTPStatus.FORBIDDEN,
            "This server mints no tokens: that is for the local demo only. Take one from your "
            "token issuer, or run `python -m webclient token`.",
        )
    try:
        user_id = _user_id(await _read_json(request, _USER_EXAMPLE))
    except _BadRequestError as error:
        return refuse(HTTPStatus.BAD_REQUEST, str(error))
    made = await asyncio.to_thread(backend.admission, user_id)
    return web.json_response(
        {"token": made.text, "expiresIn": made.lives_seconds, "userId": user_id}
    )


async def push(request: web.Request) -> web.StreamResponse:
    """Send a message to one connection, one user or everybody."""
    refusal = await _not_permitted(request)
    if refusal is not None:
        return refusal
    try:
        target, data = _push_request(await _read_json(request, _PUSH_EXAMPLE))
    except MessageTooLargeError as error:
        return refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
    except (_BadRequestError, TargetError) as error:
        return refuse(HTTPStatus.BAD_REQUEST, str(error))
    counts = await asyncio.to_thread(request.app[BACKEND].push, target, data)
    return push_answer(target, counts)


def push_answer(target: Target, counts: Counts) -> web.Response:
    """The answer to a push: 200 with counts, or why nobody was reached (404, 410, 502)."""
    told = asdict(counts)
    if counts.sent > 0 or (isinstance(target, Everybody) and counts.failed == 0):
        return web.json_response(told)
    if counts.failed > 0:
        return refuse(HTTPStatus.BAD_GATEWAY, "The management API refused the message.", **told)
    if isinstance(target, User):
        return refuse(HTTPStatus.NOT_FOUND, "This user is not connected.", **told)
    return refuse(HTTPStatus.GONE, "This connection is gone.", **told)


async def _not_permitted(request: web.Request) -> web.Response | None:
    backend = request.app[BACKEND]
    if backend.stack.is_local:
        return None
    scheme, _space, credentials = request.headers.get("Authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    try:
        claims = await asyncio.to_thread(backend.verify, bearer)
    except TokenRefusedError as error:
        answer = refuse(
            HTTPStatus.UNAUTHORIZED,
            f"Unauthorized: {error}. Send Authorization: Bearer with a token of this stack.",
        )
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if PUSH_SCOPE not in claims.scopes:
        return refuse(
            HTTPStatus.FORBIDDEN, f'Forbidden: the token\'s scope does not hold "{PUSH_SCOPE}".'
        )
    return None


async def _read_json(request: web.Request, example: str) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise _BadRequestError(f"The body is not JSON. Send {example}.") from None
    if not isinstance(body, dict):
        raise _BadRequestError(f"The body is not a JSON object. Send {example}.")
    return body


def _push_request(body: Mapping[str, Any]) -> tuple[Target, bytes]:
    if "message" not in body:
        raise _BadRequestError(f'"message" is missing. Send {_PUSH_EXAMPLE}.')
    target = parse_target(body.get("to"))
    try:
        data = encode(body["message"])
    except (UnicodeEncodeError, RecursionError):
        raise _BadRequestError('"message" is not valid Unicode text.') from None
    if not data:
        raise _BadRequestError('"message" is empty.')
    return target, data


def _user_id(body: Mapping[str, Any]) -> str:
    user_id = body.get("userId")
    if not isinstance(user_id, str) or not 0 < len(user_id) <= _USER_ID_MAX_CHARACTERS:
        raise _BadRequestError(f'"userId" must be 1 to 256 characters. Send {_USER_EXAMPLE}.')
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise _BadRequestError('"userId" is not valid Unicode text.') from None
    return user_id
