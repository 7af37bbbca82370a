"""What Lambda tells a destination about an event: the invocation record.

AWS, "Capturing records of Lambda asynchronous invocations".
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from socketstack.core.model import InvokeResult


class Condition(StrEnum):
    """Why a record was written."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOutcome:
    """What became of one event."""

    function_arn: str
    payload: bytes
    condition: Condition
    calls: int
    """How often the function was called."""
    result: InvokeResult | None = None
    """What the last call gave; None when there was none."""
    problem: str = ""
    """What went wrong, for people; empty when nothing did."""


def invocation_record(outcome: EventOutcome, *, request_id: str, now_ms: int) -> str:
    """The record as JSON text."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z",
        "requestContext": {
            "requestId": request_id,
            "functionArn": _qualified(outcome.function_arn),
            "condition": str(outcome.condition),
            "approximateInvokeCount": outcome.calls,
        },
        "requestPayload": _json(outcome.payload),
    }
    if outcome.result is not None:
        record["responseContext"] = {
            "statusCode": 200,
            "executedVersion": outcome.result.executed_version,
            **({"functionError": "Unhandled"} if outcome.result.failure is not None else {}),
        }
        record["responsePayload"] = _json(outcome.result.payload)
    return json.dumps(record)


def _qualified(arn: str) -> str:
    tail = arn.rsplit(":function:", maxsplit=1)[-1]
    return arn if ":" in tail else f"{arn}:$LATEST"


def _json(text: bytes) -> Any:
    try:
        return json.loads(text or b"null")
    except ValueError:
        return text.decode(errors="replace")
