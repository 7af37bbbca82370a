"""How a function's events are tried, and who is told what became of them.

What ``PutFunctionEventInvokeConfig`` sets. One configuration holds for all versions and aliases of
a function here, since moto keeps one; on AWS each qualifier may have its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

EVENT_RETRIES_MAX: Final = 2
EVENT_AGE_MAX_SECONDS: Final = 6 * 3600.0
DESTINATION_SERVICES: Final = ("sqs", "sns", "lambda", "events")
"""Destinations that are reached here; AWS has S3 too, for failures."""

_SERVICE: Final = re.compile(r"arn:aws[a-zA-Z-]*:([a-z0-9-]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSettings:
    """The settings of one function; the defaults are Lambda's."""

    retries_max: int = EVENT_RETRIES_MAX
    """How often a failed event is tried again, 0 to 2."""
    age_max_seconds: float = EVENT_AGE_MAX_SECONDS
    on_success: str = ""
    """ARN of what gets a record of every event that went well; empty for nothing."""
    on_failure: str = ""
    """ARN of what gets a record of every event that is given up; empty for nothing."""
    role_arn: str = ""
    """The function's role, by whose permissions Lambda sends the records."""


def event_settings(config: Mapping[str, Any], role_arn: str) -> EventSettings:
    """Settings from the members of ``PutFunctionEventInvokeConfig``; what is missing is default."""
    destinations = config.get("DestinationConfig") or {}
    return EventSettings(
        retries_max=int(config.get("MaximumRetryAttempts", EVENT_RETRIES_MAX)),
        age_max_seconds=float(config.get("MaximumEventAgeInSeconds", EVENT_AGE_MAX_SECONDS)),
        on_success=str((destinations.get("OnSuccess") or {}).get("Destination") or ""),
        on_failure=str((destinations.get("OnFailure") or {}).get("Destination") or ""),
        role_arn=role_arn,
    )


def service_of(arn: str) -> str:
    """The service that an ARN names, ``sqs`` for example; empty when it is no ARN."""
    found = _SERVICE.match(arn)
    return found[1] if found else ""


def destination_problem(arn: str) -> str:
    """Why an event's record cannot be sent there; empty when it can."""
    service = service_of(arn)
    if service not in DESTINATION_SERVICES:
        return (
            f"The destination {arn!r} is not supported by the local engine: it sends records to "
            "queues, topics, functions and event buses."
        )
    if service in {"sqs", "sns"} and arn.endswith(".fifo"):
        return f"The destination {arn!r} is FIFO, which Lambda does not support."
    return ""
