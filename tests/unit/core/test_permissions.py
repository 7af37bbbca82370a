"""All policies of a principal together."""

import json

import pytest

from socketstack.core.model import Json
from socketstack.core.permissions import NamedPolicy, Permissions, decide

ACTION = "s3:GetObject"
RESOURCE = "arn:aws:s3:::files/alice/note"


def named(action: str = "*", effect: str = "Allow", resource: str = "*") -> NamedPolicy:
    """A policy of one statement, named by what it does."""
    return policy({"Effect": effect, "Action": action, "Resource": resource}, f"{effect} {action}")


def policy(statement: Json, name: str = "p") -> NamedPolicy:
    """A policy of any one statement."""
    return NamedPolicy(name, json.dumps({"Version": "2012-10-17", "Statement": statement}))


ALLOW, OTHER, DENY = named("s3:*"), named("sqs:*"), named("s3:Get*", "Deny")
BROKEN = NamedPolicy("broken", "{")
ODD = NamedPolicy("odd", '{"Statement": []}')


@pytest.mark.parametrize(
    ("permissions", "is_allowed", "reason"),
    [
        pytest.param(Permissions(owner="a"), False, "none of the 0 policies", id="nothing"),
        pytest.param(Permissions(owner="a", policies=(OTHER,)), False, "none of the 1", id="other"),
        pytest.param(Permissions(owner="a", policies=(OTHER, ALLOW)), True, "Allow s3:*", id="one"),
        pytest.param(
            Permissions(owner="a", policies=(ALLOW, DENY)), False, "Deny s3:Get*", id="deny-wins"
        ),
        pytest.param(
            Permissions(owner="a", policies=(ALLOW, BROKEN)), False, "not JSON", id="not-json"
        ),
        pytest.param(
            Permissions(owner="a", policies=(ALLOW, ODD)), False, "no Statement", id="no-policy"
        ),
        pytest.param(Permissions(owner="a", is_root=True), True, "owns the account", id="root"),
        pytest.param(
            Permissions(owner="a", is_root=True, bounds=(OTHER,)), False, "no statement", id="bound"
        ),
        pytest.param(
            Permissions(owner="a", is_root=True, bounds=(ALLOW,)), True, "Allow", id="root-within"
        ),
        pytest.param(
            Permissions(owner="a", policies=(ALLOW,), bounds=(OTHER,)),
            False,
            "Allow sqs:*: no statement",
            id="beyond-the-bound",
        ),
        pytest.param(
            Permissions(owner="a", policies=(ALLOW,), bounds=(ALLOW, named())),
            True,
            "Allow s3:*",
            id="within-both-bounds",
        ),
        pytest.param(
            Permissions(owner="a", policies=(OTHER,), bounds=(ALLOW,)),
            False,
            "none of the 1",
            id="bounds-grant-nothing",
        ),
        pytest.param(
            Permissions(owner="a", policies=(ALLOW,), bounds=(DENY,)),
            False,
            "denies",
            id="bound-denies",
        ),
        pytest.param(
            Permissions(owner="a", policies=(ALLOW,), problem="gone"), False, "gone", id="problem"
        ),
    ],
)
def test_policies_bounds_and_root(
    permissions: Permissions, *, is_allowed: bool, reason: str
) -> None:
    """A Deny anywhere decides, bounds must allow too, and root needs no policy."""
    decision = decide(permissions, ACTION, RESOURCE, {})

    assert decision.is_allowed is is_allowed
    assert reason in decision.reason


@pytest.mark.parametrize(
    ("resource", "facts", "is_allowed"),
    [
        pytest.param(
            "arn:aws:s3:::files/${aws:username}/*", {"aws:username": "alice"}, True, id="own"
        ),
        pytest.param(
            "arn:aws:s3:::files/${aws:username}/*", {"aws:username": "bob"}, False, id="others"
        ),
        pytest.param("arn:aws:s3:::files/${aws:username}/*", {}, False, id="without-value"),
        pytest.param(
            "arn:aws:s3:::files/${aws:x}/*", {"aws:x": "*"}, False, id="wildcard-in-a-value"
        ),
        pytest.param("arn:aws:s3:::files/${*}/*", {}, False, id="star-itself"),
    ],
)
def test_policy_variables_in_resources(
    resource: str, facts: dict[str, str], *, is_allowed: bool
) -> None:
    """A variable stands for a fact about the caller; without a value it matches nothing."""
    permissions = Permissions(owner="a", policies=(named("s3:*", resource=resource),))

    assert decide(permissions, ACTION, RESOURCE, facts).is_allowed is is_allowed


def test_deny_with_a_variable_that_has_no_value_denies() -> None:
    """What cannot be decided counts against the request, in a Deny as well."""
    deny = named("s3:*", "Deny", "arn:aws:s3:::files/${aws:username}/*")
    permissions = Permissions(owner="a", policies=(ALLOW, deny))

    assert not decide(permissions, ACTION, RESOURCE, {}).is_allowed
    assert decide(permissions, ACTION, RESOURCE, {"aws:username": "bob"}).is_allowed


def test_dollar_stands_for_itself() -> None:
    """``${$}`` is a dollar sign."""
    resource = "arn:aws:execute-api:eu-west-1:1:api/dev/${$}connect"
    permissions = Permissions(owner="a", policies=(named(resource=resource),))
    arn = "arn:aws:execute-api:eu-west-1:1:api/dev/$connect"

    assert decide(permissions, "execute-api:Invoke", arn, {}).is_allowed


def test_old_policies_have_no_variables() -> None:
    """In policies of before 2012-10-17, and in those that name no version, text is text."""
    statement: Json = {
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::files/${aws:username}/*",
        "Condition": {"StringEquals": {"aws:userid": "${aws:userid}"}},
    }
    old = NamedPolicy("old", json.dumps({"Statement": [statement]}))
    facts = {"aws:username": "alice", "aws:userid": "${aws:userid}"}

    decision = decide(Permissions(owner="a", policies=(old,)), ACTION, RESOURCE, facts)
    literal = decide(
        Permissions(owner="a", policies=(old,)),
        ACTION,
        "arn:aws:s3:::files/${aws:username}/x",
        facts,
    )

    assert not decision.is_allowed
    assert literal.is_allowed


def test_not_resource_with_a_variable_without_value_allows_nothing() -> None:
    """Nobody knows whether the exception is meant."""
    statement: Json = {
        "Effect": "Allow",
        "Action": "s3:*",
        "NotResource": "arn:aws:s3:::files/${aws:username}/*",
    }
    permissions = Permissions(owner="a", policies=(policy(statement),))

    assert not decide(permissions, ACTION, RESOURCE, {}).is_allowed
    assert decide(permissions, ACTION, RESOURCE, {"aws:username": "bob"}).is_allowed
