"""The frame guard: what aiohttp's reader does not check of a client's frames.

aiohttp limits whole messages and not frames, takes unmasked frames, misses a message that begins
inside an empty one, and tells of a binary message only when its last frame is there. The guard
reads frame headers only, and passes every byte before the first offence on to the reader, which
checks the rest of the protocol. From the offence on it skips frames, up to the client's close
frame: our close code arrives only at a client whose bytes are still read.

Rules: 6.01 to 6.05.
"""

from typing import Final

from socketstack.core.limits import FRAME_MAX_BYTES, MESSAGE_MAX_BYTES

PROTOCOL_ERROR: Final = 1002
TOO_BIG: Final = 1009
UNSUPPORTED: Final = 1003

_FIN: Final = 0x80
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MASK_BYTES: Final = 4
_SHORTEST: Final = 2 + _MASK_BYTES


class FrameGuard:
    """Follows the frames of one client, however TCP cuts them."""

    __slots__ = (
        "_head",
        "_is_close",
        "_is_in_message",
        "_left",
        "_message_bytes",
        "has_closed",
        "is_over",
        "offence",
    )

    def __init__(self) -> None:
        self._head = bytearray()
        """The beginning of a frame whose header is not complete yet."""
        self._left = 0
        """Bytes of the present frame that are still to come."""
        self._is_close = False
        """Whether the present frame is a close frame."""
        self._is_in_message = False
        self._message_bytes = 0
        self.has_closed = False
        """Whether a whole close frame came from the client."""
        self.is_over = False
        """Whether everything is skipped from now on; set it when the reader found an offence."""
        self.offence: int | None = None
        """The close code for what the client did wrong."""

    def is_plain(self, data: bytes) -> bool:
        """Whether the data are exactly one text message in one frame within the limit.

        That is the usual case, and the reader may have the data as they are.
        """
        if (
            self._left
            or self._head
            or self._is_in_message
            or self.is_over
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

    def passed(self, data: bytes) -> bytes:
        """The part of the data that the reader may have; all before the first offence."""
        kept = bytearray()
        position = 0
        while position < len(data):
            if self._left:
                took = min(self._left, len(data) - position)
                if not self.is_over:
                    kept += data[position : position + took]
                self._left -= took
                position += took
                self._note_end()
            else:
                position = self._read_header(data, position, kept)
        return bytes(kept)

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
        self._left = _payload_bytes(head)
        self._is_close = head[0] & _OPCODE == _CLOSE
        if not self.is_over:
            self.offence = self._judge(head)
            self.is_over = self.offence is not None
        if not self.is_over:
            kept += head
        self._note_end()

    def _note_end(self) -> None:
        if self._is_close and self._left == 0:
            self.has_closed = True

    def _judge(self, head: bytes) -> int | None:
        """The close code for a frame that must not come now, or None."""
        opcode = head[0] & _OPCODE
        if not head[1] & _MASKED:
            return PROTOCOL_ERROR
        if opcode >= _CLOSE:
            return None  # the reader knows what control frames may be
        if (opcode == _CONTINUATION) != self._is_in_message:
            return PROTOCOL_ERROR
        self._message_bytes += self._left
        if self._left > FRAME_MAX_BYTES or self._message_bytes > MESSAGE_MAX_BYTES:
            return TOO_BIG
        if opcode == _BINARY:
            return UNSUPPORTED
        self._is_in_message = not head[0] & _FIN
        if not self._is_in_message:
            self._message_bytes = 0
        return None


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
