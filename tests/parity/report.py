"""What a run of the parity suite found: one line per rule, and JSON.

A rule has passed when every test that cites it has. A test that fails, in its set-up too, fails
its rules, and what was seen stands beside them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from parity.rules import Rule, in_order

_SEEN_CHARACTERS = 160
_AREAS = {
    1: "control plane",
    2: "connect",
    3: "authorizer",
    4: "IAM and keys",
    5: "messages",
    6: "limits",
    7: "@connections",
    8: "disconnect",
    9: "logs",
    10: "surprising",
    99: "open questions",
}


@dataclass
class Outcome:
    """What the tests that cite one rule showed."""

    tests: int = 0
    failures: list[str] = field(default_factory=list)
    """What was seen instead, one line per failed test."""

    @property
    def has_passed(self) -> bool:
        """Whether nothing was seen that contradicts the rule."""
        return not self.failures


class Report:
    """Collects outcomes while the tests run."""

    def __init__(self, page: Mapping[str, Rule]) -> None:
        self._page = page
        self.outcomes: dict[str, Outcome] = {}
        self.tests = 0
        self.notes: list[str] = []
        """What else must be told, such as things that could not be removed."""

    def add(self, rules: Iterable[str], *, failure: str | None) -> None:
        """Count one test for its rules; ``failure`` is what was seen where it failed."""
        self.tests += 1
        for rule in set(rules):
            outcome = self.outcomes.setdefault(rule, Outcome())
            outcome.tests += 1
            if failure is not None:
                outcome.failures.append(_one_line(failure))

    @property
    def failed(self) -> list[str]:
        """Rules that did not hold, in the page's order."""
        return in_order(rule for rule, o in self.outcomes.items() if not o.has_passed)

    def summary(self) -> str:
        """The count in one line."""
        sure = [rule for rule in self.outcomes if not self._is_inferred(rule)]
        passed = [rule for rule in self.outcomes if self.outcomes[rule].has_passed]
        known = len(set(passed) & set(sure))
        return (
            f"{len(passed)} of {len(self.outcomes)} rules passed in {self.tests} tests "
            f"({known} of {len(sure)} that are documented or observed, "
            f"{len(passed) - known} of {len(self.outcomes) - len(sure)} that are inferred)"
        )

    def lines(self) -> list[str]:
        """The table: area, rule, result, and the rule's text or what was seen instead."""
        return [self._line(rule) for rule in in_order(self.outcomes)]

    def _line(self, rule: str) -> str:
        outcome, row = self.outcomes[rule], self._page.get(rule)
        area = _AREAS[row.area] if row else "?"
        text = row.text if row else ""
        mark = " (inferred)" if self._is_inferred(rule) else ""
        if outcome.has_passed:
            return f"{area:<15}{rule:<7}passed  {text}{mark}"
        return f"{area:<15}{rule:<7}FAILED  {text}{mark} <- {outcome.failures[0]}"

    def as_json(self, target: str) -> str:
        """Everything, for another program."""
        rows = [
            {
                "rule": rule,
                "text": self._page[rule].text if rule in self._page else "",
                "state": self._page[rule].state if rule in self._page else "",
                "inferred": self._is_inferred(rule),
                "result": "passed" if outcome.has_passed else "failed",
                "tests": outcome.tests,
                "seen": outcome.failures,
            }
            for rule, outcome in ((rule, self.outcomes[rule]) for rule in in_order(self.outcomes))
        ]
        document = {
            "target": target,
            "date": datetime.now(UTC).date().isoformat(),
            "tests": self.tests,
            "rules": len(rows),
            "passed": sum(row["result"] == "passed" for row in rows),
            "rows": rows,
            "notes": self.notes,
        }
        return json.dumps(document, indent=1) + "\n"

    def write(self, folder: Path, target: str) -> Path:
        """Write the JSON to ``parity-{target}.json``; returns the file."""
        folder.mkdir(exist_ok=True)
        file = folder / f"parity-{target}.json"
        file.write_text(self.as_json(target), encoding="utf-8")
        return file

    def _is_inferred(self, rule: str) -> bool:
        return rule in self._page and self._page[rule].is_inferred


def rules_cited(item: pytest.Item) -> list[str]:
    """Ids in a test's ``rule`` markers, without repetition."""
    return in_order({str(rule) for mark in item.iter_markers("rule") for rule in mark.args})


def seen(report: pytest.TestReport) -> str:
    """What a failed phase saw, in a few words."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else str(report.longrepr)
    message = message.strip().partition("\n")[0]
    where = "" if report.when == "call" else f"in {report.when}: "
    return where + message


def _one_line(text: str) -> str:
    flat = " ".join(text.replace("AssertionError: ", "").split())
    return flat if len(flat) <= _SEEN_CHARACTERS else flat[: _SEEN_CHARACTERS - 1] + "\u2026"
