"""Fires rules that have a ``ScheduleExpression``: one task for each, none without rules.

moto keeps rules and never fires them. Their clock is API Gateway's (``MovableClock``): a skip makes
due what is due then, and a rule that it jumped over several times fires once. Nothing fires after
``stop``.
"""

import asyncio
import copy
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from socketstack.clock import Clock
from socketstack.ids import Ids
from socketstack.services.moto_app import MotoApp
from socketstack.services.rule_inputs import target_input
from socketstack.services.rule_targets import RuleTargets, rule_refusal, scheduled_event
from socketstack.services.schedule_expressions import (
    InvalidScheduleError,
    Schedule,
    read_schedule,
)
from socketstack.services.sparse_imports import moto_module

_LONGEST_WAIT_MS: Final = 60_000
"""No single wait is longer: a machine that slept, or whose clock was set, is noticed in time."""
_BUS: Final = "default"
_CHANGES: Final = ("put_rule", "delete_rule", "enable_rule", "disable_rule")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a rule is; rules with a schedule are on the default bus only."""

    account_id: str
    region: str
    name: str


@dataclass(frozen=True, slots=True)
class _Running:
    expression: str
    task: "asyncio.Task[None]"


class Scheduler:
    """Watches moto's rules. Belongs to one event loop; its owner calls ``stop``."""

    def __init__(
        self,
        app: MotoApp,
        targets: RuleTargets,
        *,
        clock: Clock,
        ids: Ids,
        tell: Callable[[str], None],
    ) -> None:
        """``tell`` is told of every rule that fires."""
        self._app = app
        self._targets = targets
        self._clock = clock
        self._ids = ids
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._running: dict[_Place, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopped = False
        app.before_service("events", self._take_rules)

    def waiting(self) -> int:
        """How many rules wait for their time."""
        return len(self._running)

    async def stop(self) -> None:
        """Fire nothing any more."""
        self._is_stopped = True
        self._running.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # In moto's thread

    def _take_rules(self) -> None:
        backend = moto_module("events.models").EventsBackend
        for name in _CHANGES:
            original = getattr(backend, name)
            # Another engine of this process may have been here before.
            original = getattr(original, "__wrapped__", original)
            setattr(backend, name, self._watched(original, is_put=name == "put_rule"))
        put_targets = getattr(backend.put_targets, "__wrapped__", backend.put_targets)
        backend.put_targets = _checked(put_targets)

    def _watched(self, original: Callable[..., Any], *, is_put: bool) -> Callable[..., Any]:
        @functools.wraps(original)
        def change(backend: Any, name: str, *arguments: Any, **members: Any) -> Any:
            if is_put:
                _check_rule(backend, name, members.get("scheduled_expression"))
            result = original(backend, name, *arguments, **members)
            self._look(backend, name)
            return result

        return change

    def _look(self, backend: Any, name: str) -> None:
        if self._is_stopped:
            return  # moto's classes outlive the engine that mended them
        rule = backend._get_event_bus(_BUS).rules.get(name)  # noqa: SLF001 - describe raises
        is_due = rule is not None and rule.state.startswith("ENABLED")
        expression = rule.scheduled_expression or "" if is_due else ""
        place = _Place(backend.account_id, backend.region_name, name)
        self._loop.call_soon_threadsafe(self._set, place, expression)

    def _prepare(
        self, place: _Place, moment_ms: int
    ) -> tuple[str, list[tuple[dict[str, Any], str]]]:
        """The rule's ARN, and its targets with what each gets; empty when the rule is gone."""
        backend = moto_module("events.models").events_backends[place.account_id][place.region]
        rule = backend._get_event_bus(_BUS).rules.get(place.name)  # noqa: SLF001 - as above
        if rule is None:
            return "", []
        moment = datetime.fromtimestamp(moment_ms // 1000, UTC)
        event = scheduled_event(
            rule_arn=rule.arn,
            event_id=self._ids.uuid(),
            moment=f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        )
        targets = copy.deepcopy(rule.targets)
        return rule.arn, [(target, target_input(target, event)) for target in targets]

    # On the event loop

    def _set(self, place: _Place, expression: str) -> None:
        """Let a rule fire by this expression, empty for never; one that has it goes on."""
        running = self._running.get(place)
        if self._is_stopped or expression == (running.expression if running else ""):
            return
        if running is not None:
            running.task.cancel()
            del self._running[place]
        if expression:
            schedule = read_schedule(expression)
            task = self._loop.create_task(self._fire_when_due(place, schedule))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._running[place] = _Running(expression, task)

    async def _fire_when_due(self, place: _Place, schedule: Schedule) -> None:
        started_ms = self._clock.now_ms()
        due_ms = schedule.next_ms(started_ms, started_ms)
        while due_ms is not None:
            while (left_ms := due_ms - self._clock.now_ms()) > 0:
                await self._clock.sleep(min(left_ms, _LONGEST_WAIT_MS) / 1000)
            now_ms = self._clock.now_ms()
            try:
                await self._fire(place, now_ms)
            except Exception:  # whatever a target's input raises, the rule fires again
                _logger.exception("The rule %s could not be fired.", place.name)
            due_ms = schedule.next_ms(started_ms, max(now_ms, due_ms))

    async def _fire(self, place: _Place, now_ms: int) -> None:
        arn, sent = await self._app.run(functools.partial(self._prepare, place, now_ms))
        if not arn:
            return
        self._tell(f"rule {place.name} is due: {len(sent)} target(s)")
        for target, body in sent:
            self._targets.put(arn, target, body)


def _check_rule(backend: Any, name: str, expression: str | None) -> None:
    """Refuse a schedule that EventBridge refuses, or that cannot be kept here."""
    if not expression:
        return
    try:
        read_schedule(expression)
    except InvalidScheduleError as problem:
        raise _refusal(str(problem)) from None
    known = backend._get_event_bus(_BUS).rules.get(name)  # noqa: SLF001 - describe raises
    if why := rule_refusal(expression, known.targets if known else []):
        raise _refusal(why)


def _checked(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def put_targets(
        backend: Any, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]
    ) -> None:
        rule = backend._get_event_bus(_BUS).rules.get(name)  # noqa: SLF001 - describe raises
        is_meant = backend._normalize_event_bus_arn(event_bus_arn) == _BUS  # noqa: SLF001
        expression = rule.scheduled_expression if rule is not None and is_meant else None
        if problem := rule_refusal(expression, targets):
            raise _refusal(problem)
        original(backend, name, event_bus_arn, targets)

    return put_targets


def _refusal(message: str) -> Exception:
    error: Exception = moto_module("events.exceptions").ValidationException(message)
    return error
