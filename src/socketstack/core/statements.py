"""IAM policy documents as typed statements: reading them, without deciding anything.

Strict on purpose: what IAM would not accept is malformed here as a whole, so that one
misspelt statement cannot let the others decide. Evaluation lives in ``core.policy``.

Rules: 3.10, 3.12, 3.25.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from socketstack.core.globs import is_arn_pattern
from socketstack.core.limits import POLICY_RESOURCE_MAX_CHARACTERS
from socketstack.core.model import Json

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_DOCUMENT_MEMBERS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_MEMBERS: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_RESOURCES: Final = frozenset({"Resource", "NotResource"})


class MalformedPolicyError(Exception):
    """A document is no IAM policy; stays inside ``core.policy``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. ``is_not_action`` means that ``actions`` came as NotAction; alike below."""

    index: int
    is_allow: bool
    actions: tuple[str, ...]
    is_not_action: bool
    resources: tuple[str, ...]
    is_not_resource: bool
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Operator to lower-case key to values."""
    principal: Json = None
    sid: str = ""
    has_variables: bool = True
    """Whether ``${…}`` is a policy variable: not in policies of before 2012-10-17."""

    @property
    def name(self) -> str:
        """How people find it: its index as in the document, and its Sid."""
        return f"Statement[{self.index}]" + (f" ({self.sid})" if self.sid else "")


def read_statements(
    document: Json,
    *,
    has_principal: bool = False,
    has_resource: bool = True,
    may_vary: bool = False,
) -> tuple[Statement, ...]:
    """All statements of a policy.

    Args:
        document: A policy, as ``json.loads`` gives it.
        has_principal: True for resource policies, whose statements must name a Principal;
            False for policies that must not.
        has_resource: False for trust policies, whose statements must not name a Resource: it
            is the role that has them.
        may_vary: Whether resources may hold policy variables, as in policies of identities.

    Raises:
        MalformedPolicyError: saying what is wrong and where.
    """
    if not isinstance(document, dict):
        raise MalformedPolicyError("the policy is no JSON object")
    _refuse_unknown(document, _DOCUMENT_MEMBERS, "the policy")
    version = document.get("Version", _VERSIONS[0])
    if version not in _VERSIONS:
        raise MalformedPolicyError(f"Version is {version!r}; use {_VERSIONS[0]!r}")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicyError("the policy has no Statement")
    found = tuple(
        _statement(index, statement, has_principal=has_principal, has_resource=has_resource)
        for index, statement in enumerate(statements)
    )
    if not may_vary:
        _refuse_variables(found)
    if document.get("Version") != _VERSIONS[0]:
        return tuple(replace(statement, has_variables=False) for statement in found)
    return found


def _statement(
    index: int, statement: Json, *, has_principal: bool, has_resource: bool
) -> Statement:
    where = f"Statement[{index}]"
    if not isinstance(statement, dict):
        raise MalformedPolicyError(f"{where} is no JSON object")
    if not has_resource and not _RESOURCES.isdisjoint(statement):
        raise MalformedPolicyError(f"{where} has a Resource, which trust policies must not have")
    if not has_resource:
        statement = {**statement, "Resource": "*"}
    principals = frozenset({"Principal"} if has_principal else ())
    _refuse_unknown(statement, _STATEMENT_MEMBERS | principals, where)
    effect = statement.get("Effect")
    if effect not in {"Allow", "Deny"} if isinstance(effect, str) else True:
        raise MalformedPolicyError(f"{where} has no Effect of Allow or Deny")
    if has_principal and not statement.get("Principal"):
        raise MalformedPolicyError(f"{where} has no Principal")
    actions, is_not_action = _one_of(statement, "Action", where)
    resources, is_not_resource = _one_of(statement, "Resource", where)
    _check_patterns(actions, resources, where)
    sid = statement.get("Sid")
    return Statement(
        index=index,
        is_allow=effect == "Allow",
        actions=actions,
        is_not_action=is_not_action,
        resources=resources,
        is_not_resource=is_not_resource,
        conditions=_conditions(statement.get("Condition", {}), where),
        principal=statement.get("Principal"),
        sid=sid if isinstance(sid, str) else "",
    )


def _refuse_unknown(members: dict[str, Json], known: frozenset[str], where: str) -> None:
    unknown = sorted(members.keys() - known)
    if unknown:
        raise MalformedPolicyError(
            f"{where} has the unknown member {unknown[0]!r} (names are case-sensitive)"
        )


def _one_of(statement: dict[str, Json], name: str, where: str) -> tuple[tuple[str, ...], bool]:
    """The values of Action or NotAction, Resource or NotResource, and whether it is the Not."""
    is_not = f"Not{name}" in statement
    if is_not == (name in statement):
        raise MalformedPolicyError(f"{where} needs either {name} or Not{name}")
    member = f"Not{name}" if is_not else name
    return _texts(statement[member], f"{where}.{member}"), is_not


def _texts(value: Json, where: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    texts = tuple(item for item in values if isinstance(item, str) and item)
    if not texts or len(texts) != len(values):
        raise MalformedPolicyError(f"{where} is no text and no list of texts")
    return texts


def _check_patterns(actions: tuple[str, ...], resources: tuple[str, ...], where: str) -> None:
    for action in actions:
        if action != "*" and not all(action.partition(":")):
            raise MalformedPolicyError(f"{where} has the action {action!r}; write service:Action")
    for resource in resources:
        if len(resource) > POLICY_RESOURCE_MAX_CHARACTERS:
            raise MalformedPolicyError(
                f"{where} has a resource of {len(resource)} characters; "
                f"{POLICY_RESOURCE_MAX_CHARACTERS} is the limit"
            )
        if not is_arn_pattern(resource):
            raise MalformedPolicyError(
                f"{where} has the resource {resource!r}; write * or an ARN of six parts"
            )


def _refuse_variables(statements: tuple[Statement, ...]) -> None:
    for statement in statements:
        for resource in statement.resources:
            if "${" in resource:
                raise MalformedPolicyError(
                    f"Statement[{statement.index}] uses a policy variable: {resource!r}"
                )


def _conditions(block: Json, where: str) -> dict[str, dict[str, tuple[str, ...]]]:
    if not isinstance(block, dict):
        raise MalformedPolicyError(f"{where}.Condition is no JSON object")
    conditions: dict[str, dict[str, tuple[str, ...]]] = {}
    for operator, tests in block.items():
        place = f"{where}.Condition.{operator}"
        if not isinstance(tests, dict) or not tests:
            raise MalformedPolicyError(f"{place} is no JSON object with keys")
        conditions[operator] = {
            key.lower(): _texts(values, f"{place}.{key}") for key, values in tests.items()
        }
    return conditions
