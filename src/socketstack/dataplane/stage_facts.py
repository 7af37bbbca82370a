"""From outcomes of calls to the facts that logs tell.

Rules: 9.02, 9.03.
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, assert_never

from socketstack.core import authorizer, replies
from socketstack.core.context import NOT_AUTHORIZED, Facts, PhaseFacts
from socketstack.core.jsontext import read_json
from socketstack.core.model import Integration, InvokeResult
from socketstack.dataplane.exchange import Result
from socketstack.dataplane.handshake import Handshake, Refused
from socketstack.dataplane.integrations import Outcome, TimedOut, Unreachable

_BEFORE_THE_CALL: Final = frozenset(
    {replies.FrameMessage.BAD_REQUEST_BODY, replies.FrameMessage.UNSUPPORTED_MEDIA_TYPE}
)
"""What is refused before an integration is called."""
_LAMBDA_URI: Final = re.compile(
    r"arn:[\w-]+:apigateway:(?P<region>[\w-]+):lambda:path/(?P<path>.+)"
)


def authorized(
    handshake: Handshake,
    authorizer_id: str,
    outcome: Outcome,
    decision: authorizer.Decision,
    latency_ms: int,
) -> None:
    """Note what an authorizer gave, and what was made of it; nothing when nothing is logged."""
    facts = handshake.facts
    if facts is None:
        return
    facts.authorizer_id = authorizer_id
    facts.authorize = _judged(decision)
    result = outcome if isinstance(outcome, InvokeResult) else None
    error = _authorizer_error(decision, result)
    facts.authorizer = PhaseFacts(
        status=HTTPStatus.OK if facts.authorize else _status(decision),
        service_status=HTTPStatus.OK if result else None,
        latency_ms=latency_ms,
        request_id=result.request_id if result else "",
        error=handshake.secrets.hidden_in(error),
    )


def signed(handshake: Handshake, refused: Refused | None) -> None:
    """Note what became of a signature: IAM knows its signer, and lets him in (4.01, 4.02)."""
    facts = handshake.facts
    if facts is None:
        return
    is_known = refused is None or refused.response_type == "ACCESS_DENIED"
    facts.authenticate = PhaseFacts(
        status=HTTPStatus.OK if is_known else HTTPStatus.FORBIDDEN,
        error="" if refused is None or is_known else refused.reason,
    )
    if is_known:
        facts.authorize = PhaseFacts(
            status=HTTPStatus.FORBIDDEN if refused else HTTPStatus.OK,
            error=NOT_AUTHORIZED if refused else "",
        )


def called(
    facts: Facts,
    integration: Integration | None,
    sent: Mapping[str, object] | bytes,
    outcome: Result,
    latency_ms: int,
) -> None:
    """Note what an integration got and gave; payloads are kept only where they are wanted."""
    if isinstance(outcome, replies.Rejection) and outcome.message in _BEFORE_THE_CALL:
        return
    facts.integration = _integration_phase(outcome, latency_ms)
    facts.integration_target = _address(integration)
    if facts.execution.data_trace:
        facts.sent = (
            sent if isinstance(sent, bytes) else json.dumps(sent, separators=(",", ":")).encode()
        )
        facts.received = outcome.payload if isinstance(outcome, InvokeResult) else b""
        if isinstance(outcome, replies.BackendResponse):
            facts.sent, facts.received = outcome.sent, outcome.received


def _address(integration: Integration | None) -> str:
    """Where an integration lies, as execution logs have it."""
    uri = (integration.integration_uri if integration else None) or ""
    found = _LAMBDA_URI.fullmatch(uri)
    return f"https://lambda.{found['region']}.amazonaws.com/{found['path']}" if found else uri


def _judged(decision: authorizer.Decision) -> PhaseFacts | None:
    """What the authorizer's policy says; None when there is none."""
    match decision:
        case authorizer.Allow():
            return PhaseFacts(status=HTTPStatus.OK)
        case authorizer.Deny():
            return PhaseFacts(status=decision.status, error=NOT_AUTHORIZED)
        case _:
            return None


def _status(decision: authorizer.Decision) -> int:
    return HTTPStatus.OK if isinstance(decision, authorizer.Allow) else decision.status


def _authorizer_error(decision: authorizer.Decision, result: InvokeResult | None) -> str:
    """What the function raised, or why its answer is none; empty when it gave a policy."""
    match decision:
        case authorizer.Allow() | authorizer.Deny():
            return ""
        case authorizer.Unauthorized():
            return "Unauthorized"
        case authorizer.Failure():
            return _raised(result) or decision.reason
        case _:
            assert_never(decision)


def _raised(result: InvokeResult | None) -> str:
    if result is None or result.failure is None:
        return ""
    answer = read_json(result.payload)
    message = answer.get("errorMessage") if isinstance(answer, dict) else None
    return message if isinstance(message, str) else str(result.failure)


def _integration_phase(outcome: Result, latency_ms: int) -> PhaseFacts:
    match outcome:
        case replies.BackendResponse():
            return PhaseFacts(
                status=outcome.status,
                service_status=outcome.status,
                latency_ms=latency_ms,
                error=outcome.failure,
            )
        case replies.Rejection():
            reason = f"Execution failed due to configuration error: {outcome.reason}"
            is_late = outcome.status == HTTPStatus.GATEWAY_TIMEOUT
            return PhaseFacts(latency_ms=latency_ms if is_late else None, error=reason)
        case InvokeResult():
            return _function_phase(outcome, latency_ms)
        case TimedOut():
            error = "Execution failed due to a timeout error"
            return PhaseFacts(latency_ms=latency_ms, error=error)
        case Unreachable():
            reason = f"Execution failed due to configuration error: {outcome.reason}"
            return PhaseFacts(error=reason)
        case _:
            assert_never(outcome)


def _function_phase(result: InvokeResult, latency_ms: int) -> PhaseFacts:
    response = replies.proxy_response(result)
    error = ""
    if result.failure is not None:
        error = (
            "Lambda execution failed with status 200 due to customer function error: "
            f"{_raised(result)}. Lambda request id: {result.request_id}"
        )
    elif isinstance(response, str):
        error = "Execution failed due to configuration error: Malformed Lambda proxy response"
    return PhaseFacts(
        status=None if isinstance(response, str) else response.status,
        service_status=HTTPStatus.OK,
        latency_ms=latency_ms,
        request_id=result.request_id,
        error=error,
    )
