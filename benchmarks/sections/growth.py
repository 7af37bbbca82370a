"""Growth: whether a message costs more the more clients there are."""

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.figures import Figure, Place, at_least, at_most, ratios
from benchmarks.processes import load
from benchmarks.sections.base import PAYLOAD_BYTES, Bench
from benchmarks.targets import Target, bare_with_function

_CLIENTS = (1, 10, 50, 200, 1_000)
_FEW, _MANY = 50, 1_000
_SHARES = ("p50", "p99")


def measure(bench: Bench) -> Iterator[Figure]:
    """Echo rates for each second of processor time, and latencies, in interleaved runs.

    The bare server with a function shows how much of it is the machine's: what waits longer has
    left the processor's caches when its turn comes.
    """
    ours: dict[int, list[dict[str, float]]] = defaultdict(list)
    least: dict[int, list[dict[str, float]]] = defaultdict(list)
    with bare_with_function() as reference:
        for _ in range(bench.plan.runs):
            for clients in _CLIENTS:
                ours[clients].append(_run(bench, bench.ours, clients))
            for clients in (_FEW, _MANY):
                least[clients].append(_run(bench, reference, clients))
    for clients in _CLIENTS:
        what = f"{clients:,} clients: echoes"
        yield Figure("growth", what, "per CPU s", tuple(map(_per_cpu_second, ours[clients])))
        for share in _SHARES:
            values = tuple(run[f"{share}_ms"] for run in ours[clients])
            what = f"{clients:,} clients: {share}"
            yield Figure("growth", what, "ms", values, plot=Place("latency", share, clients))
    what = f"rate per core, {_MANY:,} clients to {_FEW}"
    yield Figure("growth", what, "x", _growth(ours), at_least(0.9))
    yield Figure("growth", f"the same of {reference.name}", "x", _growth(least))
    lost = tuple(run["lost"] for runs in ours.values() for run in runs)
    yield Figure("growth", "sockets lost", "", lost, at_most(0))


def _run(bench: Bench, target: Target, clients: int) -> dict[str, float]:
    size = (clients, bench.plan.seconds, PAYLOAD_BYTES)
    return load("echo", target.url, *size, target.processes.pid)


def _growth(runs: dict[int, list[dict[str, float]]]) -> tuple[float, ...]:
    few, many = ([_per_cpu_second(run) for run in runs[clients]] for clients in (_FEW, _MANY))
    return ratios(many, few)


def _per_cpu_second(run: dict[str, float]) -> float:
    return run["echoes"] / max(run["server_cpu_seconds"], 0.01)
