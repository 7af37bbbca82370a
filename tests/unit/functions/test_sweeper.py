"""The sweeper: connections whose session has ended, found without reading the others."""

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from connections_stub import ConnectionsStub

from functions.push.push import Connection, ConnectionTable, Pusher, Swept, management_client
from functions.push.push.rows import (
    CONNECTION_MAX_SECONDS,
    SESSION_SHARDS,
    expires_at_seconds,
    session_shard,
)

Load = Callable[[str], Any]
Rows = Callable[[], dict[str, Any]]
NOW = int(time.time())


def never() -> bool:
    """There is always time."""
    return False


def connection(connection_id: str, ends_at: int | None, **changes: Any) -> Connection:
    """A connection of one user that was made a minute ago."""
    facts = {"domain_name": "api.example", "stage": "dev", "connected_at_ms": (NOW - 60) * 1000}
    return Connection(
        connection_id=connection_id,
        user_id="alice",
        session_ends_at_seconds=ends_at,
        **{**facts, **changes},
    )


@pytest.fixture
def known(table: str) -> ConnectionTable:
    """The connection table, empty."""
    return ConnectionTable(boto3.client("dynamodb"), table)


@pytest.fixture
def pusher(known: ConnectionTable, stub: ConnectionsStub) -> Pusher:
    """A pusher that closes at the stub."""
    session = boto3.Session("test", "test", region_name="us-east-1")
    client_for = functools.partial(management_client, session=session, attempts=2)
    return Pusher(known, callback_url=stub.url, client_for=client_for)


def test_ended_connections_are_closed_and_forgotten(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows
) -> None:
    """In every part of the index; who still has time, or no end, stays untouched."""
    ended = {f"over-{number}" for number in range(40)}
    for connection_id in ended:
        known.put(connection(connection_id, NOW - 1))
    known.put(connection("now", int(time.time())))
    known.put(connection("later", NOW + 3600))
    known.put(connection("endless", None))

    swept = pusher.sweep(is_time_up=never)

    assert {session_shard(each) for each in ended} == set(range(SESSION_SHARDS))
    assert swept == Swept(closed=41)
    assert set(stub.closed) == {*ended, "now"}
    assert set(rows()) == {"later", "endless"}


def test_a_sweep_after_a_sweep_does_nothing(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub
) -> None:
    """What is done is not found again."""
    known.put(connection("over", NOW - 1))

    first, second = pusher.sweep(is_time_up=never), pusher.sweep(is_time_up=never)

    assert (first, second) == (Swept(closed=1), Swept())
    assert stub.calls == ["over"]


@pytest.mark.parametrize(
    ("answer", "swept", "stays"),
    [
        pytest.param((410, "GoneException"), Swept(gone=1), False, id="gone"),
        pytest.param((403, "ForbiddenException"), Swept(failed=1), True, id="forbidden"),
        pytest.param((500, "InternalFailure"), Swept(failed=1), True, id="broken"),
    ],
)
def test_what_cannot_be_closed_stays_known(
    known: ConnectionTable,
    pusher: Pusher,
    stub: ConnectionsStub,
    rows: Rows,
    *,
    answer: tuple[int, str],
    swept: Swept,
    stays: bool,
) -> None:
    """A connection that is gone leaves no row; one that is open is tried again in a minute."""
    known.put(connection("over", NOW - 1))
    stub.lasting["over"] = answer

    assert pusher.sweep(is_time_up=never) == swept
    assert ("over" in rows()) == stays


def test_two_sweeps_at_once_do_no_harm(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows
) -> None:
    """One that closes what another has closed finds it gone; a row written anew stays."""
    old = connection("over", NOW - 1)
    known.put(old)
    page = next(page for page in known.ended() if page)
    known.put(connection("over", NOW + 3600, connected_at_ms=NOW * 1000))
    stub.lasting["over"] = (410, "GoneException")

    pusher._page(page, pusher._close)

    assert set(rows()) == {"over"}


def test_nothing_is_begun_when_the_time_is_up(
    known: ConnectionTable, pusher: Pusher, stub: ConnectionsStub, rows: Rows
) -> None:
    """What was begun is finished, the rest is left for the next sweep, and it is said so."""
    for number in range(100):
        known.put(connection(f"over-{number}", NOW - 1))
    asked = 0

    def is_time_up() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    swept = pusher.sweep(is_time_up=is_time_up)

    assert not swept.is_complete
    assert swept.closed == len(stub.closed) <= 10
    assert len(rows()) == 100 - swept.closed
    assert pusher.sweep(is_time_up=never) == Swept(closed=100 - swept.closed)


def test_every_page_is_read(
    known: ConnectionTable,
    pusher: Pusher,
    stub: ConnectionsStub,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More rows than a page holds, in one part of the index, are all found."""
    monkeypatch.setattr("functions.push.push.table.ENDED_PAGE_ROWS", 3)
    ids = [f"c{n}" for n in range(200) if session_shard(f"c{n}") == 0][:10]
    for connection_id in ids:
        known.put(connection(connection_id, NOW - 1))

    assert pusher.sweep(is_time_up=never) == Swept(closed=10)
    assert rows() == {}


@pytest.mark.parametrize("minute", range(SESSION_SHARDS))
def test_every_part_comes_first_in_its_minute(table: str, minute: int) -> None:
    """When time is short for good, no part of the index waits for ever."""
    client = boto3.client("dynamodb")
    asked: list[str] = []

    def note(params: dict[str, Any], **_: object) -> None:
        asked.append(params["ExpressionAttributeValues"][":shard"]["N"])

    client.meta.events.register("before-parameter-build.dynamodb.Query", note)
    known = ConnectionTable(client, table, now_seconds=lambda: 8 * 60 * 1000 + minute * 60 + 5)

    assert list(known.ended()) == [[]] * SESSION_SHARDS
    assert asked[0] == str(minute)
    assert len(set(asked)) == SESSION_SHARDS


def test_only_rows_with_an_end_are_in_the_index(known: ConnectionTable, rows: Rows) -> None:
    """A system without ends of sessions writes nothing there."""
    known.put(connection("endless", None))
    known.put(connection("over", NOW))

    assert "sessionShard" not in rows()["endless"]
    assert rows()["over"]["sessionShard"] == {"N": str(session_shard("over"))}


@pytest.mark.parametrize("ends_after", [1, 3600, CONNECTION_MAX_SECONDS - 1])
def test_a_row_outlives_its_connection(ends_after: int) -> None:
    """DynamoDB may remove a row only when nothing is left to close."""
    row = connection("c", NOW - 60 + ends_after)
    last_open = NOW - 60 + CONNECTION_MAX_SECONDS

    assert expires_at_seconds(row) > last_open


class _Context:
    """What Lambda gives a handler, as far as this one asks."""

    def __init__(self, left_ms: int = 60_000) -> None:
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the call."""
        return self.left_ms


class TestHandler:
    """The function itself."""

    @pytest.fixture
    def handler(self, load: Load, stub: ConnectionsStub, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The handler, closing at the stub."""
        monkeypatch.setenv("CALLBACK_URL", stub.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        return load("sweeper").handler

    def test_it_sweeps_and_counts(
        self, handler: Any, known: ConnectionTable, stub: ConnectionsStub, rows: Rows
    ) -> None:
        """Whatever the event is; nothing to do is no error."""
        known.put(connection("over", NOW - 1))

        assert handler({}, _Context()) == {
            "closed": 1,
            "gone": 0,
            "failed": 0,
            "isComplete": True,
        }
        assert handler({"source": "aws.events"}, _Context())["closed"] == 0
        assert stub.closed == ["over"]
        assert rows() == {}

    def test_failures_raise(
        self,
        handler: Any,
        known: ConnectionTable,
        stub: ConnectionsStub,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Connections that stay open past their end are an error that the alarm sees."""
        known.put(connection("over", NOW - 1))
        known.put(connection("stuck", NOW - 1))
        stub.lasting["stuck"] = (403, "ForbiddenException")

        with caplog.at_level(logging.INFO), pytest.raises(Exception, match="1 connections"):
            handler({}, _Context())

        assert stub.closed == ["over"]
        assert any("Closing of stuck failed" in each.getMessage() for each in caplog.records)

    def test_it_stops_half_a_minute_before_lambda_does(
        self, handler: Any, known: ConnectionTable, stub: ConnectionsStub, rows: Rows
    ) -> None:
        """A call that was begun has the time to end, with retries."""
        known.put(connection("over", NOW - 1))

        answer = handler({}, _Context(29_999))

        assert answer == {"closed": 0, "gone": 0, "failed": 0, "isComplete": False}
        assert stub.calls == []
        assert set(rows()) == {"over"}
