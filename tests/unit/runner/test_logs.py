from collections.abc import Sequence

import pytest
from fakes import FakeClock

from socketstack.core.model import InvokeResult
from socketstack.runner.base import Function, LogLine, Package
from socketstack.runner.logs import CALL_MAX_LINES, LINE_MAX_BYTES, ProcessLog
from socketstack.trace import Step, Trace, TraceEvent

FUNCTION = Function(
    name="echo",
    arn="arn:aws:lambda:us-east-1:000000000000:function:echo",
    invoked_arn="arn:aws:lambda:us-east-1:000000000000:function:echo",
    version="$LATEST",
    handler="handler.handle",
    runtime="python3.11",
    role="",
    region="us-east-1",
    account_id="000000000000",
    code=Package(digest="x", read=lambda: b""),
)


class Kept:
    """A sink that keeps its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def write(self, function: Function, stream: str, lines: Sequence[LogLine]) -> None:
        """As a LogSink."""
        assert (function, stream) == (FUNCTION, "stream")
        self.batches.append([line.text for line in lines])

    @property
    def lines(self) -> list[str]:
        """All lines."""
        return [line for batch in self.batches for line in batch]


@pytest.fixture
def kept() -> Kept:
    """A sink."""
    return Kept()


@pytest.fixture
def events() -> list[TraceEvent]:
    """What the trace told."""
    return []


@pytest.fixture
def log(kept: Kept, events: list[TraceEvent]) -> ProcessLog:
    """A log into that sink and that trace."""
    clock = FakeClock()
    trace = Trace(clock)
    trace.subscribe(events.append)
    return ProcessLog(FUNCTION, "stream", sink=kept, trace=trace, clock=clock)


def test_call_without_waiting_is_one_write(log: ProcessLog, kept: Kept) -> None:
    """A quick call hands all its lines over together, in order."""
    log.begin("id-1", "START")
    log.feed(b"one\ntwo\n")
    tail = log.end(["END", "REPORT"])

    assert kept.batches == [["START", "one", "two", "END", "REPORT"]]
    assert tail == ("START", "one", "two", "END", "REPORT")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_lines_do_not_depend_on_how_bytes_arrive(log: ProcessLog, kept: Kept, size: int) -> None:
    """The same output cut anywhere gives the same lines, also inside a character."""
    output = "grüße\n\n😀 two\rmore\r\nlast".encode()

    log.begin("id-1", "START")
    for start in range(0, len(output), size):
        log.feed(output[start : start + size])
    log.end(["END"])

    assert kept.lines == ["START", "grüße", "", "😀 two\nmore", "last", "END"]


def test_bytes_that_are_no_text_are_kept_readable(log: ProcessLog, kept: Kept) -> None:
    """Output that is not UTF-8 does not break the log."""
    log.feed(b"\xff\xfe\n")
    log.flush()

    assert kept.lines == ["��"]


def test_long_line_is_cut_as_it_comes(log: ProcessLog, kept: Kept) -> None:
    """A line without end is handed over in pieces and does not grow in memory."""
    for _ in range(5):
        log.feed(b"x" * (LINE_MAX_BYTES // 2))
        log.flush()

    assert [len(line) for line in kept.lines] == [LINE_MAX_BYTES] * 2


def test_flood_is_dropped_and_counted(log: ProcessLog, kept: Kept) -> None:
    """Lines above a call's budget are counted; the next call has a budget of its own."""
    log.begin("id-1", "START")
    log.feed(b"line\n" * (CALL_MAX_LINES + 7))
    log.end(["END"])
    log.begin("id-2", "START")
    log.feed(b"heard again\n")
    log.end(["END"])

    assert kept.lines.count("line") == CALL_MAX_LINES
    assert kept.lines[-5:] == [
        "socketstack: 7 more lines of this call were dropped",
        "END",
        "START",
        "heard again",
        "END",
    ]


def test_tail_is_the_last_four_kilobytes(log: ProcessLog) -> None:
    """However much a call logs, its tail has 4 KB and ends with Lambda's lines."""
    log.begin("id-1", "START")
    for number in range(5000):
        log.feed(f"line {number}\n".encode())
    tail = InvokeResult(payload=b"", log_lines=log.end(["END"])).log_tail

    assert len(tail) == 4096
    assert tail.endswith(b"line 4999\nEND\n")


def test_tail_of_the_next_call_starts_empty(log: ProcessLog) -> None:
    """A call's tail has nothing of the call before."""
    log.begin("id-1", "START")
    log.feed(b"first\n")
    log.end(["END"])

    log.begin("id-2", "START")

    assert log.end(["END"]) == ("START", "END")


def test_trace_gets_the_functions_own_lines(log: ProcessLog, events: list[TraceEvent]) -> None:
    """Lines are traced with the request's id, shortened, and at most two hundred of a call."""
    log.begin("id-1", "START")
    log.feed(b"x" * 5000 + b"\n" + b"y\n" * 300)
    log.end(["END"])

    assert len(events) == 200
    assert {(event.step, event.request_id) for event in events} == {(Step.LOG, "id-1")}
    assert len(events[0].summary) == 1000


def test_unfinished_line_is_kept_when_the_process_goes(log: ProcessLog, kept: Kept) -> None:
    """The last words of a process need no line end."""
    log.feed(b"last words")
    log.close()

    assert kept.lines == ["last words"]
