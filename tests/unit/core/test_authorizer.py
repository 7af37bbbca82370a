import json

import pytest
from unit.core.builders import METHOD_ARN, raised, returned

from socketstack.core.authorizer import Allow, Deny, Failure, Unauthorized, decide
from socketstack.core.model import FailureKind, InvokeResult, Json


def _policy(resource: str = METHOD_ARN, effect: str = "Allow") -> dict[str, Json]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}],
    }


def _answer(**members: Json) -> dict[str, Json]:
    return {"principalId": "user-1", "policyDocument": _policy(), **members}


def test_allowing_policy_lets_in_with_flat_context() -> None:
    """An allowing result gives the context as later events carry it: every value as text."""
    context: Json = {"text": "a", "number": 1, "part": 1.5, "yes": True, "none": None}

    decision = decide(returned(_answer(context=context)), METHOD_ARN)

    assert isinstance(decision, Allow)
    assert decision.principal_id == "user-1"
    assert decision.context == {
        "text": "a",
        "number": "1",
        "part": "1.5",
        "yes": "true",
        "none": None,
        "principalId": "user-1",
    }
    assert "Statement[0] allows" in decision.reason
    assert decision.usage_identifier_key is None


def test_result_without_context_lets_in() -> None:
    """A result without a context is valid; later events carry the principal alone."""
    decision = decide(returned(_answer()), METHOD_ARN)

    assert isinstance(decision, Allow)
    assert decision.context == {"principalId": "user-1"}


def test_context_cannot_replace_the_principal() -> None:
    """A member of the context named principalId does not replace the real one."""
    decision = decide(returned(_answer(context={"principalId": "admin"})), METHOD_ARN)

    assert isinstance(decision, Allow)
    assert decision.context == {"principalId": "user-1"}


def test_usage_identifier_key_is_passed_on() -> None:
    """The API key that the authorizer returns is part of the decision."""
    decision = decide(returned(_answer(usageIdentifierKey="key-1")), METHOD_ARN)

    assert isinstance(decision, Allow)
    assert decision.usage_identifier_key == "key-1"


def test_policy_may_test_conditions_the_caller_knows() -> None:
    """A condition on a fact that the caller passed is decided, and else counts against."""
    policy = _policy()
    statement: Json = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceIp": "203.0.113.9"}},
    }
    policy["Statement"] = [statement]
    result = returned(_answer(policyDocument=policy))

    known = decide(result, METHOD_ARN, {"aws:sourceip": "203.0.113.9"})
    unknown = decide(result, METHOD_ARN)

    assert isinstance(known, Allow)
    assert isinstance(unknown, Deny)


@pytest.mark.parametrize(
    ("policy", "part"),
    [
        pytest.param(_policy(effect="Deny"), "Statement[0] denies", id="explicit-deny"),
        pytest.param(
            _policy(METHOD_ARN.replace("/prod/", "/dev/")),
            "Allow the resource event['methodArn']",
            id="other-stage",
        ),
        pytest.param(
            _policy(METHOD_ARN.replace("$connect", "*/*")), "shape of REST APIs", id="rest-shape"
        ),
    ],
)
def test_policy_that_does_not_allow_gives_403(policy: Json, part: str) -> None:
    """A policy that denies or does not match refuses with 403 and says what to do."""
    decision = decide(returned(_answer(policyDocument=policy)), METHOD_ARN)

    assert isinstance(decision, Deny)
    assert decision.status == 403
    assert part in decision.reason


def test_explicit_deny_gets_no_advice_to_allow_more() -> None:
    """An explicit Deny is meant; its reason does not advise to allow another resource."""
    decision = decide(returned(_answer(policyDocument=_policy(effect="Deny"))), METHOD_ARN)

    assert isinstance(decision, Deny)
    assert "methodArn" not in decision.reason


def test_error_with_the_text_unauthorized_gives_401() -> None:
    """A function that raises exactly Unauthorized refuses with 401."""
    decision = decide(raised("Unauthorized"), METHOD_ARN)

    assert isinstance(decision, Unauthorized)
    assert decision.status == 401


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(raised("unauthorized"), id="case-differs"),
        pytest.param(raised("Unauthorized: no token"), id="more-text"),
        pytest.param(raised("[401] Unauthorized"), id="text-before"),
        pytest.param(raised("KeyError"), id="other-error"),
        pytest.param(raised("Unauthorized", FailureKind.UNHANDLED), id="process-died"),
        pytest.param(raised("Unauthorized", FailureKind.TIMEOUT), id="timed-out"),
        pytest.param(InvokeResult(payload=b"", failure=FailureKind.TIMEOUT), id="no-payload"),
        pytest.param(
            InvokeResult(payload=json.dumps(_answer()).encode(), failure=FailureKind.HANDLED),
            id="failed-with-a-valid-policy",
        ),
    ],
)
def test_failed_authorizer_gives_500(result: InvokeResult) -> None:
    """Any other failure refuses with 500, whatever the payload."""
    decision = decide(result, METHOD_ARN)

    assert isinstance(decision, Failure)
    assert decision.status == 500
    assert "The authorizer failed" in decision.reason


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        pytest.param(None, "no JSON object", id="null"),
        pytest.param("Allow", "no JSON object", id="text"),
        pytest.param([], "no JSON object", id="array"),
        pytest.param({}, "principalId is missing", id="empty"),
        pytest.param({"isAuthorized": True}, "simple format of HTTP APIs", id="simple-format"),
        pytest.param({"policyDocument": _policy()}, "principalId is missing", id="no-principal"),
        pytest.param(_answer(principalId=""), "principalId is missing", id="empty-principal"),
        pytest.param(_answer(principalId=7), "principalId is missing", id="number-principal"),
        pytest.param({"principalId": "u"}, "policyDocument is missing", id="no-policy"),
        pytest.param(_answer(policyDocument=None), "malformed policy", id="null-policy"),
        pytest.param(_answer(policyDocument={}), "malformed policy", id="empty-policy"),
        pytest.param(_answer(policyDocument="{}"), "malformed policy", id="policy-as-text"),
        pytest.param(_answer(policyDocument=_policy("*/$connect")), "six parts", id="no-arn"),
        pytest.param(
            _answer(policyDocument=_policy(METHOD_ARN + "x" * 512)), "512", id="long-resource"
        ),
        pytest.param(_answer(context={"a": {"b": 1}}), "context.a is", id="nested-object"),
        pytest.param(_answer(context={"a": 1, "b": []}), "context.b is", id="nested-array"),
        pytest.param(_answer(context="text"), "context is no JSON object", id="text-context"),
        pytest.param(_answer(usageIdentifierKey=1), "usageIdentifierKey", id="number-key"),
        pytest.param(_answer(context={"big": "x" * 8192}), "8192 is the limit", id="too-big"),
    ],
)
def test_invalid_result_gives_500_and_says_what_is_wrong(answer: Json, part: str) -> None:
    """A result of the wrong shape refuses with 500, although its policy may allow."""
    decision = decide(returned(answer), METHOD_ARN)

    assert isinstance(decision, Failure)
    assert part in decision.reason


def test_result_of_exactly_8_kb_is_accepted() -> None:
    """A result may have 8192 bytes."""
    empty = len(json.dumps(_answer(context={"big": ""})))
    answer = _answer(context={"big": "x" * (8192 - empty)})

    decision = decide(returned(answer), METHOD_ARN)

    assert isinstance(decision, Allow)


def test_payload_that_is_no_json_gives_500() -> None:
    """Bytes that are no JSON refuse with 500."""
    decision = decide(InvokeResult(payload=b"\xff"), METHOD_ARN)

    assert isinstance(decision, Failure)


def test_method_arn_above_its_limit_gives_500() -> None:
    """A method ARN above 1600 bytes is refused although the policy allows everything."""
    result = returned(_answer(policyDocument=_policy("*")))

    allowed = decide(result, METHOD_ARN + "x" * (1600 - len(METHOD_ARN)))
    refused = decide(result, METHOD_ARN + "x" * (1601 - len(METHOD_ARN)))

    assert isinstance(allowed, Allow)
    assert isinstance(refused, Failure)


def test_reason_never_holds_the_context() -> None:
    """Reasons are shown to people; what the authorizer put into the context is not in them."""
    decision = decide(returned(_answer(context={"token": "s3cret"})), METHOD_ARN)

    assert "s3cret" not in decision.reason
