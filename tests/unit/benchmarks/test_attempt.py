import pytest

from benchmarks.plan import PLANS
from benchmarks.processes import BenchError
from benchmarks.sections.base import Bench, attempt
from benchmarks.targets import Target

_OURS, _PEER = Target("ours", "ws://ours"), Target("peer", "ws://peer")


def _fail() -> int:
    raise BenchError("no answer")


def test_peer_that_fails_is_noted_and_the_rest_goes_on() -> None:
    """Another server's trouble must not cost our own figures."""
    bench = Bench(PLANS["test"], _OURS, Target("bare", "ws://bare"), (_PEER,))
    assert attempt(bench, _PEER, "echo", _fail) is None
    assert bench.problems == ["echo, peer: no answer"]
    assert attempt(bench, _PEER, "echo", lambda: 3) == 3


def test_failure_of_ours_is_not_passed_over() -> None:
    """What was to be measured must be measured."""
    bench = Bench(PLANS["test"], _OURS, Target("bare", "ws://bare"), (_PEER,))
    with pytest.raises(BenchError, match="no answer"):
        attempt(bench, _OURS, "echo", _fail)
    assert bench.problems == []
