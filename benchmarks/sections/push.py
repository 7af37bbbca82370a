"""Posts to a connection: plain HTTP with 50 at once, and boto3 from one thread."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.figures import Figure, at_least, at_most, ratios
from benchmarks.processes import load
from benchmarks.sections.base import Bench, attempt
from benchmarks.targets import Target

_AT_ONCE = 50


def measure(bench: Bench) -> Iterator[Figure]:
    """Rates of all targets that take posts; what was taken must have arrived."""
    targets = [bench.ours, *bench.peers]
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    boto3 = []
    for _ in range(bench.plan.runs):
        for target in list(targets):
            ran = attempt(bench, target, "push", partial(_run, bench, target))
            if ran is None:
                targets.remove(target)
            else:
                runs[target.name].append(ran)
        boto3.append(load("boto3", bench.ours.url, bench.ours.callback_url, bench.plan.seconds))
    rates = {name: [run["per_second"] for run in each] for name, each in runs.items()}
    for target in targets:
        what = f"plain HTTP, {_AT_ONCE} at once: {target.name}"
        yield Figure("push", what, "/s", tuple(rates[target.name]))
    ours = runs[bench.ours.name]
    lost = tuple(float(run["taken"] - run["received"]) for run in ours)
    yield Figure("push", "taken and not received", "", lost, at_most(0))
    yield Figure("push", "load generator", "cores", tuple(run["generator_cpu"] for run in ours))
    for peer in targets[1:]:
        values = ratios(rates[bench.ours.name], rates[peer.name])
        goal = at_least(1.2) if peer in bench.offline else None
        yield Figure("push", f"ratio to {peer.name}", "x", values, goal)
    each = tuple(run["per_second"] for run in boto3)
    yield Figure("push", "boto3, one thread", "/s", each, at_least(900))
    cpu = tuple(run["generator_cpu"] for run in boto3)
    yield Figure("push", "boto3: its own processor time", "cores", cpu)
    possible = tuple(run["per_second"] / run["generator_cpu"] for run in boto3)
    yield Figure("push", "boto3: what that would allow", "/s", possible)


def _run(bench: Bench, target: Target) -> dict[str, Any]:
    return load("posts", target.url, target.callback_url, _AT_ONCE, bench.plan.seconds)
