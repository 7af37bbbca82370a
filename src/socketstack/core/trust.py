"""Trust policies: who may assume a role.

Fails closed like ``core.policy``: a malformed document trusts nobody, and a condition that cannot
be decided counts against.

Rules: 3.26, 7.31.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeGuard

from socketstack.core.globs import ARN_PARTS
from socketstack.core.jsontext import MISSING, read_json
from socketstack.core.model import Json
from socketstack.core.policy import PolicyDecision, weigh
from socketstack.core.principals import Principal, PrincipalKind
from socketstack.core.statements import MalformedPolicyError, Statement, read_statements

ASSUME_ROLE: Final = "sts:AssumeRole"


def trusts_service(
    trust_policy: str, service: str, role_arn: str, facts: Mapping[str, str]
) -> PolicyDecision:
    """Decide whether an AWS service, for example ``apigateway.amazonaws.com``, may assume a role.

    Args:
        trust_policy: The role's ``AssumeRolePolicyDocument`` as JSON text.
        service: The service's principal.
        role_arn: The role.
        facts: Condition keys in lower case to values.
    """

    def is_named(statement: Statement) -> bool:
        if service in _named(statement.principal, "Service"):
            return True
        return not statement.is_allow and _is_anyone(statement.principal)

    return _trusts(trust_policy, service, role_arn, facts, is_named)


def trusts_principal(
    trust_policy: str, principal: Principal, role_arn: str, facts: Mapping[str, str]
) -> PolicyDecision:
    """Decide whether a user, session or root may assume a role, as far as the role decides.

    Of the caller's own policies nothing is looked at: they must allow ``sts:AssumeRole`` too,
    unless ``names`` says that the trust policy names the caller itself.
    """
    facts = {**principal.context, **facts}
    arns = _arns(principal)
    return _trusts(
        trust_policy,
        principal.arn,
        role_arn,
        facts,
        lambda statement: (
            not arns.isdisjoint(_named(statement.principal, "AWS"))
            or _is_anyone(statement.principal)
        ),
    )


def names(trust_policy: str, principal: Principal) -> bool:
    """Whether a trust policy names this very principal, not only its account or everybody."""
    document = read_json(trust_policy)
    statements = document.get("Statement") if isinstance(document, dict) else None
    found = statements if isinstance(statements, list) else [statements]
    own = {principal.arn, principal.role_arn}
    return any(
        isinstance(statement, dict)
        and statement.get("Effect") == "Allow"
        and not own.isdisjoint(_named(statement.get("Principal"), "AWS"))
        for statement in found
    )


def _trusts(
    trust_policy: str,
    who: str,
    role_arn: str,
    facts: Mapping[str, str],
    is_named: Callable[[Statement], bool],
) -> PolicyDecision:
    document = read_json(trust_policy)
    if document is MISSING:
        return _distrust(f"the trust policy of {role_arn} is not JSON")
    try:
        statements = read_statements(document, has_principal=True, has_resource=False)
    except MalformedPolicyError as problem:
        return _distrust(f"the trust policy of {role_arn} is malformed: {problem}")
    decision = weigh(statements, ASSUME_ROLE, role_arn, facts, is_named)
    if decision.is_allowed:
        return decision
    return _distrust(
        f"the trust policy of {role_arn} does not let {who} assume it ({decision.reason}). Allow "
        f"{ASSUME_ROLE} for this principal in its AssumeRolePolicyDocument."
    )


def _distrust(reason: str) -> PolicyDecision:
    return PolicyDecision(is_allowed=False, reason=reason)


def _arns(principal: Principal) -> set[str]:
    """The names under which a trust policy can mean a principal."""
    partition = principal.arn.split(":", ARN_PARTS - 1)[1]
    root = f"arn:{partition}:iam::{principal.account_id}:root"
    own = {principal.arn, principal.account_id, root}
    if principal.kind is PrincipalKind.SESSION and principal.role_arn:
        own.add(principal.role_arn)
    return own


def _named(principal: Json, kind: str) -> list[str]:
    if not isinstance(principal, dict):
        return []
    named = principal.get(kind, [])
    return [each for each in (named if isinstance(named, list) else [named]) if _is_text(each)]


def _is_text(value: Json) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_anyone(principal: Json) -> bool:
    return principal == "*" or "*" in _named(principal, "AWS")
