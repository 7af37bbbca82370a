import pytest

from socketstack.core.lifecycle import (
    CLOSING_CAUSES,
    DISCONNECTS,
    TRANSITIONS,
    Deadline,
    Disconnect,
    Event,
    State,
    advance,
    client_disconnect,
    next_deadline,
    runs_disconnect,
)


def test_accepted_handshake_opens_and_ends_through_disconnect() -> None:
    """An accepted connection opens, closes, runs $disconnect and is closed."""
    states = [State.CONNECTING]
    for event in (Event.ACCEPTED, Event.DELETED, Event.DISCONNECTED):
        states.append(advance(states[-1], event))

    assert states == [State.CONNECTING, State.OPEN, State.CLOSING, State.CLOSED]


@pytest.mark.parametrize("event", [Event.REFUSED, *sorted(CLOSING_CAUSES)])
def test_handshake_that_fails_runs_no_disconnect(event: Event) -> None:
    """A handshake that is refused or breaks off closes at once, without $disconnect."""
    after = advance(State.CONNECTING, event)

    assert after is State.CLOSED
    assert not runs_disconnect(State.CONNECTING, after)


@pytest.mark.parametrize("event", sorted(CLOSING_CAUSES))
def test_every_cause_closes_an_open_connection_once(event: Event) -> None:
    """Each cause closes an open connection and runs $disconnect; a second one is too late."""
    first = advance(State.OPEN, event)
    second = advance(first, Event.LOST)

    assert runs_disconnect(State.OPEN, first)
    assert second is State.CLOSING
    assert not runs_disconnect(first, second)


@pytest.mark.parametrize("event", list(Event))
def test_closed_stays_closed(event: Event) -> None:
    """Nothing opens a closed connection again, not even a handshake that ends late."""
    assert advance(State.CLOSED, event) is State.CLOSED


@pytest.mark.parametrize("event", [Event.ACCEPTED, Event.REFUSED, Event.DISCONNECTED])
def test_handshake_outcomes_do_not_move_an_open_connection(event: Event) -> None:
    """What belongs to another state changes nothing in an open one."""
    assert advance(State.OPEN, event) is State.OPEN


def test_every_state_has_a_row_and_every_cause_a_code() -> None:
    """The tables are complete."""
    assert set(TRANSITIONS) == set(State)
    assert set(DISCONNECTS) == CLOSING_CAUSES


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        pytest.param(
            Event.CLIENT_CLOSED, 1005, "Client-side close frame status not set", id="no-code"
        ),
        pytest.param(Event.DELETED, 1000, "Connection Closed Normally", id="deleted"),
        pytest.param(Event.IDLE, 1001, "Going away", id="idle"),
        pytest.param(Event.EXPIRED, 1001, "Going away", id="expired"),
    ],
)
def test_captured_codes_and_reasons(event: Event, code: int, reason: str) -> None:
    """$disconnect learns the codes and reasons that were captured on AWS."""
    assert DISCONNECTS[event] == Disconnect(code, reason)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        pytest.param(Event.LOST, 1006, id="lost"),
        pytest.param(Event.TOO_BIG, 1009, id="too-big"),
        pytest.param(Event.BINARY, 1003, id="binary"),
        pytest.param(Event.INVALID_TEXT, 1007, id="invalid-text"),
        pytest.param(Event.PROTOCOL_ERROR, 1002, id="protocol-error"),
        pytest.param(Event.REMOVED, 1001, id="removed"),
        pytest.param(Event.SHUTDOWN, 1001, id="shutdown"),
    ],
)
def test_other_causes_report_their_code(event: Event, code: int) -> None:
    """$disconnect learns the code that the socket was closed with."""
    assert DISCONNECTS[event].status_code == code


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        pytest.param(None, "", DISCONNECTS[Event.CLIENT_CLOSED], id="no-code"),
        pytest.param(1005, "", DISCONNECTS[Event.CLIENT_CLOSED], id="no-code-as-1005"),
        pytest.param(1001, "", Disconnect(1001, ""), id="page-left"),
        pytest.param(4000, "bye", Disconnect(4000, "bye"), id="code-and-reason"),
    ],
)
def test_client_code_and_reason_are_passed_on(
    code: int | None, reason: str, expected: Disconnect
) -> None:
    """What the client's close frame says is what $disconnect learns."""
    assert client_disconnect(code, reason) == expected


@pytest.mark.parametrize(
    ("last_active_ms", "deadline"),
    [
        pytest.param(1_000, Deadline(at_ms=601_000, event=Event.IDLE), id="silent"),
        pytest.param(60_000, Deadline(at_ms=660_000, event=Event.IDLE), id="active"),
        pytest.param(6_601_000, Deadline(at_ms=7_201_000, event=Event.EXPIRED), id="both-at-once"),
        pytest.param(7_000_000, Deadline(at_ms=7_201_000, event=Event.EXPIRED), id="two-hours"),
    ],
)
def test_connection_ends_after_ten_silent_minutes_or_two_hours(
    last_active_ms: int, deadline: Deadline
) -> None:
    """Ten minutes without a message end a connection, and two hours however active it is."""
    assert next_deadline(connected_at_ms=1_000, last_active_ms=last_active_ms) == deadline


def test_limits_can_be_shortened() -> None:
    """Other limits than the service's can be asked for."""
    deadline = next_deadline(
        connected_at_ms=0, last_active_ms=0, idle_seconds=0.5, max_seconds=0.25
    )

    assert deadline == Deadline(at_ms=250, event=Event.EXPIRED)
