"""The engine's side of the mapping worker: jobs in, outcomes back, whatever becomes of the worker.

Workers are started when the first job comes, at most ``WORKERS_MAX``; an engine without templates
and models never has one. One that goes over its limits is gone, its job failed, and the next job
gets a new one.

Rules: 5.50 to 5.53, 5.71 to 5.75.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from socketstack.core.jsontext import MISSING, Missing
from socketstack.core.model import Json
from socketstack.mapping.jobs import CPU_SECONDS, LENGTH

WORKERS_MAX: Final = 2
_JOB_SECONDS: Final = 10.0
"""Wall time of a job; on a quiet machine the limit of computing ends it before."""
_WORKER: Final = ("-I", "-X", "utf8", "-m", "socketstack.mapping.worker")


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that gave nothing, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInput:
    """What a template may read besides its body."""

    context: Mapping[str, Json]
    variables: Mapping[str, str]
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """``querystring`` and ``header`` of a handshake; empty for messages (5.51)."""


class Mapper(Protocol):
    """Renders templates, follows paths, checks messages against models."""

    async def render(self, template: str, body: str, given: TemplateInput) -> str | Failed:
        """The text that a mapping template gives."""
        ...

    async def value(self, path: str, document: str) -> Json | Missing | Failed:
        """What a JSONPath finds in a message; ``MISSING`` when nothing."""
        ...

    async def validation_error(
        self, schema: str, models: Mapping[str, str], document: str
    ) -> str | None:
        """Why a message does not match a model; None when it does."""
        ...

    async def matches(self, pattern: str, text: str) -> bool | Failed:
        """Whether a regular expression matches the whole of a text."""
        ...

    async def stop(self) -> None:
        """End what runs for it."""
        ...


class WorkerMapper:
    """A mapper over worker processes. Belongs to one event loop."""

    def __init__(self, *, executable: str = sys.executable) -> None:
        self._executable = executable
        self._free: list[_Worker] = []
        self._places = asyncio.Semaphore(WORKERS_MAX)
        self._all: set[_Worker] = set()
        self._is_stopped = False

    async def render(self, template: str, body: str, given: TemplateInput) -> str | Failed:
        """The text that a mapping template gives."""
        answer = await self._do(
            {
                "kind": "render",
                "template": template,
                "body": body,
                "context": dict(given.context),
                "variables": dict(given.variables),
                "params": {kind: dict(values) for kind, values in given.parameters.items()},
            }
        )
        return answer if isinstance(answer, Failed) else str(answer["text"])

    async def value(self, path: str, document: str) -> Json | Missing | Failed:
        """What a JSONPath finds in a message."""
        answer = await self._do({"kind": "path", "path": path, "document": document})
        if isinstance(answer, Failed):
            return answer
        found: Json | Missing = answer.get("value", MISSING)
        return found

    async def validation_error(
        self, schema: str, models: Mapping[str, str], document: str
    ) -> str | None:
        """Why a message does not match a model; a check that failed is a reason too."""
        answer = await self._do(
            {"kind": "validate", "schema": schema, "models": dict(models), "document": document}
        )
        if isinstance(answer, Failed):
            return f"[the model cannot be applied: {answer.reason}]"
        problem: str | None = answer["problem"]
        return problem

    async def matches(self, pattern: str, text: str) -> bool | Failed:
        """Whether a regular expression matches the whole of a text."""
        answer = await self._do({"kind": "match", "pattern": pattern, "text": text})
        return answer if isinstance(answer, Failed) else bool(answer["value"])

    async def stop(self) -> None:
        """End the workers; jobs under way fail."""
        self._is_stopped = True
        self._free.clear()
        await asyncio.gather(*(worker.end() for worker in tuple(self._all)))

    async def _do(self, job: Mapping[str, Any]) -> dict[str, Any] | Failed:
        async with self._places:
            if self._is_stopped:
                return Failed("The engine is stopping.")
            worker = self._free.pop() if self._free else _Worker(self._executable)
            self._all.add(worker)
            answer: dict[str, Any] | Failed = Failed("The job was given up.")
            try:
                answer = await worker.do(job)
            finally:
                if worker.is_alive and not self._is_stopped:
                    self._free.append(worker)
                else:
                    await worker.end()
                    self._all.discard(worker)
        if isinstance(answer, dict) and "error" in answer:
            return Failed(str(answer["error"]))
        return answer


class _Worker:
    """One process, for one job at a time."""

    def __init__(self, executable: str) -> None:
        self._executable = executable
        self._process: asyncio.subprocess.Process | None = None
        self.is_alive = False

    async def do(self, job: Mapping[str, Any]) -> dict[str, Any] | Failed:
        """Have a job done; a worker that did not finish it is no longer alive."""
        if self._process is None:
            try:
                await self._start()
            except OSError as error:
                return Failed(f"The mapping worker cannot be started: {error}.")
        self.is_alive = False  # until the answer is here
        try:
            async with asyncio.timeout(_JOB_SECONDS):
                answer = await self._exchange(json.dumps(job).encode())
        except TimeoutError:
            return Failed(f"It took longer than {_JOB_SECONDS:.0f} s.")
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return Failed(
                f"It took more than {CPU_SECONDS:.0f} s of computing, or too much memory."
            )
        self.is_alive = True
        return answer

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            self._executable,
            *_WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )

    async def _exchange(self, job: bytes) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(LENGTH.pack(len(job)) + job)
        await process.stdin.drain()
        (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        answer: dict[str, Any] = json.loads(await process.stdout.readexactly(size))
        return answer

    async def end(self) -> None:
        """End the process, if it still runs, and collect it."""
        self.is_alive = False
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                # Not process.kill(), which may collect a process that asyncio waits for.
                os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        # The transport's pipes are closed with it; without this they are closed by the collector.
        process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001
