"""Echo of 1 KB through a function, with 1 client and with 50."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from benchmarks.figures import Figure, Goal, at_least, at_most, ratios
from benchmarks.processes import load
from benchmarks.sections.base import PAYLOAD_BYTES, Bench, attempt
from benchmarks.targets import Target, bare_with_function

_CLIENTS = (1, 50)
_BARE_GOALS = {1: at_least(0.35)}
_OFFLINE_GOALS = {1: at_least(1.5), 50: at_least(2)}
_MOST_PROCESSES = 10


def measure(bench: Bench) -> Iterator[Figure]:
    """Rates of all targets, one after the other in every run, and what they make of each other."""
    with bare_with_function() as least:
        for clients in _CLIENTS:
            yield from _compare(bench, least, clients)
    if bench.ours.health_url is not None:
        most = bench.ours.most_processes()
        what = "function processes, most of one"
        yield Figure("echo", what, "", (most,), at_most(_MOST_PROCESSES))


def _compare(bench: Bench, least: Target, clients: int) -> Iterator[Figure]:
    targets = [bench.ours, bench.bare, least, *bench.peers]
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(bench.plan.runs):
        for target in list(targets):
            ran = attempt(
                bench, target, f"echo with {clients}", partial(_run, bench, target, clients)
            )
            if ran is None:
                targets.remove(target)
            else:
                runs[target.name].append(ran)
    name = f"{clients} client{'s' * (clients > 1)}"
    for target in targets:
        yield _of(runs[target.name], "per_second", f"{name}: {target.name}", "/s")
    ours = runs[bench.ours.name]
    yield _of(ours, "p99_ms", f"{name}: p99", "ms")
    yield _of(ours, "lost", f"{name}: sockets lost", "", at_most(0))
    yield _of(ours, "generator_cpu", f"{name}: load generator", "cores")
    for target in targets[1:]:
        if not all(run["echoes"] for run in runs[target.name]):
            continue  # its rate of zero is in the table; there is no ratio to nothing
        yield _ratio(bench, target, clients, runs)


def _run(bench: Bench, target: Target, clients: int) -> dict[str, float]:
    return load("echo", target.url, clients, bench.plan.seconds, PAYLOAD_BYTES)


def _of(
    runs: list[dict[str, float]], key: str, what: str, unit: str, goal: Goal | None = None
) -> Figure:
    return Figure("echo", what, unit, tuple(run[key] for run in runs), goal)


def _ratio(
    bench: Bench, target: Target, clients: int, runs: dict[str, list[dict[str, float]]]
) -> Figure:
    goal = None
    if target is bench.bare:
        goal = _BARE_GOALS.get(clients)
    elif target in bench.offline:
        goal = _OFFLINE_GOALS.get(clients)
    rates = {key: [run["per_second"] for run in each] for key, each in runs.items()}
    values = ratios(rates[bench.ours.name], rates[target.name])
    name = f"{clients} client{'s' * (clients > 1)}"
    return Figure("echo", f"{name}: ratio to {target.name}", "x", values, goal)
