"""Connects with authorizer and ``$connect``, 100 at once."""

from collections.abc import Iterator
from functools import partial

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import load_process
from benchmarks.sections.base import Bench, attempt
from benchmarks.targets import Target

_AT_ONCE = 100
_PEERS_SHARE = 10
"""Peers are measured with a tenth: one of them takes a minute for a thousand."""


def measure(bench: Bench) -> Iterator[Figure]:
    """The rate until all are open, and handshakes that failed."""
    rates, failures, p99, cpu = [], [], [], []
    for _ in range(bench.plan.runs):
        with load_process("crowd", bench.ours.url, bench.plan.connects, _AT_ONCE) as crowd:
            opened = crowd.read()
            crowd.tell("close")
        rates.append(opened["per_second"])
        failures.append(opened["failures"])
        p99.append(opened["p99_ms"])
        cpu.append(opened["generator_cpu"])
    what = f"{bench.plan.connects:,} with authorizer and $connect"
    yield Figure("connect", what, "/s", tuple(rates), at_least(1500))
    yield Figure("connect", "failed handshakes", "", tuple(failures), at_most(0))
    yield Figure("connect", "p99 of a handshake", "ms", tuple(p99))
    yield Figure("connect", "load generator", "cores", tuple(cpu))
    for peer in bench.peers:
        yield from attempt(bench, peer, "connect", partial(_peer, bench, peer)) or ()


def _peer(bench: Bench, peer: Target) -> list[Figure]:
    """A second crowd counts: the first one starts the peer's processes."""
    count = max(bench.plan.connects // _PEERS_SHARE, 1)
    with load_process("crowd", peer.url, min(_AT_ONCE, count), min(_AT_ONCE, count)) as crowd:
        crowd.read()
    with load_process("crowd", peer.url, count, min(_AT_ONCE, count)) as crowd:
        opened = crowd.read()
    figures = [Figure("connect", f"{count:,}: {peer.name}", "/s", (opened["per_second"],))]
    if opened["failures"]:
        what = f"failed handshakes: {peer.name}"
        figures.append(Figure("connect", what, "", (opened["failures"],)))
    return figures
