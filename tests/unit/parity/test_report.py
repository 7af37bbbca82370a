"""The report of the parity suite: what counts as passed, and what is told."""

import json
from pathlib import Path

from parity.report import Report
from parity.rules import PAGE, Rule, in_order, rules_of

PAGE_OF_TWO = """
| id | rule | source | state | test |
|---|---|---|---|---|
| 2.14 | a policy that denies: 403 | DG: $connect | done | `unit/x.py::test_x` |
| 10.02 | spaces are irregular | CE | differs: no | - |
| 2.16 | fails otherwise: 500 | inferred: gateway responses | done | `unit/x.py::test_x` |
| Q3 | a path below? | open | done | `unit/x.py::test_x` |
"""


def report() -> Report:
    """A report about that page."""
    return Report(rules_of(PAGE_OF_TWO))


def test_rows_are_read_from_the_page() -> None:
    """Id, text, source and state of a row."""
    rules = rules_of(PAGE_OF_TWO)

    assert list(rules) == ["2.14", "10.02", "2.16", "Q3"]
    assert rules["10.02"] == Rule(
        id="10.02", text="spaces are irregular", source="CE", state="differs"
    )
    assert [rules[each].is_inferred for each in rules] == [False, False, True, True]
    assert [rules[each].area for each in rules] == [2, 10, 2, 99]


def test_every_row_of_the_real_page_is_read() -> None:
    """No row is lost to a form that the pattern does not know."""
    text = PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| id |" not in line]

    assert len(rules_of(text)) == len(rows) > 300


def test_rules_are_ordered_by_number() -> None:
    """2.2 would come before 2.10, and questions come last."""
    assert in_order(["Q2", "10.01", "2.100", "2.09"]) == ["2.09", "2.100", "10.01", "Q2"]


def test_one_failure_fails_the_rule() -> None:
    """A rule has passed only when all tests that cite it have."""
    found = report()

    found.add(["2.14", "2.16"], failure=None)
    found.add(["2.14"], failure="AssertionError: assert 200 == 403\n  where ...")
    found.add(["2.16"], failure=None)

    assert found.failed == ["2.14"]
    assert found.outcomes["2.14"].failures == ["assert 200 == 403 where ..."]
    assert found.summary() == (
        "1 of 2 rules passed in 3 tests (0 of 1 that are documented or observed, "
        "1 of 1 that are inferred)"
    )


def test_line_says_what_was_seen() -> None:
    """The table has the area, the rule, the result, and what came instead."""
    found = report()

    found.add(["10.02"], failure=None)
    found.add(["2.16"], failure="accepted: {}")

    assert found.lines() == [
        "connect        2.16   FAILED  fails otherwise: 500 (inferred) <- accepted: {}",
        "surprising     10.02  passed  spaces are irregular",
    ]


def test_long_sights_are_cut() -> None:
    """A whole traceback does not fit a table."""
    found = report()

    found.add(["2.14"], failure="x" * 5000)

    assert len(found.outcomes["2.14"].failures[0]) == 160


def test_json_has_every_rule(tmp_path: Path) -> None:
    """Another program finds counts and rows; the file is named after the target."""
    found = report()
    found.add(["2.14"], failure="nothing came")
    found.notes.append("API abc: throttled")

    file = found.write(tmp_path / "build", "other")

    document = json.loads(file.read_text())
    assert file.name == "parity-other.json"
    assert (document["target"], document["rules"], document["passed"]) == ("other", 1, 0)
    assert document["rows"] == [
        {
            "rule": "2.14",
            "text": "a policy that denies: 403",
            "state": "done",
            "inferred": False,
            "result": "failed",
            "tests": 1,
            "seen": ["nothing came"],
        }
    ]
    assert document["notes"] == ["API abc: throttled"]
