import json

import pytest
from unit.core.builders import METHOD_ARN, connection, upgrade

from socketstack.core.events import (
    authorizer_event,
    connect_event,
    disconnect_event,
    message_event,
    request_time,
)
from socketstack.core.model import Json, Message

_HOST = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
_REQUEST_ID = "FDmBIG3EoAMEqYA="
_TRACE_ID = "Root=1-6797b6d3-64f9c928577f3ac56f5368ce"
_TIME_MS = 1_737_995_987_620

_HANDSHAKE_HEADERS = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Authorization", "Leo"),
)
_CONNECT_CONTEXT = {
    "routeKey": "$connect",
    "eventType": "CONNECT",
    "extendedRequestId": _REQUEST_ID,
    "requestTime": "27/Jan/2025:16:39:47 +0000",
    "messageDirection": "IN",
    "stage": "prod",
    "connectedAt": 1_737_995_987_617,
    "requestTimeEpoch": _TIME_MS,
    "identity": {"sourceIp": "203.0.113.9"},
    "requestId": _REQUEST_ID,
    "domainName": _HOST,
    "connectionId": "FDmBIeapIAMCIQg=",
    "apiId": "a1b2c3d4e5",
}
_CONNECT_HEADERS = {
    "Authorization": "Leo",
    "Host": _HOST,
    "Sec-WebSocket-Version": "13",
    "X-Amzn-Trace-Id": _TRACE_ID,
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}


def _multiple(headers: dict[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in headers.items()}


def _text(event: object) -> str:
    """An event as JSON, so that the order of members counts too."""
    return json.dumps(event, indent=1)


def test_authorizer_event_has_the_captured_shape() -> None:
    """An authorizer receives exactly the captured members, empty maps included."""
    event = authorizer_event(
        upgrade(headers=_HANDSHAKE_HEADERS),
        connection(),
        method_arn=METHOD_ARN,
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
        trace_id=_TRACE_ID,
    )

    headers = {
        "Authorization": "Leo",
        "Connection": "upgrade",
        "content-length": "0",
        "Host": _HOST,
        "Sec-WebSocket-Version": "13",
        "Upgrade": "websocket",
        "X-Amzn-Trace-Id": _TRACE_ID,
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    assert _text(event) == _text(
        {
            "type": "REQUEST",
            "methodArn": METHOD_ARN,
            "headers": headers,
            "multiValueHeaders": _multiple(headers),
            "queryStringParameters": {},
            "multiValueQueryStringParameters": {},
            "stageVariables": {},
            "requestContext": _CONNECT_CONTEXT,
        }
    )


def test_authorizer_event_carries_query_and_variables() -> None:
    """An authorizer receives the query and the stage's variables."""
    event = authorizer_event(
        upgrade(query=(("token", "a"), ("token", "b"))),
        connection(),
        method_arn=METHOD_ARN,
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
        trace_id=_TRACE_ID,
        variables={"color": "blue"},
    )

    assert event["queryStringParameters"] == {"token": "b"}
    assert event["multiValueQueryStringParameters"] == {"token": ["a", "b"]}
    assert event["stageVariables"] == {"color": "blue"}


def test_connect_event_without_query_has_the_captured_shape() -> None:
    """Without query, variables and authorizer, $connect's event leaves their members out."""
    event = connect_event(
        upgrade(headers=_HANDSHAKE_HEADERS),
        connection(),
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
        trace_id=_TRACE_ID,
        integration_latency_ms=12,
    )

    assert _text(event) == _text(
        {
            "headers": _CONNECT_HEADERS,
            "multiValueHeaders": _multiple(_CONNECT_HEADERS),
            "requestContext": _CONNECT_CONTEXT,
            "isBase64Encoded": False,
        }
    )


def test_connect_event_with_everything_has_all_members() -> None:
    """Query, variables, authorizer context and user agent appear where they exist."""
    context: dict[str, Json] = {"tenant": "t1", "principalId": "u1"}
    event = connect_event(
        upgrade(query=(("room", "1"), ("flag", ""))),
        connection(user_agent="Mozilla/5.0", authorizer=context),
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
        trace_id=_TRACE_ID,
        variables={"color": "blue"},
        integration_latency_ms=12,
    )

    assert list(event) == [
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
        "requestContext",
        "isBase64Encoded",
    ]
    assert event["queryStringParameters"] == {"room": "1", "flag": ""}
    assert event["requestContext"]["identity"] == {
        "userAgent": "Mozilla/5.0",
        "sourceIp": "203.0.113.9",
    }
    assert event["requestContext"]["authorizer"] == context | {"integrationLatency": 12}
    assert "integrationLatency" not in context


def test_unmeasured_authorizer_leaves_its_latency_out() -> None:
    """When nobody measured the authorizer, its latency is absent."""
    event = connect_event(
        upgrade(),
        connection(authorizer={"principalId": "u1"}),
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
        trace_id=_TRACE_ID,
    )

    assert event["requestContext"]["authorizer"] == {"principalId": "u1"}


def test_headers_are_grouped_without_regard_to_case() -> None:
    """Repeated headers count as one under the first spelling; the last value stands alone."""
    event = connect_event(
        upgrade(
            headers=(
                ("X-Room", "1"),
                ("x-room", "2"),
                ("CONTENT-LENGTH", "0"),
                ("x-forwarded-for", "198.51.100.7"),
                ("x-forwarded-proto", "http"),
            )
        ),
        connection(),
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
        trace_id=_TRACE_ID,
    )

    assert event["multiValueHeaders"] == {
        "Host": [_HOST],
        "X-Amzn-Trace-Id": [_TRACE_ID],
        "X-Forwarded-For": ["198.51.100.7, 203.0.113.9"],
        "X-Forwarded-Port": ["443"],
        "X-Forwarded-Proto": ["https"],
        "X-Room": ["1", "2"],
    }
    assert event["headers"]["X-Room"] == "2"


def test_message_event_has_the_captured_shape() -> None:
    """A message's event has a context, the text unchanged, and nothing of the handshake."""
    message = Message(
        text=' {"action" : "chat"} ',
        message_id="BFaVtfGSIAMCKug=",
        request_id=_REQUEST_ID,
        received_at_ms=_TIME_MS,
    )

    event = message_event("chat", connection(), message)

    context = {"routeKey": "chat", "messageId": "BFaVtfGSIAMCKug="} | {
        name: value for name, value in _CONNECT_CONTEXT.items() if name != "routeKey"
    }
    assert _text(event) == _text(
        {
            "requestContext": context | {"eventType": "MESSAGE"},
            "body": ' {"action" : "chat"} ',
            "isBase64Encoded": False,
        }
    )


def test_message_event_carries_authorizer_and_variables() -> None:
    """Every message's event has the authorizer's context and the stage's variables."""
    message = Message(text="x", message_id="m", request_id="r", received_at_ms=1)

    event = message_event(
        "$default",
        connection(authorizer={"principalId": "u1"}),
        message,
        variables={"color": "blue"},
    )

    assert event["requestContext"]["authorizer"] == {"principalId": "u1"}
    assert event["stageVariables"] == {"color": "blue"}


def test_disconnect_event_has_the_captured_shape() -> None:
    """$disconnect's event has four made-up headers, the code and the reason."""
    event = disconnect_event(
        connection(),
        status_code=1005,
        reason="Client-side close frame status not set",
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
    )

    headers = {"Host": _HOST, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
    assert _text(event) == _text(
        {
            "headers": headers,
            "multiValueHeaders": _multiple(headers),
            "requestContext": {
                "routeKey": "$disconnect",
                "disconnectStatusCode": 1005,
                "eventType": "DISCONNECT",
                "extendedRequestId": _REQUEST_ID,
                "requestTime": "27/Jan/2025:16:39:47 +0000",
                "messageDirection": "IN",
                "disconnectReason": "Client-side close frame status not set",
                "stage": "prod",
                "connectedAt": 1_737_995_987_617,
                "requestTimeEpoch": _TIME_MS,
                "identity": {"sourceIp": "203.0.113.9"},
                "requestId": _REQUEST_ID,
                "domainName": _HOST,
                "connectionId": "FDmBIeapIAMCIQg=",
                "apiId": "a1b2c3d4e5",
            },
            "isBase64Encoded": False,
        }
    )


def test_disconnect_event_keeps_an_empty_reason() -> None:
    """A close frame without a reason gives an empty reason, not a missing one."""
    event = disconnect_event(
        connection(authorizer={"principalId": "u1"}),
        status_code=1001,
        reason="",
        request_id=_REQUEST_ID,
        time_ms=_TIME_MS,
        variables={"color": "blue"},
    )

    assert event["requestContext"]["disconnectReason"] == ""
    assert event["requestContext"]["authorizer"] == {"principalId": "u1"}
    assert event["stageVariables"] == {"color": "blue"}


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        pytest.param(0, "01/Jan/1970:00:00:00 +0000", id="epoch"),
        pytest.param(1_709_164_799_999, "28/Feb/2024:23:59:59 +0000", id="milliseconds-are-cut"),
        pytest.param(1_735_689_599_000, "31/Dec/2024:23:59:59 +0000", id="december"),
    ],
)
def test_request_time_is_utc_in_english(time_ms: int, text: str) -> None:
    """A request's time is written in UTC with English months."""
    assert request_time(time_ms) == text
