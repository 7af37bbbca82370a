"""The deployed example through its real endpoints: sockets, web server, management API."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import aiohttp
import jwt
import pytest
from example_system import System
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

_SECONDS = 20


@asynccontextmanager
async def session(system: System, token: str) -> AsyncIterator[ClientConnection]:
    """An open socket with a token."""
    async with connect(f"{system.websocket_url}?token={token}", proxy=system.proxy) as socket:
        yield socket


async def ask(socket: ClientConnection, message: object) -> Any:
    """Send one JSON message and wait for the next frame."""
    await socket.send(json.dumps(message))
    return json.loads(await asyncio.wait_for(socket.recv(), _SECONDS))


async def ask_until_closed(socket: ClientConnection, answers: list[Any]) -> None:
    """Send echo after echo, keep the answers, and raise when the socket closes."""
    while True:
        answers.append(await ask(socket, {"action": "echo"}))


async def refused(system: System, query: str) -> int:
    """The status with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as failure:
        async with connect(f"{system.websocket_url}{query}", proxy=system.proxy):
            pass
    return failure.value.response.status_code


async def push(system: System, body: object, **headers: str) -> tuple[int, Any]:
    """POST /api/push."""
    with_rights = {**await asyncio.to_thread(lambda: system.web_headers), **headers}
    async with (
        aiohttp.ClientSession() as web,
        web.post(f"{system.web_url}/api/push", json=body, headers=with_rights) as answer,
    ):
        return answer.status, await answer.json()


async def until(condition: Callable[[], Any]) -> Any:
    """Ask until the answer is true, to a deadline; the wait is a socket's, not ours."""
    deadline = asyncio.get_running_loop().time() + _SECONDS
    while asyncio.get_running_loop().time() < deadline:
        found = await asyncio.to_thread(condition)
        if found:
            return found
    pytest.fail("the condition did not come true in time")


def rows_of(system: System, user: str) -> list[dict[str, Any]]:
    """The rows of a user's connections."""
    client = system.client("dynamodb")
    table = system.outputs["TableName"]
    items: list[dict[str, Any]] = client.scan(TableName=table, ConsistentRead=True)["Items"]
    return [item for item in items if item["userId"]["S"] == user]


async def known(system: System, user: str, count: int = 1) -> None:
    """Wait until the index by user has so many connections: on AWS it follows the table."""
    client, table = system.client("dynamodb"), system.outputs["TableName"]

    def look() -> bool:
        found = client.query(
            TableName=table,
            IndexName="byUser",
            KeyConditionExpression="userId = :user",
            ExpressionAttributeValues={":user": {"S": user}},
        )
        return bool(found["Count"] == count)

    await until(look)


def secret_key(system: System) -> str:
    """The key that tokens are signed with."""
    client = system.client("secretsmanager")
    key: str = client.get_secret_value(SecretId=system.outputs["TokenSecretArn"])["SecretString"]
    return key


def claims(system: System, **changes: object) -> dict[str, object]:
    """The claims of a good token, with some changed; None leaves one out."""
    now = time.time()
    good = {
        "sub": "mallory",
        "iss": system.outputs["TokenIssuer"],
        "aud": system.outputs["TokenAudience"],
        "iat": int(now),
        "exp": int(now) + 60,
    }
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def authorizer_calls(system: System) -> int:
    """How often the authorizer function ran, by its log."""
    client = system.client("logs")
    group = f"/aws/lambda/{system.stack_name}-authorizer"
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern="START"
    )
    return sum(1 for page in pages for event in page["events"] if "START" in event["message"])


_WITHOUT_TOKEN = ("", "?token=", "?Token=abc")


async def test_no_token_is_refused(system: System) -> None:
    """A missing or empty identity source, or another query parameter, gives 401."""
    statuses = [await refused(system, query) for query in _WITHOUT_TOKEN]

    assert statuses == [401, 401, 401]


@pytest.mark.local("log lines of earlier calls arrive late on AWS, so that a count proves nothing")
async def test_no_token_is_refused_without_calling_the_authorizer(system: System) -> None:
    """Where there is no token the function's log does not grow."""
    before = authorizer_calls(system)

    for query in _WITHOUT_TOKEN:
        await refused(system, query)

    assert authorizer_calls(system) == before


async def test_bad_tokens_are_refused(system: System) -> None:
    """Junk, expired, unsigned, wrongly signed or addressed tokens: 401, and no row is kept."""
    key = secret_key(system)
    now = claims(system)["iat"]
    assert isinstance(now, int)
    tokens = {
        "junk": "junk",
        "expired": jwt.encode(claims(system, exp=now - 1), key, "HS256"),
        "without expiry": jwt.encode(claims(system, exp=None), key, "HS256"),
        "wrong key": jwt.encode(claims(system), "x" * 64, "HS256"),
        "wrong audience": jwt.encode(claims(system, aud="other"), key, "HS256"),
        "wrong issuer": jwt.encode(claims(system, iss="other"), key, "HS256"),
        "alg none": jwt.encode(claims(system), "", "none"),
        "another algorithm": jwt.encode(claims(system), key, "HS512"),
    }

    statuses = {name: await refused(system, f"?token={token}") for name, token in tokens.items()}

    assert statuses == dict.fromkeys(tokens, 401)
    assert rows_of(system, "mallory") == []


async def test_good_token_connects_and_hears_its_echo(system: System) -> None:
    """What a client sends to echo and to no route at all comes back to it."""
    async with session(system, system.token()) as socket:
        echoed = await ask(socket, {"action": "echo", "message": "grüezi"})
        await socket.send("not json at all")
        fallback = await asyncio.wait_for(socket.recv(), _SECONDS)

    assert "grüezi" in json.dumps(echoed, ensure_ascii=False)
    assert "not json at all" in str(fallback)


async def test_row_lives_as_long_as_the_connection(system: System) -> None:
    """$connect writes the row with a time to live, $disconnect removes it."""
    user = f"row-{uuid.uuid4().hex[:8]}"

    async with session(system, system.token(user)) as socket:
        await ask(socket, {"action": "echo"})
        during = rows_of(system, user)
    await until(lambda: not rows_of(system, user))

    assert len(during) == 1
    assert int(during[0]["expiresAt"]["N"]) > int(during[0]["connectedAt"]["N"]) // 1000


async def test_one_user_sends_to_another(system: System) -> None:
    """The send route pushes to the other user's sockets and tells the sender how many."""
    bob = f"bob-{uuid.uuid4().hex[:8]}"
    async with (
        session(system, system.token()) as alice,
        session(system, system.token(bob)) as other,
    ):
        await known(system, bob)
        answer = await ask(alice, {"action": "send", "to": f"user:{bob}", "message": "hello bob"})
        received = await asyncio.wait_for(other.recv(), _SECONDS)

    assert "hello bob" in str(received)
    assert '"sent": 1' in json.dumps(answer)


async def test_push_reaches_one_connection_one_user_or_all(system: System) -> None:
    """POST /api/push forwards through the management API and answers with counts."""
    user = f"push-{uuid.uuid4().hex[:8]}"
    async with (
        session(system, system.token(user)) as one,
        session(system, system.token(user)) as two,
    ):
        await known(system, user, 2)
        to_user = await push(system, {"message": "m-user", "to": f"user:{user}"})
        seen = [await asyncio.wait_for(socket.recv(), _SECONDS) for socket in (one, two)]
        connection_id = rows_of(system, user)[0]["connectionId"]["S"]
        to_one = await push(system, {"message": "m-one", "to": f"connection:{connection_id}"})
        to_all = await push(system, {"message": "m-all", "to": "all"})
        everything = {await asyncio.wait_for(socket.recv(), _SECONDS) for socket in (one, two)}

    assert to_user[0] == to_one[0] == to_all[0] == 200
    assert to_user[1]["sent"] == 2
    assert to_one[1]["sent"] == 1
    assert all("m-user" in str(frame) for frame in seen)
    assert any("m-one" in str(frame) for frame in everything)
    assert any("m-all" in str(frame) for frame in everything)


async def test_push_to_nobody_bad_input_and_foreign_pages_are_refused(system: System) -> None:
    """404 for an absent user, 400 with a reason, 403 for a foreign Origin; nobody gets a frame."""
    async with session(system, system.token("witness")) as witness:
        absent = await push(system, {"message": "x", "to": "user:nobody-here"})
        bad = await push(system, {"message": "x", "to": "everyone"})
        foreign = await push(system, {"message": "x", "to": "all"}, Origin="https://evil.example")
        echoed = await ask(witness, {"action": "echo", "message": "only this"})

    assert [absent[0], bad[0], foreign[0]] == [404, 400, 403]
    assert "only this" in json.dumps(echoed)


async def test_stale_row_is_removed_on_410(system: System) -> None:
    """A row whose connection is gone is deleted by the push that finds out."""
    client, table = system.client("dynamodb"), system.outputs["TableName"]
    user = f"stale-{uuid.uuid4().hex[:8]}"
    async with session(system, system.token(user)) as socket:
        await ask(socket, {"action": "echo"})
        (row,) = rows_of(system, user)
    await until(lambda: not rows_of(system, user))
    client.put_item(TableName=table, Item=row)

    status, _answer = await push(
        system, {"message": "x", "to": f"connection:{row['connectionId']['S']}"}
    )

    assert status == 410
    assert rows_of(system, user) == []


async def test_management_api_answers_boto3(system: System) -> None:
    """boto3 posts to, looks at and deletes a connection; afterwards it is gone."""
    manage = system.client(
        "apigatewaymanagementapi",
        endpoint_url=system.connections_url,
    )
    user = f"boto-{uuid.uuid4().hex[:8]}"
    async with session(system, system.token(user)) as socket:
        await ask(socket, {"action": "echo"})
        (row,) = rows_of(system, user)
        connection = row["connectionId"]["S"]
        await asyncio.to_thread(manage.post_to_connection, ConnectionId=connection, Data=b"direct")
        received = await asyncio.wait_for(socket.recv(), _SECONDS)
        seen = await asyncio.to_thread(manage.get_connection, ConnectionId=connection)
        await asyncio.to_thread(manage.delete_connection, ConnectionId=connection)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), _SECONDS)

    assert received == "direct"
    # Locally a container's network, or ours; AWS sees where we leave the network of ours.
    assert ip_address(seen["Identity"]["SourceIp"]).is_private or system.is_deployed
    with pytest.raises(manage.exceptions.GoneException):
        await asyncio.to_thread(manage.post_to_connection, ConnectionId=connection, Data=b"late")


@pytest.mark.local("code on AWS changes with a deployment")
async def test_saved_change_is_live_while_the_socket_stays_open(system: System) -> None:
    """The next message after a save runs the new code; so does the one after it is put back."""
    handler = system.folder / "functions" / "messages" / "handler.py"
    before = handler.read_text()
    changed = before + (
        "\n_old_handler = handler\n\n\ndef handler(event, context):\n"
        '    """Answer for everybody."""\n'
        '    return {"statusCode": 200, "body": "changed"}\n'
    )
    async with session(system, system.token()) as socket:
        first = await ask(socket, {"action": "echo", "message": "one"})
        handler.write_text(changed)
        await socket.send('{"action": "echo", "message": "two"}')
        second = await asyncio.wait_for(socket.recv(), _SECONDS)
        handler.write_text(before)
        third = await ask(socket, {"action": "echo", "message": "three"})

    assert "one" in json.dumps(first)
    assert second == "changed"
    assert "three" in json.dumps(third)


_FUNCTIONS = ("authorizer", "connections", "messages")


def lines(system: System, name: str) -> list[str]:
    """What a function has logged in the last minutes."""
    group = f"/aws/lambda/{system.stack_name}-{name}"
    pages = (
        system.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, startTime=int(time.time() - 600) * 1000)
    )
    return [event["message"] for page in pages for event in page["events"]]


async def test_what_functions_log_is_in_cloudwatch_and_has_no_token(system: System) -> None:
    """The log groups have START and REPORT lines, and the token in no line."""
    token = system.token("logged")
    async with session(system, token) as socket:
        await ask(socket, {"action": "echo", "message": "for the log"})

    def has(kind: str) -> bool:
        return any(line.startswith(f"{kind} RequestId: ") for line in lines(system, "messages"))

    await until(lambda: has("START") and has("REPORT"))
    texts = [line for name in _FUNCTIONS for line in lines(system, name)]

    assert not [line for line in texts if token in line]


@pytest.mark.local("AWS has no trace of every step")
async def test_trace_tells_of_the_connection_and_has_no_token(system: System) -> None:
    """`make logs` shows that somebody connected, and never with what."""
    token = system.token("traced")
    async with session(system, token) as socket:
        await ask(socket, {"action": "echo"})

    events = system.run("socketstack", "logs", "--no-follow").stdout

    assert "connected" in events
    assert token not in events


@pytest.mark.local("`make aws-deploy` deploys there; tests/e2e/test_aws_deploy.py does it twice")
def test_second_up_changes_nothing_and_keeps_what_runs(system: System) -> None:
    """Running it again updates what runs: the same engine, the same API."""
    api_id = system.outputs["ApiId"]

    printed = system.up()

    assert system.outputs["ApiId"] == api_id
    assert system.websocket_url in printed
    assert system.web_url in printed or "http://127.0.0.1" in printed


async def test_smoke_test_finds_the_system_right(system: System) -> None:
    """What `make aws-deploy` tries at its end: refusals, an echo and a push, and exit code 0."""
    done = await asyncio.to_thread(system.run, "webclient", "smoke")

    assert [line.strip() for line in done.stdout.splitlines()[1:]] == [
        "ok  without a token: refused (401)",
        "ok  with a token that is none: refused (401)",
        "ok  with a changed signature: refused (401)",
        "ok  with an expired token: refused (401)",
        "ok  with a token for others: refused (401)",
        "ok  with a good token: connected",
        "ok  a message: echoed",
        "ok  a push: arrived",
    ]
    assert "eyJ" not in done.stdout


async def test_kicked_user_is_disconnected_and_others_stay(system: System) -> None:
    """`kick` closes the sockets of one user; their rows go, and the other socket still answers."""
    user = f"kicked-{uuid.uuid4().hex[:8]}"
    async with (
        session(system, system.token(user)) as kicked,
        session(system, system.token("stays")) as other,
    ):
        await ask(kicked, {"action": "echo"})
        await known(system, user)
        done = await asyncio.to_thread(system.run, "webclient", "kick", f"--to=user:{user}")

        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(kicked.recv(), _SECONDS)
        assert done.stdout.strip() == "closed 1, gone 0, failed 0"
        assert await ask(other, {"action": "echo", "n": 1}) == {"action": "echo", "n": 1}


@pytest.fixture
def expiring(system: System) -> Iterator[System]:
    """The example whose sessions end with their token; afterwards they do as before."""
    with system.changed(EnforceTokenExpiry="true"):
        yield system


async def test_session_ends_when_its_token_expires_if_that_is_wanted(expiring: System) -> None:
    """With EnforceTokenExpiry the socket works until the token's end, and is closed after it."""
    lives = 15 if expiring.is_deployed else 4  # new functions of AWS take seconds to start
    short = expiring.run("webclient", "token", f"--expires-in={lives}").stdout.strip()

    async with session(expiring, short) as socket:
        answers = [await ask(socket, {"action": "echo"})]
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(ask_until_closed(socket, answers), lives + _SECONDS)

    assert answers[0] == {"action": "echo"}
    ended = int(jwt.decode(short, options={"verify_signature": False})["exp"])
    assert time.time() >= ended
    # The refusal may overtake the close, and mostly does not.
    assert {json.dumps(one) for one in answers if "error" not in one} == {'{"action": "echo"}'}
