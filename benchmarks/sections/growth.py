"""Growth: whether a message costs more the more clients there are."""

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.figures import Figure, Place, at_least, at_most, ratios
from benchmarks.processes import load
from benchmarks.sections.base import PAYLOAD_BYTES, Bench

_CLIENTS = (1, 10, 50, 200, 1_000)
_FEW, _MANY = 50, 1_000
_SHARES = ("p50", "p99")


def measure(bench: Bench) -> Iterator[Figure]:
    """Echo rates for each second of processor time, and latencies, in interleaved runs."""
    rates: dict[int, list[float]] = defaultdict(list)
    latencies: dict[tuple[int, str], list[float]] = defaultdict(list)
    lost = []
    tree = bench.ours.processes
    for _ in range(bench.plan.runs):
        for clients in _CLIENTS:
            before = tree.usage().cpu_seconds
            ran = load("echo", bench.ours.url, clients, bench.plan.seconds, PAYLOAD_BYTES)
            spent = tree.usage().cpu_seconds - before
            rates[clients].append(ran["echoes"] / max(spent, 0.01))
            for share in _SHARES:
                latencies[clients, share].append(ran[f"{share}_ms"])
            lost.append(ran["lost"])
    for clients in _CLIENTS:
        what = f"{clients:,} clients: echoes"
        yield Figure("growth", what, "per CPU s", tuple(rates[clients]))
        for share in _SHARES:
            what, values = f"{clients:,} clients: {share}", tuple(latencies[clients, share])
            yield Figure("growth", what, "ms", values, plot=Place("latency", share, clients))
    what = f"rate per core, {_MANY:,} clients to {_FEW}"
    yield Figure("growth", what, "x", ratios(rates[_MANY], rates[_FEW]), at_least(0.9))
    yield Figure("growth", "sockets lost", "", tuple(lost), at_most(0))
