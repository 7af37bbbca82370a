"""The Terraform twin with the real provider: apply, an empty plan, changes that go live, destroy.

Needs ``terraform`` on the PATH and the AWS provider, from the registry or from the mirror folder
that ``TF_PLUGIN_DIR`` names.
"""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from containers import system_of_target
from example_system import System
from twin import describe
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from functions.authorizer.tickets import Ticket, TicketTable

pytestmark = [
    pytest.mark.terraform,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which("terraform") is None, reason="terraform is not installed on this machine"
    ),
]
_NO_CHANGE, _CHANGES = 0, 2


class Terraform:
    """The terraform command in a copy of the module, pointed at a local engine."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.folder = system.folder / "infra" / "terraform"
        self._environ = {
            **system.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "TF_IN_AUTOMATION": "1",
            "TF_VAR_name": "twin",
            "TF_VAR_build_dir": str(system.folder / ".build" / "local"),
            "CHECKPOINT_DISABLE": "1",
        }
        self._environ.pop("TF_CLI_CONFIG_FILE", None)

    def run(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> str:
        """One terraform command; its output."""
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=400,
            check=False,
        )
        assert done.returncode in expect, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def variables(self, **values: str) -> Iterator[None]:
        """Variables of the module for the commands in the context."""
        given = {f"TF_VAR_{name}": value for name, value in values.items()}
        self._environ.update(given)
        try:
            yield
        finally:
            for name in given:
                del self._environ[name]

    def init(self) -> None:
        """Install the provider, from the mirror folder where one is named."""
        mirror = os.environ.get("TF_PLUGIN_DIR")
        self.run(
            "init", "-input=false", "-no-color", *([f"-plugin-dir={mirror}"] if mirror else [])
        )

    def apply(self, *arguments: str) -> dict[str, Any]:
        """Apply; returns the outputs."""
        self.run("apply", "-auto-approve", "-input=false", "-no-color", *arguments)
        outputs: dict[str, Any] = json.loads(self.run("output", "-json"))
        return {name: output["value"] for name, output in outputs.items()}

    def assert_nothing_to_change(self, *arguments: str) -> None:
        """A plan right after an apply is empty."""
        options = ("-detailed-exitcode", "-input=false", "-no-color", *arguments)
        self.run("plan", *options, expect=(_NO_CHANGE,))

    def build(self) -> None:
        """Build the functions for this machine."""
        template = str(self.system.folder / "infra" / "template.yaml")
        self.system.run("socketstack", "build", "--template", template)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terraform, dict[str, Any]]]:
    """The SAM stack and the applied module, side by side on one engine."""
    system = system_of_target(tmp_path_factory.mktemp("terraform"))
    terraform = Terraform(system)
    try:
        system.up()
        terraform.build()
        terraform.init()
        yield terraform, terraform.apply()
        terraform.run("destroy", "-auto-approve", "-input=false", "-no-color")
    finally:
        system.down()


async def echo(url: str, token: str, message: str) -> str:
    """Connect, send one message, return the reply."""
    async with connect(f"{url}?token={token}", proxy=None) as socket:
        await socket.send(message)
        return str(await asyncio.wait_for(socket.recv(), 20))


def token_for(terraform: Terraform, outputs: dict[str, Any]) -> str:
    """A token signed with the twin's own key."""
    import jwt

    client = terraform.system.client("secretsmanager")
    key = client.get_secret_value(SecretId=outputs["token_secret_arn"])["SecretString"]
    now = int(time.time())
    claims = {"sub": "terra", "iss": "socketstack", "aud": "socketstack", "iat": now}
    return jwt.encode({**claims, "exp": now + 300}, key, "HS256")


def test_second_plan_shows_no_change(twin: tuple[Terraform, dict[str, Any]]) -> None:
    """Everything that was applied reads back as it was written."""
    terraform, _outputs = twin

    terraform.assert_nothing_to_change()


async def test_applied_system_works_and_refuses(twin: tuple[Terraform, dict[str, Any]]) -> None:
    """The module's API lets a good token in, echoes, and refuses everybody else."""
    terraform, outputs = twin

    reply = await echo(outputs["websocket_url"], token_for(terraform, outputs), "to nobody")
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(outputs["websocket_url"], proxy=None):
            pass

    assert "to nobody" in reply
    assert refusal.value.response.status_code == 401


def test_both_descriptions_make_the_same_system(twin: tuple[Terraform, dict[str, Any]]) -> None:
    """What the template and the module made differs in names only."""
    terraform, outputs = twin
    system = terraform.system

    by_template = describe(system, system.outputs["ApiId"], system.stack_name)
    by_module = describe(system, outputs["api_id"], "twin")

    for part, made in by_template.items():
        assert by_module[part] == made, part


def test_options_make_the_same_system(
    twin: tuple[Terraform, dict[str, Any]],
) -> None:
    """With options on, template and module still differ in names only; a plan is empty."""
    terraform, outputs = twin
    system = terraform.system
    options = {"tracing": "true", "enforce_token_expiry": "true", "sweeper_concurrency": "1"}
    try:
        system.update(Tracing="true", EnforceTokenExpiry="true", SweeperConcurrency="1")
        with terraform.variables(**options):
            terraform.apply()
            terraform.assert_nothing_to_change()
        by_template = describe(system, system.outputs["ApiId"], system.stack_name)
        by_module = describe(system, outputs["api_id"], "twin")
    finally:
        system.update(Tracing="false", EnforceTokenExpiry="false", SweeperConcurrency="0")
        terraform.apply()

    assert by_template["functions"]["messages"]["TracingConfig"] == {"Mode": "Active"}
    assert set(by_template["functions"]) >= {"messages", "sweeper"}
    assert by_template["functions"]["sweeper"]["reserved"] == 1
    assert by_template["rules"]
    assert by_template["queues"]
    for part, made in by_template.items():
        assert by_module[part] == made, part


async def test_custom_domain_name_leads_to_the_module(
    twin: tuple[Terraform, dict[str, Any]],
) -> None:
    """With a domain name clients connect without a stage, and a plan is empty."""
    terraform, outputs = twin
    name, port = "twin.example.localhost", int(terraform.system.environ["SOCKETSTACK_PORT"])
    acm = terraform.system.client("acm")
    certificate = acm.request_certificate(DomainName=name)["CertificateArn"]
    url = f"ws://{name}:{port}/?token={token_for(terraform, outputs)}"
    try:
        with terraform.variables(domain_name=name, certificate_arn=certificate):
            applied = terraform.apply()
            async with connect(url, host="127.0.0.1", port=port, proxy=None) as socket:
                await socket.send('{"action": "send", "to": "user:terra", "message": "hello"}')
                received = [await asyncio.wait_for(socket.recv(), 20) for _ in range(2)]
            terraform.assert_nothing_to_change()
    finally:
        terraform.apply()

    assert applied["domain_url"] == f"wss://{name}"
    assert applied["domain_target"]
    assert {"from": "terra", "message": "hello"} in [json.loads(one) for one in received]
    assert terraform.system.client("apigatewayv2").get_domain_names()["Items"] == []


async def test_changes_in_place_go_live(twin: tuple[Terraform, dict[str, Any]]) -> None:
    """A new route, a stage setting and new code are applied in place and served at once."""
    terraform, outputs = twin
    main = terraform.folder / "main.tf"
    handler = terraform.system.folder / "functions" / "messages" / "handler.py"
    kept = main.read_text(), handler.read_text()
    token = token_for(terraform, outputs)
    try:
        main.write_text(
            kept[0]
            .replace(
                '"send"        =',
                '"extra" = { function = "messages", is_two_way = true }\n    "send"        =',
            )
            .replace(
                "auto_deploy = true",
                'auto_deploy = true\n  stage_variables = { colour = "blue" }',
            )
        )
        handler.write_text(
            kept[1]
            + "\n\ndef handler(event, context):\n"
            + '    """Say which route was taken."""\n'
            + '    return {"statusCode": 200, "body": event["requestContext"]["routeKey"]}\n'
        )
        terraform.build()
        applied = terraform.apply()
        reply = await echo(outputs["websocket_url"], token, '{"action": "extra"}')
        client = terraform.system.client("apigatewayv2")
        stage = client.get_stage(ApiId=applied["api_id"], StageName="dev")
        terraform.assert_nothing_to_change()
    finally:
        main.write_text(kept[0])
        handler.write_text(kept[1])
        terraform.build()
    back = terraform.apply()

    assert applied["api_id"] == outputs["api_id"] == back["api_id"]
    assert reply == "extra"
    assert stage["StageVariables"] == {"colour": "blue"}


async def test_module_takes_one_time_tickets(twin: tuple[Terraform, dict[str, Any]]) -> None:
    """With connect_tickets a ticket opens one connection and tokens none; without, as before."""
    terraform, outputs = twin
    option = "-var=connect_tickets=true"
    applied = terraform.apply(option)
    try:
        terraform.assert_nothing_to_change(option)
        table = TicketTable(terraform.system.client("dynamodb"), applied["ticket_table_name"])
        soon = int(time.time()) + 300
        ticket = table.issue(Ticket(user_id="terra", expires_at_seconds=soon))
        reply = await echo(applied["websocket_url"], ticket, "by ticket")
        for refused in (ticket, token_for(terraform, outputs)):
            with pytest.raises(InvalidStatus, match="401"):
                await echo(applied["websocket_url"], refused, "not again")
        role = terraform.system.client("iam").list_role_policies(RoleName="twin-authorizer")
    finally:
        back = terraform.apply()

    assert "by ticket" in reply
    assert sorted(role["PolicyNames"]) == ["logs", "tickets"]
    assert back["ticket_table_name"] == ""
    assert "again" in await echo(back["websocket_url"], token_for(terraform, back), "again")


def test_destroy_leaves_nothing(tmp_path: Path) -> None:
    """After destroy the engine has nothing of any kind that the module makes."""
    system = system_of_target(tmp_path)
    terraform = Terraform(system)
    try:
        system.run("socketstack", "up", "--template", str(_empty_template(tmp_path)))
        terraform.build()
        terraform.init()
        with terraform.variables(enforce_token_expiry="true"):
            terraform.apply()
            terraform.run("destroy", "-auto-approve", "-input=false", "-no-color")
        # By name: LocalStack cannot list layers once one has no version any more.
        layer_versions = system.client("lambda").list_layer_versions(LayerName="twin-push")
        left = {
            "apis": system.client("apigatewayv2").get_apis()["Items"],
            "functions": system.client("lambda").list_functions()["Functions"],
            "layers": layer_versions["LayerVersions"],
            "tables": system.client("dynamodb").list_tables()["TableNames"],
            "roles": system.client("iam").list_roles()["Roles"],
            "groups": system.client("logs").describe_log_groups()["logGroups"],
            "secrets": system.client("secretsmanager").list_secrets()["SecretList"],
            "alarms": system.client("cloudwatch").describe_alarms()["MetricAlarms"],
            "rules": system.client("events").list_rules()["Rules"],
            "queues": system.client("sqs").list_queues().get("QueueUrls", []),
        }
    finally:
        system.down()

    assert left == {name: [] for name in left}


def _empty_template(folder: Path) -> Path:
    """A stack with next to nothing in it: ``up`` then only starts the engine."""
    path = folder / "nothing.yaml"
    path.write_text("Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n")
    return path
