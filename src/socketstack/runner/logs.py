"""One process's log: bytes from its pipe become lines for the sink, with bounded memory."""

from collections import deque
from typing import Final

from socketstack.clock import Clock
from socketstack.runner.base import Function, LogLine, LogSink
from socketstack.trace import Step, Trace, without_tokens

LINE_MAX_BYTES: Final = 256 * 1024
"""Longer lines are cut into several, as CloudWatch Logs takes no longer event."""
CALL_MAX_BYTES: Final = 4 * 1024 * 1024
CALL_MAX_LINES: Final = 20_000
"""What one call may log; what goes beyond is counted and dropped, and the log says so."""
TAIL_LINES: Final = 4 * 1024
"""What a call's result keeps of its log: 4 KB are wanted, and a line has a byte at least."""

_TRACED_LINES: Final = 200
_TRACED_CHARACTERS: Final = 1000


class ProcessLog:
    """Lines of one log stream, gathered and handed to the sink in order.

    Lines wait until ``flush``, so that a quick call costs the sink one write. They belong to
    the call that was begun last; its budget starts anew with every call.
    """

    def __init__(
        self, function: Function, stream: str, *, sink: LogSink, trace: Trace, clock: Clock
    ) -> None:
        self._function = function
        self._stream = stream
        self._sink = sink
        self._trace = trace
        self._clock = clock
        self._partial = b""
        self._waiting: list[LogLine] = []
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._request_id = ""
        self._bytes = 0
        self._lines = 0
        self._dropped = 0

    def begin(self, request_id: str, line: str) -> None:
        """A call starts with a line of Lambda's own."""
        self._end_partial()
        self._request_id = request_id
        self._bytes = self._lines = 0
        self._tail.clear()
        self.note(line)

    def feed(self, data: bytes) -> None:
        """Take what the process wrote; the end of an unfinished line waits for the rest."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        for line in whole:
            self._take(line)
        while len(self._partial) >= LINE_MAX_BYTES:
            self._take(self._partial[:LINE_MAX_BYTES])
            self._partial = self._partial[LINE_MAX_BYTES:]

    def note(self, text: str) -> None:
        """Take a line, whatever the budget says."""
        self._keep(text, self._clock.now_ms())

    def end(self, lines: list[str]) -> tuple[str, ...]:
        """A call ends with lines of Lambda's own; returns its last lines."""
        self._end_partial()
        now_ms = self._clock.now_ms()
        for line in lines:
            self._keep(line, now_ms)
        self.flush()
        return tuple(self._tail)

    def flush(self) -> None:
        """Hand what waits to the sink."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            self._sink.write(self._function, self._stream, lines)

    def close(self) -> None:
        """The process is gone: what it left unfinished is its last line."""
        self._end_partial()
        self.flush()

    def _end_partial(self) -> None:
        if self._partial:
            self._take(self._partial)
            self._partial = b""
        if self._dropped:
            self.note(f"socketstack: {self._dropped} more lines of this call were dropped")
            self._dropped = 0

    def _take(self, line: bytes) -> None:
        for start in range(0, len(line), LINE_MAX_BYTES) or (0,):
            self._take_piece(line[start : start + LINE_MAX_BYTES])

    def _take_piece(self, piece: bytes) -> None:
        self._bytes += len(piece)
        self._lines += 1
        if self._bytes > CALL_MAX_BYTES or self._lines > CALL_MAX_LINES:
            self._dropped += 1
            return
        # The bootstrap keeps a record of several lines together with carriage returns.
        text = piece.decode("utf-8", "replace").rstrip("\r").replace("\r", "\n")
        self.note(text)
        if self._lines <= _TRACED_LINES:
            self._trace.emit(
                Step.LOG,
                # CloudWatch Logs keeps what the function wrote; screens and traces need not.
                without_tokens(text)[:_TRACED_CHARACTERS],
                request_id=self._request_id,
                function=self._function.name,
            )

    def _keep(self, text: str, now_ms: int) -> None:
        self._waiting.append(LogLine(time_ms=now_ms, text=text))
        self._tail.append(text)
