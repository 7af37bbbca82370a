"""The example as somebody deployed it: a stack on AWS, used with the caller's own credentials.

``make integration-test TARGET=aws`` runs the end-to-end tests against it. ``AWS_ENDPOINT_URL``
puts an engine in AWS's place, on the same path.
"""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from example_system import System, copy_example, free_port

_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_NO_PATIENCE = {"Delay": 1, "MaxAttempts": 900}
_ADVICE = "Deploy one with `make aws-deploy`, or name another in STACK_NAME."


@dataclass(frozen=True)
class Deployed(System):
    """A stack that is there already, and stays: ``up`` and ``down`` are those of the page alone."""

    @property
    def endpoint_url(self) -> str:
        """What stands in for AWS; empty for AWS itself."""
        return self.environ.get("AWS_ENDPOINT_URL", "")

    @property
    def is_deployed(self) -> bool:
        """It is not ours: nothing of it may be left changed."""
        return True

    @property
    def proxy(self) -> Literal[True] | None:
        """AWS may be behind the proxy of this machine."""
        return None if self.endpoint_url else True

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs, as CloudFormation has them."""
        answer = self.client("cloudformation").describe_stacks(StackName=self.stack_name)
        given = answer["Stacks"][0].get("Outputs", [])
        return {each["OutputKey"]: each["OutputValue"] for each in given}

    @property
    def web_headers(self) -> Mapping[str, str]:
        """Before AWS the page's server pushes for tokens with the right to it only."""
        token = self.run("webclient", "token", "--scope=push").stdout.strip()
        return {"Authorization": f"Bearer {token}"}

    @property
    def doctor_arguments(self) -> tuple[str, ...]:
        """The doctor reads the stack with the same credentials."""
        return "--target=aws", f"--stack-name={self.stack_name}"

    def up(self) -> str:
        """Serve the page."""
        return self.run("webclient", "up").stdout

    def down(self) -> None:
        """Stop the page."""
        self.run("webclient", "down")

    def update(self, **parameters: str) -> None:
        """Change parameters and nothing else: template and packages stay those of the stack."""
        known = self.parameters
        if parameters.items() <= known.items():
            return
        client, name = self.client("cloudformation"), f"tests-{uuid.uuid4().hex[:12]}"
        client.create_change_set(
            StackName=self.stack_name,
            ChangeSetName=name,
            ChangeSetType="UPDATE",
            UsePreviousTemplate=True,
            Capabilities=_CAPABILITIES,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": parameters[key]}
                if key in parameters
                else {"ParameterKey": key, "UsePreviousValue": True}
                for key in known
            ],
        )
        self._wait(client, "change_set_create_complete", ChangeSetName=name)
        client.execute_change_set(StackName=self.stack_name, ChangeSetName=name)
        self._wait(client, "stack_update_complete")

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client with the caller's credentials, and AWS's usual patience."""
        return boto3.Session().client(  # type: ignore[call-overload]
            service,
            endpoint_url=options.pop("endpoint_url", self.endpoint_url) or None,
            config=Config(retries={"mode": "standard", "total_max_attempts": 10}),
            **options,
        )

    def _wait(self, client: Any, what: str, **more: str) -> None:
        waiter = client.get_waiter(what)
        waiter.wait(StackName=self.stack_name, WaiterConfig=_NO_PATIENCE, **more)


def deployed_system(folder: Path) -> Deployed:
    """The stack that ``STACK_NAME`` names, with a page of its own in ``folder``, not started.

    Fails the test where there is no such stack, or where it takes no tokens that are minted here.
    """
    copy_example(folder)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SOCKETSTACK_")}
    system = Deployed(
        folder=folder,
        environ={
            **kept,
            "WEB_PORT": str(free_port()),
            "SOCKETSTACK_STATE_DIR": str(folder / ".socketstack"),
        },
        stack_name=os.environ.get("STACK_NAME") or "socketstack",
    )
    try:
        outputs = system.outputs
    except (ClientError, BotoCoreError) as error:
        message = f"The stack {system.stack_name!r} cannot be read: {error}. {_ADVICE}"
        raise AssertionError(message) from error
    missing = {"WebSocketUrl", "TokenSecretArn", "TableName"} - outputs.keys()
    assert not missing, (
        f"The stack {system.stack_name!r} has no output {', '.join(sorted(missing))}: it was not "
        f"made from infra/template.yaml. {_ADVICE}"
    )
    for output, parameter in (("JwksUrl", "JwksUrl"), ("TicketTableName", "ConnectTickets")):
        assert not outputs.get(output), (
            f"The stack {system.stack_name!r} has the parameter {parameter} set, and so takes no "
            f"tokens that these tests can mint. {_ADVICE}"
        )
    return system


def place() -> str:
    """Which account is used, with whose credentials and where, for people to read."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    session = boto3.Session()
    identity = session.client("sts", endpoint_url=endpoint or None).get_caller_identity()
    where = f"at {endpoint}, which AWS_ENDPOINT_URL names: NOT AWS" if endpoint else "on AWS"
    return f"account {identity['Account']}, region {session.region_name}, {where}"
