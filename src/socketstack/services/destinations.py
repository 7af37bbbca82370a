"""Tells a function's destinations what became of its events, as Lambda does.

Where users and roles are enforced, the function's role must let Lambda send the record there.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from socketstack.clock import Clock
from socketstack.core.policy import PolicyDecision
from socketstack.ids import Ids
from socketstack.services.deliveries import Deliveries, Delivery, DeliveryFailed
from socketstack.services.event_records import Condition, EventOutcome, invocation_record
from socketstack.services.event_settings import EventSettings, destination_problem, service_of

RoleMay = Callable[[str, str, str], PolicyDecision]
"""Whether a role that Lambda takes may do an action on a resource."""
Tell = Callable[[str], None]

_ACTIONS: Final[Mapping[str, str]] = {
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "lambda": "lambda:InvokeFunction",
    "events": "events:PutEvents",
}

_logger = logging.getLogger(__name__)


class Destinations:
    """Sends invocation records; what cannot be sent is told, and lost as on AWS."""

    def __init__(
        self, deliveries: Deliveries, *, clock: Clock, ids: Ids, tell: Tell, may: RoleMay | None
    ) -> None:
        """``may`` is None where roles are not enforced."""
        self._deliveries = deliveries
        self._clock = clock
        self._ids = ids
        self._tell = tell
        self._may = may

    async def take(self, outcome: EventOutcome, settings: EventSettings) -> None:
        """Tell the destination for this outcome, if there is one."""
        is_success = outcome.condition is Condition.SUCCESS
        arn = settings.on_success if is_success else settings.on_failure
        if not is_success:
            where = f" Its record goes to {arn}." if arn else ""
            _logger.warning(
                "An event for %s is given up: %s%s", outcome.function_arn, outcome.problem, where
            )
        if not arn:
            return
        problem = destination_problem(arn) or self._refusal(arn, settings.role_arn)
        if not problem:
            problem = await self._send(arn, outcome)
        if problem:
            self._tell(f"No record of an event for {outcome.function_arn} is sent: {problem}")

    def _refusal(self, arn: str, role_arn: str) -> str:
        if self._may is None:
            return ""
        decision = self._may(role_arn, _ACTIONS[service_of(arn)], arn)
        return "" if decision.is_allowed else f"the function's role may not: {decision.reason}"

    async def _send(self, arn: str, outcome: EventOutcome) -> str:
        result = "Success" if outcome.condition is Condition.SUCCESS else "Failure"
        delivery = Delivery(
            arn=arn,
            body=invocation_record(
                outcome, request_id=self._ids.uuid(), now_ms=self._clock.now_ms()
            ),
            source="lambda",
            detail_type=f"Lambda Function Invocation Result - {result}",
            resources=(arn, outcome.function_arn),
        )
        try:
            await self._deliveries.deliver(delivery)
        except DeliveryFailed as failed:
            return str(failed)
        return ""
