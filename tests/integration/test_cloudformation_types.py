"""Every resource type we vouch for: made, changed, put back after a failure, and removed."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from integration.cloudformation_server import Cloud
from integration.template_readback import READERS, differences

from socketstack.services.cfn import kind_apigateway, registry

TEXT = (Path(__file__).parent / "types_template.yaml").read_text()
ELSEWHERE = Path(__file__).with_name("readback_template.yaml").read_text()
BROKEN = """
  Broken:
    Type: AWS::Lambda::Permission
    DependsOn: [%s]
    Properties: {Action: lambda:InvokeFunction, FunctionName: nobody, Principal: s3.amazonaws.com}
"""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running server with two packages."""
    with Cloud() as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket="packages")
        for name in ("one", "two"):
            s3.put_object(Bucket="packages", Key=f"{name}.zip", Body=package(name))
        yield running


def package(text: str) -> bytes:
    """A zip with a handler that says this."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", f"def handler(event, context):\n    return {text!r}\n")
    return packed.getvalue()


def version(number: int) -> str:
    """One of the two versions of the template."""
    return re.sub(r"\{\{([^{}|]*)\|([^{}|]*)\}\}", lambda m: m[number], TEXT)


def deploy(cloud: Cloud, body: str, *, is_new: bool = False) -> Any:
    """Create or update the stack; what DescribeStacks says of it then."""
    client = cloud.client("cloudformation")
    act = client.create_stack if is_new else client.update_stack
    act(StackName="types", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    return client.describe_stacks(StackName="types")["Stacks"][0]


def made(cloud: Cloud) -> None:
    """Create the stack in its first version."""
    stack = deploy(cloud, version(1), is_new=True)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["StackStatusReason"]


def test_every_vouched_type_has_a_reader_and_an_example() -> None:
    """No type is vouched for whose properties nobody reads back."""
    vouched = {kind.type_name for module in registry.MODULES for kind in module.KINDS}

    shown = set(re.findall(r"Type: (AWS::\w+::\w+)", TEXT + ELSEWHERE))
    assert vouched | kind_apigateway.TYPES <= set(READERS)
    assert vouched | kind_apigateway.TYPES <= shown


def test_every_type_is_made_and_changed(cloud: Cloud) -> None:
    """Each property reads back after the creation, and its other value after the update."""
    made(cloud)
    first = differences(cloud.client, "types")
    updated = deploy(cloud, version(2))
    second = differences(cloud.client, "types")

    assert not first[0], "\n".join(first[0])
    assert (updated["StackStatus"], updated.get("StackStatusReason")) == ("UPDATE_COMPLETE", None)
    assert not second[0], "\n".join(second[0])


def test_every_type_is_put_back_after_a_failed_update(cloud: Cloud) -> None:
    """A failure after all changes restores every property of every resource."""
    made(cloud)
    names = re.findall(r"^  (\w+):$", version(2).split("Resources:")[1], re.MULTILINE)

    stack = deploy(cloud, version(2) + BROKEN % ", ".join(names))

    missing, compared = differences(cloud.client, "types")
    assert "failed to create: [Broken]" in stack["StackStatusReason"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert not missing, "\n".join(missing)
    assert compared > 100


def test_every_type_is_removed(cloud: Cloud) -> None:
    """Deleting the stack leaves nothing of any type."""
    made(cloud)

    cloud.client("cloudformation").delete_stack(StackName="types")

    stacks = cloud.client("cloudformation").list_stacks()["StackSummaries"]
    keys = cloud.client("kms").list_keys()["Keys"]
    states = [cloud.client("kms").describe_key(KeyId=k["KeyId"])["KeyMetadata"] for k in keys]
    assert [one["StackStatus"] for one in stacks] == ["DELETE_COMPLETE"]
    own = [one["KeyState"] for one in states if one["Description"] == "key"]
    assert own == ["PendingDeletion"]
    assert cloud.client("acm").list_certificates()["CertificateSummaryList"] == []
    assert cloud.client("apigateway").get_api_keys()["items"] == []
    assert cloud.client("apigateway").get_usage_plans()["items"] == []
    assert cloud.client("apigatewayv2").get_apis()["Items"] == []
    assert cloud.client("apigatewayv2").get_domain_names()["Items"] == []
    assert cloud.client("cloudwatch").list_dashboards()["DashboardEntries"] == []
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []
    assert cloud.client("events").list_rules()["Rules"] == []
    assert cloud.client("iam").list_roles()["Roles"] == []
    assert cloud.client("iam").list_policies(Scope="Local")["Policies"] == []
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []
    assert cloud.client("logs").describe_log_groups()["logGroups"] == []
    assert [b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"]] == ["packages"]
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == []
    assert cloud.client("sns").list_topics()["Topics"] == []
    assert cloud.client("ssm").describe_parameters()["Parameters"] == []


def test_inline_code_runs_under_its_documented_name(cloud: Cloud) -> None:
    """ZipFile text becomes a package with index.py."""
    role = version(1).split("  Role:\n")[1].split("  Holder:\n")[0]
    body = (
        f"Resources:\n  Role:\n{role}  F:\n    Type: AWS::Lambda::Function\n    Properties:\n"
        "      Role: !GetAtt Role.Arn\n      Runtime: python3.13\n      Handler: index.handler\n"
        "      Code: {ZipFile: 'def handler(e, c): return 1'}\n"
    )

    stack = deploy(cloud, body, is_new=True)

    found = cloud.client("cloudformation").describe_stack_resource(
        StackName="types", LogicalResourceId="F"
    )["StackResourceDetail"]["PhysicalResourceId"]
    configuration = cloud.client("lambda").get_function_configuration(FunctionName=found)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["StackStatusReason"]
    assert configuration["CodeSize"] > 0


def test_member_that_a_service_forgets_fails_by_name(cloud: Cloud) -> None:
    """A dead-letter queue has no effect on local functions, so the function is not made."""
    body = version(1).replace(
        "      MemorySize:",
        "      DeadLetterConfig: {TargetArn: !GetAtt Queue.Arn}\n      MemorySize:",
    )

    stack = deploy(cloud, body, is_new=True)

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "property DeadLetterConfig" in stack["StackStatusReason"]
    assert cloud.client("lambda").list_functions()["Functions"] == []


def test_unchecked_type_of_moto_is_made_and_removed(cloud: Cloud) -> None:
    """A type that only moto knows works with the properties that its model names."""
    body = (
        "Resources:\n  S:\n    Type: AWS::Kinesis::Stream\n"
        "    Properties: {Name: flow, ShardCount: 2}\n"
        "Outputs:\n  Arn: {Value: !GetAtt S.Arn}\n"
    )
    client = cloud.client("cloudformation")

    stack = deploy(cloud, body, is_new=True)
    streams = cloud.client("kinesis").list_streams()["StreamNames"]
    client.delete_stack(StackName="types")

    assert stack["Outputs"][0]["OutputValue"].endswith(":stream/flow")
    assert streams == ["flow"]
    assert cloud.client("kinesis").list_streams()["StreamNames"] == []


def test_unknown_member_of_an_unchecked_type_is_refused(cloud: Cloud) -> None:
    """What moto's model never looks at is refused by name, and nothing is made."""
    body = (
        "Resources:\n  S:\n    Type: AWS::Kinesis::Stream\n"
        "    Properties: {Name: flow, ShardCount: 2, MaxRecordSizeInKiB: 2048}\n"
    )

    with pytest.raises(ClientError, match=r"\(resource S\): property MaxRecordSizeInKiB is not"):
        deploy(cloud, body, is_new=True)

    assert cloud.client("kinesis").list_streams()["StreamNames"] == []
