"""The content encoding ``aws-chunked``: how SDKs send an object whose checksum comes last.

Each chunk is a line with its size in hexadecimal (a signature may follow after a semicolon), the
bytes and a line end; after the chunk of size 0 come trailing headers, for example
``x-amz-checksum-crc32``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_END: Final = b"\r\n"


class MalformedChunks(ValueError):  # noqa: N818 - the client's fault, not ours
    """The body is not what ``aws-chunked`` promises."""


@dataclass(frozen=True, slots=True)
class Unchunked:
    """The object's bytes and the trailing headers, names in lower case."""

    data: bytes
    trailers: Mapping[str, str]


def is_chunked(content_sha256: str | None) -> bool:
    """Whether the header ``x-amz-content-sha256`` announces chunks."""
    return (content_sha256 or "").startswith("STREAMING-")


def unchunk(body: bytes) -> Unchunked:
    """Join the chunks. Raises ``MalformedChunks``."""
    pieces: list[bytes] = []
    position = 0
    while True:
        line_end = body.find(_END, position)
        if line_end < 0:
            raise MalformedChunks("A chunk's size line does not end.")
        size = _size(body[position:line_end])
        position = line_end + len(_END)
        if size == 0:
            return Unchunked(b"".join(pieces), _trailers(body[position:]))
        chunk_end = position + size
        if body[chunk_end : chunk_end + len(_END)] != _END:
            raise MalformedChunks("A chunk is shorter or longer than its size says.")
        pieces.append(body[position:chunk_end])
        position = chunk_end + len(_END)


def _size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0].strip() or b"x", 16)
    except ValueError:
        raise MalformedChunks("A chunk's size is not a hexadecimal number.") from None


def _trailers(text: bytes) -> dict[str, str]:
    pairs = (line.partition(b":") for line in text.split(_END) if b":" in line)
    return {
        name.strip().decode("latin-1").lower(): value.strip().decode("latin-1")
        for name, _, value in pairs
    }
