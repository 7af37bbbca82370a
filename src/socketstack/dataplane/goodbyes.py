"""What is left to do for sessions that are over: closing, ``$disconnect``, answers on their way.

Thousands may end at once. They wait as what they are and not as tasks: of each API only as many
tasks run as may call ``$disconnect`` at once.

Rules: area 8.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Final

from socketstack.dataplane.session import Session

GOODBYES_AT_ONCE: Final = 256
"""``$disconnect`` calls of one API that are under way; more wait without an event being made. Ten
thousand connections may end at one moment, and far fewer processes take their events."""

_logger = logging.getLogger(__name__)


class Goodbyes:
    """Finishes sessions.

    Args:
        on_finished: Called with each session when nothing is left to do for it.
        on_rest: Called when nothing is left to do for any.
    """

    def __init__(
        self, *, on_finished: Callable[[Session], None], on_rest: Callable[[], None]
    ) -> None:
        self._on_finished = on_finished
        self._on_rest = on_rest
        self.tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, deque[Session]] = {}
        self._busy: Counter[str] = Counter()
        """How many tasks call ``$disconnect``, by API."""

    def take(self, session: Session) -> None:
        """Finish a session that is over."""
        if session.is_closing:
            self._start(self._close(session))
        else:
            # Not now: whoever ended it may still write its close frame.
            asyncio.get_running_loop().call_soon(session.hang_up)
            self._queue(session)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not self.tasks:
            self._on_rest()

    async def _close(self, session: Session) -> None:
        try:
            await session.wait_closed()
        finally:
            session.hang_up()
        self._queue(session)

    def _queue(self, session: Session) -> None:
        api_id = session.connection.api_id
        self._waiting.setdefault(api_id, deque()).append(session)
        if self._busy[api_id] < GOODBYES_AT_ONCE:
            self._busy[api_id] += 1
            self._start(self._say(api_id))

    async def _say(self, api_id: str) -> None:
        waiting = self._waiting[api_id]
        try:
            while waiting:
                await self._finish(waiting.popleft())
        finally:
            self._busy[api_id] -= 1

    async def _finish(self, session: Session) -> None:
        try:
            await session.say_goodbye()
        except Exception:
            _logger.exception("The end of %s failed", session.connection.connection_id)
        if session.has_unanswered:
            self._start(self._settle(session))
        else:
            self._on_finished(session)

    async def _settle(self, session: Session) -> None:
        try:
            await session.wait_answered()
        finally:
            self._on_finished(session)
