"""The workflows and the scanner's exceptions, as far as they can be checked at rest."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_WORKFLOWS = sorted((_ROOT / ".github" / "workflows").glob("*.yml"))


def _load(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    loaded: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    return loaded


def _steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_that_exist(path: Path) -> None:
    """Each `make` target of a workflow is one of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in _steps(_load(path)) if "run" in step]

    assert commands
    assert {command.split()[1] for command in commands} <= targets


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_have_few_rights_no_secret_and_an_end(path: Path) -> None:
    """Permissions are named, nothing stored is read, and no job runs without a limit of time."""
    workflow, text = _load(path), path.read_text()

    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        own = job.get("permissions", {"contents": "read"})
        assert own["contents"] == "read"
        # A token for AWS only where a role is taken.
        assert ("id-token" in own) is ("configure-aws-credentials" in str(job))
        assert set(own) <= {"contents", "id-token"}
    assert not re.search(r"secrets\.|AWS_SECRET|AWS_ACCESS_KEY|pull_request_target", text)
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_named_by_commit_and_keep_no_credentials(path: Path) -> None:
    """A tag can be moved to other code; the comment says which version the commit is."""
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    checkouts = [one for one in _steps(_load(path)) if "checkout@" in one.get("uses", "")]

    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    assert all(one["with"]["persist-credentials"] == "false" for one in checkouts)


def test_one_action_has_one_version() -> None:
    """All workflows name the same commit of an action."""
    used = [re.findall(r"uses: (\S+)@(\S+)", path.read_text()) for path in _WORKFLOWS]
    commits: dict[str, set[str]] = {}
    for name, commit in (one for each in used for one in each):
        commits.setdefault(name, set()).add(commit)

    assert {name: len(found) for name, found in commits.items()} == dict.fromkeys(commits, 1)


def test_what_is_deployed_is_removed_also_after_a_failure() -> None:
    """The last step destroys, whatever went wrong before; credentials come from a role."""
    steps = _steps(_load(_ROOT / ".github" / "workflows" / "aws.yml"))

    (signing_in,) = [step for step in steps if "configure-aws-credentials" in step.get("uses", "")]
    assert set(signing_in["with"]) == {"role-to-assume", "aws-region", "mask-aws-account-id"}
    assert steps[-1] == {"if": "always()", "run": "make aws-destroy"}


def test_exceptions_of_the_scanner_have_reasons() -> None:
    """Every check that is left out stands under a comment that says why."""
    lines = (
        (_ROOT / "infra" / "checkov.yaml").read_text().partition("skip-check:\n")[2].splitlines()
    )
    previous = ["", *lines]
    bare = [
        line
        for before, line in zip(previous, lines, strict=False)
        if line.startswith("  - ") and not before.startswith(("  #", "  - "))
    ]

    assert len([line for line in lines if line.startswith("  - CKV")]) > 10
    assert lines[0].startswith("  #")
    assert bare == []
