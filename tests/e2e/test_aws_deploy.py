"""`make aws-deploy` and `make aws-destroy` whole, with an engine in the place of AWS."""

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from example_system import ROOT, System, system_in

pytestmark = pytest.mark.timeout(300)
_ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
_RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Clone:
    """A clone of the project, and an engine that plays AWS."""

    system: System

    def make(
        self,
        command: str,
        *,
        expect: int = 0,
        environ: Mapping[str, str] | None = None,
        **more: str,
    ) -> str:
        """Run a command of the Makefile; gives what it printed."""
        done = subprocess.run(
            ["make", command],
            cwd=self.system.folder,
            env={
                **self.system.environ,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
                "HOME": str(self.system.folder),
                # What is built for Lambda is to run on this machine.
                "PARAMETERS": f"Architecture={_ARCHITECTURE} PythonRuntime={_RUNTIME}",
                "STACK_NAME": "deployed",
                **(environ or {}),
                **more,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def left_over(self) -> dict[str, list[str]]:
        """What there is in the account."""
        client = self.system.client
        return {
            "buckets": [one["Name"] for one in client("s3").list_buckets()["Buckets"]],
            "functions": [
                one["FunctionName"] for one in client("lambda").list_functions()["Functions"]
            ],
            "roles": [one["RoleName"] for one in client("iam").list_roles()["Roles"]],
            "tables": client("dynamodb").list_tables()["TableNames"],
            "secrets": [
                one["Name"] for one in client("secretsmanager").list_secrets()["SecretList"]
            ],
            "groups": [
                one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]
            ],
            "layers": [one["LayerName"] for one in client("lambda").list_layers()["Layers"]],
            "apis": [one["Name"] for one in client("apigatewayv2").get_apis()["Items"]],
            "rules": [one["Name"] for one in client("events").list_rules()["Rules"]],
            "queues": client("sqs").list_queues().get("QueueUrls", []),
            "alarms": [
                one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]
            ],
        }


@contextmanager
def _cloned(folder: Path, **environ: str) -> Iterator[Clone]:
    """A fresh clone and a running engine, while the context is open."""
    system = system_in(folder)
    system = replace(system, environ={**system.environ, **environ})
    for name in ("TF_CLI_CONFIG_FILE", "TARGET"):
        system.environ.pop(name, None)
    for name in ("Makefile", "scripts"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "scripts" / "venv").write_text("#!/bin/sh\n")  # what runs this test is set up
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    engine = subprocess.Popen(
        [sys.executable, "-m", "socketstack", "start"],
        env=system.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert engine.stdout is not None
        assert "http://localhost:" in engine.stdout.readline()
        yield Clone(system)
    finally:
        engine.terminate()
        engine.communicate(timeout=20)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A fresh clone and a running engine."""
    with _cloned(tmp_path_factory.mktemp("clone")) as made:
        yield made


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_deploy_proves_itself_and_destroy_leaves_nothing(clone: Clone) -> None:
    """Deployed for Lambda's platform, tried, deployed again without a change, and removed."""
    before = clone.left_over()

    refused = clone.make("aws-deploy", expect=2)
    untouched = clone.left_over()
    first = clone.make("aws-deploy", YES="1", TAGS="team=chat")
    tags = clone.system.client("cloudformation").describe_stacks(StackName="deployed")["Stacks"][0][
        "Tags"
    ]
    second = clone.make("aws-deploy", YES="1")
    removed = clone.make("aws-destroy", YES="1")

    assert "Nothing was done" in refused
    assert untouched == before
    assert "What changes in the stack deployed:" in first
    assert first.index("+ ConnectionTable") < first.index("CREATE_COMPLETE")
    assert first.rstrip().endswith("ok  a push: arrived")
    assert tags == [{"Key": "team", "Value": "chat"}]
    assert "What changes" not in second
    assert second.rstrip().endswith("ok  a push: arrived")
    assert "ConnectionTable  AWS::DynamoDB::Table" in removed
    assert "kept:" not in removed
    assert clone.left_over() == before
    assert (clone.system.folder / ".build" / "aws" / "AuthorizerFunction.zip").is_file()


@pytest.mark.terraform
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_terraform_does_the_same(clone: Clone) -> None:
    """Plan, agreement, apply, smoke test; no change the second time; and everything is removed."""
    before = clone.left_over()
    state = clone.system.folder / "infra" / "terraform" / "terraform.tfstate.d"

    refused = clone.make("aws-deploy", IAC="terraform", expect=2)
    untouched = clone.left_over()
    first = clone.make("aws-deploy", IAC="terraform", YES="1", TAGS="team=chat")
    role = clone.system.client("iam").list_role_tags(RoleName="deployed-authorizer")["Tags"]
    second = clone.make("aws-deploy", IAC="terraform", YES="1", TAGS="team=chat")
    shutil.rmtree(clone.system.folder / ".build")  # as on a machine that did not deploy it
    kept = clone.make("aws-destroy", IAC="terraform", expect=2)
    standing = clone.left_over()
    removed = clone.make("aws-destroy", IAC="terraform", YES="1")
    again = clone.make("aws-destroy", IAC="terraform", YES="1")

    assert "Nothing was done" in refused
    assert untouched == before
    assert "aws_apigatewayv2_stage.this will be created" in first
    assert first.index("will be created") < first.index("Apply complete!")
    assert first.rstrip().endswith("ok  a push: arrived")
    assert role == [{"Key": "team", "Value": "chat"}]
    assert "No changes." in second
    assert second.rstrip().endswith("ok  a push: arrived")
    assert "Nothing was done" in kept
    assert sorted(standing["functions"]) == [
        "deployed-authorizer",
        "deployed-connections",
        "deployed-messages",
    ]
    assert "kept: AWS::SecretsManager::Secret deployed-token-" in removed
    assert clone.left_over() == before
    assert "There is no stack deployed." in again
    assert not state.is_dir() or not list(state.iterdir())


def _deployer(clone: Clone, *, without: str = "") -> dict[str, str]:
    """Keys of a user with the policy of docs/aws.md, as variables; one statement may be missing."""
    page = (ROOT / "docs" / "aws.md").read_text().partition("## The policy of a deployer")[2]
    found = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert found is not None
    policy = json.loads(
        found[1].replace("111122223333", "000000000000").replace("eu-west-1", "us-east-1")
    )
    statements = [one for one in policy["Statement"] if one["Sid"] != without]
    assert len(statements) == len(policy["Statement"]) - bool(without)
    iam = clone.system.client("iam")
    name = f"deployer-{without}"
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="deploy",
        PolicyDocument=json.dumps({**policy, "Statement": statements}),
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def test_documented_policy_is_enough_and_its_parts_are_needed(tmp_path: Path) -> None:
    """Where IAM is enforced, a user with it deploys and destroys; without the bucket's part not."""
    with _cloned(tmp_path, SOCKETSTACK_IAM="enforce") as clone:
        before = clone.left_over()
        less = _deployer(clone, without="Packages")
        enough = _deployer(clone)
        less |= {"YES": "1", "STACK_NAME": "socketstack-policy"}
        enough |= {"YES": "1", "STACK_NAME": "socketstack-policy"}

        refused = clone.make("aws-deploy", expect=2, environ=less)
        untouched = clone.left_over()
        given = f"Architecture={_ARCHITECTURE} PythonRuntime={_RUNTIME} EnforceTokenExpiry=true"
        enough |= {"PARAMETERS": given}  # with the sweeper, which is all that the template has
        deployed = clone.make("aws-deploy", environ=enough)
        removed = clone.make("aws-destroy", environ=enough)
        after = clone.left_over()

    assert "cannot be used (403)" in refused
    assert untouched == before
    assert "user/deployer-" in deployed
    assert "+ SweeperFunctionEveryMinute" in deployed
    assert deployed.rstrip().endswith("ok  a push: arrived")
    assert "kept:" not in removed
    assert after == before
