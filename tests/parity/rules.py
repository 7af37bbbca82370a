"""The rows of docs/parity.md, as the suite's report needs them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"
_ROW = re.compile(r"^\| ((?:10|[1-9])\.\d{2,3}|Q\d+) \| (.*) \| (.*) \| (.*) \| .* \|$")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the page."""

    id: str
    text: str
    source: str
    state: str

    @property
    def area(self) -> int:
        """The chapter's number; 99 for the open questions."""
        return _order(self.id)[0]

    @property
    def is_inferred(self) -> bool:
        """Whether nobody has said or seen it of AWS: a tool that differs may be right."""
        return self.source.startswith("inferred") or self.source == "open"


def rules_of(page: str) -> dict[str, Rule]:
    """Every row by its id."""
    rows = (_ROW.match(line) for line in page.splitlines())
    return {
        row[1]: Rule(id=row[1], text=row[2], source=row[3], state=row[4].partition(":")[0])
        for row in rows
        if row
    }


def in_order(ids: Iterable[str]) -> list[str]:
    """Ids as the page orders them."""
    return sorted(ids, key=_order)


def _order(rule: str) -> tuple[int, int]:
    area, _, number = rule.partition(".")
    return (99, int(rule[1:])) if rule.startswith("Q") else (int(area), int(number))
