"""The smoke test against stacks that are wrong in one thing each; tests/e2e has a right one."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from example_stack import TOKEN_KEY, ExampleStack, example_stack
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from webclient.backend import Backend
from webclient.settings import from_environment
from webclient.smoke import Patience, SmokeTestError, smoke
from webclient.stack import read_stack

_HURRY = Patience(live_seconds=0, push_seconds=0)


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """What is wrong with a socket endpoint; by default nothing but that nobody pushes."""

    admits: str = ""
    """Claim ``sub`` or ``*``: who gets in without a good token (``none`` for no token)."""
    bad_status: int = 401
    good_status: int = 101
    echo: str | None = None
    """What comes instead of the echo; empty to close the socket."""


@pytest.fixture(scope="module")
def stack() -> Iterator[ExampleStack]:
    """Table, secret and outputs, without sockets."""
    with example_stack() as made:
        yield made


def _kind(request: Request) -> str:
    """What a handshake comes with: none, junk, expired, foreign, forged or good."""
    tokens = parse_qs(urlsplit(request.path).query).get("token")
    if tokens is None:
        return "none"
    try:
        jwt.decode(tokens[0], TOKEN_KEY, ["HS256"], audience="chat", issuer="me")
    except jwt.ExpiredSignatureError:
        return "expired"
    except jwt.InvalidAudienceError:
        return "foreign"
    except jwt.InvalidSignatureError:
        return "forged"
    except jwt.InvalidTokenError:
        return "junk"
    return "good"


@asynccontextmanager
async def _endpoint(fault: _Fault) -> AsyncIterator[tuple[str, list[str]]]:
    """A socket endpoint with this fault; gives its address and the kinds of handshakes seen."""
    seen: list[str] = []

    def decide(connection: ServerConnection, request: Request) -> Response | None:
        seen.append(_kind(request))
        is_admitted = seen[-1] in {"good", fault.admits}
        status = (
            fault.good_status if is_admitted else 401 if seen[-1] == "none" else fault.bad_status
        )
        return None if status == 101 else connection.respond(HTTPStatus(status), "")

    async def answer(connection: ServerConnection) -> None:
        async for message in connection:
            if fault.echo == "":
                await connection.close(1011)
                return
            await connection.send(str(message) if fault.echo is None else fault.echo)

    server: Server
    async with serve(answer, "127.0.0.1", 0, process_request=decide) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}", seen


async def _smoke(fault: _Fault, stack: ExampleStack) -> tuple[list[str], str]:
    """Handshakes and the error of a smoke test; its lines, if there is none."""
    settings = from_environment(stack.environ)
    async with _endpoint(fault) as (url, seen):
        deployed = replace(await asyncio.to_thread(read_stack, settings), websocket_url=url)
        backend = await asyncio.to_thread(Backend, deployed, settings)
        try:
            return seen, "\n".join([line async for line in smoke(backend, patience=_HURRY)])
        except SmokeTestError as error:
            return seen, str(error)


@pytest.mark.parametrize(
    ("fault", "told", "last"),
    [
        pytest.param(_Fault(admits="none"), r"without a token .* it was let in", "none", id="open"),
        pytest.param(_Fault(admits="junk"), r"token that is none .* let in", "junk", id="junk"),
        pytest.param(
            _Fault(admits="forged"), r"changed signature .* let in", "forged", id="no-signature"
        ),
        pytest.param(
            _Fault(admits="expired"), r"expired token .* let in", "expired", id="no-expiry"
        ),
        pytest.param(
            _Fault(admits="foreign"), r"token for others .* let in", "foreign", id="no-audience"
        ),
        pytest.param(
            _Fault(bad_status=500), r"401 or 403, and it got 500", "junk", id="broken-authorizer"
        ),
        pytest.param(
            _Fault(good_status=403), r"a good token .* it got 403", "good", id="nobody-gets-in"
        ),
        pytest.param(_Fault(echo="else"), r"Instead of the echo came 'else'", "good", id="echo"),
        pytest.param(
            _Fault(echo=""), r"Instead of the echo the socket closed", "good", id="closed"
        ),
        pytest.param(_Fault(), r"reached nobody", "good", id="no-push"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_tried_after_it(
    stack: ExampleStack, fault: _Fault, told: str, last: str
) -> None:
    """The first wrong step ends the test; no token stands in what is said."""
    seen, error = await _smoke(fault, stack)

    assert re.search(told, error)
    assert seen[-1] == last
    assert "eyJ" not in error


async def test_address_that_nobody_serves_is_named(stack: ExampleStack) -> None:
    """A stack whose sockets cannot be reached is no refusal."""
    settings = from_environment(stack.environ)
    async with _endpoint(_Fault()) as (url, _seen):
        pass
    deployed = replace(await asyncio.to_thread(read_stack, settings), websocket_url=url)
    backend = await asyncio.to_thread(Backend, deployed, settings)

    with pytest.raises(SmokeTestError, match=f"{url} cannot be reached"):
        await anext(smoke(backend, patience=_HURRY))
