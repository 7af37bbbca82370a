"""What a client hears while nothing happens."""

import asyncio
from pathlib import Path

from dataplane_world import TEXT, RawClient, frame, running

from socketstack.core.limits import IDLE_TIMEOUT_SECONDS


async def test_service_sends_no_pings(tmp_path: Path) -> None:
    """For ten minutes less a second a silent client hears nothing at all. 6.12."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        async with RawClient.connect(world) as client:
            for _minute in range(IDLE_TIMEOUT_SECONDS // 60 - 1):
                world.clock.advance(60)
                await asyncio.sleep(0)  # whoever waited for that minute runs
            world.clock.advance(59)
            client.send(frame(TEXT, b"hello"))
            first = await client.receive()

            assert (first.opcode, first.payload) == (TEXT, b"hello")
            assert world.connection_ids()
