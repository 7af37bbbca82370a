"""Frames: the form of what goes out, and the limits on what comes in, however TCP cuts it."""

import struct
from collections.abc import Iterator

import pytest

from socketstack.core.limits import FRAME_MAX_BYTES, MESSAGE_MAX_BYTES
from socketstack.dataplane.frames import FrameGuard, close_frame, data_frames

TEXT, CONTINUATION, CLOSE, PING = 0x1, 0x0, 0x8, 0x9
MASK = b"\x00\x00\x00\x00"
"""Leaves the payload as it is."""


class Parser:
    """Keeps what the guard lets through."""

    def __init__(self) -> None:
        self.fed = bytearray()
        self.has_ended = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes."""
        self.fed += data
        return False, b""

    def feed_eof(self) -> None:
        """Note the end."""
        self.has_ended = True


class Guarded:
    """A guard, its parser and how often it complained."""

    def __init__(self) -> None:
        self.parser = Parser()
        self.guard = FrameGuard(self.parser)
        self.complaints = 0
        self.guard.on_exceeded = self._complain

    def _complain(self) -> None:
        self.complaints += 1

    def feed(self, data: bytes, size: int) -> tuple[bytes, int]:
        """Feed data in pieces of ``size``; what got through, and how often it complained."""
        for at in range(0, len(data), size):
            self.guard.feed_data(data[at : at + size])
        return bytes(self.parser.fed), self.complaints


def client_frame(
    opcode: int, length: int, *, is_final: bool = True, claims: int | None = None
) -> bytes:
    """A masked frame with ``length`` bytes; ``claims`` is the length it says it has."""
    told = length if claims is None else claims
    first = (0x80 if is_final else 0) | opcode
    if told < 126:
        head = struct.pack("!BB", first, 0x80 | told)
    elif told < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, told)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, told)
    return head + MASK + b"x" * length


def fragments(*lengths: int) -> bytes:
    """One text message in frames of these lengths."""
    last = len(lengths) - 1
    return b"".join(
        client_frame(CONTINUATION if number else TEXT, length, is_final=number == last)
        for number, length in enumerate(lengths)
    )


def read(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Opcode, finality and payload of a server's frames."""
    while data:
        first, length = data[0], data[1]
        at = 2
        if length == 126:
            length, at = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, at = int.from_bytes(data[2:10], "big"), 10
        assert data[1] < 0x80, "a server must not mask"
        yield first & 0x7F, bool(first & 0x80), data[at : at + length]
        data = data[at + length :]


# Out


@pytest.mark.parametrize(
    ("length", "sizes"),
    [
        pytest.param(0, [0], id="empty"),
        pytest.param(1, [1], id="one"),
        pytest.param(125, [125], id="longest-short-header"),
        pytest.param(126, [126], id="shortest-medium-header"),
        pytest.param(FRAME_MAX_BYTES, [32_768], id="exactly-one-frame"),
        pytest.param(FRAME_MAX_BYTES + 1, [32_768, 1], id="one-byte-more"),
        pytest.param(2 * FRAME_MAX_BYTES, [32_768, 32_768], id="exactly-two"),
        pytest.param(MESSAGE_MAX_BYTES, [32_768] * 4, id="largest-message"),
    ],
)
def test_message_travels_in_frames_of_at_most_32_kb(length: int, sizes: list[int]) -> None:
    """The first frame is text, the others continue it, and only the last is final."""
    data = bytes(at % 251 for at in range(length))

    frames = list(read(data_frames(data)))

    assert [len(payload) for _opcode, _final, payload in frames] == sizes
    assert [opcode for opcode, _final, _payload in frames] == [TEXT] + [0] * (len(sizes) - 1)
    assert [final for _opcode, final, _payload in frames] == [False] * (len(sizes) - 1) + [True]
    assert b"".join(payload for _opcode, _final, payload in frames) == data


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        pytest.param(1001, "Going away", b"\x03\xe9Going away", id="with-reason"),
        pytest.param(1000, "", b"\x03\xe8", id="without-reason"),
        pytest.param(4999, "x" * 200, b"\x13\x87" + b"x" * 123, id="reason-cut"),
        pytest.param(1005, "Client-side close frame status not set", b"", id="1005-never-travels"),
        pytest.param(1006, "", b"", id="1006-never-travels"),
    ],
)
def test_close_frame_says_code_and_reason(code: int, reason: str, payload: bytes) -> None:
    """A close frame fits a control frame, and codes that must not travel do not."""
    assert list(read(close_frame(code, reason))) == [(CLOSE, True, payload)]


# In


WITHIN = [
    pytest.param(client_frame(TEXT, 0), id="empty"),
    pytest.param(client_frame(TEXT, 125), id="short"),
    pytest.param(client_frame(TEXT, 126), id="medium"),
    pytest.param(client_frame(TEXT, FRAME_MAX_BYTES), id="largest-frame"),
    pytest.param(fragments(*[FRAME_MAX_BYTES] * 4), id="largest-message"),
    pytest.param(fragments(*[FRAME_MAX_BYTES] * 4, 0), id="largest-message-and-an-empty-frame"),
    pytest.param(fragments(FRAME_MAX_BYTES, 1) * 6, id="several-messages"),
    pytest.param(
        fragments(FRAME_MAX_BYTES, 9)[: FRAME_MAX_BYTES + 8]
        + client_frame(PING, 125)
        + client_frame(CONTINUATION, 9),
        id="ping-inside-a-message",
    ),
    pytest.param(client_frame(CLOSE, 2), id="close"),
]

BEYOND = [
    pytest.param(client_frame(TEXT, FRAME_MAX_BYTES + 1), id="frame-by-one-byte"),
    pytest.param(client_frame(TEXT, 70_000), id="frame-with-long-header"),
    pytest.param(fragments(*[FRAME_MAX_BYTES] * 4, 1), id="message-by-one-byte"),
    pytest.param(fragments(5, FRAME_MAX_BYTES + 1), id="later-frame-of-a-message"),
]


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("data", WITHIN)
def test_what_is_within_the_limits_passes_unchanged(data: bytes, size: int) -> None:
    """However the bytes are cut, the parser gets exactly what the client sent."""
    assert Guarded().feed(data, size) == (data, 0)


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("data", BEYOND)
def test_what_is_beyond_a_limit_is_told_once_and_dropped(data: bytes, size: int) -> None:
    """However the bytes are cut, the offence is told once; only a close frame follows it."""
    before, after = client_frame(TEXT, 3), client_frame(CLOSE, 2)
    guarded = Guarded()

    fed, complaints = guarded.feed(before + data + client_frame(TEXT, 9) * 3 + after, size)

    assert complaints == 1
    assert guarded.guard.is_exceeded
    assert fed.startswith(before)
    assert fed.endswith(after)
    assert client_frame(TEXT, 9) not in fed[len(before) :]


@pytest.mark.parametrize("claims", [2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
def test_claimed_length_is_refused_before_its_bytes_come(claims: int) -> None:
    """A header alone is enough to refuse, so nothing is kept for a frame of any size."""
    guarded = Guarded()

    fed, complaints = guarded.feed(client_frame(TEXT, 100, claims=claims), 1)

    assert (fed, complaints) == (b"", 1)


def test_end_of_the_stream_reaches_the_parser() -> None:
    """The parser learns that nothing more comes."""
    guarded = Guarded()

    guarded.guard.feed_eof()

    assert guarded.parser.has_ended
