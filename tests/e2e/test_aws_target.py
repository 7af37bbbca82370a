"""`make integration-test` and `make parity` with TARGET=aws, an engine in the place of AWS."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_clone import Clone, cloned, deployer
from example_system import ROOT

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
]
_STACK = "socketstack-deployed"
_ROLE = "arn:aws:iam::000000000000:role/api-gateway-logs"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone with its tests, and an engine that enforces IAM, as AWS does."""
    folder = tmp_path_factory.mktemp("clone")
    with cloned(folder, SOCKETSTACK_IAM="enforce") as made:
        for name in ("tests", "docs", "benchmarks"):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        (folder / ".build").mkdir(exist_ok=True)
        yield made


@pytest.fixture(scope="module")
def deployed(clone: Clone) -> Clone:
    """The clone of somebody with the documented policy, whose stack is deployed.

    The account lets API Gateway write logs.
    """
    clone = replace(clone, environ={**deployer(clone), "STACK_NAME": _STACK})
    clone.make("aws-deploy", YES="1")
    role = {"op": "replace", "path": "/cloudwatchRoleArn", "value": _ROLE}
    clone.system.client("apigateway").update_account(patchOperations=[role])
    return clone


def _stack(clone: Clone) -> dict[str, Any]:
    found = clone.system.client("cloudformation").describe_stacks(StackName=_STACK)
    stack: dict[str, Any] = found["Stacks"][0]
    return stack


def _parameters(clone: Clone) -> dict[str, str]:
    return {one["ParameterKey"]: one["ParameterValue"] for one in _stack(clone)["Parameters"]}


def _rows(clone: Clone) -> int:
    (table,) = clone.system.client("dynamodb").list_tables()["TableNames"]
    count: int = clone.system.client("dynamodb").scan(TableName=table)["Count"]
    return count


def test_integration_tests_run_on_what_is_deployed_and_leave_it_as_it_was(deployed: Clone) -> None:
    """They pass on the deployed stack, say where that is, skip with reasons, and undo changes."""
    before, parameters = deployed.left_over(), _parameters(deployed)

    refused = deployed.make("integration-test", expect=2, TARGET="aws")
    printed = deployed.make("integration-test", TARGET="aws", YES="1")

    place = f"the AWS account 000000000000 at {deployed.system.environ['AWS_ENDPOINT_URL']}"
    assert place in refused
    assert "this is NOT AWS" in refused
    assert "Say YES=1 to agree." in refused
    assert f"deployed stack: {_STACK}, account 000000000000" in printed
    assert "NOT AWS" in printed
    summary = re.search(r"(\d+) passed, (\d+) skipped in", printed)
    assert summary is not None, printed
    assert int(summary[1]) >= 25
    reasons = re.findall(r"SKIPPED \[\d+\] \S+ (.*)", printed)
    assert all(one.startswith("not with TARGET=aws: ") for one in reasons), reasons
    assert any("AWS has no trace of every step" in one for one in reasons)
    assert "test_refused_handshake_is_found_in_the_access_log" not in printed  # it was not skipped
    assert deployed.left_over() == before
    assert _parameters(deployed) == parameters
    assert _rows(deployed) == 0


def test_stack_that_is_not_there_fails_and_is_not_skipped(clone: Clone) -> None:
    """Nothing passes without a stack; the message says how to get one."""
    printed = clone.make(
        "integration-test",
        expect=2,
        TARGET="aws",
        YES="1",
        STACK_NAME="absent",
        ARGS="-k test_smoke_test",
    )

    assert "The stack 'absent' cannot be read" in printed
    assert "passed" not in printed


def test_parity_checks_the_stand_in_and_says_that_it_is_none_of_aws(clone: Clone) -> None:
    """The rules of one file hold through the caller's credentials, and everything is removed."""
    before = clone.left_over()

    refused = clone.make("parity", expect=2, TARGET="aws")
    printed = clone.make("parity", TARGET="aws", YES="1", ARGS="-k test_connect.py")

    report = Path(clone.system.folder / ".build" / "parity-aws-stand-in.json")
    assert "this is NOT AWS" in refused
    assert "all named parity-" in refused
    assert "parity of aws-stand-in" in printed
    assert "NOT REMOVED" not in printed
    assert "FAILED" not in printed
    assert report.is_file()
    assert clone.left_over() == before
