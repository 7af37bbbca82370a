import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rules_world import FUNCTION, QUEUE, RULE, furnish, letters, permit, sending
from services_world import ACCOUNT, REGION, ServicesWorld, services_world, until

from socketstack.core.model import InvokeResult

DONE = InvokeResult(payload=b'"done"')


@pytest.fixture
async def world() -> AsyncIterator[ServicesWorld]:
    """Services with the function ``echo`` and the queue ``letters``; the clock stands."""
    async with services_world() as world:
        await furnish(world)
        world.fake_runner.answers["echo"] = DONE
        yield world


async def _put(world: ServicesWorld, expression: str = "rate(1 minute)", **rule: Any) -> None:
    await world.call("events", "put_rule", Name="tick", ScheduleExpression=expression, **rule)


async def _aim(world: ServicesWorld, **target: Any) -> None:
    targets = [{"Id": "1", "Arn": FUNCTION, **target}]
    await world.call("events", "put_targets", Rule="tick", Targets=targets)


async def _pass(world: ServicesWorld, seconds: float) -> None:
    """Let the rule that waits see this much time pass."""
    await until(lambda: bool(world.clock._sleepers))
    world.clock.advance(seconds)


def _payloads(world: ServicesWorld) -> list[Any]:
    return [json.loads(payload) for _, payload in world.fake_runner.calls]


class TestFiring:
    """Rules with a schedule, and the functions that they call."""

    async def test_a_rule_calls_its_function_every_minute(self, world: ServicesWorld) -> None:
        """The function gets the event that AWS sends, once a minute and no sooner."""
        await permit(world)
        await _put(world)
        await _aim(world)

        await _pass(world, 59)
        await until(lambda: bool(world.clock._sleepers))
        assert world.fake_runner.calls == []
        world.clock.advance(1)
        await until(lambda: len(world.fake_runner.calls) == 1)
        await _pass(world, 60)
        await until(lambda: len(world.fake_runner.calls) == 2)

        (function, _), _ = world.fake_runner.calls
        event, second = _payloads(world)
        assert function == FUNCTION
        assert event.pop("id") != second["id"]
        assert event == {
            "version": "0",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": "2023-11-14T22:14:20Z",
            "region": REGION,
            "resources": [RULE],
            "detail": {},
        }
        assert second["time"] == "2023-11-14T22:15:20Z"

    async def test_cron_fires_at_its_minute(self, world: ServicesWorld) -> None:
        """A cron expression means a moment in UTC."""
        await permit(world)
        await _put(world, "cron(15 22 * * ? *)")
        await _aim(world)

        await _pass(world, 60)
        await _pass(world, 40)

        await until(lambda: len(world.fake_runner.calls) == 1)
        assert _payloads(world)[0]["time"] == "2023-11-14T22:15:00Z"

    async def test_a_skip_fires_a_rule_once(self, world: ServicesWorld) -> None:
        """API Gateway's time moves rules: one jumped over for an hour fires once, then goes on."""
        await permit(world)
        await _put(world)
        await _aim(world)

        await until(lambda: bool(world.clock._sleepers))
        world.schedule_clock.skip(3_600_000)
        await until(lambda: len(world.fake_runner.calls) == 1)
        await _pass(world, 60)
        await until(lambda: len(world.fake_runner.calls) == 2)

        assert [event["time"] for event in _payloads(world)] == [
            "2023-11-14T23:13:20Z",
            "2023-11-14T23:14:20Z",
        ]

    @pytest.mark.parametrize(
        ("members", "payload"),
        [
            ({"Input": '{"fixed": 1}'}, {"fixed": 1}),
            ({"InputPath": "$.source"}, "aws.events"),
            (
                {
                    "InputTransformer": {
                        "InputPathsMap": {"when": "$.time"},
                        "InputTemplate": '{"at": "<when>"}',
                    }
                },
                {"at": "2023-11-14T22:14:20Z"},
            ),
        ],
    )
    async def test_a_target_says_what_it_gets(
        self, world: ServicesWorld, members: dict[str, Any], payload: Any
    ) -> None:
        """Input, InputPath and InputTransformer stand in place of the event."""
        await permit(world)
        await _put(world)
        await _aim(world, **members)

        await _pass(world, 60)

        await until(lambda: len(world.fake_runner.calls) == 1)
        assert _payloads(world) == [payload]

    async def test_queues_and_topics_are_targets_too(self, world: ServicesWorld) -> None:
        """A queue gets the event as its message."""
        await _put(world)
        await _aim(world, Arn=QUEUE)

        await _pass(world, 60)

        (letter,) = await letters(world)
        assert json.loads(letter["Body"])["resources"] == [RULE]


class TestChanges:
    """Rules that are changed over EventBridge's own operations."""

    async def test_a_disabled_rule_waits_for_nothing(self, world: ServicesWorld) -> None:
        """DisableRule ends its waiting, EnableRule begins it anew, DeleteRule ends it for good."""
        await permit(world)
        assert world.scheduler.waiting() == 0
        await _put(world)
        await until(lambda: world.scheduler.waiting() == 1)

        await world.call("events", "disable_rule", Name="tick")
        await until(lambda: world.scheduler.waiting() == 0)
        await world.call("events", "enable_rule", Name="tick")
        await until(lambda: world.scheduler.waiting() == 1)
        await world.call("events", "delete_rule", Name="tick")
        await until(lambda: world.scheduler.waiting() == 0)

    async def test_a_rule_may_be_made_disabled(self, world: ServicesWorld) -> None:
        """PutRule with the state DISABLED is a rule that never fires; so is one with a pattern."""
        await _put(world, State="DISABLED")
        await world.call("events", "put_rule", Name="b", EventPattern='{"source": ["app"]}')
        await world.call("events", "put_rule", Name="c", ScheduleExpression="rate(1 day)")

        await until(lambda: world.scheduler.waiting() == 1)

    async def test_another_expression_counts_from_now(self, world: ServicesWorld) -> None:
        """PutRule with another schedule replaces the old one; with the same it changes nothing."""
        await permit(world)
        await _put(world)
        await _aim(world)
        await _pass(world, 30)
        await _put(world)
        await until(lambda: bool(world.clock._sleepers))
        world.clock.advance(30)
        await until(lambda: len(world.fake_runner.calls) == 1)

        await _put(world, "rate(2 minutes)")
        await until(lambda: world.clock._sleepers[-1][0] == world.clock.now_ms() + 60_000)
        await _pass(world, 60)
        await _pass(world, 60)
        await until(lambda: len(world.fake_runner.calls) == 2)

        first, second = (event["time"] for event in _payloads(world))
        assert (first, second) == ("2023-11-14T22:14:20Z", "2023-11-14T22:16:20Z")

    async def test_nothing_fires_after_the_end(self, world: ServicesWorld) -> None:
        """A stopped engine leaves no task that waits."""
        await permit(world)
        await _put(world)
        await _aim(world)
        await until(lambda: bool(world.clock._sleepers))

        await world.scheduler.stop()
        await _put(world, "rate(5 minutes)")
        world.clock.advance(600)
        await asyncio.sleep(0)

        assert world.scheduler.waiting() == 0
        assert world.fake_runner.calls == []

    async def test_events_of_a_bus_are_not_for_schedules(self, world: ServicesWorld) -> None:
        """A rule without a pattern gets none of the events that are put."""
        await permit(world)
        await _put(world)
        await _aim(world, Arn=QUEUE)
        await world.call(
            "events", "put_rule", Name="all", EventPattern=json.dumps({"source": ["app"]})
        )
        await world.call("events", "put_targets", Rule="all", Targets=[{"Id": "1", "Arn": QUEUE}])

        entry = {"Source": "app", "DetailType": "t", "Detail": "{}"}
        await world.call("events", "put_events", Entries=[entry])
        await world.call("events", "put_events", Entries=[{**entry, "Source": "other"}])
        await _pass(world, 60)

        found = await letters(world, 2)
        assert sorted(json.loads(each["Body"])["source"] for each in found) == [
            "app",
            "aws.events",
        ]


class TestRefusals:
    """What AWS refuses or the local engine cannot do, by name."""

    @pytest.mark.parametrize("expression", ["rate(1 minutes)", "cron(0 20 * * * *)"])
    async def test_a_bad_expression_is_refused(self, world: ServicesWorld, expression: str) -> None:
        """PutRule says which expression is not valid, and makes no rule."""
        with pytest.raises(ClientError, match="ScheduleExpression is not valid") as refusal:
            await _put(world, expression)

        assert refusal.value.response["Error"]["Code"] == "ValidationException"
        assert (await world.call("events", "list_rules"))["Rules"] == []

    async def test_targets_that_nobody_calls_are_refused(self, world: ServicesWorld) -> None:
        """A scheduled rule with a target of another service is refused, in either order."""
        stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
        await _put(world)
        with pytest.raises(ClientError, match=r"functions, queues and topics only.*stream/s"):
            await _aim(world, Arn=stream)
        await world.call("events", "put_rule", Name="tick2", EventPattern='{"source": ["a"]}')
        await world.call(
            "events", "put_targets", Rule="tick2", Targets=[{"Id": "1", "Arn": stream}]
        )
        with pytest.raises(ClientError, match="functions, queues and topics only"):
            await world.call(
                "events", "put_rule", Name="tick2", ScheduleExpression="rate(1 minute)"
            )

    async def test_a_function_that_does_not_permit_it_is_not_called(
        self, world: ServicesWorld
    ) -> None:
        """Another rule's permission is not enough; the refusal is told with the way to permit."""
        await permit(world, RULE + "-other")
        await _put(world)
        await _aim(world)

        await _pass(world, 60)

        await until(lambda: len(world.told) == 2)
        due, refused = world.told
        assert due == "rule tick is due: 1 target(s)"
        assert refused.startswith(f"{RULE} does not reach {FUNCTION}: NO_PERMISSIONS: ")
        assert "--principal events.amazonaws.com" in refused
        assert world.fake_runner.calls == []

    async def test_the_dead_letter_queue_of_a_target_gets_what_is_refused(
        self, world: ServicesWorld
    ) -> None:
        """With the event as its body, and who, whom and why as attributes."""
        await _put(world)
        await _aim(world, DeadLetterConfig={"Arn": QUEUE})

        await _pass(world, 60)

        (letter,) = await letters(world)
        attributes = {
            name: value["StringValue"] for name, value in letter["MessageAttributes"].items()
        }
        assert json.loads(letter["Body"])["source"] == "aws.events"
        assert attributes.pop("ERROR_MESSAGE").startswith("the function's resource policy permits")
        assert attributes == {
            "RULE_ARN": RULE,
            "TARGET_ARN": FUNCTION,
            "ERROR_CODE": "NO_PERMISSIONS",
        }

    async def test_a_function_that_is_gone_is_a_dead_letter(self, world: ServicesWorld) -> None:
        """So is an event whose function was deleted."""
        await _put(world)
        await _aim(world, DeadLetterConfig={"Arn": QUEUE})
        await world.call("lambda", "delete_function", FunctionName="echo")

        await _pass(world, 60)

        (letter,) = await letters(world)
        assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"

    async def test_a_dead_letter_queue_that_is_missing_is_told(self, world: ServicesWorld) -> None:
        """Nothing is lost in silence."""
        await _put(world)
        await _aim(world, DeadLetterConfig={"Arn": QUEUE + "-gone"})

        await _pass(world, 60)

        await until(lambda: len(world.told) == 2)
        assert "Nor is its dead letter queue" in world.told[1]

    @pytest.mark.parametrize(
        "policy",
        [
            pytest.param("", id="none"),
            pytest.param(sending(rules=RULE + "-other"), id="for-another-rule"),
            pytest.param(sending(action="sqs:ReceiveMessage"), id="for-another-action"),
        ],
    )
    async def test_a_queue_whose_policy_is_against_it_gets_nothing(
        self, world: ServicesWorld, policy: str
    ) -> None:
        """Neither as a target nor as the dead letter queue of one; both are told."""
        await world.call(
            "sqs", "set_queue_attributes", QueueUrl="letters", Attributes={"Policy": policy}
        )
        await _put(world)
        await _aim(world, Arn=QUEUE, DeadLetterConfig={"Arn": QUEUE})

        await _pass(world, 60)

        await until(lambda: len(world.told) == 2)
        answer = await world.call("sqs", "receive_message", QueueUrl="letters")
        assert (
            f"{RULE} does not reach {QUEUE}: NO_PERMISSIONS: its resource policy" in world.told[1]
        )
        assert f"Nor is its dead letter queue {QUEUE} reached" in world.told[1]
        assert "Messages" not in answer

    async def test_a_topic_that_only_its_account_may_publish_to_gets_nothing(
        self, world: ServicesWorld
    ) -> None:
        """That is the policy a new topic has."""
        topic = (await world.call("sns", "create_topic", Name="news"))["TopicArn"]
        await _put(world)
        await _aim(world, Arn=topic, DeadLetterConfig={"Arn": QUEUE})

        await _pass(world, 60)

        (letter,) = await letters(world)
        assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
        assert "sns:Publish" in letter["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
