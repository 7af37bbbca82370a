"""The clock that moves: what a skip changes, who wakes, and what it leaves alone."""

import asyncio

import pytest
from fakes import FakeClock

from socketstack.clock import MovableClock, SystemClock

HOUR_MS = 3_600_000


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_skip_moves_wall_time_and_no_durations() -> None:
    """After a skip it is later, and nothing has lasted longer."""
    base = FakeClock()
    clock = MovableClock(base)
    before = (clock.now_ms(), clock.monotonic_seconds())

    clock.skip(HOUR_MS)
    clock.skip(1)

    assert clock.now_ms() == before[0] + HOUR_MS + 1
    assert clock.monotonic_seconds() == before[1]
    assert clock.skipped_ms == HOUR_MS + 1
    assert base.now_ms() == before[0]


def test_time_goes_on_after_a_skip() -> None:
    """A skip is a jump and no stop: time passes as it did before."""
    base = FakeClock()
    clock = MovableClock(base)
    before = clock.now_ms()
    clock.skip(HOUR_MS)

    base.advance(2)

    assert clock.now_ms() == before + HOUR_MS + 2_000


def test_time_does_not_go_back() -> None:
    """A negative skip is refused and changes nothing."""
    clock = MovableClock(FakeClock())

    with pytest.raises(ValueError, match="does not go back"):
        clock.skip(-1)

    assert clock.skipped_ms == 0


async def test_sleeper_wakes_at_once_when_its_time_is_skipped() -> None:
    """Who sleeps shorter than the skip wakes; who sleeps longer sleeps on."""
    clock = MovableClock(FakeClock())
    short = asyncio.create_task(clock.sleep(10))
    long = asyncio.create_task(clock.sleep(20))
    await _settle()

    clock.skip(10_000)
    await _settle()
    after_first = (short.done(), long.done())
    clock.skip(10_000)
    await _settle()

    assert after_first == (True, False)
    assert long.done()


async def test_skip_shortens_what_is_left_to_sleep() -> None:
    """What a skip leaves is waited for on the real clock."""
    base = FakeClock()
    clock = MovableClock(base)
    sleeper = asyncio.create_task(clock.sleep(30))
    await _settle()
    clock.skip(20_000)
    await _settle()

    base.advance(9)
    await _settle()
    before = sleeper.done()
    base.advance(1)
    await _settle()

    assert not before
    assert sleeper.done()


async def test_sleeper_wakes_without_any_skip() -> None:
    """A clock that nobody moves is the clock below."""
    base = FakeClock()
    clock = MovableClock(base)
    sleeper = asyncio.create_task(clock.sleep(1))
    await _settle()

    base.advance(1)
    await _settle()

    assert sleeper.done()


async def test_cancelled_sleeper_leaves_nothing_behind() -> None:
    """A sleep that is given up neither waits on nor stands in the way of a skip."""
    clock = MovableClock(SystemClock())
    sleeper = asyncio.create_task(clock.sleep(3600))
    await _settle()

    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)
    clock.skip(HOUR_MS)

    assert sleeper.cancelled()
    assert clock._waiting == set()


async def test_two_skips_in_one_moment_both_count() -> None:
    """A second skip before the sleeper ran is not lost."""
    clock = MovableClock(SystemClock())
    sleeper = asyncio.create_task(clock.sleep(3600))
    await _settle()

    clock.skip(HOUR_MS // 2)
    clock.skip(HOUR_MS // 2)

    await asyncio.wait_for(sleeper, 5)
