"""docs/parity.md held against the sources: ids in the table, in the code and in the tests agree.

A rule is cited in a comment or docstring, as in ``Rules: 5.01 to 5.06, 8.19``, ``(2.14)``,
``# 6.01`` or ``... is refused. 1.38``, in a reason for people as ``[3.07]``, and in a test case's
id, as in ``1.54-long``. A module that carries a whole area says ``Rules: area 7``. Numbers
elsewhere in prose, such as Python 3.11, are none.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import ascii_uppercase

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "parity.md"
_TESTS = _ROOT / "tests"
_SOURCES = _ROOT / "src" / "socketstack"

_STATES = ("done", "differs", "not yet", "out of scope")
_NEED_A_REASON = ("differs", "out of scope")
_LINE_MAX_CHARACTERS = 300
_CITED_AREAS = range(2, 9)
_NO_TEST = "-"

_ROW_ID = re.compile(r"(?:10|[1-9])\.\d{2,3}|Q[1-9]\d?")
_TEST_ID = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
_HEADING = re.compile(r"## (?:(\d+[A-Z]?) )?\S")

_ID = r"(?:10|[1-9])\.\d{2,3}(?![\w%]|\.\d)"
_NOTE = r"(?:\s*\([^()]*\))?"
_JOINT = rf"{_NOTE}(?:\s*[,;]\s*(?:and\s+)?|\s+to\s+|\s+and\s+)"
_CHAIN = rf"{_ID}(?:{_JOINT}{_ID})*"
_PROSE = re.compile(
    rf"(?:^|\b[Rr]ules?:?\s)(?P<named>{_CHAIN})"
    rf"|(?:[(\[]|[.!?:;]\s)(?:see\s)?(?P<bare>{_CHAIN})(?=[)\],;:.]|$)"
)
_SECTION = re.compile(r"\bRules: .*?(?=\.\s+[A-Z]|$)")
_RANGE = re.compile(rf"(?P<first>{_ID})\s+to\s+(?P<last>{_ID})")
_AREAS = re.compile(r"\bareas? (\d+[A-Z]?)(?: (to|and) (\d+[A-Z]?))?")
_REASON = re.compile(rf"\[(?P<chain>{_CHAIN})\]")
_CASE = re.compile(rf"(?P<chain>{_ID})(?:-|$)")


@dataclass(frozen=True)
class Row:
    """One rule; ``area`` is that of the heading above it, empty for the open questions."""

    line: str
    area: str
    id: str
    rule: str
    source: str
    state: str
    test: str

    @property
    def chapter(self) -> str:
        """The area without its letter."""
        return self.area.rstrip(ascii_uppercase)

    @property
    def is_done(self) -> bool:
        """Whether the engine does it and a test shows it."""
        return self.state == "done"


@dataclass(frozen=True)
class Cited:
    """What a file cites: rules one by one, rules within ranges, and whole areas."""

    rules: frozenset[str]
    ranged: frozenset[str]
    areas: frozenset[str]

    def covers(self, row: Row) -> bool:
        """Whether a row's rule is among them."""
        return row.id in self.rules | self.ranged or bool({row.area, row.chapter} & self.areas)


def _rows(page: str) -> list[Row]:
    rows: list[Row] = []
    area = ""
    for line in page.splitlines():
        heading = _HEADING.match(line)
        if heading:
            area = heading[1] or ""
        if line.startswith("|") and not line.startswith(("| id |", "|---")):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 5, f"not five cells: {line}"
            rows.append(Row(line, area, *cells))
    return rows


def _order(rule: str) -> tuple[int, int]:
    area, _, number = rule.partition(".")
    return (99, int(rule[1:])) if rule.startswith("Q") else (int(area), int(number))


def _between(first: str, last: str) -> Iterator[str]:
    (area, low), (_same, high) = _order(first), _order(last)
    yield from (f"{area}.{number:02d}" for number in range(low, high + 1))


def _areas(text: str) -> Iterator[str]:
    for first, joint, last in _AREAS.findall(text):
        yield first
        if last:
            yield last
        if joint == "to":
            between = range(ord(first[-1]), ord(last[-1]))
            yield from (first[:-1] + chr(letter) for letter in between)


def _cited_in_prose(text: str) -> Cited:
    """What a comment or docstring cites."""
    flat = " ".join(text.split())
    sections = _SECTION.findall(flat)
    chains = [match["named"] or match["bare"] for match in _PROSE.finditer(flat)] + sections
    return Cited(
        rules=frozenset(rule for chain in chains for rule in _ids(chain)),
        ranged=frozenset(
            rule
            for chain in chains
            for found in _RANGE.finditer(chain)
            for rule in _between(found["first"], found["last"])
        ),
        areas=frozenset(area for section in sections for area in _areas(section)),
    )


def _ids(chain: str) -> list[str]:
    return re.findall(rf"(?<![\w.]){_ID}", chain)


def _comments(source: str) -> Iterator[str]:
    """Comments; those on following lines are one text, so that a sentence stays whole."""
    block: list[str] = []
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        is_alone = token.line.strip().startswith("#")
        if block and not (is_alone and token.start[0] == last + 1):
            yield " ".join(block)
            block = []
        block.append(token.string.lstrip("# "))
        last = token.start[0]
    if block:
        yield " ".join(block)


def _texts(tree: ast.AST) -> tuple[list[str], list[str], list[str]]:
    """Docstrings, also of attributes; other texts; ids of test cases."""
    docs, others, cases = [], [], []
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                docs.append(text)
            case ast.Constant(value=str(text)):
                others.append(text)
            case ast.keyword(arg="id" | "rule", value=ast.Constant(value=str(text))):
                cases.append(text)
            case _:
                pass
    return docs, others, cases


@cache
def _cited(path: Path) -> Cited:
    source = path.read_text(encoding="utf-8")
    docs, others, cases = _texts(ast.parse(source))
    prose = [_cited_in_prose(text) for text in [*docs, *_comments(source)]]
    marked = [match["chain"] for text in others for match in _REASON.finditer(text)]
    marked += [match["chain"] for text in cases if (match := _CASE.match(text))]
    return Cited(
        rules=frozenset(rule for chain in marked for rule in _ids(chain)).union(
            *(each.rules for each in prose)
        ),
        ranged=frozenset[str]().union(*(each.ranged for each in prose)),
        areas=frozenset[str]().union(*(each.areas for each in prose)),
    )


def _files(*folders: Path) -> list[Path]:
    """Python files; not this one, whose examples cite nothing."""
    found = {path for folder in folders for path in folder.rglob("*.py")}
    return sorted(found - {Path(__file__).resolve()})


@cache
def _functions(path: Path) -> frozenset[str]:
    """Names of a file's test functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


_TEXT = _PAGE.read_text(encoding="utf-8")
_ROWS = _rows(_TEXT)
_IDS = {row.id for row in _ROWS}


def test_table_is_read_from_the_page() -> None:
    """The page has all ten areas and the open questions, each under a heading of its own."""
    chapters = {row.chapter for row in _ROWS}

    assert chapters == {"", *map(str, range(1, 11))}
    assert len(_ROWS) > 300
    assert [row.id for row in _ROWS if row.chapter != row.id.rpartition(".")[0]] == []


def test_ids_are_unique_and_in_order() -> None:
    """Each rule has one row, and stands where its number says."""
    ids = [row.id for row in _ROWS]

    assert [each for each in ids if not _ROW_ID.fullmatch(each)] == []
    assert [each for each in sorted(_IDS, key=_order) if ids.count(each) > 1] == []
    assert ids == sorted(ids, key=_order)


def test_every_row_is_one_readable_line() -> None:
    """A row says what the rule is and where it comes from, and fits a line."""
    assert [row.id for row in _ROWS if not (row.rule and row.source)] == []
    assert [row.id for row in _ROWS if len(row.line) > _LINE_MAX_CHARACTERS] == []


def test_every_state_is_one_of_four() -> None:
    """A row is done without more words; where it differs or is left out it says how or why."""
    states = {row.id: row.state.partition(":") for row in _ROWS}

    assert [each for each, (state, _, _why) in states.items() if state not in _STATES] == []
    assert [each for each, (state, _, why) in states.items() if state == "done" and why] == []
    assert [
        each
        for each, (state, _, why) in states.items()
        if state in _NEED_A_REASON and not why.strip()
    ] == []


def test_every_named_test_exists() -> None:
    """A test in the table is a function in that file."""
    named = {row.id: row.test for row in _ROWS if row.test != _NO_TEST}
    found = {each: _TEST_ID.fullmatch(test) for each, test in named.items()}

    missing = [
        f"{each} {named[each]}"
        for each, match in found.items()
        if match is None
        or not (_TESTS / match[1]).is_file()
        or match[2] not in _functions(_TESTS / match[1])
    ]
    assert missing == []


def test_done_row_names_its_test() -> None:
    """What no test shows is not done."""
    assert [row.id for row in _ROWS if row.is_done and row.test == _NO_TEST] == []


def test_every_rule_that_is_cited_has_a_row() -> None:
    """A number in code or tests leads to the table."""
    unknown = {
        f"{path.relative_to(_ROOT)}: {rule}"
        for path in _files(_SOURCES, _TESTS)
        for rule in _cited(path).rules - _IDS
    }

    assert unknown == set()


def test_every_rule_that_the_page_speaks_of_has_a_row() -> None:
    """References between rows, and those in the page's introduction, lead somewhere."""
    spoken = set(re.findall(r"[(,] ?((?:10|[1-9])\.\d{2,3}|Q\d+)\b(?!\.)", _TEXT))

    assert spoken - _IDS == set()


def test_every_rule_that_is_done_is_cited() -> None:
    """What clients meet names its rule in code or test, so that the table can be found from it."""
    cited = [_cited(path) for path in _files(_SOURCES, _TESTS)]
    wanted = [row for row in _ROWS if row.is_done and row.id in _numbered(_CITED_AREAS)]

    assert len(wanted) > 100
    assert [row.id for row in wanted if not any(each.covers(row) for each in cited)] == []


def _numbered(areas: range) -> frozenset[str]:
    return frozenset(
        row.id for row in _ROWS if not row.id.startswith("Q") and _order(row.id)[0] in areas
    )


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        pytest.param("Rules: 5.01 to 5.03.", {"5.01", "5.03"}, id="range"),
        pytest.param("Rules: 2.06, 5.19 (order), 8.02 and 10.17.", None, id="list"),
        pytest.param("Rules: areas 2 and 3 of the table, 4.03, 4.09.", {"4.03", "4.09"}, id="area"),
        pytest.param("Covers rules 1.17, 1.31 (ids) and 2.42 (more).", None, id="in-a-sentence"),
        pytest.param("A refusal (2.14) and a list (8.11, 8.12).", None, id="parentheses"),
        pytest.param("The client does not read. [7.17]", {"7.17"}, id="brackets"),
        pytest.param("6.01", {"6.01"}, id="alone"),
        pytest.param("2.05: everybody gets in, as on AWS.", {"2.05"}, id="at-the-start"),
        pytest.param("Nothing is made. 1.82, 1.100.", {"1.82", "1.100"}, id="at-the-end"),
        pytest.param("As rule 5.44 has it; see rule 1.55.", {"5.44", "1.55"}, id="by-word"),
        pytest.param("Python 3.11 and 3.12, botocore 1.43, 1.44", set(), id="versions"),
        pytest.param("moto 5.2.5 takes (2.30 s, TLS 1.20)", set(), id="figures"),
        pytest.param("aiohttp 3.14 limits messages (5.25%)", set(), id="percent"),
        pytest.param("aiohttp >= 3.14.1. 1.115.0 is newer (4.14.2)", set(), id="three-parts"),
    ],
)
def test_citations_are_told_from_other_numbers(text: str, rules: set[str] | None) -> None:
    """Rule numbers are recognised by where they stand; versions and figures are left alone."""
    expected = frozenset(re.findall(r"\d+\.\d+", text) if rules is None else rules)

    assert _cited_in_prose(text).rules == expected


def test_ranges_and_areas_are_told() -> None:
    """A range covers what lies between; an area is its heading's, with or without letter."""
    cited = _cited_in_prose("Rules: areas 5A to 5C of the table, area 7, 8.09 to 8.11.")

    assert cited.areas == {"5A", "5B", "5C", "7"}
    assert cited.ranged == {"8.09", "8.10", "8.11"}
    assert cited.covers(Row("", "5B", "5.20", "", "", "", ""))
    assert not cited.covers(Row("", "5E", "5.46", "", "", "", ""))


def test_consecutive_comments_are_one_text() -> None:
    """A version number that begins a comment's second line is not taken for a rule."""
    source = "# aiohttp\n# 3.14 limits messages\nx = 1  # 6.01\ny = 2  # 6.02\n"

    assert list(_comments(source)) == ["aiohttp 3.14 limits messages", "6.01", "6.02"]
