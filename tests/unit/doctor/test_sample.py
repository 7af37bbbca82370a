"""What the doctor makes of an authorizer's answer to a handshake that must be refused."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from fakes import FakeClock, FakeIds

from socketstack.core.model import FailureKind, InvokeResult, Json
from socketstack.doctor.facts import Api, Authorizer, Function, Stage
from socketstack.doctor.findings import Finding, Severity
from socketstack.doctor.sample import judge, try_authorizers

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


class Functions:
    """Lambda's Invoke, which keeps the events and answers that a policy denies."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self._trouble = trouble

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        """Answer."""
        del FunctionName
        if self._trouble is not None:
            raise self._trouble
        self.events.append(json.loads(Payload))
        denied = answer("Deny", self.events[-1]["methodArn"])
        return {"Payload": io.BytesIO(json.dumps(denied).encode())}


def tried(functions: Functions, *sources: str) -> list[Finding]:
    """What the doctor finds of an API whose authorizer has these identity sources."""
    function = Function(arn="arn:aws:lambda:eu-west-1:123456789012:function:guard", exists=True)
    guard = Authorizer(authorizer_id="a", name="guard", identity_sources=sources, function=function)
    api = Api(
        api_id="abcdefghij",
        name="chat",
        region="eu-west-1",
        account_id="123456789012",
        endpoint="wss://abcdefghij.execute-api.eu-west-1.amazonaws.com",
        authorizers=(guard,),
        stage=Stage(name="dev"),
    )
    return list(try_authorizers(functions, api, FakeClock(), FakeIds()))


def test_function_gets_junk_where_its_identity_sources_are() -> None:
    """API Gateway would not call it without them (2.13), so neither does the doctor."""
    functions = Functions()

    (finding,) = tried(
        functions, "route.request.querystring.token", "route.request.header.X-Key", "context.stage"
    )

    (event,) = functions.events
    assert event["queryStringParameters"] == {"token": "junk"}
    assert event["headers"]["X-Key"] == "junk"
    assert (finding.severity, "with junk" in finding.what) == (Severity.OK, True)


def test_function_without_identity_sources_gets_nothing() -> None:
    """It is called for every handshake, so one that brings nothing is a fair one."""
    functions = Functions()

    (finding,) = tried(functions)

    assert functions.events[0]["queryStringParameters"] == {}
    assert "without credentials" in finding.what


def test_function_of_other_identity_sources_is_not_called() -> None:
    """No junk can be put there, and the note says that nothing was tried."""
    functions = Functions()

    (finding,) = tried(functions, "stageVariables.colour")

    assert functions.events == []
    assert finding.severity is Severity.NOTE


def test_call_that_breaks_off_is_a_note() -> None:
    """The doctor goes on, and does not take a timeout for a refusal."""
    trouble = ReadTimeoutError(endpoint_url="https://lambda.eu-west-1.amazonaws.com")

    (finding,) = tried(Functions(trouble), "route.request.querystring.token")

    assert finding.severity is Severity.NOTE
    assert "fails" in finding.why
