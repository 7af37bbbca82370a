"""A reader who does not read, and a function that sleeps: what others notice of them."""

import statistics
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from benchmarks.deployment import message
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import BenchError, load
from benchmarks.sampling import Peak
from benchmarks.sections.base import MB, PAYLOAD_BYTES, Bench, echo_p99
from benchmarks.targets import engine

_REFUSED = "429"
_SLEEPERS, _SLEEP_SECONDS, _SLEPT_SECONDS = 10, 5, 6


def measure_reader(bench: Bench) -> Iterator[Figure]:
    """Much is pushed at a client that reads nothing."""
    with engine() as ours:
        yield from _measure_reader(replace(bench, ours=ours))


def _measure_reader(bench: Bench) -> Iterator[Figure]:
    ours, plan = bench.ours, bench.plan
    alone = echo_p99(bench)
    load("slow", ours.url, ours.callback_url, 1, 0)  # its processes are there now
    before = ours.processes.usage().memory_bytes
    seconds = plan.seconds * 2
    with Peak(lambda: ours.processes.usage().memory_bytes) as peak:
        beside, pushed = _beside(
            bench, lambda: load("slow", ours.url, ours.callback_url, plan.slow_mb, seconds)
        )
    grown = (peak.value - before) / MB
    refused = pushed["statuses"].get(_REFUSED, 0)
    name = f"{bench.plan.slow_mb:g} MB pushed"
    yield Figure("slow-reader", f"{name}: refused with 429", "", (refused,), at_least(1))
    taken = pushed["taken_before_refusal_mb"]
    yield Figure("slow-reader", f"{name}: taken first, kernel's part included", "MB", (taken,))
    yield Figure("slow-reader", f"{name}: memory grows by", "MB", (grown,), at_most(4))
    yield Figure("slow-reader", "others' p99, to without", "x", (beside / alone,), at_most(2))


def measure_sleeper(bench: Bench) -> Iterator[Figure]:
    """A function that sleeps is called on several connections at once."""
    alone = echo_p99(bench)
    text = message("sleep", seconds=_SLEEP_SECONDS)
    beside, called = _beside(bench, lambda: load("call", bench.ours.url, _SLEEPERS, text))
    what = f"{_SLEEPERS} calls that sleep {_SLEEP_SECONDS} s"
    yield Figure("sleeper", what, "s", (called["seconds"],), at_most(_SLEPT_SECONDS))
    yield Figure("sleeper", "others' p99, to without", "x", (beside / alone,), at_most(2))


def _beside(bench: Bench, work: Callable[[], dict[str, Any]]) -> tuple[float, dict[str, Any]]:
    """The p99 of echoes as long as the work lasts, and what came of the work."""
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    p99s: list[float] = []
    while not p99s or thread.is_alive():
        p99s.append(load("echo", bench.ours.url, 1, bench.plan.seconds, PAYLOAD_BYTES)["p99_ms"])
    thread.join()
    if not results:
        raise BenchError("the work beside the echoes failed: see its message above")
    return statistics.median(p99s), results[0]
