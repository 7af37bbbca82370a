"""Values in templates as Java has them: their texts, their truth, and the methods people use.

JSON objects are maps, JSON arrays lists. An array that came from JSON writes itself as JSON, one
that a template made as ``[a, b]``, as the classes behind them do on AWS. A method that is not in
the tables below does not exist.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

Method = Callable[..., Any]


class JsonArray(list[Any]):
    """An array that was read from JSON."""


def from_json(value: Any) -> Any:
    """A parsed JSON value, with arrays that write themselves as JSON."""
    if isinstance(value, dict):
        return {name: from_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return JsonArray(from_json(item) for item in value)
    return value


def to_json(value: Any) -> str:
    """A value as JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text)


def text(value: Any) -> str:
    """A value as ``toString`` writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return _container(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(Decimal(value))  # str(int) raises above 4300 digits
    return _double(value) if isinstance(value, float) else ""


def _container(value: dict[Any, Any] | list[Any]) -> str:
    if isinstance(value, JsonArray):
        return to_json(value)
    if isinstance(value, list):
        return f"[{', '.join(map(text, value))}]"
    entries = (f"{text(name)}={text(item)}" for name, item in value.items())
    return f"{{{', '.join(entries)}}}"


def truth(value: Any) -> bool:
    """Whether a condition holds: only ``false`` does not."""
    return value is not False


def member(value: Any, name: str) -> Any:
    """``$value.name``: a map's entry, or a getter."""
    if isinstance(value, dict):
        return value.get(name)
    if name == "empty":
        return call(value, "isEmpty", [])
    return None


def call(value: Any, name: str, arguments: list[Any]) -> Any:
    """``$value.name(...)``; None when there is no such method.

    Raises whatever the method raises, which fails the template.
    """
    method = _methods_of(value).get(name) or _OF_ALL.get(name)
    if value is None or method is None:
        return None
    return method(value, *arguments)


def _double(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:  # noqa: PLR2004 - Java's own bounds
        return repr(value)
    digits, exponent = f"{Decimal(repr(value)):E}".split("E")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}{'' if '.' in digits else '.0'}E{int(exponent)}"


# Operators


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    """Numbers by value, maps and lists by content, different kinds by their text."""
    if _number(left) and _number(right):
        return bool(left == right)
    if isinstance(left, dict | list) and type(left) is type(right):
        return bool(left == right)
    return text(left) == text(right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Method:
    return lambda left, right: bool(_number(left) and _number(right) and compare(left, right))


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return text(left) + text(right)
    return left + right if _number(left) and _number(right) else None


def _arithmetic(calculate: Callable[[Any, Any], Any]) -> Method:
    return lambda left, right: calculate(left, right) if _number(left) and _number(right) else None


def _divided(left: Any, right: Any) -> Any:
    if right == 0:
        return None
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


def _remainder(left: Any, right: Any) -> Any:
    if right == 0:
        return None
    if isinstance(left, int) and isinstance(right, int):
        return left - right * _divided(left, right)
    return math.fmod(left, right)


_LESS: Final = _ordered(lambda left, right: left < right)
_LESS_OR_EQUAL: Final = _ordered(lambda left, right: left <= right)
_GREATER: Final = _ordered(lambda left, right: left > right)
_GREATER_OR_EQUAL: Final = _ordered(lambda left, right: left >= right)


def _differ(left: Any, right: Any) -> bool:
    return not _equal(left, right)


def _both(left: Any, right: Any) -> bool:
    return truth(left) and truth(right)


def _either(left: Any, right: Any) -> bool:
    return truth(left) or truth(right)


OPERATORS: Final[Mapping[str, Method]] = {
    "<": _LESS,
    "lt": _LESS,
    "<=": _LESS_OR_EQUAL,
    "le": _LESS_OR_EQUAL,
    ">": _GREATER,
    "gt": _GREATER,
    ">=": _GREATER_OR_EQUAL,
    "ge": _GREATER_OR_EQUAL,
    "==": _equal,
    "eq": _equal,
    "!=": _differ,
    "ne": _differ,
    "&&": _both,
    "and": _both,
    "||": _either,
    "or": _either,
    "+": _add,
    "-": _arithmetic(lambda left, right: left - right),
    "*": _arithmetic(lambda left, right: left * right),
    "/": _arithmetic(_divided),
    "%": _arithmetic(_remainder),
}


# Methods


def _index(values: list[Any] | str, index: Any) -> int:
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(values):
        raise IndexError(f"index {text(index)} is out of bounds for length {len(values)}")
    return index


def _substring(value: str, begin: int, end: int | None = None) -> str:
    end = len(value) if end is None else end
    if not 0 <= begin <= end <= len(value):
        raise IndexError(f"begin {begin}, end {end}, length {len(value)}")
    return value[begin:end]


_REPLACEMENT: Final = re.compile(r"\\(.)|\$(\d)|\$\{(\w+)\}", re.DOTALL)


def _replacement(template: str) -> Callable[[re.Match[str]], str]:
    """Java's replacement text: ``$1`` is a group, a backslash makes the next character plain."""

    def expand(found: re.Match[str]) -> str:
        return _REPLACEMENT.sub(
            lambda part: (
                part[1]
                if part[1] is not None
                else found[int(part[2])] or ""
                if part[2] is not None
                else found[part[3]] or ""
            ),
            template,
        )

    return expand


def _pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression; possessive and named groups are written as Python has them."""
    return re.compile(
        pattern.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    )


def _split(value: str, pattern: str, limit: int = 0) -> list[str]:
    parts = [part or "" for part in _pattern(pattern).split(value, maxsplit=max(limit - 1, 0))]
    if limit == 0:
        while len(parts) > 1 and not parts[-1]:
            parts.pop()
    return parts


def _put(value: dict[Any, Any], name: Any, item: Any) -> Any:
    before = value.get(name)
    value[name] = item
    return before


def _put_all(value: dict[Any, Any], others: dict[Any, Any]) -> None:
    value.update(others)


def _add_item(value: list[Any], item: Any) -> bool:
    value.append(item)
    return True


def _add_all(value: list[Any], items: list[Any]) -> bool:
    value.extend(items)
    return bool(items)


def _set_item(value: list[Any], index: Any, item: Any) -> Any:
    before = value[_index(value, index)]
    value[index] = item
    return before


def _remove_item(value: list[Any], what: Any) -> Any:
    if isinstance(what, int):
        return value.pop(_index(value, what))
    is_there = what in value
    if is_there:
        value.remove(what)
    return is_there


def _find(value: list[Any], item: Any) -> int:
    return value.index(item) if item in value else -1


def _entries(value: dict[Any, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": item} for name, item in value.items()]


_INTEGER: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def _integer(digits: Any) -> int:
    # Python's own error would quote the text, which may be a message's.
    if not _INTEGER.fullmatch(text(digits)):
        raise ValueError("the text is not a whole number")
    return int(text(digits))


_OF_ALL: Final[Mapping[str, Method]] = {"toString": text, "equals": _equal}
_OF_STRING: Final[Mapping[str, Method]] = {
    "charAt": lambda value, index: value[_index(value, index)],
    "compareTo": lambda value, other: (value > other) - (value < other),
    "concat": lambda value, other: value + text(other),
    "contains": lambda value, part: text(part) in value,
    "endsWith": lambda value, end: value.endswith(text(end)),
    "equals": lambda value, other: isinstance(other, str) and value == other,
    "equalsIgnoreCase": lambda value, other: value.casefold() == text(other).casefold(),
    "indexOf": lambda value, part, begin=0: value.find(text(part), begin),
    "isEmpty": lambda value: not value,
    "lastIndexOf": lambda value, part: value.rfind(text(part)),
    "length": len,
    "matches": lambda value, pattern: _pattern(pattern).fullmatch(value) is not None,
    "replace": lambda value, old, new: value.replace(text(old), text(new)),
    "replaceAll": lambda value, pattern, new: _pattern(pattern).sub(_replacement(new), value),
    "replaceFirst": lambda value, pattern, new: _pattern(pattern).sub(
        _replacement(new), value, count=1
    ),
    "split": _split,
    "startsWith": lambda value, begin: value.startswith(text(begin)),
    "substring": _substring,
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
    "trim": str.strip,
}
_OF_LIST: Final[Mapping[str, Method]] = {
    "add": _add_item,
    "addAll": _add_all,
    "contains": lambda value, item: item in value,
    "get": lambda value, index: value[_index(value, index)],
    "indexOf": _find,
    "isEmpty": lambda value: not value,
    "remove": _remove_item,
    "set": _set_item,
    "size": len,
    "subList": lambda value, begin, end: value[begin:end],
}
_OF_MAP: Final[Mapping[str, Method]] = {
    "containsKey": lambda value, name: name in value,
    "containsValue": lambda value, item: item in value.values(),
    "entrySet": _entries,
    "get": lambda value, name: value.get(name),
    "getKey": lambda value: value.get("key"),
    "getOrDefault": lambda value, name, other: value.get(name, other),
    "getValue": lambda value: value.get("value"),
    "isEmpty": lambda value: not value,
    "keySet": list,
    "put": _put,
    "putAll": _put_all,
    "remove": lambda value, name: value.pop(name, None),
    "size": len,
    "values": lambda value: list(value.values()),
}
_OF_NUMBER: Final[Mapping[str, Method]] = {
    "compareTo": lambda value, other: (value > other) - (value < other),
    "doubleValue": float,
    "intValue": int,
    "longValue": int,
    "parseInt": lambda _value, digits: _integer(digits),  # $Integer.parseInt("1"), a known idiom
    "valueOf": lambda _value, digits: _integer(digits),
}


def _methods_of(value: Any) -> Mapping[str, Method]:
    if isinstance(value, str):
        return _OF_STRING
    if isinstance(value, dict):
        return _OF_MAP
    if isinstance(value, list):
        return _OF_LIST
    return _OF_NUMBER if _number(value) else {}
