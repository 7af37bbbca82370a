"""Cold starts: the first call of a process that imports boto3 and makes a client."""

from collections.abc import Iterator

from benchmarks.deployment import message
from benchmarks.figures import Figure, at_most
from benchmarks.processes import BenchError, load
from benchmarks.sections.base import Bench


def measure(bench: Bench) -> Iterator[Figure]:
    """The function gets another environment before every call, so its process must be new."""
    assert bench.ours.deployment is not None
    seconds = []
    for number in range(bench.plan.colds):
        bench.ours.deployment.renew(number)
        called = load("call", bench.ours.url, 1, message("cold"))
        if called["answers"] != ["1"]:
            raise BenchError(f"cold: the process had calls before: {called['answers']}")
        seconds.append(called["seconds"] * 1000)
    yield Figure("cold", "first call with boto3 and a client", "ms", tuple(seconds), at_most(60))
