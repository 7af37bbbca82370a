"""Servers that are measured with the same client: the engine, a bare server, other endpoints."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.deployment import Deployment
from benchmarks.processes import free_port, get, python, server, wait_for
from benchmarks.trees import ProcessTree

UNTHROTTLED = {
    # What the engine can do is measured, not where an account of AWS ends.
    "SOCKETSTACK_ACCOUNT_THROTTLE": "off",
    "SOCKETSTACK_CONNECTION_THROTTLE": "off",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One server: where clients go, and the process that it is, when it is of this machine."""

    name: str
    url: str
    callback_url: str | None = None
    tree: ProcessTree | None = None
    deployment: Deployment | None = None
    health_url: str | None = None
    tally: Path | None = None

    @property
    def processes(self) -> ProcessTree:
        """The server's processes; only where the bench started them."""
        assert self.tree is not None, f"{self.name} was not started by the bench"
        return self.tree

    def health(self) -> dict[str, Any]:
        """What the engine tells of itself."""
        assert self.health_url is not None, f"{self.name} has no health of its own"
        told: dict[str, Any] = json.loads(get(self.health_url))
        return told

    def most_processes(self) -> int:
        """Processes of the function that has most."""
        return max(self.health()["functionProcesses"].values(), default=0)

    def disconnects(self) -> int:
        """How many ``$disconnect`` calls have run."""
        return self.tally.stat().st_size if self.tally and self.tally.exists() else 0


@contextlib.contextmanager
def engine() -> Iterator[Target]:
    """A fresh engine with the system deployed."""
    port = free_port()
    command = python("socketstack", "start", "--port", str(port))
    health = f"http://127.0.0.1:{port}/_socketstack/health"
    with (
        tempfile.TemporaryDirectory(prefix="socketstack-bench-") as folder,
        server(command, environ=UNTHROTTLED) as process,
    ):
        wait_for(health, process)
        tally = Path(folder, "disconnects")
        deployment = Deployment(f"http://localhost:{port}", has_paths=True, tally=tally)
        made = deployment.make()
        yield Target(
            "socketstack",
            made.url,
            made.callback_url,
            ProcessTree(process.pid),
            deployment,
            health,
            tally,
        )


@contextlib.contextmanager
def endpoint(url: str) -> Iterator[Target]:
    """A server that runs already and speaks AWS, such as LocalStack with our plugin."""
    deployment = Deployment(url.rstrip("/"), has_paths=True)
    made = deployment.make()
    yield Target(url, made.url, made.callback_url, deployment=deployment)


@contextlib.contextmanager
def bare() -> Iterator[Target]:
    """The reference: an aiohttp echo server without any function."""
    with _bare("bare aiohttp") as target:
        yield target


@contextlib.contextmanager
def bare_with_function() -> Iterator[Target]:
    """The same with every message through a function's process, and nothing else."""
    with _bare("bare aiohttp with a function", "function") as target:
        yield target


@contextlib.contextmanager
def _bare(name: str, *arguments: str) -> Iterator[Target]:
    with server(python("benchmarks.bare", *arguments), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = f"ws://127.0.0.1:{int(process.stdout.readline())}/"
        yield Target(name, url, tree=ProcessTree(process.pid))
