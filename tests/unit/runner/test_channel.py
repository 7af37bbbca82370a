import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from runner_world import eventually

from socketstack.runner.channel import Channel, Received, Sent


class Ends:
    """A channel, the other side's socket, and what the channel told."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.frames: list[tuple[Received, bytes]] = []
        self.ended = 0
        self.channel = Channel(ours, on_frame=self._frame, on_end=self._end)

    def _frame(self, kind: Received, body: bytes) -> None:
        self.frames.append((kind, body))

    def _end(self) -> None:
        self.ended += 1


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """Both ends of a socket pair, closed afterwards."""
    both = Ends()
    yield both
    both.channel.close()
    both.theirs.close()


FRAMES = struct.pack(">IB", 5, 3) + b"hello" + struct.pack(">IB", 0, 1)


@pytest.mark.parametrize("size", [1, 2, 6, 1000])
async def test_frames_do_not_depend_on_how_bytes_arrive(ends: Ends, size: int) -> None:
    """The same bytes cut anywhere are the same frames."""
    for start in range(0, len(FRAMES), size):
        ends.theirs.send(FRAMES[start : start + size])
        await asyncio.sleep(0)

    await eventually(lambda: len(ends.frames) == 2)
    assert ends.frames == [(Received.RESULT, b"hello"), (Received.READY, b"")]


async def test_large_frame_is_sent_whole_without_blocking(ends: Ends) -> None:
    """A frame larger than the socket's buffer goes out as the other side reads."""
    body = bytes(range(256)) * 40_000
    ends.channel.send(Sent.CALL, body[:10], body[10:])
    ends.channel.send(Sent.CALL, b"next")
    expected = struct.pack(">IB", len(body), 2) + body + struct.pack(">IB", 4, 2) + b"next"

    ends.theirs.settimeout(0)
    got = bytearray()
    loop = asyncio.get_running_loop()
    while len(got) < len(expected):
        got += await asyncio.wait_for(loop.sock_recv(ends.theirs, 1 << 20), 10)

    assert bytes(got) == expected


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(struct.pack(">IB", 9_000_000, 3), id="too-long"),
        pytest.param(struct.pack(">IB", 1, 9) + b"x", id="unknown-kind"),
    ],
)
async def test_what_is_no_frame_ends_the_channel(ends: Ends, data: bytes) -> None:
    """A frame that cannot be is never waited for: the channel is given up, once."""
    ends.theirs.send(data)

    await eventually(lambda: ends.ended)
    assert (ends.frames, ends.ended) == ([], 1)


async def test_other_side_that_leaves_ends_the_channel(ends: Ends) -> None:
    """When the other side closes, the channel says so, once, and sending does no harm."""
    ends.theirs.close()
    ends.channel.send(Sent.CALL, b"into the void")

    await eventually(lambda: ends.ended)
    assert ends.ended == 1


async def test_closed_channel_says_nothing(ends: Ends) -> None:
    """After closing it oneself nothing is called any more."""
    ends.theirs.send(FRAMES)
    ends.channel.close()
    ends.channel.close()

    await asyncio.sleep(0)

    assert (ends.frames, ends.ended) == ([], 0)
