from typing import Any

import pytest

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.parameters import choose, typed


def document(**declared: Any) -> dict[str, Any]:
    """A template with these parameters."""
    return {"Parameters": declared}


def value(name: str, text: str) -> dict[str, Any]:
    """A given value."""
    return {"ParameterKey": name, "ParameterValue": text}


def test_given_values_win_over_defaults() -> None:
    """Defaults fill in what was not given, as texts."""
    made = choose(
        document(A={"Type": "String", "Default": "a"}, B={"Type": "Number", "Default": 3}),
        [value("A", "given")],
    )

    assert made == {"A": "given", "B": "3"}


def test_previous_value_is_used_when_asked_for() -> None:
    """UsePreviousValue keeps the present value; without it the default comes back."""
    declared = document(A={"Type": "String", "Default": "a"}, B={"Type": "String", "Default": "b"})

    made = choose(
        declared, [{"ParameterKey": "A", "UsePreviousValue": True}], {"A": "old", "B": "old"}
    )

    assert made == {"A": "old", "B": "b"}


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        pytest.param({}, "x", r"Parameters: \[P\] do not exist in the template", id="unknown"),
        pytest.param({"P": {"Type": "String"}}, None, r"\[P\] must have values", id="missing"),
        pytest.param(
            {"P": {"Type": "String", "AllowedValues": ["a"]}}, "b", "AllowedValues", id="list"
        ),
        pytest.param(
            {"P": {"Type": "String", "AllowedPattern": "[a-z]+"}}, "a1", "pattern", id="pattern"
        ),
        pytest.param({"P": {"Type": "String", "MinLength": 2}}, "a", "at least 2", id="short"),
        pytest.param({"P": {"Type": "String", "MaxLength": 2}}, "abc", "at most 2", id="long"),
        pytest.param({"P": {"Type": "Number"}}, "x", "must be a number", id="no-number"),
        pytest.param({"P": {"Type": "Number", "MinValue": 2}}, "1", "not less than 2", id="small"),
        pytest.param({"P": {"Type": "Number", "MaxValue": 2}}, "3", "not greater", id="big"),
        pytest.param(
            {"P": {"Type": "CommaDelimitedList", "AllowedValues": ["a"]}},
            "a,b",
            "AllowedValues",
            id="one-of-a-list",
        ),
        pytest.param(
            {"P": {"Type": "Number", "MaxValue": 2, "ConstraintDescription": "be small"}},
            "3",
            "be small",
            id="own-words",
        ),
    ],
)
def test_unacceptable_values_are_refused(
    declared: dict[str, Any], given: str | None, message: str
) -> None:
    """Values outside a parameter's constraints stop the call."""
    with pytest.raises(InvalidTemplate, match=message):
        choose(document(**declared), [] if given is None else [value("P", given)])


def test_previous_value_of_a_new_parameter_is_refused() -> None:
    """There is no previous value for a parameter that the stack did not have."""
    with pytest.raises(InvalidTemplate, match="usePreviousValue"):
        choose(
            document(P={"Type": "String"}), [{"ParameterKey": "P", "UsePreviousValue": True}], {}
        )


def test_lists_are_split() -> None:
    """List types give lists to Ref."""
    assert typed({"Type": "CommaDelimitedList"}, "a, b") == ["a", "b"]
    assert typed({"Type": "List<Number>"}, "1,2") == ["1", "2"]
    assert typed({"Type": "CommaDelimitedList"}, "") == []
    assert typed({"Type": "String"}, "a,b") == "a,b"
