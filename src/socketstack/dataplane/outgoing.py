"""Frames as they go out to a client: text in pieces of at most 32 KB, pongs, close frames.

Rules: 6.06, 6.13, 7.25.
"""

import struct
from typing import Final

from socketstack.core.limits import FRAME_MAX_BYTES

_FIN: Final = 0x80
_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_PONG: Final = 0xA
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MAX_16: Final = 0xFFFF
_NEVER_SENT: Final = frozenset({1005, 1006})


def data_frames(data: bytes) -> bytes:
    """One text message as it travels: frames of at most 32 KB. Rule 7.25."""
    if len(data) <= FRAME_MAX_BYTES:
        return _header(_FIN | _TEXT, len(data)) + data
    parts = [data[at : at + FRAME_MAX_BYTES] for at in range(0, len(data), FRAME_MAX_BYTES)]
    frames = []
    for number, part in enumerate(parts):
        opcode = _CONTINUATION if number else _TEXT
        final = _FIN if number == len(parts) - 1 else 0
        frames.append(_header(final | opcode, len(part)) + part)
    return b"".join(frames)


def pong_frame(data: bytes) -> bytes:
    """The answer to a ping with these at most 125 bytes. Rule 6.13."""
    return _header(_FIN | _PONG, len(data)) + data


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; 1005 and 1006 never travel, so they become an empty one.

    ``reason`` is ASCII of at most 123 characters.
    """
    if code in _NEVER_SENT:
        return _header(_FIN | _CLOSE, 0)
    payload = struct.pack("!H", code) + reason.encode("ascii")
    return _header(_FIN | _CLOSE, len(payload)) + payload


def _header(first: int, length: int) -> bytes:
    if length < _LENGTH_16:
        return struct.pack("!BB", first, length)
    if length <= _MAX_16:
        return struct.pack("!BBH", first, _LENGTH_16, length)
    return struct.pack("!BBQ", first, _LENGTH_64, length)
