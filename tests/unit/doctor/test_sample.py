"""What the doctor makes of an authorizer's answer to a handshake that must be refused."""

import json

import pytest

from socketstack.core.model import FailureKind, InvokeResult, Json
from socketstack.doctor.findings import Severity
from socketstack.doctor.sample import judge

_ARN = "arn:aws:execute-api:eu-west-1:123456789012:abcdefghij/dev/$connect"
_OTHER = "arn:aws:execute-api:eu-west-1:123456789012:another000/dev/$connect"


def answer(effect: str, resource: str = _ARN, **more: Json) -> Json:
    """An authorizer's result."""
    statement: Json = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
    policy: Json = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "x", "policyDocument": policy, **more}


@pytest.mark.parametrize(
    ("given", "severity", "told"),
    [
        pytest.param(answer("Deny"), Severity.OK, "refuses (403)", id="deny"),
        pytest.param(answer("Allow"), Severity.ERROR, "lets in", id="allow"),
        pytest.param(answer("Allow", _OTHER), Severity.OK, "refuses (403)", id="another-arn"),
        pytest.param({"isAuthorized": False}, Severity.ERROR, "does not take", id="simple"),
        pytest.param(
            answer("Deny", context={"claims": {"sub": "x"}}),
            Severity.ERROR,
            "does not take",
            id="nested-context",
        ),
        pytest.param(
            answer("Deny", context={"big": "x" * 9000}), Severity.ERROR, "does not take", id="9-kb"
        ),
        pytest.param(None, Severity.ERROR, "does not take", id="nothing"),
    ],
)
def test_answer_is_judged_as_api_gateway_does(given: Json, severity: Severity, told: str) -> None:
    """A refusal in the right form passes; letting in, and a wrong form, are errors."""
    finding = judge("guard", "junk", InvokeResult(payload=json.dumps(given).encode()), _ARN)

    assert (finding.check, finding.severity) == ("authorizer-sample", severity)
    assert told in finding.what


@pytest.mark.parametrize(
    ("message", "severity"),
    [
        pytest.param("Unauthorized", Severity.OK, id="unauthorized"),
        pytest.param("token is missing", Severity.ERROR, id="anything-else"),
    ],
)
def test_only_unauthorized_may_be_raised(message: str, severity: Severity) -> None:
    """An exception is a refusal with exactly that text; else the handshake gets 500."""
    payload = json.dumps({"errorMessage": message, "errorType": "Exception"}).encode()

    finding = judge("guard", None, InvokeResult(payload=payload, failure=FailureKind.HANDLED), _ARN)

    assert finding.severity is severity
