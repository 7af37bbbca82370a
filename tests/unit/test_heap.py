"""Giving memory back to the system."""

import subprocess
import sys

import pytest

_SCRIPT = """
import gc, os
from socketstack import heap

def held():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

gc.disable()
large = [bytearray(8_000) for _ in range(5_000)]
kept = bytearray(8_000)  # behind all of them: the system gets nothing back by itself
large.append(large)
del large
before = held()
heap.give_back()
without = held()
heap.give_back(with_garbage=True)
print(before - without, without - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_free_goes_back_and_garbage_only_when_asked() -> None:
    """Forty megabytes of a list that holds itself, with something behind them that stays."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, check=True)
    at_once, with_garbage = map(int, done.stdout.split())

    assert at_once < 10_000_000
    assert with_garbage > 30_000_000
