import asyncio
import contextlib
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes import FakeClock
from runner_world import STARTS, World, eventually, is_alive, is_running, runner_world, zipped

from socketstack.errors import FunctionNotFound, FunctionUnavailable
from socketstack.runner.base import Package
from socketstack.trace import Step

ECHO = "def handle(event, context):\n    return event\n"
COUNT = """
    import os
    calls = 0
    def handle(event, context):
        global calls
        calls += 1
        return {"calls": calls, "pid": os.getpid()}
"""
# Tells that it began, then waits for the file "gate" in the folder that the event names.
GATED = """
    import os, pathlib, time
    def handle(event, context):
        folder = pathlib.Path(event["folder"])
        with (folder / "story").open("a") as story:
            story.write(f"begin {event['number']}\\n")
        while not (folder / "gate").exists():
            time.sleep(0.002)
        with (folder / "story").open("a") as story:
            story.write(f"end {event['number']}\\n")
        return os.getpid()
"""


@pytest.fixture(params=STARTS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A runner with up to four processes for each function."""
    async with runner_world(tmp_path, start=request.param) as world:
        yield world


def open_descriptors() -> int:
    """How many files, pipes and sockets this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


def story(folder: Path) -> list[str]:
    """What gated calls have told so far."""
    path = folder / "story"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"a": [1, 2.5, None, True]}, id="nested"),
        pytest.param("grüße 😀", id="unicode"),
        pytest.param({"body": "x" * 5_000_000}, id="five-megabytes"),
        pytest.param(None, id="null"),
    ],
)
async def test_event_reaches_handler_and_its_answer_comes_back(world: World, event: object) -> None:
    """An event arrives at the handler whole, and so does the answer at the caller."""
    world.add(ECHO)

    result = await world.invoke(event)

    assert result.failure is None
    assert json.loads(result.payload) == event
    assert result.executed_version == "$LATEST"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how often a process slept")
async def test_process_wakes_once_for_each_call(world: World) -> None:
    """When the engine reads an answer, the process that wrote it and waits sleeps on."""
    world.add(
        """
        def handle(event, context):
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("voluntary"))
        """
    )

    slept = [json.loads((await world.invoke()).payload) for _ in range(41)]

    assert slept[-1] - slept[0] <= 40 * 1.3


async def test_bytes_from_handler_come_back_unchanged(world: World) -> None:
    """A handler that returns bytes has written its own answer."""
    world.add("def handle(event, context):\n    return b'{\"raw\": 1}'\n")

    result = await world.invoke()

    assert result.payload == b'{"raw": 1}'


async def test_context_tells_what_aws_tells(world: World) -> None:
    """The context object carries request id, ARN, names and the time that is left."""
    world.add(
        """
        def handle(event, context):
            return {
                "id": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "name": context.function_name,
                "version": context.function_version,
                "memory": context.memory_limit_in_mb,
                "group": context.log_group_name,
                "stream": context.log_stream_name,
                "left": context.get_remaining_time_in_millis(),
            }
        """,
        version="7",
        memory_mb=256,
        invoked_arn="arn:aws:lambda:us-east-1:000000000000:function:echo:live",
    )

    told = await world.call()

    assert re.fullmatch(r"[0-9a-f-]{36}", told["id"])
    assert told["arn"].endswith(":function:echo:live")
    assert (told["name"], told["version"], told["memory"]) == ("echo", "7", "256")
    assert told["group"] == "/aws/lambda/echo"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32}", told["stream"])
    assert 50_000 < told["left"] <= 60_000


async def test_next_call_finds_the_process_warm(world: World) -> None:
    """A global of the handler's module lives on from call to call."""
    world.add(COUNT)

    first = await world.invoke()
    second = await world.invoke()

    assert json.loads(second.payload)["calls"] == 2
    assert (first.is_cold, second.is_cold) == (True, False)
    assert len(world.pids()) == 1


async def test_overlapping_calls_run_in_several_processes(world: World, tmp_path: Path) -> None:
    """Calls that overlap do not share a process."""
    world.add(GATED)

    calls = [
        asyncio.ensure_future(world.call({"folder": str(tmp_path), "number": n})) for n in range(3)
    ]
    await eventually(lambda: len(story(tmp_path)) == 3)
    (tmp_path / "gate").touch()

    assert len(set(await asyncio.gather(*calls))) == 3


async def test_calls_above_the_cap_wait_in_order(tmp_path: Path) -> None:
    """With all processes busy, further calls run one after the other as they came."""
    async with runner_world(tmp_path, max_processes=1) as world:
        world.add(GATED)
        calls = [
            asyncio.ensure_future(world.call({"folder": str(tmp_path), "number": n}))
            for n in range(4)
        ]
        await eventually(lambda: story(tmp_path))
        (tmp_path / "gate").touch()

        pids = await asyncio.gather(*calls)

    told = [f"{word} {number}" for number in range(4) for word in ("begin", "end")]
    assert story(tmp_path) == told
    assert len(set(pids)) == 1


async def test_functions_do_not_share_processes(world: World) -> None:
    """Two functions with the same code have processes of their own."""
    world.add(COUNT, name="first")
    world.add(COUNT, name="second")

    first = await world.call(name="first")
    second = await world.call(name="second")

    assert second["calls"] == 1
    assert first["pid"] != second["pid"]


def is_gone_later(clock: FakeClock, pid: int) -> bool:
    """Whether a process is gone after a further minute."""
    clock.advance(60)
    return not is_alive(pid)


async def test_idle_process_is_ended_after_a_while(tmp_path: Path) -> None:
    """A process that nobody called for five minutes is gone, and the next call is cold."""
    clock = FakeClock()
    async with runner_world(tmp_path, clock=clock) as world:
        world.add(COUNT)
        pid = (await world.call())["pid"]

        clock.advance(60)
        await asyncio.sleep(0)
        was_kept = is_alive(pid)
        await eventually(lambda: is_gone_later(clock, pid))
        again = await world.invoke()

    assert was_kept
    assert again.is_cold
    assert "echo killed: idle" in world.told(Step.FUNCTION)


async def test_changed_configuration_gets_new_processes(world: World) -> None:
    """After a change of its variables a function is never run with the old ones."""
    source = "import os\ndef handle(event, context):\n    return os.environ['COLOUR']\n"
    world.add(source, environment={"COLOUR": "red"})
    before = await world.call()
    (pid,) = world.pids()

    world.add(source, environment={"COLOUR": "blue"})
    after = await world.call()

    assert (before, after) == ("red", "blue")
    await eventually(lambda: not is_alive(pid))


async def test_busy_process_ends_its_call_before_it_is_retired(
    world: World, tmp_path: Path
) -> None:
    """A call that was running when the configuration changed still gets its answer."""
    world.add(GATED, environment={"COLOUR": "red"})
    old = asyncio.ensure_future(world.call({"folder": str(tmp_path), "number": 1}))
    await eventually(lambda: story(tmp_path))

    world.add(GATED, environment={"COLOUR": "blue"})
    new = asyncio.ensure_future(world.call({"folder": str(tmp_path), "number": 2}))
    await eventually(lambda: len(story(tmp_path)) == 2)
    (tmp_path / "gate").touch()

    assert await old != await new
    await eventually(lambda: not is_alive(old.result()))
    assert is_alive(new.result())


async def test_unknown_function_is_refused(world: World) -> None:
    """What the catalog does not know cannot be called, and nothing is started."""
    with pytest.raises(FunctionNotFound):
        await world.invoke(name="nobody")

    assert world.events == []


@pytest.mark.parametrize("runtime", ["nodejs22.x", "provided.al2023", "python2.7", ""])
async def test_foreign_runtime_is_refused_by_name(world: World, runtime: str) -> None:
    """A function that is not Python is refused with its runtime's name; nothing is started."""
    world.add(ECHO, runtime=runtime)

    with pytest.raises(FunctionUnavailable, match=re.escape(repr(runtime))):
        await world.invoke()

    assert world.pids() == []


async def test_other_python_version_is_warned_of_once(world: World) -> None:
    """A function for another Python runs, with one warning that names both versions."""
    world.add(ECHO, runtime="python3.99")

    await world.call()
    await world.call()

    (warning,) = world.told(Step.WARNING)
    assert "python3.99" in warning


async def test_caller_out_of_time_leaves_the_call_running(world: World, tmp_path: Path) -> None:
    """A caller's deadline ends its wait, while the call itself runs to its end."""
    world.add(GATED)
    event = json.dumps({"folder": str(tmp_path), "number": 1}).encode()

    with pytest.raises(TimeoutError):
        await world.runner.invoke("echo", event, deadline_ms=50)
    (tmp_path / "gate").touch()
    await eventually(lambda: story(tmp_path) == ["begin 1", "end 1"])
    again = await world.invoke({"folder": str(tmp_path), "number": 2})

    assert not again.is_cold
    assert json.loads(again.payload) == world.pids()[0]


async def test_deadline_that_is_kept_changes_nothing(world: World) -> None:
    """An answer in time reaches a caller with a deadline."""
    world.add(ECHO)

    result = await world.runner.invoke("echo", b'"in time"', deadline_ms=29_000)

    assert result.payload == b'"in time"'


async def test_cancelled_caller_leaves_a_usable_process(world: World, tmp_path: Path) -> None:
    """A caller that goes away costs neither the call nor its process."""
    world.add(GATED)
    caller = asyncio.ensure_future(world.call({"folder": str(tmp_path), "number": 1}))
    await eventually(lambda: story(tmp_path))

    caller.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await caller
    (tmp_path / "gate").touch()
    await eventually(lambda: story(tmp_path) == ["begin 1", "end 1"])
    pid = await world.call({"folder": str(tmp_path), "number": 2})

    assert world.pids() == [pid]


async def test_stop_ends_running_calls_and_refuses_new_ones(tmp_path: Path) -> None:
    """Stopping kills what runs, answers its caller, and lets nothing start again."""
    async with runner_world(tmp_path, max_processes=1) as world:
        world.add(GATED)
        running = asyncio.ensure_future(world.invoke({"folder": str(tmp_path), "number": 1}))
        waiting = asyncio.ensure_future(world.invoke({"folder": str(tmp_path), "number": 2}))
        await eventually(lambda: story(tmp_path))

        await world.runner.stop()

        assert b"signal: killed" in (await running).payload
        with pytest.raises(FunctionUnavailable, match="stopping"):
            await waiting
        with pytest.raises(FunctionUnavailable, match="stopping"):
            await world.invoke()
    assert story(tmp_path) == ["begin 1"]
    assert len(world.pids()) == 1


async def test_stop_during_the_first_start_refuses_the_call(world: World) -> None:
    """A call whose code is still being unpacked when the engine stops starts no process."""
    world.add(ECHO)
    waiting = asyncio.ensure_future(world.invoke())
    await asyncio.sleep(0)

    await world.runner.stop()

    with pytest.raises(FunctionUnavailable, match="stopping"):
        await waiting
    assert world.events == []


async def test_stop_before_the_first_call_is_fine(world: World) -> None:
    """A runner that was never used stops as well."""
    await world.runner.stop()

    assert world.events == []


async def test_many_calls_leave_no_descriptor_and_no_child(tmp_path: Path) -> None:
    """Two hundred calls, some of which crash, cost no file descriptor and leave no process."""
    source = """
        import os
        def handle(event, context):
            if event % 20 == 19:
                os._exit(1)
            return event
    """
    async with runner_world(tmp_path) as world:
        world.add(source)
        await world.call(0)
        await world.runner.stop()
    before = open_descriptors()

    async with runner_world(tmp_path) as world:
        world.add(source)
        for number in range(200):
            result = await world.invoke(number)
            assert (result.failure is None) == (number % 20 != 19)
        during = open_descriptors()
        await world.runner.stop()

    assert during <= before + 4
    assert open_descriptors() <= before
    assert not [pid for pid in world.pids() if is_alive(pid)]


async def test_zip_is_read_once_for_many_processes(world: World) -> None:
    """A package is fetched and unpacked once, however many processes run it."""
    content = zipped({"handler.py": COUNT})
    reads: list[int] = []

    def read() -> bytes:
        reads.append(len(content))
        return content

    world.add("", code=Package(digest="count", read=read))

    answers = await asyncio.gather(*(world.call() for _ in range(4)))

    assert len({answer["pid"] for answer in answers}) > 1
    assert reads == [len(content)]


async def test_broken_zip_is_refused(world: World) -> None:
    """A package that is no zip refuses the call and starts nothing."""
    world.add("", code=Package(digest="broken", read=lambda: b"not a zip"))

    with pytest.raises(FunctionUnavailable, match="cannot be unpacked"):
        await world.invoke()

    assert world.pids() == []


async def test_debugger_can_attach_and_time_stands_still(tmp_path: Path) -> None:
    """With a debug port each function listens for a debugger and never runs out of time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = """
        import os, time
        def handle(event, context):
            time.sleep(event)
            return os.getpid()
    """
    async with runner_world(tmp_path, debug_port=port) as world:
        world.add(source, timeout_ms=1)

        first, second = await asyncio.gather(world.call(0.05), world.call(0.05))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        greeting = await reader.readuntil(b"\r\n")
        writer.close()

        assert first == second
        assert greeting.startswith(b"Content-Length")
        assert f"echo lets a debugger attach on 127.0.0.1:{port}" in world.told(Step.FUNCTION)

    def is_closed() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    await eventually(is_closed)


async def test_killed_engine_leaves_no_process(tmp_path: Path) -> None:
    """When the engine itself is killed, its function processes end on their own."""
    script = """
import asyncio, os, pathlib, sys
from runner_world import World
from socketstack.clock import SystemClock

async def main():
    world = World(pathlib.Path(sys.argv[1]), SystemClock())
    world.add("import os\\ndef handle(event, context):\\n    return os.getpid()\\n")
    print(await world.call(), flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(["src", "tests"])},
        cwd=Path(__file__).parents[2],
    )

    output, _ = await engine.communicate()

    assert engine.returncode == -9
    pid = int(output)
    await eventually(lambda: not is_running(pid))
