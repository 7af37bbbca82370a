"""Values in templates: Java's texts and methods."""

import re
from typing import Any

import pytest

from socketstack.mapping import java


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, "null", id="null"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param(7, "7", id="int"),
        pytest.param(10**5000, "1" + "0" * 5000, id="huge"),
        pytest.param(1.5, "1.5", id="double"),
        pytest.param(0.0, "0.0", id="zero"),
        pytest.param(12345678.9, "1.23456789E7", id="large-double"),
        pytest.param(1e21, "1.0E21", id="larger-double"),
        pytest.param(0.0001, "1.0E-4", id="small-double"),
        pytest.param(float("inf"), "Infinity", id="infinity"),
        pytest.param(float("-inf"), "-Infinity", id="minus-infinity"),
        pytest.param(float("nan"), "NaN", id="nan"),
        pytest.param([1, "a", [True]], "[1, a, [true]]", id="list"),
        pytest.param({"a": None, "b": {"c": 1}}, "{a=null, b={c=1}}", id="map"),
        pytest.param(java.from_json({"a": ["x", {"y": 1}]}), '{a=["x",{"y":1}]}', id="json"),
        pytest.param(object(), "", id="anything-else"),
    ],
)
def test_text_is_that_of_java(value: Any, expected: str) -> None:
    """A value is written as Java's classes do. 5.50."""
    assert java.text(value) == expected


@pytest.mark.parametrize(
    ("value", "method", "arguments", "expected"),
    [
        pytest.param("it\\'s", "replaceAll", ["\\\\'", "'"], "it's", id="escaped-quotes"),
        pytest.param("a-b", "replaceAll", ["(\\w)-(\\w)", "$2+$1"], "b+a", id="groups"),
        pytest.param("a.b", "replaceAll", ["\\.", "\\$"], "a$b", id="escaped-dollar"),
        pytest.param("ab", "replaceAll", ["(?<x>a)", "[${x}]"], "[a]b", id="named-group"),
        pytest.param("aa", "replaceFirst", ["a", "b"], "ba", id="first"),
        pytest.param("a.a", "replace", [".", "-"], "a-a", id="plain"),
        pytest.param("a,b,,", "split", [","], ["a", "b"], id="split"),
        pytest.param("a,b,c", "split", [",", 2], ["a", "b,c"], id="split-limit"),
        pytest.param("", "split", [","], [""], id="split-empty"),
        pytest.param("abc", "substring", [1], "bc", id="substring"),
        pytest.param("abc", "substring", [1, 2], "b", id="substring-end"),
        pytest.param("abc", "indexOf", ["z"], -1, id="index-of-nothing"),
        pytest.param("abca", "lastIndexOf", ["a"], 3, id="last-index"),
        pytest.param("abc", "matches", ["ab"], False, id="matches-whole"),
        pytest.param("ab", "contains", ["b"], True, id="contains"),
        pytest.param("Ab", "equalsIgnoreCase", ["aB"], True, id="ignore-case"),
        pytest.param("1", "equals", [1], False, id="equals-kind"),
        pytest.param(" a ", "trim", [], "a", id="trim"),
        pytest.param("a", "toUpperCase", [], "A", id="upper"),
        pytest.param("a", "concat", ["b"], "ab", id="concat"),
        pytest.param("ab", "charAt", [1], "b", id="char"),
        pytest.param("b", "compareTo", ["a"], 1, id="compare"),
        pytest.param("ab", "startsWith", ["a"], True, id="starts"),
        pytest.param("ab", "endsWith", ["a"], False, id="ends"),
        pytest.param("", "isEmpty", [], True, id="empty"),
        pytest.param([1, 2], "contains", [2], True, id="list-contains"),
        pytest.param([1, 2], "indexOf", [3], -1, id="list-index"),
        pytest.param([1, 2, 3], "subList", [1, 2], [2], id="sub-list"),
        pytest.param([], "isEmpty", [], True, id="list-empty"),
        pytest.param({"a": 1}, "containsKey", ["a"], True, id="key"),
        pytest.param({"a": 1}, "containsValue", [2], False, id="value"),
        pytest.param({"a": 1}, "getOrDefault", ["b", 2], 2, id="default"),
        pytest.param({"a": 1}, "values", [], [1], id="values"),
        pytest.param({"a": 1}, "isEmpty", [], False, id="map-empty"),
        pytest.param(7, "toString", [], "7", id="to-string"),
        pytest.param(7, "equals", [7.0], True, id="number-equals"),
        pytest.param(7.9, "intValue", [], 7, id="int-value"),
        pytest.param(1, "compareTo", [2], -1, id="number-compare"),
        pytest.param("a", "nosuch", [], None, id="no-such-method"),
        pytest.param(None, "toString", [], None, id="nothing"),
    ],
)
def test_method_gives_what_java_gives(
    value: Any, method: str, arguments: list[Any], expected: Any
) -> None:
    """Methods people call in templates work; others do not exist. 5.50."""
    assert java.call(value, method, arguments) == expected


def test_collections_change_in_place() -> None:
    """Methods that change a list or map return what Java's do, and change it."""
    numbers: list[Any] = [1, 2]
    members: dict[str, Any] = {"a": 1}

    results = [
        java.call(numbers, "add", [3]),
        java.call(numbers, "set", [0, 9]),
        java.call(numbers, "remove", [1]),
        java.call(numbers, "addAll", [["x"]]),
        java.call(numbers, "remove", ["x"]),
        java.call(numbers, "remove", ["x"]),
        java.call(members, "put", ["a", 2]),
        java.call(members, "putAll", [{"b": 3}]),
        java.call(members, "remove", ["a"]),
    ]

    assert results == [True, 1, 2, True, True, False, 1, None, 2]
    assert (numbers, members) == ([9, 3], {"b": 3})


@pytest.mark.parametrize(
    ("value", "method", "arguments"),
    [
        pytest.param("a", "charAt", [5], id="char"),
        pytest.param([], "get", [0], id="get"),
        pytest.param([1], "get", ["0"], id="no-number"),
        pytest.param("abc", "substring", [2, 1], id="substring"),
        pytest.param("a", "matches", ["("], id="pattern"),
    ],
)
def test_wrong_argument_raises(value: Any, method: str, arguments: list[Any]) -> None:
    """Where Java throws, the template fails."""
    with pytest.raises((IndexError, re.error)):
        java.call(value, method, arguments)


@pytest.mark.parametrize(
    ("name", "left", "right", "expected"),
    [
        pytest.param("+", "a", 1, "a1", id="concatenation"),
        pytest.param("+", 1, 2, 3, id="sum"),
        pytest.param("+", None, 2, None, id="null"),
        pytest.param("-", "a", 2, None, id="text"),
        pytest.param("/", 7, -2, -3, id="division"),
        pytest.param("/", 7, 0, None, id="by-zero"),
        pytest.param("/", 7.0, 2, 3.5, id="double"),
        pytest.param("%", -7, 3, -1, id="remainder"),
        pytest.param("%", 7.5, 2, 1.5, id="double-remainder"),
        pytest.param("%", 1, 0, None, id="remainder-zero"),
        pytest.param("==", [1], [1], True, id="lists"),
        pytest.param("!=", {"a": 1}, {"a": 2}, True, id="maps"),
    ],
)
def test_operators_are_those_of_velocity(name: str, left: Any, right: Any, expected: Any) -> None:
    """Arithmetic on what is no number gives nothing; a text makes + join."""
    assert java.OPERATORS[name](left, right) == expected


def test_getter_of_emptiness() -> None:
    """`.empty` is the getter behind isEmpty(), as in Velocity."""
    assert java.member([], "empty") is True
    assert java.member("a", "length") is None
