"""Whether something grows: the straight line through samples. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Growth:
    """How much something grows, by the line through its later samples."""

    per_second: float
    total: float
    """From the first of the samples that count to the last."""


def growth(samples: Sequence[tuple[float, float]]) -> Growth:
    """Of ``(seconds, value)``; the first half is left out, in which caches fill."""
    later = samples[len(samples) // 2 :]
    if len(later) < 2:  # noqa: PLR2004
        message = "a slope needs two samples: run longer."
        raise ValueError(message)
    seconds, values = zip(*later, strict=True)
    slope = statistics.linear_regression(seconds, values).slope
    return Growth(slope, slope * (seconds[-1] - seconds[0]))
