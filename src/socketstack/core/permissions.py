"""What a principal may do: all its policies together, as IAM evaluates them in one account.

An explicit Deny anywhere decides; else one of the principal's own policies must allow, and so must
the permissions boundary and the session policy where there is one. Fails closed: one malformed
policy refuses everything, since nobody knows what it denies.

Rules: 4.02, 4.06, 7.07, 7.08.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from socketstack.core.jsontext import MISSING, read_json
from socketstack.core.policy import PolicyDecision, weigh
from socketstack.core.statements import MalformedPolicyError, Statement, read_statements

_KEPT_POLICIES: Final = 1024


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy's JSON text and what people call it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Everything that decides about one principal.

    ``owner`` is its ARN, for reasons. ``is_root`` is the account's own root, which may do
    everything. ``bounds`` must all allow too: permissions boundary and session policy.
    ``problem`` refuses everything, for example because the role does not exist.
    """

    owner: str
    policies: tuple[NamedPolicy, ...] = ()
    bounds: tuple[NamedPolicy, ...] = ()
    is_root: bool = False
    problem: str | None = None


def decide(
    permissions: Permissions, action: str, resource: str, facts: Mapping[str, str]
) -> PolicyDecision:
    """Decide whether a principal may do something.

    Args:
        permissions: The principal's.
        action: For example ``execute-api:ManageConnections``.
        resource: The ARN it is to be done to, or ``*`` for none in particular.
        facts: Condition keys in lower case to values; others are undecided.

    Returns:
        A decision whose ``statement`` is not None exactly when a statement decided: an
        explicit Deny then, where it is not allowed.
    """
    if permissions.problem is not None:
        return PolicyDecision(is_allowed=False, reason=permissions.problem)
    bounds = [_judged(policy, action, resource, facts) for policy in permissions.bounds]
    granted = [_judged(policy, action, resource, facts) for policy in permissions.policies]
    for decision in (*bounds, *granted):
        if decision.is_malformed or (not decision.is_allowed and decision.statement is not None):
            return decision
    if permissions.is_root and not bounds:
        return PolicyDecision(is_allowed=True, reason=f"{permissions.owner} owns the account")
    for decision in bounds:
        if not decision.is_allowed:
            return decision
    if permissions.is_root:
        return bounds[0]
    allowed = next((decision for decision in granted if decision.is_allowed), None)
    return allowed or PolicyDecision(
        is_allowed=False,
        reason=f"none of the {len(granted)} policies of {permissions.owner} allows {action} on "
        f"{resource}",
    )


def _judged(
    policy: NamedPolicy, action: str, resource: str, facts: Mapping[str, str]
) -> PolicyDecision:
    statements = _statements(policy.text)
    if isinstance(statements, str):
        return PolicyDecision(
            is_allowed=False, reason=f"{policy.name} is malformed: {statements}", is_malformed=True
        )
    decision = weigh(statements, action, resource, facts)
    return PolicyDecision(
        is_allowed=decision.is_allowed,
        reason=f"{policy.name}: {decision.reason}",
        statement=decision.statement,
    )


@lru_cache(maxsize=_KEPT_POLICIES)
def _statements(text: str) -> tuple[Statement, ...] | str:
    """A policy's statements, or what is wrong with it."""
    document = read_json(text)
    if document is MISSING:
        return "it is not JSON"
    try:
        return read_statements(document, may_vary=True)
    except MalformedPolicyError as problem:
        return str(problem)
