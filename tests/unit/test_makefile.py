"""The Makefile and its scripts, as far as they can be tried without setting anything up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MAKE = shutil.which("make") or ""
_TARGETS = [
    "help",
    "setup",
    "local-up",
    "local-down",
    "logs",
    "token",
    "push",
    "doctor",
    "build",
    "fmt",
    "lint",
    "types",
    "test",
    "integration-test",
    "bench",
    "check",
    "aws-deploy",
    "aws-destroy",
    "clean",
]

pytestmark = pytest.mark.skipif(not _MAKE, reason="make is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile, where ``scripts/run`` only tells what it was given."""
    shutil.copy(_ROOT / "Makefile", tmp_path)
    (tmp_path / "scripts").mkdir()
    run = tmp_path / "scripts" / "run"
    run.write_text('#!/bin/sh\nprintf "%s|" "$1" "$MESSAGE" "$TO" "$USER_ID" "$TARGET"\n')
    run.chmod(0o755)
    return tmp_path


def _make(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "TARGET", "TO", "MESSAGE", "USER_ID"}
    }
    return subprocess.run(
        [_MAKE, *arguments],
        cwd=folder,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


_AWKWARD = """it's "5$HOME" $(shell id) `id` $$ # % \\ ; -- {a,b}"""


def test_message_arrives_as_it_was_typed(folder: Path) -> None:
    """Quotes, dollars, backticks and hashes in a message are read by nobody on the way."""
    done = _make(folder, "push", f"MESSAGE={_AWKWARD}", "TO=user:a b")

    assert done.stdout == f"push|{_AWKWARD}|user:a b|demo|embedded|"


def test_message_may_come_from_the_environment(folder: Path) -> None:
    """An exported variable does the same as one on the command line."""
    done = _make(folder, "push", MESSAGE=_AWKWARD)

    assert done.stdout == f"push|{_AWKWARD}|all|demo|embedded|"


def test_help_is_the_default_and_lists_every_target(folder: Path) -> None:
    """``make`` alone says what there is, one line each."""
    done = _make(folder)

    listed = re.findall(r"^\s+\S*?\x1b\[36m(\S+)\s*\x1b\[0m \S", done.stdout, re.MULTILINE)
    assert listed == _TARGETS


def test_targets_are_three_lines_or_fewer() -> None:
    """Longer work stands in a script."""
    text = (_ROOT / "Makefile").read_text()
    recipes = re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)*)", text, re.MULTILINE)

    too_long = [name for name, recipe in recipes if recipe.count("\n") > 3]
    assert {name for name, _recipe in recipes} == set(_TARGETS)
    assert too_long == []


@pytest.mark.parametrize(
    ("command", "environ", "told"),
    [
        pytest.param(
            "local-up", {"TARGET": "docker"}, "TARGET=docker is not there yet", id="not-yet"
        ),
        pytest.param("local-up", {"TARGET": "aws"}, "does not go with TARGET=aws", id="not-here"),
        pytest.param("logs", {"TARGET": "moon"}, "TARGET=moon is unknown", id="unknown"),
        pytest.param("push", {"MESSAGE": ""}, "say what to send", id="no-message"),
        pytest.param("nonsense", {}, "unknown command", id="unknown-command"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(
    tmp_path: Path, command: str, environ: dict[str, str], told: str
) -> None:
    """A wrong TARGET is refused before anything is set up."""
    script = _script(tmp_path, "run")

    done = subprocess.run(
        [script, command],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_old_python_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """The message names the interpreter and how to choose another; nothing is made."""
    script = _script(tmp_path, "venv")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "constraints.txt").touch()
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\ncase $1 in --version) echo "Python 3.9.1";; *) exit 1;; esac\n')
    old.chmod(0o755)

    done = subprocess.run(
        [script, "dev"],
        env={"PATH": os.environ["PATH"], "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert f"Python 3.11 or newer is needed; '{old}' is Python 3.9.1." in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def _script(folder: Path, name: str) -> str:
    """A copy of one of our scripts, at home in another folder."""
    (folder / "scripts").mkdir()
    return str(shutil.copy(_ROOT / "scripts" / name, folder / "scripts"))
