"""The function that answers messages, with events as recorded on AWS."""

import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from connections_stub import ConnectionsStub

from functions.push.push import Connection, ConnectionTable

Load = Callable[[str], Any]
Rows = Callable[[], dict[str, Any]]


def event(route_key: str, body: str | None, **authorizer: object) -> dict[str, Any]:
    """A MESSAGE event; ``authorizer`` adds to the authorizer's context."""
    context = {
        "routeKey": route_key,
        "eventType": "MESSAGE",
        "messageId": "L0SN2dOFvHcCIhw=",
        "connectionId": "L0SM9cOFvHcCIhw=",
        "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
        "stage": "dev",
        "authorizer": {"principalId": "alice", "userId": "alice", **authorizer},
    }
    made = {"requestContext": context, "isBase64Encoded": False}
    return made if body is None else {**made, "body": body}


@pytest.fixture
def connected(
    table: str, stub: ConnectionsStub, monkeypatch: pytest.MonkeyPatch
) -> ConnectionTable:
    """Bob with two sockets, carol with one; posts go to the stub."""
    monkeypatch.setenv("CALLBACK_URL", stub.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    known = ConnectionTable(boto3.client("dynamodb"), table)
    for connection_id, user_id in (("b1", "bob"), ("b2", "bob"), ("c1", "carol")):
        known.put(
            Connection(
                connection_id=connection_id,
                user_id=user_id,
                domain_name="unused.example",
                stage="dev",
                connected_at_ms=int(time.time() * 1000),
            )
        )
    return known


@pytest.mark.parametrize("route_key", ["echo", "$default"])
@pytest.mark.parametrize("body", ['{"action":"echo","x":1}', "plain text", "grüezi 👋", ""])
def test_echo_and_default_answer_with_what_came(load: Load, route_key: str, body: str) -> None:
    """The route response carries the message back unchanged."""
    answer = load("messages").handler(event(route_key, body), None)

    assert answer == {"statusCode": 200, "body": body}


def test_message_without_body_is_answered_with_nothing(load: Load) -> None:
    """An event without a body is no error."""
    assert load("messages").handler(event("$default", None), None)["body"] == ""


def test_send_reaches_all_sockets_of_the_user(
    load: Load, connected: ConnectionTable, stub: ConnectionsStub
) -> None:
    """Recipients learn who wrote; the sender learns how many were reached."""
    body = json.dumps({"action": "send", "to": "user:bob", "message": {"text": "hi"}})

    answer = load("messages").handler(event("send", body), None)

    assert json.loads(answer["body"]) == {
        "action": "send",
        "to": "user:bob",
        "sent": 2,
        "gone": 0,
        "failed": 0,
    }
    assert sorted(connection_id for connection_id, _data in stub.posted) == ["b1", "b2"]
    assert {data for _id, data in stub.posted} == {b'{"from": "alice", "message": {"text": "hi"}}'}


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        pytest.param("all", {"b1", "b2", "c1"}, id="all"),
        pytest.param("connection:c1", {"c1"}, id="one-connection"),
        pytest.param("user:nobody", set(), id="absent-user"),
    ],
)
def test_send_target(
    load: Load, connected: ConnectionTable, stub: ConnectionsStub, to: str, reached: set[str]
) -> None:
    """A target reaches exactly the connections it names."""
    body = json.dumps({"action": "send", "to": to, "message": "hi"})

    answer = load("messages").handler(event("send", body), None)

    assert json.loads(answer["body"])["sent"] == len(reached)
    assert {connection_id for connection_id, _data in stub.posted} == reached


def test_send_tells_of_a_gone_connection_and_forgets_it(
    load: Load, connected: ConnectionTable, stub: ConnectionsStub, rows: Rows
) -> None:
    """A 410 is counted, and the recipient's row goes, not the sender's."""
    stub.lasting["b1"] = (410, "GoneException")
    body = json.dumps({"action": "send", "to": "user:bob", "message": "hi"})

    answer = load("messages").handler(event("send", body), None)

    assert json.loads(answer["body"]) == {
        "action": "send",
        "to": "user:bob",
        "sent": 1,
        "gone": 1,
        "failed": 0,
    }
    assert set(rows()) == {"b2", "c1"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param("not json", "BadJson", id="not-json"),
        pytest.param("[" * 100_000, "BadJson", id="too-deep"),
        pytest.param('["send"]', "BadRequest", id="not-an-object"),
        pytest.param('{"action":"send","to":"all"}', "BadRequest", id="no-message"),
        pytest.param('{"action":"send","message":"x"}', "BadTarget", id="no-target"),
        pytest.param('{"to":"everyone","message":"x"}', "BadTarget", id="bad-target"),
        pytest.param('{"to":["all"],"message":"x"}', "BadTarget", id="target-not-text"),
        pytest.param('{"to":"all","message":"\\ud800"}', "BadJson", id="half-a-character"),
        pytest.param(
            json.dumps({"to": "all", "message": "x" * 131_060}), "TooLarge", id="too-large"
        ),
    ],
)
def test_bad_send_is_answered_and_reaches_nobody(
    load: Load, connected: ConnectionTable, stub: ConnectionsStub, body: str, code: str
) -> None:
    """The sender gets a code and a reason; no recipient gets anything."""
    answer = load("messages").handler(event("send", body), None)

    assert answer["statusCode"] == 200
    error = json.loads(answer["body"])["error"]
    assert error["code"] == code
    assert error["message"]
    assert stub.calls == []


@pytest.mark.parametrize("route_key", ["send", "echo", "$default"])
@pytest.mark.parametrize(
    "ends_at", [1, "1", "soon", None], ids=["past", "text", "unreadable", "null"]
)
def test_message_of_an_ended_session_closes_it_and_does_nothing_else(
    load: Load, connected: ConnectionTable, stub: ConnectionsStub, route_key: str, ends_at: object
) -> None:
    """The sender is told why; nobody gets the message. An end that cannot be read is one."""
    known = connected
    known.put(
        Connection(
            connection_id="L0SM9cOFvHcCIhw=",
            user_id="alice",
            domain_name="unused.example",
            stage="dev",
            connected_at_ms=int(time.time() * 1000),
        )
    )
    body = json.dumps({"action": "send", "to": "all", "message": "hi"})

    answer = load("messages").handler(event(route_key, body, sessionEndsAt=ends_at), None)

    assert json.loads(answer["body"])["error"]["code"] == "SessionEnded"
    assert stub.posted == []
    assert stub.closed == ["L0SM9cOFvHcCIhw="]


def test_message_of_a_session_that_goes_on_is_answered(load: Load) -> None:
    """An end that is still to come changes nothing."""
    later = str(int(time.time()) + 3600)

    answer = load("messages").handler(event("echo", "hello", sessionEndsAt=later), None)

    assert answer == {"statusCode": 200, "body": "hello"}
