"""The frame guard: what is within the limits passes unchanged, however TCP cuts it."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketstack.core.limits import FRAME_MAX_BYTES
from socketstack.dataplane.guard import PROTOCOL_ERROR, TOO_BIG, FrameGuard

TEXT, CONTINUATION, CLOSE, PING = 0x1, 0x0, 0x8, 0x9
MASK = b"\x00\x00\x00\x00"
"""Leaves the payload as it is."""


def feed(guard: FrameGuard, data: bytes, size: int) -> bytes:
    """Feed data in pieces of ``size``; what got through."""
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(piece if guard.is_plain(piece) else guard.passed(piece) for piece in pieces)


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
    guard = FrameGuard()

    assert feed(guard, data, size) == data
    assert guard.offence is None


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("data", BEYOND)
def test_what_is_beyond_a_limit_is_an_offence_and_skipped(data: bytes, size: int) -> None:
    """However the bytes are cut, what came before passes, and nothing after the offence."""
    before, after = client_frame(TEXT, 3), client_frame(CLOSE, 2)
    guard = FrameGuard()

    fed = feed(guard, before + data + client_frame(TEXT, 9) * 3, size)
    has_closed = guard.has_closed
    feed(guard, after, size)

    assert guard.offence == TOO_BIG
    assert fed.startswith(before)
    assert client_frame(TEXT, 9) not in fed[len(before) :]
    assert (has_closed, guard.has_closed) == (False, True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x81\x03abc", id="unmasked"),
        pytest.param(client_frame(CONTINUATION, 3), id="nothing-to-continue"),
        pytest.param(
            client_frame(TEXT, 0, is_final=False) + client_frame(TEXT, 3), id="message-in-a-message"
        ),
    ],
)
def test_what_the_reader_would_take_wrongly_is_an_offence(data: bytes) -> None:
    """Frames that the protocol forbids and the reader does not notice."""
    guard = FrameGuard()

    feed(guard, data, 1)

    assert guard.offence == PROTOCOL_ERROR


@pytest.mark.parametrize("claims", [2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
def test_claimed_length_is_refused_before_its_bytes_come(claims: int) -> None:
    """A header alone is enough to refuse, so nothing is kept for a frame of any size."""
    guard = FrameGuard()

    fed = feed(guard, client_frame(TEXT, 100, claims=claims), 1)

    assert (fed, guard.offence) == (b"", TOO_BIG)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_cutting_a_stream_elsewhere_changes_nothing(data: bytes, cuts: list[int]) -> None:
    """Any bytes, cut anywhere, give the same bytes to the reader and the same verdict."""
    whole, cut = FrameGuard(), FrameGuard()
    edges = sorted({0, len(data), *(at for at in cuts if at < len(data))})

    passed = whole.passed(data)
    pieces = [cut.passed(data[start:end]) for start, end in pairwise(edges)]

    assert b"".join(pieces) == passed
    assert (cut.offence, cut.has_closed) == (whole.offence, whole.has_closed)
