"""Connections whose functions hang: what others meet while the socket is not read."""

import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dataplane_world import (
    API,
    CLOSE,
    STAGE,
    TEXT,
    Hanging,
    RawClient,
    World,
    closing,
    eventually,
    frame,
    running,
)

from socketstack.dataplane.session import MESSAGES_AT_ONCE

LOST = (1006, "")
NORMALLY = (1000, "Connection Closed Normally")
_FEW = 3
_MORE_THAN_IS_BUFFERED = 20


class Busy:
    """A data plane whose function hangs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.function = Hanging()
        world.answer("echo", self.function)
        world.deploy_echo()

    async def flood(self, client: RawClient, waiting: int, size: int) -> str:
        """Send until all calls hang and some messages wait; returns the connection's id."""
        client.send(frame(TEXT, b"call") * MESSAGES_AT_ONCE)
        client.send(frame(TEXT, b"w" * size) * waiting)
        await client.writer.drain()
        await eventually(lambda: self.function.started == MESSAGES_AT_ONCE)
        (connection_id,) = self.world.connection_ids()
        return connection_id

    async def manage(self, method: str, connection_id: str) -> int:
        """One management call; its status."""
        path = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"
        return (await self.world.http(method, path, b"x" if method == "POST" else b"")).status


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[Busy]:
    """The function is released at the end."""
    async with running(tmp_path) as world:
        busy = Busy(world)
        try:
            yield busy
        finally:
            busy.function.release()


@pytest.mark.parametrize("how", ["end-of-stream", "reset"])
async def test_client_that_vanishes_is_gone_while_its_messages_hang(busy: Busy, how: str) -> None:
    """@connections gives 410 at once; what was sent is still answered, and then is $disconnect."""
    async with RawClient.connect(busy.world) as client:
        connection_id = await busy.flood(client, _FEW, 10)
        before = await busy.manage("GET", connection_id)
        if how == "reset":
            client.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
    await eventually(lambda: not busy.world.connection_ids())

    statuses = [await busy.manage(method, connection_id) for method in ("GET", "POST", "DELETE")]
    disconnects = busy.world.disconnects()
    busy.function.release()

    assert before == 200
    assert statuses == [410, 410, 410]
    assert disconnects == []
    assert await busy.world.disconnected() == [LOST]
    assert busy.function.started == MESSAGES_AT_ONCE + _FEW


async def test_close_frame_behind_waiting_messages_keeps_its_code(busy: Busy) -> None:
    """A client that says good-bye and leaves was not lost, however long its messages hang."""
    async with RawClient.connect(busy.world) as client:
        connection_id = await busy.flood(client, _FEW, 10)
        client.send(closing(4000, b"bye"))
        await client.writer.drain()
    await eventually(lambda: not busy.world.connection_ids())

    status = await busy.manage("POST", connection_id)
    busy.function.release()

    assert status == 410
    assert await busy.world.disconnected() == [(4000, "bye")]
    assert busy.function.started == MESSAGES_AT_ONCE + _FEW


async def test_deleted_connection_is_closed_at_once_while_its_socket_is_not_read(
    busy: Busy,
) -> None:
    """The client's answer to the close frame is read although its messages were not."""
    async with RawClient.connect(busy.world) as client:
        connection_id = await busy.flood(client, _MORE_THAN_IS_BUFFERED, 16_000)
        began = time.monotonic()
        status = await busy.manage("DELETE", connection_id)
        received = await client.receive()
        client.send(closing(1000))
        ended = await client.ended()
        took = time.monotonic() - began

    busy.function.release()
    assert status == 204
    assert (received.opcode, received.code) == (CLOSE, 1000)
    assert ended
    assert took < 0.8
    assert await busy.world.disconnected() == [NORMALLY]
    assert busy.function.started == MESSAGES_AT_ONCE
