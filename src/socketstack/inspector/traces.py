"""Decision traces: everything that happened for one handshake, message or call, in one place.

A trace is named by its request id: the one in error frames, in ``x-amzn-RequestId`` of refused
handshakes and ``@connections`` calls, and in events. Kept are the newest ``KEPT_TRACES``, and of
older ones those that were refused, up to ``KEPT_REFUSALS``: a refusal must not be lost under the
traffic that follows it. Nothing is redacted here; what comes over the bus holds no secret.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from socketstack.core.model import Json
from socketstack.trace import Step, Trace, TraceEvent, cause_json

KEPT_TRACES: Final = 1000
KEPT_REFUSALS: Final = 200
KEPT_LINES: Final = 50
"""The last log lines of one function call: the error comes last."""
_STEPS_MAX: Final = 300

_KINDS: Final = {Step.HANDSHAKE: "CONNECT", Step.MESSAGE: "MESSAGE", Step.PUSH: "@connections"}
_ENDINGS: Final = frozenset(
    {Step.REFUSED, Step.CONNECTED, Step.REPLY, Step.ERROR, Step.PUSH, Step.INVOKED}
)


@dataclass(frozen=True, slots=True)
class DecisionTrace:
    """One request's steps, oldest first; at least one."""

    steps: tuple[TraceEvent, ...]

    @property
    def trace_id(self) -> str:
        """The request id."""
        return self.steps[0].request_id

    @property
    def kind(self) -> str:
        """``CONNECT``, ``MESSAGE``, ``DISCONNECT``, ``@connections``, or ``request`` for others."""
        first = self.steps[0]
        if first.step in _KINDS:
            return _KINDS[first.step]
        if first.detail.get("routeKey") == "$disconnect":
            return "DISCONNECT"
        named = first.detail.get("kind")
        return named if isinstance(named, str) else "request"

    @property
    def ending(self) -> TraceEvent | None:
        """The step that settled it; None while it goes on."""
        endings = [event for event in self.steps if event.step in _ENDINGS]
        if not endings or (self.kind in {"CONNECT", "MESSAGE"} and _is_under_way(endings[-1])):
            return None
        return endings[-1]

    @property
    def refusal(self) -> TraceEvent | None:
        """The last step that failed; None when nothing did. Silence is no failure (5.26)."""
        return next(filter(_is_refusal, reversed(self.steps)), None)

    def summary(self) -> dict[str, Json]:
        """What a list shows of it."""
        first, ending, refused = self.steps[0], self.ending, self.refusal
        known = {
            "apiId": next((e.api_id for e in self.steps if e.api_id), ""),
            "stage": next((e.stage_name for e in self.steps if e.stage_name), ""),
            "connectionId": next((e.connection_id for e in self.steps if e.connection_id), ""),
        }
        shown: dict[str, Json] = {
            "id": self.trace_id,
            "kind": self.kind,
            "time": first.time_ms,
            **{name: value for name, value in known.items() if value},
            "outcome": "pending" if ending is None else str(ending.step),
        }
        if ending is not None:
            shown["durationMs"] = ending.time_ms - first.time_ms
            shown["summary"] = ending.summary
            if "status" in ending.detail:
                shown["status"] = ending.detail["status"]
        if refused is not None and refused.cause is not None:
            shown["refusal"] = {"reason": refused.summary, **cause_json(refused.cause)}
        return shown

    def as_json(self) -> dict[str, Json]:
        """All of it: the summary and ``steps``."""
        return {**self.summary(), "steps": [_step(event) for event in self.steps]}


class TraceBook:
    """Gathers the events of one bus into traces; a subscriber as long as the bus lives."""

    def __init__(self, trace: Trace) -> None:
        self._requests: dict[str, list[TraceEvent]] = {}
        self._refused: dict[str, list[TraceEvent]] = {}
        self._failed: set[str] = set()
        """Those of ``_requests`` that have a refusal."""
        self._lines: dict[str, deque[TraceEvent]] = {}
        """Log lines by the function's own id of the call."""
        trace.subscribe(self._take)

    def _take(self, event: TraceEvent) -> None:
        request_id = event.request_id
        if not request_id:
            return
        if event.step is Step.LOG:
            self._take_line(event)
            return
        steps = self._requests.get(request_id)
        if steps is None:
            if len(self._requests) >= KEPT_TRACES:
                self._drop_oldest()
            self._requests[request_id] = [event]
        elif len(steps) < _STEPS_MAX:
            steps.append(event)
        else:
            return
        if event.cause is not None and _is_refusal(event):
            self._failed.add(request_id)

    def _take_line(self, event: TraceEvent) -> None:
        lines = self._lines.get(event.request_id)
        if lines is None:
            if len(self._lines) >= KEPT_TRACES:
                del self._lines[next(iter(self._lines))]
            lines = self._lines[event.request_id] = deque(maxlen=KEPT_LINES)
        lines.append(event)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._requests))
        steps = self._requests.pop(oldest)
        if oldest in self._failed:
            self._failed.discard(oldest)
            if len(self._refused) >= KEPT_REFUSALS:
                del self._refused[next(iter(self._refused))]
            self._refused[oldest] = steps

    def find(self, trace_id: str) -> DecisionTrace | None:
        """The trace of a request id, or of the handshake that made a connection id."""
        steps = self._requests.get(trace_id) or self._refused.get(trace_id)
        if steps is None:
            return next((each for each in self.newest() if _opened(each, trace_id)), None)
        return self._whole(steps)

    def newest(self) -> Iterator[DecisionTrace]:
        """All that are kept, newest first, without log lines."""
        for book in (self._requests, self._refused):
            for steps in reversed(book.values()):
                yield DecisionTrace(tuple(steps))

    def _whole(self, steps: list[TraceEvent]) -> DecisionTrace:
        """With the lines that the called functions logged, in the order of time."""
        calls = [event.detail.get("functionRequestId") for event in steps]
        lines = [
            line for call in calls if isinstance(call, str) for line in self._lines.get(call, ())
        ]
        return DecisionTrace((steps[0], *sorted([*steps[1:], *lines], key=lambda e: e.time_ms)))


def _is_refusal(event: TraceEvent) -> bool:
    return event.cause is not None and event.step is not Step.REPLY


def _is_under_way(event: TraceEvent) -> bool:
    """An integration was called, and what came of it is still to be told."""
    return event.step is Step.INVOKED


def _opened(each: DecisionTrace, connection_id: str) -> bool:
    return each.kind == "CONNECT" and any(e.connection_id == connection_id for e in each.steps)


def _step(event: TraceEvent) -> dict[str, Json]:
    """An event without the ids that the trace has once for all."""
    shown = event.as_json()
    return {
        name: value
        for name, value in shown.items()
        if name not in {"apiId", "stage", "connectionId", "requestId"}
    }
