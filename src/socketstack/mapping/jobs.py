"""What engine and mapping worker say to each other: frames, and the worker's limits."""

import struct
from typing import BinaryIO, Final

CPU_SECONDS: Final = 2.0
"""How much computing one job may take."""
MEMORY_MAX_BYTES: Final = 768 * 1024 * 1024
"""The worker's whole address space."""
FRAME_MAX_BYTES: Final = 64 * 1024 * 1024
LENGTH: Final = struct.Struct("!I")


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = stream.read(size)
    return body if len(body) == size else None


def write_frame(stream: BinaryIO, body: bytes) -> None:
    """Send one frame."""
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()
