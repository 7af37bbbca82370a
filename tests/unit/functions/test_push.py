"""The push library: targets, the connection table, delivery."""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from connections_stub import ConnectionsStub

from functions.push.push import (
    Connection,
    ConnectionTable,
    Counts,
    Everybody,
    Kicked,
    MessageTooLargeError,
    OneConnection,
    Pusher,
    TargetError,
    User,
    encode,
    management_client,
    parse_target,
)
from functions.push.push.delivery import CONCURRENT_POSTS

Rows = Callable[[], dict[str, Any]]
NOW_MS = int(time.time() * 1000)


@pytest.fixture
def known(table: str) -> ConnectionTable:
    """The connection table, empty."""
    return ConnectionTable(boto3.client("dynamodb"), table)


@pytest.fixture
def pusher(known: ConnectionTable, stub: ConnectionsStub) -> Pusher:
    """A pusher whose every post goes to the stub."""
    made = session()
    client_for = functools.partial(management_client, session=made)
    return Pusher(known, callback_url=stub.url, client_for=client_for)


def session() -> boto3.Session:
    """A session with credentials, for requests that moto does not take."""
    return boto3.Session("test", "test", region_name="us-east-1")


def connection(connection_id: str, user_id: str = "alice", **changes: Any) -> Connection:
    """A connection that was made just now."""
    facts = {"domain_name": "api.example", "stage": "dev", "connected_at_ms": NOW_MS}
    return Connection(connection_id=connection_id, user_id=user_id, **{**facts, **changes})


@pytest.mark.parametrize(
    ("text", "target"),
    [
        pytest.param("all", Everybody(), id="all"),
        pytest.param("user:alice", User("alice"), id="user"),
        pytest.param("user:auth0|1:2", User("auth0|1:2"), id="user-with-colon"),
        pytest.param("connection:AbC=", OneConnection("AbC="), id="connection"),
    ],
)
def test_target_is_read(text: str, target: object) -> None:
    """The three forms name everybody, a user, or one connection."""
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    ["", "ALL", "alice", "user:", "connection:", "group:x", "user:" + "x" * 257, None, 7, ["all"]],
)
def test_unknown_target_is_refused(text: object) -> None:
    """Anything else is refused with the forms there are."""
    with pytest.raises(TargetError, match="user:NAME"):
        parse_target(text)


def test_message_is_text_or_json() -> None:
    """Text goes as it is, other values as JSON, umlauts unescaped."""
    assert encode("plain") == b"plain"
    assert encode({"a": "ü"}) == '{"a": "ü"}'.encode()


def test_message_limit_is_counted_in_bytes() -> None:
    """128 KB pass; one byte more is refused, also when it is half a character."""
    assert len(encode("x" * 131_072)) == 131_072

    with pytest.raises(MessageTooLargeError):
        encode("x" * 131_071 + "ü")


def test_push_reaches_every_connection_of_one_user_only(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub
) -> None:
    """A push to a user goes to all sockets of that user and to nobody else."""
    for made in (connection("a1"), connection("a2"), connection("b1", "bob")):
        known.put(made)

    counts = pusher.push(User("alice"), b"hello")

    assert counts == Counts(sent=2)
    assert sorted(stub.posted) == [("a1", b"hello"), ("a2", b"hello")]


def test_push_to_all_reads_every_page(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub
) -> None:
    """A table larger than one page of DynamoDB (1 MB) is read to its end."""
    for number in range(6):
        known.put(connection(f"c{number}", domain_name="x" * 300_000))
    pages = list(known.find(Everybody()))

    counts = pusher.push(Everybody(), b"m")

    assert len(pages) > 1
    assert counts == Counts(sent=6)
    assert {connection_id for connection_id, _data in stub.posted} == {f"c{n}" for n in range(6)}


def test_many_posts_run_at_the_same_time(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub
) -> None:
    """Posts of one page overlap, and no more than the bound are under way at once."""
    stub.together = threading.Barrier(8, timeout=10)  # eight requests, or nobody is answered
    for number in range(64):
        known.put(connection(f"c{number}"))

    counts = pusher.push(Everybody(), b"m")

    assert counts == Counts(sent=64)
    assert 8 <= stub.most_at_once <= CONCURRENT_POSTS


def test_gone_connection_loses_its_row_and_is_not_retried(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows
) -> None:
    """After a 410 that connection's row is away, others stay, and one request was enough."""
    known.put(connection("dead"))
    known.put(connection("live"))
    stub.lasting["dead"] = (410, "GoneException")

    counts = pusher.push(User("alice"), b"m")

    assert counts == Counts(sent=1, gone=1)
    assert set(rows()) == {"live"}
    assert stub.calls.count("dead") == 1


def test_row_that_was_written_anew_survives_a_late_410(known: ConnectionTable, rows: Rows) -> None:
    """Only the row that was read is removed, not a newer one with the same id."""
    seen = connection("c1", connected_at_ms=NOW_MS - 1000)
    known.put(connection("c1"))

    known.remove_stale(seen)

    assert set(rows()) == {"c1"}


def test_limit_exceeded_is_retried(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub
) -> None:
    """A 429 is tried again and then counts as sent."""
    known.put(connection("busy"))
    stub.refusals["busy"] = [(429, "LimitExceededException")]

    counts = pusher.push(OneConnection("busy"), b"m")

    assert counts == Counts(sent=1)
    assert stub.calls == ["busy", "busy"]


def test_forbidden_post_counts_as_failed_and_keeps_the_row(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows
) -> None:
    """A 403 is no reason to forget a connection."""
    known.put(connection("c1"))
    stub.lasting["c1"] = (403, "ForbiddenException")

    counts = pusher.push(OneConnection("c1"), b"m")

    assert counts == Counts(failed=1)
    assert set(rows()) == {"c1"}


def test_unreachable_address_counts_as_failed(known: ConnectionTable) -> None:
    """A management API that does not answer fails that connection, not the whole push."""
    known.put(connection("c1"))
    made = session()

    def client_for(_url: str) -> Any:
        return made.client(
            "apigatewaymanagementapi",
            endpoint_url="http://127.0.0.1:9/dev",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
        )

    counts = Pusher(known, client_for=client_for).push(User("alice"), b"m")

    assert counts == Counts(failed=1)


def test_unknown_connection_counts_as_gone(pusher: Pusher, stub: ConnectionsStub) -> None:
    """A connection without a row is gone, and nothing is posted."""
    counts = pusher.push(OneConnection("nobody"), b"m")

    assert counts == Counts(gone=1)
    assert stub.calls == []


@pytest.mark.parametrize("target", [Everybody(), User("alice"), OneConnection("old")])
def test_expired_row_is_left_out(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, target: Any
) -> None:
    """A row that DynamoDB has not removed yet, though its time is over, gets nothing."""
    known.put(connection("old", connected_at_ms=NOW_MS - 3 * 3_600_000))

    counts = pusher.push(target, b"m")

    assert counts.sent == 0
    assert stub.calls == []


def test_address_comes_from_each_row_by_default(
    known: ConnectionTable, stub: ConnectionsStub
) -> None:
    """Without a callback URL the address is https, the row's domain name and its stage."""
    known.put(connection("c1", domain_name="x1.execute-api.us-east-1.amazonaws.com"))
    asked: list[str] = []
    made = session()

    def client_for(url: str) -> Any:
        asked.append(url)
        return management_client(stub.url, made)

    counts = Pusher(known, client_for=client_for).push(Everybody(), b"m")

    assert asked == ["https://x1.execute-api.us-east-1.amazonaws.com/dev"]
    assert counts == Counts(sent=1)


def test_ended_session_is_closed_and_gets_nothing(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows
) -> None:
    """A push closes a connection whose session is over; others get the message."""
    known.put(connection("over", session_ends_at_seconds=NOW_MS // 1000))
    known.put(connection("open", session_ends_at_seconds=NOW_MS // 1000 + 3600))

    counts = pusher.push(User("alice"), b"m")

    assert counts == Counts(sent=1, gone=1)
    assert stub.posted == [("open", b"m")]
    assert stub.closed == ["over"]
    assert set(rows()) == {"open"}


def test_ended_session_that_cannot_be_closed_gets_nothing_either(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows
) -> None:
    """It counts as failed and stays known, so that the next push tries again."""
    known.put(connection("over", session_ends_at_seconds=NOW_MS // 1000 - 1))
    stub.lasting["over"] = (403, "ForbiddenException")

    counts = pusher.push(User("alice"), b"m")

    assert counts == Counts(failed=1)
    assert stub.posted == []
    assert set(rows()) == {"over"}


@dataclass(frozen=True)
class _World:
    """A pusher, what it posts to and the rows it reads."""

    pusher: Pusher
    stub: ConnectionsStub
    rows: Rows


@pytest.fixture
def three(known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows) -> _World:
    """Alice with two connections, bob with one."""
    for made in (connection("a1"), connection("a2"), connection("b1", "bob")):
        known.put(made)
    return _World(pusher, stub, rows)


@pytest.mark.parametrize(
    ("target", "closed"),
    [
        pytest.param(User("alice"), {"a1", "a2"}, id="user"),
        pytest.param(OneConnection("b1"), {"b1"}, id="connection"),
        pytest.param(Everybody(), {"a1", "a2", "b1"}, id="all"),
    ],
)
def test_kick_closes_the_target_and_nobody_else(
    three: _World, target: Any, closed: set[str]
) -> None:
    """Their rows go at once; nothing is posted."""
    kicked = three.pusher.kick(target)

    assert kicked == Kicked(closed=len(closed))
    assert set(three.stub.closed) == closed
    assert three.stub.posted == []
    assert set(three.rows()) == {"a1", "a2", "b1"} - closed


@pytest.mark.parametrize(
    ("answer", "expected", "stays"),
    [
        pytest.param((410, "GoneException"), Kicked(gone=1), False, id="gone-already"),
        pytest.param((403, "ForbiddenException"), Kicked(failed=1), True, id="forbidden"),
    ],
)
def test_kick_tells_what_it_could_not_close(
    three: _World, answer: tuple[int, str], expected: Kicked, *, stays: bool
) -> None:
    """Who is still connected is not forgotten."""
    three.stub.lasting["b1"] = answer

    assert three.pusher.kick(User("bob")) == expected
    assert ("b1" in three.rows()) == stays
    assert three.stub.closed == []
