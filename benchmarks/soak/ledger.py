"""What was sent and what became of it. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a client or a poster sends."""

    HANDSHAKE = "handshakes"
    MESSAGE = "messages"
    PUSH = "pushes"


class Outcome(StrEnum):
    """What became of it."""

    SENT = "sent"
    RECEIVED = "received"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    """The client that should have received it went away first."""


@dataclass
class Ledger:
    """Counts, and what should never have happened."""

    counts: Counter[tuple[Kind, Outcome]] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)

    def note(self, kind: Kind, outcome: Outcome, number: int = 1) -> None:
        """Count."""
        self.counts[kind, outcome] += number

    def problems(self) -> Iterator[str]:
        """Kinds whose counts do not come out even, and surprises."""
        for kind in Kind:
            sent = self.counts[kind, Outcome.SENT]
            ends = [outcome for outcome in Outcome if outcome is not Outcome.SENT]
            ended = sum(self.counts[kind, outcome] for outcome in ends)
            if sent != ended:
                parts = " + ".join(f"{self.counts[kind, each]} {each}" for each in ends)
                yield f"{kind}: {sent} sent are not {parts}"
        yield from self.surprises

    def lines(self) -> Iterator[str]:
        """One line for each kind."""
        for kind in Kind:
            told = ", ".join(f"{self.counts[kind, outcome]:,} {outcome}" for outcome in Outcome)
            yield f"{kind}: {told}"
