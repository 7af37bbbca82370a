import json

import pytest

from socketstack.core.expressions import MISSING, as_text, parse
from socketstack.core.model import Json
from socketstack.errors import ExpressionError

_BODY: Json = {
    "action": "join",
    "service": "chat",
    "nested": {"deep": {"er": "found"}, "with.dot": "dotted", "with space": "spaced"},
    "items": ["a", {"name": "b"}],
    "tags": ["x", 1, True, None],
    "object": {"a": 1, "b": ["c"]},
    "number": 1,
    "fraction": 2.5,
    "flag": True,
    "off": False,
    "nothing": None,
    "empty": "",
    "reserved": "$default",
    "expression": "$request.body.action",
}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("$request.body.action", "join", id="plain"),
        pytest.param("${request.body.action}", "join", id="braces"),
        pytest.param("$request.body.nested.deep.er", "found", id="nested"),
        pytest.param("$request.body['nested']['with.dot']", "dotted", id="single-quotes"),
        pytest.param('$request.body.nested["with space"]', "spaced", id="double-quotes"),
        pytest.param("$request.body.items[1].name", "b", id="index"),
        pytest.param("$request.body.items[2]", None, id="index-too-high"),
        pytest.param("$request.body.items.name", None, id="name-in-array"),
        pytest.param("$request.body.nested[0]", None, id="index-in-object"),
        pytest.param("$request.body.action.more", None, id="beyond-text"),
        pytest.param("$request.body.absent", None, id="absent"),
        pytest.param("$request.body.nothing", None, id="null"),
        pytest.param("$request.body.empty", "", id="empty-text"),
        pytest.param("$request.body.number", "1", id="number"),
        pytest.param("$request.body.fraction", "2.5", id="fraction"),
        pytest.param("$request.body.flag", "true", id="true"),
        pytest.param("$request.body.off", "false", id="false"),
        pytest.param("$request.body.tags", "[x, 1, true, null]", id="array"),
        pytest.param("$request.body.object", "{a=1, b=[c]}", id="object"),
        pytest.param("$request.body.reserved", "$default", id="selects-default"),
        pytest.param("$request.body.expression", "$request.body.action", id="evaluated-once"),
        pytest.param("${request.body.service}/${request.body.action}", "chat/join", id="joined"),
        pytest.param("${request.body.absent}/${request.body.action}", "/join", id="part-missing"),
        pytest.param("v1-${request.body.action}!", "v1-join!", id="literal-around"),
        pytest.param("constant", "constant", id="constant"),
        pytest.param(r"\$default", "$default", id="escaped-default"),
        pytest.param("$default", "$default", id="bare-default"),
        pytest.param(r"\$${request.body.action}", "$join", id="escape-then-variable"),
    ],
)
def test_expression_gives_the_documented_text(text: str, key: str | None) -> None:
    """An expression gives the text that the developer guide describes."""
    expression = parse(text)

    evaluated = expression.evaluate(_BODY)

    assert evaluated == key


@pytest.mark.parametrize(
    ("text", "is_constant"),
    [
        pytest.param("chat", True, id="literal"),
        pytest.param(r"\$default", True, id="escaped"),
        pytest.param("$request.body.a", False, id="variable"),
        pytest.param("a/${request.body.a}", False, id="joined"),
    ],
)
def test_constants_are_known(text: str, is_constant: bool) -> None:  # noqa: FBT001
    """An expression without a variable knows that it is a constant."""
    expression = parse(text)

    assert expression.is_constant is is_constant


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("constant", "constant", id="constant"),
        pytest.param("$request.body.action", None, id="variable"),
        pytest.param("${request.body.a}/${request.body.b}", None, id="joined"),
        pytest.param("a-${context.routeKey}-b", "a--b", id="joined-without-body"),
    ],
)
def test_missing_body_gives_nothing_that_needs_it(text: str, key: str | None) -> None:
    """Without a JSON message only what needs no message gives a text."""
    expression = parse(text)

    assert expression.evaluate(MISSING) == key


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("$request.header.x-api-key", "k1", id="header"),
        pytest.param("$request.header.X-API-Key", "k1", id="header-case"),
        pytest.param("$request.header.absent", None, id="header-absent"),
        pytest.param("$context.authorizer.usageIdentifierKey", "k2", id="context"),
        pytest.param("${stageVariables.color}", "blue", id="stage-variable"),
        pytest.param("$request.basepath", "v1", id="base-path"),
        pytest.param("${integration.response.statuscode}", "200", id="status-code"),
        pytest.param("${integration.response.header.Content-Type}", "text/plain", id="response"),
        pytest.param("${integration.response.multivalueheader.a}", None, id="no-such-source"),
        pytest.param("${integration.response.body.errorMessage}", "bad", id="response-body"),
    ],
)
def test_variables_read_the_sources_that_are_passed(text: str, value: str | None) -> None:
    """Variables other than the message read the sources of the caller."""
    sources: dict[str, Json] = {
        "request": {"header": {"X-Api-Key": "k1"}, "basepath": "v1"},
        "context": {"authorizer": {"usageIdentifierKey": "k2"}},
        "stageVariables": {"color": "blue"},
        "integration": {
            "response": {
                "statuscode": 200,
                "header": {"content-type": "text/plain"},
                "body": {"errorMessage": "bad"},
            }
        },
    }

    evaluated = parse(text).evaluate(MISSING, sources)

    assert evaluated == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("$request.body", "stops at", id="no-path"),
        pytest.param("$request.body.", "cannot be read at '.'", id="path-ends-in-dot"),
        pytest.param("$request.body.a..b", "cannot be read at '..b'", id="deep-scan"),
        pytest.param("$request.body.a[*]", "cannot be read at '[*]'", id="wildcard"),
        pytest.param("$request.body.a/$request.body.b", "in ${}", id="joined-without-braces"),
        pytest.param("$request.querystring.token", "no variable", id="query-string"),
        pytest.param("$request.bodyaction", "cannot be read", id="no-dot"),
        pytest.param("$nothing", "no variable", id="unknown"),
        pytest.param("$", "no variable", id="lone-dollar"),
        pytest.param("${request.body.a", "stray", id="unclosed"),
        pytest.param("a$b", "stray", id="dollar-in-literal"),
        pytest.param("a}b", "stray", id="brace-in-literal"),
        pytest.param("a\\", "stray", id="backslash-at-the-end"),
        pytest.param("${integration.response.statuscode.x}", "beyond", id="beyond-a-number"),
    ],
)
def test_unreadable_expression_is_refused_with_its_reason(text: str, part: str) -> None:
    """An expression that cannot be read is refused, and the reason names the part."""
    with pytest.raises(ExpressionError) as refusal:
        parse(text)

    assert part in str(refusal.value)


def test_same_text_is_parsed_once() -> None:
    """Parsing the same text again gives the same object."""
    first = parse("$request.body.cached")

    assert parse("$request.body.cached") is first


def test_deeply_nested_value_becomes_text() -> None:
    """A value that nests deeper than Python's stack still becomes text."""
    value: Json = []
    for _ in range(50_000):
        value = [value]

    text = as_text(value)

    assert text == "[" * 50_001 + "]" * 50_001


def test_enormous_number_becomes_text() -> None:
    """A number with more digits than Python likes to print still becomes text."""
    number = 10**5000

    text = as_text(number)

    assert text == "1" + "0" * 5000


def test_header_names_with_dots_are_found() -> None:
    """A header whose name has a dot is found as one name."""
    sources: dict[str, Json] = json.loads('{"request": {"header": {"x.y": "z"}}}')

    assert parse("$request.header.x.y").evaluate(MISSING, sources) == "z"
