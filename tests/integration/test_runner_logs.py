import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runner_world import STARTS, World, eventually, runner_world

from socketstack.core.model import InvokeResult
from socketstack.trace import Step


@pytest.fixture(params=STARTS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A runner whose log is kept."""
    async with runner_world(tmp_path, start=request.param) as world:
        yield world


async def test_everything_a_function_writes_is_logged_in_order(world: World) -> None:
    """Prints, raw writes, subprocesses and loggers share one log, in the order they wrote."""
    world.add(
        """
        import logging, os, subprocess, sys
        logging.getLogger().setLevel("INFO")
        def handle(event, context):
            print("printed")
            os.write(1, b"raw out\\n")
            os.write(2, b"raw err\\n")
            print("to stderr", file=sys.stderr)
            subprocess.run(["/bin/sh", "-c", "echo shell; echo oops >&2"], check=True)
            logging.info("logged %s", 1)
            context.log("context")
            print("unfinished", end="")
        """
    )

    result = await world.invoke()

    log = world.log()
    request_id = log[0].split()[2]
    assert log[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert log[1:7] == ["printed", "raw out", "raw err", "to stderr", "shell", "oops"]
    assert re.fullmatch(rf"\[INFO\]\t[\d-]+T[\d:.]+Z\t{request_id}\tlogged 1", log[7])
    assert log[8:10] == ["context", "unfinished"]
    assert log[10] == f"END RequestId: {request_id}"
    assert re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 128 MB\tMax Memory Used: [1-9]\d* MB\tInit Duration: [\d.]+ ms\t",
        log[11],
    )
    assert result.log_tail.decode() == "".join(f"{line}\n" for line in log)


async def test_warm_call_reports_no_init_duration(world: World) -> None:
    """Only the call that started a process reports how long loading took."""
    world.add("def handle(event, context):\n    pass\n")

    await world.call()
    warm = await world.invoke()

    assert b"Init Duration" not in warm.log_tail


async def test_printed_answer_is_never_taken_for_an_answer(world: World) -> None:
    """Whatever a function writes anywhere it can write to, its answer is what it returned."""
    world.add(
        """
        import os, struct
        def handle(event, context):
            fake = b'"forged"'
            print('{"forged": true}')
            for descriptor in (1, 2):
                os.write(descriptor, struct.pack(">IB", len(fake), 3) + fake + b"\\n")
            return "real"
        """
    )

    answers = [await world.call() for _ in range(2)]

    assert answers == ["real", "real"]
    assert '{"forged": true}' in world.log()


async def test_stack_trace_is_one_record(world: World) -> None:
    """An exception is one log event with all its lines, as on AWS."""
    world.add("def handle(event, context):\n    raise ValueError('two\\nlines')\n")

    await world.invoke()

    (record,) = [line for line in world.log() if line.startswith("[ERROR]")]
    assert record.startswith("[ERROR] ValueError: two\nlines\nTraceback (most recent call last):\n")
    assert "raise ValueError" in record


async def test_record_of_several_lines_stays_whole(world: World) -> None:
    """A logged text of several lines is one log event."""
    world.add(
        """
        import logging
        def handle(event, context):
            logging.warning("first\\nsecond")
        """
    )

    await world.call()

    (record,) = [line for line in world.log() if "first" in line]
    assert record.endswith("\tfirst\nsecond")


async def test_json_format_makes_every_line_an_object(world: World) -> None:
    """With the JSON log format, platform and function lines are objects, levels honoured."""
    world.add(
        """
        import logging
        def handle(event, context):
            logging.getLogger("mine").debug("hidden")
            logging.getLogger("mine").info("shown", extra={"colour": "red"})
            raise ValueError("no")
        """,
        log_format="JSON",
        log_level="INFO",
    )

    await world.invoke()

    start, shown, error, report = [json.loads(line) for line in world.log()]
    assert (start["type"], report["type"]) == ("platform.start", "platform.report")
    assert (shown["level"], shown["message"], shown["colour"]) == ("INFO", "shown", "red")
    assert (error["level"], error["errorType"]) == ("ERROR", "ValueError")
    assert shown["requestId"] == start["record"]["requestId"] == report["record"]["requestId"]
    assert report["record"]["metrics"]["durationMs"] > 0


async def test_each_process_has_a_log_stream_of_aws_form(world: World) -> None:
    """Every process logs to a stream of its own: date, version, 32 hexadecimal digits."""
    world.add("import os\ndef handle(event, context):\n    os._exit(1)\n", version="3")

    await world.invoke()
    await world.invoke()

    streams = {stream for stream, _line in world.lines}
    assert len(streams) == 2
    assert all(re.fullmatch(r"\d{4}/\d\d/\d\d/\[3\][0-9a-f]{32}", name) for name in streams)


async def test_output_of_loading_comes_before_the_first_call(world: World) -> None:
    """What a module prints when it is loaded stands before the first START line."""
    world.add("print('loading')\ndef handle(event, context):\n    print('running')\n")

    await world.call()

    assert [line.split()[0] for line in world.log()][:3] == ["loading", "START", "running"]


async def test_output_between_calls_is_logged(world: World) -> None:
    """A thread that writes after its call has ended is still heard."""
    world.add(
        """
        import threading
        def handle(event, context):
            threading.Timer(0.02, print, ["late"]).start()
        """
    )

    await world.call()

    await eventually(lambda: "late" in world.log())


async def test_lines_of_a_running_call_are_logged_at_once(world: World, tmp_path: Path) -> None:
    """A call that takes long is heard while it runs."""
    world.add(
        """
        import os, time
        def handle(event, context):
            print("early")
            while not os.path.exists(event):
                time.sleep(0.002)
        """
    )
    running = asyncio.ensure_future(world.call(str(tmp_path / "gate")))
    await eventually(lambda: "early" in world.log())
    was_running = not running.done()
    (tmp_path / "gate").touch()
    await running

    assert was_running
    assert world.log()[0].startswith("START")


async def test_flood_is_bounded_and_says_so(world: World) -> None:
    """A call that floods its log keeps its answer; what is too much is counted, not kept."""
    world.add(
        """
        import sys
        def handle(event, context):
            sys.__stdout__.write("x" * 99 + "\\n")
            sys.__stdout__.write(("y" * 99 + "\\n") * 100_000)
            sys.__stdout__.flush()
            return "done"
        """
    )

    result = await world.invoke()

    log = world.log()
    assert result.payload == b'"done"'
    assert log[1] == "x" * 99
    assert len(log) < 21_000
    dropped = 100_001 - sum(line[0] in "xy" for line in log)
    assert log[-3] == f"socketstack: {dropped} more lines of this call were dropped"
    assert len(result.log_tail) == 4096
    assert len(world.told(Step.LOG)) <= 200


async def test_very_long_line_is_cut(world: World) -> None:
    """A line longer than a log event becomes several events."""
    world.add("def handle(event, context):\n    print('z' * 600_000)\n")

    await world.call()

    pieces = [len(line) for line in world.log() if line.startswith("z")]
    assert sum(pieces) == 600_000
    assert max(pieces) == 256 * 1024


async def test_trace_tells_of_start_and_lines(world: World) -> None:
    """The trace has the cold start and the function's own lines, with the request's id."""
    world.add("def handle(event, context):\n    print('hello')\n")

    await world.call()

    (started,) = world.told(Step.FUNCTION)
    assert re.fullmatch(r"echo started in \d+ ms \(cold\)", started)
    (line,) = [event for event in world.events if event.step is Step.LOG]
    assert line.summary == "hello"
    assert line.request_id in world.log()[0]
    assert line.detail["function"] == "echo"


async def test_answer_does_not_wait_for_the_log(world: World) -> None:
    """Who waits is told first; the call's last lines follow in the same turn of the loop."""
    world.add("def handle(event, context):\n    print('hello')\n")
    await world.call()
    before = len(world.lines)
    answered: asyncio.Future[tuple[list[str], InvokeResult]]
    answered = asyncio.get_running_loop().create_future()

    def done(outcome: InvokeResult | Exception) -> None:
        assert isinstance(outcome, InvokeResult)
        answered.set_result((world.log()[before:], outcome))

    world.runner.submit("echo", b"{}", done=done)
    logged_then, result = await answered

    assert not [line for line in logged_then if line.startswith(("END", "REPORT"))]
    start, hello, end, report = world.log()[before:]
    assert (start.split()[0], hello, end.split()[0]) == ("START", "hello", "END")
    assert report.startswith("REPORT")
    assert result.log_tail.decode().splitlines() == [start, hello, end, report]


async def test_calls_in_line_do_not_mix_their_lines(tmp_path: Path) -> None:
    """The next call in line begins before the last one's log is closed, and is logged after it."""
    async with runner_world(tmp_path, max_processes=1) as world:
        world.add("def handle(event, context):\n    print(event)\n")

        results = await asyncio.gather(*(world.invoke(number) for number in range(5)))

        parts = [world.log()[at : at + 4] for at in range(0, 20, 4)]
        assert len(world.log()) == 20
        for number, (part, result) in enumerate(zip(parts, results, strict=True)):
            assert [line.split()[0] for line in part] == ["START", str(number), "END", "REPORT"]
            assert result.log_tail.decode().splitlines() == part
            assert all(result.request_id in part[at] for at in (0, 2, 3))
