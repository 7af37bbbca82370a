import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rules_world import FUNCTION, QUEUE, RULE, furnish, letters, permit, sending
from services_world import ACCOUNT, ServicesWorld, services_world, until

from socketstack.core.model import FailureKind, InvokeResult

DONE = InvokeResult(payload=b'"done"')
FAILED = InvokeResult(payload=b'{"errorMessage":"no"}', failure=FailureKind.HANDLED)


@pytest.fixture
async def world() -> AsyncIterator[ServicesWorld]:
    """Services with the function ``echo`` and the queue ``letters``."""
    async with services_world() as world:
        await furnish(world)
        world.fake_runner.answers["echo"] = DONE
        yield world


class TestDestinations:
    """Functions that say who is told about their events."""

    async def _configure(self, world: ServicesWorld, **members: Any) -> None:
        await world.call(
            "lambda", "put_function_event_invoke_config", FunctionName="echo", **members
        )

    async def test_what_is_given_up_goes_to_the_destination(self, world: ServicesWorld) -> None:
        """The record has the event, the answer and the reason, as on AWS."""
        world.fake_runner.answers["echo"] = FAILED
        await self._configure(
            world,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": QUEUE}},
        )

        await world.call(
            "lambda", "invoke", FunctionName="echo", InvocationType="Event", Payload=b'{"a": 1}'
        )

        (letter,) = await letters(world)
        record = json.loads(letter["Body"])
        assert record["requestContext"].pop("requestId")
        assert record == {
            "version": "1.0",
            "timestamp": "2023-11-14T22:13:20.000Z",
            "requestContext": {
                "functionArn": f"{FUNCTION}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"a": 1},
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "responsePayload": {"errorMessage": "no"},
        }

    async def test_what_went_well_goes_to_its_own_destination(self, world: ServicesWorld) -> None:
        """OnSuccess gets a record; OnFailure gets none."""
        await self._configure(
            world,
            DestinationConfig={
                "OnSuccess": {"Destination": QUEUE},
                "OnFailure": {"Destination": QUEUE + "-gone"},
            },
        )

        await world.call("lambda", "invoke", FunctionName="echo", InvocationType="Event")

        (letter,) = await letters(world)
        record = json.loads(letter["Body"])
        assert record["requestContext"]["condition"] == "Success"
        assert record["responsePayload"] == "done"
        assert world.told == []

    async def test_a_destination_that_is_missing_is_told(self, world: ServicesWorld) -> None:
        """A record that cannot be sent is lost as on AWS, but not in silence."""
        world.fake_runner.answers["echo"] = FAILED
        await self._configure(
            world,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": QUEUE + "-gone"}},
        )

        await world.call("lambda", "invoke", FunctionName="echo", InvocationType="Event")

        await until(lambda: len(world.told) == 1)
        assert world.told[0].startswith(f"No record of an event for {FUNCTION} is sent: ")

    @pytest.mark.parametrize(
        ("arn", "why"),
        [("arn:aws:s3:::bucket", "not supported"), (QUEUE + ".fifo", "FIFO")],
    )
    async def test_destinations_that_get_nothing_are_refused(
        self, world: ServicesWorld, arn: str, why: str
    ) -> None:
        """A bucket by name, since the engine sends none there; a FIFO queue as on AWS."""
        with pytest.raises(ClientError, match=why):
            await self._configure(world, DestinationConfig={"OnFailure": {"Destination": arn}})


class TestBusEvents:
    """Events of a bus go the same way as schedules."""

    async def test_topics_and_queues_get_events_with_their_input(
        self, world: ServicesWorld
    ) -> None:
        """A queue gets what its target makes of the event; a topic passes it on; both at once."""
        topic = (await world.call("sns", "create_topic", Name="news"))["TopicArn"]
        await world.call(
            "sns",
            "set_topic_attributes",
            TopicArn=topic,
            AttributeName="Policy",
            AttributeValue=sending(topic, "sns:Publish"),
        )
        await world.call(
            "sns",
            "subscribe",
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=QUEUE,
            Attributes={"RawMessageDelivery": "true"},
        )
        await world.call("events", "put_rule", Name="all", EventPattern='{"source": ["app"]}')
        targets = [
            {"Id": "1", "Arn": QUEUE, "InputPath": "$.detail"},
            {"Id": "2", "Arn": topic, "Input": '"fixed"'},
        ]
        await world.call("events", "put_targets", Rule="all", Targets=targets)

        entry = {"Source": "app", "DetailType": "t", "Detail": '{"n": 1}'}
        await world.call("events", "put_events", Entries=[entry])

        found = await letters(world, 2)
        assert sorted(each["Body"] for each in found) == ['"fixed"', '{"n": 1}']

    async def test_a_queue_that_is_gone_is_a_dead_letter(self, world: ServicesWorld) -> None:
        """What one target does not take is kept, and the others get theirs."""
        await permit(world, RULE.replace("tick", "all"))
        await world.call("events", "put_rule", Name="all", EventPattern='{"source": ["app"]}')
        targets = [
            {"Id": "1", "Arn": f"{QUEUE}-gone", "DeadLetterConfig": {"Arn": QUEUE}},
            {"Id": "2", "Arn": FUNCTION},
        ]
        await world.call("events", "put_targets", Rule="all", Targets=targets)

        entry = {"Source": "app", "DetailType": "t", "Detail": "{}"}
        await world.call("events", "put_events", Entries=[entry])

        (letter,) = await letters(world)
        await until(lambda: len(world.fake_runner.calls) == 1)
        assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"
        assert json.loads(letter["Body"])["account"] == ACCOUNT
