"""Random answers of authorizers and functions on a real data plane: nobody gets in by accident.

Handshakes go over real sockets; what the functions give is drawn from a fixed seed.

Rules: 2.07 to 2.10, 2.14 to 2.16, 3.10 to 3.17, 5.28, 5.30 to 5.34.
"""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, TypeVar

import pytest
from dataplane_world import (
    CONNECT_ARN,
    OK,
    TEXT,
    RawClient,
    World,
    allowed,
    closing,
    eventually,
    frame,
    guarded_connect,
    read_http,
    returned,
    route,
    running,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from socketstack.core.model import FailureKind, InvokeResult, Json

_QUIET = settings(derandomize=True, max_examples=100, deadline=None, database=None)
_T = TypeVar("_T")

_JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
_PAYLOADS = st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode())
_RESULTS = st.builds(
    InvokeResult, payload=_PAYLOADS, failure=st.sampled_from([None, None, *FailureKind])
)
_ARNS = st.sampled_from(
    [CONNECT_ARN + "x", CONNECT_ARN[:-1], CONNECT_ARN.replace("dev", "prod"), "*:*:x", "", "arn"]
)
_NO_STARS = _JSON.filter(lambda value: "*" not in json.dumps(value))
"""No resource that would match by chance."""
_STATEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "Effect": st.sampled_from(["Allow", "Deny", "allow", "ALLOW"]),
    "Action": st.sampled_from(["execute-api:Invoke", "*", "s3:*"]) | _JSON,
    "Resource": _ARNS | st.lists(_ARNS, max_size=3) | _NO_STARS,
}
_DOCUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "Version": st.just("2012-10-17"),
    "Statement": st.lists(st.fixed_dictionaries(_STATEMENTS), max_size=3),
}
_ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "principalId": st.just("alice") | _JSON,
    "policyDocument": st.fixed_dictionaries(_DOCUMENTS),
}
_POLICIES = st.fixed_dictionaries(
    _ANSWERS, optional={"context": _JSON, "usageIdentifierKey": _JSON}
).map(returned)


class Hostile:
    """A data plane and an event loop for it."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        self.runner = runner
        self.world = world

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run something on the loop."""
        return self.runner.run(coroutine)

    async def handshake(self) -> int:
        """The status of a handshake; an opened socket is closed again."""
        async with RawClient.dial(self.world) as client:
            client.send(client.handshake(self.world) + closing(1000))
            status = (await read_http(client.reader)).status
        await eventually(lambda: not self.world.data_plane._running)
        return status

    async def reply(self, text: str) -> bytes:
        """What a message gets before the pong that follows it; empty without a reply."""
        async with RawClient.connect(self.world) as client:
            client.send(frame(TEXT, text.encode()))
            await eventually(lambda: any(self.world.calls("echo")))
            await eventually(self._is_answered)
            client.send(frame(0x9, b"end"))
            first = await client.receive()
        await eventually(lambda: not self.world.data_plane._running)
        return b"" if first.opcode == 0xA else first.payload

    def _is_answered(self) -> bool:
        return not any(session._unanswered for session in self.world.data_plane._sessions.values())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """One data plane for all examples."""
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        folder = tmp_path_factory.mktemp("hostile")
        world = runner.run(stack.enter_async_context(running(folder)))
        yield Hostile(runner, world)
        runner.run(stack.aclose())


def _reset(hostile: Hostile) -> None:
    hostile.world.runner.calls.clear()
    hostile.world.events.clear()
    hostile.world.answer("connect", OK)


@_QUIET
@given(_RESULTS | _POLICIES)
@example(returned({"principalId": "alice", "policyDocument": {}}))
@example(returned({"isAuthorized": True}))
@example(returned({"principalId": "alice", "policyDocument": {"Statement": [{"Effect": "Allow"}]}}))
def test_no_random_answer_of_an_authorizer_lets_in(hostile: Hostile, result: InvokeResult) -> None:
    """Without an Allow that names the route nobody connects, and $connect is not called."""
    _reset(hostile)
    hostile.world.deploy(guarded_connect(), route("$disconnect", "disconnect"))
    hostile.world.answer("authorizer", result)

    status = hostile.run(hostile.handshake())

    assert status in {401, 403, 500}
    assert hostile.world.calls("connect") == []
    assert hostile.world.store.connection_count() == 0


@_QUIET
@given(_JSON)
def test_random_context_of_an_allow_is_carried_or_refused(hostile: Hostile, context: Json) -> None:
    """A context is flat and arrives as text, or the handshake fails with 500."""
    _reset(hostile)
    hostile.world.deploy(guarded_connect(), route("$disconnect", "disconnect"))
    hostile.world.answer("authorizer", allowed(context=context))

    status = hostile.run(hostile.handshake())

    is_flat = isinstance(context, dict) and not any(
        isinstance(value, dict | list) for value in context.values()
    )
    assert status == (101 if is_flat else 500)
    for event in hostile.world.calls("connect"):
        told = event["requestContext"]["authorizer"]
        told.pop("integrationLatency")
        assert all(value is None or isinstance(value, str) for value in told.values())


@_QUIET
@given(_RESULTS | _JSON.map(lambda status: returned({"statusCode": status})))
@example(returned({"statusCode": "200"}))
@example(returned({"statusCode": 99}))
@example(returned({"statusCode": 1000}))
@example(returned({"statusCode": 101}))
@example(returned({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "a\r\nX: y"}}))
@example(returned({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": ["a"]}}))
@example(returned({"statusCode": 403, "body": "\ud800", "headers": []}))
def test_random_answer_of_connect_opens_with_2xx_only(
    hostile: Hostile, result: InvokeResult
) -> None:
    """A socket opens for a 2xx; all else is an HTTP answer with a status that HTTP knows."""
    _reset(hostile)
    hostile.world.deploy(route("$connect", "connect"), route("$disconnect", "disconnect"))
    hostile.world.answer("connect", result)

    status = hostile.run(hostile.handshake())

    told = hostile.world.calls("disconnect")
    assert status == HTTPStatus.SWITCHING_PROTOCOLS or 300 <= status <= 599
    assert len(told) == (1 if status == 101 else 0)
    if status == 101:
        answer = json.loads(result.payload)
        assert result.failure is None
        assert 200 <= int(answer["statusCode"]) < 300


@settings(_QUIET, max_examples=60)
@given(_RESULTS | _JSON.map(lambda body: returned({"statusCode": 200, "body": body})))
def test_random_answer_to_a_message_keeps_the_socket(
    hostile: Hostile, result: InvokeResult
) -> None:
    """A two-way route answers with the body, the error frame or nothing; the socket goes on."""
    _reset(hostile)
    hostile.world.deploy(route("$default", "echo", is_two_way=True))
    hostile.world.answer("echo", result)

    received = hostile.run(hostile.reply("hello"))

    if result.failure is not None:
        assert b'"message": "Internal server error"' in received
    assert b"Traceback" not in received
