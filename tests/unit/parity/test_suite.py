"""The parity suite as a whole: every test cites rules that have rows, and failures are rows too."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_SUITE = _ROOT / "tests" / "parity"
_SETTINGS = """
[pytest]
addopts = -p no:cacheprovider --strict-markers --import-mode=importlib
markers = rule(*ids): rows
"""
_WRITTEN = Path(".build") / "parity-endpoint-1.json"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has the suite's own files and no test yet."""
    for name in ("docs", "tests/parity"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(_ROOT / "docs" / "parity.md", tmp_path / "docs")
    for file in _SUITE.glob("*.py"):
        if not file.name.startswith("test_"):
            shutil.copy(file, tmp_path / "tests" / "parity")
    paths = f"pythonpath = tests {_ROOT / 'src'}\n"
    (tmp_path / "pytest.ini").write_text(_SETTINGS + paths)
    return tmp_path


def _run(project: Path, test: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run one test file as a part of the suite, against an endpoint where nothing answers."""
    (project / "tests" / "parity" / "test_it.py").write_text(test)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARITY_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments, "tests/parity"],
        cwd=project,
        env={
            **kept,
            "PARITY_TARGET": "endpoint",
            "PARITY_ENDPOINT": "http://127.0.0.1:1",
            "PARITY_PATIENCE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_suite_cites_existing_rules_only() -> None:
    """The whole suite is collected: a test without a known rule is an error."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", str(_SUITE)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("::test_") > 300


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        pytest.param("", "cites no rule: tests/parity/test_it.py::test_it", id="none"),
        pytest.param('@pytest.mark.rule("2.99")', "no such row in docs/parity.md", id="unknown"),
        pytest.param('@pytest.mark.rule("3.11", "77.01")', "77.01", id="one-of-two"),
    ],
)
def test_test_without_a_known_rule_is_refused(project: Path, marker: str, told: str) -> None:
    """Nothing runs until every test says what it checks."""
    done = _run(project, f"import pytest\n{marker}\ndef test_it():\n    print('it ran')\n")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in done.stderr
    assert "it ran" not in done.stdout
    assert not (project / _WRITTEN).exists()


_RESULTS = """
import pytest

@pytest.fixture
def broken():
    raise RuntimeError("no such thing")

@pytest.mark.rule("2.14")
def test_holds():
    pass

@pytest.mark.rule("2.14", "2.15")
def test_does_not_hold():
    assert 200 == 403, "the handshake was accepted"

@pytest.mark.rule("2.16")
def test_cannot_be_set_up(broken):
    pass

@pytest.mark.rule("1.13")
def test_endpoint_is_asked(account):
    account.gateway.get_apis()

@pytest.mark.rule("8.19")
def test_comes_last():
    pass
"""


def test_every_failure_is_a_row_and_the_run_goes_to_its_end(project: Path) -> None:
    """A failed test, a broken set-up and an endpoint that does not answer fail their rules."""
    done = _run(project, _RESULTS)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    rows = {row["rule"]: row for row in json.loads((project / _WRITTEN).read_text())["rows"]}
    results = {rule: row["result"] for rule, row in rows.items()}
    assert results == {
        "1.13": "failed",
        "2.14": "failed",
        "2.15": "failed",
        "2.16": "failed",
        "8.19": "passed",
    }
    assert rows["2.14"]["tests"] == 2
    assert rows["2.14"]["seen"] == ["the handshake was accepted"]
    assert rows["2.16"]["seen"] == ["in setup: RuntimeError: no such thing"]
    assert "1 of 5 rules passed in 5 tests" in done.stdout


def test_table_stays_short_where_nobody_asked_for_it(project: Path) -> None:
    """In an ordinary run rules that passed are counted, and no file is written."""
    test = "import pytest\n@pytest.mark.rule('2.14')\ndef test_it():\n    pass\n"
    (project / "tests" / "parity" / "test_it.py").write_text(test)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARITY_")}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/parity"],
        cwd=project,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 of 1 rules passed in 1 tests" in done.stdout
    assert "2.14" not in done.stdout
    assert not (project / ".build").exists()
