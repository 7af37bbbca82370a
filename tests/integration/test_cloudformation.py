"""Stacks from creation to deletion, through boto3."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from integration.cloudformation_server import ACCOUNT, REGION, Cloud

Template = dict[str, Any]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running server."""
    with Cloud() as running:
        yield running


def parameter(value: object = "v", **members: Any) -> Template:
    """A resource that costs little: an SSM parameter."""
    return {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Type": "String", "Value": value},
        **members,
    }


def topic(name: str, **members: Any) -> Template:
    """A resource with a name that only one can have, and that replaces when it changes."""
    return {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}, **members}


FAILING: Template = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "nobody-made-this",
        "Principal": "apigateway.amazonaws.com",
    },
}
"""A resource that Lambda refuses when it is made."""


def template(resources: Template, **sections: Any) -> str:
    """A template's text."""
    return json.dumps({"Resources": resources, **sections})


def create(cloud: Cloud, body: str, name: str = "demo", **members: Any) -> Any:
    """Create a stack; what DescribeStacks says of it then."""
    client = cloud.client("cloudformation")
    made = client.create_stack(StackName=name, TemplateBody=body, **members)
    return client.describe_stacks(StackName=made["StackId"])["Stacks"][0]


def update(cloud: Cloud, body: str, name: str = "demo", **members: Any) -> Any:
    """Update a stack; what DescribeStacks says of it then."""
    client = cloud.client("cloudformation")
    client.update_stack(StackName=name, TemplateBody=body, **members)
    return client.describe_stacks(StackName=name)["Stacks"][0]


def physical_ids(cloud: Cloud, name: str = "demo") -> dict[str, str]:
    """Logical id to physical id."""
    found = cloud.client("cloudformation").describe_stack_resources(StackName=name)
    return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found["StackResources"]}


def events(cloud: Cloud, name: str = "demo") -> list[tuple[str, str]]:
    """Logical id and status of every event, oldest first."""
    found = cloud.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [(e["LogicalResourceId"], e["ResourceStatus"]) for e in reversed(found)]


def parameter_names(cloud: Cloud) -> list[str]:
    """Names of all SSM parameters."""
    found = cloud.client("ssm").describe_parameters()["Parameters"]
    return sorted(one["Name"] for one in found)


def test_created_stack_has_its_resources_outputs_and_events(cloud: Cloud) -> None:
    """A stack reaches CREATE_COMPLETE with resources made in order of their references."""
    body = template(
        {
            "Second": parameter({"Fn::Sub": "after-${First.Value}"}),
            "First": parameter("one"),
        },
        Outputs={"Name": {"Value": {"Ref": "Second"}, "Description": "the second"}},
    )

    stack = create(cloud, body)

    made = physical_ids(cloud)
    value = cloud.client("ssm").get_parameter(Name=made["Second"])["Parameter"]["Value"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Outputs"] == [
        {"OutputKey": "Name", "OutputValue": made["Second"], "Description": "the second"}
    ]
    assert value == "after-one"
    assert events(cloud) == [
        ("demo", "CREATE_IN_PROGRESS"),
        ("First", "CREATE_IN_PROGRESS"),
        ("First", "CREATE_IN_PROGRESS"),
        ("First", "CREATE_COMPLETE"),
        ("Second", "CREATE_IN_PROGRESS"),
        ("Second", "CREATE_IN_PROGRESS"),
        ("Second", "CREATE_COMPLETE"),
        ("demo", "CREATE_COMPLETE"),
    ]


def test_waiters_see_each_end_state_at_once(cloud: Cloud) -> None:
    """The waiters of boto3 are satisfied by their first question."""
    client = cloud.client("cloudformation")
    once = {"Delay": 1, "MaxAttempts": 1}

    client.create_stack(StackName="demo", TemplateBody=template({"One": parameter("a")}))
    client.get_waiter("stack_create_complete").wait(StackName="demo", WaiterConfig=once)
    client.update_stack(StackName="demo", TemplateBody=template({"One": parameter("b")}))
    client.get_waiter("stack_update_complete").wait(StackName="demo", WaiterConfig=once)
    client.delete_stack(StackName="demo")
    client.get_waiter("stack_delete_complete").wait(StackName="demo", WaiterConfig=once)

    assert parameter_names(cloud) == []


def test_failing_creation_rolls_back_and_says_why(cloud: Cloud) -> None:
    """What was made is deleted again, and the stack names the resource and the reason."""
    body = template({"Fine": parameter(), "Broken": FAILING | {"DependsOn": "Fine"}})

    stack = create(cloud, body)

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "failed to create: [Broken]" in stack["StackStatusReason"]
    assert "AWS::Lambda::Permission (resource Broken)" in stack["StackStatusReason"]
    assert "Function not found" in stack["StackStatusReason"]
    assert ("Broken", "CREATE_FAILED") in events(cloud)
    assert events(cloud)[-3:] == [
        ("Fine", "DELETE_IN_PROGRESS"),
        ("Fine", "DELETE_COMPLETE"),
        ("demo", "ROLLBACK_COMPLETE"),
    ]
    assert parameter_names(cloud) == []


def test_disabled_rollback_keeps_what_was_made(cloud: Cloud) -> None:
    """With DisableRollback a failed creation stays as it is, for looking at it."""
    body = template({"Fine": parameter(), "Broken": FAILING | {"DependsOn": "Fine"}})

    stack = create(cloud, body, DisableRollback=True)

    assert stack["StackStatus"] == "CREATE_FAILED"
    assert len(parameter_names(cloud)) == 1


def test_on_failure_delete_removes_the_stack(cloud: Cloud) -> None:
    """With OnFailure DELETE nothing is left of a failed creation."""
    stack = create(cloud, template({"Fine": parameter(), "Broken": FAILING}), OnFailure="DELETE")

    assert stack["StackStatus"] == "DELETE_COMPLETE"
    assert parameter_names(cloud) == []


def test_half_made_resource_is_removed_as_well(cloud: Cloud) -> None:
    """A resource whose second step fails does not leave its first step behind."""
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                    }
                ],
            },
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/NoSuchPolicyAnywhere"],
        },
    }

    stack = create(cloud, template({"Role": role}), Capabilities=["CAPABILITY_IAM"])

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert cloud.client("iam").list_roles()["Roles"] == []


def test_failing_update_restores_resources_and_template(cloud: Cloud) -> None:
    """After a failed update everything is as before: changed, added and removed resources."""
    before = template({"Kept": parameter("old"), "Gone": parameter("gone"), "T": topic("first")})
    create(cloud, before)
    ids = physical_ids(cloud)
    after = template(
        {
            "Kept": parameter("new"),
            "T": topic("second"),
            "Added": parameter("added"),
            "Broken": FAILING | {"DependsOn": ["Kept", "T", "Added"]},
        }
    )

    stack = update(cloud, after)

    ssm, topics = cloud.client("ssm"), cloud.client("sns").list_topics()["Topics"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "failed to create: [Broken]" in stack["StackStatusReason"]
    assert ssm.get_parameter(Name=ids["Kept"])["Parameter"]["Value"] == "old"
    assert parameter_names(cloud) == sorted([ids["Kept"], ids["Gone"]])
    assert [one["TopicArn"] for one in topics] == [ids["T"]]
    got = cloud.client("cloudformation").get_template(StackName="demo")["TemplateBody"]
    assert got == json.loads(before)


def test_rolled_back_update_can_be_repeated(cloud: Cloud) -> None:
    """A stack that rolled an update back takes the next one."""
    create(cloud, template({"Kept": parameter("old")}))
    update(cloud, template({"Kept": parameter("new"), "Broken": FAILING}))

    stack = update(cloud, template({"Kept": parameter("newer")}))

    value = cloud.client("ssm").get_parameter(Name=physical_ids(cloud)["Kept"])
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert value["Parameter"]["Value"] == "newer"


def test_update_without_changes_is_refused(cloud: Cloud) -> None:
    """UpdateStack says that there is nothing to do, in AWS's words."""
    body = template({"One": parameter()})
    create(cloud, body)

    with pytest.raises(ClientError, match="No updates are to be performed"):
        update(cloud, body)

    assert ("demo", "UPDATE_IN_PROGRESS") not in events(cloud)


def test_replacement_reaches_resources_that_refer_to_it(cloud: Cloud) -> None:
    """A replaced resource's new id goes into resources whose own text did not change."""
    user = parameter({"Ref": "T"})
    create(cloud, template({"T": topic("first"), "User": user}))
    old = physical_ids(cloud)

    stack = update(cloud, template({"T": topic("second"), "User": user}))

    new = physical_ids(cloud)
    value = cloud.client("ssm").get_parameter(Name=new["User"])["Parameter"]["Value"]
    topics = cloud.client("sns").list_topics()["Topics"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert new["T"] != old["T"]
    assert new["User"] == old["User"]
    assert value == new["T"]
    assert [one["TopicArn"] for one in topics] == [new["T"]]


def test_custom_named_resource_is_not_replaced(cloud: Cloud) -> None:
    """A change that needs a new resource under the same name fails, as on AWS."""

    def table(key: str) -> Template:
        return {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "mine",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
            },
        }

    create(cloud, template({"Table": table("a")}))

    stack = update(cloud, template({"Table": table("b")}))

    described = cloud.client("dynamodb").describe_table(TableName="mine")["Table"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Rename mine and update the stack again" in stack["StackStatusReason"]
    assert described["KeySchema"] == [{"AttributeName": "a", "KeyType": "HASH"}]


def test_retained_resources_survive_deletion(cloud: Cloud) -> None:
    """DeletionPolicy Retain keeps a resource when its stack goes."""
    body = template({"Kept": parameter(DeletionPolicy="Retain"), "Gone": parameter()})
    stack = create(cloud, body)
    ids = physical_ids(cloud)

    cloud.client("cloudformation").delete_stack(StackName="demo")

    assert parameter_names(cloud) == [ids["Kept"]]
    assert ("Kept", "DELETE_SKIPPED") in events(cloud, stack["StackId"])


def test_failed_deletion_names_the_resource_and_can_be_repeated(cloud: Cloud) -> None:
    """A bucket with objects makes DELETE_FAILED; after emptying it the stack goes."""
    client, s3 = cloud.client("cloudformation"), cloud.client("s3")
    stack = create(cloud, template({"B": {"Type": "AWS::S3::Bucket"}, "P": parameter()}))
    bucket = physical_ids(cloud)["B"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    client.delete_stack(StackName="demo")
    failed = client.describe_stacks(StackName="demo")["Stacks"][0]
    s3.delete_object(Bucket=bucket, Key="k")
    client.delete_stack(StackName="demo")
    gone = client.describe_stacks(StackName=stack["StackId"])["Stacks"][0]

    assert failed["StackStatus"] == "DELETE_FAILED"
    assert failed["StackStatusReason"] == "The following resource(s) failed to delete: [B]."
    assert gone["StackStatus"] == "DELETE_COMPLETE"
    assert s3.list_buckets()["Buckets"] == []


def test_deleted_stack_is_described_by_id_only(cloud: Cloud) -> None:
    """A deleted stack's name is free; its id still answers."""
    client = cloud.client("cloudformation")
    stack = create(cloud, template({"One": parameter()}))

    client.delete_stack(StackName="demo")

    with pytest.raises(ClientError, match="Stack with id demo does not exist"):
        client.describe_stacks(StackName="demo")
    found = client.describe_stacks(StackName=stack["StackId"])["Stacks"][0]
    listed = client.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert found["StackStatus"] == "DELETE_COMPLETE"
    assert [one["StackId"] for one in listed] == [stack["StackId"]]


def test_deleting_an_unknown_stack_succeeds(cloud: Cloud) -> None:
    """DeleteStack of a name that nothing has is no error, as on AWS."""
    cloud.client("cloudformation").delete_stack(StackName="never-was")

    assert cloud.client("cloudformation").describe_stacks()["Stacks"] == []


def test_protected_stack_is_not_deleted(cloud: Cloud) -> None:
    """Termination protection refuses the deletion and leaves everything in place."""
    create(cloud, template({"One": parameter()}), EnableTerminationProtection=True)

    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cloud.client("cloudformation").delete_stack(StackName="demo")

    assert len(parameter_names(cloud)) == 1


def test_unsupported_property_is_refused_by_name_before_anything_is_made(cloud: Cloud) -> None:
    """A property that would have no effect stops the stack and is named."""
    queue = {
        "Type": "AWS::SQS::Queue",
        "Properties": {"RedriveAllowPolicy": {"redrivePermission": "denyAll"}},
    }

    with pytest.raises(ClientError) as refused:
        create(cloud, template({"Fine": parameter(), "Queue": queue}))

    assert refused.value.response["Error"]["Message"] == (
        "AWS::SQS::Queue (resource Queue): property RedriveAllowPolicy is not supported by "
        "the local engine"
    )
    assert parameter_names(cloud) == []
    assert cloud.client("cloudformation").describe_stacks()["Stacks"] == []


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        pytest.param(
            {"Type": "AWS::Nothing::AtAll"},
            "Unrecognized resource types: [AWS::Nothing::AtAll]",
            id="no-such-type",
        ),
        pytest.param(
            {"Type": "AWS::CloudFormation::WaitCondition"},
            "AWS::CloudFormation::WaitCondition (resource X): this resource type is not supported",
            id="type-without-a-maker",
        ),
        pytest.param(
            {"Type": "Custom::Thing", "Properties": {"ServiceToken": "arn"}},
            "Custom::Thing (resource X): this resource type is not supported",
            id="custom-resource",
        ),
        pytest.param(
            {"Type": "AWS::SNS::Topic", "Properties": {"TopicNam": "t"}},
            "extraneous key [TopicNam] is not permitted",
            id="misspelt-property",
        ),
        pytest.param(
            {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String"}},
            "required key [Value] not found",
            id="missing-property",
        ),
        pytest.param(
            {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {"RetentionInDays": 2},
            },
            "#/RetentionInDays: 2 is not a valid enum value",
            id="value-outside-the-list",
        ),
    ],
)
def test_template_that_aws_refuses_is_refused(
    cloud: Cloud, resource: Template, message: str
) -> None:
    """Types and properties are checked against AWS's schemas before anything is made."""
    with pytest.raises(ClientError) as refused:
        create(cloud, template({"X": resource, "P": parameter()}))

    assert message in refused.value.response["Error"]["Message"]
    assert parameter_names(cloud) == []


def test_missing_capability_is_refused(cloud: Cloud) -> None:
    """Templates that make roles need the caller's acknowledgement; named ones a stronger one."""
    trust = {"Version": "2012-10-17", "Statement": []}
    properties = {"AssumeRolePolicyDocument": trust}
    role = {"Type": "AWS::IAM::Role", "Properties": properties}
    named = {"Type": "AWS::IAM::Role", "Properties": {**properties, "RoleName": "mine"}}

    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_IAM\]") as plain:
        create(cloud, template({"R": role}))
    with pytest.raises(ClientError, match=r"\[CAPABILITY_NAMED_IAM\]"):
        create(cloud, template({"R": named}), Capabilities=["CAPABILITY_IAM"])

    assert plain.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"
    assert cloud.client("iam").list_roles()["Roles"] == []


def test_conditions_choose_resources_properties_and_outputs(cloud: Cloud) -> None:
    """What a false condition guards does not exist; NoValue leaves a property out."""
    body = template(
        {
            "Always": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Type": "String",
                    "Value": {"Fn::If": ["IsBig", "big", "small"]},
                    "Description": {"Fn::If": ["IsBig", "d", {"Ref": "AWS::NoValue"}]},
                },
            },
            "OnlyBig": parameter(Condition="IsBig"),
        },
        Parameters={"Size": {"Type": "String", "AllowedValues": ["big", "small"]}},
        Conditions={"IsBig": {"Fn::Equals": [{"Ref": "Size"}, "big"]}},
        Outputs={"Big": {"Condition": "IsBig", "Value": {"Ref": "OnlyBig"}}},
    )
    small = [{"ParameterKey": "Size", "ParameterValue": "small"}]
    big = [{"ParameterKey": "Size", "ParameterValue": "big"}]

    first = create(cloud, body, Parameters=small)
    names_small = parameter_names(cloud)
    second = update(cloud, body, Parameters=big)

    assert len(names_small) == 1
    assert "Outputs" not in first
    assert len(parameter_names(cloud)) == 2
    assert [o["OutputKey"] for o in second["Outputs"]] == ["Big"]


def test_resource_of_a_condition_comes_and_goes_with_it(cloud: Cloud) -> None:
    """Off, on again, off again: it is made, removed and made anew, and kept where it says so."""
    body = template(
        {
            "Always": parameter("a"),
            "Sometimes": parameter("s", Condition="Wanted"),
            "Kept": parameter("k", Condition="Wanted", DeletionPolicy="Retain"),
            "Used": parameter(
                {"Fn::If": ["Wanted", {"Fn::Sub": "${Sometimes}"}, "none"]},
            ),
        },
        Parameters={"Wish": {"Type": "String"}},
        Conditions={"Wanted": {"Fn::Equals": [{"Ref": "Wish"}, "yes"]}},
    )

    def switched(wish: str) -> dict[str, str]:
        given = [{"ParameterKey": "Wish", "ParameterValue": wish}]
        act = update if seen else create
        assert act(cloud, body, Parameters=given)["StackStatus"].endswith("E_COMPLETE")
        return physical_ids(cloud)

    seen: list[dict[str, str]] = []
    for wish in ("yes", "no", "yes", "no"):
        seen.append(switched(wish))
        names = parameter_names(cloud)
        assert set(seen[-1].values()) <= set(names)
        assert ("Sometimes" in seen[-1]) is (wish == "yes")

    assert seen[0]["Sometimes"] != seen[2]["Sometimes"]
    assert len([n for n in parameter_names(cloud) if "-Kept-" in n]) == 2
    assert not [n for n in parameter_names(cloud) if "-Sometimes-" in n]


def test_update_that_fails_after_a_condition_came_back_is_undone(cloud: Cloud) -> None:
    """A resource that went and came again is known as it is now, so going back finds it."""

    def resources(shown: str) -> Template:
        named = topic("comes-and-goes", Condition="Wanted")
        named["Properties"]["DisplayName"] = shown
        return {"Always": parameter(), "Sometimes": named}

    sections: Template = {
        "Parameters": {"Wish": {"Type": "String"}},
        "Conditions": {"Wanted": {"Fn::Equals": [{"Ref": "Wish"}, "yes"]}},
    }

    def given(wish: str) -> list[dict[str, str]]:
        return [{"ParameterKey": "Wish", "ParameterValue": wish}]

    body = template(resources("before"), **sections)
    create(cloud, body, Parameters=given("yes"))
    update(cloud, body, Parameters=given("no"))
    update(cloud, body, Parameters=given("yes"))
    changed = {**resources("after"), "Bad": FAILING}

    stack = update(cloud, template(changed, **sections), Parameters=given("yes"))

    made = physical_ids(cloud)["Sometimes"]
    topics = cloud.client("sns").get_topic_attributes(TopicArn=made)["Attributes"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert topics["DisplayName"] == "before"


NAMED: Template = {
    "Certificate": {
        "Type": "AWS::CertificateManager::Certificate",
        "Properties": {"DomainName": "chat.example.com"},
    },
    "Named": {
        "Type": "AWS::ApiGatewayV2::DomainName",
        "Condition": "HasName",
        "Properties": {
            "DomainName": "chat.example.com",
            "DomainNameConfigurations": [{"CertificateArn": {"Ref": "Certificate"}}],
        },
    },
    "Record": {
        "Type": "AWS::Route53::RecordSet",
        "Condition": "HasZone",
        "Properties": {
            "HostedZoneId": {"Ref": "Zone"},
            "Name": "chat.example.com",
            "Type": "A",
            "AliasTarget": {
                "DNSName": {"Fn::GetAtt": ["Named", "RegionalDomainName"]},
                "HostedZoneId": {"Fn::GetAtt": ["Named", "RegionalHostedZoneId"]},
            },
        },
    },
}
"""A custom domain name with a record, as the example's template has them."""


def test_record_in_a_zone_follows_a_name_that_comes_and_goes(cloud: Cloud) -> None:
    """A zone that does not exist takes the update back; the name and a good zone's record stay."""
    parameters = {name: {"Type": "String", "Default": ""} for name in ("Wish", "Zone")}
    conditions = {
        "HasName": {"Fn::Equals": [{"Ref": "Wish"}, "named"]},
        "HasZone": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Zone"}, ""]}]},
    }
    body = template(NAMED, Parameters=parameters, Conditions=conditions)
    route53, gateway = cloud.client("route53"), cloud.client("apigatewayv2")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="one")["HostedZone"]

    def deploy(act: Any, wish: str, zone_id: str = "") -> tuple[str, int, int]:
        """The stack's status, how many names and how many alias records there are then."""
        values = {"Wish": wish, "Zone": zone_id}
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()]
        stack = act(cloud, body, Parameters=given)
        records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        aliases = [one for one in records if "AliasTarget" in one]
        return stack["StackStatus"], len(gateway.get_domain_names()["Items"]), len(aliases)

    good, absent = zone["Id"].rpartition("/")[2], "Z0000000000000"
    seen = [
        deploy(create, "named"),
        deploy(update, ""),
        deploy(update, "named"),
        deploy(update, "named", absent),
        deploy(update, "named", good),
        deploy(update, "named", absent),
        deploy(update, ""),
    ]

    assert seen == [
        ("CREATE_COMPLETE", 1, 0),
        ("UPDATE_COMPLETE", 0, 0),
        ("UPDATE_COMPLETE", 1, 0),
        ("UPDATE_ROLLBACK_COMPLETE", 1, 0),
        ("UPDATE_COMPLETE", 1, 1),
        ("UPDATE_ROLLBACK_COMPLETE", 1, 1),
        ("UPDATE_COMPLETE", 0, 0),
    ]


def test_pseudo_parameters_have_this_account_and_region(cloud: Cloud) -> None:
    """The pseudo parameters are those of the stack."""
    text = "${AWS::AccountId} ${AWS::Region} ${AWS::Partition} ${AWS::URLSuffix} ${AWS::StackName}"

    create(cloud, template({"P": parameter({"Fn::Sub": f"{text} ${{!literal}}"})}))

    value = cloud.client("ssm").get_parameter(Name=physical_ids(cloud)["P"])["Parameter"]["Value"]
    assert value == f"{ACCOUNT} {REGION} aws amazonaws.com demo ${{literal}}"


def test_secret_parameter_is_masked(cloud: Cloud) -> None:
    """A NoEcho parameter reaches the resource and nobody who describes the stack."""
    body = template(
        {"P": parameter({"Ref": "Key"})}, Parameters={"Key": {"Type": "String", "NoEcho": True}}
    )

    stack = create(
        cloud, body, Parameters=[{"ParameterKey": "Key", "ParameterValue": "geheim-123"}]
    )

    client = cloud.client("cloudformation")
    told = [stack, client.describe_stack_events(StackName="demo")]
    told.append(client.describe_stack_resources(StackName="demo"))
    value = cloud.client("ssm").get_parameter(Name=physical_ids(cloud)["P"])["Parameter"]["Value"]
    assert stack["Parameters"] == [{"ParameterKey": "Key", "ParameterValue": "****"}]
    assert "geheim-123" not in str(told)
    assert value == "geheim-123"


def test_exports_are_imported_and_protected(cloud: Cloud) -> None:
    """An export serves other stacks, and its stack cannot go while it is used."""
    client = cloud.client("cloudformation")
    giver = template(
        {"P": parameter("shared")},
        Outputs={"Out": {"Value": {"Fn::GetAtt": "P.Value"}, "Export": {"Name": "the-value"}}},
    )
    create(cloud, giver, "giver")
    create(cloud, template({"P": parameter({"Fn::ImportValue": "the-value"})}), "taker")

    with pytest.raises(ClientError, match="the-value cannot be deleted as it is in use by taker"):
        client.delete_stack(StackName="giver")

    name = physical_ids(cloud, "taker")["P"]
    value = cloud.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    assert value == "shared"
    assert client.list_imports(ExportName="the-value")["Imports"] == ["taker"]
    assert [(e["Name"], e["Value"]) for e in client.list_exports()["Exports"]] == [
        ("the-value", "shared")
    ]
    assert client.describe_stacks(StackName="giver")["Stacks"][0]["StackStatus"] == (
        "CREATE_COMPLETE"
    )


def test_dynamic_references_are_resolved_for_the_resource_only(cloud: Cloud) -> None:
    """A secret's value reaches the resource; the stack keeps the reference."""
    cloud.client("secretsmanager").create_secret(
        Name="db", SecretString=json.dumps({"password": "tief-geheim"})
    )
    reference = "x-{{resolve:secretsmanager:db:SecretString:password}}"

    create(cloud, template({"P": parameter(reference)}))

    client = cloud.client("cloudformation")
    value = cloud.client("ssm").get_parameter(Name=physical_ids(cloud)["P"])["Parameter"]["Value"]
    shown = str(client.describe_stack_events(StackName="demo")) + str(
        client.get_template(StackName="demo")
    )
    assert value == "x-tief-geheim"
    assert "tief-geheim" not in shown


def test_stack_tags_reach_resources_and_follow_updates(cloud: Cloud) -> None:
    """Tags of the stack are put on resources that take tags, and change with it."""
    body = template({"P": parameter()})
    create(cloud, body, Tags=[{"Key": "team", "Value": "a"}, {"Key": "old", "Value": "x"}])

    update(cloud, body, Tags=[{"Key": "team", "Value": "b"}])

    tags = cloud.client("ssm").list_tags_for_resource(
        ResourceType="Parameter", ResourceId=physical_ids(cloud)["P"]
    )["TagList"]
    assert tags == [{"Key": "team", "Value": "b"}]


def test_summary_lists_parameters_types_and_capabilities(cloud: Cloud) -> None:
    """GetTemplateSummary and ValidateTemplate describe a template without deploying it."""
    body = template(
        {"P": parameter({"Ref": "In"})},
        Description="what it is",
        Parameters={"In": {"Type": "String", "Default": "d"}},
    )
    client = cloud.client("cloudformation")

    summary = client.get_template_summary(TemplateBody=body)
    valid = client.validate_template(TemplateBody=body)

    assert [p["ParameterKey"] for p in summary["Parameters"]] == ["In"]
    assert summary["ResourceTypes"] == ["AWS::SSM::Parameter"]
    assert valid["Description"] == "what it is"
    assert valid["Parameters"][0]["DefaultValue"] == "d"
    with pytest.raises(ClientError, match="At least one Resources member must be defined"):
        client.validate_template(TemplateBody="{}")


def test_long_template_must_travel_through_s3(cloud: Cloud) -> None:
    """A body above 51200 bytes is refused, as on AWS; the same by TemplateURL is taken."""
    body = template({f"P{n}": parameter("x" * 600) for n in range(80)})
    cloud.client("s3").create_bucket(Bucket="templates")
    cloud.client("s3").put_object(Bucket="templates", Key="big.json", Body=body.encode())

    with pytest.raises(ClientError, match="less than or equal to 51200"):
        create(cloud, body)

    assert parameter_names(cloud) == []
    url = f"{cloud.url}/templates/big.json"
    summary = cloud.client("cloudformation").get_template_summary(TemplateURL=url)
    assert summary["ResourceTypes"] == ["AWS::SSM::Parameter"]


def test_members_without_effect_are_refused(cloud: Cloud) -> None:
    """A request member that would be ignored is refused by name, and nothing is made."""
    with pytest.raises(ClientError, match="NotificationARNs has no effect"):
        create(
            cloud,
            template({"P": parameter()}),
            NotificationARNs=[f"arn:aws:sns:{REGION}:{ACCOUNT}:t"],
        )

    assert parameter_names(cloud) == []


def test_unknown_operation_is_refused_by_name(cloud: Cloud) -> None:
    """Stack sets are not served, and the answer says so."""
    with pytest.raises(ClientError, match="ListStackSets is not supported") as refused:
        cloud.client("cloudformation").list_stack_sets()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_call_without_a_required_member_is_refused(cloud: Cloud) -> None:
    """A raw call is checked like one of an SDK."""
    call = urllib.request.Request(
        cloud.url, data=b"Action=DescribeStackEvents&Version=2010-05-15", method="POST"
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(call)

    with refused.value as answer:
        text = answer.read().decode()
    assert refused.value.code == 400
    assert "<Code>ValidationError</Code>" in text
    assert "Value null at 'stackName'" in text


def test_regions_do_not_see_each_other(cloud: Cloud) -> None:
    """Stacks and their resources belong to one region."""
    other = cloud.client("cloudformation", "eu-central-1")
    create(cloud, template({"P": parameter()}))

    other.create_stack(StackName="demo", TemplateBody=template({"P": parameter()}))

    there = cloud.client("ssm", "eu-central-1").describe_parameters()["Parameters"]
    arn = other.describe_stacks(StackName="demo")["Stacks"][0]["StackId"]
    assert len(there) == 1
    assert len(parameter_names(cloud)) == 1
    assert arn.startswith(f"arn:aws:cloudformation:eu-central-1:{ACCOUNT}:stack/demo/")


@pytest.mark.parametrize(
    ("type_name", "member", "switch"),
    [
        pytest.param("AWS::SQS::Queue", "QueueName", "FifoQueue", id="queue"),
        pytest.param("AWS::SNS::Topic", "TopicName", "FifoTopic", id="topic"),
    ],
)
def test_fifo_names_end_with_their_suffix(
    cloud: Cloud, type_name: str, member: str, switch: str
) -> None:
    """A made-up FIFO name gets the suffix; one of the user's own without it fails the stack."""
    unnamed = {"Type": type_name, "Properties": {switch: True}}
    named = {"Type": type_name, "Properties": {switch: True, member: "orders"}}

    good = create(cloud, template({"One": unnamed}))
    bad = create(cloud, template({"Two": named}), name="other")

    assert good["StackStatus"] == "CREATE_COMPLETE"
    assert physical_ids(cloud)["One"].endswith(".fifo")
    assert bad["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ".fifo" in bad["StackStatusReason"] + str(
        cloud.client("cloudformation").describe_stack_events(StackName="other")["StackEvents"]
    )
