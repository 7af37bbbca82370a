"""One deadline at a time, for something that gets a new one with every call.

The loop's own timers cost a push onto its heap and a cancelled entry for every call. An alarm keeps
one timer, which when it rings too early looks again when it should.
"""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls ``ring`` once when the deadline that was set last has passed; event loop's thread."""

    __slots__ = ("_due_seconds", "_loop", "_ring", "_timer")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_seconds: float | None = None

    def set(self, seconds: float) -> None:
        """Ring in so many seconds from now, and not when it was set for before."""
        self._due_seconds = due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._look)

    def clear(self) -> None:
        """Do not ring; the timer stays, for the next deadline."""
        self._due_seconds = None

    def close(self) -> None:
        """Do not ring, and leave nothing in the loop."""
        self._due_seconds = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        due = self._due_seconds
        if due is None:
            return
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
            return
        self._due_seconds = None
        self._ring()
