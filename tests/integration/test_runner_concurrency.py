import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runner_world import World, eventually, runner_world

from socketstack.errors import FunctionThrottled
from socketstack.trace import Step

# Tells that it began, then waits for the file "gate" in the folder that the event names.
GATED = """
    import pathlib, time
    def handle(event, context):
        folder = pathlib.Path(event)
        (folder / "begun").touch()
        while not (folder / "gate").exists():
            time.sleep(0.002)
        return "done"
"""
ECHO = "def handle(event, context):\n    return event\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A runner with up to four processes for each function."""
    async with runner_world(tmp_path / "work") as world:
        yield world


async def test_call_above_the_reserved_number_is_throttled(world: World, tmp_path: Path) -> None:
    """A call above the reserved number is refused and never runs; after the others the next does.

    Other functions are not affected.
    """
    world.add(GATED, name="gated", reserved_concurrency=1)
    world.add(ECHO)
    running = asyncio.create_task(world.call(str(tmp_path), name="gated"))
    await eventually((tmp_path / "begun").exists)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    with pytest.raises(FunctionThrottled, match="reserved concurrency is 1"):
        await world.call(str(elsewhere), name="gated")

    assert await world.call("other") == "other"
    (tmp_path / "gate").touch()
    assert await running == "done"
    assert not (elsewhere / "begun").exists()
    assert await world.call(str(tmp_path), name="gated") == "done"
    assert any("throttled" in told for told in world.told(Step.WARNING))


async def test_call_whose_caller_gave_up_still_counts(world: World, tmp_path: Path) -> None:
    """A call runs on when its caller stops waiting, and takes a place until it ends."""
    world.add(GATED, name="gated", reserved_concurrency=1)
    payload = json.dumps(str(tmp_path)).encode()
    await asyncio.gather(
        world.runner.invoke("gated", payload, deadline_ms=1), return_exceptions=True
    )
    await eventually((tmp_path / "begun").exists)

    with pytest.raises(FunctionThrottled):
        await world.call(str(tmp_path), name="gated")

    (tmp_path / "gate").touch()
    await eventually(lambda: any(line.startswith("REPORT") for line in world.log()))
    assert await world.call(str(tmp_path), name="gated") == "done"


async def test_versions_share_what_is_reserved(world: World, tmp_path: Path) -> None:
    """Calls of all versions of a function count together."""
    first = world.add(GATED, name="gated", reserved_concurrency=1)
    second = world.add(GATED, name="gated:2", reserved_concurrency=1, version="2", arn=first.arn)
    running = asyncio.create_task(world.call(str(tmp_path), name="gated"))
    await eventually((tmp_path / "begun").exists)

    with pytest.raises(FunctionThrottled):
        await world.call(str(tmp_path), name="gated:2")

    (tmp_path / "gate").touch()
    assert await running == "done"
    assert second.version == "2"


async def test_reservation_of_nothing_lets_nothing_run(world: World) -> None:
    """A reserved number of 0 switches a function off: no process is started for it."""
    world.add(ECHO, reserved_concurrency=0)

    with pytest.raises(FunctionThrottled):
        await world.call("event")

    assert not world.pids()
    assert not world.log()


async def test_call_that_fails_gives_its_place_back(world: World) -> None:
    """A function that cannot be loaded, raises or dies does not keep its place."""
    for source in (
        "import nothing_like_this\n",
        "def handle(event, context):\n    raise ValueError('no')\n",
        "import os\ndef handle(event, context):\n    os._exit(3)\n",
    ):
        world.add(source, reserved_concurrency=1)

        results = [await world.invoke("event") for _ in range(2)]

        assert all(result.failure is not None for result in results)


async def test_runner_tells_calls_and_processes(world: World, tmp_path: Path) -> None:
    """Calls count while they run, in line or not; processes stay for the next call."""
    world.add(GATED, name="gated")
    assert (world.runner.call_count(), world.runner.process_counts()) == (0, {})
    running = asyncio.create_task(world.call(str(tmp_path), name="gated"))
    await eventually((tmp_path / "begun").exists)

    assert (world.runner.call_count(), world.runner.process_counts()) == (1, {"gated": 1})

    (tmp_path / "gate").touch()
    await running
    assert (world.runner.call_count(), world.runner.process_counts()) == (0, {"gated": 1})
