"""``make bench``: measures the engine against a bare aiohttp echo in the same run.

    BENCH=quick|full python -m benchmarks

Prints one table and writes ``.build/bench.json``. Figures of a shared machine mean little by
themselves: compare ratios of one run.
"""

import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

_ROOT = Path(__file__).parent.parent
_PAYLOAD_BYTES = 1024
_PLANS = {"quick": (3, 2.0), "full": (7, 5.0)}
_READY_TRIES = 5
Row = tuple[str, str, str]


def main() -> None:
    """Run every measurement and report."""
    runs, seconds = _PLANS[os.environ.get("BENCH", "quick")]
    rows: list[Row] = [*measure_start(), *measure_system(runs, seconds)]
    table = Table("what", "median", "spread", title=_machine())
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    target = _ROOT / ".build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": _machine(), "rows": rows}, indent=2))


def measure_start() -> list[Row]:
    """Seconds from start to a healthy answer, and memory before any deploy."""
    seconds, resident = [], []
    for _ in range(_READY_TRIES):
        port = _free_port()
        began = time.perf_counter()
        with _process("-m", "socketstack", "start", "--port", str(port)) as process:
            _wait_healthy(port)
            seconds.append(time.perf_counter() - began)
            resident.append(_resident_mb(process.pid))
    return [
        _row("engine: start to ready, s", seconds, "{:.2f}"),
        _row("engine: resident before any deploy, MB", resident, "{:.0f}"),
    ]


def measure_system(runs: int, seconds: float) -> list[Row]:
    """The example system: up to first echo, memory, echo rates against the bare server."""
    state = tempfile.mkdtemp(prefix="socketstack-bench-")
    environ = {
        **os.environ,
        "SOCKETSTACK_PORT": str(_free_port()),
        "WEB_PORT": str(_free_port()),
        "SOCKETSTACK_STATE_DIR": state,
        # What the engine can do is measured, not where an account of AWS ends.
        "SOCKETSTACK_ACCOUNT_THROTTLE": "off",
        "SOCKETSTACK_CONNECTION_THROTTLE": "off",
    }
    environ["AWS_ENDPOINT_URL"] = f"http://localhost:{environ['SOCKETSTACK_PORT']}"
    try:
        began = time.perf_counter()
        unthrottled = ("--parameter=ThrottleRate=1000000", "--parameter=ThrottleBurst=1000000")
        _run(
            *("-m", "socketstack", "up", "--template", "infra/template.yaml", *unthrottled),
            environ=environ,
        )
        _run("-m", "webclient", "up", environ=environ)
        url = _socket_url(environ)
        _load(url, 1, 0.01)
        to_first_echo = time.perf_counter() - began
        time.sleep(10)
        pid = _wait_healthy(int(environ["SOCKETSTACK_PORT"]))["pid"]
        resident = _resident_mb(int(str(pid)))
        return [
            _row("local-up to first echo, s", [to_first_echo], "{:.2f}"),
            _row("engine: resident 10 s after one echo, MB", [resident], "{:.0f}"),
            *_compare_echo(lambda: _socket_url(environ), runs, seconds),
        ]
    finally:
        _run("-m", "webclient", "down", environ=environ)
        _run("-m", "socketstack", "down", environ=environ)
        shutil.rmtree(state, ignore_errors=True)


def _compare_echo(url: Callable[[], str], runs: int, seconds: float) -> list[Row]:
    rows: list[Row] = []
    with _process("-m", "benchmarks.bare", stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        bare_url = f"ws://127.0.0.1:{int(bare.stdout.readline())}/"
        for clients in (1, 50):
            ours, reference, cpu = [], [], []
            for _ in range(runs):
                measured = _load(url(), clients, seconds)
                ours.append(measured["per_second"])
                cpu.append(measured["generator_cpu"])
                reference.append(_load(bare_url, clients, seconds)["per_second"])
            name = f"echo 1 KB, {clients} client{'s' * (clients > 1)}"
            rows += [
                _row(f"{name}: through a function, /s", ours, "{:,.0f}"),
                _row(f"{name}: bare aiohttp, /s", reference, "{:,.0f}"),
                _row(f"{name}: ratio", [a / b for a, b in zip(ours, reference, strict=True)]),
                _row(f"{name}: load generator's share of a core", cpu),
            ]
    return rows


def _row(name: str, values: list[float], form: str = "{:.2f}") -> Row:
    low, high = form.format(min(values)), form.format(max(values))
    return name, form.format(statistics.median(values)), f"{low} to {high} (n={len(values)})"


def _load(url: str, clients: int, seconds: float) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", url, str(clients), str(seconds), "1024"],
        cwd=_ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


def _socket_url(environ: dict[str, str]) -> str:
    """The stage's address with a fresh token."""
    port = environ["WEB_PORT"]
    config = json.loads(_get(f"http://127.0.0.1:{port}/api/config"))
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/token",
        data=b'{"userId": "bench"}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        token = json.load(response)["token"]
    return f"{config['websocketUrl']}?token={token}"


def _run(*arguments: str, environ: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, *arguments], cwd=_ROOT, env=environ, check=True, stdout=subprocess.DEVNULL
    )


@contextlib.contextmanager
def _process(
    *arguments: str, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *arguments], cwd=_ROOT, stdout=stdout)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _wait_healthy(port: int) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            answer: dict[str, object] = json.loads(
                _get(f"http://127.0.0.1:{port}/_socketstack/health")
            )
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.005)
        else:
            return answer
    message = f"nothing healthy on port {port}"
    raise TimeoutError(message)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        body: bytes = response.read()
        return body


def _resident_mb(pid: int) -> float:
    """Resident memory; ``ps`` has it on Linux and macOS alike, in kilobytes."""
    answer = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], check=True, stdout=subprocess.PIPE
    )
    return int(answer.stdout) / 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _machine() -> str:
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {load}"
    )


if __name__ == "__main__":
    main()
