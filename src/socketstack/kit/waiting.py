"""Waiting in commands: look, pause, look again, until a deadline; and for our turn."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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


@contextmanager
def turn_in(folder: Path, *, say: Callable[[str], None]) -> Iterator[None]:
    """Be the only command that changes what belongs to ``folder``; wait for others without limit.

    The lock is the system's: whoever ends, in whatever way, lets go of it. ``say`` is told when
    there is somebody to wait for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another command that is at work in {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
