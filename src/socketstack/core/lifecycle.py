"""The life of one connection: states, what moves them, deadlines, and the closing codes.

How to read the table: a row is a state, its entries say where an event leads. Every event is
legal in every state, because the causes race: a client can hang up while its ``$connect``
function still runs, and a DELETE can meet the idle timer. An event without an entry changes
nothing, so the first cause wins and later ones are ignored.

::

    CONNECTING --ACCEPTED--> OPEN --any closing cause--> CLOSING --DISCONNECTED--> CLOSED
        `-------REFUSED, or any closing cause------------------------------------^

``$disconnect`` runs in CLOSING and nowhere else: a failed handshake has none (2.35).

Rules: 2.06, 2.35, 6.03, 6.05, 6.07 to 6.11, 7.28, 8.01, 8.10 to 8.16.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from socketstack.core.limits import CONNECTION_MAX_SECONDS, IDLE_TIMEOUT_SECONDS


class State(StrEnum):
    """Where a connection is in its life."""

    CONNECTING = "CONNECTING"
    """The upgrade is pending: authorizer and ``$connect`` run; ``@connections`` gives 410."""
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    """The socket is closed or closing; ``$disconnect`` is running or about to."""
    CLOSED = "CLOSED"


class Event(StrEnum):
    """What can happen to a connection. All but the first three are closing causes."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    DISCONNECTED = "DISCONNECTED"
    """``$disconnect`` has run, or there is none (8.20)."""
    CLIENT_CLOSED = "CLIENT_CLOSED"
    LOST = "LOST"
    """The socket ended without a close frame."""
    DELETED = "DELETED"
    """DELETE on ``@connections``."""
    IDLE = "IDLE"
    EXPIRED = "EXPIRED"
    """The two hours are over."""
    TOO_BIG = "TOO_BIG"
    """A frame above 32 KB or a message above 128 KB."""
    BINARY = "BINARY"
    INVALID_TEXT = "INVALID_TEXT"
    """A text frame that is no UTF-8."""
    PROTOCOL_ERROR = "PROTOCOL_ERROR"
    REMOVED = "REMOVED"
    """The stage or the API was deleted."""
    SHUTDOWN = "SHUTDOWN"
    """The engine stops."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """``disconnectStatusCode`` and ``disconnectReason`` of an ending.

    A close frame carries the same, except 1005 and 1006, which never travel.
    """

    status_code: int
    reason: str


_OUTCOMES: Final = frozenset({Event.ACCEPTED, Event.REFUSED, Event.DISCONNECTED})
CLOSING_CAUSES: Final = frozenset(Event) - _OUTCOMES

TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.CONNECTING: {
        Event.ACCEPTED: State.OPEN,
        Event.REFUSED: State.CLOSED,
        **dict.fromkeys(CLOSING_CAUSES, State.CLOSED),
    },
    State.OPEN: dict.fromkeys(CLOSING_CAUSES, State.CLOSING),
    State.CLOSING: {Event.DISCONNECTED: State.CLOSED},
    State.CLOSED: {},
}

_GOING_AWAY: Final = Disconnect(1001, "Going away")
_NO_STATUS: Final = Disconnect(1005, "Client-side close frame status not set")

DISCONNECTS: Final[Mapping[Event, Disconnect]] = {
    Event.CLIENT_CLOSED: _NO_STATUS,  # 8.10; with a code see client_disconnect
    Event.LOST: Disconnect(1006, ""),  # 8.15; no reason was ever captured
    Event.DELETED: Disconnect(1000, "Connection Closed Normally"),  # 8.13
    Event.IDLE: _GOING_AWAY,  # 8.14
    Event.EXPIRED: _GOING_AWAY,  # 6.11
    Event.TOO_BIG: Disconnect(1009, "Message too long"),  # 8.16; reason not captured
    Event.BINARY: Disconnect(1003, "Binary frames are not supported"),  # the same
    Event.INVALID_TEXT: Disconnect(1007, "Invalid UTF-8"),
    Event.PROTOCOL_ERROR: Disconnect(1002, "Protocol error"),
    Event.REMOVED: _GOING_AWAY,
    Event.SHUTDOWN: _GOING_AWAY,
}


def advance(state: State, event: Event) -> State:
    """The state after an event; the same state where the event comes too late to matter."""
    return TRANSITIONS[state].get(event, state)


def runs_disconnect(before: State, after: State) -> bool:
    """Whether this transition is the one that runs ``$disconnect``. Rules 8.02, 2.35."""
    return before is State.OPEN and after is State.CLOSING


def client_disconnect(code: int | None, reason: str = "") -> Disconnect:
    """What ``$disconnect`` learns of a client's close frame.

    Args:
        code: The frame's status code; None or 1005 when it had none (8.10).
        reason: The frame's reason, passed on with the code (8.11, 8.12).
    """
    if code is None or code == _NO_STATUS.status_code:
        return _NO_STATUS
    return Disconnect(code, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a connection ends by itself, in the milliseconds of the clock given, and why."""

    at_ms: int
    event: Event


def next_deadline(
    *,
    connected_at_ms: int,
    last_active_ms: int,
    idle_seconds: float = IDLE_TIMEOUT_SECONDS,
    max_seconds: float = CONNECTION_MAX_SECONDS,
) -> Deadline:
    """The earlier of idle and age limit. Rules 6.07, 6.10.

    Args:
        connected_at_ms: When the socket opened.
        last_active_ms: The last message in either direction (6.09).
        idle_seconds: Silence that closes, 10 minutes.
        max_seconds: Age that closes however active, 2 hours.
    """
    idle_at = last_active_ms + round(idle_seconds * 1000)
    expires_at = connected_at_ms + round(max_seconds * 1000)
    if idle_at < expires_at:
        return Deadline(at_ms=idle_at, event=Event.IDLE)
    return Deadline(at_ms=expires_at, event=Event.EXPIRED)
