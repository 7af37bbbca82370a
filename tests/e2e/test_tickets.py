"""The example with ``ConnectTickets=true``, through its sockets, with its own roles enforced."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from containers import system_of_target
from engine_world import eventually
from example_system import System
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as socket_of

from functions.authorizer.tickets import Ticket, TicketTable

_SECONDS = 20
_AT_ONCE = 8


@pytest.fixture(scope="module")
def ticketed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The example system with tickets, on an engine that enforces IAM."""
    system = system_of_target(tmp_path_factory.mktemp("tickets"))
    system = replace(system, environ={**system.environ, "SOCKETSTACK_IAM": "enforce"})
    try:
        system.up()
        with system.changed(ConnectTickets="true"):
            yield system
    finally:
        system.down()


def ticket(system: System, *arguments: str, user: str = "alice") -> str:
    """A ticket, by the kit's own command."""
    return system.run("webclient", "ticket", "--user", user, *arguments).stdout.strip()


def authorizer_lines(system: System) -> list[str]:
    """What the authorizer has logged so far."""
    client = system.client("logs")
    group = f"/aws/lambda/{system.stack_name}-authorizer"
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


async def status_of(system: System, query: str) -> int:
    """The status of one handshake."""
    try:
        async with connect(f"{system.websocket_url}{query}", proxy=system.proxy):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def told(system: System, reason: str) -> None:
    """Wait until the authorizer's log gives a reason."""

    def look() -> str | None:
        return next((line for line in authorizer_lines(system) if reason in line), None)

    await asyncio.to_thread(eventually, look)


async def test_ticket_opens_one_connection_for_its_user(ticketed: System) -> None:
    """The first handshake is the user of the ticket; the second with the same ticket gets 401."""
    text = ticket(ticketed, user="tina")

    async with connect(f"{ticketed.websocket_url}?token={text}", proxy=ticketed.proxy) as socket:
        await socket.send(json.dumps({"action": "send", "to": "user:tina", "message": "hello"}))
        frames = {str(await asyncio.wait_for(socket.recv(), _SECONDS)) for _ in range(2)}
        again = await status_of(ticketed, f"?token={text}")
    afterwards = await status_of(ticketed, f"?token={text}")

    assert {"from": "tina", "message": "hello"} in [json.loads(frame) for frame in frames]
    assert (again, afterwards) == (401, 401)
    await told(ticketed, "Refused: the ticket was used before.")
    assert not [line for line in authorizer_lines(ticketed) if text in line]
    if not ticketed.is_deployed:  # AWS has no trace of every step
        assert text not in ticketed.run("socketstack", "logs", "--no-follow").stdout


async def test_of_many_at_once_one_gets_in(ticketed: System) -> None:
    """Handshakes that race for one ticket: exactly one opens, the others get 401."""
    text = ticket(ticketed)

    statuses = await asyncio.gather(
        *(status_of(ticketed, f"?token={text}") for _ in range(_AT_ONCE))
    )

    assert sorted(statuses) == [101] + [401] * (_AT_ONCE - 1)


async def test_what_is_no_good_ticket_is_refused(ticketed: System) -> None:
    """Expired while its row is still there, unknown, malformed, or a token: 401 with the reason."""
    bad = {
        "the ticket has expired": ticket(ticketed, "--expires-in=-1"),
        "the ticket is unknown": "A" * 43,
        "has not the shape of a ticket": ticketed.token(),
    }

    statuses = {why: await status_of(ticketed, f"?token={text}") for why, text in bad.items()}

    assert statuses == dict.fromkeys(bad, 401)
    for reason in bad:
        await told(ticketed, reason)
    assert await status_of(ticketed, "") == 401


def test_table_holds_no_ticket_and_removes_rows(ticketed: System) -> None:
    """Only a hash is kept, and DynamoDB may remove the row when it has expired."""
    text = ticket(ticketed, user="hashed")
    client = ticketed.client("dynamodb")
    name = ticketed.outputs["TicketTableName"]

    items = client.scan(TableName=name)["Items"]
    to_live = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]

    assert [item for item in items if item["userId"]["S"] == "hashed"]
    assert text not in str(items)
    assert to_live == {"AttributeName": "expiresAt", "TimeToLiveStatus": "ENABLED"}


async def test_backend_issues_a_ticket_with_an_end_of_the_session(ticketed: System) -> None:
    """What a backend of one's own writes with the library is kept with the connection."""
    now = int(time.time())
    table = TicketTable(ticketed.client("dynamodb"), ticketed.outputs["TicketTableName"])
    text = table.issue(
        Ticket(user_id="ends", expires_at_seconds=now + 60, session_ends_at_seconds=now + 900)
    )

    async with connect(f"{ticketed.websocket_url}?token={text}", proxy=ticketed.proxy):
        rows = ticketed.client("dynamodb").scan(
            TableName=ticketed.outputs["TableName"], ConsistentRead=True
        )["Items"]

    (row,) = [row for row in rows if row["userId"]["S"] == "ends"]
    assert row["sessionEndsAt"]["N"] == str(now + 900)


def test_smoke_test_finds_it_right(ticketed: System) -> None:
    """What `make aws-deploy` tries at its end knows tickets, and that a used one is refused."""
    smoke = ticketed.run("webclient", "smoke")

    lines = [line.strip() for line in smoke.stdout.splitlines()[1:]]
    assert lines == [
        "ok  without a token: refused (401)",
        "ok  with a token that is none: refused (401)",
        "ok  with an expired ticket: refused (401)",
        "ok  with a token instead of a ticket: refused (401)",
        "ok  with a good token: connected",
        "ok  a message: echoed",
        "ok  a push: arrived",
        "ok  with a used ticket: refused (401)",
    ]


def test_page_gets_a_ticket_and_the_doctor_none_that_is_good(ticketed: System) -> None:
    """The page's server issues what the stack takes; several handshakes need more than one."""
    request = Request(
        f"{ticketed.web_url}/api/token",
        json.dumps({"userId": "page"}).encode(),
        {"Content-Type": "application/json"},
    )
    ticketed.renew_page()
    with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as answer:
        made = json.load(answer)
    told_to_people = ticketed.run("webclient", "where").stdout
    tokens = json.loads(ticketed.run("webclient", "tokens").stdout)

    with socket_of(f"{ticketed.websocket_url}?token={made['token']}", proxy=ticketed.proxy):
        pass
    assert len(made["token"]) == 43
    assert "then: make ticket)" in told_to_people
    assert list(tokens) == ["expired"]


def test_authorizer_may_do_nothing_else_with_the_table(ticketed: System) -> None:
    """The role has UpdateItem on the ticket table, its logs, and no key that it does not need."""
    iam = ticketed.client("iam")
    functions = ticketed.client("lambda")
    name = f"{ticketed.stack_name}-authorizer"
    arn = functions.get_function_configuration(FunctionName=name)["Role"]
    role = arn.rpartition("/")[2]

    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName="tickets")["PolicyDocument"]

    assert sorted(names) == ["logs", "tickets"]
    (statement,) = policy["Statement"]
    assert statement["Action"] == "dynamodb:UpdateItem"
    assert statement["Resource"].endswith(f":table/{ticketed.outputs['TicketTableName']}")
