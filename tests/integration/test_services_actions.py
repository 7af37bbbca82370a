"""AWS services as integrations call them: moto's own state shows what arrived, and as whom."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes import FakeIds
from services_world import ACCOUNT, REGION, ServicesWorld, services_world

from socketstack.core.service_calls import (
    ServiceAnswer,
    ServiceCall,
    ServiceRefusal,
    ServiceTarget,
)
from socketstack.services.aws_actions import AwsActions, aws_request, xml_as_json
from socketstack.services.identities import IamRoles, Identities

FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
GATEWAY = "apigateway.amazonaws.com"


class Bench:
    """Services, identities over them, and calls as integrations make them."""

    def __init__(self, world: ServicesWorld) -> None:
        self.world = world
        roles = IamRoles(Identities(world.app, clock=world.clock, ids=FakeIds()))
        self.actions = AwsActions(world.app, may=roles.may, invoke=world.invoke_api)

    async def make_role(
        self, action: str, resource: str, *, trusted: str = GATEWAY, name: str = "caller"
    ) -> str:
        """A role that may do one thing; its ARN."""
        trust = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
        allow = {"Effect": "Allow", "Action": action, "Resource": resource}
        made = await self.world.call(
            "iam", "create_role", RoleName=name, AssumeRolePolicyDocument=_policy(trust)
        )
        await self.world.call(
            "iam", "put_role_policy", RoleName=name, PolicyName="p", PolicyDocument=_policy(allow)
        )
        arn: str = made["Role"]["Arn"]
        return arn

    async def call(self, role: str, service: str, **members: Any) -> ServiceAnswer | ServiceRefusal:
        """One call; ``action`` or ``path`` name what is done."""
        target = {name: members.pop(name) for name in ("action", "path") if name in members}
        return await self.actions.call(
            ServiceCall(
                target=ServiceTarget(service=service, region=REGION, **target),
                role_arn=role,
                account_id=ACCOUNT,
                **{"method": "POST"} | members,
            )
        )


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Services with nothing in them."""
    async with services_world() as world:
        yield Bench(world)


def answered(outcome: ServiceAnswer | ServiceRefusal) -> Any:
    """The JSON of an answer that succeeded."""
    assert isinstance(outcome, ServiceAnswer), outcome
    assert outcome.status == 200, outcome
    return json.loads(outcome.body)


async def test_queue_takes_a_form_at_its_path(bench: Bench) -> None:
    """SQS by the queue's path and a form, the usual way; the answer is JSON. 5.66."""
    queue = (await bench.world.call("sqs", "create_queue", QueueName="jobs"))["QueueUrl"]
    role = await bench.make_role("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs")

    outcome = await bench.call(
        role,
        "sqs",
        path=f"/{ACCOUNT}/jobs",
        headers=FORM,
        body=b"Action=SendMessage&MessageBody=hello+there",
    )

    got = await bench.world.call("sqs", "receive_message", QueueUrl=queue)
    assert [message["Body"] for message in got["Messages"]] == ["hello there"]
    result = answered(outcome)["SendMessageResponse"]["SendMessageResult"]
    assert result["MessageId"] == got["Messages"][0]["MessageId"]


async def test_body_cannot_name_another_queue(bench: Bench) -> None:
    """The queue in the integration's path gets the message, whatever a message smuggles in."""
    jobs = (await bench.world.call("sqs", "create_queue", QueueName="jobs"))["QueueUrl"]
    other = (await bench.world.call("sqs", "create_queue", QueueName="other"))["QueueUrl"]
    role = await bench.make_role("sqs:*", "*")
    body = f"Action=SendMessage&MessageBody=x&QueueUrl={other}&Action=PurgeQueue"

    await bench.call(role, "sqs", path=f"/{ACCOUNT}/jobs", headers=FORM, body=body.encode())

    assert "Messages" in await bench.world.call("sqs", "receive_message", QueueUrl=jobs)
    assert "Messages" not in await bench.world.call("sqs", "receive_message", QueueUrl=other)


async def test_queue_takes_an_action_with_query_parameters(bench: Bench) -> None:
    """SQS by its action, with the parameters mapped into the query string. 5.66."""
    queue = (await bench.world.call("sqs", "create_queue", QueueName="jobs"))["QueueUrl"]
    role = await bench.make_role("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs")

    answered(
        await bench.call(
            role,
            "sqs",
            action="SendMessage",
            query=(("QueueUrl", queue), ("MessageBody", "a&b")),
        )
    )

    got = await bench.world.call("sqs", "receive_message", QueueUrl=queue)
    assert [message["Body"] for message in got["Messages"]] == ["a&b"]


async def test_topic_publishes(bench: Bench) -> None:
    """SNS by its action: the message reaches a queue that subscribed. 5.66."""
    topic = (await bench.world.call("sns", "create_topic", Name="news"))["TopicArn"]
    queue = (await bench.world.call("sqs", "create_queue", QueueName="jobs"))["QueueUrl"]
    await bench.world.call(
        "sns",
        "subscribe",
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs",
        Attributes={"RawMessageDelivery": "true"},
    )
    role = await bench.make_role("sns:Publish", topic)

    outcome = await bench.call(
        role, "sns", action="Publish", headers=FORM, body=f"TopicArn={topic}&Message=hi".encode()
    )

    got = await bench.world.call("sqs", "receive_message", QueueUrl=queue)
    assert [message["Body"] for message in got["Messages"]] == ["hi"]
    assert answered(outcome)["PublishResponse"]["PublishResult"]["MessageId"]


async def test_table_takes_an_item_and_gives_it(bench: Bench) -> None:
    """DynamoDB by actions: API Gateway adds the target header and the content type. 5.66."""
    await bench.world.call(
        "dynamodb",
        "create_table",
        TableName="connections",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    role = await bench.make_role(
        "dynamodb:*Item", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/connections"
    )
    item = {"id": {"S": "c1"}}

    put = await bench.call(
        role,
        "dynamodb",
        action="PutItem",
        body=json.dumps({"TableName": "connections", "Item": item}).encode(),
    )
    got = await bench.call(
        role,
        "dynamodb",
        action="GetItem",
        headers=(("Content-Type", "application/json"),),
        body=json.dumps({"TableName": "connections", "Key": item}).encode(),
    )

    assert answered(put) == {}
    assert answered(got)["Item"] == item


async def test_errors_of_a_service_are_answers(bench: Bench) -> None:
    """A service's own error has its status and body, for integration responses to match. 5.57."""
    role = await bench.make_role("dynamodb:GetItem", "*")

    outcome = await bench.call(
        role, "dynamodb", action="GetItem", body=b'{"TableName": "none", "Key": {}}'
    )

    assert isinstance(outcome, ServiceAnswer)
    assert outcome.status == 400
    assert "ResourceNotFoundException" in json.loads(outcome.body)["__type"]


async def test_stream_takes_a_record(bench: Bench) -> None:
    """Kinesis by its action. 5.66."""
    await bench.world.call("kinesis", "create_stream", StreamName="s", ShardCount=1)
    role = await bench.make_role(
        "kinesis:PutRecord", f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
    )
    record = {"StreamName": "s", "PartitionKey": "p", "Data": base64.b64encode(b"x").decode()}

    outcome = await bench.call(
        role,
        "kinesis",
        action="PutRecord",
        headers=(("Content-Type", "'application/x-amz-json-1.1'"),),
        body=json.dumps(record).encode(),
    )

    assert answered(outcome)["SequenceNumber"]


async def test_state_machine_is_started(bench: Bench) -> None:
    """Step Functions by its action, whose service is called states. 5.66."""
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}})
    machine = (
        await bench.world.call(
            "stepfunctions",
            "create_state_machine",
            name="m",
            definition=definition,
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/any",
        )
    )["stateMachineArn"]
    role = await bench.make_role("states:StartExecution", machine)
    body = json.dumps({"stateMachineArn": machine, "input": "{}"}).encode()

    outcome = await bench.call(role, "states", action="StartExecution", body=body)

    assert answered(outcome)["executionArn"].startswith(
        machine.replace("stateMachine", "execution")
    )


async def test_delivery_stream_asks_for_its_own_permission(bench: Bench) -> None:
    """Firehose by its action: the role needs it for this stream, whether it exists or not. 5.66."""
    stream = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/%s"
    role = await bench.make_role("firehose:PutRecord", stream % "logs")
    body = '{"DeliveryStreamName": "%s", "Record": {"Data": "eA=="}}'

    allowed = await bench.call(role, "firehose", action="PutRecord", body=(body % "logs").encode())
    denied = await bench.call(role, "firehose", action="PutRecord", body=(body % "else").encode())

    assert isinstance(allowed, ServiceAnswer)
    assert "ResourceNotFoundException" in allowed.body.decode()
    assert isinstance(denied, ServiceRefusal)


async def test_event_bus_takes_events(bench: Bench) -> None:
    """EventBridge with the target header mapped by hand, as is usual. 5.66."""
    role = await bench.make_role(
        "events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    )
    entry = {"Source": "chat", "DetailType": "message", "Detail": "{}"}

    outcome = await bench.call(
        role,
        "events",
        path="/",
        headers=(
            ("X-Amz-Target", "AWSEvents.PutEvents"),
            ("Content-Type", "application/x-amz-json-1.1"),
        ),
        body=json.dumps({"Entries": [entry]}).encode(),
    )

    assert answered(outcome)["FailedEntryCount"] == 0


async def test_bucket_takes_an_object_at_its_path(bench: Bench) -> None:
    """S3 by a path and a method; its XML stays XML. 5.66."""
    await bench.world.call(
        "s3",
        "create_bucket",
        Bucket="files",
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )
    role = await bench.make_role("s3:PutObject", "arn:aws:s3:::files/in/*")

    outcome = await bench.call(role, "s3", path="/files/in/a.txt", method="PUT", body=b"text")

    assert isinstance(outcome, ServiceAnswer)
    assert outcome.status == 200
    got = await bench.world.call("s3", "get_object", Bucket="files", Key="in/a.txt")
    assert await asyncio.to_thread(got["Body"].read) == b"text"


@pytest.mark.parametrize(
    ("action", "resource", "trusted", "why"),
    [
        pytest.param("sqs:ReceiveMessage", "*", GATEWAY, "sqs:SendMessage", id="other-action"),
        pytest.param("sqs:SendMessage", "arn:aws:sqs:*:*:else", GATEWAY, "jobs", id="other-queue"),
        pytest.param("sqs:*", "*", "lambda.amazonaws.com", "assume", id="not-trusted"),
    ],
)
async def test_role_that_may_not_calls_nothing(
    bench: Bench, action: str, resource: str, trusted: str, why: str
) -> None:
    """Trust and permissions of the role decide; nothing arrives without them. 3.26, 5.66."""
    queue = (await bench.world.call("sqs", "create_queue", QueueName="jobs"))["QueueUrl"]
    role = await bench.make_role(action, resource, trusted=trusted)

    for body in (b"Action=SendMessage&MessageBody=x", b"Action=SendMessage&QueueUrl=/0/else"):
        outcome = await bench.call(role, "sqs", path=f"/{ACCOUNT}/jobs", headers=FORM, body=body)
        assert isinstance(outcome, ServiceRefusal), outcome
        assert "may not" in outcome.reason
        assert why.lower() in outcome.reason.lower()
    got = await bench.world.call("sqs", "receive_message", QueueUrl=queue)
    assert "Messages" not in got


async def test_unknown_role_calls_nothing(bench: Bench) -> None:
    """A role that does not exist may nothing. 3.26."""
    outcome = await bench.call(
        f"arn:aws:iam::{ACCOUNT}:role/none", "sns", action="Publish", headers=FORM, body=b"a=b"
    )

    assert isinstance(outcome, ServiceRefusal)
    assert "there is no role" in outcome.reason


@pytest.mark.parametrize(
    ("service", "members", "why"),
    [
        pytest.param("nosuch", {"action": "Do"}, "no service", id="service"),
        pytest.param("s3", {"action": "PutObject"}, "no actions", id="s3-action"),
        pytest.param("lambda", {"action": "Invoke"}, "no actions", id="rest-json"),
    ],
)
async def test_call_that_is_none_is_refused(
    bench: Bench, service: str, members: dict[str, Any], why: str
) -> None:
    """What no service has is refused by name."""
    role = await bench.make_role("*", "*")

    outcome = await bench.call(role, service, **members)

    assert isinstance(outcome, ServiceRefusal)
    assert why in outcome.reason


async def test_unknown_action_is_no_success(bench: Bench) -> None:
    """An action that a service does not have succeeds nowhere."""
    role = await bench.make_role("*", "*")

    outcome = await bench.call(role, "dynamodb", action="Frobnicate", body=b"{}")

    assert isinstance(outcome, ServiceRefusal) or outcome.status >= 400


def test_headers_of_the_transport_are_not_mapped() -> None:
    """An integration cannot name another signer, host or length. 5.66."""
    call = ServiceCall(
        target=ServiceTarget(service="sqs", region=REGION, path="/"),
        role_arn="r",
        method="ANY",
        account_id=ACCOUNT,
        headers=(
            ("authorization", "Credential=x/20260101/us-east-1/s3/aws4_request"),
            ("host", "x"),
        ),
    )

    request = aws_request(call)

    assert not isinstance(request, ServiceRefusal)
    assert request.host == f"sqs.{REGION}.amazonaws.com"
    assert request.method == "POST"
    assert [value for name, value in request.headers if name.lower() == "authorization"] == [
        f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20200101/{REGION}/sqs/aws4_request"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '<A xmlns="x"><B><C>1</C><C>2</C></B><D/></A>',
            {"A": {"B": {"C": ["1", "2"]}, "D": None}},
            id="list",
        ),
        pytest.param(
            "<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>",
            {"Error": {"Code": "X"}},
            id="error",
        ),
    ],
)
def test_answers_of_query_services_become_json(text: str, expected: object) -> None:
    """XML without namespaces, as AWS writes the same answer in JSON."""
    assert json.loads(xml_as_json(text.encode())) == expected


def test_what_is_no_xml_stays() -> None:
    """An answer that cannot be read is passed on as it is."""
    assert xml_as_json(b"no xml") == b"no xml"
