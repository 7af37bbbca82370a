"""Condition operators, one by one."""

import pytest

from socketstack.core.conditions import conditions_hold, expanded
from socketstack.core.statements import read_statements


def holds(operator: str, value: object, actual: str | None) -> bool | None:
    """Whether one condition holds for the key ``aws:x``."""
    condition = {operator: {"aws:X": value}}
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": statement}
    (found,) = read_statements(document)  # type: ignore[arg-type]
    return conditions_hold(found, {} if actual is None else {"aws:x": actual})


@pytest.mark.parametrize(
    ("operator", "value", "yes", "no"),
    [
        ("StringEquals", ["a", "b"], "b", "c"),
        ("StringNotEquals", ["a", "b"], "c", "b"),
        ("StringEqualsIgnoreCase", "Ab", "aB", "b"),
        ("StringNotEqualsIgnoreCase", "Ab", "b", "aB"),
        ("StringLike", "a*", "abc", "ba"),
        ("StringNotLike", "a*", "ba", "abc"),
        ("ArnLike", "arn:aws:s3:::a*", "arn:aws:s3:::ab", "arn:aws:s3:::b"),
        ("ArnNotEquals", "arn:aws:s3:::a*", "arn:aws:s3:::b", "arn:aws:s3:::ab"),
        ("Bool", "true", "True", "false"),
        ("IpAddress", ["10.0.0.0/8", "192.0.2.1"], "192.0.2.1", "192.0.2.2"),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", "2001:db9::1"),
        ("NotIpAddress", "10.0.0.0/8", "192.0.2.1", "10.1.2.3"),
        ("NumericEquals", "3", "3.0", "4"),
        ("NumericNotEquals", "3", "4", "3.0"),
        ("NumericLessThan", "3", "2", "3"),
        ("NumericLessThanEquals", "3", "3", "4"),
        ("NumericGreaterThan", "3", "4", "3"),
        ("NumericGreaterThanEquals", "3", "3", "2"),
        ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", "1767225601"),
        ("DateNotEquals", "2026-01-01T00:00:00Z", "1767225601", "1767225600"),
        ("DateLessThan", "2026-01-01T00:00:00Z", "1767225599", "1767225600"),
        ("DateLessThanEquals", "2026-01-01", "1767225600", "1767225601"),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "1767225601", "1767225600"),
        ("DateGreaterThanEquals", "2026-01-01T00:00:00Z", "1767225600", "1767225599"),
        ("ForAnyValue:StringEquals", ["a", "b"], "b", "c"),
        ("ForAllValues:StringLike", "a*", "ab", "b"),
        ("StringEqualsIfExists", "a", "a", "b"),
    ],
)
def test_operator_tells_yes_from_no(operator: str, value: object, yes: str, no: str) -> None:
    """Every operator holds for one value and not for another."""
    assert (holds(operator, value, yes), holds(operator, value, no)) == (True, False)


@pytest.mark.parametrize(
    ("operator", "value", "actual"),
    [
        pytest.param("BinaryEquals", "eA==", "x", id="unknown-operator"),
        pytest.param("StringEquals", "a", None, id="missing-key"),
        pytest.param("StringEqualsIfExists", "a", None, id="if-exists-without-key"),
        pytest.param("Null", "true", None, id="null-without-key"),
        pytest.param("IpAddress", "10.0.0.0/8", "somewhere", id="no-address"),
        pytest.param("NumericEquals", "3", "three", id="no-number"),
        pytest.param("DateEquals", "2026-01-01", "today", id="no-date"),
        pytest.param("Bool", "yes", "true", id="no-truth"),
        pytest.param("StringEquals", "${aws:nobody}", "a", id="variable-without-value"),
    ],
)
def test_what_cannot_be_told_is_undecided(operator: str, value: str, actual: str | None) -> None:
    """What nobody told us, and what has the wrong form, is neither true nor false."""
    assert holds(operator, value, actual) is None


def test_null_is_decided_for_keys_that_are_there() -> None:
    """A key that is there is not null."""
    assert (holds("Null", "false", "x"), holds("Null", "true", "x")) == (True, False)


def test_variables_are_replaced() -> None:
    """Names of variables ignore case and may stand next to text."""
    assert expanded("a-${AWS:UserName}-b${$}", {"aws:username": "x"}) == "a-x-b$"
    assert expanded("a-${aws:nobody}", {}) is None
