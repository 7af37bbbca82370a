"""Throttling over real sockets: who is refused, with what, and what did not run."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from dataplane_world import (
    World,
    guarded_connect,
    route,
    running,
    soon,
)
from websockets.asyncio.client import ClientConnection

from socketstack.core.model import Throttle
from socketstack.dataplane.throttling import AccountThrottles
from socketstack.trace import Step


def limits(rate: float, burst: int) -> Throttle:
    """A bucket's size."""
    return Throttle(rate_per_second=rate, burst=burst)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with an echo API that has all three event routes."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        yield world


@pytest.fixture
async def small_account(tmp_path: Path) -> AsyncIterator[World]:
    """The same for an account with five requests at once and two new connections."""
    account = AccountThrottles(requests=limits(1, 5), connections=limits(1, 2))
    async with running(tmp_path, account=account) as world:
        world.deploy_echo()
        yield world


async def said(client: ClientConnection, text: str) -> str:
    """The echo of a message, or the message of its error frame."""
    await client.send(text)
    answer = str(await soon(client.recv()))
    if not answer.startswith("{"):
        return answer
    frame: dict[str, Any] = json.loads(answer)
    return str(frame["message"])


async def test_handshakes_above_the_stages_limit_get_429(world: World) -> None:
    """The third of two is refused before anything runs, and a second later one passes. 2.20."""
    world.deploy_echo(throttles={"": limits(1, 2)})

    async with AsyncExitStack() as sockets:
        await sockets.enter_async_context(world.connect())
        await sockets.enter_async_context(world.connect())
        answer = await world.refused()
        called = len(world.calls())
        world.clock.advance(1)
        await sockets.enter_async_context(world.connect())

        assert answer.status == 429
        assert json.loads(answer.body) == {"message": "Too Many Requests"}
        assert called == 2
        assert world.store.connection_count() == 3
    assert "1 requests a second and 2 at once" in world.summaries(Step.REFUSED)[0]


async def test_throttled_handshake_asks_no_authorizer(world: World) -> None:
    """Who comes too often costs no call of the authorizer. 2.20."""
    world.deploy(guarded_connect(), throttles={"$connect": limits(1, 0)})

    answer = await world.refused()

    assert answer.status == 429
    assert world.calls() == []
    assert world.store.connection_count() == 0


async def test_messages_above_a_routes_limit_are_answered_with_a_frame(world: World) -> None:
    """The message is not handled, the socket stays open, and time lets the next one pass. 5.38."""
    world.deploy_echo(throttles={"$default": limits(2, 2)})

    async with world.connect() as client:
        answers = [await said(client, f"{number}") for number in range(4)]
        world.clock.advance(0.5)
        later = await said(client, "later")

    assert answers == ["0", "1", "Too Many Requests", "Too Many Requests"]
    assert later == "later"
    assert [event["body"] for event in world.calls("echo")] == ["0", "1", "later"]


async def test_frame_of_a_throttled_message_has_the_exact_form(world: World) -> None:
    """The frame has message, connection id and request id, and nothing else. 5.38, 5.44."""
    world.deploy_echo(throttles={"$default": limits(0, 0)})

    async with world.connect() as client:
        await client.send("hello")
        frame = json.loads(await soon(client.recv()))

    assert frame.pop("connectionId")
    assert frame.pop("requestId")
    assert frame == {"message": "Too Many Requests"}
    assert world.calls("echo") == []


async def test_limits_of_one_route_leave_another_alone(world: World) -> None:
    """A route that is exhausted does not stop the other routes of the same socket. 6.18."""
    world.deploy(
        route("slow", "echo", is_two_way=True),
        route("$default", "echo", is_two_way=True),
        throttles={"slow": limits(1, 1)},
    )
    slow = json.dumps({"action": "slow"})

    async with world.connect() as client:
        await client.send(slow)
        first = await soon(client.recv())
        await client.send(slow)
        second = json.loads(await soon(client.recv()))
        other = await said(client, "fine")

    assert first == slow
    assert second["message"] == "Too Many Requests"
    assert other == "fine"


async def test_new_settings_reach_open_sockets(world: World) -> None:
    """A limit that is set while a socket is open counts for its next message. 1.79."""
    async with world.connect() as client:
        before = await said(client, "before")
        world.deploy_echo(throttles={"$default": limits(0, 0)})
        closed = await said(client, "closed")
        world.deploy_echo()
        after = await said(client, "after")

    assert (before, closed, after) == ("before", "Too Many Requests", "after")


async def test_connections_above_the_accounts_rate_get_429(small_account: World) -> None:
    """The third new connection at once is refused, and the trace says how to allow it. 6.15."""
    async with AsyncExitStack() as sockets:
        await sockets.enter_async_context(small_account.connect())
        await sockets.enter_async_context(small_account.connect())
        answer = await small_account.refused()

    assert answer.status == 429
    assert len(small_account.calls("connect")) == 2
    assert "SOCKETSTACK_CONNECTION_THROTTLE=off" in small_account.summaries(Step.REFUSED)[0]


async def test_account_limit_counts_handshakes_messages_and_posts(small_account: World) -> None:
    """One bucket for all: what a push takes is missing for a message. 6.16, 7.17."""
    client = small_account.management()
    async with small_account.connect() as socket:  # one
        [connection_id] = small_account.connection_ids()
        echoes = [await said(socket, f"{number}") for number in range(2)]  # two and three
        for _ in range(2):  # four and five
            await asyncio.to_thread(
                client.post_to_connection, ConnectionId=connection_id, Data=b"push"
            )
            await soon(socket.recv())
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            await asyncio.to_thread(
                client.post_to_connection, ConnectionId=connection_id, Data=b"push"
            )
        throttled = await said(socket, "message")

    assert echoes == ["0", "1"]
    assert caught.value.response["Error"]["Code"] == "LimitExceededException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert throttled == "Too Many Requests"
    assert len(small_account.calls("echo")) == 2
    client.close()


async def test_disconnect_is_never_throttled(world: World) -> None:
    """A stage that lets nothing pass any more still says goodbye."""
    async with world.connect():
        world.deploy_echo(throttles={"": limits(0, 0)})

    assert await world.disconnected() == [(1000, "")]


async def test_disabled_endpoint_takes_no_token(small_account: World) -> None:
    """A refusal for another reason leaves the account's limit as it was."""
    small_account.deploy_echo(is_execute_api_endpoint_disabled=True)
    refusals = [await small_account.refused() for _ in range(4)]
    small_account.deploy_echo()

    async with small_account.connect():
        assert small_account.store.connection_count() == 1
    assert {answer.status for answer in refusals} == {403}
