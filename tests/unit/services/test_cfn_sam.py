"""The SAM transform in its own short-lived process."""

from typing import Any

import pytest

from socketstack.services.cfn import sam
from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.template import SERVERLESS

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def template(**resources: Any) -> dict[str, Any]:
    """A template with the transform."""
    return {"Transform": SERVERLESS, "Resources": resources}


async def test_template_without_transform_stays_as_it_is() -> None:
    """Nothing is started for a plain template."""
    document = {"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}

    assert await sam.processed(document, {}, "us-east-1") is document


async def test_websocket_api_becomes_plain_resources() -> None:
    """A WebSocketApi becomes API, stage, routes, integrations and permissions."""
    api = {
        "Type": "AWS::Serverless::WebSocketApi",
        "Properties": {
            "RouteSelectionExpression": "$request.body.action",
            "Routes": {"$connect": {"FunctionArn": ARN}, "echo": {"FunctionArn": ARN}},
        },
    }

    made = await sam.processed(template(Api=api), {}, "eu-west-1")

    types = {name: one["Type"] for name, one in made["Resources"].items()}
    assert "Transform" not in made
    assert types["ApiConnectRoute"] == types["ApiEchoRoute"] == "AWS::ApiGatewayV2::Route"
    assert types["ApiEchoPermission"] == "AWS::Lambda::Permission"


async def test_policy_names_and_packages_are_understood() -> None:
    """Managed policies need no network; a packaged CodeUri becomes bucket and key."""
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "a.b",
            "CodeUri": "s3://bucket/key",
            "Policies": ["AmazonDynamoDBReadOnlyAccess"],
        },
    }

    made = await sam.processed(template(F=function), {}, "us-east-1")

    resources = made["Resources"]
    code = resources["F"]["Properties"]["Code"]
    assert code == {"S3Bucket": "bucket", "S3Key": "key"}
    assert (
        "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"
        in resources["FRole"]["Properties"]["ManagedPolicyArns"]
    )


async def test_error_names_the_resource() -> None:
    """The translator's own words say which resource is wrong."""
    with pytest.raises(InvalidTemplate, match=r"failed with: .*Resource with id \[F\] is invalid"):
        await sam.processed(
            template(F={"Type": "AWS::Serverless::Function", "Properties": {"Runtime": 5}}),
            {},
            "us-east-1",
        )


async def test_crash_of_the_transform_is_an_error_of_the_template() -> None:
    """A template that the translator cannot even walk through is refused."""
    with pytest.raises(InvalidTemplate, match="Transform AWS::Serverless-2016-10-31 failed"):
        await sam.processed(
            {"Transform": SERVERLESS, "Resources": {"A": "no object"}}, {}, "us-east-1"
        )
