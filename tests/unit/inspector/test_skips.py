"""What a skip of time is asked for with, how far it goes, and whom it ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes import FakeClock, FakePeer

from socketstack.clock import MovableClock
from socketstack.core.lifecycle import Event
from socketstack.core.limits import CONNECTION_MAX_SECONDS, IDLE_TIMEOUT_SECONDS
from socketstack.core.model import Connection, Json
from socketstack.dataplane.deadlines import Deadlines
from socketstack.errors import BadRequest, Conflict, NotFound
from socketstack.inspector.skips import ByAmount, Limit, Skips, ToLimit, read_skip
from socketstack.store import Store
from socketstack.trace import Step, Trace, TraceEvent

IDLE = ToLimit(limit=Limit.IDLE, before_ms=1000)
LIFETIME = ToLimit(limit=Limit.LIFETIME, before_ms=1000)


class World:
    """Connections under the idle and age limits, on a clock that skips move."""

    def __init__(self) -> None:
        self.base = FakeClock()
        self.clock = MovableClock(self.base)
        self.store = Store()
        self.told: list[TraceEvent] = []
        trace = Trace(self.base)
        trace.subscribe(self.told.append)
        self.skips = Skips(clock=self.clock, store=self.store, trace=trace)
        self.ended: list[tuple[str, Event]] = []
        self.deadlines = Deadlines(store=self.store, clock=self.clock, end=self._end)

    def _end(self, connection_id: str, cause: Event) -> None:
        self.ended.append((connection_id, cause))
        self.store.remove_connection(connection_id)

    def open(self, connection_id: str) -> None:
        """Open a connection now."""
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

    def touch(self, connection_id: str) -> None:
        """A message on a connection."""
        self.store.touch(connection_id, self.clock.now_ms())

    async def skip(self, wanted: ByAmount | ToLimit) -> dict[str, Any]:
        """Skip, and let the timer look."""
        await _settle()
        answer: dict[str, Any] = self.skips.skip(wanted)
        await _settle()
        return answer


async def _settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """No connection is open yet."""
    world = World()
    yield world
    await world.deadlines.stop()


# What is asked for


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"skipSeconds": 600}, ByAmount(600_000), id="amount"),
        pytest.param({"skipSeconds": 0.0004}, ByAmount(1), id="tiny-amount"),
        pytest.param({"skipSeconds": 86_400}, ByAmount(86_400_000), id="longest"),
        pytest.param({"to": "idle"}, IDLE, id="idle"),
        pytest.param({"to": "lifetime"}, LIFETIME, id="lifetime"),
        pytest.param(
            {"to": "lifetime", "beforeSeconds": 0, "connectionId": "one"},
            ToLimit(limit=Limit.LIFETIME, before_ms=0, connection_id="one"),
            id="all-members",
        ),
    ],
)
def test_skip_is_understood(body: Json, expected: ByAmount | ToLimit) -> None:
    """A skip goes by an amount, or to just before a limit; a second, unless told otherwise."""
    assert read_skip(body) == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(None, "one of skipSeconds and to", id="null"),
        pytest.param([], "one of skipSeconds and to", id="list"),
        pytest.param({}, "one of skipSeconds and to", id="empty"),
        pytest.param({"skipSeconds": 1, "to": "idle"}, "one of skipSeconds and to", id="both"),
        pytest.param({"skipSeconds": 0}, "above 0", id="nothing"),
        pytest.param({"skipSeconds": -1}, "from 0 to 86400", id="negative"),
        pytest.param({"skipSeconds": 86_401}, "from 0 to 86400", id="too-far"),
        pytest.param({"skipSeconds": 10**400}, "from 0 to 86400", id="endless"),
        pytest.param({"skipSeconds": float("nan")}, "from 0 to 86400", id="no-number"),
        pytest.param({"skipSeconds": "600"}, "from 0 to 86400", id="text"),
        pytest.param({"skipSeconds": True}, "from 0 to 86400", id="boolean"),
        pytest.param({"skipSeconds": None}, "from 0 to 86400", id="null-amount"),
        pytest.param({"skipSeconds": 1, "beforeSeconds": 1}, "beforeSeconds is not", id="before"),
        pytest.param({"to": "end"}, "neither idle nor lifetime", id="unknown-limit"),
        pytest.param({"to": ["idle"]}, "neither idle nor lifetime", id="limit-no-text"),
        pytest.param({"to": "idle", "beforeSeconds": -1}, "from 0 to 7200", id="after"),
        pytest.param({"to": "idle", "connectionId": 7}, "connectionId is no text", id="id-number"),
        pytest.param({"to": "idle", "wait": 1}, "wait is not known", id="unknown-member"),
    ],
)
def test_skip_that_is_not_understood_is_refused(body: Json, reason: str) -> None:
    """A refusal says what is wrong and which forms there are."""
    with pytest.raises(BadRequest, match=reason) as refused:
        read_skip(body)

    assert '{"skipSeconds": 600}' in refused.value.message


# What it does


async def test_skip_to_idle_stops_a_second_before(world: World) -> None:
    """Just before ten minutes of silence the connection is open; a second later it is not. 6.07."""
    world.open("one")

    answer = await world.skip(IDLE)
    before = list(world.ended)
    world.base.advance(1)
    await _settle()

    assert answer["movedSeconds"] == IDLE_TIMEOUT_SECONDS - 1
    assert answer["ending"] == 0
    assert answer["connections"][0]["endsInSeconds"] == 1
    assert before == []
    assert world.ended == [("one", Event.IDLE)]


async def test_activity_after_the_skip_puts_the_end_off(world: World) -> None:
    """What is sent just before the limit counts, as it would without a skip. 6.09."""
    world.open("one")
    await world.skip(IDLE)
    world.touch("one")

    world.base.advance(IDLE_TIMEOUT_SECONDS - 1)
    await _settle()

    assert world.ended == []
    assert world.store.connection("one") is not None


async def test_skip_without_distance_ends_at_once(world: World) -> None:
    """Zero seconds before the limit is the limit."""
    world.open("one")

    answer = await world.skip(ToLimit(limit=Limit.IDLE, before_ms=0))

    assert answer["ending"] == 1
    assert world.ended == [("one", Event.IDLE)]


async def test_skip_by_an_amount_is_silence(world: World) -> None:
    """Hours by amount end a connection as ten silent minutes do, not as two hours. 6.07."""
    world.open("one")

    await world.skip(ByAmount(CONNECTION_MAX_SECONDS * 1000 * 2))

    assert world.ended == [("one", Event.IDLE)]


async def test_skip_to_lifetime_keeps_all_connections_active(world: World) -> None:
    """The two hours are met by the oldest connection, and nobody was idle on the way. 6.10."""
    world.open("old")
    world.base.advance(60)
    world.open("young")

    answer = await world.skip(LIFETIME)
    before = list(world.ended)
    world.base.advance(1)
    await _settle()

    assert answer["movedSeconds"] == CONNECTION_MAX_SECONDS - 60 - 1
    assert [each["connectionId"] for each in answer["connections"]] == ["old", "young"]
    assert [each["limit"] for each in answer["connections"]] == ["lifetime", "lifetime"]
    assert before == []
    assert world.ended == [("old", Event.EXPIRED)]


async def test_skip_to_the_limit_of_a_chosen_connection(world: World) -> None:
    """A younger connection's limit lies beyond the older one's, which then ends."""
    world.open("old")
    world.base.advance(60)
    world.open("young")

    await world.skip(ToLimit(limit=Limit.IDLE, before_ms=1000, connection_id="young"))

    assert world.ended == [("old", Event.IDLE)]
    assert world.store.connection("young") is not None


async def test_limit_that_is_nearer_already_moves_nothing(world: World) -> None:
    """A second skip to the same limit does not go past it."""
    world.open("one")
    await world.skip(IDLE)

    answer = await world.skip(IDLE)

    assert answer["movedSeconds"] == 0
    assert world.ended == []


async def test_idle_limit_behind_the_two_hours_is_refused(world: World) -> None:
    """A connection near its two hours cannot become idle any more, so nothing is moved."""
    world.open("one")
    await world.skip(LIFETIME)
    world.touch("one")
    before = world.clock.skipped_ms

    with pytest.raises(Conflict, match="Two hours come before"):
        world.skips.skip(IDLE)

    assert world.clock.skipped_ms == before


async def test_limit_without_a_connection_is_refused(world: World) -> None:
    """There is no limit to go to when nobody is connected; an amount can be skipped."""
    with pytest.raises(Conflict, match="No connection is open"):
        world.skips.skip(IDLE)
    with pytest.raises(NotFound, match="'gone' is not open"):
        world.skips.skip(ToLimit(limit=Limit.LIFETIME, before_ms=0, connection_id="gone"))
    before = world.clock.skipped_ms
    answer = world.skips.skip(ByAmount(1500))

    assert before == 0
    assert answer["skippedSeconds"] == 1.5


async def test_all_skips_together_stay_within_a_year(world: World) -> None:
    """Time cannot be moved to where dates end."""
    day = ByAmount(24 * 60 * 60 * 1000)
    for _ in range(366):
        world.skips.skip(day)
    before = world.clock.now_ms()

    with pytest.raises(Conflict, match="pass a year"):
        world.skips.skip(ByAmount(1))

    assert world.clock.now_ms() == before


async def test_skip_is_told_on_the_trace(world: World) -> None:
    """Whoever follows the steps sees that time was moved; the trace itself keeps real time."""
    world.open("one")

    await world.skip(IDLE)

    (event,) = [each for each in world.told if each.step is Step.CLOCK]
    assert event.summary == (
        "skipped 599 s; it is 2023-11-14T22:23:19.000Z for API Gateway, and 0 of 1 connections end"
    )
    assert event.time_ms == world.base.now_ms()


async def test_state_lists_who_ends_next_and_no_more_than_a_hundred(world: World) -> None:
    """The state is short however many connections there are."""
    for number in range(150):
        world.open(f"c{number:03}")
        world.base.advance(0.01)
    world.touch("c000")

    state: dict[str, Any] = world.skips.state()

    assert state["connectionCount"] == 150
    assert len(state["connections"]) == 100
    assert state["connections"][0]["connectionId"] == "c001"
    assert state["skippedSeconds"] == 0
    assert state["now"] == "2023-11-14T22:13:21.500Z"
