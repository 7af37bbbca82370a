"""The sections of the bench, by the names that ``SECTIONS`` knows, in the order they run."""

from benchmarks.sections import cold, connect, echo, growth, idle, memory, push, slow, start
from benchmarks.sections.base import Section

SECTIONS: dict[str, Section] = {
    "start": start.measure,
    "local-up": start.measure_local_up,
    "echo": echo.measure,
    "cold": cold.measure,
    "push": push.measure,
    "connect": connect.measure,
    "growth": growth.measure,
    "slow-reader": slow.measure_reader,
    "sleeper": slow.measure_sleeper,
    "idle": idle.measure,
    "memory": memory.measure,
}
COMPARED = frozenset({"echo", "push", "connect"})
"""Sections that measure other servers too, and an endpoint as well as the engine."""
NEED_PROCESSES = frozenset(SECTIONS) - COMPARED
"""Sections that start the engine themselves or look at its processes: not for ``ENDPOINT``."""


def chosen(names: str, *, has_endpoint: bool) -> dict[str, Section]:
    """The named sections, or all; with an endpoint only those that need no process of ours."""
    wanted = names.split() or [
        name for name in SECTIONS if not (has_endpoint and name in NEED_PROCESSES)
    ]
    for name in wanted:
        if name not in SECTIONS:
            message = f"SECTIONS names {name!r}: known are {', '.join(SECTIONS)}."
            raise SystemExit(message)
        if has_endpoint and name in NEED_PROCESSES:
            message = (
                f"The section {name!r} looks at the engine's processes: leave out ENDPOINT, or "
                f"choose others ({', '.join(sorted(set(SECTIONS) - NEED_PROCESSES))})."
            )
            raise SystemExit(message)
    return {name: SECTIONS[name] for name in wanted}
