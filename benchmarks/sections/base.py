"""What every section is given, and what it gives."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.figures import Figure
from benchmarks.plan import Plan
from benchmarks.processes import BenchError, load
from benchmarks.targets import Target

PAYLOAD_BYTES = 1024
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the bench: its sizes, what is measured, and what it is compared with."""

    plan: Plan
    ours: Target
    bare: Target
    peers: tuple[Target, ...] = ()
    problems: list[str] = field(default_factory=list)
    """What of other servers could not be measured; ours fails its section instead."""

    @property
    def offline(self) -> tuple[Target, ...]:
        """The peers that goals name: serverless-offline, with Python functions."""
        return tuple(peer for peer in self.peers if peer.name == "serverless-offline, python")


_T = TypeVar("_T")
Section = Callable[[Bench], Iterator[Figure]]


def attempt(bench: Bench, target: Target, what: str, work: Callable[[], _T]) -> _T | None:
    """What comes of the work; None where another server cannot do it, and that is noted."""
    try:
        return work()
    except BenchError as error:
        if target not in bench.peers:
            raise
        bench.problems.append(f"{what}, {target.name}: {error}")
        return None


def echo_p99(bench: Bench) -> float:
    """Milliseconds that all but a hundredth of one client's echoes take; the median of runs."""
    p99s: list[float] = [
        load("echo", bench.ours.url, 1, bench.plan.seconds, PAYLOAD_BYTES)["p99_ms"]
        for _ in range(bench.plan.runs)
    ]
    return statistics.median(p99s)
