"""Runs inside the warm parent: has boto3 loaded, and forks a function's process in milliseconds.

A copy of it lies beside the runtime folder, whose ``bootstrap`` becomes the warm parent when it is
started with ``warm``. A fork must be what a freshly started process is: the engine's settings
come later and over its own channel; environment, folder, session, output and open files are set
here. Modules that a fresh process would not have are taken out of ``sys.modules`` and are put back,
with everything that importing them would have brought, when the function imports them: executing
them again is what takes long, not having them. Which functions may start this way is decided in
``runner.warmth``; it imports nothing of the engine.

Frames on the parent's socket are one JSON text each, at most ``FRAME_MAX_BYTES``. The engine sends
``{"fork": number, "environment": …, "folder": …}`` with the channel's and the output's descriptor,
and ``{"reap": pid}``; the parent sends ``{"ready": …}`` once, then ``{"forked": number, "pid": …}``
and ``{"ended": pid, "status": …}``. A process that has ended stays a zombie until it is reaped, so
that its number means nothing else as long as the engine may use it.
"""

import builtins
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

FRAME_MAX_BYTES = 1024 * 1024
DESCRIPTORS = 2
CLIENTS = (
    *("apigatewaymanagementapi", "dynamodb", "events", "secretsmanager", "sns", "sqs"),
    *("stepfunctions", "sts"),
)
"""Services whose models are read beforehand; all others take as long as in a fresh process.

Those of s3, ssm and lambda are large: 15 MB in all engines, for 20 ms of a first call in some."""
CHANNEL = 3


class Stash:
    """Modules that are loaded and not there, and the finder that puts them back.

    ``graph`` says which modules importing one brings, directly.
    """

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}
        self._graph: dict[str, set[str]] = {}
        self._own: set[str] = set()
        self._meta_path: list[Any] = []
        self.is_used = False

    @property
    def tops(self) -> list[str]:
        """Names that a function's own modules must not have."""
        return sorted({name.partition(".")[0] for name in self._modules})

    def load(self, run: Any) -> None:
        """Run something that imports, and note what importing each module brings."""
        known = set(sys.modules)
        load, import_module = builtins.__import__, importlib.import_module

        def note(name: str, before: set[str]) -> None:
            importer = executing()
            parts = name.split(".")
            packages = {".".join(parts[: n + 1]) for n in range(len(parts))}
            if importer not in known:
                self._graph.setdefault(importer, set()).update(packages)
            for package in packages - before:
                self._note_own(package)
            if name not in before:
                # Also what it puts there without an import of its own, as six does.
                self._graph.setdefault(name, set()).update(set(sys.modules) - before)

        def recording(
            name: str,
            globals: Any = None,  # noqa: A002 - the name that importing code passes
            locals: Any = None,  # noqa: A002
            fromlist: Any = (),
            level: int = 0,
        ) -> Any:
            before = set(sys.modules)
            found = load(name, globals, locals, fromlist, level)
            if level:
                name = absolute(name, globals or {}, level)
            note(name, before)
            for part in fromlist or ():
                if f"{name}.{part}" in sys.modules:
                    note(f"{name}.{part}", before)
            return found

        def importing(name: str, package: str | None = None) -> ModuleType:
            before = set(sys.modules)
            module = import_module(name, package)
            note(module.__name__, before)
            return module

        builtins.__import__, importlib.import_module = recording, importing
        try:
            run()
        finally:
            builtins.__import__, importlib.import_module = load, import_module

    def _note_own(self, package: str) -> None:
        """Modules that a package made itself, and that nobody has imported: as six does."""
        for key, value in vars(sys.modules[package]).items():
            child = f"{package}.{key}"
            if isinstance(value, ModuleType) and child not in sys.modules:
                self._own.add(child)

    def hide(self, base: set[str], meta_path: list[Any]) -> None:
        """Take everything that is not in ``base`` out of ``sys.modules`` and of its parents."""
        self._meta_path = [finder for finder in sys.meta_path if finder not in meta_path]
        sys.meta_path[:] = [self, *meta_path]
        for name in [name for name in sys.modules if name not in base]:
            module = sys.modules.pop(name)
            if name != __name__:
                self._modules[name] = module
        for name, module in self._modules.items():
            parent, _, child = name.rpartition(".")
            holder = self._modules.get(parent) or sys.modules.get(parent)
            if holder is None or name in self._own:
                continue
            if getattr(holder, child, None) is module:
                delattr(holder, child)

    # The import system's finder and loader

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """A spec for a hidden module; the import system then makes it the module of that name."""
        return ModuleSpec(name, self) if name in self._modules else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The hidden module itself."""
        module = self._modules[spec.name]
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put back all that importing the module would have brought."""
        if not self.is_used:
            self.is_used = True
            sys.meta_path.extend(self._meta_path)
        name = module.__spec__.name if module.__spec__ else module.__name__
        module.__spec__ = self._spec
        for each in self._closure(name):
            self._restore(each)

    def _closure(self, name: str) -> list[str]:
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each in found or each not in self._modules:
                continue
            found[each] = None
            parent = each.rpartition(".")[0]
            waiting += [*self._graph.get(each, ()), *([parent] if parent else [])]
        return list(found)

    def _restore(self, name: str) -> None:
        module = self._modules.pop(name, None)
        if module is None:
            return
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        holder = sys.modules.get(parent) or self._modules.get(parent)
        if holder is not None:
            setattr(holder, child, module)


def executing() -> str:
    """The module that is being executed, for whose sake something is imported."""
    frame = sys._getframe(1)  # noqa: SLF001 - how else to know
    while frame.f_back is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


def absolute(name: str, namespace: dict[str, Any], level: int) -> str:
    """The whole name of a relative import."""
    package = str(namespace.get("__package__") or namespace.get("__name__", ""))
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name else base


def preload(stash: Stash) -> None:
    """Load what functions load most, and read the models of the services they call most."""
    stash.load(lambda: importlib.import_module("boto3"))
    graph = {name: set(brought) for name, brought in stash._graph.items()}  # noqa: SLF001
    stash.load(make_clients)
    # What making a client imports later is not what importing boto3 brings.
    stash._graph.update(graph)  # noqa: SLF001


def make_clients() -> None:
    """Make one client of each service, with every model that was read kept."""
    loaders: Any = importlib.import_module("botocore.loaders")
    files = loaders.JSONFileLoader
    read = files.load_file
    kept: dict[str, Any] = {}

    def load_file(self: Any, file_path: str) -> Any:
        if file_path not in kept:
            found = read(self, file_path)
            if found is None:
                return None
            kept[file_path] = found
        return kept[file_path]

    files.load_file = load_file
    keep_service_lists(loaders.Loader)
    boto3: Any = importlib.import_module("boto3")
    session = boto3.Session("warm", "warm", region_name="us-east-1")
    for service in CLIENTS:
        session.client(service)
    kept_for_good = dict(kept)

    def load_kept(self: Any, file_path: str) -> Any:
        found = kept_for_good.get(file_path)
        return read(self, file_path) if found is None else found

    files.load_file = load_kept


def keep_service_lists(loader: Any) -> None:
    """Look only once which services there are: nine hundred folders are looked into for that.

    Where a function names folders of its own for models, it looks for itself.
    """
    look = loader.list_available_services
    kept: dict[tuple[str, ...], list[str]] = {}

    def list_available_services(self: Any, type_name: str) -> list[str]:
        key = (type_name, *self.search_paths)
        if key not in kept:
            kept[key] = look(self, type_name)
        return list(kept[key])

    loader.list_available_services = list_available_services


def resident_bytes() -> int:
    """What this process holds."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - pathlib may be no module yet
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def serve(control: int, base: set[str]) -> tuple[int, Stash]:
    """Serve the engine until it is gone; returns in each fork, with its channel's descriptor.

    ``base`` names the modules that a fresh process has at this point.
    """
    began = time.monotonic()
    meta_path = list(sys.meta_path)
    stash = Stash()
    before = resident_bytes()
    preload(stash)
    stash.hide(base, meta_path)
    gc.collect()
    gc.freeze()
    engine = socket.socket(fileno=control)
    tell(
        engine,
        ready=stash.tops,
        heldBytes=resident_bytes() - before,
        tookMs=round((time.monotonic() - began) * 1000),
    )
    return Parent(engine).serve(), stash


def tell(engine: socket.socket, **said: Any) -> None:
    """Send one frame; the engine that is gone needs none."""
    try:
        engine.send(json.dumps(said).encode())
    except OSError:
        os._exit(0)


class Parent:
    """Forks when it is asked to, and tells which forks have ended."""

    def __init__(self, engine: socket.socket) -> None:
        self._engine = engine
        self._poll = select.poll()
        self._poll.register(engine.fileno(), select.POLLIN)
        self._forks: dict[int, int] = {}
        """Process ids by the descriptors that tell when they end."""

    def serve(self) -> int:
        """Returns in forks only."""
        while True:
            for descriptor, _events in self._poll.poll():
                if descriptor != self._engine.fileno():
                    self._ended(descriptor)
                    continue
                channel = self._asked()
                if channel >= 0:
                    return channel

    def _ended(self, descriptor: int) -> None:
        pid = self._forks.pop(descriptor)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        is_signal = ended.si_code in {os.CLD_KILLED, os.CLD_DUMPED}
        tell(self._engine, ended=pid, status=-ended.si_status if is_signal else ended.si_status)

    def _leave(self) -> None:
        """The engine is gone, and with it everything that ran for it."""
        for pid in self._forks.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        os._exit(0)

    def _asked(self) -> int:
        """Do what the engine asks; the channel's descriptor in a fork, else -1."""
        data, descriptors, _flags, _address = socket.recv_fds(
            self._engine, FRAME_MAX_BYTES, DESCRIPTORS
        )
        if not data:
            self._leave()
        asked = json.loads(data)
        if "reap" in asked:
            os.waitpid(asked["reap"], 0)
            return -1
        gate, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            # The engine is told of a fork before it hears from it.
            os.read(gate, 1)
            return become(asked, *descriptors)
        for descriptor in (*descriptors, gate):
            os.close(descriptor)
        watch = os.pidfd_open(pid)
        self._forks[watch] = pid
        self._poll.register(watch, select.POLLIN)
        tell(self._engine, forked=asked["fork"], pid=pid)
        os.close(ours)
        return -1


def become(asked: dict[str, Any], channel: int, output: int) -> int:
    """Be a function's process from now on: nothing of the parent is left but memory."""
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    # The channel goes below everything that is closed; what is below it stays.
    os.dup2(channel, CHANNEL)
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - see above
        if descriptor > CHANNEL:
            with contextlib.suppress(OSError):  # that of the listing itself
                os.close(descriptor)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    return CHANNEL
