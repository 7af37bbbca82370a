"""How much is measured: quick or full, or as little as a test needs."""

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass

_SPARE_FILES = 300


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run."""

    runs: int
    seconds: float
    connects: int
    idle: int
    idle_seconds: float
    colds: int
    starts: int
    slow_mb: float
    soak_seconds: float = 600


PLANS = {
    "quick": Plan(3, 2, 5_000, 10_000, 5, 9, 3, 100),
    "full": Plan(7, 5, 5_000, 10_000, 20, 25, 7, 100),
    "test": Plan(1, 0.2, 20, 50, 0.2, 2, 1, 30),
}


def chosen_plan(environ: Mapping[str, str] = os.environ) -> Plan:
    """The plan that ``BENCH`` names."""
    name = environ.get("BENCH") or "quick"
    if name not in PLANS:
        message = f"BENCH is {name!r}: choose one of {', '.join(PLANS)}."
        raise SystemExit(message)
    return PLANS[name]


def raise_open_files(needed: int) -> str | None:
    """Allow as many open files as the system lets us; what to do where that is too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed + _SPARE_FILES
    if soft < hard:
        soft = hard if hard != resource.RLIM_INFINITY else max(soft, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= wanted:
        return None
    return (
        f"{needed:,} sockets need {wanted:,} open files and this shell allows {soft:,}: "
        f"raise it with `ulimit -n {wanted}` or in /etc/security/limits.conf."
    )
