"""Just enough of RFC 6455 and HTTP for a cheap client: frames masked with zeros, one reader."""

import base64
import os
import struct
from urllib.parse import urlsplit

SMALL, MEDIUM = 126, 65_536
FINAL_TEXT, FINAL_CLOSE = 0x81, 0x88
_LONG = 127


def text_frame(payload: bytes) -> bytes:
    """One masked text frame; the mask is zero, so the payload stays readable."""
    return _frame(FINAL_TEXT, payload)


def close_frame(code: int = 1000) -> bytes:
    """A masked close frame."""
    return _frame(FINAL_CLOSE, struct.pack("!H", code))


def _frame(first: int, payload: bytes) -> bytes:
    if len(payload) < SMALL:
        head = struct.pack("!BB", first, 0x80 | len(payload))
    elif len(payload) < MEDIUM:
        head = struct.pack("!BBH", first, 0x80 | SMALL, len(payload))
    else:
        message = "the load generator sends less than 64 KB in a frame"
        raise ValueError(message)
    return head + b"\0\0\0\0" + payload


def handshake(url: str) -> bytes:
    """The request for an upgrade."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


class FrameReader:
    """Takes bytes of a server and gives whole frames: first byte and payload."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """All frames that are whole now."""
        self._waiting += data
        frames = []
        while (end := self._end()) is not None:
            start, stop = end
            frames.append((self._waiting[0], bytes(self._waiting[start:stop])))
            del self._waiting[:stop]
        return frames

    def _end(self) -> tuple[int, int] | None:
        have = self._waiting
        if len(have) < 2:  # noqa: PLR2004
            return None
        start, length = 2, have[1] & 0x7F
        if length == SMALL:
            start = 4
            length = int.from_bytes(have[2:4], "big") if len(have) >= start else MEDIUM
        elif length == _LONG:
            start = 10
            length = int.from_bytes(have[2:10], "big") if len(have) >= start else MEDIUM
        return (start, start + length) if len(have) >= start + length else None
