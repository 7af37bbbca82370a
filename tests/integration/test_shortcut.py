"""Posts that are answered in the turn that reads them, next to the same by aiohttp's way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dataplane_world import API, CLOSE, STAGE, TEXT, RawClient, World, eventually, running, soon

from socketstack.trace import Step


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with an echo API."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        yield world


def post(connection_id: str, body: bytes, *lines: str, version: str = "1.1") -> bytes:
    """A post through the path form, with further header lines."""
    path = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"
    head = [f"POST {path} HTTP/{version}", "Host: localhost", *lines]
    if not any(line.startswith("Transfer-Encoding") for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


async def answer(client: RawClient) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of the next answer; what differs each time is left out."""
    head = (await soon(client.reader.readuntil(b"\r\n\r\n"))).decode()
    status, *lines = head.rstrip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = await soon(client.reader.readexactly(int(headers["Content-Length"])))
    return status, {**headers, "x-amzn-RequestId": "", "Date": ""}, body


@pytest.mark.parametrize(
    ("connection_id", "size"),
    [
        pytest.param(None, 5, id="200"),
        pytest.param("AbCdEfGhIjKlMn-=", 5, id="410-without-a-body"),
        pytest.param("short", 5, id="400"),
    ],
)
async def test_both_ways_answer_alike(world: World, connection_id: str | None, size: int) -> None:
    """What is answered at once has the status, headers and body that aiohttp would write."""
    async with world.connect(), RawClient.dial(world) as poster:
        path = connection_id or world.connection_ids()[0]
        poster.send(post(path, b"x" * size))
        at_once = await answer(poster)
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
        poster.send(post(path, chunks, "Transfer-Encoding: chunked"))
        usual = await answer(poster)

    assert at_once == usual
    assert list(at_once[1]) == list(usual[1])


@pytest.mark.parametrize("pause_after", [1, 30, 160, 200], ids=str)
async def test_post_is_whole_however_it_is_cut(world: World, pause_after: int) -> None:
    """A head or a body that comes in two packets makes one message and one answer."""
    async with world.connect() as client, RawClient.dial(world) as poster:
        data = post(world.connection_ids()[0], b"0123456789" * 20)
        poster.send(data[:pause_after])
        await eventually(lambda: len(world.web.connections) == 1)
        poster.send(data[pause_after:])

        assert (await answer(poster))[0] == "HTTP/1.1 200 OK"
        assert await soon(client.recv()) == "0123456789" * 20
        assert world.web.requests_count == 1  # the socket's handshake: aiohttp saw no other


async def test_pipelined_posts_are_answered_in_order(world: World) -> None:
    """Posts behind each other on one connection arrive, and are answered, in their order."""
    async with world.connect() as client, RawClient.dial(world) as poster:
        (connection_id,) = world.connection_ids()
        numbers = [str(number) for number in range(40)]
        poster.send(b"".join(post(connection_id, number.encode()) for number in numbers))
        poster.send(post("AbCdEfGhIjKlMn-=", b"late"))
        statuses = [(await answer(poster))[0] for _ in range(41)]
        got = [await soon(client.recv()) for _ in numbers]

    assert statuses == ["HTTP/1.1 200 OK"] * 40 + ["HTTP/1.1 410 Gone"]
    assert got == numbers


@pytest.mark.parametrize(
    ("version", "line"),
    [("1.1", "Connection: close"), ("1.0", "X: y")],
    ids=["asked-to-close", "http-1.0"],
)
async def test_connection_that_is_not_kept_is_closed(world: World, version: str, line: str) -> None:
    """A poster that wants no second answer gets the end of the connection."""
    async with world.connect() as client, RawClient.dial(world) as poster:
        poster.send(post(world.connection_ids()[0], b"once", line, version=version))

        assert " 200 " in (await answer(poster))[0]
        assert await soon(poster.reader.read()) == b""
        assert await soon(client.recv()) == "once"


async def test_page_of_another_site_posts_nothing(world: World) -> None:
    """The guard against foreign pages stands before the short way, too."""
    async with world.connect() as client, RawClient.dial(world) as poster:
        poster.send(post(world.connection_ids()[0], b"evil", "Origin: http://evil.example"))
        refused = await answer(poster)
        await client.send("next")

        assert refused[0] == "HTTP/1.1 403 Forbidden"
        assert await soon(client.recv()) == "next"
    assert world.summaries(Step.PUSH) == []


async def test_post_that_waits_for_its_body_leaves_when_its_poster_does(world: World) -> None:
    """Half a body is posted to nobody, and the next connection is served."""
    async with world.connect() as client:
        data = post(world.connection_ids()[0], b"whole")
        async with RawClient.dial(world) as leaving:
            leaving.send(data[:-1])
            await eventually(lambda: len(world.web.connections) == 1)
        await eventually(lambda: not world.web.connections)
        async with RawClient.dial(world) as poster:
            poster.send(data)
            await answer(poster)

        assert await soon(client.recv()) == "whole"


async def test_posts_go_out_before_the_close_frame_of_a_delete(world: World) -> None:
    """What was posted before a connection is deleted arrives before its end."""
    async with RawClient.connect(world) as client:
        (entry,) = world.store.connections()
        entry.peer.send(b"one")
        entry.peer.send(b"two")
        entry.peer.close(1000, "")
        got = [await client.receive() for _ in range(3)]

    assert [(each.opcode, each.payload) for each in got[:2]] == [(TEXT, b"one"), (TEXT, b"two")]
    assert got[2].opcode == CLOSE


async def test_posts_and_replies_keep_their_order(world: World) -> None:
    """A reply that is written after a post arrives after it."""
    async with RawClient.connect(world) as client:
        (entry,) = world.store.connections()
        entry.peer.send(b"posted")
        entry.peer._reply("replied")  # type: ignore[attr-defined]
        got = [await client.receive() for _ in range(2)]

    assert [each.payload for each in got] == [b"posted", b"replied"]


async def test_many_posters_at_once_lose_nothing(world: World) -> None:
    """What comes on many connections in one turn is posted and answered, each by itself."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()

        async def post_one(number: int) -> str:
            async with RawClient.dial(world) as poster:
                poster.send(post(connection_id, str(number).encode()))
                return (await answer(poster))[0]

        statuses = await asyncio.gather(*map(post_one, range(50)))
        got = [await soon(client.recv()) for _ in range(50)]

    assert set(statuses) == {"HTTP/1.1 200 OK"}
    assert sorted(int(each) for each in got) == list(range(50))
