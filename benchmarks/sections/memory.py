"""Memory against connections: more and more idle ones, on a fresh server of each kind."""

import contextlib
import time
from collections.abc import Iterator

from benchmarks.figures import Figure, Place
from benchmarks.processes import BenchError, load_process
from benchmarks.sections.base import MB, Bench
from benchmarks.targets import Target, bare, engine

_AT_ONCE = 100
_SHARES = (8, 4, 2, 1)
_SETTLE_SECONDS = 2.0


def measure(bench: Bench) -> Iterator[Figure]:
    """The whole tree of processes, from none to all connections of the plan."""
    for start in (bare, engine):
        with start() as target:
            yield from _measure(target, bench.plan.idle)


def _measure(target: Target, most: int) -> Iterator[Figure]:
    with contextlib.ExitStack() as crowds:
        connections = 0
        yield _figure(target, connections)
        for share in _SHARES:
            more = most // share - connections
            crowd = crowds.enter_context(load_process("crowd", target.url, more, _AT_ONCE))
            opened = crowd.read()
            if opened["failures"]:
                raise BenchError(f"{target.name} refused connections: {opened['reason']}")
            connections += more
            yield _figure(target, connections)


def _figure(target: Target, connections: int) -> Figure:
    time.sleep(_SETTLE_SECONDS)
    used = target.processes.usage().memory_bytes / MB
    what = f"{connections:,} connections: {target.name}"
    return Figure("memory", what, "MB", (used,), plot=Place("memory", target.name, connections))
