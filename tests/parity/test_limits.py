"""Sizes to the byte, binary frames and pings."""

import hashlib

import pytest
from parity.account import Account, Event, Function, Stage
from parity.cases import case
from parity.sockets import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawClient,
    closing,
    connect,
    connected_as,
    disconnect_event,
    frame,
)

rule = pytest.mark.rule
FRAME_MAX_BYTES = 32_768
MESSAGE_MAX_BYTES = 131_072


def fragments(total: int, size: int = FRAME_MAX_BYTES) -> bytes:
    """A text message of ``total`` bytes in frames of at most ``size``."""
    sizes = [min(size, total - at) for at in range(0, total, size)]
    last = len(sizes) - 1
    return b"".join(
        frame(CONTINUATION if number else TEXT, b"x" * length, is_final=number == last)
        for number, length in enumerate(sizes)
    )


def messages_of(account: Account, worker: Function, connection_id: str) -> list[Event]:
    """Message events of a connection, up to now."""

    def matches(event: Event) -> bool:
        context = event.get("requestContext", {})
        return (context.get("connectionId"), context.get("eventType")) == (connection_id, "MESSAGE")

    return account.calls_so_far(worker, matches)


@pytest.mark.parametrize(
    ("data", "length"),
    [
        case("6.02", "frame-of-32768", fragments(32_768), 32_768),
        case("6.01 6.04", "message-of-131072", fragments(131_072), 131_072),
        case("6.04", "many-small-frames", fragments(20_000, 1000), 20_000),
    ],
)
def test_what_is_within_the_limits_is_one_message(
    account: Account, chat: Stage, data: bytes, length: int
) -> None:
    """However it is cut, the function gets one event with the whole text."""
    with RawClient.connect(account, chat) as client:
        client.send(data)
        answer = client.receive_json()

    body = answer["body"]
    if length > 8192:
        digest = hashlib.sha256(b"x" * length).hexdigest()
        assert body == {"length": length, "sha256": digest}
    else:
        assert body == "x" * length


@pytest.mark.parametrize(
    ("data", "code"),
    [
        case("6.02 6.03 8.16", "frame-of-32769", frame(TEXT, b"x" * 32_769), 1009),
        case("6.01 6.03 8.16", "message-of-131073", fragments(131_073), 1009),
        case("6.01 6.03", "far-too-long", fragments(400_000), 1009),
        case("6.05 8.16", "binary", frame(BINARY, b"\x00\x01"), 1003),
        case("6.05", "begun-binary", frame(BINARY, b"\x00", is_final=False), 1003),
        case("6.05", "binary-that-is-json", frame(BINARY, b'{"action":"echo"}'), 1003),
    ],
)
def test_what_is_not_allowed_closes_with_its_code(
    account: Account,
    chat: Stage,
    worker: Function,
    data: bytes,
    code: int,
    *,
    request: pytest.FixtureRequest,
) -> None:
    """The client gets the code, ``$disconnect`` learns it, and no route gets the message."""
    mark = request.node.callspec.id
    with RawClient.connect(account, chat, X_Mark=mark) as client:
        client.send(data)
        got, _reason = client.receive_close()
        client.send(closing(got))

    (event,) = account.events(worker, connected_as(mark))
    connection_id = event["requestContext"]["connectionId"]
    left = disconnect_event(account, worker, connection_id)["requestContext"]
    assert (got, left["disconnectStatusCode"]) == (code, code)
    assert messages_of(account, worker, connection_id) == []


@rule("6.13")
def test_ping_is_answered_and_reaches_no_route(
    account: Account, chat: Stage, worker: Function
) -> None:
    """A pong brings the same bytes back."""
    with RawClient.connect(account, chat) as client:
        client.send(frame(PING, b"abc"))
        pong = client.receive()
        client.send(frame(TEXT, b"hello"))
        answer = client.receive_json()

    assert (pong.opcode, pong.payload) == (PONG, b"abc")
    assert answer["body"] == "hello"
    connection_id = answer["requestContext"]["connectionId"]
    assert len(messages_of(account, worker, connection_id)) == 1


@rule("6.02")
def test_ordinary_client_sees_1009(account: Account, chat: Stage) -> None:
    """A client library reports the code of a frame that was too big."""
    with connect(account, chat) as client:
        client.send("x" * 32_769)

        assert client.closing()[0] == 1009
