"""What the trace tells of a step beyond its summary: pure builders of its details.

Members are lowerCamelCase, as everything in JSON. Values of identity sources are credentials and
are cut to their last characters; of payloads nothing is told but sizes.
"""

from socketstack.core.authorizer import Allow, Decision, Deny
from socketstack.core.identity import Resolved
from socketstack.core.model import Authorizer, InvokeResult, Json, Route
from socketstack.core.policy import PolicyDecision
from socketstack.core.replies import BackendResponse
from socketstack.core.routing import Selection
from socketstack.dataplane.exchange import Result
from socketstack.dataplane.integrations import TimedOut
from socketstack.trace import redact

Detail = dict[str, Json]


def identity_sources(found: Resolved) -> Detail:
    """``sources``: each with ``name``, ``isPresent``, and what is shown of its value."""
    sources: list[Json] = [
        {"name": name, "isPresent": True, "value": redact(value)}
        for name, value in found.values.items()
    ]
    sources += [{"name": name, "isPresent": False} for name in found.missing]
    return {"sources": sources}


def authorizer_call(chosen: Authorizer, outcome: Result, took_ms: float) -> Detail:
    """Which authorizer was called, and how that went."""
    detail: Detail = {"authorizerId": chosen.authorizer_id, "target": chosen.authorizer_uri}
    _add_outcome(detail, outcome, took_ms)
    return detail


def decision(made: Decision) -> Detail:
    """What was decided, for whom, and by which statement of the policy, counted from 0."""
    detail: Detail = {"outcome": type(made).__name__}
    if isinstance(made, Allow):
        detail["principalId"] = made.principal_id
    else:
        detail["status"] = made.status
    if isinstance(made, Allow | Deny) and made.statement is not None:
        detail["statement"] = made.statement
    return detail


def permission(made: PolicyDecision) -> Detail:
    """What a caller's policies decided, and by which statement."""
    detail: Detail = {"outcome": "Allow" if made.is_allowed else "Deny"}
    if made.statement is not None:
        detail["statement"] = made.statement
    return detail


def selection(chosen: Selection, expression: str, shown_key: str | None) -> Detail:
    """Which key a message gave, by which expression, and who takes it."""
    if shown_key is not None and not shown_key.isascii():
        # A message can hold half a surrogate pair, which no stream of events can carry.
        shown_key = shown_key.encode("utf-8", "backslashreplace").decode()
    return {
        "expression": expression,
        "evaluatedKey": shown_key,
        "routeKey": chosen.route.route_key if chosen.route else None,
    }


def call(route: Route, outcome: Result, took_ms: float) -> Detail:
    """Which integration was called, and how that went."""
    detail: Detail = {"routeKey": route.route_key}
    integration = route.integration
    if integration is not None:
        detail["integrationType"] = integration.integration_type.value
        if integration.integration_uri:
            detail["target"] = integration.integration_uri
    _add_outcome(detail, outcome, took_ms)
    return detail


def _add_outcome(detail: Detail, outcome: Result, took_ms: float) -> None:
    detail["durationMs"] = round(took_ms, 1)
    match outcome:
        case InvokeResult():
            detail["functionRequestId"] = outcome.request_id
            detail["isCold"] = outcome.is_cold
            if outcome.failure is not None:
                detail["failure"] = str(outcome.failure)
        case BackendResponse():
            detail["status"] = int(outcome.status)
        case TimedOut():
            detail["timedOutAfterMs"] = outcome.after_ms
        case _:
            pass  # nothing was called
