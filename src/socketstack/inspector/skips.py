"""Moving API Gateway's time forward, to meet the limits of ten minutes and two hours.

A skip to a limit stops just before it, so that there is time to look, or to send something. A skip
to the two hours is one over an active time: without messages a connection would not get there,
so all open ones count as active up to now (6.07, 6.09). A skip by an amount is silence.

What moves: the limits, ``connectedAt`` and ``requestTimeEpoch`` of events, ``lastActiveAt``, and
the schedules of EventBridge's rules. What does not: timeouts of calls, functions' own clocks (and
so the expiry of tokens they check), the times of logs, of the trace and of other services, and the
check of signatures.

Rules: 6.07, 6.10.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from socketstack.clock import MovableClock
from socketstack.core.lifecycle import Deadline, Event, next_deadline
from socketstack.core.limits import CONNECTION_MAX_SECONDS
from socketstack.core.model import Json
from socketstack.errors import BadRequest, Conflict, NotFound
from socketstack.store import OpenConnection, Store
from socketstack.trace import Step, Trace

_SKIP_MAX_SECONDS: Final = 24 * 60 * 60
_ALL_SKIPS_MAX_MS: Final = 366 * _SKIP_MAX_SECONDS * 1000
_BEFORE_SECONDS: Final = 1.0
_SHOWN_CONNECTIONS: Final = 100
_FORMS: Final = (
    'Send {"skipSeconds": 600}, or {"to": "idle"} or {"to": "lifetime"}, the latter with '
    '"beforeSeconds" (1) and "connectionId" (the one whose limit comes first) if you like.'
)


class Limit(StrEnum):
    """What a skip can lead to."""

    IDLE = "idle"
    """Ten minutes of silence (6.07)."""
    LIFETIME = "lifetime"
    """Two hours in all (6.10)."""


@dataclass(frozen=True, slots=True)
class ByAmount:
    """Skip so many milliseconds, in which nothing is sent."""

    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToLimit:
    """Skip to just before a limit, of one connection or of the one that meets it first."""

    limit: Limit
    before_ms: int
    connection_id: str | None = None


Skip = ByAmount | ToLimit


def read_skip(body: Json) -> Skip:
    """What the JSON body of a request asks for. Raises ``BadRequest`` with the forms there are."""
    if not isinstance(body, dict) or ("to" in body) == ("skipSeconds" in body):
        raise _not_understood("one of skipSeconds and to is needed")
    known = {"to", "beforeSeconds", "connectionId"} if "to" in body else {"skipSeconds"}
    if set(body) - known:
        raise _not_understood(f"{', '.join(sorted(set(body) - known))} is not known with it")
    if "skipSeconds" in body:
        skipped = _milliseconds(body, "skipSeconds", _SKIP_MAX_SECONDS)
        if skipped == 0:
            raise _not_understood("skipSeconds must be above 0")
        return ByAmount(skipped)
    if body["to"] not in list(Limit):
        raise _not_understood("to is neither idle nor lifetime")
    connection_id = body.get("connectionId")
    if not isinstance(connection_id, str | None):
        raise _not_understood("connectionId is no text")
    return ToLimit(
        limit=Limit(body["to"]),
        before_ms=_milliseconds(body, "beforeSeconds", CONNECTION_MAX_SECONDS, _BEFORE_SECONDS),
        connection_id=connection_id,
    )


def _milliseconds(body: Mapping[str, Json], name: str, most: float, default: float = 0) -> int:
    seconds = body.get(name, default)
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= most:
        return math.ceil(seconds * 1000)
    raise _not_understood(f"{name} must be a number of seconds from 0 to {most:g}")


def _not_understood(why: str) -> BadRequest:
    return BadRequest(f"Not understood: {why}. {_FORMS}")


class Skips:
    """Skips, and what they lead to. Use on the event loop's thread only."""

    def __init__(self, *, clock: MovableClock, store: Store, trace: Trace) -> None:
        self._clock = clock
        self._store = store
        self._trace = trace

    def state(self) -> dict[str, Json]:
        """API Gateway's time, all skips so far, and which connections end next.

        ``connections`` are a hundred at most, in the order in which they end.
        """
        now_ms = self._clock.now_ms()
        entries = sorted(self._store.connections(), key=lambda entry: _next(entry).at_ms)
        return {
            "now": _moment(now_ms),
            "skippedSeconds": self._clock.skipped_ms / 1000,
            "connectionCount": len(entries),
            "connections": [_shown(entry, now_ms) for entry in entries[:_SHOWN_CONNECTIONS]],
        }

    def skip(self, wanted: Skip) -> dict[str, Json]:
        """Move the time; the answer is ``state`` with what this skip did.

        ``movedSeconds`` is 0 where a limit is nearer already than asked for; ``ending`` counts
        the connections whose time is over now.

        Raises:
            NotFound: the connection is not open.
            Conflict: no connection meets that limit next, or the skips would pass a year.
        """
        moved_ms = self._distance_ms(wanted)
        if self._clock.skipped_ms + moved_ms > _ALL_SKIPS_MAX_MS:
            raise Conflict("All skips together cannot pass a year: start the engine anew.")
        self._clock.skip(moved_ms)
        if isinstance(wanted, ToLimit) and wanted.limit is Limit.LIFETIME:
            self._keep_active()
        state = self.state()
        ending = sum(
            _next(entry).at_ms <= self._clock.now_ms() for entry in self._store.connections()
        )
        self._trace.emit(
            Step.CLOCK,
            f"skipped {moved_ms / 1000:g} s; it is {state['now']} for API Gateway, and "
            f"{ending} of {state['connectionCount']} connections end",
        )
        return {"movedSeconds": moved_ms / 1000, "ending": ending, **state}

    def _distance_ms(self, wanted: Skip) -> int:
        if isinstance(wanted, ByAmount):
            return wanted.milliseconds
        return max(0, self._limit_ms(wanted) - wanted.before_ms - self._clock.now_ms())

    def _limit_ms(self, wanted: ToLimit) -> int:
        """When the limit is met, by this clock."""
        entries = self._entries(wanted.connection_id)
        if wanted.limit is Limit.LIFETIME:
            return min(map(_expires_at_ms, entries))
        idle_at_ms = [each.at_ms for each in map(_next, entries) if each.event is Event.IDLE]
        if not idle_at_ms:
            raise Conflict(
                "Two hours come before ten minutes of silence for each of these connections. "
                'Skip {"to": "lifetime"}, or open a new one.'
            )
        return min(idle_at_ms)

    def _entries(self, connection_id: str | None) -> list[OpenConnection]:
        if connection_id is None:
            entries = self._store.connections()
            if not entries:
                raise Conflict("No connection is open: connect first, or skip an amount of time.")
            return entries
        entry = self._store.connection(connection_id)
        if entry is None:
            raise NotFound(f"The connection {connection_id!r} is not open.")
        return [entry]

    def _keep_active(self) -> None:
        now_ms = self._clock.now_ms()
        for entry in self._store.connections():
            self._store.touch(entry.connection.connection_id, now_ms)


def _next(entry: OpenConnection) -> Deadline:
    return next_deadline(
        connected_at_ms=entry.connection.connected_at_ms, last_active_ms=entry.last_active_ms
    )


def _expires_at_ms(entry: OpenConnection) -> int:
    return entry.connection.connected_at_ms + CONNECTION_MAX_SECONDS * 1000


def _shown(entry: OpenConnection, now_ms: int) -> Json:
    deadline = _next(entry)
    return {
        "connectionId": entry.connection.connection_id,
        "apiId": entry.connection.api_id,
        "stage": entry.connection.stage_name,
        "endsInSeconds": max(0, deadline.at_ms - now_ms) / 1000,
        "limit": str(Limit.IDLE if deadline.event is Event.IDLE else Limit.LIFETIME),
    }


def _moment(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"
