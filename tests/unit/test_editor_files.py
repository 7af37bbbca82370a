"""What an editor is told: tasks, debuggers and the dev container name only what there is."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_FILES = [".vscode/launch.json", ".vscode/tasks.json", ".devcontainer/devcontainer.json"]


def _read(name: str) -> Any:
    """A JSON file with comments on lines of their own."""
    text = (_ROOT / name).read_text()
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", _FILES)
def test_file_is_json_but_for_comments(name: str) -> None:
    """An editor that is strict about commas reads it too."""
    assert isinstance(_read(name), dict)


def test_tasks_run_targets_that_there_are() -> None:
    """Each task is a ``make`` target of the same purpose."""
    makefile = (_ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    tasks = _read(".vscode/tasks.json")["tasks"]

    words = [[*task["command"].split(), *task.get("args", [])] for task in tasks]
    assert {each[0] for each in words} == {"make"}
    assert {each[1] for each in words} <= targets


def test_debuggers_start_modules_that_there_are() -> None:
    """Each launch names a module that Python finds, each task that it asks for exists."""
    launches = _read(".vscode/launch.json")["configurations"]

    modules = {each["module"] for each in launches if each["request"] == "launch"}
    assert modules == {"socketstack", "webclient", "pytest"}
    assert all(importlib.util.find_spec(module) for module in modules)


def test_dev_container_is_built_of_files_that_there_are() -> None:
    """No feature is fetched from elsewhere, and the Dockerfile is beside."""
    configuration = _read(".devcontainer/devcontainer.json")

    assert "features" not in configuration
    assert (_ROOT / ".devcontainer" / configuration["build"]["dockerfile"]).is_file()
