"""The plugin inside a real LocalStack, from outside: boto3, awslocal and sockets."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from engine_world import eventually
from localstack_host import LocalStackHost
from runner_world import zipped
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = [pytest.mark.localstack, pytest.mark.timeout(300)]
_SECONDS = 20
_ROLE = "arn:aws:iam::000000000000:role/functions"
_HANDLER = """
    import json

    def handle(event, context):
        print("EVENT " + json.dumps(event))
        if event.get("fail"):
            raise ValueError("on purpose")
        return {"statusCode": 200, "body": event.get("body", "none")}
"""


def make_function(localstack: LocalStackHost, name: str, *, is_permitted: bool = True) -> str:
    """A function that echoes, ready to be called; its ARN."""
    functions = localstack.client("lambda")
    arn: str = functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="handler.handle",
        Role=_ROLE,
        Code={"ZipFile": zipped({"handler.py": _HANDLER})},
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    if is_permitted:
        functions.add_permission(
            FunctionName=name,
            StatementId="gateway",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
    return arn


def make_api(localstack: LocalStackHost, function_arn: str) -> tuple[str, str]:
    """An API that echoes on ``$default``: its id, and what clients dial."""
    gateway = localstack.client("apigatewayv2")
    api = gateway.create_api(
        Name=f"api-{uuid.uuid4().hex[:6]}",
        ProtocolType="WEBSOCKET",
        RouteSelectionExpression="$request.body.action",
    )
    integration = gateway.create_integration(
        ApiId=api["ApiId"],
        IntegrationType="AWS_PROXY",
        IntegrationUri="arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
        f"{function_arn}/invocations",
    )
    route = gateway.create_route(
        ApiId=api["ApiId"],
        RouteKey="$default",
        Target=f"integrations/{integration['IntegrationId']}",
        RouteResponseSelectionExpression="$default",
    )
    gateway.create_route_response(
        ApiId=api["ApiId"], RouteId=route["RouteId"], RouteResponseKey="$default"
    )
    gateway.create_stage(ApiId=api["ApiId"], StageName="dev", AutoDeploy=True)
    return api["ApiId"], f"{api['ApiEndpoint']}/dev"


def log_lines(localstack: LocalStackHost, name: str) -> list[str]:
    """What a function has logged; nothing where it has no log yet."""
    logs, group = localstack.client("logs"), f"/aws/lambda/{name}"
    known = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if group not in [each["logGroupName"] for each in known]:
        return []
    found = logs.filter_log_events(logGroupName=group)
    return [event["message"] for event in found["events"]]


def test_socket_and_lambda_api_share_one_way_to_functions(localstack: LocalStackHost) -> None:
    """A message and an ``Invoke`` run in one process; each is logged once, and not twice."""
    arn = make_function(localstack, "shared")
    _api_id, url = make_api(localstack, arn)

    with connect(url, proxy=None) as socket:
        socket.send("by socket")
        echoed = socket.recv(_SECONDS)
    answer = localstack.client("lambda").invoke(
        FunctionName="shared", Payload=b'{"body": "by call"}', LogType="Tail"
    )

    assert echoed == "by socket"
    assert json.loads(answer["Payload"].read()) == {"statusCode": 200, "body": "by call"}
    assert answer["ExecutedVersion"] == "$LATEST"
    lines = eventually(
        lambda: (
            [li for li in log_lines(localstack, "shared") if "EVENT" in li][1:]
            and log_lines(localstack, "shared")
        )
    )
    assert [sum(line.startswith(word) for line in lines) for word in ("START", "EVENT", "END")] == [
        2,
        2,
        2,
    ]
    assert "Init Duration" in "".join(lines)
    assert sum("Init Duration" in line for line in lines) == 1


def test_failing_function_is_an_answer_and_not_an_error(localstack: LocalStackHost) -> None:
    """What a function raises comes back with ``FunctionError``, as on AWS."""
    make_function(localstack, "fails")

    answer = localstack.client("lambda").invoke(FunctionName="fails", Payload=b'{"fail": true}')

    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorMessage"] == "on purpose"


def test_function_without_permission_is_not_called(localstack: LocalStackHost) -> None:
    """API Gateway may call what the function's policy allows, and nothing else."""
    arn = make_function(localstack, "closed", is_permitted=False)
    _api_id, url = make_api(localstack, arn)

    with connect(url, proxy=None) as socket:
        socket.send("let me in")
        answer = json.loads(socket.recv(_SECONDS))

    assert answer["message"] == "Internal server error"
    assert log_lines(localstack, "closed") == []


def test_mounted_code_is_refused_when_it_is_made(
    localstack: LocalStackHost, tmp_path: Path
) -> None:
    """A function of a mounted folder fails with the reason, and no message runs it."""
    functions = localstack.client("lambda")
    functions.create_function(
        FunctionName="mounted",
        Runtime="python3.13",
        Handler="handler.handle",
        Role=_ROLE,
        Code={"S3Bucket": "hot-reload", "S3Key": str(tmp_path)},
    )

    def look() -> Any:
        state = functions.get_function(FunctionName="mounted")["Configuration"]
        return state if state["State"] != "Pending" else None

    state = eventually(look)

    functions.add_permission(
        FunctionName="mounted",
        StatementId="gateway",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    _api_id, url = make_api(localstack, state["FunctionArn"])
    with connect(url, proxy=None) as socket:
        socket.send("run me")
        answer = json.loads(socket.recv(_SECONDS))

    assert state["State"] == "Failed"
    assert "runs zips, not mounted folders" in state["StateReason"]
    assert answer["message"] == "Internal server error"
    assert log_lines(localstack, "mounted") == []


def test_awslocal_configures_and_posts_on_the_same_port(localstack: LocalStackHost) -> None:
    """``awslocal`` lists the API and posts to a connection by its id alone."""
    api_id, url = make_api(localstack, make_function(localstack, "posted"))
    environ = {
        **os.environ,
        "AWS_ENDPOINT_URL": localstack.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def awslocal(*arguments: str) -> str:
        command = [sys.executable, str(Path(sys.executable).with_name("awslocal")), *arguments]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with connect(url, proxy=None) as socket:
        socket.send("who am I")
        socket.recv(_SECONDS)
        event = next(line for line in log_lines(localstack, "posted") if line.startswith("EVENT"))
        connection_id = json.loads(event[6:])["requestContext"]["connectionId"]
        listed = awslocal("apigatewayv2", "get-apis", "--query", "Items[].ApiId")
        awslocal(
            "apigatewaymanagementapi",
            "post-to-connection",
            f"--connection-id={connection_id}",
            "--data=pushed",
        )
        pushed = socket.recv(_SECONDS)

    assert api_id in listed
    assert pushed == "pushed"


def test_foreign_pages_and_hosts_reach_nothing(localstack: LocalStackHost) -> None:
    """The guard stands before LocalStack's own services and pages too."""
    page = localstack.get("/_localstack/health", Origin="https://evil.example")
    host = localstack.get("/_localstack/health", Host="evil.example")
    own = localstack.get("/_localstack/health")

    assert [page[0], host[0], own[0]] == [403, 403, 200]
    assert b"services" not in page[1] + host[1]


def test_unknown_stage_and_removed_api_let_nobody_in(localstack: LocalStackHost) -> None:
    """A handshake with what is not deployed is refused, and the function hears nothing of it."""
    arn = make_function(localstack, "removed")
    api_id, url = make_api(localstack, arn)

    with pytest.raises(InvalidStatus) as wrong_stage, connect(f"{url}x", proxy=None):
        pass
    localstack.client("apigatewayv2").delete_api(ApiId=api_id)
    with pytest.raises(InvalidStatus) as removed, connect(url, proxy=None):
        pass

    assert wrong_stage.value.response.status_code == 403
    assert removed.value.response.status_code in {403, 404}
    assert log_lines(localstack, "removed") == []


def _rule_at(localstack: LocalStackHost, function_arn: str, queue_arn: str) -> str:
    """A rule for events of the source ``app`` with a function and its dead letters; its ARN."""
    events = localstack.client("events")
    arn: str = events.put_rule(Name="letters", EventPattern='{"source": ["app"]}')["RuleArn"]
    target = {"Id": "1", "Arn": function_arn, "DeadLetterConfig": {"Arn": queue_arn}}
    events.put_targets(Rule="letters", Targets=[target])
    return arn


def test_rules_ask_the_function_and_keep_dead_letters(localstack: LocalStackHost) -> None:
    """A function that does not permit a rule is not called, and its event is kept; else it is."""
    function = make_function(localstack, "ruled", is_permitted=False)
    sqs = localstack.client("sqs")
    url = sqs.create_queue(QueueName="ruled-letters")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    rule = _rule_at(localstack, function, queue["QueueArn"])
    entry = {"Source": "app", "DetailType": "t", "Detail": '{"n": 1}'}

    localstack.client("events").put_events(Entries=[entry])
    letter = eventually(
        lambda: sqs.receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=1
        ).get("Messages")
    )[0]
    before = [line for line in log_lines(localstack, "ruled") if "EVENT" in line]
    localstack.client("lambda").add_permission(
        FunctionName="ruled",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    localstack.client("events").put_events(Entries=[entry])
    called = eventually(
        lambda: [line for line in log_lines(localstack, "ruled") if "EVENT" in line] or None
    )

    attributes = {n: v["StringValue"] for n, v in letter["MessageAttributes"].items()}
    assert json.loads(letter["Body"])["detail"] == {"n": 1}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert (attributes["RULE_ARN"], attributes["TARGET_ARN"]) == (rule, function)
    assert before == []
    assert len(called) == 1
