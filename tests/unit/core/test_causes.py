"""The closed list of causes, held against the page that explains it, the rules and the sources."""

import re
from pathlib import Path

import pytest

from socketstack.core.causes import BY_CODE, Cause

_ROOT = Path(__file__).parents[3]
_PAGE = (_ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
_PARITY = (_ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
_SOURCES = _ROOT / "src" / "socketstack"


def _sections() -> dict[str, str]:
    """What stands below the heading of each code."""
    found = re.findall(r"^#### (SS-\d{3})\n\n(.+?)\n(?=\n#|\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_every_code_has_its_own_form_and_is_used_once() -> None:
    """Codes are SS- and three digits, in order; none names two causes."""
    codes = [cause.code for cause in Cause if cause is not Cause.INTERNAL]

    assert all(re.fullmatch(r"SS-[1-9]\d\d", code) for code in codes)
    assert codes == sorted(codes)
    assert len(BY_CODE) == len(Cause)


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.code)
def test_code_is_explained_on_the_page(cause: Cause) -> None:
    """Each code has a section with its meaning, its fix and its rules."""
    section = _sections()[cause.code]

    assert section.startswith(f"*{cause.means}* {cause.fix}")
    assert re.findall(r"\d+\.\d+", section.partition(" Rules: ")[2]) == list(cause.rules)
    assert cause.page == f"docs/errors.md#{cause.code.lower()}"


def test_page_explains_no_other_code() -> None:
    """A code that is gone from the list is gone from the page."""
    assert list(_sections()) == list(BY_CODE)


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.code)
def test_rules_of_a_cause_are_in_the_parity_table(cause: Cause) -> None:
    """Whoever follows a rule's number finds it."""
    assert [rule for rule in cause.rules if f"\n| {rule} |" not in _PARITY] == []


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.code)
def test_cause_is_told_somewhere(cause: Cause) -> None:
    """The list holds nothing that no refusal carries."""
    name = re.compile(rf"\bCause\.{cause.name}\b")
    users = [
        path
        for path in _SOURCES.rglob("*.py")
        if path.name != "causes.py" and name.search(path.read_text(encoding="utf-8"))
    ]

    assert users
