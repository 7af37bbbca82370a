"""Sending a text to what an ARN names: a queue, a topic, a function, an event bus.

Through the services' own operations, so a queue that does not exist is refused in SQS's words. A
service that sends in its own name, as EventBridge does, must be let in by the policy of the queue
or topic; what is sent in the name of a role is decided elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from socketstack.core.policy import permits_service
from socketstack.errors import GatewayError
from socketstack.services.cfn.calls import CallRefused, Send, Services
from socketstack.services.event_settings import service_of

_ARN_PARTS: Final = 6
_ATTRIBUTE_MAX_CHARACTERS: Final = 1024

PutEvent = Callable[[str, bytes], bool]
"""Calls a function soon; false when too many events wait."""


class DeliveryFailed(GatewayError):  # noqa: N818 - what happened to a delivery
    """Nothing was delivered; the text says why.

    ``is_missing`` says that there is no such thing, ``is_forbidden`` that its policy is against it.
    """

    def __init__(
        self, message: str, *, is_missing: bool = False, is_forbidden: bool = False
    ) -> None:
        super().__init__(message)
        self.is_missing = is_missing
        self.is_forbidden = is_forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One text for one ARN."""

    arn: str
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Message attributes of queues and topics, each cut at 1,024 characters."""
    group_id: str = ""
    """The message group, for FIFO queues."""
    source: str = ""
    detail_type: str = ""
    resources: tuple[str, ...] = ()
    """These three are for event buses, whose events have them."""


@dataclass(frozen=True, slots=True)
class Sender:
    """An AWS service that sends in its own name, on behalf of a resource."""

    principal: str
    source_arn: str


class Deliveries:
    """Sends texts on behalf of services; for the event loop."""

    def __init__(self, send: Send, put_event: PutEvent) -> None:
        self._send = send
        self._put_event = put_event

    async def deliver(self, delivery: Delivery, sender: Sender | None = None) -> None:
        """Send it; with ``sender`` only if the policy of the queue or topic lets that in.

        Raises ``DeliveryFailed``.
        """
        service = service_of(delivery.arn)
        if service == "lambda":
            if not self._put_event(delivery.arn, delivery.body.encode()):
                raise DeliveryFailed("too many events wait")
            return
        act = _ACTS.get(service)
        if act is None or delivery.arn.count(":") < _ARN_PARTS - 1:
            raise DeliveryFailed(f"{delivery.arn!r} is nothing that the local engine delivers to")
        services = Services(self._send, delivery.arn.split(":")[3])
        try:
            if sender is not None:
                await _require_permission(services, delivery.arn, sender)
            await act(services, delivery)
        except CallRefused as refused:
            raise DeliveryFailed(str(refused), is_missing=refused.is_missing) from refused


async def _require_permission(services: Services, arn: str, sender: Sender) -> None:
    """Raises ``DeliveryFailed`` when the policy of a queue or topic does not let a service send."""
    if service_of(arn) == "sqs":
        action = "sqs:SendMessage"
        found = await services.call(
            "sqs", "GetQueueAttributes", QueueUrl=_queue_url(arn), AttributeNames=["Policy"]
        )
    elif service_of(arn) == "sns":
        action = "sns:Publish"
        found = await services.call("sns", "GetTopicAttributes", TopicArn=arn)
    else:
        return  # event buses: what sends to one from here does it in a role's name
    decision = permits_service(
        found.get("Attributes", {}).get("Policy") or None,
        service=sender.principal,
        action=action,
        function_arn=arn,
        source_arn=sender.source_arn,
        account=sender.source_arn.split(":")[4],
    )
    if not decision.is_allowed:
        raise DeliveryFailed(decision.reason, is_forbidden=True)


def _queue_url(arn: str) -> str:
    _, _, _, region, account, name = arn.split(":", _ARN_PARTS - 1)
    return f"https://sqs.{region}.amazonaws.com/{account}/{name}"


async def _to_queue(services: Services, delivery: Delivery) -> None:
    await services.call(
        "sqs",
        "SendMessage",
        QueueUrl=_queue_url(delivery.arn),
        MessageBody=delivery.body,
        MessageAttributes=message_attributes(delivery.attributes) or None,
        MessageGroupId=delivery.group_id or None,
    )


async def _to_topic(services: Services, delivery: Delivery) -> None:
    await services.call(
        "sns",
        "Publish",
        TopicArn=delivery.arn,
        Message=delivery.body,
        MessageAttributes=message_attributes(delivery.attributes) or None,
    )


async def _to_bus(services: Services, delivery: Delivery) -> None:
    entry = {
        "Source": delivery.source,
        "DetailType": delivery.detail_type,
        "Detail": delivery.body,
        "Resources": list(delivery.resources),
        "EventBusName": delivery.arn.rsplit("event-bus/", maxsplit=1)[-1],
    }
    answer = await services.call("events", "PutEvents", Entries=[entry])
    failed = [one for one in answer["Entries"] if one.get("ErrorCode")]
    if failed:
        raise DeliveryFailed(f"{failed[0]['ErrorCode']}: {failed[0].get('ErrorMessage', '')}")


_ACTS: Final = {"sqs": _to_queue, "sns": _to_topic, "events": _to_bus}


def message_attributes(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Texts as SQS and SNS take them; each is cut at 1,024 characters, empty ones are left out."""
    return {
        name: {"DataType": "String", "StringValue": value[:_ATTRIBUTE_MAX_CHARACTERS]}
        for name, value in attributes.items()
        if value
    }
