"""The engine's end of a function process's socket pair: frames in, frames out, never blocking.

A frame is a length (4 bytes) and a kind (1 byte), then the body; see ``runner.bootstrap``.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final

_HEAD: Final = struct.Struct(">IB")
_RECEIVED_AT_ONCE_BYTES: Final = 64 * 1024
_FRAME_MAX_BYTES: Final = 8 * 1024 * 1024


class Sent(IntEnum):
    """Kinds of frames to the process."""

    SETTINGS = 1
    CALL = 2


class Received(IntEnum):
    """Kinds of frames from the process."""

    READY = 1
    INIT_ERROR = 2
    RESULT = 3
    ERROR = 4


class Channel:
    """One socket pair's end on the event loop.

    ``on_frame`` is called for every frame; ``on_end`` once, when the other side is gone or
    sends what is no frame, and not after ``close``.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_frame: Callable[[Received, bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        sock.settimeout(0)
        self._socket = sock
        self._on_frame = on_frame
        self._on_end = on_end
        self._received = b""
        self._unsent = b""
        self._is_writing = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._read)

    def send(self, kind: Sent, *parts: bytes) -> None:
        """Send one frame, now or as soon as the other side reads."""
        head = _HEAD.pack(sum(map(len, parts)), kind)
        self._unsent += b"".join((head, *parts))
        self._write()

    def close(self) -> None:
        """Give the socket up; nothing is called any more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the end of the other side is noticed when reading
        self._unsent = self._unsent[sent:]
        if self._unsent and not self._is_writing:
            self._loop.add_writer(self._socket, self._write)
        elif self._is_writing and not self._unsent:
            self._loop.remove_writer(self._socket)
        self._is_writing = bool(self._unsent)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_RECEIVED_AT_ONCE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        self._received = self._received + data if self._received else data
        while len(self._received) >= _HEAD.size and self._socket.fileno() >= 0:
            length, kind = _HEAD.unpack_from(self._received)
            if length > _FRAME_MAX_BYTES or not Received.READY <= kind <= Received.ERROR:
                self._end()
                return
            end = _HEAD.size + length
            if len(self._received) < end:
                return
            body = self._received[_HEAD.size : end]
            self._received = self._received[end:]
            self._on_frame(Received(kind), body)

    def _end(self) -> None:
        self.close()
        self._on_end()
