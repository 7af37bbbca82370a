"""Functions deployed over Lambda's API, run as real processes, that call AWS themselves."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from services_world import ACCOUNT, REGION, ServicesWorld, services_world, zipped

from socketstack.clock import SystemClock
from socketstack.ids import RandomIds
from socketstack.runner.local import LocalRunner
from socketstack.trace import Trace

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:writer"
HANDLER = """
import json
import os

import boto3


def handle(event, context):
    print("writes to", os.environ["TABLE"])
    table = boto3.client("dynamodb")
    table.put_item(TableName=os.environ["TABLE"], Item={"k": {"S": json.dumps(event)[:1000]}})
    return {"arn": context.invoked_function_arn, "version": VERSION}


VERSION = 1
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ServicesWorld]:
    """Services with a real runner, a table and a function that writes to it."""
    runners: list[LocalRunner] = []

    def make_runner(world: ServicesWorld) -> LocalRunner:
        clock = SystemClock()
        runner = LocalRunner(
            catalog=world.functions,
            logs=world.functions,
            trace=Trace(clock),
            clock=clock,
            ids=RandomIds(),
            workdir=tmp_path,
            max_processes=2,
            endpoint=world.url,
            region=REGION,
            ca_bundle=None,
            debug_port=None,
        )
        runners.append(runner)
        return runner

    async with services_world(make_runner) as world:
        await world.make_role()
        await world.call(
            "dynamodb",
            "create_table",
            TableName="t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        await world.make_function(
            "writer",
            Timeout=20,
            Code={"ZipFile": zipped({"handler.py": HANDLER})},
            Environment={"Variables": {"TABLE": "t"}},
        )
        try:
            yield world
        finally:
            await runners[0].stop()


async def _keys(world: ServicesWorld) -> list[str]:
    found = await world.call("dynamodb", "scan", TableName="t")
    return [item["k"]["S"] for item in found["Items"]]


async def _payload(answer: Any) -> Any:
    return json.loads(await asyncio.to_thread(answer["Payload"].read))


async def test_a_function_runs_calls_aws_and_leaves_its_log(world: ServicesWorld) -> None:
    """Invoke runs the deployed code, which reaches the table; its lines are in CloudWatch Logs."""
    answer = await world.call(
        "lambda", "invoke", FunctionName="writer", Payload=b'{"n": 1}', LogType="Tail"
    )

    events = await world.call("logs", "filter_log_events", logGroupName="/aws/lambda/writer")
    lines = [event["message"] for event in events["events"]]
    assert "FunctionError" not in answer
    assert await _payload(answer) == {"arn": ARN, "version": 1}
    assert await _keys(world) == ['{"n": 1}']
    assert any("writes to t" in line for line in lines)
    assert b"writes to t" in base64.b64decode(answer["LogResult"])


async def test_new_code_runs_after_its_update(world: ServicesWorld) -> None:
    """A warm process of the old code is not used any more; a published version keeps its code."""
    await world.call("lambda", "publish_version", FunctionName="writer")
    await world.call("lambda", "invoke", FunctionName="writer", Payload=b"1")
    new = zipped({"handler.py": HANDLER.replace("VERSION = 1", "VERSION = 2")})

    await world.call("lambda", "update_function_code", FunctionName="writer", ZipFile=new)

    latest = await world.call("lambda", "invoke", FunctionName="writer", Payload=b"2")
    first = await world.call("lambda", "invoke", FunctionName="writer", Qualifier="1", Payload=b"3")
    assert await _payload(latest) == {"arn": ARN, "version": 2}
    assert await _payload(first) == {"arn": f"{ARN}:1", "version": 1}
    assert (latest["ExecutedVersion"], first["ExecutedVersion"]) == ("$LATEST", "1")


async def test_a_function_that_moto_waits_for_reaches_moto(world: ServicesWorld) -> None:
    """Secret rotation waits for a process that writes to a table meanwhile: no deadlock."""
    secret = await world.call("secretsmanager", "create_secret", Name="s", SecretString="old")

    await asyncio.wait_for(
        world.call(
            "secretsmanager",
            "rotate_secret",
            SecretId=secret["ARN"],
            RotationLambdaARN=ARN,
            RotationRules={"AutomaticallyAfterDays": 30},
        ),
        timeout=60,
    )

    steps = sorted(json.loads(key)["Step"] for key in await _keys(world))
    assert steps == ["createSecret", "finishSecret", "setSecret", "testSecret"]
