import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runner_world import STARTS, World, eventually, is_alive, is_running, runner_world

from socketstack.core.model import FailureKind
from socketstack.errors import FunctionUnavailable
from socketstack.runner import process
from socketstack.trace import Step

HANDLED, UNHANDLED, TIMEOUT = FailureKind.HANDLED, FailureKind.UNHANDLED, FailureKind.TIMEOUT


@pytest.fixture(params=STARTS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A runner with one process for each function, so that a lost one shows."""
    async with runner_world(tmp_path, max_processes=1, start=request.param) as world:
        yield world


@pytest.mark.parametrize(
    ("statement", "failure", "error_type", "message"),
    [
        pytest.param("raise ValueError('no')", HANDLED, "ValueError", "no", id="raises"),
        pytest.param(
            "return {1, 2}",
            HANDLED,
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
            id="not-json",
        ),
        pytest.param(
            "return 'x' * 6_291_555",
            UNHANDLED,
            "Function.ResponseSizeTooLarge",
            "Response payload size (6291557 bytes) exceeded maximum allowed payload size "
            "(6291556 bytes).",
            id="too-large",
        ),
        pytest.param(
            "raise ValueError('x' * 7_000_000)",
            UNHANDLED,
            "Function.ResponseSizeTooLarge",
            "exceeded maximum allowed payload size",
            id="error-too-large",
        ),
        pytest.param(
            "sys.exit(3)",
            UNHANDLED,
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 3",
            id="sys-exit",
        ),
        pytest.param(
            "os._exit(0)",
            UNHANDLED,
            "Runtime.ExitError",
            "Error: Runtime exited without providing a reason",
            id="exit-zero",
        ),
        pytest.param(
            "os.kill(os.getpid(), 11)",
            UNHANDLED,
            "Runtime.ExitError",
            "Error: Runtime exited with error: signal: segmentation fault",
            id="signal",
        ),
        pytest.param(
            "os.closerange(3, 100); time.sleep(60)",
            UNHANDLED,
            "Runtime.ExitError",
            "Error: Runtime exited with error: signal: killed",
            id="closes-channel",
        ),
        pytest.param(
            "time.sleep(60)",
            TIMEOUT,
            "Sandbox.Timedout",
            "Error: Task timed out after 1.00 seconds",
            id="timeout",
        ),
    ],
)
async def test_failing_call_costs_that_call_alone(
    world: World, statement: str, failure: FailureKind, error_type: str, message: str
) -> None:
    """A call that fails gives AWS's error object, and the next call works."""
    world.add(
        f"""
        import os, sys, time
        def handle(event, context):
            if event == "fail":
                {statement}
            return "fine"
        """,
        timeout_ms=1000,
    )

    result = await world.invoke("fail")
    after = await world.call("work")

    error = json.loads(result.payload)
    assert (result.failure, error["errorType"]) == (failure, error_type)
    assert message in error["errorMessage"]
    assert after == "fine"


async def test_largest_answer_is_let_through(world: World) -> None:
    """An answer of exactly the limit still reaches the caller."""
    world.add("def handle(event, context):\n    return 'x' * 6_291_554\n")

    result = await world.invoke()

    assert result.failure is None
    assert len(result.payload) == 6_291_556


async def test_raising_handler_keeps_its_process_and_shows_its_stack(world: World) -> None:
    """An exception is reported with the function's own frames only, and the process lives on."""
    world.add(
        """
        def inner():
            raise KeyError("gone")
        def handle(event, context):
            return inner() if event else "fine"
        """
    )

    result = await world.invoke(1)
    after = await world.invoke()

    error = json.loads(result.payload)
    assert error["errorMessage"] == "'gone'"
    assert error["requestId"] in result.log_tail.decode()
    assert [frame.split(", ")[2].split("\n")[0] for frame in error["stackTrace"]] == [
        "in handle",
        "in inner",
    ]
    assert not after.is_cold


@pytest.mark.parametrize(
    ("files", "handler", "error_type", "message"),
    [
        pytest.param(
            {"handler.py": "import not_there"},
            "handler.handle",
            "Runtime.ImportModuleError",
            "Unable to import module 'handler': No module named 'not_there'",
            id="import",
        ),
        pytest.param(
            {"other.py": ""},
            "handler.handle",
            "Runtime.ImportModuleError",
            "Unable to import module 'handler': No module named 'handler'",
            id="no-module",
        ),
        pytest.param(
            {"handler.py": ""},
            "handler.handle",
            "Runtime.HandlerNotFound",
            "Handler 'handle' missing on module 'handler'",
            id="no-handler",
        ),
        pytest.param(
            {"handler.py": ""},
            "handler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler'",
            id="malformed",
        ),
        pytest.param(
            {"handler.py": "def handle(:"},
            "handler.handle",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'handler'",
            id="syntax",
        ),
        pytest.param(
            {"handler.py": "raise RuntimeError('at import')"},
            "handler.handle",
            "RuntimeError",
            "at import",
            id="raises",
        ),
        pytest.param(
            {"handler.py": "import sys; sys.exit(4)"},
            "handler.handle",
            "Runtime.ExitError",
            "exit status 4",
            id="exits",
        ),
    ],
)
async def test_code_that_cannot_be_loaded_fails_the_call(
    world: World, files: dict[str, str], handler: str, error_type: str, message: str
) -> None:
    """A cold start that fails gives AWS's error object to its call."""
    world.add(files, handler=handler)

    result = await world.invoke()

    error = json.loads(result.payload)
    assert (result.failure, error["errorType"]) == (UNHANDLED, error_type)
    assert message in error["errorMessage"]
    assert b"START RequestId" in result.log_tail
    assert b"REPORT RequestId" in result.log_tail


async def test_call_after_a_failed_start_tries_anew(world: World, tmp_path: Path) -> None:
    """Each call after a failed cold start loads the code again, until it can be loaded."""
    world.add(
        """
        import os
        if not os.path.exists(os.environ["NEEDED"]):
            raise RuntimeError("not yet")
        def handle(event, context):
            return "loaded"
        """,
        environment={"NEEDED": str(tmp_path / "needed")},
    )

    first, second = await world.invoke(), await world.invoke()
    (tmp_path / "needed").touch()
    third = await world.call()

    assert [first.failure, second.failure] == [UNHANDLED, UNHANDLED]
    assert third == "loaded"


async def test_timeout_kills_what_the_function_started(world: World, tmp_path: Path) -> None:
    """A call out of time takes its whole process group with it, and the log says when."""
    world.add(
        """
        import pathlib, subprocess, sys, time
        def handle(event, context):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            pathlib.Path(event).write_text(str(child.pid))
            print("waiting")
            time.sleep(600)
        """,
        timeout_ms=1500,
    )

    result = await world.invoke(str(tmp_path / "pid"))

    assert result.failure is TIMEOUT
    assert result.duration_ms >= 1500
    tail = result.log_tail.decode().splitlines()
    assert [tail[0][:5], tail[1], tail[-2][:3], tail[-1][:6]] == [
        "START",
        "waiting",
        "END",
        "REPORT",
    ]
    assert tail[-3].endswith("Task timed out after 1.50 seconds")
    assert "Status: timeout" in tail[-1]
    assert "echo killed: timed out after 1.50 s" in world.told(Step.FUNCTION)
    grandchild = int((tmp_path / "pid").read_text())
    await eventually(lambda: not is_running(grandchild))


async def test_crash_kills_what_the_function_started(world: World, tmp_path: Path) -> None:
    """A process that ends takes along what it left running."""
    world.add(
        """
        import os, pathlib, subprocess, sys
        def handle(event, context):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            pathlib.Path(event).write_text(str(child.pid))
            os._exit(9)
        """
    )

    result = await world.invoke(str(tmp_path / "pid"))

    assert b"exit status 9" in result.payload
    grandchild = int((tmp_path / "pid").read_text())
    await eventually(lambda: not is_running(grandchild))


async def test_output_before_a_crash_is_in_the_log(world: World) -> None:
    """What a process wrote before it died is in the call's log, with the reason after it."""
    world.add(
        """
        import os
        def handle(event, context):
            print("last words")
            os._exit(5)
        """
    )

    result = await world.invoke()

    tail = result.log_tail.decode().splitlines()
    assert tail[1] == "last words"
    assert tail[2].endswith("Error: Runtime exited with error: exit status 5")
    assert tail[3] == "Runtime.ExitError"
    assert "Error Type: Runtime.ExitError" in tail[-1]


async def test_process_that_dies_while_idle_is_replaced(world: World) -> None:
    """A process that ends between calls costs no call."""
    world.add(
        """
        import os, threading
        def handle(event, context):
            if event:
                threading.Timer(0.01, os._exit, [1]).start()
            return os.getpid()
        """
    )
    first = await world.call("die")

    await eventually(lambda: not is_alive(first))
    second = await world.call()

    assert first != second


@pytest.mark.parametrize("world", ["fresh"], indirect=True)
async def test_process_that_cannot_be_started_refuses_the_call(world: World) -> None:
    """When the system starts no process, the call is refused, and a later one works."""
    world.add("def handle(event, context):\n    return 'fine'\n")
    await world.call()
    (pid,) = world.pids()
    python = world.workdir / "functions" / "python" / "bin" / "python3"
    kept = python.readlink()
    os.kill(pid, 9)
    await eventually(lambda: not is_alive(pid))

    python.unlink()
    with pytest.raises(FunctionUnavailable, match="cannot be started"):
        await world.invoke()
    python.symlink_to(kept)

    assert await world.call() == "fine"


SLOW_TO_LOAD = """
    import time
    time.sleep(0.4)
    def handle(event, context):
        return context.get_remaining_time_in_millis()
"""


async def test_code_that_takes_too_long_to_load_times_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading beyond Lambda's limit and the function's own fails the call as a timeout."""
    monkeypatch.setattr(process, "INIT_MAX_MS", 100)  # ten seconds would be long to wait
    world.add(SLOW_TO_LOAD, timeout_ms=200)

    result = await world.invoke()

    assert result.failure is TIMEOUT
    assert b"Task timed out after 0.20 seconds" in result.payload
    assert b"START RequestId" in result.log_tail


async def test_loading_beyond_lambdas_limit_counts_against_the_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long load within the function's own timeout leaves the handler what is left of it."""
    monkeypatch.setattr(process, "INIT_MAX_MS", 100)
    world.add(SLOW_TO_LOAD, timeout_ms=30_000)

    first, second = await world.call(), await world.call()

    assert first < 29_600 < second


@pytest.mark.skipif(sys.platform != "linux", reason="strays are found through /proc")
async def test_stop_ends_what_left_its_process_group(tmp_path: Path) -> None:
    """A process that a function started in a session of its own ends with the engine."""
    note = tmp_path / "pid"
    async with runner_world(tmp_path / "work") as world:
        world.add(
            """
            import pathlib, subprocess, sys
            def handle(event, context):
                child = subprocess.Popen(
                    [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
                )
                pathlib.Path(event).write_text(str(child.pid))
            """
        )
        await world.call(str(note))
        stray = int(note.read_text())
        was_running = is_running(stray)

    await eventually(lambda: not is_running(stray))
    assert was_running


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read through /proc")
async def test_function_that_holds_too_much_is_killed_as_on_aws(world: World) -> None:
    """A call beyond the memory size ends with its process, says why, and the next one works."""
    world.add(
        """
        import time
        def handle(event, context):
            held = [bytearray(b"x") * 1024 * 1024 for _ in range(event)]
            time.sleep(600 if event else 0)
            return "fine"
        """,
        memory_mb=128,
    )

    killed = await world.invoke(160)
    after = await world.call(0)

    error = json.loads(killed.payload)
    assert killed.failure is UNHANDLED
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert "Memory Size: 128 MB\tMax Memory Used: 128 MB" in killed.log_tail.decode()
    assert any("ran out of memory: it held" in told for told in world.told(Step.FUNCTION))
    assert after == "fine"
