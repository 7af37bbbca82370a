"""``make soak``: uses a fresh engine at random, then looks at what was lost, is left, or grew.

SOAK_SECONDS=600 SOAK_SEED=7 make soak
"""

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import Mapping

import aiohttp

from benchmarks import targets
from benchmarks.plan import chosen_plan, raise_open_files
from benchmarks.sections.base import MB
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.rest import at_rest
from benchmarks.soak.slope import growth
from benchmarks.soak.worker import Worker
from benchmarks.targets import Target
from benchmarks.trees import is_alive

_WORKERS = 8
_SAMPLES = 200
_MOST_GROWTH_MB = 10
"""What the engine's memory may grow by in the second half: noise is some, a leak is more."""
_NEEDED_FILES = 500
_END_SECONDS = 10


def main(environ: Mapping[str, str] = os.environ) -> int:
    """1 when something is not well."""
    seconds = _seconds(environ)
    seed = environ.get("SOAK_SEED") or str(random.SystemRandom().randrange(1_000_000))
    if too_few := raise_open_files(_NEEDED_FILES):
        raise SystemExit(too_few)
    _say(f"Soaking for {seconds:g} s. SOAK_SEED={seed} makes the same choices again.")
    ledger = Ledger()
    with targets.engine() as target:
        problems = asyncio.run(_soak(target, ledger, seconds, seed))
        pids = target.processes.pids()
    problems += _outlived(pids)
    for line in ledger.lines():
        _say(line)
    for problem in problems:
        _say(f"not well: {problem}")
    if not problems:
        _say("All is well.")
    return 1 if problems else 0


def _seconds(environ: Mapping[str, str]) -> float:
    text = environ.get("SOAK_SECONDS") or str(chosen_plan({}).soak_seconds)
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text)) < float("inf"):
            return seconds
    message = f"SOAK_SECONDS is {text!r}: write a number of seconds above 0, such as 600."
    raise SystemExit(message)


async def _soak(target: Target, ledger: Ledger, seconds: float, seed: str) -> list[str]:
    before = await at_rest(target, 1)
    samples = await _work(target, ledger, seconds, seed)
    after = await at_rest(target, 2, before)
    grown = growth(samples)
    _say(
        f"memory: {samples[-1][1]:.1f} MB, {grown.per_second * 60:+.2f} MB a minute, "
        f"{grown.total:+.1f} MB in the second half (at most {_MOST_GROWTH_MB})"
    )
    _say(f"at rest: {after}")
    problems = [*ledger.problems(), *after.problems(before)]
    if grown.total > _MOST_GROWTH_MB:
        problems.append(f"memory grew by {grown.total:.1f} MB, at most {_MOST_GROWTH_MB} are noise")
    return problems


async def _work(
    target: Target, ledger: Ledger, seconds: float, seed: str
) -> list[tuple[float, float]]:
    """Seconds and MB of the engine alone, as long as the workers work."""
    over, began = asyncio.Event(), time.monotonic()
    samples = []
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        for number in range(_WORKERS):
            worker = Worker(target, ledger, session, f"{seed}/{number}")
            tasks.create_task(worker.run(over))
        while (now := time.monotonic() - began) < seconds:
            samples.append((now, target.processes.own_memory() / MB))
            await asyncio.sleep(seconds / _SAMPLES)
        over.set()
    return samples


def _outlived(pids: list[int]) -> list[str]:
    """Processes that should have ended with the engine."""
    end = time.monotonic() + _END_SECONDS
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < end:
        time.sleep(0.1)
    return [f"process {pid} outlived the engine" for pid in left]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
