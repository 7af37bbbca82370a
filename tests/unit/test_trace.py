"""The event bus tells subscribers in order and never shows a secret whole."""

from fakes import FakeClock

from socketstack.trace import Step, Trace, TraceEvent, redact, without_tokens


def test_subscribers_hear_events_until_they_leave() -> None:
    """A subscriber hears what happens between joining and leaving."""
    trace = Trace(FakeClock(7))
    heard: list[TraceEvent] = []

    trace.emit(Step.CONTROL, "before")
    leave = trace.subscribe(heard.append)
    trace.emit(Step.MESSAGE, "during", connection_id="c=", size=3)
    leave()
    leave()
    trace.emit(Step.CLOSED, "after")

    assert [event.summary for event in heard] == ["during"]
    assert heard[0].as_json() == {
        "time": 7,
        "step": "message",
        "summary": "during",
        "connectionId": "c=",
        "detail": {"size": 3},
    }
    assert [event.summary for event in trace.recent()] == ["before", "during", "after"]


def test_events_kept_are_bounded() -> None:
    """A long-lived engine keeps only the newest thousand events."""
    trace = Trace(FakeClock())

    for number in range(1500):
        trace.emit(Step.LOG, str(number))

    assert len(trace.recent()) == 1000
    assert trace.recent()[0].summary == "500"


def test_redacted_secret_cannot_be_read_back() -> None:
    """Of a long secret six characters are shown, of a short one none."""
    assert redact("eyJhbGciOiJIUzI1NiJ9.e30.c2ln") == "…0.c2ln (29 characters)"
    assert redact("hunter2") == "… (7 characters)"


def test_lines_of_functions_hold_no_token() -> None:
    """A JWT in a function's log is not shown whole; everything else stays as it is."""
    assert without_tokens("ok eyJ, a.b.c") == "ok eyJ, a.b.c"
    assert without_tokens("got eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl, no") == (
        "got …F0dXJl (37 characters), no"
    )
