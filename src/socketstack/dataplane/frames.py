"""Frames of a socket: limits on what comes in, the form of what goes out.

aiohttp's reader limits whole messages and not frames, so a guard stands before it. It reads frame
headers only, counts, and leaves everything else to the reader; a frame or message over the limit
never reaches the reader, and what follows is skipped up to the client's close frame, so that the
close code arrives before the connection ends.

Rules: 6.01 to 6.04, 7.25.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from socketstack.core.limits import FRAME_MAX_BYTES, MESSAGE_MAX_BYTES

_FIN: Final = 0x80
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MASK_BYTES: Final = 4
_MAX_16: Final = 0xFFFF
_SHORTEST: Final = 2 + _MASK_BYTES


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


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; 1005 and 1006 never travel, so they become an empty one."""
    if code in {1005, 1006}:
        return _header(_FIN | _CLOSE, 0)
    payload = struct.pack("!H", code) + reason.encode()[:123]
    return _header(_FIN | _CLOSE, len(payload)) + payload


def _header(first: int, length: int) -> bytes:
    if length < _LENGTH_16:
        return struct.pack("!BB", first, length)
    if length <= _MAX_16:
        return struct.pack("!BBH", first, _LENGTH_16, length)
    return struct.pack("!BBQ", first, _LENGTH_64, length)


class Parser(Protocol):
    """What aiohttp's protocol feeds with bytes."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes; whether this was the end, and what is left over."""
        ...

    def feed_eof(self) -> None:
        """The client sends nothing more."""
        ...


class FrameGuard:
    """Stands before a frame parser and lets through what is within the limits."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._head = bytearray()
        """The beginning of a frame whose header is not complete yet."""
        self._skipped = 0
        """Bytes of the present frame that are still to come."""
        self._message_bytes = 0
        self._is_dropping = False
        """Whether the present frame is kept from the parser."""
        self.is_exceeded = False
        self.on_exceeded: Callable[[], None] = lambda: None
        """Called once, when a limit is passed."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Pass on frames within the limits."""
        if self._skipped == 0 and not self._head and self._is_plain(data):
            return self._parser.feed_data(data)
        kept = bytearray()
        position = 0
        while position < len(data):
            if self._skipped:
                took = min(self._skipped, len(data) - position)
                if not self._is_dropping:
                    kept += data[position : position + took]
                self._skipped -= took
                position += took
            else:
                position = self._read_header(data, position, kept)
        return self._parser.feed_data(bytes(kept)) if kept else (False, b"")

    def feed_eof(self) -> None:
        """The client sends nothing more."""
        self._parser.feed_eof()

    def _is_plain(self, data: bytes) -> bool:
        """Whether the data are exactly one final text frame within the limit: the usual case."""
        if (
            self.is_exceeded
            or self._message_bytes
            or data[0] != _FIN | _TEXT
            or len(data) < _SHORTEST
        ):
            return False
        short = data[1] - _MASKED
        if 0 <= short < _LENGTH_16:
            return len(data) == _SHORTEST + short
        length = data[2] << 8 | data[3]
        return (
            short == _LENGTH_16
            and length <= FRAME_MAX_BYTES
            and len(data) == _SHORTEST + 2 + length
        )

    def _read_header(self, data: bytes, position: int, kept: bytearray) -> int:
        """Add bytes to the header until it is whole; returns the position behind them."""
        while position < len(data):
            self._head.append(data[position])
            position += 1
            if len(self._head) == _header_bytes(self._head):
                self._begin_frame(kept)
                break
        return position

    def _begin_frame(self, kept: bytearray) -> None:
        head = bytes(self._head)
        self._head.clear()
        length = _payload_bytes(head)
        self._count(head[0], length)
        self._is_dropping = self.is_exceeded and head[0] & _OPCODE != _CLOSE
        if not self._is_dropping:
            kept += head
        self._skipped = length

    def _count(self, first: int, length: int) -> None:
        if first & _OPCODE >= _CLOSE or self.is_exceeded:
            return  # a control frame, or it is over already
        self._message_bytes += length
        if length > FRAME_MAX_BYTES or self._message_bytes > MESSAGE_MAX_BYTES:
            self.is_exceeded = True
            self.on_exceeded()
        if first & _FIN:
            self._message_bytes = 0


def _header_bytes(head: bytearray) -> int:
    """How long a frame's header is; 2 until its second byte is there."""
    if len(head) < 2:  # noqa: PLR2004 - the two bytes that every frame has
        return 2
    mask = _MASK_BYTES if head[1] & _MASKED else 0
    length = head[1] & _LENGTH
    return 2 + mask + {_LENGTH_16: 2, _LENGTH_64: 8}.get(length, 0)


def _payload_bytes(head: bytes) -> int:
    length = head[1] & _LENGTH
    if length == _LENGTH_16:
        return int.from_bytes(head[2:4], "big")
    if length == _LENGTH_64:
        return int.from_bytes(head[2:10], "big")
    return length


class GuardedHandler(RequestHandler):
    """aiohttp's connection, with the guard before every frame parser."""

    __slots__ = ("guard",)

    guard: FrameGuard

    def set_parser(self, parser: Any, data_received_cb: Callable[[], None] | None = None) -> None:
        """Take the frame parser when a socket opens; bytes that are there already are fed now."""
        self.guard = FrameGuard(parser)
        super().set_parser(self.guard, data_received_cb)  # type: ignore[arg-type]


def guarded(server: web.Server, **options: Any) -> Callable[[], GuardedHandler]:
    """Makes a server's connections with the guard; ``options`` are aiohttp's own."""
    loop = asyncio.get_running_loop()
    return lambda: GuardedHandler(server, loop=loop, **options)
