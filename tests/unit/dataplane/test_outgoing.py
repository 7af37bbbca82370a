"""Frames that go out: text in pieces of at most 32 KB, pongs, close frames."""

from collections.abc import Iterator

import pytest

from socketstack.core.limits import FRAME_MAX_BYTES, MESSAGE_MAX_BYTES
from socketstack.dataplane.outgoing import close_frame, data_frames, pong_frame

TEXT, CLOSE, PONG = 0x1, 0x8, 0xA


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
        pytest.param(1005, "Client-side close frame status not set", b"", id="1005-never-travels"),
        pytest.param(1006, "", b"", id="1006-never-travels"),
    ],
)
def test_close_frame_says_code_and_reason(code: int, reason: str, payload: bytes) -> None:
    """A close frame fits a control frame, and codes that must not travel do not."""
    assert list(read(close_frame(code, reason))) == [(CLOSE, True, payload)]


def test_pong_returns_what_the_ping_brought() -> None:
    """A pong is one control frame with the ping's bytes."""
    assert list(read(pong_frame(b"abc"))) == [(PONG, True, b"abc")]
