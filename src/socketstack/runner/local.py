"""The local runner: functions as real processes on this machine, one pool for each.

What is decided here: which configuration and code a call runs on, and where processes find
their folders. How processes are shared stands in ``pool``, how one lives in ``process``.
"""

import asyncio
import itertools
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from socketstack.clock import Clock
from socketstack.core.model import InvokeResult, Json
from socketstack.errors import FunctionThrottled, FunctionUnavailable, RunnerError
from socketstack.ids import Ids
from socketstack.runner import reports
from socketstack.runner.base import (
    UNKNOWN_CREDENTIALS,
    Credentials,
    Done,
    Function,
    FunctionCatalog,
    LiveFolder,
    LogSink,
    RoleCredentials,
)
from socketstack.runner.children import Child, Command, spawn
from socketstack.runner.environment import (
    Places,
    common_environment,
    log_stream,
    process_environment,
)
from socketstack.runner.live import LiveCode, Roots, Signature
from socketstack.runner.logs import ProcessLog
from socketstack.runner.nursery import IS_POSSIBLE, Nursery
from socketstack.runner.packages import Packages
from socketstack.runner.pool import Callback, Edition, Pool
from socketstack.runner.process import Call, FunctionProcess, Launch
from socketstack.runner.runtime import (
    BOOTSTRAP,
    link_distributions,
    make_nursery_folder,
    make_python_folder,
    make_runtime_folder,
)
from socketstack.runner.strays import kill_strays
from socketstack.runner.warmth import Own, look
from socketstack.trace import Step, Trace

_TIDY_SECONDS: Final = 30.0
_MEMORY_LOOK_SECONDS: Final = 0.2
_PYTHON: Final = re.compile(r"python3\.\d+")
_LOOPBACK: Final = "127.0.0.1"
_NAMED_CHANGES: Final = 3


@dataclass(slots=True, eq=False)
class _Room:
    """One version of one function: its pool, and the calls that wait for its code."""

    pool: Pool
    waiting: list[Call] = field(default_factory=list)
    preparing: asyncio.Task[None] | None = None


class LocalRunner:
    """Runs functions in processes of their own; see ``runner.base.Runner``.

    Use from the event loop's thread only. Folders are made under ``workdir`` at the first call
    and removed by ``stop``.
    """

    def __init__(
        self,
        *,
        catalog: FunctionCatalog,
        logs: LogSink,
        trace: Trace,
        clock: Clock,
        ids: Ids,
        workdir: Path,
        max_processes: int,
        endpoint: str,
        socket_endpoint: str = "",
        region: str,
        ca_bundle: Callable[[], Path] | None,
        debug_port: int | None,
        credentials: RoleCredentials | None = None,
        engine_names: Callable[[], Sequence[str]] = tuple,
        may_fork: bool = True,
    ) -> None:
        """Take what the runner needs; nothing is started yet.

        Args:
            catalog: Where functions are looked up, once per call.
            logs: Where log lines go.
            trace: Where starts, ends and reloads are told.
            clock: For figures, log times and how long a process stays idle.
            ids: For request ids and log streams.
            workdir: An existing folder; the runner uses a folder of its own inside.
            max_processes: Processes per function; calls above that wait in line.
            endpoint: The engine's URL, as functions reach it.
            socket_endpoint: Start of every ``ApiEndpoint``, which functions see with ``wss``.
            region: Region of functions that name none.
            ca_bundle: Gives the file of the authorities that functions trust, asked when a process
                starts; None for the machine's.
            debug_port: First port for debuggers; None when not debugging. With it there is one
                process per function, and no limit of time or memory.
            credentials: Where the sessions of execution roles come from; without it processes
                have keys that nobody knows.
            engine_names: Custom domain names, which lead functions to the engine; asked at every
                call.
            may_fork: Whether processes may be forked from a warm parent, where the system can and
                that makes no difference to the function; else each is started fresh.
        """
        self._engine_names = engine_names
        self._credentials = credentials
        self._catalog = catalog
        self._logs = logs
        self._trace = trace
        self._clock = clock
        self._ids = ids
        self._endpoint = endpoint
        self._socket_endpoint = socket_endpoint
        self._region = region
        self._ca_bundle = ca_bundle
        self._debug_port = debug_port
        self._limit = max_processes if debug_port is None else 1
        self._may_fork = may_fork and IS_POSSIBLE and debug_port is None
        self._folder = workdir.absolute() / "functions"
        self._packages = Packages(self._folder)
        self._making = asyncio.Lock()
        self._rooms: dict[tuple[str, str], _Room] = {}
        self._live: dict[str, LiveCode] = {}
        self._generations: list[tuple[_Room, Edition, Path]] = []
        self._numbers = itertools.count(1)
        self._nursery = Nursery(self._tell_lost)
        self._preparing: asyncio.Task[None] | None = None
        self._debug_ports: dict[str, int] = {}
        self._warned: set[str] = set()
        self._running: Counter[str] = Counter()
        """Calls that run or wait in line, by the function's ARN."""
        self._minding: list[asyncio.Task[None]] = []
        """What looks after processes from time to time, from the first one on."""
        self._is_stopped = False

    async def invoke(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None
    ) -> InvokeResult:
        """Call a function once; see ``runner.base.Runner.invoke``.

        A caller that is cancelled or out of time leaves its call running to its end.
        """
        waiting: asyncio.Future[InvokeResult] = asyncio.get_running_loop().create_future()

        def done(outcome: InvokeResult | Exception) -> None:
            if waiting.done():
                return  # the caller was cancelled
            if isinstance(outcome, Exception):
                waiting.set_exception(outcome)
            else:
                waiting.set_result(outcome)

        self.submit(function, payload, deadline_ms=deadline_ms, done=done)
        return await waiting

    def submit(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None, done: Done
    ) -> None:
        """Call a function once; see ``runner.base.Runner.submit``."""
        try:
            if self._is_stopped:
                raise FunctionUnavailable("The engine is stopping.")
            found = self._catalog.find(function)
            self._count(found)
        except RunnerError as error:
            done(error)
            return
        call = Call(
            function=found,
            payload=payload,
            request_id=self._ids.uuid(),
            done=done,
            on_end=self._count_off,
        )
        self._admit(call)
        # Most calls run by now, and end by the function's own timeout before anyone gives up.
        if deadline_ms is not None and not (call.is_limited and found.timeout_ms <= deadline_ms):
            call.expire(deadline_ms / 1000)

    def process_counts(self) -> dict[str, int]:
        """How many processes each called function has, all its versions together."""
        counts: Counter[str] = Counter()
        for (arn, _version), room in self._rooms.items():
            counts[arn.rsplit(":", 1)[1]] += room.pool.process_count
        return dict(counts)

    def call_count(self) -> int:
        """How many calls run or wait in line."""
        return self._running.total()

    def set_live(self, function_name: str, folders: Sequence[LiveFolder]) -> None:
        """Watch a function's sources from now on; no folders end that.

        What the folders hold now counts as what was deployed.
        """
        before = self._live.pop(function_name, None)
        if before is not None:
            before.close()
        if folders:
            self._live[function_name] = LiveCode(folders, self._clock)
            if self._preparing is None:
                # Somebody is about to call it.
                self._preparing = asyncio.get_running_loop().create_task(self._make_folders())

    async def warm_up(self) -> None:
        """Have everything ready for the first call: folders, and the parent of processes."""
        await self._make_folders()
        if self._nursery.is_started:
            await self._nursery.settled.wait()

    async def stop(self) -> None:
        """Kill and reap every process, refuse waiting calls and remove the runner's folders."""
        self._is_stopped = True
        for task in self._minding:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for room in self._rooms.values():
            if room.preparing is not None:
                await room.preparing
            room.pool.kill()
        for room in self._rooms.values():
            await room.pool.wait_ended()
        if self._preparing is not None:
            await self._preparing
        await self._nursery.stop()
        if self._rooms:
            await asyncio.to_thread(kill_strays, self._folder)
        for live in self._live.values():
            live.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # How many calls at once

    def _count(self, function: Function) -> None:
        """Count one more call that runs. Raises ``FunctionThrottled`` when none may."""
        reserved, running = function.reserved_concurrency, self._running[function.arn]
        if reserved is not None and running >= reserved:
            reason = (
                f"{function.name} is throttled: {running} calls run, and its reserved concurrency "
                f"is {reserved}. Reserve more, or take the reservation away."
            )
            self._trace.emit(Step.WARNING, reason, function=function.name)
            raise FunctionThrottled(reason)
        self._running[function.arn] += 1

    def _count_off(self, call: Call) -> None:
        self._running[call.function.arn] -= 1

    # Which configuration and code

    def _admit(self, call: Call) -> None:
        function = call.function
        key = (function.arn, function.version)
        room = self._rooms.get(key)
        if room is None:
            pool = Pool(limit=self._limit, start=self._start, clock=self._clock)
            room = self._rooms[key] = _Room(pool)
        edition = room.pool.edition
        if room.preparing is None and edition is not None and self._is_current(edition, function):
            room.pool.submit(call)
            return
        room.waiting.append(call)
        if room.preparing is None:
            room.preparing = asyncio.get_running_loop().create_task(self._prepare(room))

    def _is_current(self, edition: Edition, function: Function) -> bool:
        return edition.is_of(function) and edition.signature == self._signature(function.name)

    def _signature(self, function_name: str) -> Signature | None:
        live = self._live.get(function_name)
        return None if live is None else live.signature()

    async def _prepare(self, room: _Room) -> None:
        """Make the edition that waiting calls need, and run or refuse them all."""
        failure: RunnerError = FunctionUnavailable("The function's code could not be prepared.")
        try:
            while True:
                edition = await self._build(room, room.waiting[-1].function)
                if self._is_stopped:
                    failure = FunctionUnavailable("The engine is stopping.")
                    return
                if self._is_current(edition, room.waiting[-1].function):
                    break  # nothing was saved or deployed meanwhile
            room.pool.use(edition)
            calls, room.waiting = room.waiting, []
            for call in calls:
                room.pool.submit(call)
        except RunnerError as error:
            failure = error
        except OSError as error:
            failure = FunctionUnavailable(f"The function's code cannot be prepared: {error}")
        finally:
            room.preparing = None
            calls, room.waiting = room.waiting, []
            for call in calls:
                call.refuse(type(failure)(str(failure)))
            await self._discard()

    async def _build(self, room: _Room, function: Function) -> Edition:
        self._check_runtime(function)
        await self._make_folders()
        deployed = Roots(
            task=await self._packages.code(function.code),
            layers=await self._packages.layers(function.layers),
        )
        live = self._live.get(function.name)
        if live is None:
            return Edition(function=function, roots=deployed, own=await _own(function, deployed))
        signature = live.signature()
        if live.is_as_deployed(signature):
            own = await _own(function, deployed)
            return Edition(function=function, roots=deployed, signature=signature, own=own)
        folder = self._folder / "live" / str(next(self._numbers))
        roots = await asyncio.to_thread(live.generation, deployed, folder, signature)
        own = await _own(function, roots)
        edition = Edition(function=function, roots=roots, signature=signature, own=own)
        self._generations.append((room, edition, folder))
        before = room.pool.edition.signature if room.pool.edition is not None else None
        self._tell_reload(function, live.changes(before, signature))
        return edition

    def _tell_reload(self, function: Function, changed: list[str]) -> None:
        named = ", ".join(changed[:_NAMED_CHANGES])
        more = f" and {len(changed) - _NAMED_CHANGES} more" if changed[_NAMED_CHANGES:] else ""
        self._trace.emit(
            Step.FUNCTION,
            f"{function.name} reloaded: {named}{more}",
            function=function.name,
            changed=list[Json](changed),
        )

    def _check_runtime(self, function: Function) -> None:
        if not _PYTHON.fullmatch(function.runtime):
            raise FunctionUnavailable(
                f"{function.name} cannot run here: its runtime is {function.runtime!r}. "
                "Only Python runtimes run locally."
            )
        here = f"python3.{sys.version_info.minor}"
        if function.runtime != here and function.arn not in self._warned:
            self._warned.add(function.arn)
            self._trace.emit(
                Step.WARNING,
                f"{function.name} is configured for {function.runtime} and runs on {here} here",
                function=function.name,
            )

    # Folders

    async def _make_folders(self) -> None:
        async with self._making:
            if not (self._folder / "runtime").is_dir():
                await asyncio.to_thread(self._make_folders_now)
            if self._may_fork and not self._nursery.is_started:
                self._start_nursery()

    def _start_nursery(self) -> None:
        places = self._places(Roots(task=self._folder / "nursery", layers=self._folder / "nursery"))
        try:
            self._nursery.start(
                self._interpreter(), common_environment(places), self._folder / "home"
            )
        except OSError as error:
            self._trace.emit(
                Step.WARNING, f"No warm start of functions: {error}. They start as without it."
            )

    def _make_folders_now(self) -> None:
        make_python_folder(self._folder / "python")
        (self._folder / "home").mkdir()
        if self._debug_port is not None:
            (self._folder / "debugger").mkdir()
            link_distributions(self._folder / "debugger", ["debugpy"])
        make_nursery_folder(self._folder / "nursery")
        make_runtime_folder(self._folder / "runtime")

    async def _discard(self) -> None:
        """Remove generations of live code that no process uses any more."""
        unused = [entry for entry in self._generations if not entry[0].pool.is_using(entry[1])]
        self._generations = [entry for entry in self._generations if entry not in unused]
        for _room, _edition, folder in unused:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _tidy(self) -> None:
        while True:
            await self._clock.sleep(_TIDY_SECONDS)
            for room in self._rooms.values():
                room.pool.reap_idle()
            await self._discard()

    async def _mind_memory(self) -> None:
        while True:
            await self._clock.sleep(_MEMORY_LOOK_SECONDS)
            for room in self._rooms.values():
                room.pool.check_memory()

    # Processes

    def _start(self, edition: Edition, on_free: Callback, on_ended: Callback) -> FunctionProcess:
        if not self._minding:
            loop = asyncio.get_running_loop()
            self._minding += [loop.create_task(each()) for each in (self._tidy, self._mind_memory)]
        function = edition.function
        date = reports.iso_time(self._clock.now_ms())[:10]
        stream = log_stream(date, function.version, self._ids.uuid())
        log = ProcessLog(function, stream, sink=self._logs, trace=self._trace, clock=self._clock)
        return FunctionProcess(
            function,
            self._launch(edition, stream),
            log=log,
            clock=self._clock,
            trace=self._trace,
            engine_names=self._engine_names,
            on_free=on_free,
            on_ended=on_ended,
        )

    def _credentials_of(self, function: Function) -> Credentials:
        if self._credentials is None:
            return UNKNOWN_CREDENTIALS
        return self._credentials.for_function(function)

    def _tell_lost(self) -> None:
        self._trace.emit(
            Step.WARNING,
            "The parent that function processes are forked from has ended. From now on each is "
            "started fresh, which takes longer.",
        )

    def _places(self, roots: Roots) -> Places:
        return Places(
            task=roots.task,
            layers=roots.layers,
            runtime=self._folder / "runtime",
            python=self._folder / "python",
            home=self._folder / "home",
        )

    def _interpreter(self) -> list[str]:
        options = [] if self._debug_port is None else ["-X", "frozen_modules=off"]
        # -I and -S: no site packages, no PYTHON* variables, no folder of a script.
        return [
            str(self._folder / "python" / "bin" / "python3"),
            *("-I", "-S", "-X", "utf8", *options),
            str(self._folder / "runtime" / BOOTSTRAP),
        ]

    def _start_child(self, own: Own, command: Command, channel: int, output: int) -> Child:
        """Fork the warm parent where that makes no difference; else start an interpreter."""
        tops = self._nursery.tops
        if tops is not None and not own.against(tops):
            with suppress(OSError):  # it has much to do, or is gone
                return self._nursery.fork(command, channel, output)
        return spawn(command, channel, output)

    def _launch(self, edition: Edition, stream: str) -> Launch:
        places = self._places(edition.roots)
        engine = urlsplit(self._endpoint)
        host = engine.hostname or _LOOPBACK
        settings: dict[str, Json] = {
            "handler": edition.function.handler,
            "host": _LOOPBACK if host == "localhost" else host,
            "port": engine.port or (443 if engine.scheme == "https" else 80),
            "paths": {
                "task": str(places.task),
                "layers": str(places.layers),
                "runtime": str(places.runtime),
            },
            "read_only": [
                str(places.task),
                str(places.layers),
                str(places.runtime),
                str(places.home),
            ],
            "debugger": self._debugger(edition.function),
        }
        environment = process_environment(
            edition.function,
            places=places,
            stream=stream,
            endpoint=self._endpoint,
            socket_endpoint=self._socket_endpoint,
            ca_bundle=None if self._ca_bundle is None else self._ca_bundle(),
            region=self._region,
            credentials=self._credentials_of(edition.function),
        )
        return Launch(
            command=Command(
                arguments=self._interpreter(), environment=environment, folder=places.task
            ),
            start=partial(self._start_child, edition.own),
            settings=settings,
            has_limits=self._debug_port is None,
        )

    def _debugger(self, function: Function) -> Json:
        if self._debug_port is None:
            return None
        port = self._debug_ports.setdefault(function.arn, self._debug_port + len(self._debug_ports))
        self._trace.emit(
            Step.FUNCTION,
            f"{function.name} lets a debugger attach on {_LOOPBACK}:{port}",
            function=function.name,
            port=port,
        )
        return {"folder": str(self._folder / "debugger"), "host": _LOOPBACK, "port": port}


async def _own(function: Function, roots: Roots) -> Own:
    return await asyncio.to_thread(look, roots, function.environment, sys.version_info[:2])
