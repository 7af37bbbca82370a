"""Time, in one place: the only module that reads a clock or sleeps.

Wall time is epoch milliseconds, as API Gateway events have it; durations rest on the
monotonic clock. Tests pass a clock they move by hand. ``MovableClock`` is API Gateway's own time
in a running engine, which people move forward to meet the limits of ten minutes and two hours.
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


class MovableClock:
    """A clock over another one that can be moved forward while things wait on it.

    A skip moves wall time, and whoever sleeps on this clock wakes when that is now due. Durations
    are never moved: a call that runs meanwhile took as long as it took. Use on one event loop.
    """

    def __init__(self, base: Clock) -> None:
        self._base = base
        self._skipped_ms = 0
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def skipped_ms(self) -> int:
        """How far all skips together went."""
        return self._skipped_ms

    def now_ms(self) -> int:
        """Wall time with all skips, in milliseconds since the epoch."""
        return self._base.now_ms() + self._skipped_ms

    def monotonic_seconds(self) -> float:
        """Seconds of the clock below; skips do not count."""
        return self._base.monotonic_seconds()

    def skip(self, milliseconds: int) -> None:
        """Move wall time forward, now; ``milliseconds`` is not negative."""
        if milliseconds < 0:
            message = f"{milliseconds} ms: time does not go back"
            raise ValueError(message)
        self._skipped_ms += milliseconds
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock; what is skipped counts as waited for."""
        due = self._elapsed_seconds() + seconds
        while not await self._pause(due - self._elapsed_seconds()):
            pass  # a skip came first: what is left is less, or nothing

    def _elapsed_seconds(self) -> float:
        return self._base.monotonic_seconds() + self._skipped_ms / 1000

    async def _pause(self, seconds: float) -> bool:
        """Wait on the clock below, or until the next skip; whether the time is over."""
        skipped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.ensure_future(self._base.sleep(seconds))
        self._waiting.add(skipped)
        try:
            await asyncio.wait({timer, skipped}, return_when=asyncio.FIRST_COMPLETED)
            return timer.done()
        finally:
            self._waiting.discard(skipped)
            timer.cancel()


def pause(seconds: float) -> None:
    """Block this thread: for commands that poll, never on the event loop."""
    time.sleep(seconds)
