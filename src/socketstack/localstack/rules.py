"""What LocalStack's rules of EventBridge leave out: permissions of functions, and dead letters.

LocalStack fires rules by itself, calls functions that do not permit it, and drops what it cannot
deliver, whatever the target's ``DeadLetterConfig`` says.
"""

import logging
from typing import Any, Final

from localstack.aws.connect import connect_to
from localstack.services.events.target import TargetSender
from localstack.services.events.utils import to_json_str

from socketstack.localstack.host import Host
from socketstack.services.deliveries import message_attributes
from socketstack.services.rule_targets import (
    Undelivered,
    letter_attributes,
    not_reached,
    require_permission,
)

_ARN_PARTS: Final = 6

_logger = logging.getLogger(__name__)


def apply(host: Host) -> None:
    """Put both in; once per process."""
    process = TargetSender.process_event

    def process_or_bury(self: Any, event: Any, trace_header: Any) -> None:
        try:
            if self.service == "lambda":
                require_permission(host.engine.functions, self.rule_arn, self.arn)
            process(self, event, trace_header)
        except Undelivered as undelivered:
            _bury(self, event, undelivered)
        except Exception as problem:  # noqa: BLE001 - whatever LocalStack's senders raise, which it drops
            _bury(self, event, Undelivered("ERROR_FROM_TARGET", str(problem)))

    TargetSender.process_event = process_or_bury


def _bury(sender: Any, event: Any, undelivered: Undelivered) -> None:
    """Send an event to the target's dead letter queue, and say so."""
    said = not_reached(sender.rule_arn, sender.arn, undelivered)
    queue = str((sender.target.get("DeadLetterConfig") or {}).get("Arn") or "")
    if not queue:
        _logger.warning("%s", said)
        return
    attributes = letter_attributes(sender.rule_arn, sender.arn, undelivered)
    try:
        _send(sender.account_id, queue, _body(sender, event), attributes)
    except Exception as problem:  # noqa: BLE001 - a queue that is gone must not hide the reason
        _logger.warning("%s Nor is its dead letter queue %s reached: %s", said, queue, problem)
    else:
        _logger.warning("%s The event is in %s.", said, queue)


def _body(sender: Any, event: Any) -> str:
    given = sender.target.get("Input")
    return str(given) if given else str(to_json_str(event))


def _send(account_id: str, queue: str, body: str, attributes: dict[str, str]) -> None:
    parts = queue.split(":")
    if len(parts) != _ARN_PARTS:
        raise ValueError(f"{queue!r} is no ARN of a queue")
    sqs = connect_to(aws_access_key_id=account_id, region_name=parts[3]).sqs
    url = sqs.get_queue_url(QueueName=parts[5], QueueOwnerAWSAccountId=parts[4])["QueueUrl"]
    sqs.send_message(
        QueueUrl=url,
        MessageBody=body,
        MessageAttributes=message_attributes(attributes),
    )
