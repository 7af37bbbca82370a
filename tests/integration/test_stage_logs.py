"""Stages' logs in CloudWatch Logs: written by a real engine, read with boto3."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from engine_world import ACCOUNT, REGION, Deployed, EngineWorld, eventually, running_engine
from services_world import ServicesWorld, services_world
from websockets.exceptions import InvalidStatus

from socketstack.controlplane.caller import Caller
from socketstack.core.model import LogDestination
from socketstack.runner.base import LogLine
from socketstack.services.log_queue import PENDING_MAX_LINES
from socketstack.services.stage_logs import AccountLogging, StageLogQueue

ROLE = f"arn:aws:iam::{ACCOUNT}:role/writes-logs"
FORM = json.dumps(
    {
        "requestId": "$context.requestId",
        "eventType": "$context.eventType",
        "status": "$context.status",
        "authorizerError": "$context.authorizer.error",
        "latency": "$context.authorizer.latency",
        "integrationRequestId": "$context.integration.requestId",
    }
)
AUTHORIZER = """
    def handle(event, context):
        token = event["queryStringParameters"]["token"]
        if token == "broken":
            raise RuntimeError("no key to verify with")
        if token != "good":
            raise Exception("Unauthorized")
        statement = {
            "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]
        }
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "alice", "policyDocument": document}
"""


# The queue, without a data plane


@pytest.fixture
async def services() -> AsyncIterator[ServicesWorld]:
    """The services of an engine."""
    async with services_world() as world:
        yield world


def destination(access_arn: str = "", region: str = "eu-west-1") -> LogDestination:
    """Where a stage's lines go."""
    return LogDestination(
        account_id=ACCOUNT,
        region=region,
        api_id="a1b2c3d4e5",
        stage_name="dev",
        access_arn=access_arn,
    )


def group_arn(name: str, region: str = "eu-west-1") -> str:
    """The ARN of a log group."""
    return f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{name}"


def now(*texts: str) -> list[LogLine]:
    """Lines of this moment, as moto keeps none that are old."""
    return [LogLine(time_ms=time.time_ns() // 1_000_000, text=text) for text in texts]


async def group_names(services: ServicesWorld) -> list[str]:
    """The log groups there are."""
    found = await services.call("logs", "describe_log_groups")
    return [group["logGroupName"] for group in found["logGroups"]]


async def messages(services: ServicesWorld, group: str) -> list[str]:
    """What stands in a log group."""
    found = await services.call("logs", "filter_log_events", logGroupName=group)
    return [event["message"] for event in found["events"]]


async def test_execution_log_makes_its_own_group(services: ServicesWorld) -> None:
    """The first line makes the group of API and stage; its stream has a name of hex. Rule 9.06."""
    queue = StageLogQueue(services.app)

    problem = queue.write(destination(), now("one", "two"))

    group = "/aws/apigateway/a1b2c3d4e5/dev"
    streams = await services.call("logs", "describe_log_streams", logGroupName=group)
    (stream,) = [each["logStreamName"] for each in streams["logStreams"]]
    assert problem == ""
    assert await messages(services, group) == ["one", "two"]
    assert len(stream) == 32
    assert int(stream, 16)


@pytest.mark.parametrize("end", [pytest.param("", id="plain"), pytest.param(":*", id="with-star")])
async def test_access_log_goes_to_the_group_of_its_arn(services: ServicesWorld, end: str) -> None:
    """Both forms of a log group's ARN lead to the group."""
    await services.call("logs", "create_log_group", logGroupName="mine")
    queue = StageLogQueue(services.app)

    problem = queue.write(destination(group_arn("mine") + end), now("a line"))

    assert problem == ""
    assert await messages(services, "mine") == ["a line"]


async def test_missing_group_drops_the_line_and_says_so(services: ServicesWorld) -> None:
    """An access log never makes its group: lines are dropped, with the way to mend it."""
    queue = StageLogQueue(services.app)

    before_any_call = queue.write(destination(group_arn("mine")), now("lost"))
    await services.call("logs", "create_log_group", logGroupName="other")
    missing = queue.write(destination(group_arn("mine")), now("lost"))

    assert before_any_call == missing
    assert "no log group mine in eu-west-1" in missing
    assert "create-log-group" in missing
    assert await group_names(services) == ["other"]


async def test_deleted_group_does_not_come_back(services: ServicesWorld) -> None:
    """Lines after the deletion of the group are dropped, and the group stays deleted."""
    await services.call("logs", "create_log_group", logGroupName="mine")
    queue = StageLogQueue(services.app)
    queue.write(destination(group_arn("mine")), now("before"))
    await services.call("logs", "delete_log_group", logGroupName="mine")

    problem = queue.write(destination(group_arn("mine")), now("after"))

    assert "no log group mine" in problem
    assert await group_names(services) == []


async def test_group_of_another_region_is_another_group(services: ServicesWorld) -> None:
    """The ARN's region decides: a group of the same name elsewhere takes nothing."""
    await services.call("logs", "create_log_group", logGroupName="mine")
    queue = StageLogQueue(services.app)

    problem = queue.write(destination(group_arn("mine", "us-west-2")), now("lost"))

    assert "us-west-2" in problem
    assert await messages(services, "mine") == []


async def test_destination_that_is_no_group_is_told(services: ServicesWorld) -> None:
    """An ARN of something else takes no lines, and the reason names it."""
    queue = StageLogQueue(services.app)

    problem = queue.write(destination("arn:aws:s3:::bucket"), now("lost"))

    assert "arn:aws:s3:::bucket is no ARN of a log group" in problem
    assert await group_names(services) == []


async def test_lines_without_room_are_counted(
    services: ServicesWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """The newest lines are kept while nobody reads; how many are lost is said."""
    queue = StageLogQueue(services.app)
    for first in range(0, PENDING_MAX_LINES + 1000, 500):
        queue.write(destination(), now(*(f"line {first + n}" for n in range(500))))

    found = await services.call(
        "logs",
        "describe_log_streams",
        logGroupName="/aws/apigateway/a1b2c3d4e5/dev",
    )

    assert len(found["logStreams"]) == 1
    assert "1000 log lines are lost" in caplog.text


async def test_account_may_log_when_its_role_is_set(services: ServicesWorld) -> None:
    """The role counts for its account and region, from the moment it is set. Rule 1.96."""
    may_log = AccountLogging()
    role = {"op": "replace", "path": "/cloudwatchRoleArn", "value": ROLE}
    before = may_log(Caller(ACCOUNT, "eu-west-1"))

    await services.call("apigateway", "update_account", patchOperations=[role])

    assert not before
    assert may_log(Caller(ACCOUNT, "eu-west-1"))
    assert not may_log(Caller(ACCOUNT, "us-west-2"))
    assert not may_log(Caller("111111111111", "eu-west-1"))


# A whole engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineWorld]:
    """An engine whose account has no role for logs yet, with functions."""
    with running_engine(tmp_path_factory.mktemp("engine")) as world:
        world.make_function("echo")
        world.make_function("authorizer", AUTHORIZER)
        yield world


@pytest.fixture
def api(engine: EngineWorld) -> Deployed:
    """An API with an authorizer and the three events; it logs nothing yet."""
    name = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
    return engine.make_api(
        dict.fromkeys(("$connect", "$default", "$disconnect"), f"{name}echo"),
        authorizer=f"{name}authorizer",
        sources=("route.request.querystring.token",),
    )


def let_log(engine: EngineWorld, role: str = ROLE) -> None:
    """Set the account's role for logs."""
    engine.client("apigateway").update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    )


def make_group(engine: EngineWorld, name: str) -> str:
    """A log group; its ARN."""
    engine.client("logs").create_log_group(logGroupName=name)
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"


def found(engine: EngineWorld, group: str, count: int, pattern: str = "") -> list[str]:
    """What a log group has that fits a pattern, when there are so many of it."""

    def look() -> list[str] | None:
        events = engine.client("logs").filter_log_events(logGroupName=group, filterPattern=pattern)
        lines = [event["message"] for event in events["events"]]
        return lines if len(lines) >= count else None

    return eventually(look)


def settings(group: str) -> dict[str, Any]:
    """Access log settings of a stage."""
    return {"DestinationArn": group, "Format": FORM}


def test_logs_need_the_role_of_the_account(engine: EngineWorld, api: Deployed) -> None:
    """Without the account's role a stage that logs is refused as on AWS. Rule 1.96."""
    let_log(engine, "")
    group = make_group(engine, "without-role")
    gateway = engine.client("apigatewayv2")
    stage = {"ApiId": api.api_id, "StageName": "dev"}

    with pytest.raises(ClientError, match="role ARN must be set in account settings") as access:
        gateway.update_stage(**stage, AccessLogSettings=settings(group))
    with pytest.raises(ClientError, match="role ARN must be set in account settings") as execution:
        gateway.update_stage(**stage, DefaultRouteSettings={"LoggingLevel": "INFO"})

    assert access.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert execution.value.response["Error"]["Code"] == "BadRequestException"
    kept = gateway.get_stage(**stage)
    assert "AccessLogSettings" not in kept
    assert kept["DefaultRouteSettings"]["LoggingLevel"] == "OFF"


def test_refused_handshakes_are_found_with_their_reason(engine: EngineWorld, api: Deployed) -> None:
    """The access log tells a refusal with the authorizer's error, a function's failure included."""
    let_log(engine)
    group = make_group(engine, "refusals")
    engine.client("apigatewayv2").update_stage(
        ApiId=api.api_id, StageName="dev", AccessLogSettings=settings(group)
    )

    statuses = []
    for token in ("bad", "broken"):
        with pytest.raises(InvalidStatus) as refusal, engine.connect(f"{api.url}?token={token}"):
            pass
        statuses.append(refusal.value.response.status_code)
    lines = [json.loads(line) for line in found(engine, "refusals", 2)]
    searched = found(engine, "refusals", 1, '"no key"')

    assert statuses == [401, 500]
    assert [line["status"] for line in lines] == ["401", "500"]
    assert [line["authorizerError"] for line in lines] == ["Unauthorized", "no key to verify with"]
    assert all(line["latency"].isdigit() for line in lines)
    assert [json.loads(line)["status"] for line in searched] == ["500"]


def test_life_of_a_socket_is_logged(engine: EngineWorld, api: Deployed) -> None:
    """Three events give three lines, with Lambda's own ids of its calls. Rules 9.03, 9.05."""
    let_log(engine)
    group = make_group(engine, "lives")
    engine.client("apigatewayv2").update_stage(
        ApiId=api.api_id, StageName="dev", AccessLogSettings=settings(group)
    )

    with engine.connect(f"{api.url}?token=good") as client:
        client.send("hello")
        client.recv()
    lines = [json.loads(line) for line in found(engine, "lives", 3)]

    assert [line["eventType"] for line in lines] == ["CONNECT", "MESSAGE", "DISCONNECT"]
    calls = [line["integrationRequestId"] for line in lines]
    told = "\n".join(engine.log_lines("echo"))
    assert all(f"START RequestId: {call}" in told for call in calls)


def test_execution_log_appears_with_the_first_event(engine: EngineWorld, api: Deployed) -> None:
    """A stage at the level INFO writes into a group of its own, which it makes. Rule 9.06."""
    let_log(engine)
    engine.client("apigatewayv2").update_stage(
        ApiId=api.api_id,
        StageName="dev",
        DefaultRouteSettings={"LoggingLevel": "INFO", "DataTraceEnabled": True},
    )

    with engine.connect(f"{api.url}?token=good") as client:
        client.send("a message")
        client.recv()
    group = f"/aws/apigateway/{api.api_id}/dev"
    lines = found(engine, group, 1, '"disconnected from API"')
    every = found(engine, group, 1)

    assert len(lines) == 1
    assert any("connected to API" in line and "successfully." in line for line in every)
    assert any("Endpoint request body after transformations" in line for line in every)
    assert not any("token=good" in line or '"token":"good"' in line for line in every)


def test_deleted_group_is_told_once_and_breaks_nothing(engine: EngineWorld, api: Deployed) -> None:
    """Without its log group a stage serves on; the trace names the group, once."""
    let_log(engine)
    group = make_group(engine, "deleted")
    engine.client("apigatewayv2").update_stage(
        ApiId=api.api_id, StageName="dev", AccessLogSettings=settings(group)
    )
    engine.client("logs").delete_log_group(logGroupName="deleted")

    with engine.connect(f"{api.url}?token=good") as client:
        for _ in range(3):
            client.send("hello")
            assert client.recv() == "hello"

    warnings = [
        event["summary"]
        for event in engine.steps("warning")
        if "log group deleted" in event["summary"]
    ]
    assert len(warnings) == 1
    assert (
        engine.client("logs").describe_log_groups(logGroupNamePrefix="deleted")["logGroups"] == []
    )


def test_template_can_set_the_role_first(engine: EngineWorld) -> None:
    """A stack with the account's role and a stage that logs is made in one go. Rule 1.96."""
    let_log(engine, "")
    template = Path(__file__).with_name("logs_template.yaml").read_text(encoding="utf-8")
    formation = engine.client("cloudformation")

    formation.create_stack(StackName="logs", TemplateBody=template)
    formation.get_waiter("stack_create_complete").wait(
        StackName="logs", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    api_id = formation.describe_stack_resource(StackName="logs", LogicalResourceId="Api")[
        "StackResourceDetail"
    ]["PhysicalResourceId"]
    url = f"ws://localhost:{engine.settings.port}/_aws/execute-api/{api_id}/dev"
    with engine.connect(url):
        pass

    lines = found(engine, "from-a-template", 2)
    assert [line.split(" ")[1] for line in lines] == ["CONNECT", "DISCONNECT"]
    assert engine.client("apigateway").get_account()["cloudwatchRoleArn"] == ROLE
