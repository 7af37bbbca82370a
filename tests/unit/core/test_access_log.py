"""Access log formats become lines."""

import json

import pytest

from socketstack.core.access_log import line, unknown_variables

VARIABLES = {
    "requestId": "FDmBJ=",
    "identity.sourceIp": "203.0.113.9",
    "requestTime": "27/Jan/2025:16:39:47 +0000",
    "eventType": "CONNECT",
    "routeKey": "$connect",
    "status": "200",
    "connectionId": "FDmBI=",
}
CLF = (
    "$context.identity.sourceIp $context.identity.caller $context.identity.user "
    '[$context.requestTime] "$context.eventType $context.routeKey $context.connectionId" '
    "$context.status $context.requestId"
)
JSON = (
    '{"requestId":"$context.requestId", "ip": "$context.identity.sourceIp", '
    '"caller":"$context.identity.caller", "requestTime":"$context.requestTime", '
    '"eventType":"$context.eventType", "routeKey":"$context.routeKey", '
    '"status":"$context.status", "connectionId":"$context.connectionId"}'
)
XML = (
    '<request id="$context.requestId"> <ip>$context.identity.sourceIp</ip> '
    "<user>$context.identity.user</user> <eventType>$context.eventType</eventType> "
    "<routeKey>$context.routeKey</routeKey> <status>$context.status</status> </request>"
)
CSV = (
    "$context.identity.sourceIp,$context.identity.caller,$context.identity.user,"
    "$context.requestTime,$context.eventType,$context.routeKey,$context.connectionId,"
    "$context.status,$context.requestId"
)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        pytest.param(
            CLF,
            '203.0.113.9 - - [27/Jan/2025:16:39:47 +0000] "CONNECT $connect FDmBI=" 200 FDmBJ=',
            id="clf",
        ),
        pytest.param(
            JSON,
            '{"requestId":"FDmBJ=", "ip": "203.0.113.9", "caller":"-", '
            '"requestTime":"27/Jan/2025:16:39:47 +0000", "eventType":"CONNECT", '
            '"routeKey":"$connect", "status":"200", "connectionId":"FDmBI="}',
            id="json",
        ),
        pytest.param(
            XML,
            '<request id="FDmBJ="> <ip>203.0.113.9</ip> <user>-</user> '
            "<eventType>CONNECT</eventType> <routeKey>$connect</routeKey> "
            "<status>200</status> </request>",
            id="xml",
        ),
        pytest.param(
            CSV,
            "203.0.113.9,-,-,27/Jan/2025:16:39:47 +0000,CONNECT,$connect,FDmBI=,200,FDmBJ=",
            id="csv",
        ),
    ],
)
def test_formats_of_the_console_are_filled(layout: str, expected: str) -> None:
    """Each format that the console offers gives its line. Rule 9.04."""
    written = line(layout, VARIABLES)

    assert written == expected


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        pytest.param("$context.requestId", "FDmBJ=", id="alone"),
        pytest.param("$context.requestId.", "FDmBJ=.", id="full-stop-after"),
        pytest.param("$context.status$context.status", "200200", id="side-by-side"),
        pytest.param("$context.status-$context.eventType", "200-CONNECT", id="hyphen-between"),
        pytest.param("no variable", "no variable", id="none"),
        pytest.param("$context", "$context", id="no-name"),
        pytest.param("$contextual.requestId", "$contextual.requestId", id="another-word"),
        pytest.param("${context.requestId}", "${context.requestId}", id="braces"),
        pytest.param("$context.requestId\n", "FDmBJ=\n", id="line-end"),
        pytest.param("$context.nothing", "-", id="unknown"),
        pytest.param("$context.messageId", "-", id="without-value"),
        pytest.param("$context.authorizer.tenant", "-", id="authorizer-without-value"),
    ],
)
def test_variables_are_found_wherever_they_stand(layout: str, expected: str) -> None:
    """A variable is replaced by its value or a hyphen; the rest stays as it is. Rule 9.04."""
    written = line(layout, VARIABLES)

    assert written == expected


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        pytest.param("$context.authorizer.tenant-id", "authorizer.tenant-id", id="hyphen"),
        pytest.param("$context.authorizer.a.b", "authorizer.a.b", id="full-stop"),
        pytest.param("$context.authorizer.snake_case", "authorizer.snake_case", id="underscore"),
    ],
)
def test_authorizer_context_may_have_any_name(layout: str, name: str) -> None:
    """What an authorizer returned is logged by the name it gave. Rule 9.02."""
    written = line(f"{layout} end", {name: "acme"})

    assert written == "acme end"


def test_client_cannot_break_a_json_line_apart() -> None:
    """Quotes, backslashes and line ends in values are escaped, so the line stays one object."""
    agent = 'x", "status":"200\\\n'
    variables = {"identity.userAgent": agent, "requestId": "FDmBJ="}

    written = line('{"agent":"$context.identity.userAgent"}', variables)

    assert json.loads(written) == {"agent": agent}
    assert "\n" not in written


def test_value_is_never_read_as_a_format() -> None:
    """A value that looks like a variable is written as it is: no second round."""
    variables = {"identity.userAgent": "$context.status", "status": "200"}

    written = line("$context.identity.userAgent", variables)

    assert written == "$context.status"


def test_quoted_error_message_keeps_its_quotes() -> None:
    """The quoted form of an error's message stands in a format without quotes. Rule 9.02."""
    written = line('{"m":$context.error.messageString}', {"error.messageString": '"Forbidden"'})

    assert json.loads(written) == {"m": "Forbidden"}


def test_unknown_variables_are_named_once() -> None:
    """Variables of REST APIs are told apart from those that WebSocket APIs have. Rule 9.02."""
    layout = (
        "$context.httpMethod $context.httpMethod $context.resourcePath $context.requestId "
        "$context.authorizer.anything $context.integration.latency $context.waf.status"
    )

    unknown = unknown_variables(layout)

    assert unknown == ("httpMethod", "resourcePath")
