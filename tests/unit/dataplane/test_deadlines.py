"""One timer for all connections: who is ended when, and what it keeps."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fakes import FakeClock, FakePeer

from socketstack.core.lifecycle import Event
from socketstack.core.limits import CONNECTION_MAX_SECONDS, IDLE_TIMEOUT_SECONDS
from socketstack.core.model import Connection
from socketstack.dataplane.deadlines import Deadlines
from socketstack.store import Store


class Watch:
    """Deadlines over a Store of its own; ``ended`` is who was ended and why."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store()
        self.ended: list[tuple[str, Event]] = []
        self.deadlines = Deadlines(store=self.store, clock=self.clock, end=self._end)

    def _end(self, connection_id: str, cause: Event) -> None:
        self.ended.append((connection_id, cause))
        self.store.remove_connection(connection_id)

    def open(self, connection_id: str) -> None:
        """Register a connection now and watch it."""
        connection = Connection(
            connection_id=connection_id,
            api_id="a1b2c3d4e5",
            stage_name="dev",
            account_id="000000000000",
            region="eu-west-1",
            domain_name="localhost",
            connected_at_ms=self.clock.now_ms(),
            source_ip="127.0.0.1",
        )
        self.store.add_connection(connection, FakePeer())
        self.deadlines.watch(connection_id)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock and let the timer look."""
        await _settle()
        self.clock.advance(seconds)
        await _settle()

    def touch(self, connection_id: str) -> None:
        """A message on a connection."""
        self.store.touch(connection_id, self.clock.now_ms())


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    """A timer that watches nobody yet."""
    watch = Watch()
    yield watch
    await watch.deadlines.stop()


async def test_silent_connection_ends_at_ten_minutes_and_not_before(watch: Watch) -> None:
    """Ten minutes of silence end a connection, to the second."""
    watch.open("one")

    await watch.pass_time(IDLE_TIMEOUT_SECONDS - 1)
    before = list(watch.ended)
    await watch.pass_time(1)

    assert before == []
    assert watch.ended == [("one", Event.IDLE)]


async def test_activity_puts_the_end_off(watch: Watch) -> None:
    """Silence is counted from the last message."""
    watch.open("one")
    await watch.pass_time(IDLE_TIMEOUT_SECONDS - 1)
    watch.touch("one")

    await watch.pass_time(IDLE_TIMEOUT_SECONDS - 1)
    before = list(watch.ended)
    await watch.pass_time(1)

    assert before == []
    assert watch.ended == [("one", Event.IDLE)]


async def test_age_ends_a_connection_however_active(watch: Watch) -> None:
    """After two hours activity helps no more."""
    watch.open("one")
    for _ in range(CONNECTION_MAX_SECONDS // 300 - 1):
        await watch.pass_time(300)
        watch.touch("one")

    before = list(watch.ended)
    await watch.pass_time(300)

    assert before == []
    assert watch.ended == [("one", Event.EXPIRED)]


async def test_younger_connections_live_on(watch: Watch) -> None:
    """Each connection has its own time."""
    watch.open("old")
    await watch.pass_time(300)
    watch.open("young")

    await watch.pass_time(300)

    assert watch.ended == [("old", Event.IDLE)]


async def test_connection_that_closed_by_itself_is_not_ended(watch: Watch) -> None:
    """What has left the Store is left alone."""
    watch.open("one")
    watch.store.remove_connection("one")

    await watch.pass_time(CONNECTION_MAX_SECONDS)

    assert watch.ended == []


async def test_timer_goes_on_after_everybody_left(watch: Watch) -> None:
    """A connection that comes after a quiet time is watched too."""
    watch.open("one")
    await watch.pass_time(IDLE_TIMEOUT_SECONDS)
    watch.open("two")

    await watch.pass_time(IDLE_TIMEOUT_SECONDS)

    assert [name for name, _cause in watch.ended] == ["one", "two"]


async def test_many_short_lives_do_not_pile_up(watch: Watch) -> None:
    """Ten thousand connections that closed at once cost no lasting memory."""
    watch.open("stays")
    for number in range(10_000):
        watch.open(str(number))
        watch.store.remove_connection(str(number))

    kept = len(watch.deadlines._heap)
    await watch.pass_time(IDLE_TIMEOUT_SECONDS)

    assert kept < 2_000
    assert watch.ended == [("stays", Event.IDLE)]


async def test_thousand_open_connections_all_end(watch: Watch) -> None:
    """Clearing away closed connections loses no open one."""
    for number in range(1_000):
        watch.open(f"open-{number}")
        for again in range(5):
            watch.open(f"closed-{number}-{again}")
            watch.store.remove_connection(f"closed-{number}-{again}")

    await watch.pass_time(IDLE_TIMEOUT_SECONDS)

    assert sorted(watch.ended) == sorted((f"open-{n}", Event.IDLE) for n in range(1_000))


async def test_stopped_timer_ends_nobody() -> None:
    """After stop nothing happens, and no task is left."""
    watch = Watch()
    watch.open("one")
    await watch.deadlines.stop()

    await watch.pass_time(CONNECTION_MAX_SECONDS)

    assert watch.ended == []
