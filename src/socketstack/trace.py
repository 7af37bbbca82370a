"""The event bus: every step of the engine as a typed event, for terminal, stream and tests.

One bus per engine. Emitting is synchronous and cheap; subscribers must not block. Whatever
may hold a token goes through ``redact`` before it enters an event, so no subscriber can leak
what it never had.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from socketstack.clock import Clock
from socketstack.core.causes import Cause
from socketstack.core.model import Json

_KEPT_EVENTS: Final = 1000
_SHOWN_CHARACTERS: Final = 6
_SHORT: Final = 20
_JWT_START: Final = "eyJ"
_JWT: Final = re.compile(r"eyJ[\w-]{5,}\.[\w-]+\.[\w-]*")


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


class Place(Protocol):
    """Where something happened: ids, each empty where there is none. A ``Connection`` is one."""

    @property
    def api_id(self) -> str:
        """The API's id."""
        ...

    @property
    def stage_name(self) -> str:
        """The stage's name."""
        ...

    @property
    def connection_id(self) -> str:
        """The connection's id."""
        ...


class Spot(NamedTuple):
    """A place that is no open connection."""

    api_id: str = ""
    stage_name: str = ""
    connection_id: str = ""


NOWHERE: Final = Spot()


@dataclass(slots=True)  # not frozen: that makes it three times as slow to make
class TraceEvent:
    """One step, with the ids that tie it to the others. Nobody changes one."""

    step: Step
    summary: str
    time_ms: int
    place: Place = NOWHERE
    request_id: str = ""
    cause: Cause | None = None
    """Why something was refused, closed or lost; None for what went well."""
    detail: Mapping[str, Json] = field(default_factory=dict)
    """Further facts, by lowerCamelCase name; nothing secret."""

    @property
    def api_id(self) -> str:
        """The API's id, or nothing."""
        return self.place.api_id

    @property
    def stage_name(self) -> str:
        """The stage's name, or nothing."""
        return self.place.stage_name

    @property
    def connection_id(self) -> str:
        """The connection's id, or nothing."""
        return self.place.connection_id

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
            **({"cause": cause_json(self.cause)} if self.cause else {}),
            **({"detail": dict(self.detail)} if self.detail else {}),
        }


NO_DETAIL: Final[Mapping[str, Json]] = {}
Subscriber = Callable[[TraceEvent], None]


class Trace:
    """The bus. Keeps the last thousand events for late subscribers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._subscribers: tuple[Subscriber, ...] = ()
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
        cause: Cause | None = None,
        **detail: Json,
    ) -> None:
        """Tell every subscriber that a step happened, now; with a cause when it is a refusal."""
        place = Spot(api_id, stage_name, connection_id)
        self.publish(step, summary, place, request_id, cause, detail=detail)

    def publish(
        self,
        step: Step,
        summary: str,
        place: Place = NOWHERE,
        request_id: str = "",
        cause: Cause | None = None,
        *,
        detail: Mapping[str, Json] = NO_DETAIL,
    ) -> None:
        """The same, with the place and the details as one each: the way of every message."""
        now_ms = self._clock.now_ms()
        event = TraceEvent(step, summary, now_ms, place, request_id, cause, detail)
        self._recent.append(event)
        for subscriber in self._subscribers:
            subscriber(event)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` for every event from now on; returns the way to stop that."""
        self._subscribers = (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            self._subscribers = tuple(each for each in self._subscribers if each != subscriber)

        return unsubscribe

    def recent(self) -> tuple[TraceEvent, ...]:
        """The last thousand events, oldest first."""
        return tuple(self._recent)


def without_tokens(text: str) -> str:
    """A line of somebody else's, with everything that has the shape of a JWT redacted.

    >>> without_tokens("bad: eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl!")
    'bad: …F0dXJl (37 characters)!'
    """
    return _JWT.sub(lambda found: redact(found[0]), text) if _JWT_START in text else text


def cause_json(cause: Cause) -> dict[str, Json]:
    """A cause as a JSON object: its stable code, the rules it rests on, what helps, and where."""
    return {
        "code": cause.code,
        "rules": list(cause.rules),
        "means": cause.means,
        "fix": cause.fix,
        "page": cause.page,
    }


def redact(value: str) -> str:
    """A secret as it may be shown: its last characters and its length, never the whole.

    The last ones tell two tokens apart; the first are the same in every JWT.

    >>> redact("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")
    '…F0dXJl (37 characters)'
    """
    shown = value[-_SHOWN_CHARACTERS:] if len(value) > _SHORT else ""
    return f"…{shown} ({len(value)} characters)"
