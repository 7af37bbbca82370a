import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.plots import draw_all

_ROOT = Path(__file__).parents[2]


def _bench(tmp_path: Path, sections: str) -> dict[str, Any]:
    """A very short bench of some sections; what it wrote."""
    written = tmp_path / "bench.json"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "BENCH": "test",
        "SECTIONS": sections,
        "PEERS": "no",
        "ENDPOINT": "",
        "BENCH_JSON": str(written),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks"],
        cwd=_ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(written.read_text())
    for figure in report["figures"]:
        assert figure["section"] in sections
        assert str(figure["section"]) in done.stdout
    return report


def _figures(report: dict[str, Any], section: str) -> dict[str, float]:
    return {
        figure["what"]: figure["median"]
        for figure in report["figures"]
        if figure["section"] == section
    }


def test_bench_measures_echo_beside_the_bare_server(tmp_path: Path) -> None:
    """Rates, their ratio, the load generator's own time and the machine stand in the JSON."""
    report = _bench(tmp_path, "echo")
    figures = _figures(report, "echo")

    ours, bare = figures["1 client: socketstack"], figures["1 client: bare aiohttp"]
    assert figures["1 client: ratio to bare aiohttp"] == pytest.approx(ours / bare)
    assert ours > 0
    least = figures["1 client: bare aiohttp with a function"]
    ratio = figures["1 client: ratio to bare aiohttp with a function"]
    assert ratio == pytest.approx(ours / least)
    assert figures["50 clients: sockets lost"] == 0
    assert 0 < figures["50 clients: load generator"] <= 1.1
    assert 1 <= figures["function processes, most of one"] <= 10
    assert report["machine"]["cores"] == os.cpu_count()
    assert report["machine"]["versions"]["aiohttp"]
    assert report["problems"] == []


def test_bench_counts_connections_pushes_and_cold_starts(tmp_path: Path) -> None:
    """Counts hold whatever the machine's load: none fails, none is lost, all are closed."""
    report = _bench(tmp_path, "connect push cold idle")

    assert _figures(report, "connect")["failed handshakes"] == 0
    assert _figures(report, "push")["taken and not received"] == 0
    assert _figures(report, "cold")["first call with boto3 and a client"] > 0
    idle = _figures(report, "idle")
    assert idle["50 connections held"] == 50
    assert idle["$disconnect calls that ran"] == 50


def test_bench_draws_memory(tmp_path: Path) -> None:
    """The plot beside the JSON has a line for each server, of what the JSON holds."""
    report = _bench(tmp_path, "memory")

    plot = tmp_path / "memory.svg"
    text = plot.read_text()
    assert ">bare aiohttp<" in text
    assert ">socketstack<" in text
    assert text.count("<circle") == len(_figures(report, "memory"))
    assert draw_all(report["figures"], tmp_path) == [plot]
    assert plot.read_text() == text


def test_bench_pushes_at_a_reader_who_does_not_read(tmp_path: Path) -> None:
    """Posts that nobody reads are refused in the end."""
    figures = _figures(_bench(tmp_path, "slow-reader"), "slow-reader")
    assert figures["30 MB pushed: refused with 429"] > 0
