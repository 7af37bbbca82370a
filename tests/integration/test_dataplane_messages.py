"""Messages over real sockets: routes, replies, error frames, overlap."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dataplane_world import (
    API,
    OK,
    PING,
    PONG,
    STAGE,
    TEXT,
    Hanging,
    RawClient,
    World,
    complaints,
    echoed,
    eventually,
    frame,
    function_arn,
    proxy,
    raised,
    returned,
    route,
    running,
    soon,
    timed_out,
)
from websockets.asyncio.client import ClientConnection

from socketstack.core.model import FailureKind, IntegrationType, InvokeResult, Route
from socketstack.dataplane.session import MESSAGES_AT_ONCE
from socketstack.trace import Step

DEFAULT = route("$default", "echo", is_two_way=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with nothing deployed."""
    async with running(tmp_path) as world:
        yield world


async def ask(client: ClientConnection, text: str) -> str:
    """Send one message and wait for one."""
    await client.send(text)
    got = await soon(client.recv())
    assert isinstance(got, str)
    return got


def error_frame(message: str, connection_id: str, request_id: str) -> str:
    """The frame of rule 5.44, written out."""
    return (
        f'{{"message": "{message}", "connectionId":"{connection_id}", "requestId":"{request_id}"}}'
    )


@pytest.mark.parametrize(
    ("message", "taker"),
    [
        pytest.param('{"action":"join"}', "join", id="exact-key"),
        pytest.param('{"action":"Join"}', "$default", id="other-case"),
        pytest.param('{"action":"leave"}', "$default", id="no-such-key"),
        pytest.param('{"other":"join"}', "$default", id="member-missing"),
        pytest.param("join", "$default", id="not-json"),
        pytest.param("", "$default", id="empty"),
        pytest.param('["join"]', "$default", id="json-but-no-object"),
        pytest.param('{"action":"$default"}', "$default", id="default-by-name"),
        pytest.param('{"action":"$connect"}', "$default", id="connect-by-name"),
        pytest.param('{"action":"$disconnect"}', "$default", id="disconnect-by-name"),
        pytest.param('{"action":7}', "7", id="number"),
        pytest.param("\U0001f600 \u00e4", "$default", id="beyond-ascii"),
    ],
)
async def test_message_is_routed_by_the_selection_expression(
    world: World, message: str, taker: str
) -> None:
    """The evaluated key chooses the route, and the function gets the text unchanged."""
    keys = ("join", "7", "$default", "$connect", "$disconnect")
    world.deploy(*(route(key, "echo", is_two_way=True) for key in keys))
    world.answer("echo", lambda payload: echoed(payload) if b'"MESSAGE"' in payload else OK)

    async with world.connect() as client:
        assert await ask(client, message) == message

    event = next(e for e in world.calls("echo") if e["requestContext"]["eventType"] == "MESSAGE")
    assert event["requestContext"]["routeKey"] == taker
    assert event["body"] == message


async def test_message_event_has_exactly_the_documented_members(world: World) -> None:
    """A message's function sees the connection's context, and nothing of the handshake."""
    world.deploy(DEFAULT, variables={"table": "rows"})

    async with world.connect(f"/{STAGE}?token=t", user_agent_header="probe/1") as client:
        world.clock.advance(5)
        await ask(client, "hello")
        await ask(client, "again")

    first, second = world.calls("echo")
    ids = [e["requestContext"].pop("requestId") for e in (first, second)]
    messages = [e["requestContext"].pop("messageId") for e in (first, second)]
    assert len({*ids, *messages}) == 4
    assert first["requestContext"].pop("extendedRequestId") == ids[0]
    assert first == {
        "stageVariables": {"table": "rows"},
        "requestContext": {
            "routeKey": "$default",
            "eventType": "MESSAGE",
            "requestTime": "14/Nov/2023:22:13:25 +0000",
            "messageDirection": "IN",
            "stage": STAGE,
            "connectedAt": 1_700_000_000_000,
            "requestTimeEpoch": 1_700_000_005_000,
            "identity": {"userAgent": "probe/1", "sourceIp": "127.0.0.1"},
            "domainName": f"{API}.execute-api.localhost:{world.port}",
            "connectionId": "000000000000002=",
            "apiId": API,
        },
        "body": "hello",
        "isBase64Encoded": False,
    }


async def test_reply_does_not_wait_for_the_trace(world: World) -> None:
    """What is told of a message is told in order, and when its reply has gone out."""
    world.deploy(DEFAULT)
    world.answer("echo", echoed)
    sent: list[tuple[Step, int]] = []
    world.trace.subscribe(lambda event: sent.append((event.step, world.data_plane.counts.replies)))

    async with world.connect() as client:
        assert await ask(client, "hello") == "hello"
        told = [each for each in sent if each[0] in {Step.MESSAGE, Step.INVOKED, Step.REPLY}]

    assert told == [(Step.MESSAGE, 0), (Step.INVOKED, 1), (Step.REPLY, 1)]


async def test_function_is_called_on_behalf_of_its_route(world: World) -> None:
    """The permission asked for names the route; the wait is the integration's own."""
    world.deploy(route("$default", integration=proxy("echo", timeout_ms=700), is_two_way=True))

    async with world.connect() as client:
        await ask(client, "hello")

    source = f"arn:aws:execute-api:eu-west-1:000000000000:{API}/{STAGE}/$default"
    assert world.permits.asked == [(function_arn("echo"), source)]
    assert world.runner.deadlines_ms == [700]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"statusCode": 200, "body": "reply"}, id="200"),
        pytest.param({"statusCode": 500, "body": "reply"}, id="500"),
    ],
)
async def test_one_way_route_sends_nothing(world: World, result: dict[str, object]) -> None:
    """Without a route response nothing of the result reaches the client, whatever its status."""
    one_way = route("quiet", "quiet")
    world.deploy(one_way, DEFAULT)
    world.answer("quiet", InvokeResult(payload=json.dumps(result).encode()))

    async with world.connect() as client:
        await client.send('{"action":"quiet"}')
        await eventually(lambda: any("none:" in text for text in world.summaries(Step.REPLY)))

        assert await ask(client, "next") == "next"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        pytest.param({"statusCode": 200, "body": "a"}, "a", id="200"),
        pytest.param({"statusCode": 404, "body": "b"}, "b", id="404"),
        pytest.param({"statusCode": 200, "body": ""}, "", id="empty-body"),
        pytest.param({"statusCode": 200, "body": "x" * 100_000}, "x" * 100_000, id="large"),
    ],
)
async def test_two_way_route_sends_the_body(
    world: World, result: dict[str, object], expected: str
) -> None:
    """With a route response the client gets the body, whatever the status."""
    world.deploy(DEFAULT)
    world.answer("echo", InvokeResult(payload=json.dumps(result).encode()))

    async with world.connect() as client:
        assert await ask(client, "hello") == expected


async def test_large_reply_is_split_into_frames(world: World) -> None:
    """A reply above 32 KB travels in frames of at most 32 KB."""
    world.deploy(DEFAULT)
    world.answer("echo", returned({"statusCode": 200, "body": "x" * 70_000}))

    async with RawClient.connect(world) as client:
        client.send(frame(TEXT, b"go"))
        frames = [await client.receive() for _ in range(3)]

    assert [(f.opcode, len(f.payload), f.is_final) for f in frames] == [
        (1, 32768, False),
        (0, 32768, False),
        (0, 4464, True),
    ]


# Error frames


async def test_message_without_route_gets_the_forbidden_frame(world: World) -> None:
    """No match and no $default gives the frame of rule 5.44 byte for byte; the socket stays."""
    world.deploy(route("join", "echo", is_two_way=True))

    async with world.connect() as client:
        got = await ask(client, "hello")

        (connection_id,) = world.connection_ids()
        assert got == error_frame("Forbidden", connection_id, "000000000000005=")
        assert world.calls() == []
        assert await ask(client, '{"action":"join"}') == '{"action":"join"}'


@pytest.mark.parametrize("is_two_way", [True, False])
@pytest.mark.parametrize(
    "result",
    [
        pytest.param(raised("boom"), id="raises"),
        pytest.param(raised("boom", FailureKind.UNHANDLED), id="dies"),
        pytest.param(raised("boom", FailureKind.TIMEOUT), id="exceeds-its-own-timeout"),
        pytest.param(returned(None), id="nothing"),
        pytest.param(returned({"statusCode": 200, "body": 1}), id="body-no-text"),
    ],
)
async def test_failing_function_gives_the_error_frame(
    world: World, result: InvokeResult, *, is_two_way: bool
) -> None:
    """A failure is told also on one-way routes, without its text, and the socket stays open."""
    world.deploy(route("fail", "fail", is_two_way=is_two_way), DEFAULT)
    world.answer("fail", result)

    async with world.connect() as client:
        got = await ask(client, '{"action":"fail"}')

        (event,) = world.calls("fail")
        context = event["requestContext"]
        assert got == error_frame(
            "Internal server error", context["connectionId"], context["requestId"]
        )
        assert await ask(client, "next") == "next"


async def test_slow_function_gives_the_timeout_frame(world: World) -> None:
    """When the integration's time is over the client gets the timeout frame."""
    world.deploy(route("slow", "slow"), DEFAULT)
    world.answer("slow", timed_out)

    async with world.connect() as client:
        got = await ask(client, '{"action":"slow"}')

        context = world.calls("slow")[0]["requestContext"]
        assert got == error_frame(
            "Endpoint request timed out", context["connectionId"], context["requestId"]
        )
        assert await ask(client, "next") == "next"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(route("it", "forbidden"), id="not-permitted"),
        pytest.param(route("it", "nosuchfunction"), id="no-such-function"),
        pytest.param(route("it"), id="no-integration"),
        pytest.param(
            route("it", integration=proxy("echo", integration_type=IntegrationType.HTTP)),
            id="other-integration-type",
        ),
    ],
)
async def test_route_that_cannot_be_called_gives_the_error_frame(
    world: World, broken: Route
) -> None:
    """What API Gateway may not or cannot call here is told, and nothing runs."""
    world.deploy(broken, DEFAULT)
    world.answer("forbidden", returned({"statusCode": 200}))
    world.permits.forbidden = {"forbidden"}

    async with world.connect() as client:
        got = await ask(client, '{"action":"it"}')

        assert json.loads(got)["message"] == "Internal server error"
        assert world.calls("forbidden") == world.calls("echo") == []
        assert world.summaries(Step.INVOKED) == []
        assert await ask(client, "next") == "next"


async def test_unexpected_error_gives_the_error_frame_and_one_log_entry(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of the engine is told generically; the connection stays open."""

    def broken(payload: bytes) -> InvokeResult:
        raise KeyError("defect")

    world.deploy(route("it", "broken"), DEFAULT)
    world.answer("broken", broken)

    async with world.connect() as client:
        got = await ask(client, '{"action":"it"}')

        assert json.loads(got)["message"] == "Internal server error"
        assert json.loads(got)["connectionId"] == world.connection_ids()[0]
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert await ask(client, "next") == "next"


# What is deployed now


async def test_redeployment_is_visible_to_open_connections(world: World) -> None:
    """A message meets the routes of the stage's present deployment."""
    world.deploy(route("join", "echo", is_two_way=True))

    async with world.connect() as client:
        before = await ask(client, '{"action":"new"}')
        world.deploy(route("new", "echo", is_two_way=True), deployment_id="dep002")
        after = await ask(client, '{"action":"new"}')
        removed = await ask(client, '{"action":"join"}')

    assert json.loads(before)["message"] == "Forbidden"
    assert after == '{"action":"new"}'
    assert json.loads(removed)["message"] == "Forbidden"


async def test_removed_authorizer_does_not_touch_open_connections(world: World) -> None:
    """Only $connect is authorised; what comes later is not asked again."""
    world.deploy_echo()

    async with world.connect() as client:
        world.permits.forbidden = {"connect", "authorizer"}

        assert await ask(client, "hello") == "hello"


async def test_stage_variables_act_at_once(world: World) -> None:
    """A changed stage variable is in the next message's event."""
    world.deploy(DEFAULT, variables={"colour": "red"})

    async with world.connect() as client:
        await ask(client, "one")
        world.deploy(DEFAULT, variables={"colour": "blue"})
        await ask(client, "two")

    colours = [event["stageVariables"]["colour"] for event in world.calls("echo")]
    assert colours == ["red", "blue"]


# Overlap


async def test_messages_of_one_connection_overlap(world: World) -> None:
    """A quick answer passes a slow one."""
    slow = Hanging(returned({"statusCode": 200, "body": "slow"}))
    world.deploy(route("slow", "slow", is_two_way=True), DEFAULT)
    world.answer("slow", slow)

    async with world.connect() as client:
        await client.send('{"action":"slow"}')
        await eventually(lambda: slow.started == 1)
        first = await ask(client, "quick")
        slow.release()
        second = await soon(client.recv())

    assert (first, second) == ("quick", "slow")


async def test_flood_waits_and_holds_up_nobody_else(world: World) -> None:
    """Beyond the bound messages of one connection wait in the socket, and others go on."""
    hanging = Hanging()
    world.deploy(route("hang", "hang"), DEFAULT)
    world.answer("hang", hanging)
    flood = frame(TEXT, b'{"action":"hang", "pad":"' + b"x" * 16_000 + b'"}')

    async with RawClient.connect(world) as flooding, world.connect() as other:
        for _ in range(16):
            flooding.send(flood * 64)
        await eventually(lambda: hanging.started == MESSAGES_AT_ONCE)
        for number in range(20):
            assert await ask(other, str(number)) == str(number)
        stuck = flooding.writer.transport.get_write_buffer_size()

        assert hanging.started == MESSAGES_AT_ONCE
        assert stuck > 1_000_000

        world.answer("hang", returned({"statusCode": 200}))
        hanging.release()
        async with asyncio.timeout(60):
            await flooding.writer.drain()
            while len(world.calls("hang")) < 1024:  # noqa: ASYNC110 - polls, to a deadline
                await asyncio.sleep(0.01)


async def test_messages_in_flight_run_on_after_the_client_left(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A function that answers a closed connection disturbs nobody."""
    hanging = Hanging(returned({"statusCode": 200, "body": "late"}))
    world.deploy(route("hang", "hang", is_two_way=True), route("$disconnect", "disconnect"))
    world.answer("hang", hanging)

    async with world.connect() as client:
        await client.send('{"action":"hang"}')
        await eventually(lambda: hanging.started == 1)
    await eventually(lambda: len(world.disconnects()) == 1)
    hanging.release()
    await world.disconnected()

    assert complaints(caplog) == []


async def test_all_messages_before_a_close_are_taken(world: World) -> None:
    """A client that sends many messages and leaves at once has sent them."""
    world.deploy(DEFAULT, route("$disconnect", "disconnect"))

    async with world.connect() as client:
        for number in range(500):
            await client.send(str(number))
    await world.disconnected()

    assert sorted(int(event["body"]) for event in world.calls("echo")) == list(range(500))


# Pings


async def test_ping_is_answered_and_reaches_no_route(world: World) -> None:
    """A client's ping comes back as a pong with the same bytes."""
    world.deploy(DEFAULT)

    async with RawClient.connect(world) as client:
        client.send(frame(PING, b"abc") + frame(PONG, b"unasked") + frame(PING))
        first, second = await client.receive(), await client.receive()
        client.send(frame(TEXT, b"hello"))

        assert [(f.opcode, f.payload) for f in (first, second)] == [(PONG, b"abc"), (PONG, b"")]
        assert (await client.receive()).payload == b"hello"
        assert len(world.calls()) == 1


async def test_ping_between_fragments_is_answered_before_the_message(world: World) -> None:
    """Control frames may stand between the frames of a message."""
    world.deploy(DEFAULT)

    async with RawClient.connect(world) as client:
        client.send(frame(TEXT, b"hel", is_final=False) + frame(PING, b"?"))
        pong = await client.receive()
        client.send(frame(0, b"lo"))
        message = await client.receive()

    assert (pong.opcode, pong.payload) == (PONG, b"?")
    assert message.payload == b"hello"
