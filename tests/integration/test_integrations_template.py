"""A template with models, mapping templates and AWS integrations, deployed and used as it is."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from engine_world import EngineWorld, running_engine
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

TEMPLATE = Path(__file__).with_name("integrations_template.yaml")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineWorld]:
    """An engine with the template deployed."""
    with running_engine(tmp_path_factory.mktemp("integrations")) as world:
        formation = world.client("cloudformation")
        formation.create_stack(
            StackName="integrations",
            TemplateBody=TEMPLATE.read_text(),
            Capabilities=["CAPABILITY_IAM"],
        )
        stack = formation.describe_stacks(StackName="integrations")["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        yield world


def outputs(engine: EngineWorld) -> dict[str, str]:
    """The stack's outputs."""
    stack = engine.client("cloudformation").describe_stacks(StackName="integrations")["Stacks"][0]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def url(engine: EngineWorld, token: str) -> str:
    """The socket's address."""
    api_id = outputs(engine)["ApiId"]
    return f"ws://localhost:{engine.port}/_aws/execute-api/{api_id}/dev?token={token}"


def joined(engine: EngineWorld) -> AbstractContextManager[ClientConnection]:
    """A client that is let in."""
    return engine.connect(url(engine, "let-me-in"), subprotocols=[Subprotocol("notes")])


def test_mock_decides_by_the_query(engine: EngineWorld) -> None:
    """$connect is a MOCK whose template reads token and stage variable. 2.26, 5.51, 5.55."""
    with pytest.raises(InvalidStatus) as refusal, engine.connect(url(engine, "wrong")):
        pass
    with joined(engine) as client:
        subprotocol = client.subprotocol

    assert refusal.value.response.status_code == 401
    assert subprotocol == "notes"


def test_message_becomes_an_item(engine: EngineWorld) -> None:
    """A message that matches its model is put into the table by the role. 5.36, 5.66."""
    text = 'it\'s "quoted" / é'
    with joined(engine) as client:
        client.send(json.dumps({"action": "save", "id": "n1", "text": text}))
        saved = client.recv(timeout=20)
        client.send(json.dumps({"action": "save", "id": "", "text": text}))
        refused = json.loads(client.recv(timeout=20))

    table = engine.client("dynamodb")
    items = table.scan(TableName="notes")["Items"]
    assert saved == '{"saved": true}'
    assert refused["message"] == "Bad request body"
    assert [(item["id"]["S"], item["text"]["S"]) for item in items] == [("n1", text)]
    assert len(items[0]["by"]["S"]) == 16


def test_message_becomes_a_queues_message(engine: EngineWorld) -> None:
    """A message reaches the queue as it is; the answer is JSON, passed on. 5.66."""
    message = json.dumps({"action": "queue", "text": "a & b = é"})
    with joined(engine) as client:
        client.send(message)
        answer = json.loads(client.recv(timeout=20))

    got = engine.client("sqs").receive_message(QueueUrl=outputs(engine)["Queue"])["Messages"]
    assert [each["Body"] for each in got] == [message]
    result = answer["SendMessageResponse"]["SendMessageResult"]
    assert result["MessageId"] == got[0]["MessageId"]


def test_role_without_permission_calls_nothing(engine: EngineWorld) -> None:
    """When the role loses its permission the client gets the error frame. 3.26, 5.66."""
    iam = engine.client("iam")
    role = next(r for r in iam.list_roles()["Roles"] if "Caller" in r["RoleName"])["RoleName"]
    policy = iam.get_role_policy(RoleName=role, PolicyName="reach")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName="reach")
    try:
        with joined(engine) as client:
            client.send(json.dumps({"action": "save", "id": "n2", "text": "t"}))
            frame = json.loads(client.recv(timeout=20))
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="reach", PolicyDocument=json.dumps(policy))

    items = engine.client("dynamodb").scan(TableName="notes")["Items"]
    assert frame["message"] == "Internal server error"
    assert "n2" not in {item["id"]["S"] for item in items}
    assert any("may not dynamodb:PutItem" in step["summary"] for step in engine.steps("error"))


def test_refused_schema_fails_the_stack(engine: EngineWorld) -> None:
    """A model that is no draft 4 schema fails its stack with the reason. 1.74."""
    formation = engine.client("cloudformation")
    template = {
        "Resources": {
            "Bad": {
                "Type": "AWS::ApiGatewayV2::Model",
                "Properties": {
                    "ApiId": outputs(engine)["ApiId"],
                    "Name": "Bad",
                    "Schema": {"type": "nothing"},
                },
            }
        }
    }

    formation.create_stack(StackName="bad", TemplateBody=json.dumps(template))

    events = formation.describe_stack_events(StackName="bad")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    models = engine.client("apigatewayv2").get_models(ApiId=outputs(engine)["ApiId"])["Items"]
    assert any("Invalid model schema" in reason for reason in reasons)
    assert [model["Name"] for model in models] == ["Note"]
