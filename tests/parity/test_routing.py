"""Which route takes a message, and the frame for those that none takes."""

import json
import re
from typing import Any

import pytest
from parity.account import Account, Function, Stage
from parity.apis import ApiBuilder, Route
from parity.cases import case
from parity.sockets import TEXT, RawClient, connect, error_frame, frame

rule = pytest.mark.rule


@pytest.fixture(scope="module")
def strict_api(account: Account, worker: Function) -> ApiBuilder:
    """An API without ``$default``."""
    return ApiBuilder(account, "strict").add(Route(key="known", function=worker, is_two_way=True))


@pytest.fixture(scope="module")
def strict(strict_api: ApiBuilder) -> Stage:
    """Its stage."""
    return strict_api.deploy()


@pytest.mark.parametrize(
    ("message", "key"),
    [
        case("5.01", "by-name", '{"action":"echo"}', "echo"),
        case("5.01", "more-members", '{"a":[1],"action":"echo","z":null}', "echo"),
        case("5.01 5.02", "other-case", '{"action":"ECHO"}', "$default"),
        case("5.01", "upper-case", '{"action":"Case"}', "Case"),
        case("5.02", "unknown", '{"action":"nosuch"}', "$default"),
        case("5.02", "space", '{"action":"echo "}', "$default"),
        case("5.03", "words", "hello there", "$default"),
        case("5.03", "broken-json", '{"action":"echo"', "$default"),
        case("5.04", "member-missing", '{"act":"echo"}', "$default"),
        case("5.04", "member-deeper", '{"x":{"action":"echo"}}', "$default"),
        case(
            "5.13", "expression-in-a-value", '{"action":"$request.body.x","x":"echo"}', "$default"
        ),
        case("5.14", "array", '{"action":["a","b"]}', "[a, b]"),
        case("5.15", "number", '{"action":7}', "7"),
        case("5.15", "boolean", '{"action":true}', "true"),
        case("5.16", "empty", "", "$default"),
        case("5.17", "json-text", '"echo"', "$default"),
        case("5.17", "json-number", "7", "$default"),
        case("5.17", "json-null", "null", "$default"),
        case("5.17", "json-list", '[{"action":"echo"}]', "$default"),
        case("5.18", "default-by-name", '{"action":"$default"}', "$default"),
        case("5.23", "beyond-ascii", "\U0001f600 \u00e4", "$default"),
    ],
)
def test_message_goes_to_its_route(account: Account, chat: Stage, message: str, key: str) -> None:
    """The evaluated expression chooses, and the function gets the text unchanged."""
    with connect(account, chat) as client:
        event = client.event(message)

    assert event["requestContext"]["routeKey"] == key
    assert event["body"] == message


EXPRESSIONS = [
    case("5.07", "nested", "$request.body.a.b", {"a": {"b": "hit"}}, {"a": "hit", "b": "hit"}),
    case("5.08", "braces", "${request.body.kind}", {"kind": "hit"}, {"action": "hit"}),
    case(
        "5.09",
        "joined",
        "${request.body.service}/${request.body.kind}",
        {"service": "a", "kind": "b"},
        {"service": "a", "kind": "c"},
    ),
    case("5.10", "missing-part", "${request.body.x}hit", {"y": 1}, {"x": "y"}),
    case("5.11", "constant", "hit", {"action": "other"}, None),
    case("5.12", "constant-default", "\\$default", {"action": "hit"}, None),
]


@pytest.mark.parametrize(("expression", "hit", "miss"), EXPRESSIONS)
def test_expression_chooses_the_route(
    account: Account,
    worker: Function,
    expression: str,
    hit: dict[str, Any],
    miss: dict[str, Any] | None,
) -> None:
    """Each form that the developer guide names leads where it says."""
    key = "a/b" if "/" in expression else "hit"
    builder = ApiBuilder(account, "expression", expression).add(
        Route(key=key, function=worker, is_two_way=True),
        Route(key="$default", function=worker, is_two_way=True),
    )
    stage = builder.deploy()

    with connect(account, stage) as client:
        taken = client.event(**hit)["requestContext"]["routeKey"]
        missed = client.event(**(miss or hit))["requestContext"]["routeKey"]

    assert taken == ("$default" if "$default" in expression else key)
    assert missed == ("$default" if miss else taken)


# No route


@rule("5.05", "5.44", "5.45", "10.01", "10.02", "2.42")
def test_message_without_route_gets_the_forbidden_frame(account: Account, strict: Stage) -> None:
    """The frame is right to the last space, its request id is new, and the socket stays."""
    with connect(account, strict) as client:
        first, second = client.ask("hello"), client.ask('{"action":"nosuch"}')
        known = client.event(action="known")

    connection_id = re.escape(known["requestContext"]["connectionId"])
    found = [
        re.fullmatch(error_frame("Forbidden", connection_id), each) for each in (first, second)
    ]
    assert found[0], first
    assert found[1], second
    assert found[0][1] != found[1][1]


@rule("5.43")
def test_error_frame_is_text(account: Account, strict: Stage) -> None:
    """Its opcode is that of text, in one frame."""
    with RawClient.connect(account, strict) as client:
        client.send(frame(TEXT, b"hello"))
        got = client.receive()

    assert (got.opcode, got.is_final) == (TEXT, True)
    assert json.loads(got.payload)["message"] == "Forbidden"


@rule("5.06", "1.78")
def test_route_that_is_not_deployed_counts_as_none(
    account: Account, strict: Stage, strict_api: ApiBuilder, worker: Function
) -> None:
    """Until the next deployment there is no such route."""
    strict_api.add(Route(key="not-yet", function=worker, is_two_way=True))

    with connect(account, strict) as client:
        answer = client.ask('{"action":"not-yet"}')

    assert json.loads(answer).get("message") == "Forbidden"


@rule("1.81", "10.17")
def test_open_connection_meets_the_new_deployment(
    account: Account, strict: Stage, strict_api: ApiBuilder, worker: Function
) -> None:
    """A socket that is open while the stage moves finds the new route."""
    with connect(account, strict) as client:
        strict_api.add(Route(key="late", function=worker, is_two_way=True))
        strict_api.redeploy()

        def taken() -> str | None:
            answer = client.ask('{"action":"late"}')
            return answer if "requestContext" in answer else None

        after = account.eventually(taken, "route of the new deployment")

    assert json.loads(after)["requestContext"]["routeKey"] == "late"


@rule("1.78")
def test_changed_expression_waits_for_a_deployment(account: Account, worker: Function) -> None:
    """Settings of the API are frozen as its routes are."""
    builder = ApiBuilder(account, "frozen").add(
        Route(key="one", function=worker, is_two_way=True),
        Route(key="$default", function=worker, is_two_way=True),
    )
    stage = builder.deploy()
    account.gateway.update_api(ApiId=builder.api_id, RouteSelectionExpression="$request.body.kind")

    with connect(account, stage) as client:
        event = client.event(action="one", kind="two")

    assert event["requestContext"]["routeKey"] == "one"
