"""A clone of the project, whose ``make`` meets an engine where it expects AWS."""

import json
import platform
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from example_system import ROOT, System, system_in

_ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
_RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
THIS_MACHINE = f"Architecture={_ARCHITECTURE} PythonRuntime={_RUNTIME}"
"""Parameters of the template with which what is built for Lambda runs on this machine."""
_COMMANDS = ("python", "pytest", "aws")


@dataclass(frozen=True)
class Clone:
    """A clone of the project, and an engine that plays AWS."""

    system: System
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables of every command, such as somebody's keys."""

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
                "PARAMETERS": THIS_MACHINE,
                "STACK_NAME": "deployed",
                **self.environ,
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
def cloned(folder: Path, **environ: str) -> Iterator[Clone]:
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
    for name in _COMMANDS:
        command = folder / ".venv" / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).with_name(name)}" "$@"\n')
        command.chmod(0o755)
    engine = subprocess.Popen(
        [sys.executable, "-m", "socketstack", "start"],
        env=system.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout is not None
    # It tells every step, and would wait for a reader when the pipe is full.
    reader = threading.Thread(target=engine.stdout.read)
    try:
        assert "http://localhost:" in engine.stdout.readline()
        reader.start()
        yield Clone(system)
    finally:
        engine.terminate()
        engine.wait(timeout=20)
        if reader.is_alive():
            reader.join()
        engine.stdout.close()


def deployer(clone: Clone, *, without: str = "") -> dict[str, str]:
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
