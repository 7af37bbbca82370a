"""Queues, topics and rules: SQS, SNS and EventBridge."""

import json
from typing import Any, Final

from socketstack.services.cfn.kinds import (
    Change,
    Kind,
    Properties,
    Work,
    gone_is_fine,
    only,
    require_kept,
)
from socketstack.services.cfn.values import text

_QUEUE_ATTRIBUTES: Final = {
    "ContentBasedDeduplication": "false",
    "DelaySeconds": "0",
    "FifoQueue": None,
    "KmsDataKeyReusePeriodSeconds": "300",
    "KmsMasterKeyId": "",
    "MaximumMessageSize": "262144",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
"""Attributes with the value they go back to when the property leaves the template."""


def _attribute(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else text(value)


def _queue_attributes(properties: Properties) -> dict[str, str]:
    return {n: _attribute(properties[n]) for n in _QUEUE_ATTRIBUTES if n in properties}


async def _create_queue(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("QueueName"), limit=75)
    if text(properties.get("FifoQueue")) == "true" and not properties.get("QueueName"):
        name += ".fifo"  # a name of the user's own must end so itself
    made = await work.services.call(
        "sqs",
        "CreateQueue",
        QueueName=name,
        Attributes=_queue_attributes(properties),
        tags=work.tags(properties) or None,
    )
    work.note(made["QueueUrl"])
    return str(made["QueueUrl"])


async def _update_queue(work: Work, change: Change) -> None:
    old, new = _queue_attributes(change.old), _queue_attributes(change.new)
    wanted = {name: _QUEUE_ATTRIBUTES[name] for name in old if name not in new}
    wanted |= {name: value for name, value in new.items() if old.get(name) != value}
    attributes = {name: value for name, value in wanted.items() if value is not None}
    url = change.physical_id
    if attributes:
        # moto forgets the policy with every call that does not repeat it.
        kept = await work.services.call(
            "sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["Policy"]
        )
        attributes |= kept.get("Attributes", {})
        await work.services.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes=attributes)
    if change.gone_tags:
        await work.services.call("sqs", "UntagQueue", QueueUrl=url, TagKeys=change.gone_tags)
    if change.set_tags:
        await work.services.call("sqs", "TagQueue", QueueUrl=url, Tags=change.set_tags)


async def _delete_queue(work: Work, url: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("sqs", "DeleteQueue", QueueUrl=url))


async def _read_queue(work: Work, url: str, _: Properties) -> dict[str, Any]:
    found = await work.services.call(
        "sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"]
    )
    name = url.rstrip("/").rsplit("/", 1)[-1]
    return {"Arn": found["Attributes"]["QueueArn"], "QueueName": name, "QueueUrl": url}


async def _put_queue_policy(work: Work, properties: Properties, policy: str) -> None:
    for url in properties["Queues"]:
        await work.services.call(
            "sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": policy}
        )


async def _create_queue_policy(work: Work, properties: Properties) -> str:
    physical_id = work.name(None)
    work.note(physical_id)
    await _put_queue_policy(work, properties, _attribute(properties["PolicyDocument"]))
    return physical_id


async def _update_queue_policy(work: Work, change: Change) -> None:
    gone = [url for url in change.old["Queues"] if url not in change.new["Queues"]]
    await _put_queue_policy(work, {"Queues": gone}, "")
    await _put_queue_policy(work, change.new, _attribute(change.new["PolicyDocument"]))


async def _delete_queue_policy(work: Work, _: str, properties: Properties) -> None:
    await gone_is_fine(_put_queue_policy(work, properties, ""))


async def _read_id(work: Work, physical_id: str, _: Properties) -> dict[str, Any]:
    del work
    return {"Id": physical_id}


_TOPIC_ATTRIBUTES: Final = ("DisplayName", "KmsMasterKeyId", "FifoTopic")


async def _create_topic(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("TopicName"), limit=200)
    if text(properties.get("FifoTopic")) == "true" and not properties.get("TopicName"):
        name += ".fifo"  # a name of the user's own must end so itself
    attributes: dict[str, str] = {
        n: text(properties[n]) for n in _TOPIC_ATTRIBUTES if n in properties
    }
    if "ContentBasedDeduplication" in properties:
        attributes["ContentBasedDeduplication"] = text(properties["ContentBasedDeduplication"])
    made = await work.services.call(
        "sns",
        "CreateTopic",
        Name=name,
        Attributes=attributes or None,
        Tags=work.tag_list(properties),
    )
    arn = str(made["TopicArn"])
    work.note(arn)
    for subscription in properties.get("Subscription", []):
        await work.services.call("sns", "Subscribe", TopicArn=arn, **subscription)
    return arn


async def _update_topic(work: Work, change: Change) -> None:
    arn, call = change.physical_id, work.services.call
    for name in ("DisplayName", "KmsMasterKeyId", "ContentBasedDeduplication"):
        if change.touches(name):
            await call(
                "sns",
                "SetTopicAttributes",
                TopicArn=arn,
                AttributeName=name,
                AttributeValue=text(change.new.get(name, "")),
            )
    for one in change.new.get("Subscription", []):
        if one not in change.old.get("Subscription", []):
            await call("sns", "Subscribe", TopicArn=arn, **one)
    gone = [
        s for s in change.old.get("Subscription", []) if s not in change.new.get("Subscription", [])
    ]
    if gone:
        found = await call("sns", "ListSubscriptionsByTopic", TopicArn=arn)
        for held in found["Subscriptions"]:
            if {"Protocol": held["Protocol"], "Endpoint": held["Endpoint"]} in gone:
                await call("sns", "Unsubscribe", SubscriptionArn=held["SubscriptionArn"])
    if change.gone_tags:
        await call("sns", "UntagResource", ResourceArn=arn, TagKeys=change.gone_tags)
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await call("sns", "TagResource", ResourceArn=arn, Tags=tags)


async def _delete_topic(work: Work, arn: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("sns", "DeleteTopic", TopicArn=arn))


async def _read_topic(work: Work, arn: str, _: Properties) -> dict[str, Any]:
    del work
    return {"TopicArn": arn, "TopicName": arn.rsplit(":", 1)[-1]}


_SUBSCRIPTION_ATTRIBUTES: Final = (
    *("DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery"),
    "RedrivePolicy",
)


def _subscription_attributes(properties: Properties) -> dict[str, str]:
    return {n: _attribute(properties[n]) for n in _SUBSCRIPTION_ATTRIBUTES if n in properties}


async def _create_subscription(work: Work, properties: Properties) -> str:
    made = await work.services.call(
        "sns",
        "Subscribe",
        TopicArn=properties["TopicArn"],
        Protocol=properties["Protocol"],
        Endpoint=properties.get("Endpoint"),
        Attributes=_subscription_attributes(properties) or None,
        ReturnSubscriptionArn=True,
    )
    work.note(made["SubscriptionArn"])
    return str(made["SubscriptionArn"])


async def _update_subscription(work: Work, change: Change) -> None:
    old, new = _subscription_attributes(change.old), _subscription_attributes(change.new)
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            await work.services.call(
                "sns",
                "SetSubscriptionAttributes",
                SubscriptionArn=change.physical_id,
                AttributeName=name,
                AttributeValue=new.get(name, ""),
            )


async def _delete_subscription(work: Work, arn: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("sns", "Unsubscribe", SubscriptionArn=arn))


async def _read_subscription(work: Work, arn: str, _: Properties) -> dict[str, Any]:
    del work
    return {"Arn": arn}


async def _create_topic_policy(work: Work, properties: Properties) -> str:
    physical_id = work.name(None)
    work.note(physical_id)
    await _put_topic_policy(work, properties)
    return physical_id


async def _put_topic_policy(work: Work, properties: Properties) -> None:
    for arn in properties["Topics"]:
        await work.services.call(
            "sns",
            "SetTopicAttributes",
            TopicArn=arn,
            AttributeName="Policy",
            AttributeValue=_attribute(properties["PolicyDocument"]),
        )


async def _update_topic_policy(work: Work, change: Change) -> None:
    await _put_topic_policy(work, change.new)


async def _delete_topic_policy(work: Work, _: str, properties: Properties) -> None:
    # A topic always has a policy; the topic's owner may do everything with AWS's default one.
    for arn in properties["Topics"]:
        document = {
            "Version": "2008-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": work.account_id},
                    "Action": ["SNS:Publish", "SNS:Subscribe"],
                    "Resource": arn,
                }
            ],
        }
        await gone_is_fine(
            work.services.call(
                "sns",
                "SetTopicAttributes",
                TopicArn=arn,
                AttributeName="Policy",
                AttributeValue=json.dumps(document),
            )
        )


async def _put_rule(work: Work, name: str, properties: Properties) -> None:
    pattern = properties.get("EventPattern")
    await work.services.call(
        "events",
        "PutRule",
        Name=name,
        EventPattern=None if pattern is None else _attribute(pattern),
        **{n: properties.get(n) for n in _RULE_MEMBERS},
    )
    if properties.get("Targets"):
        await work.services.call(
            "events",
            "PutTargets",
            Rule=name,
            EventBusName=properties.get("EventBusName"),
            Targets=properties["Targets"],
        )
        found = await work.services.call(
            "events", "ListTargetsByRule", Rule=name, EventBusName=properties.get("EventBusName")
        )
        held = {target["Id"]: target for target in found["Targets"]}
        for target in properties["Targets"]:
            require_kept(target, held.get(target["Id"]), "Targets")


_RULE_MEMBERS: Final = ("Description", "EventBusName", "RoleArn", "ScheduleExpression", "State")


async def _create_rule(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("Name"))
    work.note(name)
    await _put_rule(work, name, properties)
    tags = work.tag_list(properties)
    if tags:
        await work.services.call(
            "events", "TagResource", ResourceARN=_rule_arn(work, name), Tags=tags
        )
    return name


def _rule_arn(work: Work, name: str) -> str:
    return work.arn("events", f"rule/{name}")


async def _update_rule(work: Work, change: Change) -> None:
    new_ids = {target["Id"] for target in change.new.get("Targets", [])}
    gone = [t["Id"] for t in change.old.get("Targets", []) if t["Id"] not in new_ids]
    if gone:
        await work.services.call("events", "RemoveTargets", Rule=change.physical_id, Ids=gone)
    await _put_rule(work, change.physical_id, change.new)
    arn = _rule_arn(work, change.physical_id)
    if change.gone_tags:
        await work.services.call(
            "events", "UntagResource", ResourceARN=arn, TagKeys=change.gone_tags
        )
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await work.services.call("events", "TagResource", ResourceARN=arn, Tags=tags)


async def _delete_rule(work: Work, name: str, properties: Properties) -> None:
    bus, ids = properties.get("EventBusName"), [t["Id"] for t in properties.get("Targets", [])]
    call = work.services.call
    if ids:
        await gone_is_fine(call("events", "RemoveTargets", Rule=name, EventBusName=bus, Ids=ids))
    await gone_is_fine(call("events", "DeleteRule", Name=name, EventBusName=bus))


async def _read_rule(work: Work, name: str, properties: Properties) -> dict[str, Any]:
    found = await work.services.call(
        "events", "DescribeRule", Name=name, EventBusName=properties.get("EventBusName")
    )
    return {"Arn": found["Arn"], "RuleName": name}


KINDS: Final = (
    Kind(
        type_name="AWS::SQS::Queue",
        properties=only(*_QUEUE_ATTRIBUTES, "QueueName", "Tags"),
        create=_create_queue,
        update=_update_queue,
        delete=_delete_queue,
        read=_read_queue,
    ),
    Kind(
        type_name="AWS::SQS::QueuePolicy",
        properties=only("PolicyDocument", "Queues"),
        create=_create_queue_policy,
        update=_update_queue_policy,
        delete=_delete_queue_policy,
        read=_read_id,
    ),
    Kind(
        type_name="AWS::SNS::Topic",
        properties=only(
            *_TOPIC_ATTRIBUTES, "ContentBasedDeduplication", "Subscription", "Tags", "TopicName"
        ),
        create=_create_topic,
        update=_update_topic,
        delete=_delete_topic,
        read=_read_topic,
    ),
    Kind(
        type_name="AWS::SNS::Subscription",
        properties=only(*_SUBSCRIPTION_ATTRIBUTES, "Endpoint", "Protocol", "TopicArn"),
        create=_create_subscription,
        update=_update_subscription,
        delete=_delete_subscription,
        read=_read_subscription,
    ),
    Kind(
        type_name="AWS::SNS::TopicPolicy",
        properties=only("PolicyDocument", "Topics"),
        create=_create_topic_policy,
        update=_update_topic_policy,
        delete=_delete_topic_policy,
        read=_read_id,
    ),
    Kind(
        type_name="AWS::Events::Rule",
        properties=only(*_RULE_MEMBERS, "EventPattern", "Name", "Tags", "Targets"),
        create=_create_rule,
        update=_update_rule,
        delete=_delete_rule,
        read=_read_rule,
        replaces=only("EventBusName"),
    ),
)
