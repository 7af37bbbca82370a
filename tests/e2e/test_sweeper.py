"""The example with ``EnforceTokenExpiry=true``: silent connections end with their token.

Its own roles are enforced, so each test also shows that the sweeper's role is enough.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from containers import system_of_target
from engine_world import eventually
from example_system import System
from websockets.asyncio.client import ClientConnection, connect

_SECONDS = 20
_RESERVED = {"SweeperConcurrency": "2", "MessagesConcurrency": "3"}
"""Two sweeps: that of a test and that of the rule may meet."""
_RULE_SECONDS = 150
"""A rule of one minute fires within that, and then the function has to start."""
_SHORT_SECONDS = "8"
"""Enough for a handshake on a busy machine; the first one, which starts functions, lasts longer."""


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The example system whose sessions end with their token, on an engine that enforces IAM."""
    system = system_of_target(tmp_path_factory.mktemp("sweeper"))
    system = replace(system, environ={**system.environ, "SOCKETSTACK_IAM": "enforce"})
    try:
        system.up()
        # An account on AWS may have nothing to reserve.
        held = {} if system.is_deployed else _RESERVED
        with system.changed(EnforceTokenExpiry="true", **held):
            yield system
    finally:
        system.down()


@pytest.fixture
async def sockets() -> AsyncIterator[AsyncExitStack]:
    """Keeps sockets open until the test ends."""
    async with AsyncExitStack() as stack:
        yield stack


def rows(system: System) -> dict[str, dict[str, Any]]:
    """The connection table, by user."""
    items = system.client("dynamodb").scan(TableName=system.outputs["TableName"])["Items"]
    return {item["userId"]["S"]: item for item in items}


def resources(system: System) -> set[tuple[str, str]]:
    """The stack's resources: type, and name in the template."""
    pages = system.client("cloudformation").get_paginator("list_stack_resources")
    return {
        (each["ResourceType"], each["LogicalResourceId"])
        for page in pages.paginate(StackName=system.stack_name)
        for each in page["StackResourceSummaries"]
    }


def sweep(system: System, kind: str = "RequestResponse") -> Any:
    """Call the sweeper; its answer, None for an event."""
    client = system.client("lambda")
    name = system.outputs["SweeperFunctionName"]
    answer = client.invoke(FunctionName=name, InvocationType=kind)
    text = answer["Payload"].read()
    assert "FunctionError" not in answer, text
    return json.loads(text) if text else None


async def opened(
    sockets: AsyncExitStack, system: System, user: str, seconds: str
) -> ClientConnection:
    """A socket whose session lasts that long."""

    def minted() -> str:
        made = system.run("webclient", "token", USER_ID=user, TOKEN_TTL_SECONDS=seconds)
        return made.stdout.strip()

    token = await asyncio.to_thread(minted)
    url = f"{system.websocket_url}?token={token}"
    return await sockets.enter_async_context(connect(url, proxy=None))


async def until(look: Callable[[], Any]) -> Any:
    """Wait in a thread until something is there, or true."""
    return await asyncio.to_thread(eventually, lambda: look() or None)


def has_ended(system: System, user: str) -> bool:
    """Whether the session of a user's row is over; without row, the rule was here first."""
    row = rows(system).get(user)
    return row is None or int(row["sessionEndsAt"]["N"]) <= time.time()


async def test_silent_socket_is_closed_and_the_other_stays(
    enforced: System, sockets: AsyncExitStack
) -> None:
    """A socket whose token has ended is closed without a message, its row goes; a second lasts."""
    long = await opened(sockets, enforced, "long", "900")
    short = await opened(sockets, enforced, "short", _SHORT_SECONDS)
    before = await asyncio.to_thread(rows, enforced)
    await until(lambda: has_ended(enforced, "short"))

    swept = await asyncio.to_thread(sweep, enforced)
    await asyncio.wait_for(short.wait_closed(), _SECONDS)
    await long.send('{"action": "echo"}')
    reply = await asyncio.wait_for(long.recv(), _SECONDS)
    after = await asyncio.to_thread(rows, enforced)

    assert {"short", "long"} <= set(before)
    assert swept["failed"] == 0
    assert json.loads(reply) == {"action": "echo"}
    assert "short" not in after
    assert after["long"] == before["long"]
    assert (await asyncio.to_thread(sweep, enforced))["closed"] == 0


@pytest.mark.timeout(300)
async def test_rule_sweeps_by_itself(enforced: System, sockets: AsyncExitStack) -> None:
    """Nobody calls the function but the rule; here a skip of a minute makes it due at once."""
    short = await opened(sockets, enforced, "ruled", _SHORT_SECONDS)
    await until(lambda: has_ended(enforced, "ruled"))
    if os.environ.get("TARGET", "embedded") in {"embedded", "docker"}:
        # AWS and LocalStack fire rules by the clock.
        await asyncio.to_thread(enforced.run, "socketstack", "skip", "1m")

    await asyncio.wait_for(short.wait_closed(), _RULE_SECONDS)

    await until(lambda: "ruled" not in rows(enforced))


async def test_sweep_that_fails_is_a_dead_letter(enforced: System, sockets: AsyncExitStack) -> None:
    """What cannot be closed fails the sweep, whose record is kept; the next sweep closes it."""
    iam, sqs = enforced.client("iam"), enforced.client("sqs")
    arn = enforced.client("lambda").get_function_configuration(
        FunctionName=enforced.outputs["SweeperFunctionName"]
    )["Role"]
    place = {"RoleName": arn.rpartition("/")[2], "PolicyName": "close"}
    policy = iam.get_role_policy(**place)["PolicyDocument"]
    iam.delete_role_policy(**place)
    try:
        short = await opened(sockets, enforced, "stuck", _SHORT_SECONDS)
        await until(lambda: has_ended(enforced, "stuck"))
        await asyncio.to_thread(sweep, enforced, "Event")
        url = enforced.outputs["DeadLetterQueueUrl"]
        letters = await until(
            lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages")
        )
        still = await asyncio.to_thread(rows, enforced)
    finally:
        iam.put_role_policy(**place, PolicyDocument=json.dumps(policy))
    await asyncio.to_thread(sweep, enforced)
    await asyncio.wait_for(short.wait_closed(), _SECONDS)

    record = json.loads(letters[0]["Body"])
    assert record["responsePayload"]["errorType"] == "NotClosedError"
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert "stuck" in still


def reserved(system: System, name: str) -> int | None:
    """How many calls of a function may run at once."""
    found = system.client("lambda").get_function_concurrency(
        FunctionName=f"{system.stack_name}-{name}"
    )
    kept: int | None = found.get("ReservedConcurrentExecutions")
    return kept


@pytest.mark.local("an account may have nothing to reserve")
def test_functions_are_held_to_a_number(enforced: System) -> None:
    """A function that is new has it, one that was there has it, another has none; 0 ends it."""
    found = {name: reserved(enforced, name) for name in ("sweeper", "messages", "connections")}
    with enforced.changed(MessagesConcurrency="0"):
        messages = reserved(enforced, "messages")

    assert found == {"sweeper": 2, "messages": 3, "connections": None}
    assert messages is None


def test_nothing_sweeps_without_ends_of_sessions(enforced: System) -> None:
    """With the parameter off, function, rule, queue and alarms go; the index stays, empty."""
    enforcing = resources(enforced)
    with enforced.changed(EnforceTokenExpiry="false"):
        others = resources(enforced)
        outputs = set(enforced.outputs)

    gone = enforcing - others
    assert others < enforcing
    assert {kind for kind, _name in gone} >= {
        "AWS::CloudWatch::Alarm",
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::SQS::Queue",
    }
    assert not {"AWS::Events::Rule", "AWS::SQS::Queue"} & {kind for kind, _name in others}
    assert sum(kind == "AWS::Lambda::Function" for kind, _name in others) == 3
    assert not outputs & {"SweeperFunctionName", "DeadLetterQueueUrl"}
