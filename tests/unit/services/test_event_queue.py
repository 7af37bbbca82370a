import asyncio

import pytest
from fakes import FakeClock, FakeRunner

from socketstack.core.model import FailureKind, InvokeResult
from socketstack.errors import FunctionNotFound, FunctionThrottled, FunctionUnavailable
from socketstack.services.event_queue import EVENTS_MAX, EventQueue
from socketstack.services.event_records import Condition, EventOutcome
from socketstack.services.event_settings import EventSettings

DONE = InvokeResult(payload=b"null")
FAILED = InvokeResult(payload=b'"no"', failure=FailureKind.HANDLED)


class _Queue(EventQueue):
    """A queue with one function's settings; ``outcomes`` keeps what became of its events."""

    def __init__(
        self, runner: FakeRunner, clock: FakeClock, settings: EventSettings | None = None
    ) -> None:
        self.outcomes: list[EventOutcome] = []
        kept = settings or EventSettings()
        super().__init__(runner, clock, settings_of=lambda _function: kept, take=self._keep)

    async def _keep(self, outcome: EventOutcome, _settings: EventSettings) -> None:
        self.outcomes.append(outcome)


async def _run_out(events: EventQueue, clock: FakeClock) -> None:
    """Let time pass until no event is left."""
    idle = asyncio.create_task(events.idle())
    while not idle.done():
        clock.advance(1)
        await asyncio.sleep(0)
    await idle


async def test_events_of_one_line_run_in_order() -> None:
    """Events of a line wait for each other; others do not wait for them."""
    gate, first_done = asyncio.Event(), asyncio.Event()
    order: list[bytes] = []

    async def slow_first(payload: bytes) -> InvokeResult:
        if payload == b"1":
            await gate.wait()
        order.append(payload)
        first_done.set()
        return DONE

    events = _Queue(FakeRunner({"f": slow_first}), FakeClock())
    events.put("f", b"1", line="stream")
    events.put("f", b"2", line="stream")
    events.put("f", b"3")

    await first_done.wait()
    gate.set()
    await events.idle()

    assert order == [b"3", b"1", b"2"]


async def test_events_above_the_limit_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    """The queue is bounded: one event too many is refused and said so."""

    async def forever(_payload: bytes) -> InvokeResult:
        await asyncio.Event().wait()
        return DONE

    runner = FakeRunner({"f": forever})
    events = _Queue(runner, FakeClock())

    taken = [events.put("f", b"{}") for _ in range(EVENTS_MAX + 1)]
    await events.stop()

    assert taken.count(True) == EVENTS_MAX
    assert taken[-1] is False
    assert any("lost" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [(FunctionNotFound("gone"), 1), (FunctionUnavailable("busy"), 3)],
)
async def test_runner_errors_are_tried_again_unless_the_function_is_gone(
    failure: Exception, attempts: int
) -> None:
    """A function that does not exist is not tried again; one that cannot start is."""
    clock = FakeClock()

    def fail(_payload: bytes) -> InvokeResult:
        raise failure

    runner = FakeRunner({"f": fail})
    events = _Queue(runner, clock)
    events.put("f", b"{}")

    await _run_out(events, clock)
    assert len(runner.calls) == attempts


async def test_throttled_event_waits_until_the_function_is_free() -> None:
    """A throttled event is tried again, also more often than a failed one would be, and runs."""
    attempts = 0

    async def busy_at_first(_payload: bytes) -> InvokeResult:
        nonlocal attempts
        attempts += 1
        if attempts <= 5:
            message = "busy"
            raise FunctionThrottled(message)
        return DONE

    clock = FakeClock()
    events = _Queue(FakeRunner({"f": busy_at_first}), clock)
    events.put("f", b"{}")

    await _run_out(events, clock)

    assert attempts == 6


async def test_event_that_is_throttled_for_six_hours_is_given_up() -> None:
    """A function that never takes an event loses it after six hours, uncalled."""

    async def busy(_payload: bytes) -> InvokeResult:
        message = "busy"
        raise FunctionThrottled(message)

    clock = FakeClock()
    started = clock.monotonic_seconds()
    events = _Queue(FakeRunner({"f": busy}), clock)
    events.put("f", b"{}")

    await _run_out(events, clock)

    (outcome,) = events.outcomes
    assert (outcome.condition, outcome.calls) == (Condition.EVENT_AGE_EXCEEDED, 0)
    assert outcome.problem == "busy"
    assert 5 * 3600 < clock.monotonic_seconds() - started <= 6 * 3600 + 1


async def test_success_is_an_outcome_too() -> None:
    """What went well is told with the function's answer."""
    events = _Queue(FakeRunner({"f": DONE}), FakeClock())
    events.put("f", b"{}")

    await events.idle()

    assert events.outcomes == [
        EventOutcome(
            function_arn="f", payload=b"{}", condition=Condition.SUCCESS, calls=1, result=DONE
        )
    ]


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_a_function_says_how_often_its_events_are_tried_again(retries: int) -> None:
    """MaximumRetryAttempts holds, 0 included."""
    clock, runner = FakeClock(), FakeRunner({"f": FAILED})
    events = _Queue(runner, clock, EventSettings(retries_max=retries))
    events.put("f", b"{}")

    await _run_out(events, clock)

    (outcome,) = events.outcomes
    assert len(runner.calls) == outcome.calls == retries + 1
    assert (outcome.condition, outcome.result) == (Condition.RETRIES_EXHAUSTED, FAILED)


async def test_an_event_is_not_tried_again_when_it_is_too_old() -> None:
    """MaximumEventAgeInSeconds ends the attempts before there were all."""
    clock, runner = FakeClock(), FakeRunner({"f": FAILED})
    events = _Queue(runner, clock, EventSettings(age_max_seconds=1.5))
    events.put("f", b"{}")

    await _run_out(events, clock)

    (outcome,) = events.outcomes
    assert len(runner.calls) == outcome.calls == 2
    assert outcome.condition is Condition.EVENT_AGE_EXCEEDED
