"""The processes of one function: idle ones are used again, calls above the cap wait in line.

One call at a time runs in a process, as on AWS. When calls overlap there are several processes,
at most ``limit``; further calls wait in the order they came. The pool runs calls on its current
edition only: processes of another one are retired, at once when idle, else after their call.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from socketstack.clock import Clock
from socketstack.errors import FunctionUnavailable
from socketstack.runner.base import Function
from socketstack.runner.live import Roots, Signature
from socketstack.runner.process import Call, FunctionProcess
from socketstack.runner.warmth import Own

IDLE_MAX_SECONDS: Final = 300.0
"""How long a process waits for its next call before it is ended."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Edition:
    """One configuration with one state of the code, ready to run."""

    function: Function
    roots: Roots
    signature: Signature | None = None
    """State of the live sources it was made from; None without live sources."""
    own: Own = field(default_factory=Own)
    """What it brings that decides whether it can be forked from the warm parent."""

    def is_of(self, function: Function) -> bool:
        """Whether this is still the function's configuration and deployed code."""
        own = self.function
        return (
            own.configuration_digest == function.configuration_digest
            and own.code.digest == function.code.digest
        )


Callback = Callable[[FunctionProcess], None]
Start = Callable[[Edition, Callback, Callback], FunctionProcess]
"""Starts a process, given what to call when it is free and when it has ended."""


class Pool:
    """All processes of one version of one function. Use from the event loop's thread only."""

    def __init__(self, *, limit: int, start: Start, clock: Clock) -> None:
        self.edition: Edition | None = None
        self._limit = limit
        self._start = start
        self._clock = clock
        self._idle: list[FunctionProcess] = []
        self._editions: dict[FunctionProcess, Edition] = {}
        self._ending: set[FunctionProcess] = set()
        self._waiting: deque[Call] = deque()

    @property
    def process_count(self) -> int:
        """Processes that run or wait for calls."""
        return len(self._editions)

    def use(self, edition: Edition) -> None:
        """Run all further calls on this edition."""
        self.edition = edition
        for process in list(self._idle):
            process.kill("its code or configuration is no longer current")

    def submit(self, call: Call) -> None:
        """Run a call as soon as there is a process for it."""
        self._waiting.append(call)
        self._serve()

    def is_using(self, edition: Edition) -> bool:
        """Whether a process of this edition is left."""
        return edition is self.edition or edition in self._editions.values()

    def reap_idle(self) -> None:
        """End the processes that have waited too long."""
        oldest = self._clock.monotonic_seconds() - IDLE_MAX_SECONDS
        for process in list(self._idle):
            if process.idle_since_seconds <= oldest:
                process.kill("idle")

    def check_memory(self) -> None:
        """End the processes that hold more than their function's memory size."""
        for process in list(self._editions):
            process.check_memory()

    def kill(self) -> None:
        """End all processes and refuse the calls in line."""
        while self._waiting:
            self._waiting.popleft().refuse(FunctionUnavailable("The engine is stopping."))
        for process in list(self._editions):
            process.kill()

    async def wait_ended(self) -> None:
        """Wait until the killed processes have been reaped."""
        for process in (*self._ending, *self._editions):
            await process.wait_ended()

    def _serve(self) -> None:
        while self._waiting:
            if self._idle:
                process = self._idle.pop()  # the warmest; the others may be reaped
            elif len(self._editions) < self._limit:
                started = self._begin(self._waiting[0])
                if started is None:
                    continue
                process = started
            else:
                return
            process.run(self._waiting.popleft())

    def _begin(self, call: Call) -> FunctionProcess | None:
        assert self.edition is not None
        try:
            process = self._start(self.edition, self._freed, self._ended)
        except OSError as error:
            self._waiting.remove(call)
            name = call.function.name
            call.refuse(FunctionUnavailable(f"{name}: its process cannot be started: {error}"))
            return None
        self._editions[process] = self.edition
        return process

    def _freed(self, process: FunctionProcess) -> None:
        if self._editions[process] is self.edition:
            self._idle.append(process)
            self._serve()
        else:
            process.kill("its code or configuration is no longer current")

    def _ended(self, process: FunctionProcess) -> None:
        del self._editions[process]
        if process in self._idle:
            self._idle.remove(process)
        self._ending = {other for other in self._ending if not other.is_reaped} | {process}
        self._serve()
