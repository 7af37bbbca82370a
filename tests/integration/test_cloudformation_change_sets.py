"""Change sets, through boto3."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from integration.cloudformation_server import Cloud

Template = dict[str, Any]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running server."""
    with Cloud() as running:
        yield running


def template(resources: Template, **sections: Any) -> str:
    """A template's text."""
    return json.dumps({"Resources": resources, **sections})


def parameter(value: object, **members: Any) -> Template:
    """An SSM parameter."""
    return {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Type": "String", "Value": value},
        **members,
    }


def topic(name: str) -> Template:
    """A topic; another name replaces it."""
    return {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}


def propose(cloud: Cloud, body: str, kind: str = "UPDATE", **members: Any) -> Any:
    """Make a change set; what DescribeChangeSet says of it."""
    client = cloud.client("cloudformation")
    made = client.create_change_set(
        StackName="demo", ChangeSetName="next", ChangeSetType=kind, TemplateBody=body, **members
    )
    return client.describe_change_set(ChangeSetName=made["Id"])


def execute(cloud: Cloud) -> Any:
    """Execute the change set; what DescribeStacks says of the stack then."""
    client = cloud.client("cloudformation")
    client.execute_change_set(StackName="demo", ChangeSetName="next")
    return client.describe_stacks(StackName="demo")["Stacks"][0]


def topics(cloud: Cloud) -> list[str]:
    """Names of all topics."""
    found = cloud.client("sns").list_topics()["Topics"]
    return sorted(one["TopicArn"].rsplit(":", 1)[-1] for one in found)


def test_change_set_of_a_new_stack_makes_it_when_executed(cloud: Cloud) -> None:
    """A CREATE change set shows a stack in review, and its execution fills outputs."""
    client = cloud.client("cloudformation")
    body = template({"P": topic("one")}, Outputs={"Arn": {"Value": {"Ref": "P"}}})

    proposed = propose(cloud, body, "CREATE")
    in_review = client.describe_stacks(StackName="demo")["Stacks"][0]
    topics_in_review = topics(cloud)
    stack = execute(cloud)

    assert (proposed["Status"], proposed["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert [c["ResourceChange"]["Action"] for c in proposed["Changes"]] == ["Add"]
    assert in_review["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert topics_in_review == []
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["ChangeSetId"] == proposed["ChangeSetId"]
    assert stack["Outputs"][0]["OutputValue"].endswith(":one")
    executed = client.describe_change_set(StackName="demo", ChangeSetName="next")
    assert executed["ExecutionStatus"] == "EXECUTE_COMPLETE"


def test_change_set_tells_what_would_happen(cloud: Cloud) -> None:
    """Additions, changes with and without replacement, and removals are told apart."""
    client = cloud.client("cloudformation")
    client.create_stack(
        StackName="demo",
        TemplateBody=template(
            {
                "Same": parameter("s"),
                "Changed": parameter("old"),
                "Replaced": topic("old"),
                "User": parameter({"Ref": "Replaced"}),
                "Gone": topic("gone"),
            }
        ),
    )

    proposed = propose(
        cloud,
        template(
            {
                "Same": parameter("s"),
                "Changed": parameter("new"),
                "Replaced": topic("new"),
                "User": parameter({"Ref": "Replaced"}),
                "Added": topic("added"),
            }
        ),
    )

    shown = {
        c["ResourceChange"]["LogicalResourceId"]: (
            c["ResourceChange"]["Action"],
            c["ResourceChange"].get("Replacement"),
            c["ResourceChange"]["ResourceType"],
        )
        for c in proposed["Changes"]
    }
    assert shown == {
        "Changed": ("Modify", "False", "AWS::SSM::Parameter"),
        "Replaced": ("Modify", "True", "AWS::SNS::Topic"),
        "User": ("Modify", "False", "AWS::SSM::Parameter"),
        "Added": ("Add", None, "AWS::SNS::Topic"),
        "Gone": ("Remove", None, "AWS::SNS::Topic"),
    }
    assert topics(cloud) == ["gone", "old"]


def test_changed_parameter_alone_is_a_change(cloud: Cloud) -> None:
    """The same template with another parameter value changes what uses it."""
    body = template(
        {"P": parameter({"Ref": "In"}), "Q": parameter("q")},
        Parameters={"In": {"Type": "String"}, "Other": {"Type": "String", "Default": "d"}},
    )
    client = cloud.client("cloudformation")
    client.create_stack(
        StackName="demo",
        TemplateBody=body,
        Parameters=[{"ParameterKey": "In", "ParameterValue": "a"}],
    )

    proposed = propose(
        cloud,
        body,
        Parameters=[
            {"ParameterKey": "In", "ParameterValue": "b"},
            {"ParameterKey": "Other", "UsePreviousValue": True},
        ],
    )

    assert [c["ResourceChange"]["LogicalResourceId"] for c in proposed["Changes"]] == ["P"]


def test_change_set_without_changes_fails_with_the_words_clients_look_for(cloud: Cloud) -> None:
    """Nothing to change makes a FAILED change set, which cannot be executed."""
    client, body = cloud.client("cloudformation"), template({"P": parameter("a")})
    client.create_stack(StackName="demo", TemplateBody=body)

    proposed = propose(cloud, body)

    assert (proposed["Status"], proposed["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "The submitted information didn't contain changes." in proposed["StatusReason"]
    with pytest.raises(ClientError, match=r"current status of \[FAILED\]") as refused:
        execute(cloud)
    assert refused.value.response["Error"]["Code"] == "InvalidChangeSetStatus"


def test_changed_output_alone_is_a_change(cloud: Cloud) -> None:
    """A new output makes a change set that can be executed."""
    client, resources = cloud.client("cloudformation"), {"P": parameter("a")}
    client.create_stack(StackName="demo", TemplateBody=template(resources))

    proposed = propose(cloud, template(resources, Outputs={"O": {"Value": {"Ref": "P"}}}))
    stack = execute(cloud)

    assert proposed["Status"] == "CREATE_COMPLETE"
    assert [one["OutputKey"] for one in stack["Outputs"]] == ["O"]


def test_unsupported_type_makes_a_failed_change_set(cloud: Cloud) -> None:
    """What cannot be deployed fails when it is proposed, by name, and makes nothing."""
    proposed = propose(
        cloud, template({"T": topic("t"), "X": {"Type": "AWS::EKS::Cluster"}}), "CREATE"
    )

    assert proposed["Status"] == "FAILED"
    assert "AWS::EKS::Cluster (resource X)" in proposed["StatusReason"]
    assert topics(cloud) == []


def test_failing_execution_rolls_back(cloud: Cloud) -> None:
    """A change set whose resources fail leaves a rolled back stack and says so."""
    broken = {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": "nobody",
            "Principal": "apigateway.amazonaws.com",
        },
    }
    propose(cloud, template({"T": topic("t"), "X": broken}), "CREATE")

    stack = execute(cloud)

    shown = cloud.client("cloudformation").describe_change_set(
        StackName="demo", ChangeSetName="next"
    )
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert shown["ExecutionStatus"] == "EXECUTE_FAILED"
    assert topics(cloud) == []


def test_executed_change_set_is_not_executed_twice(cloud: Cloud) -> None:
    """A second execution is refused and changes nothing."""
    propose(cloud, template({"T": topic("t")}), "CREATE")
    execute(cloud)
    before = cloud.client("cloudformation").describe_stack_events(StackName="demo")

    with pytest.raises(ClientError, match="cannot be executed in its current status"):
        execute(cloud)

    after = cloud.client("cloudformation").describe_stack_events(StackName="demo")
    assert len(after["StackEvents"]) == len(before["StackEvents"])


def test_deleted_change_set_is_gone(cloud: Cloud) -> None:
    """A change set can be deleted without touching its stack; twice is no error."""
    client = cloud.client("cloudformation")
    propose(cloud, template({"T": topic("t")}), "CREATE")

    client.delete_change_set(StackName="demo", ChangeSetName="next")
    client.delete_change_set(StackName="demo", ChangeSetName="next")

    with pytest.raises(client.exceptions.ChangeSetNotFoundException):
        client.describe_change_set(StackName="demo", ChangeSetName="next")
    assert client.list_change_sets(StackName="demo")["Summaries"] == []
    assert client.describe_stacks(StackName="demo")["Stacks"][0]["StackStatus"] == (
        "REVIEW_IN_PROGRESS"
    )


def test_update_change_set_of_an_unknown_stack_is_refused(cloud: Cloud) -> None:
    """Only a CREATE change set makes a stack."""
    with pytest.raises(ClientError, match=r"Stack \[demo\] does not exist"):
        propose(cloud, template({"T": topic("t")}))

    assert cloud.client("cloudformation").describe_stacks()["Stacks"] == []


def test_rolled_back_stack_takes_no_update(cloud: Cloud) -> None:
    """After ROLLBACK_COMPLETE a stack must be deleted first, as on AWS."""
    broken = {
        "Type": "AWS::SNS::Subscription",
        "Properties": {
            "TopicArn": "arn:aws:sns:us-east-1:000000000000:none",
            "Protocol": "sqs",
            "Endpoint": "arn:aws:sqs:us-east-1:000000000000:none",
        },
    }
    client = cloud.client("cloudformation")
    client.create_stack(StackName="demo", TemplateBody=template({"X": broken}))

    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        propose(cloud, template({"T": topic("t")}))

    assert topics(cloud) == []


def test_change_set_shows_original_and_processed_template(cloud: Cloud) -> None:
    """GetTemplate answers for a change set before it is executed."""
    body = template({"T": topic("t")})
    propose(cloud, body, "CREATE")

    got = cloud.client("cloudformation").get_template(
        StackName="demo", ChangeSetName="next", TemplateStage="Original"
    )

    assert got["TemplateBody"] == json.loads(body)
    assert got["StagesAvailable"] == ["Original", "Processed"]
