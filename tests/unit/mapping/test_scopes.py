"""$input and $util."""

import json
from typing import Any

import pytest

from socketstack.mapping.scopes import BadInput, escape_javascript, input_scope, util_scope


def called(name: str, *arguments: Any) -> Any:
    """A function of $util."""
    return util_scope().methods[name](*arguments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("it's", "it\\'s", id="single-quote"),
        pytest.param('"', '\\"', id="double-quote"),
        pytest.param("a/b\\c", "a\\/b\\\\c", id="slashes"),
        pytest.param("\n\r\t\b\f", "\\n\\r\\t\\b\\f", id="short"),
        pytest.param("\x01é", "\\u0001\\u00E9", id="codes"),
        pytest.param("😀", "\\uD83D\\uDE00", id="two-halves"),
        pytest.param("plain ~", "plain ~", id="plain"),
    ],
)
def test_javascript_is_escaped_as_java_does(text: str, expected: str) -> None:
    """Single quotes are escaped as well; everything but ASCII is a code. 5.50."""
    assert escape_javascript(text) == expected


def test_escaped_text_without_single_quotes_is_json() -> None:
    """What is escaped and freed of escaped single quotes is a JSON text again."""
    text = 'it\'s "a"\n/é😀'

    escaped = escape_javascript(text).replace("\\'", "'")

    assert json.loads(f'"{escaped}"') == text


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        pytest.param("urlEncode", "a b&c=ü*~", "a+b%26c%3D%C3%BC*%7E", id="url-encode"),
        pytest.param("urlDecode", "a+b%26", "a b&", id="url-decode"),
        pytest.param("base64Encode", "ü", "w7w=", id="base64-encode"),
        pytest.param("base64Decode", "w7w=", "ü", id="base64-decode"),
        pytest.param("parseJson", '{"a": [1]}', {"a": [1]}, id="parse"),
        pytest.param("escapeJavaScript", {"a": 1}, "{a=1}", id="escape-object"),
    ],
)
def test_util_has_the_documented_functions(name: str, argument: Any, expected: Any) -> None:
    """The six functions of $util. 5.50."""
    assert called(name, argument) == expected


@pytest.mark.parametrize(("name", "argument"), [("parseJson", "{"), ("base64Decode", "ä")])
def test_util_refuses_what_it_cannot_read(name: str, argument: str) -> None:
    """Text that is not what it should be fails the template."""
    with pytest.raises(BadInput):
        called(name, argument)


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        pytest.param("", "$", "{}", id="empty-body"),
        pytest.param("plain", "$", '"plain"', id="text-body"),
        pytest.param("[1]", "$[0]", "1", id="array-body"),
        pytest.param('{"a":1.5}', "$.a", "1.5", id="number"),
        pytest.param('{"a":null}', "$.a", "null", id="null"),
        pytest.param('{"a":"é\\""}', "$.a", '"é\\""', id="text"),
    ],
)
def test_json_gives_json_text(body: str, path: str, expected: str) -> None:
    """$input.json gives a part of the body as JSON. 5.50."""
    assert input_scope(body, {}).methods["json"](path) == expected


def test_params_looks_in_path_query_and_headers() -> None:
    """$input.params finds by name, headers in any case, and gives all without one. 5.51."""
    given = {"path": {}, "querystring": {"a": "q"}, "header": {"A": "h", "X-B": "b"}}
    params = input_scope("", given).methods["params"]

    assert [params("a"), params("A"), params("x-b"), params("none")] == ["q", "h", "b", ""]
    assert params() == given
