"""The SAM transform in its own short-lived process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.sam import Translator
from socketstack.services.cfn.template import SERVERLESS

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def template(**resources: Any) -> dict[str, Any]:
    """A template with the transform."""
    return {"Transform": SERVERLESS, "Resources": resources}


async def test_template_without_transform_stays_as_it_is() -> None:
    """Nothing is started for a plain template."""
    document = {"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}

    assert await Translator().processed(document, {}, "us-east-1") is document


async def test_websocket_api_becomes_plain_resources() -> None:
    """A WebSocketApi becomes API, stage, routes, integrations and permissions."""
    api = {
        "Type": "AWS::Serverless::WebSocketApi",
        "Properties": {
            "RouteSelectionExpression": "$request.body.action",
            "Routes": {"$connect": {"FunctionArn": ARN}, "echo": {"FunctionArn": ARN}},
        },
    }

    made = await Translator().processed(template(Api=api), {}, "eu-west-1")

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

    made = await Translator().processed(template(F=function), {}, "us-east-1")

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
        await Translator().processed(
            template(F={"Type": "AWS::Serverless::Function", "Properties": {"Runtime": 5}}),
            {},
            "us-east-1",
        )


async def test_crash_of_the_transform_is_an_error_of_the_template() -> None:
    """A template that the translator cannot even walk through is refused."""
    with pytest.raises(InvalidTemplate, match="Transform AWS::Serverless-2016-10-31 failed"):
        await Translator().processed(
            {"Transform": SERVERLESS, "Resources": {"A": "no object"}}, {}, "us-east-1"
        )


TOPIC = template(A={"Type": "AWS::SNS::Topic"})
PLAIN = {"Resources": TOPIC["Resources"]}


def children() -> set[int]:
    """Processes that this one has started and that nobody has seen end."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


@pytest.fixture
async def prepared() -> AsyncIterator[tuple[Translator, int]]:
    """A translator with a process that waits, and that process's id."""
    before = children()
    translator = Translator()
    await translator.prepare("us-east-1")
    (pid,) = children() - before
    yield translator, pid
    await translator.stop()
    assert children() == before


async def test_process_of_before_takes_the_template(prepared: tuple[Translator, int]) -> None:
    """It translates, ends, and the next template has one of its own."""
    translator, pid = prepared

    first = await translator.processed(TOPIC, {}, "us-east-1")
    is_gone = pid not in children()
    second = await translator.processed(TOPIC, {}, "us-east-1")

    assert first == second == PLAIN
    assert is_gone


async def test_process_of_before_is_one(prepared: tuple[Translator, int]) -> None:
    """Saying it again starts no second one."""
    translator, pid = prepared
    before = children()

    await asyncio.gather(*(translator.prepare("us-east-1") for _ in range(3)))

    assert children() == before
    assert pid in before


async def test_process_of_another_region_goes_on_waiting(prepared: tuple[Translator, int]) -> None:
    """The region is the process's own: a template of another one gets a new process."""
    translator, pid = prepared

    made = await translator.processed(TOPIC, {}, "eu-west-1")

    assert made == PLAIN
    assert pid in children()


async def test_process_that_did_not_live_to_see_its_template_is_replaced(
    prepared: tuple[Translator, int],
) -> None:
    """Whatever ended it while it waited, the template gets a process of its own."""
    translator, pid = prepared
    assert translator._ahead is not None
    os.kill(pid, signal.SIGKILL)
    await translator._ahead.process.wait()

    assert await translator.processed(TOPIC, {}, "us-east-1") == PLAIN
