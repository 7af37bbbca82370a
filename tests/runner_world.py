"""A real LocalRunner with functions written in the test, their log and the trace."""

import asyncio
import hashlib
import io
import json
import os
import textwrap
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from socketstack.clock import Clock, SystemClock
from socketstack.core.model import InvokeResult
from socketstack.errors import FunctionNotFound
from socketstack.ids import RandomIds
from socketstack.runner.base import Function, LogLine, Package
from socketstack.runner.local import LocalRunner
from socketstack.trace import Step, Trace, TraceEvent

PATIENCE_SECONDS = 20.0

Files = Mapping[str, str | bytes]


def zipped(files: Files) -> bytes:
    """A zip of files; sources may be indented."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(
                name, textwrap.dedent(content) if isinstance(content, str) else content
            )
    return buffer.getvalue()


def package(files: Files) -> Package:
    """A package whose digest is that of its content."""
    content = zipped(files)
    named = json.dumps({name: str(text) for name, text in files.items()})
    return Package(digest=hashlib.sha256(named.encode()).hexdigest(), read=lambda: content)


class World:
    """Catalog, log sink and runner of one test."""

    def __init__(self, workdir: Path, clock: Clock, **options: Any) -> None:
        self.workdir = workdir
        self.functions: dict[str, Function] = {}
        self.lines: list[tuple[str, str]] = []
        """Log stream and text of every line."""
        self.events: list[TraceEvent] = []
        self.trace = Trace(clock)
        self.trace.subscribe(self.events.append)
        settings: dict[str, Any] = {
            "max_processes": 4,
            "endpoint": "http://localhost:4566",
            "region": "us-east-1",
            "ca_bundle": None,
            "debug_port": None,
        }
        self.runner = LocalRunner(
            catalog=self,
            logs=self,
            trace=self.trace,
            clock=clock,
            ids=RandomIds(),
            workdir=workdir,
            **{**settings, **options},
        )

    def find(self, name_or_arn: str) -> Function:
        """As a FunctionCatalog."""
        if name_or_arn not in self.functions:
            message = f"Function not found: {name_or_arn}"
            raise FunctionNotFound(message)
        return self.functions[name_or_arn]

    def write(self, function: Function, stream: str, lines: Sequence[LogLine]) -> None:
        """As a LogSink."""
        self.lines.extend((stream, line.text) for line in lines)

    def add(self, files: Files | str, *, name: str = "echo", **configuration: Any) -> Function:
        """Deploy a function; text alone is the source of its module ``handler``."""
        contents = {"handler.py": files} if isinstance(files, str) else files
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
        base = Function(
            name=name,
            arn=arn,
            invoked_arn=arn,
            version="$LATEST",
            handler="handler.handle",
            runtime=this_python(),
            role="arn:aws:iam::000000000000:role/echo",
            region="us-east-1",
            account_id="000000000000",
            code=package(contents),
            timeout_ms=60_000,
        )
        function = replace(base, **configuration)
        digest = str((function.code.digest, function.layers, sorted(configuration.items())))
        self.functions[name] = replace(function, configuration_digest=digest)
        return self.functions[name]

    async def invoke(self, event: object = None, *, name: str = "echo") -> InvokeResult:
        """Call a function with an event."""
        return await self.runner.invoke(name, json.dumps(event).encode())

    async def call(self, event: object = None, *, name: str = "echo") -> Any:
        """Call a function that must succeed; its answer as a value."""
        result = await self.invoke(event, name=name)
        assert result.failure is None, result.payload
        return json.loads(result.payload)

    def log(self) -> list[str]:
        """All lines so far."""
        return [text for _stream, text in self.lines]

    def pids(self) -> list[int]:
        """Every process that the trace told of, in order of first mention."""
        found = [event.detail.get("pid") for event in self.events if event.step is Step.FUNCTION]
        return list(dict.fromkeys(pid for pid in found if isinstance(pid, int)))

    def told(self, step: Step) -> list[str]:
        """The summaries of one kind of event."""
        return [event.summary for event in self.events if event.step is step]


STARTS = ["fresh", "forked"]
"""How function processes come to be; nothing that a function can see may depend on it."""


@asynccontextmanager
async def runner_world(
    workdir: Path, *, clock: Clock | None = None, start: str = "", **options: Any
) -> AsyncIterator[World]:
    """A world that is stopped at the end and must then have left nothing behind.

    ``start`` is one of ``STARTS``; empty is for the one that is ready first.
    """
    world = World(workdir, clock or SystemClock(), may_fork=start != "fresh", **options)
    try:
        if start == "forked":
            await world.runner.warm_up()
        yield world
    finally:
        await world.runner.stop()
    assert not [pid for pid in world.pids() if is_left(pid)]
    assert not (workdir / "functions").exists()


def this_python() -> str:
    """The runtime name of the Python that runs the tests."""
    import sys

    return f"python3.{sys.version_info.minor}"


def is_alive(pid: int) -> bool:
    """Whether a process exists, zombies included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_left(pid: int) -> bool:
    """Whether a process is still there; one that has ended and is not ours to reap is not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return is_alive(pid)
    state, parent = status.rpartition(")")[2].split()[:2]
    return state != "Z" or int(parent) == os.getpid()


def is_running(pid: int) -> bool:
    """Whether a process of somebody else's exists and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def eventually(condition: Callable[[], object]) -> None:
    """Poll until a condition holds; fail after twenty seconds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        await asyncio.sleep(0.005)
