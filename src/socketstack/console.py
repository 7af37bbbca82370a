"""The engine's terminal: steps as lines, in batches, so that printing never holds a socket up.

A terminal takes far longer for a line than the engine for a message. Lines are gathered and
written a few times a second; when steps come faster than anyone reads, the rest of a batch is
counted and said so. ``socketstack logs`` gets every step.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from socketstack.trace import TraceEvent

_EVERY_SECONDS: Final = 0.1
_LINES_AT_ONCE: Final = 100

Print = Callable[[TraceEvent], None]
Say = Callable[[str], None]


class StepPrinter:
    """A subscriber of the trace that prints in batches."""

    def __init__(self, print_step: Print, say: Say) -> None:
        self._print = print_step
        self._say = say
        self._waiting: list[TraceEvent] = []
        self._untold = 0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, event: TraceEvent) -> None:
        """Take one step; the subscriber."""
        if len(self._waiting) < _LINES_AT_ONCE:
            self._waiting.append(event)
        else:
            self._untold += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self.flush)

    def flush(self) -> None:
        """Print what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        untold, self._untold = self._untold, 0
        for event in waiting:
            self._print(event)
        if untold:
            self._say(f"… and {untold} more steps")
