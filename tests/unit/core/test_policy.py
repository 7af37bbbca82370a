import json

import pytest
from unit.core.builders import METHOD_ARN

from socketstack.core.model import Json
from socketstack.core.policy import INVOKE, evaluate, permits_service

_STAGE_ARN = METHOD_ARN.removesuffix("/$connect")
_FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:echo"


def _policy(*statements: Json) -> dict[str, Json]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _statement(effect: Json = "Allow", **members: Json) -> dict[str, Json]:
    return {"Effect": effect, "Action": INVOKE, "Resource": METHOD_ARN, **members}


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(METHOD_ARN, id="method-arn"),
        pytest.param(f"{_STAGE_ARN}/*", id="stage-star"),
        pytest.param(_STAGE_ARN.removesuffix("prod") + "*", id="api-star"),
        pytest.param(f"{_STAGE_ARN}/$conn??t", id="question-marks"),
        pytest.param("arn:aws:execute-api:*:*:*/prod/*", id="any-api"),
        pytest.param("*", id="everything"),
        pytest.param([f"{_STAGE_ARN}/other", METHOD_ARN], id="one-of-a-list"),
    ],
)
def test_matching_resource_allows(resource: Json) -> None:
    """An Allow whose resource matches the method ARN lets the request through."""
    decision = evaluate(_policy(_statement(Resource=resource)), INVOKE, METHOD_ARN)

    assert decision.is_allowed
    assert decision.statement == 0
    assert not decision.is_malformed


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(f"{_STAGE_ARN}/*/*", id="rest-shape"),
        pytest.param(f"{_STAGE_ARN}/GET/*", id="rest-method"),
        pytest.param(METHOD_ARN.replace("/prod/", "/PROD/"), id="case"),
        pytest.param(METHOD_ARN.replace("/prod/", "/dev/"), id="other-stage"),
        pytest.param(METHOD_ARN.replace("123456789012", "210987654321"), id="other-account"),
        pytest.param(METHOD_ARN + "/", id="one-slash-more"),
    ],
)
def test_other_resource_does_not_allow(resource: str) -> None:
    """An Allow whose resource does not match the method ARN allows nothing."""
    decision = evaluate(_policy(_statement(Resource=resource)), INVOKE, METHOD_ARN)

    assert not decision.is_allowed
    assert decision.statement is None
    assert not decision.is_malformed


@pytest.mark.parametrize(
    ("members", "is_allowed"),
    [
        pytest.param({"Action": "EXECUTE-API:invoke"}, True, id="action-case"),
        pytest.param({"Action": "execute-api:*"}, True, id="action-star"),
        pytest.param({"Action": "*"}, True, id="any-action"),
        pytest.param({"Action": ["a:b", "execute-api:Inv*"]}, True, id="action-list"),
        pytest.param({"Action": "execute-api:ManageConnections"}, False, id="other-action"),
        pytest.param({"NotAction": "execute-api:Invoke"}, False, id="not-action-names-it"),
        pytest.param({"NotAction": "s3:*"}, True, id="not-action-names-another"),
        pytest.param({"NotResource": METHOD_ARN}, False, id="not-resource-names-it"),
        pytest.param({"NotResource": f"{_STAGE_ARN}/x"}, True, id="not-resource-names-another"),
    ],
)
def test_actions_and_their_negations(members: dict[str, Json], *, is_allowed: bool) -> None:
    """Actions match without regard to case, and the Not forms turn the match around."""
    statement = _statement(**members)
    for name in ("Action", "Resource"):
        if f"Not{name}" in statement:
            del statement[name]

    decision = evaluate(_policy(statement), INVOKE, METHOD_ARN)

    assert decision.is_allowed is is_allowed
    assert not decision.is_malformed


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([_statement("Deny"), _statement()], id="deny-first"),
        pytest.param([_statement(), _statement("Deny")], id="deny-last"),
        pytest.param([_statement(), _statement("Deny", Action="*", Resource="*")], id="deny-all"),
    ],
)
def test_explicit_deny_wins(statements: list[Json]) -> None:
    """A matching Deny refuses, wherever it stands."""
    decision = evaluate(_policy(*statements), INVOKE, METHOD_ARN)

    assert not decision.is_allowed
    assert decision.statement is not None
    assert "denies" in decision.reason


def test_deny_of_something_else_does_not_refuse() -> None:
    """A Deny that does not match leaves the Allow in force, and the deciding one is named."""
    policy = _policy(_statement("Deny", Resource=f"{_STAGE_ARN}/admin"), _statement(Sid="Me"))

    decision = evaluate(policy, INVOKE, METHOD_ARN)

    assert decision.is_allowed
    assert decision.statement == 1
    assert "Statement[1] (Me)" in decision.reason


def test_first_of_several_allows_is_named() -> None:
    """Of several statements that allow, the first is the one that decided."""
    decision = evaluate(_policy(_statement(), _statement()), INVOKE, METHOD_ARN)

    assert decision.statement == 0


def test_single_statement_needs_no_list() -> None:
    """A policy may hold its one statement directly, and may leave out its version."""
    decision = evaluate({"Statement": _statement()}, INVOKE, METHOD_ARN)

    assert decision.is_allowed


_MALFORMED: list[Json] = [
    None,
    "text",
    [],
    {},
    {"Statement": []},
    {"Statement": "Allow"},
    {"Statement": [None]},
    {"statement": [_statement()]},
    {"Version": "2024-01-01", "Statement": [_statement()]},
    {"Version": ["2012-10-17"], "Statement": [_statement()]},
    _policy(_statement("allow")),
    _policy(_statement("Permit")),
    _policy(_statement() | {"Effect": None}),
    _policy({"Effect": "Allow", "Resource": METHOD_ARN}),
    _policy({"Effect": "Allow", "Action": INVOKE}),
    _policy(_statement(NotAction="s3:*")),
    _policy(_statement(NotResource="*")),
    _policy(_statement(Action=[])),
    _policy(_statement(Action="")),
    _policy(_statement(Action=None)),
    _policy(_statement(Action=[INVOKE, 1])),
    _policy(_statement(Action="Invoke")),
    _policy(_statement(Action="execute-api:")),
    _policy(_statement(Resource={})),
    _policy(_statement(Resource="api/prod/$connect")),
    _policy(_statement(Resource="arn:aws:execute-api:*")),
    _policy(_statement(Resource="arn:aws:execute-api:*:*:" + "x" * 512)),
    _policy(_statement(Resource="arn:aws:execute-api:*:*:${aws:username}/*")),
    _policy(_statement(Principal="*")),
    _policy(_statement(resource="*")),
    _policy(_statement(Condition=[])),
    _policy(_statement(Condition={"StringEquals": {}})),
    _policy(_statement(Condition={"StringEquals": {"a": 1}})),
    _policy(_statement(), _statement("nonsense")),
]


@pytest.mark.parametrize("document", [pytest.param(d, id=json.dumps(d)[:60]) for d in _MALFORMED])
def test_malformed_policy_allows_nothing_and_says_so(document: Json) -> None:
    """A document that is no policy allows nothing and can be told from one that denies."""
    decision = evaluate(document, INVOKE, METHOD_ARN)

    assert not decision.is_allowed
    assert decision.is_malformed
    assert decision.reason.startswith("malformed policy: ")


def test_resource_of_512_characters_is_accepted() -> None:
    """A resource may be 512 characters long."""
    pattern = METHOD_ARN.removesuffix("$connect") + "*"
    longest = pattern + "*" * (512 - len(pattern))

    decision = evaluate(_policy(_statement(Resource=longest)), INVOKE, METHOD_ARN)

    assert decision.is_allowed


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        pytest.param({}, True, id="empty"),
        pytest.param({"StringEquals": {"aws:Who": "me"}}, True, id="equals"),
        pytest.param({"StringEquals": {"AWS:WHO": ["you", "me"]}}, True, id="one-of-a-list"),
        pytest.param({"StringEquals": {"aws:who": "m*"}}, False, id="equals-has-no-wildcards"),
        pytest.param({"StringLike": {"aws:who": "m*"}}, True, id="like"),
        pytest.param({"StringNotEquals": {"aws:who": "you"}}, True, id="not-equals"),
        pytest.param({"StringNotEquals": {"aws:who": "me"}}, False, id="not-equals-fails"),
        pytest.param({"StringNotLike": {"aws:who": "m?"}}, False, id="not-like-fails"),
        pytest.param({"ArnLike": {"aws:arn": "arn:aws:s3:*:*:b/*"}}, True, id="arn-like"),
        pytest.param({"ArnEquals": {"aws:arn": "arn:aws:s3:::b/*"}}, True, id="arn-equals"),
        pytest.param({"ArnNotLike": {"aws:arn": "arn:aws:s3:::b/*"}}, False, id="arn-not-like"),
        pytest.param({"ArnNotEquals": {"aws:arn": "arn:aws:s3:::c"}}, True, id="arn-not-equals"),
        pytest.param(
            {"StringEquals": {"aws:who": "me"}, "ArnLike": {"aws:arn": "x"}}, False, id="all-count"
        ),
        pytest.param({"BinaryEquals": {"aws:who": "me"}}, None, id="unknown-operator"),
        pytest.param({"Bool": {"aws:who": "true"}}, None, id="wrong-form"),
        pytest.param({"StringEquals": {"aws:other": "me"}}, None, id="unknown-key"),
        pytest.param({"StringEquals": {"aws:who": "${aws:who}"}}, True, id="policy-variable"),
        pytest.param({"StringEquals": {"aws:who": "${aws:me}"}}, None, id="unknown-variable"),
        pytest.param(
            {"Bool": {"aws:who": "true"}, "StringEquals": {"aws:who": "you"}}, False, id="both"
        ),
    ],
)
def test_conditions_count_and_undecided_ones_count_against(
    condition: Json, *, holds: bool | None
) -> None:
    """An Allow needs its condition to hold; a Deny is dropped only when it surely does not."""
    context = {"aws:who": "me", "aws:arn": "arn:aws:s3:::b/key"}
    allow = _policy(_statement(Condition=condition))
    deny = _policy(_statement(), _statement("Deny", Condition=condition))

    allowed = evaluate(allow, INVOKE, METHOD_ARN, context)
    denied = evaluate(deny, INVOKE, METHOD_ARN, context)

    assert allowed.is_allowed is (holds is True)
    assert denied.is_allowed is (holds is False)
    assert ("cannot be decided" in denied.reason) is (holds is None)


def _permission(**members: Json) -> dict[str, Json]:
    return {
        "Sid": "gateway",
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": _FUNCTION,
        "Condition": {"ArnLike": {"AWS:SourceArn": f"{_STAGE_ARN}/*"}},
        **members,
    }


def _resource_policy(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": list(statements)})


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="arn-like"),
        pytest.param({"Condition": {"ArnEquals": {"aws:SourceArn": METHOD_ARN}}}, id="arn-equals"),
        pytest.param({"Condition": {"StringEquals": {"AWS:SourceArn": METHOD_ARN}}}, id="equals"),
        pytest.param({"Condition": {"StringLike": {"AWS:SourceArn": "arn:*"}}}, id="like"),
        pytest.param(
            {"Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012"}}}, id="account"
        ),
        pytest.param({"Condition": {}}, id="no-condition"),
        pytest.param({"Action": "lambda:*"}, id="action-star"),
        pytest.param(
            {"Principal": {"Service": ["events.amazonaws.com", "apigateway.amazonaws.com"]}},
            id="one-of-several-services",
        ),
    ],
)
def test_permission_lets_the_gateway_call(members: dict[str, Json]) -> None:
    """A permission for API Gateway and this source lets it call the function."""
    decision = permits_service(
        _resource_policy(_permission(**members)),
        function_arn=_FUNCTION,
        source_arn=METHOD_ARN,
        account="123456789012",
    )

    assert decision.is_allowed
    assert decision.statement == 0


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"Principal": {"Service": "events.amazonaws.com"}}, id="other-service"),
        pytest.param({"Principal": "*"}, id="anybody"),
        pytest.param({"Principal": {"AWS": "*"}}, id="any-account"),
        pytest.param({"Action": "lambda:GetFunction"}, id="other-action"),
        pytest.param({"Resource": _FUNCTION + ":live"}, id="other-qualifier"),
        pytest.param({"Condition": {"ArnLike": {"AWS:SourceArn": "x"}}}, id="other-source"),
        pytest.param(
            {"Condition": {"StringEquals": {"AWS:SourceAccount": "1"}}}, id="other-account"
        ),
        pytest.param(
            {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, id="unknown-key"
        ),
    ],
)
def test_permission_for_something_else_does_not(members: dict[str, Json]) -> None:
    """A permission for another caller, action, function or source does not help, and says how."""
    decision = permits_service(
        _resource_policy(_permission(**members)),
        function_arn=_FUNCTION,
        source_arn=METHOD_ARN,
        account="123456789012",
    )

    assert not decision.is_allowed
    assert "add-permission" in decision.reason
    assert METHOD_ARN in decision.reason


@pytest.mark.parametrize(
    ("principal", "is_allowed"),
    [
        pytest.param({"Service": "apigateway.amazonaws.com"}, False, id="this-service"),
        pytest.param("*", False, id="anybody"),
        pytest.param({"AWS": "*"}, False, id="any-account"),
        pytest.param({"AWS": "123456789012"}, True, id="one-account"),
        pytest.param({"Service": "events.amazonaws.com"}, True, id="other-service"),
    ],
)
def test_deny_for_the_gateway_wins(principal: Json, *, is_allowed: bool) -> None:
    """A Deny that covers the gateway wins over a permission; one for others does not."""
    policy = _resource_policy(
        _permission(), _permission(Effect="Deny", Principal=principal, Condition={})
    )

    decision = permits_service(
        policy, function_arn=_FUNCTION, source_arn=METHOD_ARN, account="123456789012"
    )

    assert decision.is_allowed is is_allowed


@pytest.mark.parametrize(
    ("text", "part", "is_malformed"),
    [
        pytest.param(None, "permits nobody", False, id="no-policy"),
        pytest.param("no json", "not JSON", True, id="not-json"),
        pytest.param("{}", "no Statement", True, id="no-statement"),
        pytest.param(
            _resource_policy(_permission(Principal=None)), "no Principal", True, id="no-principal"
        ),
    ],
)
def test_function_without_readable_policy_permits_nobody(
    text: str | None, part: str, *, is_malformed: bool
) -> None:
    """A function without a policy that can be read may not be called."""
    decision = permits_service(
        text, function_arn=_FUNCTION, source_arn=METHOD_ARN, account="123456789012"
    )

    assert not decision.is_allowed
    assert decision.is_malformed is is_malformed
    assert part in decision.reason
