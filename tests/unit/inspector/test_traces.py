"""Traces are gathered from the bus, kept within bounds, and refusals longest."""

import pytest
from fakes import FakeClock

from socketstack.core.causes import Cause
from socketstack.inspector.traces import (
    KEPT_LINES,
    KEPT_REFUSALS,
    KEPT_TRACES,
    DecisionTrace,
    TraceBook,
)
from socketstack.trace import Spot, Step, Trace


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until it is moved."""
    return FakeClock()


@pytest.fixture
def trace(clock: FakeClock) -> Trace:
    """A bus."""
    return Trace(clock)


@pytest.fixture
def book(trace: Trace) -> TraceBook:
    """A book that listens to it from its first event."""
    return TraceBook(trace)


def _found(book: TraceBook, trace_id: str) -> DecisionTrace:
    found = book.find(trace_id)
    assert found is not None
    return found


def test_refused_handshake_is_one_trace(trace: Trace, clock: FakeClock, book: TraceBook) -> None:
    """Steps with the same request id are one trace, whose summary has cause, rule and fix."""
    for step, summary, cause, detail in (
        (Step.HANDSHAKE, "/dev", None, {}),
        (Step.REFUSED, "401: missing", Cause.IDENTITY_MISSING, {"status": 401}),
    ):
        trace.publish(
            step,
            summary,
            Spot("a1", "dev", "c="),
            "r=",
            cause,
            detail=detail,
        )
        trace.emit(Step.MESSAGE, "of somebody else", request_id="other=")
        clock.advance(0.012)

    shown = _found(book, "r=").as_json()

    steps = shown.pop("steps")
    assert shown == {
        "id": "r=",
        "kind": "CONNECT",
        "time": 1_700_000_000_000,
        "apiId": "a1",
        "stage": "dev",
        "connectionId": "c=",
        "outcome": "refused",
        "durationMs": 12,
        "summary": "401: missing",
        "status": 401,
        "refusal": {
            "reason": "401: missing",
            "code": "SS-201",
            "rules": ["2.13", "3.07"],
            "means": Cause.IDENTITY_MISSING.means,
            "fix": Cause.IDENTITY_MISSING.fix,
            "page": "docs/errors.md#ss-201",
        },
    }
    assert isinstance(steps, list)
    assert [step["step"] for step in steps if isinstance(step, dict)] == ["handshake", "refused"]


@pytest.mark.parametrize(
    ("steps", "kind", "outcome"),
    [
        pytest.param([(Step.HANDSHAKE, {})], "CONNECT", "pending", id="handshake-goes-on"),
        pytest.param(
            [(Step.HANDSHAKE, {}), (Step.INVOKED, {}), (Step.CONNECTED, {})],
            "CONNECT",
            "connected",
            id="connected",
        ),
        pytest.param(
            [(Step.HANDSHAKE, {}), (Step.INVOKED, {})], "CONNECT", "pending", id="called-connect"
        ),
        pytest.param(
            [(Step.MESSAGE, {}), (Step.INVOKED, {}), (Step.REPLY, {})],
            "MESSAGE",
            "reply",
            id="answered",
        ),
        pytest.param([(Step.MESSAGE, {}), (Step.ERROR, {})], "MESSAGE", "error", id="error-frame"),
        pytest.param(
            [(Step.INVOKED, {"routeKey": "$disconnect"})], "DISCONNECT", "invoked", id="goodbye"
        ),
        pytest.param([(Step.PUSH, {})], "@connections", "push", id="push"),
        pytest.param(
            [(Step.REFUSED, {"kind": "@connections"})], "@connections", "refused", id="no-push"
        ),
        pytest.param([(Step.REFUSED, {})], "request", "refused", id="aws-call"),
    ],
)
def test_trace_says_what_it_was_and_how_it_ended(
    trace: Trace, book: TraceBook, steps: list[tuple[Step, dict[str, str]]], kind: str, outcome: str
) -> None:
    """Kind and outcome follow from the steps; what goes on is pending."""
    for step, detail in steps:
        trace.publish(step, "x", request_id="r=", detail=detail)

    summary = _found(book, "r=").summary()

    assert (summary["kind"], summary["outcome"]) == (kind, outcome)


def test_log_lines_of_the_called_function_are_part_of_it(
    trace: Trace, clock: FakeClock, book: TraceBook
) -> None:
    """Lines carry the function's own id of the call, which the call's step names."""
    trace.emit(Step.MESSAGE, "hi", request_id="r=")
    clock.advance(0.001)
    trace.emit(Step.LOG, "of this call", request_id="fn-1")
    trace.emit(Step.LOG, "of another", request_id="fn-2")
    clock.advance(0.001)
    trace.emit(Step.INVOKED, "took 2 ms", request_id="r=", functionRequestId="fn-1")

    steps = _found(book, "r=").steps

    assert [event.summary for event in steps] == ["hi", "of this call", "took 2 ms"]
    assert [each.trace_id for each in book.newest()] == ["r="]


def test_connection_id_leads_to_its_handshake(trace: Trace, book: TraceBook) -> None:
    """Who only knows the connection finds how it came in."""
    trace.emit(Step.HANDSHAKE, "/dev", request_id="r=", connection_id="c=")
    trace.emit(Step.MESSAGE, "hi", request_id="m=", connection_id="c=")

    assert _found(book, "c=").trace_id == "r="
    assert book.find("nobody=") is None


def test_silence_is_no_refusal(trace: Trace, book: TraceBook) -> None:
    """A one-way route does what it is meant to do; the trace says why nothing came."""
    trace.emit(Step.MESSAGE, "hi", request_id="r=")
    trace.emit(Step.REPLY, "none", request_id="r=", cause=Cause.ONE_WAY)

    found = _found(book, "r=")

    assert found.refusal is None
    assert "refusal" not in found.summary()
    assert "SS-506" in str(found.as_json())


def test_refusals_outlive_the_traffic_after_them(trace: Trace, book: TraceBook) -> None:
    """What went well is forgotten first; both are bounded."""
    for number in range(KEPT_REFUSALS + 10):
        trace.emit(Step.REFUSED, "no", request_id=f"refused-{number}", cause=Cause.NO_SUCH_API)
    for number in range(2 * KEPT_TRACES):
        trace.emit(Step.MESSAGE, "hi", request_id=f"fine-{number}")

    kept = [each.trace_id for each in book.newest()]

    assert len(kept) == KEPT_TRACES + KEPT_REFUSALS
    assert kept[0] == f"fine-{2 * KEPT_TRACES - 1}"
    assert kept[-1] == "refused-10"
    assert book.find("refused-9") is None
    assert book.find("fine-0") is None


def test_endless_steps_are_bounded(trace: Trace, book: TraceBook) -> None:
    """A call that logs without end does not fill the memory."""
    trace.emit(Step.MESSAGE, "hi", request_id="r=")
    for number in range(2000):
        trace.emit(Step.LOG, str(number), request_id="fn")
    trace.emit(Step.INVOKED, "took long", request_id="r=", functionRequestId="fn")

    steps = _found(book, "r=").steps

    assert [event.summary for event in steps if event.step is Step.LOG] == [
        str(number) for number in range(2000 - KEPT_LINES, 2000)
    ]
