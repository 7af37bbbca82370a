"""What a measurement gives: figures with their spread, and goals that they meet or miss. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a figure says of its goal; without a goal it says nothing."""

    MET = "met"
    MISSED = "missed"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of the median: at least so much, or at most."""

    bound: float
    is_least: bool

    def __str__(self) -> str:
        return f"{'at least' if self.is_least else 'at most'} {self.bound:,g}"

    def is_met_by(self, value: float) -> bool:
        """Whether a value keeps the bound; the bound itself does."""
        return value >= self.bound if self.is_least else value <= self.bound


def at_least(bound: float) -> Goal:
    """A goal for figures of which more is better."""
    return Goal(bound, is_least=True)


def at_most(bound: float) -> Goal:
    """A goal for figures of which less is better."""
    return Goal(bound, is_least=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a figure stands in a plot: on which line, and at which value across."""

    name: str
    line: str
    x: float


@dataclass(frozen=True, slots=True)
class Figure:
    """Values of one thing measured in several runs."""

    section: str
    what: str
    unit: str
    values: tuple[float, ...]
    goal: Goal | None = None
    plot: Place | None = None

    def __post_init__(self) -> None:
        if not self.values:
            message = f"{self.section}: {self.what} has no values: measure before you report."
            raise ValueError(message)

    @property
    def median(self) -> float:
        """The middle of all runs."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> Verdict:
        """Whether the median meets the goal."""
        if self.goal is None:
            return Verdict.NONE
        return Verdict.MET if self.goal.is_met_by(self.median) else Verdict.MISSED

    @property
    def spread(self) -> str:
        """From the least to the greatest value, and how many there are."""
        if len(self.values) == 1:
            return "n=1"
        return f"{number(min(self.values))} to {number(max(self.values))}, n={len(self.values)}"

    def as_json(self) -> dict[str, Any]:
        """Everything, for those who read the file."""
        return {
            "section": self.section,
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "values": list(self.values),
            "goal": str(self.goal) if self.goal else None,
            "verdict": str(self.verdict),
            "plot": asdict(self.plot) if self.plot else None,
        }


def number(value: float) -> str:
    """Three digits that say something, whole numbers with separators."""
    if abs(value) >= 100 or value == int(value):  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"  # noqa: PLR2004


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent of an ordered sequence do not exceed (nearest rank)."""
    if not ordered:
        message = "no percentile of nothing: there are no values."
        raise ValueError(message)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(int(rank), 1) - 1]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Run by run: what was measured one after the other belongs together."""
    return tuple(a / b for a, b in zip(ours, theirs, strict=True))
