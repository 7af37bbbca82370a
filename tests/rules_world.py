"""Rules of EventBridge over the services' world: a function, a queue, and letters in it."""

import json
from typing import Any

from services_world import ACCOUNT, REGION, ServicesWorld

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:echo"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/tick"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters"


async def furnish(world: ServicesWorld) -> None:
    """Make the function ``echo`` and the queue ``letters``."""
    await world.make_role()
    await world.make_function()
    await world.call("sqs", "create_queue", QueueName="letters", Attributes={"Policy": sending()})


def sending(
    arn: str = QUEUE, action: str = "sqs:SendMessage", rules: str = RULE.replace("tick", "*")
) -> str:
    """A policy of a queue or topic that lets EventBridge send to it for these rules."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": action,
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rules}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def permit(world: ServicesWorld, source_arn: str = RULE) -> None:
    """Let EventBridge call the function for a rule."""
    await world.call(
        "lambda",
        "add_permission",
        FunctionName="echo",
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=source_arn,
    )


async def letters(world: ServicesWorld, count: int = 1) -> list[dict[str, Any]]:
    """That many messages of the queue."""
    url = (await world.call("sqs", "get_queue_url", QueueName="letters"))["QueueUrl"]
    found: list[dict[str, Any]] = []
    while len(found) < count:
        answer = await world.call(
            "sqs", "receive_message", QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=1
        )
        found += answer.get("Messages", [])
    return found
