"""Conditions of policy statements, and the variables in them.

What cannot be decided is None: an unknown operator, a key that nobody told us, a variable without
a value, a value of the wrong form. ``core.policy`` counts it against the request. So a key that is
missing never counts as absent: ``…IfExists`` and ``Null`` are decided only for keys that are there.

Rules: 3.13, 7.31.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Final

from socketstack.core.globs import arn_matches, matches
from socketstack.core.statements import Statement

_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_IF_EXISTS: Final = "IfExists"
_SET_PREFIXES: Final = ("ForAllValues:", "ForAnyValue:")
"""Every key here has one value, for which both mean the same as no prefix."""

_TRUTHS: Final = {"true": True, "false": False}

_Test = Callable[[str, str], bool]
"""Whether a policy's value and the request's value match; ValueError and KeyError: who knows."""


def conditions_hold(statement: Statement, facts: Mapping[str, str]) -> bool | None:
    """Whether a statement's conditions hold: True, False, or None for undecided.

    Args:
        statement: The statement.
        facts: Condition keys in lower case to values.
    """
    outcomes = [
        _condition_holds(operator, facts.get(key), _expanded_all(statement, values, facts))
        for operator, tests in statement.conditions.items()
        for key, values in tests.items()
    ]
    if False in outcomes:
        return False
    return None if None in outcomes else True


def expanded(text: str, facts: Mapping[str, str]) -> str | None:
    """A text with its policy variables replaced; None when one has no value here.

    ``${*}`` and ``${?}``, which stand for the characters themselves, count as without value.
    """
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        name = match[1].strip()
        found = "$" if name == "$" else facts.get(name.lower())
        if found is None or "*" in found or "?" in found:
            missing = True
        return found or ""

    replaced = _VARIABLE.sub(value, text)
    return None if missing else replaced


def _expanded_all(
    statement: Statement, values: tuple[str, ...], facts: Mapping[str, str]
) -> list[str | None]:
    if not statement.has_variables:
        return list(values)
    return [expanded(value, facts) for value in values]


def _condition_holds(operator: str, actual: str | None, values: list[str | None]) -> bool | None:
    for prefix in _SET_PREFIXES:
        operator = operator.removeprefix(prefix)
    if actual is None or None in values:
        return None
    if operator == "Null":
        # The key is there.
        return any(value == "false" for value in values)
    found = _TESTS.get(operator.removesuffix(_IF_EXISTS))
    if found is None:
        return None
    test, expected = found
    try:
        return any(test(value, actual) for value in values if value is not None) is expected
    except (ValueError, KeyError):
        return None


def _is_in_network(network: str, address: str) -> bool:
    return ip_address(address) in ip_network(network, strict=False)


def _is_ignoring_case(value: str, actual: str) -> bool:
    return value.lower() == actual.lower()


def _is_same_truth(value: str, actual: str) -> bool:
    return _TRUTHS[value.lower()] is _TRUTHS[actual.lower()]


def _moment(text: str) -> datetime:
    if text.isascii() and text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_TESTS: Final[Mapping[str, tuple[_Test, bool]]] = {
    # operator: (does a value match, must one match)
    "StringEquals": (str.__eq__, True),
    "StringNotEquals": (str.__eq__, False),
    "StringEqualsIgnoreCase": (_is_ignoring_case, True),
    "StringNotEqualsIgnoreCase": (_is_ignoring_case, False),
    "StringLike": (matches, True),
    "StringNotLike": (matches, False),
    "ArnEquals": (arn_matches, True),  # AWS: behaves as ArnLike
    "ArnLike": (arn_matches, True),
    "ArnNotEquals": (arn_matches, False),
    "ArnNotLike": (arn_matches, False),
    "Bool": (_is_same_truth, True),
    "IpAddress": (_is_in_network, True),
    "NotIpAddress": (_is_in_network, False),
    "NumericEquals": (lambda value, actual: float(actual) == float(value), True),
    "NumericNotEquals": (lambda value, actual: float(actual) == float(value), False),
    "NumericLessThan": (lambda value, actual: float(actual) < float(value), True),
    "NumericLessThanEquals": (lambda value, actual: float(actual) <= float(value), True),
    "NumericGreaterThan": (lambda value, actual: float(actual) > float(value), True),
    "NumericGreaterThanEquals": (lambda value, actual: float(actual) >= float(value), True),
    "DateEquals": (lambda value, actual: _moment(actual) == _moment(value), True),
    "DateNotEquals": (lambda value, actual: _moment(actual) == _moment(value), False),
    "DateLessThan": (lambda value, actual: _moment(actual) < _moment(value), True),
    "DateLessThanEquals": (lambda value, actual: _moment(actual) <= _moment(value), True),
    "DateGreaterThan": (lambda value, actual: _moment(actual) > _moment(value), True),
    "DateGreaterThanEquals": (lambda value, actual: _moment(actual) >= _moment(value), True),
}
