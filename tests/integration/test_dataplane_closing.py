"""How connections end over real sockets: by the client, by time, by us; ``$disconnect`` once."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from dataplane_world import (
    API,
    CLOSE,
    STAGE,
    TEXT,
    Hanging,
    RawClient,
    World,
    closing,
    complaints,
    eventually,
    frame,
    raised,
    route,
    running,
    soon,
    timed_out,
)
from websockets.asyncio.client import ClientConnection

from socketstack.core.limits import CONNECTION_MAX_SECONDS, IDLE_TIMEOUT_SECONDS
from socketstack.core.model import InvokeResult
from socketstack.dataplane import goodbyes
from socketstack.dataplane.goodbyes import GOODBYES_AT_ONCE
from socketstack.trace import Step

NO_STATUS = (1005, "Client-side close frame status not set")
GOING_AWAY = (1001, "Going away")
NORMALLY = (1000, "Connection Closed Normally")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with an echo API that has all three event routes."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        yield world


async def closed_with(client: ClientConnection) -> tuple[int, str]:
    """Code and reason that the client got."""
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await soon(client.recv())
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


# By the client


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(closing(), NO_STATUS, id="no-code"),
        pytest.param(closing(1000), (1000, ""), id="1000"),
        pytest.param(closing(1001), (1001, ""), id="page-left"),
        pytest.param(closing(1000, b"bye"), (1000, "bye"), id="with-reason"),
        pytest.param(
            closing(3000, "tsch\u00fc\u00df".encode()), (3000, "tsch\u00fc\u00df"), id="3000"
        ),
        pytest.param(closing(4999, b"x" * 123), (4999, "x" * 123), id="longest-reason"),
    ],
)
async def test_client_close_passes_code_and_reason_on(
    world: World, sent: bytes, expected: tuple[int, str]
) -> None:
    """$disconnect learns what the client's close frame said, and the client gets an answer."""
    async with RawClient.connect(world) as client:
        client.send(sent)
        answer = await client.receive()

        assert answer.opcode == CLOSE
        assert answer.payload == (b"" if expected == NO_STATUS else struct.pack("!H", expected[0]))
        assert await client.ended()

    assert await world.disconnected() == [expected]


async def test_disconnect_event_has_exactly_the_documented_members(world: World) -> None:
    """The function of $disconnect gets the synthetic headers and the handshake's identity."""
    async with world.connect(f"/{STAGE}?token=t", user_agent_header="probe/1") as client:
        world.clock.advance(7)
        await client.close(1000, "bye")
    await world.disconnected()

    (event,) = world.calls("disconnect")
    host = f"{API}.execute-api.localhost:{world.port}"
    headers = {"Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
    context = event.pop("requestContext")
    assert event == {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "isBase64Encoded": False,
    }
    assert context.pop("requestId") == context.pop("extendedRequestId")
    assert context == {
        "routeKey": "$disconnect",
        "disconnectStatusCode": 1000,
        "eventType": "DISCONNECT",
        "requestTime": "14/Nov/2023:22:13:27 +0000",
        "messageDirection": "IN",
        "disconnectReason": "bye",
        "stage": STAGE,
        "connectedAt": 1_700_000_000_000,
        "requestTimeEpoch": 1_700_000_007_000,
        "identity": {"userAgent": "probe/1", "sourceIp": "127.0.0.1"},
        "domainName": host,
        "connectionId": "000000000000002=",
        "apiId": API,
    }


@pytest.mark.parametrize("how", ["cut-off", "end-of-stream", "in-the-middle-of-a-frame"])
async def test_lost_connection_is_1006(world: World, how: str) -> None:
    """A client that vanishes without a close frame gives 1006."""
    async with RawClient.connect(world) as client:
        if how == "in-the-middle-of-a-frame":
            client.send(frame(TEXT, b"hello")[:-1])
            await client.writer.drain()
        if how == "cut-off":
            reset = struct.pack("ii", 1, 0)
            client.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, reset
            )
        if how == "end-of-stream":
            client.writer.write_eof()
            assert await client.ended()

    assert await world.disconnected() == [(1006, "")]
    assert world.store.connection_count() == 0


async def test_lost_connection_under_tls_is_1006(world: World) -> None:
    """The same with TLS."""
    async with RawClient.connect(world, ssl=world.trust(), server_hostname="localhost"):
        pass

    assert await world.disconnected() == [(1006, "")]


async def test_disconnect_runs_when_the_connection_has_left_the_store(world: World) -> None:
    """Inside $disconnect the connection is gone already: posting to it gives 410."""
    seen: list[int] = []

    async def disconnect(payload: bytes) -> InvokeResult:
        connection_id = world.calls("disconnect")[0]["requestContext"]["connectionId"]
        address = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"
        seen.extend(
            [(await world.http("POST", address, b"x")).status, world.store.connection_count()]
        )
        return raised("of no interest")

    world.answer("disconnect", disconnect)

    async with world.connect():
        pass
    await world.disconnected()

    assert seen == [410, 0]


@pytest.mark.parametrize(
    "disconnect",
    [
        pytest.param(raised("boom"), id="raises"),
        pytest.param(timed_out, id="exceeds-its-time"),
        pytest.param(None, id="does-not-exist"),
    ],
)
async def test_failing_disconnect_has_no_effect(
    world: World, caplog: pytest.LogCaptureFixture, disconnect: InvokeResult | None
) -> None:
    """Whatever $disconnect does, the client sees a normal end, and the trace tells."""
    if disconnect is None:
        del world.runner.answers["disconnect"]
    else:
        world.answer("disconnect", disconnect)

    async with world.connect() as client:
        pass
    await world.disconnected()

    assert client.close_code == 1000
    assert "$disconnect failed" in world.summaries(Step.ERROR)[0]
    assert complaints(caplog) == []
    assert world.store.connection_count() == 0


async def test_unexpected_error_in_disconnect_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of the engine while $disconnect runs leaves nothing behind."""

    def broken(payload: bytes) -> InvokeResult:
        raise KeyError("defect")

    world.answer("disconnect", broken)

    async with world.connect():
        pass
    await world.disconnected()
    await eventually(lambda: not world.data_plane._sessions)

    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "KeyError: 'defect'" in caplog.text


async def test_api_without_disconnect_route_just_ends(world: World) -> None:
    """$disconnect is optional."""
    world.deploy(route("$default", "echo"))

    async with world.connect():
        pass
    await eventually(lambda: not world.data_plane._running)

    assert world.calls() == []
    assert world.summaries(Step.ERROR) == []


async def test_disconnect_that_may_not_be_called_is_not(world: World) -> None:
    """Without permission the function of $disconnect does not run."""
    world.permits.forbidden = {"disconnect"}

    async with world.connect():
        pass
    await eventually(lambda: not world.data_plane._running)

    assert world.calls("disconnect") == []
    assert "may not call" in world.summaries(Step.ERROR)[0]


# By time


async def test_idle_connection_closes_after_ten_minutes(world: World) -> None:
    """Ten minutes without a message end a connection with 1001."""
    async with world.connect() as client:
        world.clock.advance(IDLE_TIMEOUT_SECONDS - 1)
        await client.send("still here")
        await soon(client.recv())
        world.clock.advance(IDLE_TIMEOUT_SECONDS - 1)
        await asyncio.wait_for(await client.ping(), 20)
        assert world.store.connection_count() == 1

        world.clock.advance(1)
        assert await closed_with(client) == GOING_AWAY

    assert await world.disconnected() == [GOING_AWAY]
    assert world.summaries(Step.CLOSED) == ["1001 Going away (IDLE)"]


async def test_idle_time_begins_when_the_socket_opens(world: World) -> None:
    """The time that $connect took is not idle time."""
    connect = Hanging()
    world.answer("connect", connect)
    context = world.connect()
    opening = asyncio.create_task(context.__aenter__())
    await eventually(lambda: connect.started == 1)
    world.clock.advance(25)
    connect.release()
    client = await soon(opening)
    world.clock.advance(IDLE_TIMEOUT_SECONDS - 1)
    await client.send("in time")

    assert await soon(client.recv()) == "in time"

    await context.__aexit__(None, None, None)


async def test_posts_count_as_activity(world: World) -> None:
    """A message from the management API keeps a connection alive."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        address = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"
        for _ in range(3):
            world.clock.advance(IDLE_TIMEOUT_SECONDS - 1)
            assert (await world.http("POST", address, b"alive")).status == 200
            assert await soon(client.recv()) == "alive"

        world.clock.advance(IDLE_TIMEOUT_SECONDS)
        assert await closed_with(client) == GOING_AWAY


async def test_looking_at_a_connection_is_no_activity(world: World) -> None:
    """GET does not keep a connection alive."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        address = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"
        world.clock.advance(IDLE_TIMEOUT_SECONDS - 1)
        assert (await world.http("GET", address)).status == 200
        world.clock.advance(1)

        assert await closed_with(client) == GOING_AWAY


async def test_active_connection_closes_after_two_hours(world: World) -> None:
    """However active, a connection ends after two hours with 1001."""
    async with world.connect() as client:
        for number in range(12):
            world.clock.advance(IDLE_TIMEOUT_SECONDS - 1)
            await client.send(str(number))
            assert await soon(client.recv()) == str(number)
        world.clock.advance(CONNECTION_MAX_SECONDS - 12 * (IDLE_TIMEOUT_SECONDS - 1))

        assert await closed_with(client) == GOING_AWAY

    assert world.summaries(Step.CLOSED) == ["1001 Going away (EXPIRED)"]


async def test_only_those_whose_time_is_over_are_closed(world: World) -> None:
    """A younger connection lives on."""
    async with world.connect() as old:
        world.clock.advance(300)
        async with world.connect() as young:
            world.clock.advance(300)
            assert await closed_with(old) == GOING_AWAY
            await young.send("hello")

            assert await soon(young.recv()) == "hello"


# By us


async def test_delete_closes_normally(world: World) -> None:
    """DELETE gives the client 1000 and $disconnect the reason of rule 7.28."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        address = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"
        deleted = await world.http("DELETE", address)
        again = await world.http("DELETE", address)

        assert (deleted.status, deleted.body, again.status) == (204, b"", 410)
        assert await closed_with(client) == NORMALLY

    assert await world.disconnected() == [NORMALLY]


@pytest.mark.parametrize("secure", [False, True])
async def test_client_that_ignores_the_close_is_cut_off(world: World, *, secure: bool) -> None:
    """A client that does not answer the close frame is cut off, and $disconnect runs."""
    options: dict[str, Any] = (
        {"ssl": world.trust(), "server_hostname": "localhost"} if secure else {}
    )

    async with RawClient.connect(world, **options) as client:
        (entry,) = world.store.connections()
        entry.peer.close(1000, "")
        assert (await client.receive()).code == 1000
        with contextlib.suppress(ConnectionError):
            assert await client.ended()

        assert await world.disconnected() == [NORMALLY]


async def test_first_cause_wins(world: World) -> None:
    """Several causes at once give one close frame and one $disconnect."""
    async with RawClient.connect(world) as client:
        (entry,) = world.store.connections()
        client.send(closing(4001, b"mine"))
        entry.peer.close(1000, "")
        entry.peer.close(1000, "")
        await world.data_plane.close_api(API, None)
        first = await client.receive()

        assert first.code == 1000
        assert await client.ended()

    assert await world.disconnected() == [NORMALLY]


async def test_delete_reaches_a_client_whose_messages_all_hang(world: World) -> None:
    """A connection that waits for its functions closes at once, and $disconnect does not wait."""
    hanging = Hanging()
    world.answer("echo", hanging)

    async with RawClient.connect(world) as client:
        client.send(frame(TEXT, b"x") * 200)
        await eventually(lambda: hanging.started == 64)
        (entry,) = world.store.connections()
        entry.peer.close(1000, "")
        assert (await client.receive()).code == 1000
        client.send(closing(1000))
        await eventually(lambda: world.disconnects() == [NORMALLY])

        assert hanging.started == 64
        hanging.release()

    await world.disconnected()
    assert hanging.started == 64


async def test_slow_reader_that_closes_is_cut_off(world: World) -> None:
    """A client that closes without reading what waits for it does not keep its socket."""
    async with RawClient.connect(world, limit=1024) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (entry,) = world.store.connections()
        for _ in range(7):
            entry.peer.send(b"x" * 131_072)
        client.send(closing(1000))

        assert await world.disconnected() == [(1000, "")]
        await eventually(lambda: not world.web.connections)


# Removal of an API or stage


async def test_close_api_closes_the_sockets_of_that_stage_only(world: World) -> None:
    """Removing a stage closes its sockets with 1001 and no others."""
    world.deploy_echo(stage="prod")
    world.deploy_echo(api_id="otherapi00")

    async with (
        world.connect() as dev,
        world.connect("/prod") as prod,
        world.connect(api_id="otherapi00") as other,
    ):
        await world.data_plane.close_api(API, STAGE)
        assert await closed_with(dev) == GOING_AWAY
        for client in (prod, other):
            await client.send("hello")
            assert await soon(client.recv()) == "hello"
        await world.data_plane.close_api(API, None)
        assert await closed_with(prod) == GOING_AWAY
        await other.send("hello")
        assert await soon(other.recv()) == "hello"


async def test_message_of_a_stage_without_deployment_is_forbidden(world: World) -> None:
    """A stage that lost its deployment answers open connections with the Forbidden frame."""
    async with world.connect() as client:
        world.store.point_stage(API, STAGE, None)
        await client.send("hello")
        got = await soon(client.recv())

        assert "Forbidden" in str(got)
        assert world.calls("echo") == []


# The engine stops


async def test_stop_closes_with_1001_and_runs_disconnect(world: World) -> None:
    """Stopping tells every client that the server goes away."""
    async with world.connect() as one, world.connect() as two:
        await soon(world.data_plane.stop())

        assert await closed_with(one) == GOING_AWAY
        assert await closed_with(two) == GOING_AWAY

    assert world.disconnects() == [GOING_AWAY] * 2
    assert world.store.connection_count() == 0


async def test_stop_is_bounded_when_nothing_answers(world: World) -> None:
    """Hanging functions and unresponsive clients do not keep the engine from stopping."""
    hanging = Hanging()
    world.answer("echo", hanging)
    world.answer("disconnect", hanging)
    loop = asyncio.get_running_loop()

    async with RawClient.connect(world) as deaf, world.connect() as polite:
        deaf.send(frame(TEXT, b"hangs") * 200)
        await polite.send("hangs")
        await eventually(lambda: hanging.started == 65)
        began = loop.time()
        await world.data_plane.stop()
        took = loop.time() - began

    assert took < 3
    assert world.disconnects() == [GOING_AWAY] * 2
    assert world.store.connection_count() == 0
    assert not world.data_plane._running


async def test_stop_waits_for_disconnect_functions(world: World) -> None:
    """A $disconnect function that takes a moment finishes before the engine is gone."""
    finished: list[str] = []

    async def disconnect(payload: bytes) -> InvokeResult:
        await asyncio.sleep(0.2)
        finished.append("done")
        return raised("of no interest")

    world.answer("disconnect", disconnect)

    async with world.connect():
        await world.data_plane.stop()

        assert finished == ["done"]


async def test_no_handshake_succeeds_once_the_engine_stops(world: World) -> None:
    """Handshakes that are pending or come later are refused with 503; nothing is registered."""
    connect = Hanging()
    world.answer("connect", connect)
    async with RawClient.dial(world) as pending, RawClient.dial(world) as late:
        pending.send(pending.handshake(world))
        await eventually(lambda: connect.started == 1)
        await world.data_plane.stop()
        late.send(late.handshake(world))
        refused = await soon(late.reader.readline())
        connect.release()
        dropped = await soon(pending.reader.readline())

    assert b" 503 " in refused
    assert b" 503 " in dropped
    assert connect.started == 1
    assert world.summaries(Step.CONNECTED) == []
    assert world.disconnects() == []


async def test_server_shutdown_before_stop_still_runs_disconnect(world: World) -> None:
    """An open socket is none of the HTTP server's: whenever that stops, it is told goodbye."""
    async with world.connect() as client:
        await world.web.shutdown(0.05)
        assert world.store.connection_count() == 1
        await world.data_plane.stop()
        await soon(client.wait_closed())

    assert client.close_code == 1001
    assert world.disconnects() == [(1001, "Going away")]
    assert world.store.connection_count() == 0


async def test_sessions_that_wait_for_their_goodbye_are_no_tasks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many tasks run as may call $disconnect at once; all are called in the end."""
    monkeypatch.setattr(goodbyes, "GOODBYES_AT_ONCE", 2)
    disconnect = Hanging()
    world.answer("disconnect", disconnect)
    async with contextlib.AsyncExitStack() as sockets:
        for _ in range(7):
            await sockets.enter_async_context(RawClient.connect(world))
    await eventually(lambda: world.store.connection_count() == 0)
    await eventually(lambda: disconnect.started == 2)

    assert len(world.data_plane._running) == 2
    assert len(world.data_plane._sessions) == 7

    disconnect.release()
    await eventually(lambda: not world.data_plane._sessions)
    assert len(world.disconnects()) == 7


async def test_an_answer_on_its_way_holds_up_no_other_goodbye(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session whose message is still worked on leaves its place to the next one."""
    monkeypatch.setattr(goodbyes, "GOODBYES_AT_ONCE", 1)
    slow = Hanging()
    world.answer("echo", slow)
    async with RawClient.connect(world, frame(TEXT, b"hello")):
        await eventually(lambda: slow.started == 1)
    async with RawClient.connect(world):
        pass

    await eventually(lambda: len(world.disconnects()) == 2)
    await eventually(lambda: len(world.data_plane._sessions) == 1)

    slow.release()
    await eventually(lambda: not world.data_plane._sessions)


# Nothing is left


async def test_two_hundred_connections_leave_nothing_behind(world: World) -> None:
    """Polite, abrupt and refused clients leave no task, no socket and no record."""
    tasks = len(asyncio.all_tasks())

    async def one(number: int) -> None:
        if number % 4 == 0:
            async with world.connect() as client:
                await client.send("hello")
                await soon(client.recv())
        elif number % 4 == 1:
            async with RawClient.connect(world, frame(TEXT, b"hello")):
                pass
        elif number % 4 == 2:
            async with RawClient.connect(world) as raw:
                raw.send(frame(TEXT, b"x" * 40_000))
                await raw.receive()
        else:
            await world.refused("/nowhere")

    for start in range(0, 200, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))
    await world.disconnected(150)
    await eventually(lambda: not world.web.connections)

    await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 1)  # the timer's own
    assert len(world.disconnects()) == 150
    assert world.store.connection_count() == 0
    assert world.data_plane._sessions == {}
    counts = world.data_plane.counts
    assert (counts.messages, counts.disconnects) == (100, 150)
    assert counts.replies + counts.dropped_replies == 100


async def test_ends_of_very_many_connections_wait_in_line(world: World) -> None:
    """A bounded number of $disconnect calls runs at once; none of the others is lost."""
    disconnect = Hanging()
    world.answer("disconnect", disconnect)
    more = 20
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(GOODBYES_AT_ONCE + more):
            await stack.enter_async_context(RawClient.connect(world))
    await eventually(lambda: world.store.connection_count() == 0)
    await eventually(lambda: disconnect.started == GOODBYES_AT_ONCE)

    assert world.data_plane.counts.disconnects == 0
    disconnect.release()

    await eventually(lambda: world.data_plane.counts.disconnects == GOODBYES_AT_ONCE + more)
    assert disconnect.started == GOODBYES_AT_ONCE + more
