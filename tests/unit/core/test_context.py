"""The ``$context`` of a request: variables for access logs, an object for templates."""

from http import HTTPStatus
from typing import Any

import pytest
from unit.core.builders import connection

from socketstack.core.access_log import VARIABLES
from socketstack.core.context import NOT_AUTHORIZED, Facts, PhaseFacts, nested, variables
from socketstack.core.model import EventType, Json, StageLogging


def facts(**members: Any) -> Facts:
    """A CONNECT, unless told otherwise."""
    return Facts(
        **{
            "connection": connection(user_agent="curl/8"),
            "event_type": EventType.CONNECT,
            "request_id": "FDmBJGjYIAMEG-Q=",
            "time_ms": 1_737_995_987_617,
            "logging": StageLogging(),
            "route_key": "$connect",
            **members,
        }
    )


def test_connect_has_the_variables_of_its_event() -> None:
    """What the event's request context has is there by the same names. Rule 9.01."""
    found = variables(facts())

    assert found == {
        "apiId": "a1b2c3d4e5",
        "connectedAt": "1737995987617",
        "connectionId": "FDmBIeapIAMCIQg=",
        "domainName": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
        "eventType": "CONNECT",
        "extendedRequestId": "FDmBJGjYIAMEG-Q=",
        "identity.sourceIp": "203.0.113.9",
        "identity.userAgent": "curl/8",
        "messageDirection": "IN",
        "requestId": "FDmBJGjYIAMEG-Q=",
        "requestTime": "27/Jan/2025:16:39:47 +0000",
        "requestTimeEpoch": "1737995987617",
        "routeKey": "$connect",
        "stage": "prod",
    }


def test_message_has_its_id_and_no_route_before_one_is_chosen() -> None:
    """A message without a route has no route key, as on AWS a hyphen stands there. Rule 9.01."""
    found = variables(facts(event_type=EventType.MESSAGE, route_key="", message_id="m-1"))

    assert found["messageId"] == "m-1"
    assert "routeKey" not in found


def test_function_status_and_service_status_differ() -> None:
    """The function's own code and Lambda's are two variables. Rule 9.03."""
    called = PhaseFacts(status=418, service_status=200, latency_ms=12, request_id="call-1")

    found = variables(facts(integration=called))

    assert found["integration.status"] == found["integrationStatus"] == "418"
    assert found["integration.integrationStatus"] == "200"
    assert found["integration.latency"] == found["integrationLatency"] == "12"
    assert found["integration.requestId"] == found["awsEndpointRequestId"] == "call-1"
    assert "integration.error" not in found


def test_authorizer_phase_and_context_stand_together() -> None:
    """The authorizer's status and latency stand beside what its function returned. Rule 9.02."""
    context: dict[str, Json] = {
        "principalId": "alice",
        "plan": "gold",
        "level": 3,
        "share": 0.5,
        "beta": True,
        "nothing": None,
    }
    called = PhaseFacts(status=200, service_status=200, latency_ms=31, request_id="call-1")

    found = variables(
        facts(
            connection=connection(authorizer=context),
            authorizer=called,
            authorize=PhaseFacts(status=403, error=NOT_AUTHORIZED),
        )
    )

    of_authorizer = {
        k.partition(".")[2]: v for k, v in found.items() if k.startswith("authorizer.")
    }
    assert of_authorizer == {
        "principalId": "alice",
        "plan": "gold",
        "level": "3",
        "share": "0.5",
        "nothing": "",
        "beta": "true",
        "status": "200",
        "integrationStatus": "200",
        "latency": "31",
        "integrationLatency": "31",
        "requestId": "call-1",
    }
    assert found["authorize.status"] == "403"
    assert found["authorize.error"] == NOT_AUTHORIZED


def test_function_cannot_pretend_the_outcome_of_its_authorizer() -> None:
    """A context member named like one of API Gateway's own does not replace it."""
    called = PhaseFacts(status=401, error="Unauthorized")

    found = variables(
        facts(
            connection=connection(authorizer={"status": "200", "error": "none"}), authorizer=called
        )
    )

    assert found["authorizer.status"] == "401"
    assert found["authorizer.error"] == "Unauthorized"


@pytest.mark.parametrize(
    ("status", "message", "response_type"),
    [
        pytest.param(400, "Bad Request", "BAD_REQUEST_PARAMETERS", id="parameters"),
        pytest.param(401, "Unauthorized", "UNAUTHORIZED", id="unauthorized"),
        pytest.param(403, "Forbidden", "ACCESS_DENIED", id="denied"),
        pytest.param(418, "I'm a Teapot", "DEFAULT_4XX", id="other-client"),
        pytest.param(429, "Too Many Requests", "THROTTLED", id="throttled"),
        pytest.param(500, "Internal server error", "API_CONFIGURATION_ERROR", id="configuration"),
        pytest.param(502, "Internal server error", "INTEGRATION_FAILURE", id="integration"),
        pytest.param(504, "Endpoint request timed out", "INTEGRATION_TIMEOUT", id="timeout"),
        pytest.param(599, "", "DEFAULT_5XX", id="unknown"),
    ],
)
def test_refusal_has_the_error_of_its_status(status: int, message: str, response_type: str) -> None:
    """An error that API Gateway made has a message, a quoted one and a response type. Rule 9.02."""
    ended = facts()
    ended.end(status)

    found = variables(ended)

    assert found["status"] == str(status)
    assert found.get("error.message", "") == message
    assert found["error.messageString"] == f'"{message}"'
    assert found["error.responseType"] == response_type


@pytest.mark.parametrize(
    ("authorizer", "authorize", "response_type"),
    [
        pytest.param(
            PhaseFacts(status=500, service_status=200), None, "AUTHORIZER_FAILURE", id="function"
        ),
        pytest.param(PhaseFacts(status=500), None, "AUTHORIZER_CONFIGURATION_ERROR", id="no-call"),
        pytest.param(
            PhaseFacts(status=200, service_status=200),
            PhaseFacts(status=HTTPStatus.OK),
            "API_CONFIGURATION_ERROR",
            id="behind-it",
        ),
    ],
)
def test_failed_authorizer_is_told_apart(
    authorizer: PhaseFacts, authorize: PhaseFacts | None, response_type: str
) -> None:
    """A 500 says whether the authorizer failed, could not be called, or something behind it did."""
    ended = facts(authorizer=authorizer, authorize=authorize)
    ended.end(500)

    assert variables(ended)["error.responseType"] == response_type


def test_status_of_the_function_itself_is_no_error() -> None:
    """A function that refuses with a status of its own is not API Gateway's error."""
    ended = facts(integration=PhaseFacts(status=403, service_status=200))
    ended.end(403)

    found = variables(ended)

    assert found["status"] == "403"
    assert not [name for name in found if name.startswith("error.")]


def test_own_words_replace_the_usual_ones() -> None:
    """Whoever refuses may say more exactly what kind of refusal it is."""
    ended = facts()
    ended.end(403, message="Missing Authentication Token", response_type="INVALID_API_KEY")

    found = variables(ended)

    assert found["error.message"] == "Missing Authentication Token"
    assert found["error.responseType"] == "INVALID_API_KEY"


def test_failed_validation_has_its_own_text() -> None:
    """A message that its model refuses is explained in a variable of its own. Rule 9.01."""
    ended = facts(event_type=EventType.MESSAGE)
    ended.end(400, message="Bad request body", validation="[number expected]")

    assert variables(ended)["error.validationErrorString"] == "[number expected]"


def test_every_logged_variable_is_one_of_the_documented() -> None:
    """A request with everything known gives no name that access logs would not write."""
    phase = PhaseFacts(
        status=200, service_status=200, latency_ms=1, request_id="call-1", error="none"
    )
    ended = facts(
        message_id="m-1",
        authenticate=phase,
        authorizer=phase,
        authorize=phase,
        integration=phase,
    )
    ended.end(400, validation="v")

    beyond = {
        name
        for name in variables(ended)
        if name not in VARIABLES and not name.startswith("authorizer.")
    }

    assert beyond == {"messageDirection"}


def test_templates_see_objects() -> None:
    """Mapping templates read the same values as nested objects with their types. Rule 9.01."""
    ended = facts(
        event_type=EventType.DISCONNECT,
        route_key="$disconnect",
        disconnect=(1001, "Going away"),
        connection=connection(authorizer={"principalId": "alice", "level": 3}),
    )
    ended.end(200)

    found = nested(ended)

    assert found["authorizer"] == {"principalId": "alice", "level": 3}
    assert found["identity"] == {"sourceIp": "203.0.113.9"}
    assert found["disconnectStatusCode"] == 1001
    assert found["status"] == 200
    assert "error" not in found
    assert "integration" not in found
