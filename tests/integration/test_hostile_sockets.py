"""Random bytes, frames and messages on open sockets of a real engine.

Whatever a client sends, its socket ends in one of the known ways or goes on working; the engine
lives, and ``$disconnect`` runs once. The examples are drawn from a fixed seed.
"""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dataplane_world import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from engine_world import EngineWorld, eventually, running_engine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

_QUIET = settings(derandomize=True, max_examples=50, deadline=None, database=None)
_ECHO = """
    def handle(event, context):
        if event["requestContext"]["eventType"] == "DISCONNECT":
            print("GONE " + event["requestContext"]["connectionId"])
        return {"statusCode": 200, "body": "echo"}
"""
_KNOWN_CODES = {None, 1000, 1001, 1002, 1003, 1007, 1009}
_HANDSHAKE = (
    "GET /_aws/execute-api/{api}/dev HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)


class World:
    """An engine with an echo API."""

    def __init__(self, engine: EngineWorld) -> None:
        self.engine = engine
        arn = engine.make_function("echo", _ECHO)
        self.api = engine.make_api(dict.fromkeys(("$connect", "$disconnect", "$default"), arn))
        self.sockets = 0
        self._was_told = len(engine.engine_log())

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        """A socket whose handshake is done."""
        with socket.create_connection(("127.0.0.1", self.engine.port), timeout=10) as client:
            client.sendall(_HANDSHAKE.format(api=self.api.api_id).encode())
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += client.recv(1)
            assert answer.startswith(b"HTTP/1.1 101 "), answer
            self.sockets += 1
            yield client

    def assert_unharmed(self) -> None:
        """All sockets are gone, the engine answers, and no exception was written."""
        eventually(lambda: self.engine.own("GET", "health")[1]["connections"] == 0 or None)
        log = self.engine.engine_log()
        told, self._was_told = log[self._was_told :], len(log)
        assert "Traceback" not in told


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One engine for all examples; at its end every socket has had its one $disconnect."""
    with running_engine(tmp_path_factory.mktemp("hostile")) as engine:
        world = World(engine)
        yield world

        def gone() -> list[str] | None:
            lines = [line for line in engine.log_lines("echo") if line.startswith("GONE ")]
            return lines if len(lines) >= world.sockets else None

        lines = eventually(gone)
        assert len(lines) == len(set(lines)) == world.sockets


def _read_to_end(client: socket.socket) -> bytes:
    """Everything up to the server's close frame, or to the end of the stream."""
    received = b""
    try:
        while not _has_close(received) and (chunk := client.recv(65_536)):
            received += chunk
    except ConnectionError:
        pass  # cut off: what came before counts
    return received


def _has_close(received: bytes) -> bool:
    return CLOSE in [opcode for opcode, _payload in _frames(received)]


def _frames(received: bytes) -> Iterator[tuple[int, bytes]]:
    """What a server may send: whole, unmasked frames."""
    while received:
        opcode, length, start = received[0] & 0x0F, received[1], 2
        assert length < 128, "a server's frames are not masked"
        if length == 126:
            length, start = struct.unpack("!H", received[2:4])[0], 4
        yield opcode, received[start : start + length]
        received = received[start + length :]


def _close_code(received: bytes) -> int | None:
    """The code of the last frame; None when that is no close frame, or one without a code."""
    sent = list(_frames(received))
    opcodes = [opcode for opcode, _payload in sent]
    assert set(opcodes) <= {TEXT, PONG, CLOSE}
    assert CLOSE not in opcodes[:-1], "nothing follows a close frame"
    if not sent or opcodes[-1] != CLOSE or not sent[-1][1]:
        return None
    code: int = struct.unpack("!H", sent[-1][1][:2])[0]
    return code


@_QUIET
@given(st.binary(max_size=300))
@example(b"\x81\xff" + b"\xff" * 8 + b"\x00" * 4)
@example(b"\xff\xff\xff\xff")
@example(frame(TEXT, b"\xed\xa0\x80"))
def test_random_bytes_on_an_open_socket(world: World, data: bytes) -> None:
    """Bytes that are no frames end the socket in a known way."""
    with world.raw() as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        received = _read_to_end(client)

    assert _close_code(received) in _KNOWN_CODES
    world.assert_unharmed()


_FRAMES = st.builds(
    frame,
    st.sampled_from([TEXT, TEXT, CONTINUATION, BINARY, PING, PONG, CLOSE, 0x3, 0xB]),
    st.binary(max_size=130) | st.sampled_from([b'{"action":"x"}', b"", b"\x03\xe8"]),
    is_final=st.booleans(),
    is_masked=st.sampled_from([True, True, True, False]),
) | st.just(frame(TEXT, claims=32_769))


@_QUIET
@given(st.lists(_FRAMES, max_size=6))
def test_random_frames_on_an_open_socket(world: World, frames: list[bytes]) -> None:
    """Any sequence of frames is answered, or ends the socket in a known way."""
    with world.raw() as client:
        client.sendall(b"".join(frames) + frame(CLOSE, b"\x03\xe8"))
        received = _read_to_end(client)

    assert _close_code(received) in _KNOWN_CODES | set(range(3000, 5000))
    world.assert_unharmed()


@_QUIET
@given(st.lists(_JSON.map(json.dumps) | st.text(max_size=50), min_size=1, max_size=5))
@example(['{"action": "\\ud800"}'])
@example(["[" * 15_000 + "]" * 15_000])
@example(['{"a":' * 5_000 + "1" + "}" * 5_000])
@example(['{"action": ' + "9" * 5_000 + "}"])
@example(["NaN", "-Infinity", "1e999"])
@example(["\0", "\u2028", "\uffff", "\U0010ffff"])
def test_random_messages_are_all_answered(world: World, messages: list[str]) -> None:
    """Every message reaches the function or gets an error frame, and the socket stays open."""
    world.sockets += 1
    with connect(world.api.url, proxy=None, ping_interval=None) as client:
        for message in messages:
            client.send(message)
        answers = [client.recv(timeout=10) for _message in messages]

    assert answers == ["echo"] * len(messages)
    world.assert_unharmed()


@_QUIET
@given(st.binary(max_size=100), st.integers(min_value=0, max_value=2_000))
def test_client_that_leaves_in_the_middle(world: World, data: bytes, cut: int) -> None:
    """A message that is cut off anywhere and a reset leave no socket and no trace."""
    whole = frame(TEXT, b'{"action":"x"}' + b"y" * 1_900) + data
    with world.raw() as client:
        client.sendall(whole[:cut])
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    world.assert_unharmed()


def test_trace_of_hostile_messages_can_be_read(world: World) -> None:
    """The stream of events goes on where a message or an address holds what is no text."""
    world.sockets += 1
    with connect(world.api.url, proxy=None, ping_interval=None) as client:
        client.send('{"action": "\\ud800 \\u0007 \\u001b[31m"}')
        client.recv(timeout=10)

    steps = world.engine.steps("message")

    assert steps
    world.assert_unharmed()
