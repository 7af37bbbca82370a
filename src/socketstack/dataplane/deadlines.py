"""Idle and age limits of all connections, by one timer for all of them.

A heap holds one entry per connection. An entry that comes due is looked at anew: a connection that
was active meanwhile goes back with its new deadline, so traffic costs the heap nothing.

Rules: 6.07 to 6.11.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Final

from socketstack.clock import Clock
from socketstack.core.lifecycle import Event, next_deadline
from socketstack.store import Store

End = Callable[[str, Event], None]

_SLEEP_MAX_SECONDS: Final = 30.0
_SPARE_ENTRIES: Final = 1024
"""Entries of closed connections that may stay; above, they are dropped in one go."""


class Deadlines:
    """Ends connections whose time is over."""

    def __init__(self, *, store: Store, clock: Clock, end: End) -> None:
        self._store = store
        self._clock = clock
        self._end = end
        self._heap: list[tuple[int, str]] = []
        self._added = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def watch(self, connection_id: str) -> None:
        """Watch a registered connection from now on."""
        if len(self._heap) > 2 * self._store.connection_count() + _SPARE_ENTRIES:
            self.forget_closed()
        self._push(connection_id)
        self._added.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Watch nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._added.clear()
            if not self._heap:
                await self._added.wait()
                continue
            # A new connection may be due before the others (wall time can be set back): no
            # sleep is long, so that none is noticed late.
            wait_ms = self._heap[0][0] - self._clock.now_ms()
            if wait_ms > 0:
                await self._clock.sleep(min(wait_ms / 1000, _SLEEP_MAX_SECONDS))
            self._look()

    def _look(self) -> None:
        now_ms = self._clock.now_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            _at, connection_id = heapq.heappop(self._heap)
            entry = self._store.connection(connection_id)
            if entry is None:
                continue
            deadline = next_deadline(
                connected_at_ms=entry.connection.connected_at_ms,
                last_active_ms=entry.last_active_ms,
            )
            if deadline.at_ms <= now_ms:
                self._end(connection_id, deadline.event)
            else:
                heapq.heappush(self._heap, (deadline.at_ms, connection_id))

    def forget_closed(self) -> None:
        """Drop entries whose connections are closed: many short lives would pile them up."""
        self._heap = [entry for entry in self._heap if self._store.connection(entry[1])]
        heapq.heapify(self._heap)

    def _push(self, connection_id: str) -> None:
        entry = self._store.connection(connection_id)
        if entry is not None:
            deadline = next_deadline(
                connected_at_ms=entry.connection.connected_at_ms,
                last_active_ms=entry.last_active_ms,
            )
            heapq.heappush(self._heap, (deadline.at_ms, connection_id))
