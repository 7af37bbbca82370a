"""One function process, from its start to its reaping.

A process is starting until its handler is loaded, then idle or busy with one call, and at last
ended: killed, or gone by itself. Everything it does arrives through callbacks of the event
loop, so a call costs no task and nothing is lost when its caller goes away.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from socketstack.clock import Clock
from socketstack.core.model import FailureKind, InvokeResult, Json
from socketstack.runner import memory, reports
from socketstack.runner.alarm import Alarm
from socketstack.runner.base import Done, Function
from socketstack.runner.channel import Channel, Received, Sent
from socketstack.runner.children import Command, Start
from socketstack.runner.logs import ProcessLog
from socketstack.trace import Step, Trace

INIT_MAX_MS: Final = 10_000
"""How long loading a handler may take, unless the function's own timeout is longer."""

_LOG_READ_BYTES: Final = 64 * 1024
_LOG_DRAIN_READS: Final = 64
_PEAK_EVERY_SECONDS: Final = 1.0
_HEAD_LENGTH_BYTES: Final = 4
_REFUSED: Final = b'"errorType": "Function.ResponseSizeTooLarge"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start one process."""

    command: Command
    start: Start
    settings: Mapping[str, Json]
    """What ``runner.bootstrap`` is told first."""
    has_limits: bool = True
    """Whether time and memory are limited; not while somebody debugs."""


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """One call of a function and what its caller waits for.

    It ends once, by ``answer`` or ``refuse``, also when nobody waits any more; ``on_end`` is
    called then. ``done`` is called once, at its end or when the caller gives up before.
    """

    function: Function
    payload: bytes
    request_id: str
    done: Done
    on_end: Callable[["Call"], None]
    is_limited: bool = False
    """Whether a process runs it that will end it after the function's own timeout."""
    _is_told: bool = False
    _expiry: asyncio.TimerHandle | None = None

    def answer(self, result: InvokeResult) -> None:
        """Give the caller its result, if it still waits."""
        self.on_end(self)
        self._tell(result)

    def refuse(self, error: Exception) -> None:
        """Give the caller an error, if it still waits."""
        self.on_end(self)
        self._tell(error)

    def give_up(self, error: Exception) -> None:
        """Give the caller an error, if it still waits; the call itself goes on."""
        self._tell(error)

    def expire(self, seconds: float) -> None:
        """Have the caller give up after so many seconds, if it still waits then."""
        if not self._is_told:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(seconds, self.give_up, TimeoutError())

    def _tell(self, outcome: InvokeResult | Exception) -> None:
        if self._is_told:
            return
        self._is_told = True
        if self._expiry is not None:
            self._expiry.cancel()
        self.done(outcome)


class _Ended(NamedTuple):
    """A call whose last lines are still to be written."""

    request_id: str
    figures: reports.Figures
    tail: list[str]
    """Gets the last lines of the call's log."""
    lines: Sequence[str] = ()
    """What is said before Lambda's own last lines."""


class State(Enum):
    """Where a process stands."""

    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    ENDED = auto()


class FunctionProcess:
    """One child process. Starts at once; ``wait_ended`` returns when it has been reaped.

    ``on_free`` is called when a call has ended and the process can take the next one,
    ``on_ended`` when it never will again (before it is reaped).
    """

    def __init__(
        self,
        function: Function,
        launch: Launch,
        *,
        log: ProcessLog,
        clock: Clock,
        trace: Trace,
        engine_names: Callable[[], Sequence[str]],
        on_free: Callable[["FunctionProcess"], None],
        on_ended: Callable[["FunctionProcess"], None],
    ) -> None:
        """Raises ``OSError`` when the system cannot start a process."""
        self.state = State.STARTING
        self.idle_since_seconds = 0.0
        self._function = function
        self._has_limits = launch.has_limits
        self._is_json = (
            launch.command.environment.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
        )
        self._log = log
        self._clock = clock
        self._trace = trace
        self._engine_names = engine_names
        self._on_free = on_free
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._call: Call | None = None
        self._is_begun = False
        self._unlogged: _Ended | None = None
        self._is_cold = True
        self._alarm = Alarm(self._time_out)
        self._started_seconds = self._began_seconds = clock.monotonic_seconds()
        self._init_ms = 0.0
        self._peak_mb = 0
        self._peak_read_seconds = 0.0
        self._borrowed_mb = 0
        self._reaped = asyncio.Event()
        self._start(launch)

    @property
    def is_reaped(self) -> bool:
        """Whether nothing of it is left."""
        return self._reaped.is_set()

    # Calls

    def run(self, call: Call) -> None:
        """Run one call; on a starting process as soon as the handler is loaded."""
        self._call = call
        self._is_begun = False
        if self.state is State.IDLE:
            self._send(call)

    def _send(self, call: Call) -> None:
        self.state = State.BUSY
        function = call.function
        now_ms = self._clock.now_ms()
        allowed_ms = function.timeout_ms
        if self._is_cold and self._init_ms > INIT_MAX_MS:
            # AWS loads the handler a second time then, within the call's own time.
            allowed_ms -= round(self._init_ms)
        self._began_seconds = self._clock.monotonic_seconds()
        call.is_limited = self._has_limits
        head = "\n".join(
            (
                call.request_id,
                function.invoked_arn,
                str(now_ms + allowed_ms),
                *self._engine_names(),
            )
        ).encode()
        length = len(head).to_bytes(_HEAD_LENGTH_BYTES, "big")
        self._channel.send(Sent.CALL, length, head, call.payload)
        self._limit(allowed_ms)
        self._log_begin(call)  # after the process has got it: it need not wait for that

    def _limit(self, allowed_ms: float) -> None:
        if self._has_limits:
            self._alarm.set(max(allowed_ms, 0) / 1000)

    def _finish(
        self,
        payload: bytes,
        failure: FailureKind,
        *,
        lines: Sequence[str] = (),
        status: str = "",
        error_type: str = "",
    ) -> None:
        """End the present call, where there is one, without an answer of the process."""
        call = self._call
        if call is None:
            return
        if not self._is_begun:
            self._began_seconds = self._clock.monotonic_seconds()
            self._log_begin(call)
        result = self._settle(
            call, payload, failure, lines=lines, status=status, error_type=error_type
        )
        self._log_end()
        call.answer(result)

    def _settle(
        self,
        call: Call,
        payload: bytes,
        failure: FailureKind | None,
        *,
        lines: Sequence[str] = (),
        status: str = "",
        error_type: str = "",
    ) -> InvokeResult:
        """What the present call gave. It is the present one no more; ``_log_end`` is due."""
        self._call = None
        self._alarm.clear()
        duration_ms = (self._clock.monotonic_seconds() - self._began_seconds) * 1000
        figures = reports.Figures(
            duration_ms=duration_ms,
            memory_mb=call.function.memory_mb,
            peak_mb=min(self._peak(), call.function.memory_mb),
            init_ms=self._init_ms if self._is_cold else None,
            status=status,
            error_type=error_type,
        )
        tail: list[str] = []
        self._unlogged = _Ended(call.request_id, figures, tail, lines)
        result = InvokeResult(
            payload=payload,
            failure=failure,
            log_lines=tail,
            request_id=call.request_id,
            executed_version=call.function.version,
            is_cold=self._is_cold,
            duration_ms=duration_ms,
        )
        self._is_cold = False
        return result

    # The call's part of the log

    def _log_begin(self, call: Call) -> None:
        """Open it, once; a call that never reaches its process has one too."""
        self._log_end()
        self._is_begun = True
        now_ms = self._clock.now_ms()
        line = reports.start_line(
            call.request_id, call.function.version, now_ms, is_json=self._is_json
        )
        self._log.begin(call.request_id, line)

    def _log_end(self) -> None:
        """Close the one that is open: before anything else is logged, and before the turn ends."""
        ended, self._unlogged = self._unlogged, None
        if ended is None:
            return
        now_ms = self._clock.now_ms()
        ends = reports.end_lines(ended.request_id, ended.figures, now_ms, is_json=self._is_json)
        ended.tail.extend(self._log.end([*ended.lines, *ends]))

    # What the process says

    def _receive(self, kind: Received, body: bytes) -> None:
        match (self.state, kind):
            case (State.BUSY, Received.RESULT):
                self._answered(body, None)
            case (State.BUSY, Received.ERROR):
                is_refused = body.endswith(_REFUSED)
                self._answered(body, FailureKind.UNHANDLED if is_refused else FailureKind.HANDLED)
            case (State.STARTING, Received.READY):
                self._ready(is_borrowing=bool(body))
            case (State.STARTING, Received.INIT_ERROR):
                self._init_failed(body)
            case _:
                self.kill(f"sent {kind.name} while {self.state.name}")

    def _answered(self, body: bytes, failure: FailureKind | None) -> None:
        # The process wrote its output before its answer, so all of it is in the pipe by now.
        self._drain()
        call = self._call
        assert call is not None, "a busy process has a call"
        result = self._settle(call, body, failure)
        # Free first: what the caller does next may need a process again. And answer before
        # anything is logged: whoever waits need not wait for that.
        self._set_idle()
        self._on_free(self)
        call.answer(result)
        self._log_end()

    def _ready(self, *, is_borrowing: bool) -> None:
        if not is_borrowing:
            self._borrowed_mb = 0
        self._init_ms = (self._clock.monotonic_seconds() - self._started_seconds) * 1000
        self._alarm.clear()
        self._drain()
        self._log.flush()
        self._event(f"started in {self._init_ms:.0f} ms (cold)")
        call = self._call
        if call is not None:
            self._send(call)
        else:
            self._set_idle()

    def _set_idle(self) -> None:
        self.state = State.IDLE
        self.idle_since_seconds = self._clock.monotonic_seconds()

    def _init_failed(self, body: bytes) -> None:
        self._drain()
        error_type = str(json.loads(body).get("errorType", ""))
        self._finish(body, FailureKind.UNHANDLED, status="error", error_type=error_type)
        self._event(f"could not be loaded: {error_type}")
        self.kill()

    def _time_out(self) -> None:
        call = self._call
        if call is None:
            self.kill("took too long to load")
            return
        self._kill_group()
        self._drain()
        timeout_ms = call.function.timeout_ms
        self._finish(
            reports.timeout_payload(call.request_id, timeout_ms),
            FailureKind.TIMEOUT,
            lines=[reports.timeout_line(call.request_id, timeout_ms, self._clock.now_ms())],
            status="timeout",
        )
        self.kill(f"timed out after {timeout_ms / 1000:.2f} s")

    # The child

    def _start(self, launch: Launch) -> None:
        ours, theirs = socket.socketpair()
        self._pipe, output = os.pipe()
        try:
            self._child = launch.start(launch.command, theirs.fileno(), output)
        except OSError:
            ours.close()
            os.close(self._pipe)
            raise
        finally:
            theirs.close()
            os.close(output)
        self._borrowed_mb = self._child.borrowed_mb
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._read_log)
        self._channel = Channel(ours, on_frame=self._receive, on_end=self._gone)
        self._channel.send(Sent.SETTINGS, json.dumps(launch.settings).encode())
        self._limit(max(INIT_MAX_MS, self._function.timeout_ms))

    def kill(self, reason: str = "") -> None:
        """End the process with all that it started; a call that it runs fails."""
        if self.state is State.ENDED:
            return
        if reason:
            self._event(f"killed: {reason}")
        self._end()

    def check_memory(self) -> None:
        """End the process when it holds more than its function's memory size."""
        allowed_mb = self._function.memory_mb
        if not self._has_limits or self.state in {State.IDLE, State.ENDED}:
            return
        held_mb = memory.resident_mb(self._child.pid) - self._borrowed_mb
        if held_mb > allowed_mb:
            self._peak_mb = held_mb
            self._event(
                f"ran out of memory: it held {held_mb} MB, and its memory size is {allowed_mb} MB. "
                "Give it more (MemorySize), or make it hold less."
            )
            self._kill_group()  # the call then fails as with any process that is killed

    def _gone(self) -> None:
        """The process closed its channel: it ends by itself, or can no longer be spoken to."""
        if self.state is not State.ENDED:
            self._end()

    def _end(self) -> None:
        self.state = State.ENDED
        self._alarm.close()
        self._channel.close()
        self._kill_group()
        self._reaper = self._loop.create_task(self._reap())
        self._on_ended(self)

    def _kill_group(self) -> None:
        # How it ended is decided before its channel closes: killing it then changes nothing.
        self._child.kill_group()

    async def _reap(self) -> None:
        try:
            code = await self._child.wait()
            self._drain()
            call = self._call
            if call is not None:
                self._finish(
                    reports.exit_payload(call.request_id, code),
                    FailureKind.UNHANDLED,
                    lines=reports.exit_lines(call.request_id, code),
                    status="error",
                    error_type=reports.EXIT_ERROR,
                )
                self._event(f"ended: {reports.exit_reason(code)}")
        finally:
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._log.close()
            self._reaped.set()

    async def wait_ended(self) -> None:
        """Wait until the killed process has been reaped and left nothing open."""
        await self._reaped.wait()

    # What the process prints

    def _read_log(self) -> None:
        if self._read_log_once():
            self._log.flush()
        else:
            self._loop.remove_reader(self._pipe)

    def _read_log_once(self) -> bool:
        """Whether there may be more later."""
        try:
            data = os.read(self._pipe, _LOG_READ_BYTES)
        except BlockingIOError:
            return True
        self._log.feed(data)
        return bool(data)

    def _drain(self) -> None:
        # Bounded, because something that the function started may write without end.
        for _ in range(_LOG_DRAIN_READS):
            try:
                data = os.read(self._pipe, _LOG_READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                return
            self._log.feed(data)

    # Figures and events

    def _peak(self) -> int:
        """The most memory the process held so far, in MB, read at most once a second."""
        now = self._clock.monotonic_seconds()
        if self._peak_mb == 0 or now - self._peak_read_seconds >= _PEAK_EVERY_SECONDS:
            self._peak_read_seconds = now
            held_mb = memory.peak_mb(self._child.pid) - self._borrowed_mb
            self._peak_mb = max(held_mb, self._peak_mb)
        return self._peak_mb

    def _event(self, summary: str) -> None:
        name = self._function.name
        pid = self._child.pid or None
        self._trace.emit(Step.FUNCTION, f"{name} {summary}", function=name, pid=pid)
