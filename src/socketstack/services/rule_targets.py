"""Sends what a rule of EventBridge sends to one of its targets.

A function is called as an event, if its resource policy lets EventBridge do that for this rule.
What cannot be delivered goes to the target's dead letter queue, where there is one, with the
message attributes that AWS gives it, and is told. A delivery is tried once: here, nothing is
unavailable for a moment.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from socketstack.core.policy import permits_service
from socketstack.errors import FunctionNotFound
from socketstack.runner.base import FunctionCatalog
from socketstack.services.deliveries import (
    Deliveries,
    Delivery,
    DeliveryFailed,
    PutEvent,
    Sender,
)
from socketstack.services.event_settings import service_of

EVENTBRIDGE: Final = "events.amazonaws.com"
RULE_TARGETS: Final = ("lambda", "sqs", "sns")
"""Services whose resources get what a rule sends from here."""
Tell = Callable[[str], None]
_Target = Mapping[str, Any]


class Undelivered(Exception):  # noqa: N818 - an outcome, not a failure of ours
    """A target did not get an event; ``code`` is one of EventBridge's error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RuleTargets:
    """Deliveries of rules; for the event loop. Its owner calls ``stop``."""

    def __init__(
        self,
        functions: FunctionCatalog,
        deliveries: Deliveries,
        *,
        put_event: PutEvent,
        tell: Tell,
    ) -> None:
        self._functions = functions
        self._deliveries = deliveries
        self._put_event = put_event
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, rule_arn: str, target: _Target, body: str) -> None:
        """Send ``body`` to a target of a rule, soon."""
        task = asyncio.get_running_loop().create_task(self.send(rule_arn, target, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(self, rule_arn: str, target: _Target, body: str) -> None:
        """The same, waiting for it; a function has then been queued, not called."""
        try:
            await self._deliver(rule_arn, target, body)
        except Undelivered as undelivered:
            await self._bury(rule_arn, target, body, undelivered)

    async def _deliver(self, rule_arn: str, target: _Target, body: str) -> None:
        arn = str(target["Arn"])
        if service_of(arn) == "lambda":
            require_permission(self._functions, rule_arn, arn)
            if not self._put_event(arn, body.encode()):
                raise Undelivered("THROTTLING", "Too many events wait.")
            return
        if service_of(arn) not in RULE_TARGETS:
            raise Undelivered(
                "INVALID_PARAMETER", f"The local engine delivers to {', '.join(RULE_TARGETS)} only."
            )
        group = str((target.get("SqsParameters") or {}).get("MessageGroupId", ""))
        try:
            await self._deliveries.deliver(
                Delivery(arn=arn, body=body, group_id=group), Sender(EVENTBRIDGE, rule_arn)
            )
        except DeliveryFailed as failed:
            raise Undelivered(_code(failed), str(failed)) from failed

    async def _bury(
        self, rule_arn: str, target: _Target, body: str, undelivered: Undelivered
    ) -> None:
        arn = str(target["Arn"])
        said = not_reached(rule_arn, arn, undelivered)
        queue = str((target.get("DeadLetterConfig") or {}).get("Arn") or "")
        if not queue:
            self._tell(said)
            return
        attributes = letter_attributes(rule_arn, arn, undelivered)
        try:
            await self._deliveries.deliver(
                Delivery(arn=queue, body=body, attributes=attributes),
                Sender(EVENTBRIDGE, rule_arn),
            )
        except DeliveryFailed as failed:
            self._tell(f"{said} Nor is its dead letter queue {queue} reached: {failed}")
        else:
            self._tell(f"{said} The event is in {queue}.")


def _code(failed: DeliveryFailed) -> str:
    if failed.is_forbidden:
        return "NO_PERMISSIONS"
    return "NO_RESOURCE" if failed.is_missing else "ERROR_FROM_TARGET"


def require_permission(functions: FunctionCatalog, rule_arn: str, arn: str) -> None:
    """Let EventBridge call a function for a rule only if its resource policy does.

    Raises ``Undelivered``, also when there is no such function.
    """
    try:
        function = functions.find(arn)
    except FunctionNotFound as missing:
        raise Undelivered("NO_RESOURCE", str(missing)) from missing
    decision = permits_service(
        function.policy,
        service=EVENTBRIDGE,
        function_arn=function.invoked_arn,
        source_arn=rule_arn,
        account=rule_arn.split(":")[4],
    )
    if not decision.is_allowed:
        raise Undelivered("NO_PERMISSIONS", decision.reason)


def letter_attributes(rule_arn: str, arn: str, undelivered: Undelivered) -> dict[str, str]:
    """The message attributes of an event in a target's dead letter queue."""
    return {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": arn,
        "ERROR_CODE": undelivered.code,
        "ERROR_MESSAGE": undelivered.message,
    }


def not_reached(rule_arn: str, arn: str, undelivered: Undelivered) -> str:
    """That a target did not get an event, and why; for people."""
    return f"{rule_arn} does not reach {arn}: {undelivered.code}: {undelivered.message}"


def rule_refusal(expression: str | None, targets: list[dict[str, Any]]) -> str:
    """Why these targets cannot be those of a rule with a schedule; empty when they can."""
    if not expression:
        return ""
    strange = sorted(
        str(each["Arn"]) for each in targets if service_of(str(each["Arn"])) not in RULE_TARGETS
    )
    if not strange:
        return ""
    return (
        f"Schedules of the local engine reach functions, queues and topics only, not "
        f"{', '.join(strange)}."
    )


def scheduled_event(*, rule_arn: str, event_id: str, moment: str) -> dict[str, Any]:
    """The event of a rule with a schedule; ``moment`` is ISO 8601 in UTC, to the second."""
    _, _, _, region, account, _ = rule_arn.split(":", 5)
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": moment,
        "region": region,
        "resources": [rule_arn],
        "detail": {},
    }
