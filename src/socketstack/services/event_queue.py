"""Invocations that nobody waits for: of type Event, and what SNS, S3, streams and schedules send.

A failed event runs up to two more times, as on AWS, but one and two seconds later instead of one
and two minutes: nobody watching a terminal waits that long. One that is throttled was not tried: it
waits, a second at first and five minutes in the end, for up to six hours, as on AWS. Fewer
attempts, a shorter age, and destinations that are told in the end are the function's settings
(``event_settings``); functions have no dead letter queues of their own here.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

from socketstack.clock import Clock
from socketstack.core.model import InvokeResult
from socketstack.errors import FunctionNotFound, FunctionThrottled, RunnerError
from socketstack.runner.base import Runner
from socketstack.services.event_records import Condition, EventOutcome
from socketstack.services.event_settings import EventSettings

EVENTS_MAX: Final = 1000
EVENT_RETRY_SECONDS: Final = (1.0, 2.0)
THROTTLED_WAIT_SECONDS: Final = (1.0, 300.0)
"""The first wait of a throttled event, doubled each time, and the longest."""

SettingsOf = Callable[[str], EventSettings]
Take = Callable[[EventOutcome, EventSettings], Awaitable[None]]
"""Takes what became of an event."""

_logger = logging.getLogger(__name__)


class EventQueue:
    """Invocations in the background; their owner calls ``stop``."""

    def __init__(
        self, runner: Runner, clock: Clock, *, settings_of: SettingsOf, take: Take
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._settings_of = settings_of
        self._take = take
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def put(self, function: str, payload: bytes, *, line: str = "") -> bool:
        """Run a function soon; false when a thousand events wait already.

        Events with the same ``line`` run one after another, in the order they were put.
        """
        if len(self._tasks) >= EVENTS_MAX:
            _logger.warning("An event for %s is lost: %d events wait.", function, EVENTS_MAX)
            return False
        task = asyncio.get_running_loop().create_task(self._run(function, payload, line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def idle(self) -> None:
        """Wait until no event waits or runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Give up what waits or runs, and wait for the end of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, function: str, payload: bytes, line: str) -> None:
        if not line:
            await self._attempt(function, payload)
            return
        async with self._lines[line]:
            await self._attempt(function, payload)

    async def _attempt(self, function: str, payload: bytes) -> None:
        settings = self._settings_of(function)
        gives_up_at = self._clock.monotonic_seconds() + settings.age_max_seconds
        condition, problem = Condition.RETRIES_EXHAUSTED, ""
        calls, result = 0, None
        for wait_seconds in (0.0, *EVENT_RETRY_SECONDS[: settings.retries_max]):
            if self._clock.monotonic_seconds() + wait_seconds > gives_up_at:
                condition = Condition.EVENT_AGE_EXCEEDED
                break
            await self._clock.sleep(wait_seconds)
            calls += 1
            try:
                result = await self._invoke(function, payload, gives_up_at)
            except FunctionNotFound as missing:
                problem = str(missing)
                break
            except FunctionThrottled as throttled:
                condition, problem, calls = Condition.EVENT_AGE_EXCEEDED, str(throttled), calls - 1
                break
            except RunnerError as failure:
                problem = str(failure)
            else:
                if result.failure is None:
                    condition = Condition.SUCCESS
                    break
                problem = str(result.failure)
        outcome = EventOutcome(
            function_arn=function,
            payload=payload,
            condition=condition,
            calls=calls,
            result=result,
            problem=problem,
        )
        await self._take(outcome, settings)

    async def _invoke(self, function: str, payload: bytes, gives_up_at: float) -> InvokeResult:
        """Call a function, once it may be called. Raises what ``Runner.invoke`` raises."""
        waits_seconds, longest_seconds = THROTTLED_WAIT_SECONDS
        while True:
            try:
                return await self._runner.invoke(function, payload)
            except FunctionThrottled:
                if self._clock.monotonic_seconds() + waits_seconds > gives_up_at:
                    raise
            await self._clock.sleep(waits_seconds)
            waits_seconds = min(waits_seconds * 2, longest_seconds)
