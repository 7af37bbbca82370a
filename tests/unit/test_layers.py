"""The table of layers in docs/architecture.md, held against the sources.

The table is read from the page itself: a module without a row, or with an import that its row
does not allow, fails here.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "src" / "socketstack"
_PAGE = _ROOT / "docs" / "architecture.md"

_DISTRIBUTIONS = {
    "aws-sam-translator": {"samtranslator"},
    "boto3": {"boto3", "botocore", "s3transfer"},
    "PyYAML": {"yaml"},
}
_STUBS = ("mypy_boto3_",)
"""Imported while checking types and never when running."""

_CHILD_PROCESSES = {"subprocess", "multiprocessing", "pty"}
_CHILD_CALLS = re.compile(r"os\.(fork|forkpty|exec\w+|spawn\w+|posix_spawn\w*|system|popen)$")
_RANDOM = {"random", "secrets", "uuid"}
_CLOCKS = re.compile(r"(.*\.)?(datetime|date)\.(now|utcnow|today)$")
_ENVIRONMENT = re.compile(r"os\.(environb?|getenvb?|putenv|unsetenv)$")


@dataclass(frozen=True)
class Row:
    """One row: the modules it is about, and what they may import."""

    modules: tuple[str, ...]
    ours: frozenset[str]
    is_free: bool
    third_party: dict[str, frozenset[str] | None]
    """Import name to the only modules that may use it, None for all of the row."""


@dataclass(frozen=True)
class Module:
    """A source file, parsed."""

    name: str
    """Without the package, with slashes: ``core/model``."""
    tree: ast.Module


def _modules() -> list[Module]:
    return [
        Module(
            path.relative_to(_PACKAGE).with_suffix("").as_posix(),
            ast.parse(path.read_text(encoding="utf-8")),
        )
        for path in sorted(_PACKAGE.rglob("*.py"))
    ]


def _table() -> list[Row]:
    section = _PAGE.read_text(encoding="utf-8").split("## Layers")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [_row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]


def _row(modules: str, ours: str, third_party: str) -> Row:
    names = (name.removesuffix("/*") for name in re.findall(r"`([^`]+)`", ours))
    allowed: dict[str, frozenset[str] | None] = {}
    for clause in third_party.split(";"):
        only = frozenset(
            name.removesuffix(".py")
            for name in re.findall(r"`([^`]+)`", clause.partition(" in ")[2])
        )
        plain = re.split(r" in |:", re.sub(r"\s*\([^)]*\)", "", clause))[0]
        for distribution in re.split(r",\s*|\s+and\s+", plain.strip()):
            for name in _DISTRIBUTIONS.get(distribution, {distribution}):
                allowed[name] = only or None
    return Row(
        modules=tuple(re.findall(r"`([^`]+)`", modules)),
        ours=frozenset(names),
        is_free=ours == "everything",
        third_party=allowed,
    )


def _row_of(module: str, table: list[Row]) -> tuple[str, Row] | None:
    exact = next((row for row in table if module in row.modules), None)
    if exact is not None:
        return module, exact
    return next(
        ((name, row) for row in table for name in row.modules if fnmatch(module, name)), None
    )


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names)


def _uses(tree: ast.AST) -> Iterator[str]:
    """Every dotted expression and everything imported, with dots."""
    yield from _imports(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def _is_ours_allowed(imported: str, module: str, pattern: str, row: Row) -> bool:
    if imported in {"socketstack.__version__", "socketstack"}:
        return True
    path = imported.removeprefix("socketstack.").replace(".", "/")
    own = pattern.removesuffix("/*") if pattern.endswith("/*") else module
    return row.is_free or any(
        path == name or path.startswith(f"{name}/") for name in {*row.ours, own}
    )


def _is_third_party_allowed(imported: str, module: str, row: Row) -> bool:
    top = imported.partition(".")[0]
    if top in sys.stdlib_module_names or top.startswith(_STUBS):
        return True
    if top not in row.third_party:
        return False
    only = row.third_party[top]
    return only is None or module.rpartition("/")[2] in only or module in only


_TABLE = _table()
_MODULES = _modules()


@pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.name)
def test_module_imports_only_what_its_layer_allows(module: Module) -> None:
    """Every import of a module is allowed by its row in the table of layers."""
    found = _row_of(module.name, _TABLE)
    imported = list(_imports(module.tree))

    assert found is not None or not imported, f"{module.name} has no row in {_PAGE.name}"
    if found is None:
        return
    pattern, row = found
    wrong = [
        name
        for name in imported
        if not (
            _is_ours_allowed(name, module.name, pattern, row)
            if name.split(".")[0] == "socketstack"
            else _is_third_party_allowed(name, module.name, row)
        )
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("what", "allowed"),
    [
        pytest.param(
            _ENVIRONMENT, ("settings", "runner/bootstrap", "runner/warm"), id="environment"
        ),
        pytest.param(
            re.compile(r"time$|time\.|asyncio\.sleep$"),
            ("clock", "runner/bootstrap", "runner/warm"),
            id="time",
        ),
        pytest.param(_CLOCKS, ("clock",), id="clocks"),
        pytest.param(
            re.compile(rf"({'|'.join(_RANDOM)})(\.|$)|os\.u?random$"), ("ids",), id="randomness"
        ),
        pytest.param(
            _CHILD_CALLS,
            ("runner/children", "runner/nursery", "runner/warm", "kit/*"),
            id="child-calls",
        ),
        pytest.param(
            re.compile(rf"({'|'.join(_CHILD_PROCESSES)})(\.|$)|asyncio\.create_subprocess_\w+$"),
            ("mapping/mapper", "runner/children", "runner/nursery", "services/cfn/sam", "kit/*"),
            id="child-processes",
        ),
    ],
)
def test_outside_world_is_reached_in_its_own_module_only(
    what: re.Pattern[str], allowed: tuple[str, ...]
) -> None:
    """Environment, time, randomness and child processes have one place each."""
    offenders = {
        f"{module.name}: {use}"
        for module in _MODULES
        if not any(fnmatch(module.name, name) for name in allowed)
        for use in _uses(module.tree)
        if what.match(use)
    }

    assert offenders == set()


def test_functions_know_nothing_of_the_engine() -> None:
    """What runs in Lambda imports nothing of this package."""
    offenders = [
        path
        for path in (_ROOT / "functions").rglob("*.py")
        for name in _imports(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] == "socketstack"
    ]

    assert offenders == []


def test_table_is_read_from_the_page() -> None:
    """The page still has the rows that this test lives on."""
    rows = {name for row in _TABLE for name in row.modules}

    assert {"core/*", "store", "controlplane/*", "dataplane/*", "runner/bootstrap"} <= rows
    assert len(_TABLE) >= 10


@pytest.mark.parametrize(
    ("source", "is_wrong"),
    [
        pytest.param("import aiohttp", True, id="third-party"),
        pytest.param("from socketstack.store import Store", True, id="other-layer"),
        pytest.param("from socketstack.core.model import Json", False, id="own-layer"),
        pytest.param("import json", False, id="standard-library"),
    ],
)
def test_rules_of_core_refuse_what_they_should(source: str, *, is_wrong: bool) -> None:
    """The check itself tells a forbidden import from an allowed one."""
    found = _row_of("core/model", _TABLE)
    (name,) = _imports(ast.parse(source))

    assert found is not None
    pattern, row = found
    is_allowed = (
        _is_ours_allowed(name, "core/model", pattern, row)
        if name.startswith("socketstack")
        else _is_third_party_allowed(name, "core/model", row)
    )
    assert is_allowed is not is_wrong
