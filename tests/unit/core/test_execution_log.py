"""Execution log lines of one request."""

import json
from typing import Any

import pytest
from unit.core.builders import connection

from socketstack.core.context import NOT_AUTHORIZED, Facts, PhaseFacts
from socketstack.core.execution_log import EVENT_MAX_BYTES, lines, redacted
from socketstack.core.model import EventType, ExecutionLogging, LoggingLevel, StageLogging

ID = "FDmBJGjYIAMEG-Q="
CLIENT = "[Connection Id: FDmBIeapIAMCIQg=]"
CALLED = PhaseFacts(status=200, service_status=200, latency_ms=7, request_id="call-1")


def facts(
    level: LoggingLevel = LoggingLevel.INFO, *, data_trace: bool = False, **members: Any
) -> Facts:
    """A CONNECT whose route logs at this level, unless told otherwise."""
    logging = ExecutionLogging(level=level, data_trace=data_trace)
    return Facts(
        **{
            "connection": connection(user_agent="curl/8"),
            "event_type": EventType.CONNECT,
            "request_id": ID,
            "time_ms": 1_737_995_987_617,
            "logging": StageLogging(execution={"": logging}),
            "route_key": "$connect",
            "integration_target": "https://lambda.example/f",
            **members,
        }
    )


def story(ended: Facts, status: int, **how: str) -> list[str]:
    """The lines, without the request id that each begins with."""
    ended.end(status, **how)
    written = lines(ended)
    prefix = f"({ID}) "
    assert all(each.startswith(prefix) for each in written)
    return [each.removeprefix(prefix) for each in written]


def test_accepted_handshake_is_told_from_begin_to_end() -> None:
    """At the level INFO the whole way of a handshake is told, without payloads. Rule 9.07."""
    ended = facts(
        authorizer_id="auth01",
        authorizer=PhaseFacts(status=200, service_status=200, request_id="call-0"),
        authorize=PhaseFacts(status=200),
        integration=CALLED,
        connection=connection(user_agent="curl/8", authorizer={"principalId": "alice@example.org"}),
        sent=b'{"body":"secret"}',
        received=b'{"statusCode":200}',
    )

    told = story(ended, 200)

    assert told == [
        f"Extended Request Id: {ID}",
        f"Starting authorizer: auth01 for request: {ID}",
        "AWS Integration Endpoint RequestId : call-0",
        "Using valid authorizer policy for principal: ***********le.org",
        "Successfully completed authorizer execution",
        f"Starting execution for request: {ID}",
        "WebSocket Request Route: [$connect]",
        (
            "Client [UserAgent: curl/8, SourceIp: 203.0.113.9] is connecting to WebSocket API "
            "[a1b2c3d4e5]."
        ),
        "Sending request to https://lambda.example/f",
        "Received response. Status: 200, Integration latency: 7 ms",
        "AWS Integration Endpoint RequestId : call-1",
        f"Client {CLIENT} connected to API [a1b2c3d4e5] successfully.",
    ]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(
            {"event_type": EventType.MESSAGE, "route_key": "echo"},
            [
                "WebSocket Request Route: [echo]",
                f"WebSocket API [a1b2c3d4e5] received message from client {CLIENT}.",
                (
                    f"Message from client {CLIENT} sent to API [a1b2c3d4e5] with response status "
                    "code [200]."
                ),
            ],
            id="message",
        ),
        pytest.param(
            {
                "event_type": EventType.DISCONNECT,
                "route_key": "$disconnect",
                "disconnect": (1001, "Going away"),
            },
            [
                "WebSocket Request Route: [$disconnect]",
                (
                    f"Client {CLIENT} disconnected from API [a1b2c3d4e5] with integration response "
                    "status code [200]. Close reason: [1001: Going away]"
                ),
            ],
            id="disconnect",
        ),
    ],
)
def test_messages_and_goodbyes_are_told(members: dict[str, Any], expected: list[str]) -> None:
    """Each kind of event has lines of its own."""
    told = story(facts(integration=CALLED, **members), 200)

    assert [each for each in told if "[" in each] == expected


def test_goodbye_without_a_route_tells_no_integration() -> None:
    """A connection that ends without ``$disconnect`` route still has its close reason."""
    ended = facts(
        event_type=EventType.DISCONNECT, route_key="$disconnect", disconnect=(1000, "bye")
    )

    told = story(ended, 200)

    assert told[-1] == (
        f"Client {CLIENT} disconnected from API [a1b2c3d4e5]. Close reason: [1000: bye]"
    )


@pytest.mark.parametrize(
    ("members", "status", "expected"),
    [
        pytest.param(
            {"authorizer": PhaseFacts(status=401, error="Unauthorized")},
            401,
            f"Unauthorized request: {ID}",
            id="unauthorized",
        ),
        pytest.param(
            {
                "authorizer": PhaseFacts(status=200),
                "authorize": PhaseFacts(status=403, error=NOT_AUTHORIZED),
            },
            403,
            NOT_AUTHORIZED,
            id="denied",
        ),
        pytest.param(
            {"authorizer": PhaseFacts(status=500, error="boom")},
            500,
            "Execution failed due to configuration error: boom",
            id="authorizer-failed",
        ),
        pytest.param(
            {"integration": PhaseFacts(error="Execution failed due to a timeout error")},
            504,
            "Execution failed due to a timeout error",
            id="timeout",
        ),
        pytest.param({}, 429, "Execution failed: the stage is closed", id="another-reason"),
    ],
)
def test_failures_are_told_at_the_level_error(
    members: dict[str, Any], status: int, expected: str
) -> None:
    """At the level ERROR only the failure is told, with its cause. Rule 9.07."""
    told = story(facts(LoggingLevel.ERROR, **members), status, reason="the stage is closed")

    assert told == [expected]


def test_refused_handshake_never_starts_to_execute() -> None:
    """A handshake that ends at the authorizer tells of no integration."""
    ended = facts(authorizer=PhaseFacts(status=401, error="Unauthorized"), authorizer_id="auth01")

    told = story(ended, 401)

    assert told == [
        f"Extended Request Id: {ID}",
        f"Starting authorizer: auth01 for request: {ID}",
        f"Unauthorized request: {ID}",
        "Gateway response type: UNAUTHORIZED with status code: 401",
    ]


@pytest.mark.parametrize(
    ("level", "status"),
    [
        pytest.param(LoggingLevel.OFF, 500, id="off"),
        pytest.param(LoggingLevel.ERROR, 200, id="error-and-no-failure"),
    ],
)
def test_nothing_to_tell_gives_no_line(level: LoggingLevel, status: int) -> None:
    """A route that logs nothing, and a success at the level ERROR, write nothing. Rule 9.07."""
    told = story(facts(level, integration=CALLED), status, reason="something")

    assert told == []


def test_data_trace_shows_payloads_without_credentials() -> None:
    """Payloads are told with data trace only; what carries credentials is starred out."""
    token = "eyJhbGciOiJIUzI1NiJ9.secret"
    event = {
        "headers": {"Authorization": f"Bearer {token}", "Host": "example.org"},
        "multiValueHeaders": {"X-API-Key": [token, "short"]},
        "queryStringParameters": {"token": token, "room": "blue"},
        "multiValueQueryStringParameters": None,
        "body": "hello",
    }
    traced: dict[str, Any] = {"sent": json.dumps(event).encode(), "received": b'{"statusCode":200}'}

    with_payloads = story(facts(data_trace=True, integration=CALLED, **traced), 200)
    without = story(facts(integration=CALLED, **traced), 200)

    shown = next(each for each in with_payloads if "request body" in each)
    assert token not in "".join(with_payloads)
    assert json.loads(shown.partition(": ")[2]) == {
        "headers": {"Authorization": redacted(f"Bearer {token}"), "Host": "example.org"},
        "multiValueHeaders": {"X-API-Key": [redacted(token), "*****"]},
        "queryStringParameters": {"token": redacted(token), "room": "blue"},
        "multiValueQueryStringParameters": None,
        "body": "hello",
    }
    assert 'Endpoint response body before transformations: {"statusCode":200}' in with_payloads
    assert not [each for each in without if "body" in each]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("short", "*****", id="short"),
        pytest.param("123456789012", "************", id="twelve"),
        pytest.param("1234567890123", "*******890123", id="long"),
    ],
)
def test_secrets_show_at_most_their_end(value: str, expected: str) -> None:
    """A long secret shows its last six characters, a short one nothing."""
    assert redacted(value) == expected


@pytest.mark.parametrize("character", ["a", "ä", "😀"])
def test_long_lines_are_cut(character: str) -> None:
    """A text above 1024 bytes is cut, between characters, and says so. Rule 9.08."""
    ended = facts(integration=PhaseFacts(error=character * 2000))

    told = next(each for each in story(ended, 500) if "TRUNCATED" in each)

    text = told.removesuffix(" [TRUNCATED]")
    assert set(text) == {character}
    assert EVENT_MAX_BYTES - 4 < len(text.encode()) <= EVENT_MAX_BYTES
