"""Frame and message limits, and what breaks the protocol, over real sockets.

Each case is sent in one piece, together with the handshake, and byte by byte; the close code must
arrive every time, also where the client is still sending.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from dataplane_world import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Frame,
    RawClient,
    World,
    closing,
    eventually,
    frame,
    returned,
    running,
    soon,
)

from socketstack.core.limits import FRAME_MAX_BYTES, MESSAGE_MAX_BYTES
from socketstack.trace import Step


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with an API whose ``$default`` route tells the message's length."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        yield world


def fragments(total: int, size: int = FRAME_MAX_BYTES) -> bytes:
    """A text message of ``total`` bytes in frames of at most ``size``."""
    sizes = [min(size, total - at) for at in range(0, total, size)]
    last = len(sizes) - 1
    return b"".join(
        frame(CONTINUATION if number else TEXT, b"x" * length, is_final=number == last)
        for number, length in enumerate(sizes)
    )


HOSTILE = [
    pytest.param(frame(TEXT, b"x" * 32_769), 1009, "Message too long", id="frame-of-32769"),
    pytest.param(fragments(131_073), 1009, "Message too long", id="message-of-131073"),
    pytest.param(
        fragments(131_072, 32_768)[:-32_776]
        + frame(CONTINUATION, b"x" * 32_768, is_final=False)
        + frame(CONTINUATION, b"x"),
        1009,
        "Message too long",
        id="one-byte-over-in-a-fifth-frame",
    ),
    pytest.param(frame(BINARY, b"\x00"), 1003, "Binary frames are not supported", id="binary"),
    pytest.param(
        frame(BINARY, b"a", is_final=False) + frame(CONTINUATION, b"b"),
        1003,
        "Binary frames are not supported",
        id="binary-in-fragments",
    ),
    pytest.param(
        frame(BINARY, b"a", is_final=False),
        1003,
        "Binary frames are not supported",
        id="first-fragment-of-a-binary-message",
    ),
    pytest.param(frame(TEXT, b"\xff\xfe"), 1007, "Invalid UTF-8", id="invalid-utf-8"),
    pytest.param(frame(TEXT, b"\xed\xa0\x80"), 1007, "Invalid UTF-8", id="surrogate"),
    pytest.param(
        frame(TEXT, b"\xc3", is_final=False) + frame(CONTINUATION, b"("),
        1007,
        "Invalid UTF-8",
        id="invalid-utf-8-in-fragments",
    ),
    pytest.param(frame(0x3, b"x"), 1002, "Protocol error", id="unknown-opcode"),
    pytest.param(frame(0xB, b"x"), 1002, "Protocol error", id="unknown-control-opcode"),
    pytest.param(frame(TEXT, b"x", reserved=0x40), 1002, "Protocol error", id="reserved-bit-1"),
    pytest.param(frame(TEXT, b"x", reserved=0x10), 1002, "Protocol error", id="reserved-bit-3"),
    pytest.param(frame(PING, b"x" * 126), 1002, "Protocol error", id="ping-of-126"),
    pytest.param(frame(PING, b"x", is_final=False), 1002, "Protocol error", id="ping-fragmented"),
    pytest.param(frame(CONTINUATION, b"x"), 1002, "Protocol error", id="nothing-to-continue"),
    pytest.param(
        frame(TEXT, b"a", is_final=False) + frame(TEXT, b"b"),
        1002,
        "Protocol error",
        id="message-in-a-message",
    ),
    pytest.param(
        frame(TEXT, b"", is_final=False) + frame(TEXT, b"b"),
        1002,
        "Protocol error",
        id="message-in-an-empty-message",
    ),
    pytest.param(frame(TEXT, b"x", is_masked=False), 1002, "Protocol error", id="unmasked"),
    pytest.param(
        frame(CLOSE, b"\x03\xe8", is_masked=False), 1002, "Protocol error", id="unmasked-close"
    ),
    pytest.param(frame(CLOSE, b"\x03"), 1002, "Protocol error", id="close-of-one-byte"),
    pytest.param(closing(1005), 1002, "Protocol error", id="close-1005"),
    pytest.param(closing(1006), 1002, "Protocol error", id="close-1006"),
    pytest.param(closing(1015), 1002, "Protocol error", id="close-1015"),
    pytest.param(closing(999), 1002, "Protocol error", id="close-999"),
    pytest.param(closing(2999), 1002, "Protocol error", id="close-2999"),
    pytest.param(closing(5000), 1002, "Protocol error", id="close-5000"),
    pytest.param(closing(65535), 1002, "Protocol error", id="close-65535"),
    pytest.param(closing(1000, b"\xff"), 1007, "Invalid UTF-8", id="close-reason-no-utf-8"),
    pytest.param(
        frame(TEXT, b"", claims=2**63 + 5), 1009, "Message too long", id="length-beyond-63-bits"
    ),
    pytest.param(
        frame(TEXT, b"", claims=2**40), 1009, "Message too long", id="length-of-a-terabyte"
    ),
]


async def end_of(client: RawClient) -> tuple[list[Frame], Frame]:
    """Frames up to the close frame, and the close frame."""
    frames = [await client.receive()]
    while frames[-1].opcode != CLOSE:
        frames.append(await client.receive())
    return frames[:-1], frames[-1]


@contextlib.contextmanager
def _broken_pipes_ignored() -> Iterator[None]:
    with contextlib.suppress(ConnectionError):
        yield


@pytest.mark.parametrize("cut", ["whole", "with-handshake", "byte-by-byte"])
@pytest.mark.parametrize(("data", "code", "reason"), HOSTILE)
async def test_what_is_not_allowed_closes_with_its_code(
    world: World, data: bytes, code: int, reason: str, cut: str
) -> None:
    """The client gets the code, $disconnect sees it once, and no route gets the message."""
    together = data if cut == "with-handshake" else b""

    async with RawClient.connect(world, together) as client:
        if cut == "whole":
            client.send(data)
        elif cut == "byte-by-byte":
            # Large payloads would take a minute; what matters are headers and ends.
            edges = {*range(64), *range(len(data) - 64, len(data))}
            steps = sorted(at for at in edges | {*range(0, len(data), 8191)} if 0 <= at < len(data))
            for start, end in zip(steps, [*steps[1:], len(data)], strict=True):
                client.send(data[start:end])
                await asyncio.sleep(0)
        before, close = await end_of(client)
        client.send(closing(code))

        assert (before, close.code, close.payload[2:].decode()) == ([], code, reason)
        assert await client.ended()

    assert await world.disconnected() == [(code, reason)]
    assert world.calls("echo") == []
    assert world.store.connection_count() == 0


@pytest.mark.parametrize("cut", ["whole", "with-handshake"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(TEXT, b"x" * 32_768), id="frame-of-32768"),
        pytest.param(fragments(131_072), id="message-of-131072-in-four"),
        pytest.param(fragments(131_072, 1000), id="message-of-131072-in-many"),
        pytest.param(
            frame(TEXT, b"", is_final=False)
            + frame(CONTINUATION, b"x", is_final=False)
            + frame(CONTINUATION),
            id="empty-frames",
        ),
        pytest.param(
            frame(TEXT, b"\xc3", is_final=False) + frame(CONTINUATION, b"\xa4"),
            id="character-cut-in-two",
        ),
    ],
)
async def test_what_is_within_the_limits_is_one_message(
    world: World, data: bytes, cut: str
) -> None:
    """A message of at most 128 KB in frames of at most 32 KB is one event."""
    world.answer("echo", returned({"statusCode": 200, "body": "got it"}))

    async with RawClient.connect(world, data if cut == "with-handshake" else b"") as client:
        if cut == "whole":
            client.send(data)

        assert (await client.receive()).payload == b"got it"

    assert len(world.calls("echo")) == 1


async def test_frames_cut_byte_by_byte_are_one_message(world: World) -> None:
    """However TCP cuts the bytes, the function gets the message."""
    data = frame(TEXT, b"hel", is_final=False) + frame(PING, b"?") + frame(CONTINUATION, b"lo")

    async with RawClient.connect(world) as client:
        for at in range(len(data)):
            client.send(data[at : at + 1])
            await asyncio.sleep(0.001)
        pong, message = await client.receive(), await client.receive()

    assert (pong.payload, message.payload) == (b"?", b"hello")


async def test_messages_before_the_offence_are_taken(world: World) -> None:
    """What came before a frame that is too big is answered, even in the same piece."""
    good = b"".join(frame(TEXT, str(number).encode()) for number in range(10))

    async with RawClient.connect(world) as client:
        client.send(good + frame(TEXT, b"x" * 40_000))
        _before, close = await end_of(client)

    assert close.code == 1009
    await world.disconnected()
    assert len(world.calls("echo")) == 10


async def test_messages_after_the_offence_are_not_taken(world: World) -> None:
    """Nothing that follows a binary frame or a frame too big reaches a route."""
    async with RawClient.connect(world) as client:
        client.send(frame(BINARY, b"x") + frame(TEXT, b"late"))
        assert (await end_of(client))[1].code == 1003
    async with RawClient.connect(world) as client:
        client.send(frame(TEXT, b"x" * 40_000) + frame(TEXT, b"late"))
        assert (await end_of(client))[1].code == 1009
    async with RawClient.connect(world) as client:
        client.send(frame(TEXT, b"\xff") + frame(TEXT, b"late"))
        assert (await end_of(client))[1].code == 1007

    await world.disconnected(3)
    assert world.calls("echo") == []


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    ("opening", "code"),
    [
        pytest.param(frame(TEXT, b"", claims=2**30), 1009, id="too-big"),
        pytest.param(frame(TEXT, b"\xff"), 1007, id="invalid-utf-8"),
        pytest.param(frame(0x3, b"x"), 1002, id="protocol-error"),
        pytest.param(frame(BINARY, b"x"), 1003, id="binary"),
    ],
)
async def test_close_code_arrives_while_the_client_is_still_sending(
    world: World, opening: bytes, code: int, *, secure: bool
) -> None:
    """A client that goes on sending megabytes without pause still gets the code."""
    options: dict[str, Any] = (
        {"ssl": world.trust(), "server_hostname": "localhost"} if secure else {}
    )

    async with RawClient.connect(world, **options) as client:

        async def pour() -> None:
            with _broken_pipes_ignored():
                client.send(opening)
                for _ in range(400):
                    client.send(frame(TEXT, b"y" * 30_000))
                    await client.writer.drain()

        pouring = asyncio.create_task(pour())
        # Read late: the code must survive in the socket until then.
        await eventually(lambda: world.store.connection_count() == 0)
        _before, close = await end_of(client)
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)

    assert close.code == code
    assert [got for got, _reason in await world.disconnected()] == [code]


@pytest.mark.parametrize("size", [32_769, 1_000_000])
async def test_ordinary_client_sees_1009(world: World, size: int) -> None:
    """The websockets library reports the code after sending a frame that is too big."""
    async with world.connect() as client:
        with contextlib.suppress(websockets.ConnectionClosedError):
            await client.send("x" * size)
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await soon(client.recv())

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1009, "Message too long")
    assert await world.disconnected() == [(1009, "Message too long")]


async def test_ordinary_client_sends_128_kb_in_fragments(world: World) -> None:
    """Fragments of the websockets library come back as one message."""
    async with world.connect() as client:
        await client.send(["x" * 32_768] * 4)

        assert await soon(client.recv()) == "x" * MESSAGE_MAX_BYTES


async def test_offence_is_told_in_the_trace(world: World) -> None:
    """The trace says with which code and why a connection ended."""
    async with world.connect() as client:
        await client.send(b"binary")
        with pytest.raises(websockets.ConnectionClosed):
            await soon(client.recv())

    await world.disconnected()
    assert world.summaries(Step.CLOSED) == ["1003 Binary frames are not supported (BINARY)"]


async def test_ping_flood_of_a_client_that_does_not_read_is_bounded(world: World) -> None:
    """Pongs for a client that reads nothing do not pile up in memory."""
    async with RawClient.connect(world, limit=1024) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            client.send(frame(PING, b"x" * 125) * 500)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.writer.drain(), 0.05)
            (entry,) = world.store.connections()
            assert entry.peer._transport.get_write_buffer_size() < 2_000_000  # type: ignore[attr-defined]
