"""Starts: to a healthy answer, to memory at rest, and ``make local-up`` to the first echo."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator

from benchmarks.figures import Figure, at_most
from benchmarks.processes import ROOT, free_port, get, load, python, server, wait_for
from benchmarks.sections.base import MB, PAYLOAD_BYTES, Bench
from benchmarks.targets import UNTHROTTLED
from benchmarks.trees import ProcessTree

_REST_SECONDS = 10


def measure(bench: Bench) -> Iterator[Figure]:
    """The engine alone, before anything is deployed."""
    seconds, memory = [], []
    for _ in range(bench.plan.starts):
        port = free_port()
        began = time.perf_counter()
        with server(python("socketstack", "start", "--port", str(port))) as process:
            wait_for(f"http://127.0.0.1:{port}/_socketstack/health", process)
            seconds.append(time.perf_counter() - began)
            memory.append(ProcessTree(process.pid).usage().memory_bytes / MB)
    yield Figure("start", "start to ready", "s", tuple(seconds), at_most(0.4))
    yield Figure("start", "memory before any deploy", "MB", tuple(memory), at_most(60))


def measure_local_up(bench: Bench) -> Iterator[Figure]:
    """``make local-up`` with the example system, set up before."""
    took, memory = [], []
    for _ in range(bench.plan.starts):
        with _local_up() as (seconds, engine_pid):
            took.append(seconds)
            time.sleep(_REST_SECONDS)
            memory.append(ProcessTree(engine_pid).usage().memory_bytes / MB)
    yield Figure("local-up", "to the first echo", "s", tuple(took), at_most(3))
    what = f"memory {_REST_SECONDS} s after one echo, with function processes"
    yield Figure("local-up", what, "MB", tuple(memory), at_most(110))


@contextlib.contextmanager
def _local_up() -> Iterator[tuple[float, int]]:
    with tempfile.TemporaryDirectory(prefix="socketstack-bench-") as state:
        environ = {
            **os.environ,
            **UNTHROTTLED,
            "SOCKETSTACK_PORT": str(free_port()),
            "WEB_PORT": str(free_port()),
            "SOCKETSTACK_STATE_DIR": state,
        }
        environ.pop("MAKEFLAGS", None)
        environ["AWS_ENDPOINT_URL"] = f"http://localhost:{environ['SOCKETSTACK_PORT']}"
        began = time.perf_counter()
        try:
            _make("local-up", environ)
            load("echo", _socket_url(environ["WEB_PORT"]), 1, 0.01, PAYLOAD_BYTES)
            took = time.perf_counter() - began
            address = f"http://127.0.0.1:{environ['SOCKETSTACK_PORT']}/_socketstack/health"
            yield took, json.loads(get(address))["pid"]
        finally:
            _make("local-down", environ)


def _make(target: str, environ: dict[str, str]) -> None:
    subprocess.run(["make", target], cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL)


def _socket_url(web_port: str) -> str:
    """The stage's address with a fresh token, as the page gets it."""
    page = f"http://127.0.0.1:{web_port}/api"
    config = json.loads(get(f"{page}/config"))
    request = urllib.request.Request(
        f"{page}/token",
        data=b'{"userId": "bench"}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        token = json.load(response)["token"]
    return f"{config['websocketUrl']}?token={token}"
