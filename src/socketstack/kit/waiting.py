"""Waiting in commands: look, pause, look again, until a deadline."""

from collections.abc import Callable
from typing import TypeVar

from socketstack.clock import SystemClock, pause

T = TypeVar("T")


def poll(look: Callable[[], T | None], *, every_seconds: float, timeout_seconds: float) -> T | None:
    """The first thing that ``look`` gives other than None; None when the time is over."""
    clock = SystemClock()
    deadline = clock.monotonic_seconds() + timeout_seconds
    while True:
        found = look()
        if found is not None or clock.monotonic_seconds() >= deadline:
            return found
        pause(every_seconds)
