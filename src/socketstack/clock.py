"""Time, in one place: the only module that reads a clock or sleeps.

Wall time is epoch milliseconds, as API Gateway events have it; durations rest on the
monotonic clock. Tests pass a clock they move by hand.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the engine needs to know about time."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since the epoch."""
        ...

    def monotonic_seconds(self) -> float:
        """Seconds that only ever grow; for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_seconds(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)


def pause(seconds: float) -> None:
    """Block this thread: for commands that poll, never on the event loop."""
    time.sleep(seconds)
