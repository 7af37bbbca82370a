"""The event bus: every step of the engine as a typed event, for terminal, stream and tests.

One bus per engine. Emitting is synchronous and cheap; subscribers must not block. Whatever
may hold a token goes through ``redact`` before it enters an event, so no subscriber can leak
what it never had.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from socketstack.clock import Clock
from socketstack.core.model import Json

_KEPT_EVENTS: Final = 1000
_SHOWN_CHARACTERS: Final = 6
_SHORT: Final = 12


class Step(StrEnum):
    """What happened; one word per step, in the order a connection meets them."""

    HANDSHAKE = "handshake"
    IDENTITY = "identity"
    AUTHORIZER = "authorizer"
    DECISION = "decision"
    REFUSED = "refused"
    CONNECTED = "connected"
    MESSAGE = "message"
    ROUTE = "route"
    INVOKED = "invoked"
    FUNCTION = "function"
    LOG = "log"
    REPLY = "reply"
    FRAME = "frame"
    PUSH = "push"
    CLOSED = "closed"
    CONTROL = "control"
    CLOCK = "clock"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One step, with the ids that tie it to the others."""

    step: Step
    summary: str
    time_ms: int
    api_id: str = ""
    stage_name: str = ""
    connection_id: str = ""
    request_id: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        """The event as a JSON object with lowerCamelCase members; empty ids are left out."""
        ids = {
            "apiId": self.api_id,
            "stage": self.stage_name,
            "connectionId": self.connection_id,
            "requestId": self.request_id,
        }
        return {
            "time": self.time_ms,
            "step": str(self.step),
            "summary": self.summary,
            **{name: value for name, value in ids.items() if value},
            **({"detail": dict(self.detail)} if self.detail else {}),
        }


Subscriber = Callable[[TraceEvent], None]


class Trace:
    """The bus. Keeps the last thousand events for late subscribers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._subscribers: list[Subscriber] = []
        self._recent: deque[TraceEvent] = deque(maxlen=_KEPT_EVENTS)

    def emit(
        self,
        step: Step,
        summary: str,
        *,
        api_id: str = "",
        stage_name: str = "",
        connection_id: str = "",
        request_id: str = "",
        **detail: Json,
    ) -> None:
        """Tell every subscriber that a step happened, now."""
        event = TraceEvent(
            step=step,
            summary=summary,
            time_ms=self._clock.now_ms(),
            api_id=api_id,
            stage_name=stage_name,
            connection_id=connection_id,
            request_id=request_id,
            detail=detail,
        )
        self._recent.append(event)
        for subscriber in tuple(self._subscribers):
            subscriber(event)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` for every event from now on; returns the way to stop that."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def recent(self) -> tuple[TraceEvent, ...]:
        """The last thousand events, oldest first."""
        return tuple(self._recent)


def redact(value: str) -> str:
    """A secret as it may be shown: its first characters and its length, never the whole.

    >>> redact("eyJhbGciOiJIUzI1NiJ9.e30.c2ln")
    'eyJhbG… (28 characters)'
    """
    shown = value[:_SHOWN_CHARACTERS] if len(value) > _SHORT else ""
    return f"{shown}… ({len(value)} characters)"
