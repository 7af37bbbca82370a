"""What stages log about handshakes, messages and goodbyes of real sockets."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dataplane_world import (
    ACCOUNT,
    API,
    OK,
    REGION,
    STAGE,
    World,
    allowed,
    eventually,
    guarded_connect,
    raised,
    returned,
    route,
    running,
    timed_out,
)

from socketstack.core.model import (
    AccessLogging,
    ExecutionLogging,
    LogDestination,
    LoggingLevel,
    StageLogging,
    Throttle,
)
from socketstack.trace import Step

CLOSED = Throttle(rate_per_second=0, burst=0)
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:access"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.secret"
FORM = {
    name: f"$context.{name}"
    for name in (
        *("eventType", "routeKey", "status", "connectionId", "requestId", "messageId"),
        *("authorizer.status", "authorizer.error", "authorizer.latency", "authorize.error"),
        *("authorizer.principalId", "authorizer.plan", "authorizer.requestId"),
        *("integration.status", "integration.integrationStatus", "integration.error"),
        *("error.message", "error.responseType", "identity.sourceIp"),
    )
}


def access_logging(layout: str = json.dumps(FORM)) -> StageLogging:
    """A stage with an access log."""
    return StageLogging(access=AccessLogging(GROUP, layout))


def execution_logging(level: LoggingLevel, **routes: LoggingLevel) -> StageLogging:
    """A stage with an execution log; ``routes`` have levels of their own."""
    return StageLogging(
        execution={
            "": ExecutionLogging(level=level, data_trace=True),
            **{key: ExecutionLogging(level=each) for key, each in routes.items()},
        }
    )


def known(line: str) -> dict[str, str]:
    """The variables of an access log line that have a value."""
    found: dict[str, str] = json.loads(line)
    return {name: value for name, value in found.items() if value != "-"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane of its own."""
    async with running(tmp_path) as made:
        yield made


async def logged(world: World, count: int) -> None:
    """Wait until the access log has so many lines, and no more."""
    await eventually(lambda: len(world.logs.access) >= count)
    assert len(world.logs.access) == count


async def ended(world: World, count: int) -> list[dict[str, str]]:
    """The access log, when it has so many lines."""
    await logged(world, count)
    return [known(line) for line in world.logs.access]


async def test_each_event_is_one_line(world: World) -> None:
    """CONNECT, MESSAGE and DISCONNECT of one socket are one access log line each. Rule 9.05."""
    world.deploy_echo(logging=access_logging())

    async with world.connect() as client:
        await client.send("hello")
        await client.recv()
    lines = await ended(world, 3)

    connection_id = lines[0]["connectionId"]
    assert [
        (each["eventType"], each["routeKey"], each["status"], each["connectionId"])
        for each in lines
    ] == [
        ("CONNECT", "$connect", "200", connection_id),
        ("MESSAGE", "$default", "200", connection_id),
        ("DISCONNECT", "$disconnect", "200", connection_id),
    ]
    assert ["messageId" in each for each in lines] == [False, True, False]
    assert len({each["requestId"] for each in lines}) == 3
    assert {each.access_arn for each in world.logs.destinations} == {GROUP}
    assert world.logs.execution == []


async def test_goodbye_without_route_is_logged(world: World) -> None:
    """A connection that ends is logged although no ``$disconnect`` route runs. Rule 9.05."""
    world.deploy(route("$default", "echo"), logging=access_logging())

    async with world.connect():
        pass
    lines = await ended(world, 2)

    assert [each["eventType"] for each in lines] == ["CONNECT", "DISCONNECT"]
    assert world.calls() == []


async def test_stage_without_logs_writes_nothing(world: World) -> None:
    """A stage that logs nothing reaches no log at all. Rule 9.07."""
    world.deploy_echo()

    async with world.connect() as client:
        await client.send("hello")
        await client.recv()
    await world.disconnected()

    assert world.logs.destinations == []


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        pytest.param(
            f"/{STAGE}",
            allowed(),
            {
                "status": "401",
                "error.message": "Unauthorized",
                "error.responseType": "UNAUTHORIZED",
            },
            id="token-missing",
        ),
        pytest.param(
            f"/{STAGE}?token={TOKEN}",
            raised("Unauthorized"),
            {
                "status": "401",
                "authorizer.status": "401",
                "authorizer.error": "Unauthorized",
                "authorizer.latency": "0",
                "error.message": "Unauthorized",
                "error.responseType": "UNAUTHORIZED",
            },
            id="token-refused",
        ),
        pytest.param(
            f"/{STAGE}?token={TOKEN}",
            allowed(effect="Deny"),
            {
                "status": "403",
                "authorizer.status": "200",
                "authorizer.latency": "0",
                "authorize.error": "The client is not authorized to perform this operation.",
                "error.message": "Forbidden",
                "error.responseType": "ACCESS_DENIED",
            },
            id="policy-denies",
        ),
        pytest.param(
            f"/{STAGE}?token={TOKEN}",
            raised("no key to verify with"),
            {
                "status": "500",
                "authorizer.status": "500",
                "authorizer.error": "no key to verify with",
                "authorizer.latency": "0",
                "error.message": "Internal server error",
                "error.responseType": "AUTHORIZER_FAILURE",
            },
            id="authorizer-fails",
        ),
        pytest.param(
            f"/{STAGE}?token={TOKEN}",
            timed_out,
            {
                "status": "500",
                "authorizer.status": "500",
                "authorizer.error": ("The authorizer did not answer within 29000 ms. [2.16]"),
                "authorizer.latency": "0",
                "error.message": "Internal server error",
                "error.responseType": "AUTHORIZER_CONFIGURATION_ERROR",
            },
            id="authorizer-is-late",
        ),
    ],
)
async def test_refused_handshake_says_why(
    world: World, path: str, answer: Any, expected: dict[str, str]
) -> None:
    """A refused handshake is logged with its authorizer's error; no socket opens. Rule 9.02."""
    world.answer("authorizer", answer)
    world.deploy(guarded_connect("route.request.querystring.token"), logging=access_logging())

    refusal = await world.refused(path)
    (line,) = await ended(world, 1)

    assert str(refusal.status) == expected["status"]
    every = {"eventType", "routeKey", "connectionId", "requestId", "identity.sourceIp"}
    assert {name: value for name, value in line.items() if name not in every} == expected
    assert world.calls("connect") == []
    assert world.connection_ids() == []


async def test_authorizer_context_is_logged_for_every_event(world: World) -> None:
    """What the authorizer returned stands in the lines of the connection's whole life."""
    world.answer("authorizer", allowed(context={"plan": "gold"}))
    world.deploy(
        guarded_connect("route.request.querystring.token"),
        route("$default", "echo", is_two_way=True),
        logging=access_logging(),
    )

    async with world.connect(f"/{STAGE}?token={TOKEN}") as client:
        await client.send("hello")
        await client.recv()
    lines = await ended(world, 3)

    assert [each["authorizer.principalId"] for each in lines] == ["alice"] * 3
    assert [each["authorizer.plan"] for each in lines] == ["gold"] * 3
    assert ["authorizer.status" in each for each in lines] == [True, False, False]


async def test_failing_function_that_quotes_the_token_does_not_leak_it(world: World) -> None:
    """An error that repeats the token is logged without it, in both logs and on the trace."""
    world.answer("authorizer", raised(f"cannot read {TOKEN}"))
    logging = StageLogging(
        access=AccessLogging(GROUP, json.dumps(FORM)),
        execution={"": ExecutionLogging(level=LoggingLevel.INFO, data_trace=True)},
    )
    world.deploy(guarded_connect("route.request.querystring.token"), logging=logging)

    await world.refused(f"/{STAGE}?token={TOKEN}")
    (line,) = await ended(world, 1)

    assert line["authorizer.error"].startswith("cannot read …")
    assert TOKEN not in "\n".join([*world.logs.access, *world.logs.execution, world.told()])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            returned({"statusCode": 404, "body": "no"}),
            {
                "status": "404",
                "integration.status": "404",
                "integration.integrationStatus": "200",
            },
            id="own-status",
        ),
        pytest.param(
            raised("boom"),
            {
                "status": "502",
                "integration.integrationStatus": "200",
                "integration.error": (
                    "Lambda execution failed with status 200 due to customer function error: boom. "
                    "Lambda request id: "
                ),
                "error.message": "Internal server error",
                "error.responseType": "INTEGRATION_FAILURE",
            },
            id="function-fails",
        ),
        pytest.param(
            returned("no object"),
            {
                "status": "502",
                "integration.integrationStatus": "200",
                "integration.error": (
                    "Execution failed due to configuration error: Malformed Lambda proxy response"
                ),
                "error.message": "Internal server error",
                "error.responseType": "INTEGRATION_FAILURE",
            },
            id="malformed",
        ),
        pytest.param(
            timed_out,
            {
                "status": "504",
                "integration.error": "Execution failed due to a timeout error",
                "error.message": "Endpoint request timed out",
                "error.responseType": "INTEGRATION_TIMEOUT",
            },
            id="late",
        ),
    ],
)
async def test_message_says_what_became_of_it(
    world: World, answer: Any, expected: dict[str, str]
) -> None:
    """A message's line has the function's status, Lambda's, and the error. Rules 9.02, 9.03."""
    world.deploy_echo(logging=access_logging())
    world.answer("echo", answer)

    async with world.connect() as client:
        await client.send("hello")
        await client.recv()
        line = (await ended(world, 2))[1]

    every = {"eventType", "routeKey", "connectionId", "requestId", "messageId"}
    every |= {"identity.sourceIp"}
    assert {name: value for name, value in line.items() if name not in every} == expected


async def test_message_that_no_route_takes_is_logged(world: World) -> None:
    """A message without a route is a 403 in the log, and nothing is called."""
    world.deploy(route("$connect", "connect"), logging=access_logging())

    async with world.connect() as client:
        await client.send("hello")
        await client.recv()
        line = (await ended(world, 2))[1]

    assert (line["status"], line["error.message"]) == ("403", "Forbidden")
    assert "routeKey" not in line
    assert world.calls("echo") == []


async def test_failed_goodbye_shows(world: World) -> None:
    """A ``$disconnect`` function that fails has no effect, but its line says so. Rule 8.19."""
    world.deploy_echo(logging=access_logging())
    world.answer("disconnect", raised("boom"))

    async with world.connect():
        pass
    line = (await ended(world, 2))[1]

    assert line["eventType"] == "DISCONNECT"
    assert line["status"] == "502"
    assert "customer function error: boom" in line["integration.error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/other", 403, id="unknown-stage"),
        pytest.param(f"/{STAGE}?token={'x' * 8130}", 414, id="long-url"),
    ],
)
async def test_what_reaches_no_stage_is_not_logged(world: World, path: str, status: int) -> None:
    """A handshake that ends before its stage is known leaves no line. Rule 9.12."""
    world.deploy_echo(logging=access_logging())

    refusal = await world.refused(path)

    assert refusal.status == status
    assert world.logs.destinations == []
    assert world.calls() == []


async def test_settings_act_at_once_on_open_sockets(world: World) -> None:
    """A log that is switched on writes the next message of a socket that is open already."""
    world.deploy_echo()

    async with world.connect() as client:
        await client.send("before")
        await client.recv()
        world.deploy_echo(logging=access_logging())
        await client.send("after")
        await client.recv()
        lines = await ended(world, 1)

    assert lines[0]["eventType"] == "MESSAGE"


async def test_lost_lines_are_told_once_for_each_reason(world: World) -> None:
    """Lines that cannot be delivered are told on the trace once, and again later."""
    world.deploy_echo(logging=access_logging("$context.requestId"))
    world.logs.problem = "there is no log group access"

    async with world.connect() as client:
        for problem in ("there is no log group access", "", "there is no log group access"):
            world.logs.problem = problem
            await client.send("hello")
            await client.recv()
            await client.send("hello")
            await client.recv()

    assert world.summaries(Step.WARNING)[:2] == ["there is no log group access"] * 2
    assert len(world.logs.access) == 2


async def test_unknown_variable_is_warned_of_once(world: World) -> None:
    """A variable that WebSocket APIs do not have is a hyphen in the line and one warning."""
    world.deploy_echo(logging=access_logging("$context.requestId $context.httpMethod"))

    async with world.connect() as client:
        await client.send("hello")
        await client.recv()
    await logged(world, 3)

    assert {line.split(" ")[1] for line in world.logs.access} == {"-"}
    (warning,) = world.summaries(Step.WARNING)
    assert "$context.httpMethod" in warning


async def test_execution_log_follows_the_level_of_each_route(world: World) -> None:
    """A route's own level stands alone: it logs nothing while all others do. Rules 1.100, 9.07."""
    logging = execution_logging(LoggingLevel.INFO, **{"$default": LoggingLevel.OFF})
    world.deploy_echo(logging=logging)

    async with world.connect() as client:
        await client.send("hello")
        await client.recv()
    await world.disconnected()
    await eventually(lambda: any("disconnected" in line for line in world.logs.execution))

    told = "\n".join(world.logs.execution)
    assert "is connecting to WebSocket API" in told
    assert "received message from client" not in told
    assert set(world.logs.destinations) == {
        LogDestination(account_id=ACCOUNT, region=REGION, api_id=API, stage_name=STAGE)
    }
    assert world.logs.access == []


async def test_execution_log_has_the_payloads(world: World) -> None:
    """With data trace the execution log has what went to the function and came back. Rule 9.07."""
    world.deploy_echo(logging=execution_logging(LoggingLevel.INFO))

    async with world.connect() as client:
        await client.send("a message")
        await client.recv()
        await eventually(lambda: any("sent to API" in line for line in world.logs.execution))

    bodies = [
        json.loads(line.partition(": ")[2])
        for line in world.logs.execution
        if "Endpoint request body" in line and "[TRUNCATED]" not in line
    ]
    answers = [line for line in world.logs.execution if "Endpoint response body" in line]
    assert [event["body"] for event in bodies if "body" in event] == ["a message"]
    assert any('{"statusCode": 200, "body": "a message"}' in answer for answer in answers)
    uri = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/arn:aws:lambda:"
    assert any(f"Sending request to {uri}" in line for line in world.logs.execution)


async def test_closed_route_is_an_error_with_its_reason(world: World) -> None:
    """At the level ERROR the reason of a refusal is there, and nothing else. Rule 9.07."""
    world.deploy_echo(logging=execution_logging(LoggingLevel.ERROR), throttles={"$connect": CLOSED})

    refusal = await world.refused()

    assert refusal.status == 429
    (line,) = world.logs.execution
    assert "Execution failed: " in line
    assert "throttling" in line.lower()
    assert world.calls() == []


async def test_backend_that_may_not_be_called_is_told(world: World) -> None:
    """A missing permission is named in the execution log; the function is not called."""
    world.deploy_echo(logging=execution_logging(LoggingLevel.ERROR))
    world.answer("connect", OK)
    world.permits.forbidden.add("echo")

    async with world.connect() as client:
        await client.send("hello")
        await client.recv()
        await eventually(lambda: bool(world.logs.execution))

    (line,) = world.logs.execution
    assert "Execution failed due to configuration error: API Gateway may not call" in line
    assert world.calls("echo") == []
