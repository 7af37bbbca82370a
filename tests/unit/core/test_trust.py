"""Who may assume a role, as far as the role decides."""

import json

import pytest

from socketstack.core.model import Json
from socketstack.core.principals import Principal, PrincipalKind
from socketstack.core.trust import names, trusts_principal, trusts_service

ROLE = "arn:aws:iam::123456789012:role/r"
GATEWAY = "apigateway.amazonaws.com"
ALICE = Principal(
    kind=PrincipalKind.USER,
    arn="arn:aws:iam::123456789012:user/alice",
    account_id="123456789012",
    user_id="AIDA",
    user_name="alice",
)
SESSION = Principal(
    kind=PrincipalKind.SESSION,
    arn="arn:aws:sts::123456789012:assumed-role/other/s",
    account_id="123456789012",
    user_id="AROA:s",
    role_arn="arn:aws:iam::123456789012:role/other",
)


def policy(principal: Json, effect: str = "Allow", **members: Json) -> Json:
    """A statement of a trust policy."""
    return {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **members}


def text(*statements: Json) -> str:
    """A trust policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    ("trust_policy", "is_trusted"),
    [
        pytest.param(text(policy({"Service": GATEWAY})), True, id="named"),
        pytest.param(text(policy({"Service": ["lambda.amazonaws.com", GATEWAY]})), True, id="list"),
        pytest.param(text(policy({"Service": "lambda.amazonaws.com"})), False, id="another"),
        pytest.param(text(policy({"AWS": "*"})), False, id="everybody-is-no-service"),
        pytest.param(text(policy("*")), False, id="star-is-no-service"),
        pytest.param(
            text(policy({"Service": GATEWAY}), policy("*", "Deny")), False, id="denied-to-all"
        ),
        pytest.param(
            text(policy({"Service": GATEWAY}, Condition={"StringEquals": {"aws:x": "y"}})),
            False,
            id="undecided-condition",
        ),
        pytest.param(text(policy({"Service": GATEWAY}, Resource="*")), False, id="resource"),
        pytest.param(
            json.dumps({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}),
            False,
            id="no-principal",
        ),
        pytest.param("{", False, id="not-json"),
        pytest.param(text(policy({"Service": {"a": 1}})), False, id="odd-principal"),
    ],
)
def test_service_must_be_named(trust_policy: str, *, is_trusted: bool) -> None:
    """A service assumes a role only when the trust policy names it."""
    decision = trusts_service(trust_policy, GATEWAY, ROLE, {})

    assert decision.is_allowed is is_trusted
    assert is_trusted or ROLE in decision.reason


@pytest.mark.parametrize(
    ("principal", "caller", "is_trusted", "is_named"),
    [
        pytest.param({"AWS": ALICE.arn}, ALICE, True, True, id="user"),
        pytest.param({"AWS": "123456789012"}, ALICE, True, False, id="account"),
        pytest.param({"AWS": "arn:aws:iam::123456789012:root"}, ALICE, True, False, id="root"),
        pytest.param({"AWS": "*"}, ALICE, True, False, id="everybody"),
        pytest.param("*", ALICE, True, False, id="star"),
        pytest.param({"AWS": "210987654321"}, ALICE, False, False, id="another-account"),
        pytest.param({"AWS": SESSION.role_arn}, SESSION, True, True, id="role-of-a-session"),
        pytest.param({"AWS": SESSION.arn}, SESSION, True, True, id="session"),
        pytest.param({"Service": GATEWAY}, ALICE, False, False, id="service"),
    ],
)
def test_principal_is_meant_by_name_or_account(
    principal: Json, caller: Principal, *, is_trusted: bool, is_named: bool
) -> None:
    """A trust policy means a caller by its ARN, its role, its account or everybody."""
    trust_policy = text(policy(principal))

    assert trusts_principal(trust_policy, caller, ROLE, {}).is_allowed is is_trusted
    assert names(trust_policy, caller) is is_named


def test_single_statement_names_as_well() -> None:
    """A Statement may be an object; a Deny names nobody, and what is no policy neither."""
    one = json.dumps({"Version": "2012-10-17", "Statement": policy({"AWS": ALICE.arn})})

    assert names(one, ALICE)
    assert not names(text(policy({"AWS": ALICE.arn}, "Deny")), ALICE)
    assert not names("{", ALICE)


def test_facts_about_the_caller_count_in_trust_policies() -> None:
    """Conditions may ask for the caller's own keys."""
    condition: Json = {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}
    trust_policy = text(policy({"AWS": "*"}, Condition=condition))

    assert trusts_principal(trust_policy, ALICE, ROLE, {}).is_allowed
