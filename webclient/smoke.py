"""The smoke test of a deployed stack: what its users rely on, through its real endpoints.

Who has no good token stays out; who has one gets an echo and what is pushed. Each step says what
was seen; the first that is wrong ends the test. Tokens are never shown.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from functions.push.push import User, encode
from webclient.backend import Backend

_OPEN: Final = 101
_MISSING_TOKEN: Final = 401
_REFUSED: Final = frozenset({401, 403})
_NOT_LIVE_YET: Final = frozenset({403, 404, 502, 503})
"""What a stage may answer in the first seconds after its deployment."""
_ANSWER_SECONDS: Final = 35.0
"""Longer than the 29 seconds that a function may take."""
_PAUSE_SECONDS: Final = 0.5
_EXPIRED_FOR_SECONDS: Final = 3600


class SmokeTestError(Exception):
    """A step went wrong; the text says what was seen and where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what a new stack may take its time with, in seconds."""

    live_seconds: float = 60.0
    """Until the stage and its host name are known everywhere."""
    push_seconds: float = 30.0
    """Until the index by user has the new connection: it follows the table."""


async def smoke(
    backend: Backend, *, token: str = "", patience: Patience | None = None
) -> AsyncIterator[str]:
    """Run the steps; yields a line for each that went well.

    Args:
        backend: The stack.
        token: A good token, for a stack that takes those of an outside issuer only.
        patience: How long to wait for a new stack.

    Raises:
        SmokeTestError: a step went wrong.
        ConfigError: the stack cannot be asked, for example to mint.
    """
    patience = patience or Patience()
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as client:
        dialled = _Dialled(client, backend.stack.websocket_url)
        status = await dialled.first_status(patience.live_seconds)
        if status != _MISSING_TOKEN:
            raise SmokeTestError(_unexpected("without a token", status, "401"))
        yield f"without a token: refused ({status})"
        for name, bad in (await asyncio.to_thread(_bad_tokens, backend)).items():
            status = await dialled.status({"token": bad})
            if status not in _REFUSED:
                raise SmokeTestError(_unexpected(f"with {name}", status, "401 or 403"))
            yield f"with {name}: refused ({status})"
        if not token and not backend.can_admit:
            yield (
                f"with a good token: not tried, {backend.stack.jwks_url} issues them; give one in "
                "SMOKE_TOKEN"
            )
            return
        async for line in _admitted(backend, dialled, token, patience):
            yield line


@dataclass(frozen=True, slots=True)
class _Dialled:
    """Handshakes with one address."""

    client: aiohttp.ClientSession
    url: str

    async def status(self, query: Mapping[str, str]) -> int:
        """The status of one handshake; 101 when it opened, and then it is closed at once."""
        try:
            async with self.client.ws_connect(self.url, params=query):
                return _OPEN
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status

    async def first_status(self, seconds: float) -> int:
        """The status without a token, once the stage answers as one that is live."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            try:
                status = await self.status({})
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                if loop.time() >= deadline:
                    raise SmokeTestError(
                        f"{self.url} cannot be reached: {error}. Is a proxy or firewall between?"
                    ) from error
            else:
                if status not in _NOT_LIVE_YET or loop.time() >= deadline:
                    return status
            await asyncio.sleep(_PAUSE_SECONDS)


async def _admitted(
    backend: Backend, dialled: _Dialled, token: str, patience: Patience
) -> AsyncIterator[str]:
    user_id = f"smoke-{uuid.uuid4().hex[:8]}"
    if token and not backend.stack.ticket_table_name:
        user_id = (await asyncio.to_thread(backend.verify, token)).user_id
    else:
        token = (await asyncio.to_thread(backend.admission, user_id)).text
    try:
        socket = await dialled.client.ws_connect(dialled.url, params={"token": token})
    except aiohttp.WSServerHandshakeError as refused:
        raise SmokeTestError(_unexpected("with a good token", refused.status, "101")) from refused
    async with socket:
        yield "with a good token: connected"
        text = json.dumps({"action": "echo", "message": uuid.uuid4().hex})
        await socket.send_str(text)
        await _received(socket, text, "the echo")
        yield "a message: echoed"
        pushed = f"smoke test {uuid.uuid4().hex}"
        await _push(lambda: backend.push(User(user_id), encode(pushed)).sent, patience)
        await _received(socket, pushed, "the pushed message")
        yield "a push: arrived"
    if backend.stack.ticket_table_name:
        status = await dialled.status({"token": token})
        if status not in _REFUSED:
            raise SmokeTestError(_unexpected("with a used ticket", status, "401 or 403"))
        yield f"with a used ticket: refused ({status})"


async def _push(push: Callable[[], int], patience: Patience) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.push_seconds
    while not await asyncio.to_thread(push):
        if loop.time() >= deadline:
            raise SmokeTestError(
                "A push reached nobody, though the connection is open: the table has no row for "
                "it, or your credentials may not post (execute-api:ManageConnections)."
            )
        await asyncio.sleep(_PAUSE_SECONDS)


async def _received(socket: aiohttp.ClientWebSocketResponse, text: str, what: str) -> None:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            got = await socket.receive()
    except TimeoutError:
        raise SmokeTestError(f"{what} did not come within {_ANSWER_SECONDS:g} s.") from None
    if got.type is not aiohttp.WSMsgType.TEXT:
        raise SmokeTestError(f"Instead of {what} the socket closed ({socket.close_code}).")
    if got.data != text:
        raise SmokeTestError(f"Instead of {what} came {str(got.data)[:200]!r}.")


def _bad_tokens(backend: Backend) -> dict[str, str]:
    bad = {"a token that is none": f"junk-{uuid.uuid4().hex}"}
    if backend.stack.ticket_table_name:
        bad["an expired ticket"] = backend.issue("smoke", lives_seconds=-_EXPIRED_FOR_SECONDS).text
        if backend.can_mint:
            bad["a token instead of a ticket"] = backend.mint("smoke").text
    elif backend.can_mint:
        good = backend.mint("smoke").text
        head, _, signature = good.rpartition(".")
        changed = ("B" if signature.startswith("A") else "A") + signature[1:]
        bad |= {
            "a changed signature": f"{head}.{changed}",
            "an expired token": backend.mint("smoke", lives_seconds=-_EXPIRED_FOR_SECONDS).text,
            "a token for others": backend.mint("smoke", audience="somebody-else").text,
        }
    return bad


def _unexpected(tried: str, status: int, wanted: str) -> str:
    seen = "it was let in" if status == _OPEN else f"it got {status}"
    return (
        f"A handshake {tried} should have got {wanted}, and {seen}. `make doctor` looks for the "
        "cause; the authorizer's log and the stage's access log have the details."
    )
