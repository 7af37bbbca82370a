"""What the data plane must hold to over real sockets although timing or spelling invites slips."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from dataplane_world import (
    API,
    STAGE,
    TEXT,
    Hanging,
    RawClient,
    World,
    eventually,
    frame,
    read_http,
    route,
    running,
    soon,
)

from socketstack.core.model import StageSettings, Throttle
from socketstack.dataplane.frames import SocketProtocol
from socketstack.dataplane.session import Session
from socketstack.trace import Step

CLOSED = Throttle(rate_per_second=0, burst=0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with an echo API that has all three event routes."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        yield world


def take_stage_away(world: World) -> None:
    """Remove the stage as DeleteStage does."""
    world.store.remove_stage(API, STAGE)


def take_deployment_away(world: World) -> None:
    """Leave the stage without a deployment."""
    world.store.set_stage(API, StageSettings(stage_name=STAGE, deployment_id=None))


@pytest.mark.parametrize("remove", [take_stage_away, take_deployment_away])
async def test_stage_removed_during_the_handshake_opens_nothing(
    world: World, remove: Callable[[World], None]
) -> None:
    """A client whose stage went away while $connect ran is refused, and nothing is registered."""
    connect = Hanging()
    world.answer("connect", connect)

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world))
        await eventually(lambda: connect.started == 1)
        remove(world)
        await world.data_plane.close_api(API, STAGE)
        connect.release()
        answer = await read_http(client.reader)

    assert (answer.status, json.loads(answer.body)) == (403, {"message": "Forbidden"})
    assert "during the handshake" in world.summaries(Step.REFUSED)[0]
    assert world.summaries(Step.CONNECTED) == []
    assert world.store.connection_count() == 0
    assert world.calls("disconnect") == []


async def test_redeployment_during_the_handshake_lets_the_client_in(world: World) -> None:
    """A stage that points to another deployment meanwhile is still there."""
    connect = Hanging()
    world.answer("connect", connect)

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world))
        await eventually(lambda: connect.started == 1)
        world.deploy_echo(deployment_id="dep002")
        connect.release()
        answer = await read_http(client.reader)

        assert answer.status == 101
        assert world.store.connection_count() == 1


async def test_header_names_keep_the_case_the_client_sent(world: World) -> None:
    """Known and unknown header names reach the function as they were written."""
    async with RawClient.dial(world) as client:
        request = client.handshake(world, User_Agent="probe/1", X_Room="1")
        for name in (b"Host", b"Sec-WebSocket-Key", b"User-Agent", b"X-Room"):
            request = request.replace(name + b":", name.swapcase() + b":")
        client.send(request)
        answer = await read_http(client.reader)

    assert answer.status == 101
    (event,) = world.calls("connect")
    swapped = {"hOST", "sEC-wEBsOCKET-kEY", "uSER-aGENT", "x-rOOM"}
    assert swapped <= set(event["headers"])
    assert swapped <= set(event["multiValueHeaders"])
    assert event["requestContext"]["identity"]["userAgent"] == "probe/1"


async def test_header_value_that_is_no_utf_8_reaches_the_function_as_text(world: World) -> None:
    """Bytes that are no UTF-8 are replaced; what the function gets can be encoded again."""
    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, X_Room="room").replace(b"room", b"r\xffm"))
        answer = await read_http(client.reader)

    assert answer.status == 101
    assert world.calls("connect")[0]["headers"]["X-Room"].encode() == "r\ufffdm".encode()


@pytest.mark.parametrize("has_default", [True, False])
async def test_long_route_key_does_not_fill_the_trace(world: World, *, has_default: bool) -> None:
    """A key of 30 KB that a client made up is shown shortened, with the advice still there."""
    keys = ("join", "$default") if has_default else ("join",)
    world.deploy(*(route(key, "echo", is_two_way=True) for key in keys))

    async with world.connect() as client:
        await client.send(json.dumps({"action": "k" * 30_000}))
        await soon(client.recv())

    shown = world.summaries(Step.MESSAGE)
    assert len(shown) == 1
    assert ("$default takes it" if has_default else "deploy the stage") in shown[0]
    assert max(len(event.summary) for event in world.events) < 1000


async def test_hundred_abrupt_clients_leave_no_task_and_no_socket(world: World) -> None:
    """Clients cut off at any point of their life leave no task, socket, session or record."""
    before = len(asyncio.all_tasks())

    async def one(number: int) -> None:
        async with RawClient.dial(world) as client:
            if number % 3 == 0:
                client.send(client.handshake(world)[:40])
                return
            client.send(client.handshake(world))
            if number % 3 == 1:
                await read_http(client.reader)

    for start in range(0, 100, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))
    await eventually(lambda: not world.web.connections)
    await eventually(lambda: not world.data_plane._sessions)
    await eventually(lambda: not world.data_plane._running)

    await eventually(lambda: len(asyncio.all_tasks()) <= before + 1)  # the timer's own
    assert world.store.connection_count() == 0
    assert world.data_plane._sessions == {}
    assert len(world.disconnects()) == len(world.summaries(Step.CONNECTED)) >= 33


async def test_stage_throttled_to_zero_lets_nobody_connect(world: World) -> None:
    """Every handshake gets 429 and no function runs, also without a $connect route."""
    world.deploy_echo(throttles={"": CLOSED})
    answer = await world.refused()
    world.deploy(route("$default", "echo"), throttles={"": CLOSED})
    again = await world.refused()

    assert (answer.status, again.status) == (429, 429)
    assert "throttling is 0" in world.summaries(Step.REFUSED)[0]
    assert world.calls() == []
    assert world.store.connection_count() == 0


async def test_route_throttled_to_zero_answers_with_a_frame(world: World) -> None:
    """The message is not handled, the client is told, and the connection stays open."""
    world.deploy_echo(throttles={"$default": CLOSED})

    async with world.connect() as client:
        await client.send("hello")
        frame = json.loads(await soon(client.recv()))

    assert frame["message"] == "Too Many Requests"
    assert world.calls("echo") == []


async def test_open_socket_is_no_http_connection_and_no_task(world: World) -> None:
    """An idle socket costs no more than what it is: nothing of its handshake is left."""
    tasks = len(asyncio.all_tasks())
    async with AsyncExitStack() as sockets:
        clients = [await sockets.enter_async_context(RawClient.connect(world)) for _ in range(10)]
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 1)  # the timer's own

        assert world.store.connection_count() == len(clients)
        assert not world.web.connections
        assert not [each for each in gc.get_objects() if isinstance(each, web.BaseRequest)]


async def test_many_messages_together_with_the_handshake_are_all_answered(world: World) -> None:
    """More bytes than may wait for a 101 stop the reading of the socket, and only until then."""
    count, text = 40, "x" * 20_000
    early = b"".join(frame(TEXT, f"{number} {text}".encode()) for number in range(count))

    async with RawClient.connect(world, early) as client:
        answers = {(await soon(client.receive())).payload for _ in range(count)}

    assert answers == {f"{number} {text}".encode() for number in range(count)}


@pytest.mark.parametrize("by_client", [True, False])
async def test_closed_socket_is_gone_without_the_garbage_collector(
    world: World, *, by_client: bool
) -> None:
    """Nothing of it refers to itself, so a thousand that close at once wait for nobody."""
    gc.collect()
    gc.disable()
    try:
        async with world.connect() as client:
            assert (_alive(Session), _alive(SocketProtocol)) == (1, 1)
            if by_client:
                await client.close()
            else:
                await world.data_plane.close_api(API, STAGE)
                await soon(client.wait_closed())
        await eventually(lambda: not world.data_plane._running)

        await eventually(lambda: (_alive(Session), _alive(SocketProtocol)) == (0, 0))
    finally:
        gc.enable()


def _alive(kind: type) -> int:
    return sum(isinstance(each, kind) for each in gc.get_objects())
