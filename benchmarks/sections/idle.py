"""Idle connections: what they cost in memory and time, and what closing all at once does."""

import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import LoadProcess, load_process
from benchmarks.sampling import Peak
from benchmarks.sections.base import MB, Bench, echo_p99
from benchmarks.targets import Target, bare, engine
from benchmarks.trees import Usage

_AT_ONCE = 100
_SETTLE_SECONDS = 2.0
_STARTING = 200
_CALLS_SECONDS = 60
_KB = 1024


def measure(bench: Bench) -> Iterator[Figure]:
    """The bare server first, then ours; both are fresh, so nothing that is free is used again."""
    with bare() as reference:
        bare_each = _bare_bytes(reference, bench.plan.idle)
    with engine() as ours:
        yield from _measure(replace(bench, ours=ours), bare_each)


def _measure(bench: Bench, bare_each: float) -> Iterator[Figure]:
    ours, count = bench.ours, bench.plan.idle
    alone = echo_p99(bench)
    _start_processes(bench)
    before = _settled(ours)
    with load_process("crowd", ours.url, count, _AT_ONCE) as crowd:
        opened = crowd.read()
        grown = _settled(ours).memory_bytes - before.memory_bytes
        yield from _memory(grown / max(opened["open"], 1), bare_each)
        cores = _cores(ours, bench.plan.idle_seconds)
        yield Figure("idle", "processor time", "cores", (cores,), at_most(0.03))
        beside = echo_p99(bench)
        yield Figure("idle", "echo p99 beside them", "ms", (beside,))
        yield Figure("idle", "echo p99: ratio to without", "x", (beside / alone,), at_most(3))
        held = crowd.tell("held?")["held"]
        yield Figure("idle", f"{count:,} connections held", "", (held,), at_least(count))
        yield from _growth(opened["rates"])
        yield from _closing(bench, crowd, before)


def _memory(each: float, bare_each: float) -> Iterator[Figure]:
    yield Figure("idle", "memory of each: bare aiohttp", "KB", (bare_each / _KB,))
    yield Figure("idle", "memory of each: socketstack", "KB", (each / _KB,))
    what = "memory of each: ratio to bare aiohttp"
    yield Figure("idle", what, "x", (each / bare_each,), at_most(1.2))


def _start_processes(bench: Bench) -> None:
    """Open and close a few: their processes stay, and are no part of what a socket costs."""
    count = min(_STARTING, bench.plan.idle)
    with load_process("crowd", bench.ours.url, count, count) as crowd:
        crowd.read()
        crowd.tell("close")
        _wait_calls_ended(bench.ours)


def _bare_bytes(reference: Target, count: int) -> float:
    before = _settled(reference).memory_bytes
    with load_process("crowd", reference.url, count, _AT_ONCE) as crowd:
        opened: int = crowd.read()["open"]
        after = _settled(reference).memory_bytes
    return max(after - before, 1) / max(opened, 1)


def _growth(rates: list[float]) -> Iterator[Figure]:
    """Whether a connect costs more the more there are."""
    if len(rates) > 1:
        middle = len(rates) // 2
        value = _mean(rates[middle:]) / _mean(rates[:middle])
        what = "connect rate, second half to first"
        yield Figure("idle", what, "x", (value,), at_least(0.9))


def _mean(rates: list[float]) -> float:
    return len(rates) / sum(1 / rate for rate in rates)


def _closing(bench: Bench, crowd: LoadProcess, before: Usage) -> Iterator[Figure]:
    ours = bench.ours
    ran_before = ours.disconnects()
    with Peak(ours.most_processes) as peak:
        closed = crowd.tell("close")
        _wait_calls_ended(ours)
    ran = ours.disconnects() - ran_before
    yield Figure("idle", "closing all at once", "s", (closed["seconds"],))
    yield Figure("idle", "$disconnect calls that ran", "", (ran,), at_least(bench.plan.idle))
    yield Figure(
        "idle", "function processes while closing, most of one", "", (peak.value,), at_most(10)
    )
    after = _settled(ours).memory_bytes
    what = "memory afterwards to before"
    yield Figure("idle", what, "x", (after / before.memory_bytes,), at_most(1.2))
    yield Figure("idle", "memory before", "MB", (before.memory_bytes / MB,))


def _wait_calls_ended(target: Target) -> None:
    end = time.monotonic() + _CALLS_SECONDS
    while (health := target.health())["calls"] or health["connections"]:
        if time.monotonic() > end:
            break  # what did not run is missing in the figure
        time.sleep(0.05)


def _settled(target: Target) -> Usage:
    time.sleep(_SETTLE_SECONDS)
    return target.processes.usage()


def _cores(target: Target, seconds: float) -> float:
    before, began = target.processes.usage().cpu_seconds, time.perf_counter()
    time.sleep(seconds)
    spent = target.processes.usage().cpu_seconds - before
    return spent / (time.perf_counter() - began)
