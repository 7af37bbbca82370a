"""IAM policy evaluation: an explicit Deny wins, no matching Allow is a refusal.

For authorizer results, which are policies without a principal, and the resource policies of
functions; ``permissions`` and ``trust`` are built on ``weigh``. Fails closed: a malformed document
allows nothing, and a condition that cannot be decided counts against the request, whether it
stands in an Allow or in a Deny.

Rules: 2.11, 2.14, 3.12 to 3.15, 3.26, 3.27, 5.33, 5.68.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from socketstack.core.conditions import conditions_hold, expanded
from socketstack.core.globs import arn_matches, matches
from socketstack.core.jsontext import MISSING, read_json
from socketstack.core.model import Json
from socketstack.core.statements import MalformedPolicyError, Statement, read_statements

INVOKE: Final = "execute-api:Invoke"
APIGATEWAY: Final = "apigateway.amazonaws.com"
INVOKE_FUNCTION: Final = "lambda:InvokeFunction"

NO_CONTEXT: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDecision:
    """The outcome, why, and the index of the statement that decided (None: none did)."""

    is_allowed: bool
    reason: str
    statement: int | None = None
    is_malformed: bool = False
    """True when the document is no policy, which is not the same as one that denies."""


def evaluate(
    document: Json, action: str, resource: str, context: Mapping[str, str] = NO_CONTEXT
) -> PolicyDecision:
    """Decide by a policy without principals, as an authorizer returns it.

    Args:
        document: The policy; anything else is malformed.
        action: What is to be done, for example ``execute-api:Invoke``; case is ignored.
        resource: The ARN it is to be done to; case-sensitive.
        context: Condition keys in lower case. A key that is not here is undecided.
    """
    try:
        statements = read_statements(document)
    except MalformedPolicyError as problem:
        return _malformed(str(problem))
    return weigh(statements, action, resource, context)


def permits_service(
    policy_text: str | None,
    *,
    service: str = APIGATEWAY,
    action: str = INVOKE_FUNCTION,
    function_arn: str,
    source_arn: str,
    account: str,
) -> PolicyDecision:
    """Decide whether an AWS service may call a function, by the function's resource policy.

    Queues and topics, which have such policies too, are decided by another ``action``.

    Args:
        policy_text: What Lambda's GetPolicy returns in ``Policy``; None when nobody was
            granted anything.
        service: The calling service's principal.
        action: What it wants to do.
        function_arn: The function, with the qualifier it is called by, or the queue or topic.
        source_arn: On whose behalf, for example ``arn:…:{api}/{stage}/{routeKey}`` (5.68).
        account: The account that owns ``source_arn``.
    """
    if policy_text is None:
        reason = _how_to_permit("nobody", service, action, source_arn)
        return PolicyDecision(is_allowed=False, reason=reason)
    document = read_json(policy_text)
    if document is MISSING:
        return _malformed("the resource policy is not JSON")
    try:
        statements = read_statements(document, has_principal=True)
    except MalformedPolicyError as problem:
        return _malformed(str(problem))
    context = {"aws:sourcearn": source_arn, "aws:sourceaccount": account}
    decision = weigh(
        statements, action, function_arn, context, lambda found: _names_service(found, service)
    )
    if decision.is_allowed or decision.statement is not None:
        return decision
    return PolicyDecision(
        is_allowed=False, reason=_how_to_permit("others only", service, action, source_arn)
    )


def weigh(
    statements: tuple[Statement, ...],
    action: str,
    resource: str,
    context: Mapping[str, str],
    is_for_caller: Callable[[Statement], bool] = lambda _statement: True,
) -> PolicyDecision:
    """Decide by statements that were read before; ``is_for_caller`` looks at their Principal."""
    allowed_by: Statement | None = None
    for statement in statements:
        if not (_covers(statement, action, resource, context) and is_for_caller(statement)):
            continue
        holds = conditions_hold(statement, context)
        if not statement.is_allow and holds is not False:
            why = "" if holds else ", whose condition cannot be decided here"
            return PolicyDecision(
                is_allowed=False,
                reason=f"{statement.name} denies {action} on {resource}{why}",
                statement=statement.index,
            )
        if statement.is_allow and holds and allowed_by is None:
            allowed_by = statement
    if allowed_by is None:
        reason = f"no statement allows {action} on {resource}"
        return PolicyDecision(is_allowed=False, reason=reason)
    return PolicyDecision(
        is_allowed=True,
        reason=f"{allowed_by.name} allows {action} on {resource}",
        statement=allowed_by.index,
    )


def _covers(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    wanted = action.lower()
    has_action = any(matches(pattern.lower(), wanted) for pattern in statement.actions)
    if has_action == statement.is_not_action:
        return False
    patterns = [
        expanded(pattern, context) if statement.has_variables else pattern
        for pattern in statement.resources
    ]
    if any(pattern is not None and arn_matches(pattern, resource) for pattern in patterns):
        return not statement.is_not_resource
    if None in patterns:
        return not statement.is_allow  # a variable without value counts against the request
    return statement.is_not_resource


def _names_service(statement: Statement, service: str) -> bool:
    """Whether a Principal is for this service; a Deny for everybody is, an Allow is not.

    Whether ``*`` lets services in is not documented, so it does not here.
    """
    principal = statement.principal
    if not isinstance(principal, dict):
        return not statement.is_allow
    named = principal.get("Service", [])
    if service in (named if isinstance(named, list) else [named]):
        return True
    return not statement.is_allow and "Service" not in principal and _is_anyone(principal)


def _is_anyone(principal: dict[str, Json]) -> bool:
    return principal.get("AWS") in ("*", ["*"])


def _malformed(problem: str) -> PolicyDecision:
    return PolicyDecision(
        is_allowed=False, reason=f"malformed policy: {problem}", is_malformed=True
    )


def _how_to_permit(who: str, service: str, action: str, source_arn: str) -> str:
    if action != INVOKE_FUNCTION:
        return (
            f"its resource policy permits {who}; {service} may not do {action} for {source_arn}. "
            f'Allow {action} to {{"Service": "{service}"}}, with {source_arn} as aws:SourceArn.'
        )
    return (
        f"the function's resource policy permits {who}; {service} may not call it for "
        f"{source_arn}. Add an AWS::Lambda::Permission, or run aws lambda add-permission with "
        f"--principal {service}, --action {INVOKE_FUNCTION} and --source-arn {source_arn}."
    )
