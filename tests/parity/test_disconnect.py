"""How connections end, and what ``$disconnect`` learns of it."""

import pytest
from parity.account import Account, Event, Function, Stage, refusal
from parity.apis import ApiBuilder, Route
from parity.cases import case
from parity.sockets import RawClient, closing, connect, disconnect_event, left

rule = pytest.mark.rule
DEFAULT = "$default"


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        case("8.10", "no-code", closing(), 1005, "Client-side close frame status not set"),
        case("8.11", "page-left", closing(1001), 1001, ""),
        case("8.12", "code-and-reason", closing(4001, b"tired"), 4001, "tired"),
        case("8.12", "normal", closing(1000, b"bye"), 1000, "bye"),
        case("8.15", "lost", b"", 1006, None),
    ],
)
def test_disconnect_learns_code_and_reason(
    account: Account,
    chat: Stage,
    worker: Function,
    data: bytes,
    *,
    code: int,
    reason: str | None,
) -> None:
    """The client's close frame, or its lack, is told."""
    with RawClient.connect(account, chat) as client:
        connection_id = client.ask_id()
        if data:
            client.send(data)
            client.receive_close()

    context = disconnect_event(account, worker, connection_id)["requestContext"]
    assert context["disconnectStatusCode"] == code
    assert reason is None or context["disconnectReason"] == reason


@rule("8.01", "8.18")
def test_disconnect_runs_when_the_connection_is_gone(account: Account, worker: Function) -> None:
    """What the function posts to the connection that it is told of is answered with 410."""
    builder = ApiBuilder(account, "posting").add(
        Route(key=DEFAULT, function=worker, is_two_way=True)
    )
    address = builder.stage("dev").management_url
    poster = account.make_function("poster", wish={"post_to": address})
    stage = builder.add(Route(key="$disconnect", function=poster)).deploy()

    with connect(account, stage) as client:
        connection_id = client.connection_id

    def has_posted(event: Event) -> bool:
        return "posted" in event and event["requestContext"]["connectionId"] == connection_id

    (event,) = account.events(poster, has_posted)
    assert event["posted"] == 410


@rule("8.02")
def test_disconnect_runs_once(account: Account, chat: Stage, worker: Function) -> None:
    """A connection that both sides close has one event."""
    with connect(account, chat) as client:
        connection_id = client.connection_id
        account.management(chat).delete_connection(ConnectionId=connection_id)
        client.socket.close(code=4000, reason="me too")
    disconnect_event(account, worker, connection_id)
    with connect(account, chat) as second:
        other_id = second.connection_id
    disconnect_event(account, worker, other_id)

    assert len(account.calls_so_far(worker, left(connection_id))) == 1


@rule("8.19")
def test_failing_disconnect_has_no_effect(account: Account, worker: Function) -> None:
    """The client's close is answered as usual, and others stay connected."""
    failing = account.make_function("failing", wish={"raise": "boom"})
    stage = (
        ApiBuilder(account, "failing")
        .add(
            Route(key="$disconnect", function=failing),
            Route(key=DEFAULT, function=worker, is_two_way=True),
        )
        .deploy()
    )

    with connect(account, stage) as staying:
        with RawClient.connect(account, stage) as leaving:
            connection_id = leaving.ask_id()
            leaving.send(closing(1000))
            code, _reason = leaving.receive_close()
        disconnect_event(account, failing, connection_id)
        event = staying.event("still here")

    assert code == 1000
    assert event["body"] == "still here"


@rule("8.20", "10.08")
def test_api_without_disconnect_route_just_ends(
    account: Account, plain: Stage, worker: Function
) -> None:
    """The connection is gone, and no function hears of it, ``$default`` included."""
    with connect(account, plain) as client:
        connection_id = client.connection_id

    def is_gone() -> bool | None:
        call = account.management(plain).get_connection
        try:
            return refusal(call, ConnectionId=connection_id).status == 410 or None
        except AssertionError:
            return None

    assert account.eventually(is_gone, "410")
    assert not account.was_called(worker, left(connection_id))
