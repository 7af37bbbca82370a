"""Processes that the bench starts: servers that are measured, and load generators."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_END_SECONDS = 20
_READY_SECONDS = 60


class BenchError(Exception):
    """Something could not be measured; the message says what, where and why."""


@contextlib.contextmanager
def server(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    stdout: int | None = subprocess.DEVNULL,
    log: Path | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a group of its own, which ends with the block and takes its children along."""
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=output if log else stdout,
            stderr=output if log else None,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    group = process.pid
    process.terminate()
    try:
        process.communicate(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)  # children that outlived it


def python(*arguments: str) -> list[str]:
    """A command that runs a module of ours."""
    return [sys.executable, "-m", *arguments]


def load(mode: str, *arguments: object) -> dict[str, Any]:
    """Run a load generator to its end; what it measured."""
    command = python("benchmarks.load", mode, *map(str, arguments))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BenchError(f"load {mode} failed: {''.join(last) or 'without a word'}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


class LoadProcess:
    """A load generator that goes on beside others and is told what to do next."""

    def __init__(self, process: "subprocess.Popen[bytes]", name: str) -> None:
        self._process, self._name = process, name

    def read(self) -> dict[str, Any]:
        """The next line it reports."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"load {self._name} ended without a report: see its message above.")
        said: dict[str, Any] = json.loads(line)
        return said

    def tell(self, word: str) -> dict[str, Any]:
        """Say a word, and what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()
        return self.read()


@contextlib.contextmanager
def load_process(mode: str, *arguments: object) -> Iterator[LoadProcess]:
    """A load generator beside this process."""
    command = python("benchmarks.load", mode, *map(str, arguments))
    with server(command, stdout=subprocess.PIPE) as process:
        yield LoadProcess(process, mode)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> bytes:
    """The first good answer of a server that starts."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"the server for {url} ended with {process.returncode} as it started")
        try:
            return get(url)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.005)
    raise BenchError(f"{url} did not answer in {_READY_SECONDS} s")


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until a server that starts takes connections."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"the server on port {port} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchError(f"port {port} took no connection in {_READY_SECONDS} s")


def get(url: str) -> bytes:
    """The body of a good answer."""
    with urllib.request.urlopen(url, timeout=5) as response:
        body: bytes = response.read()
        return body
