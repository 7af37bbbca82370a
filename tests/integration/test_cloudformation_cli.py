"""``aws cloudformation package`` and ``deploy``, unmodified, and templates with SAM's transform."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from integration.cloudformation_server import Cloud

if TYPE_CHECKING:
    from subprocess import CompletedProcess

SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Level: {Type: String, Default: info}
Globals:
  Function: {Runtime: python3.13, Handler: handler.handler, Timeout: 7}
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code
      Environment: {Variables: {LEVEL: !Ref Level}}
Outputs:
  Name: {Value: !Ref Worker}
"""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running server with a bucket for packages."""
    with Cloud() as running:
        running.client("s3").create_bucket(Bucket="packages")
        yield running


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A folder with the template and the code it names."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "handler.py").write_text("def handler(event, context):\n    return 1\n")
    (tmp_path / "template.yaml").write_text(SAM)
    return tmp_path


def package(cloud: Cloud, workdir: Path) -> None:
    """Upload the code; the template that names it there is ``packaged.yaml``."""
    done = cloud.command_line(
        *("cloudformation", "package", "--template-file", str(workdir / "template.yaml")),
        *("--s3-bucket", "packages", "--output-template-file", str(workdir / "packaged.yaml")),
    )
    assert done.returncode == 0, done.stderr


def deploy(cloud: Cloud, workdir: Path, *options: str) -> "CompletedProcess[str]":
    """Deploy ``packaged.yaml``."""
    return cloud.command_line(
        *("cloudformation", "deploy", "--template-file", str(workdir / "packaged.yaml")),
        *("--stack-name", "demo", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
        *options,
    )


def forget_change_sets(cloud: Cloud) -> None:
    """Delete change sets: the CLI names them by the second, and here that is long."""
    client = cloud.client("cloudformation")
    for one in client.list_change_sets(StackName="demo")["Summaries"]:
        client.delete_change_set(ChangeSetName=one["ChangeSetId"])


def function_name(cloud: Cloud) -> str:
    """The function that the stack puts out."""
    stack = cloud.client("cloudformation").describe_stacks(StackName="demo")["Stacks"][0]
    return str(stack["Outputs"][0]["OutputValue"])


def test_packaged_template_deploys_and_updates(cloud: Cloud, workdir: Path) -> None:
    """The CLI creates a stack, then updates it with another parameter and new code."""
    package(cloud, workdir)
    created = deploy(cloud, workdir)
    forget_change_sets(cloud)
    name = function_name(cloud)
    before = cloud.client("lambda").get_function_configuration(FunctionName=name)
    (workdir / "code" / "handler.py").write_text("def handler(event, context):\n    return 2\n")
    package(cloud, workdir)
    updated = deploy(cloud, workdir, "--parameter-overrides", "Level=debug")

    after = cloud.client("lambda").get_function_configuration(FunctionName=name)
    assert "Successfully created/updated stack - demo" in created.stdout, created.stderr
    assert "Successfully created/updated stack - demo" in updated.stdout, updated.stderr
    assert (before["Timeout"], before["Environment"]["Variables"]) == (7, {"LEVEL": "info"})
    assert after["Environment"]["Variables"] == {"LEVEL": "debug"}
    assert after["CodeSha256"] != before["CodeSha256"]
    assert after["FunctionName"] == before["FunctionName"]


def test_deploying_through_s3_works(cloud: Cloud, workdir: Path) -> None:
    """With --s3-bucket the template travels as TemplateURL."""
    package(cloud, workdir)

    done = deploy(cloud, workdir, "--s3-bucket", "packages")

    assert "Successfully created/updated stack - demo" in done.stdout, done.stderr


def test_deploying_the_same_again_reports_no_changes(cloud: Cloud, workdir: Path) -> None:
    """The CLI understands a change set without changes, with and without its failure option."""
    package(cloud, workdir)
    deploy(cloud, workdir)
    forget_change_sets(cloud)

    tolerant = deploy(cloud, workdir, "--no-fail-on-empty-changeset")
    forget_change_sets(cloud)
    strict = deploy(cloud, workdir, "--fail-on-empty-changeset")

    assert tolerant.returncode == 0, tolerant.stderr
    assert "No changes to deploy. Stack demo is up to date" in tolerant.stdout
    assert strict.returncode == 255
    assert "No changes to deploy. Stack demo is up to date" in strict.stderr


def test_missing_capability_stops_the_deployment(cloud: Cloud, workdir: Path) -> None:
    """Without CAPABILITY_IAM the CLI shows AWS's refusal, and no role is made."""
    package(cloud, workdir)

    done = cloud.command_line(
        *("cloudformation", "deploy", "--stack-name", "demo"),
        *("--template-file", str(workdir / "packaged.yaml")),
    )

    assert done.returncode != 0
    assert "InsufficientCapabilitiesException" in done.stderr
    assert "Requires capabilities : [CAPABILITY_IAM]" in done.stderr
    assert cloud.client("iam").list_roles()["Roles"] == []


def test_failing_deployment_is_reported_and_rolled_back(cloud: Cloud, workdir: Path) -> None:
    """The CLI says that the deployment failed; the events name resource and reason."""
    package(cloud, workdir)
    text = (workdir / "packaged.yaml").read_text()
    broken = text.replace("Runtime: python3.13", "Runtime: python3.13\n    MemorySize: 99999")
    (workdir / "packaged.yaml").write_text(broken)

    done = deploy(cloud, workdir)

    client = cloud.client("cloudformation")
    stack = client.describe_stacks(StackName="demo")["Stacks"][0]
    assert done.returncode != 0
    assert "Failed to create/update the stack" in done.stderr
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "AWS::Lambda::Function (resource Worker)" in stack["StackStatusReason"]
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("iam").list_roles()["Roles"] == []


def test_error_in_the_serverless_part_reaches_the_client(cloud: Cloud, workdir: Path) -> None:
    """The transform's own message is the change set's reason; nothing is made."""
    (workdir / "packaged.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources:\n"
        "  Api:\n"
        "    Type: AWS::Serverless::WebSocketApi\n"
        "    Properties: {RouteSelectionExpression: $request.body.action}\n"
    )

    done = deploy(cloud, workdir)

    assert done.returncode != 0
    assert "Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless" in done.stderr
    assert "Resource with id [Api] is invalid" in done.stderr
    assert cloud.client("apigatewayv2").get_apis()["Items"] == []


def test_serverless_template_keeps_both_stages(cloud: Cloud, workdir: Path) -> None:
    """GetTemplate has the template as written, and as the transform made it."""
    package(cloud, workdir)
    deploy(cloud, workdir)
    client = cloud.client("cloudformation")

    original = client.get_template(StackName="demo", TemplateStage="Original")["TemplateBody"]
    processed = client.get_template(StackName="demo", TemplateStage="Processed")["TemplateBody"]

    assert "AWS::Serverless::Function" in original
    assert processed["Resources"]["Worker"]["Type"] == "AWS::Lambda::Function"
    assert "Transform" not in processed


def test_creating_with_a_transform_needs_auto_expand(cloud: Cloud, workdir: Path) -> None:
    """Without a change set to look at, a transform must be acknowledged."""
    package(cloud, workdir)
    body, client = (workdir / "packaged.yaml").read_text(), cloud.client("cloudformation")

    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_AUTO_EXPAND\]"):
        client.create_stack(StackName="demo", TemplateBody=body, Capabilities=["CAPABILITY_IAM"])

    assert cloud.client("lambda").list_functions()["Functions"] == []


def test_other_macros_are_refused_by_name(cloud: Cloud) -> None:
    """A macro that only AWS has is refused when the template is validated or deployed."""
    body = json.dumps({"Transform": "AWS::LanguageExtensions", "Resources": {"T": {"Type": "X"}}})

    with pytest.raises(ClientError, match="No transform named AWS::LanguageExtensions found"):
        cloud.client("cloudformation").validate_template(TemplateBody=body)
    with pytest.raises(ClientError, match="No transform named AWS::LanguageExtensions found"):
        cloud.client("cloudformation").create_stack(StackName="demo", TemplateBody=body)

    assert cloud.client("cloudformation").describe_stacks()["Stacks"] == []


def test_deletion_through_the_command_line_waits_for_the_end(cloud: Cloud, workdir: Path) -> None:
    """``delete-stack`` and its waiter work, and the name is free again."""
    package(cloud, workdir)
    deploy(cloud, workdir)

    deleted = cloud.command_line("cloudformation", "delete-stack", "--stack-name", "demo")
    waited = cloud.command_line(
        "cloudformation", "wait", "stack-delete-complete", "--stack-name", "demo"
    )
    again = deploy(cloud, workdir)

    assert (deleted.returncode, waited.returncode) == (0, 0), deleted.stderr + waited.stderr
    assert "Successfully created/updated stack - demo" in again.stdout, again.stderr
