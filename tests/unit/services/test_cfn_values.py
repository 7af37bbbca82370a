import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.values import (
    NO_VALUE,
    evaluate_condition,
    references,
    resolve,
)


class Names:
    """A scope of a few names."""

    def ref(self, name: str) -> object:
        """Three names and the pseudo parameter that is nothing."""
        known = {
            "One": "one",
            "Two": ["a", "b"],
            "AWS::NoValue": NO_VALUE,
            "AWS::Region": "eu-west-1",
        }
        if name not in known:
            raise InvalidTemplate(f"unknown {name}")
        return known[name]

    def attribute(self, logical_id: str, attribute: str) -> object:
        """The two names joined."""
        return f"{logical_id}/{attribute}"

    def condition(self, name: str) -> bool:
        """True for Yes."""
        return name == "Yes"

    def mapping(self, name: str) -> Mapping[str, Any]:
        """One map."""
        return {"Map": {"one": {"size": 5}}}[name]

    def imported(self, export_name: str) -> object:
        """An export that tells its name."""
        return f"imported {export_name}"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        pytest.param({"Ref": "One"}, "one", id="ref"),
        pytest.param({"Fn::GetAtt": ["A", "B"]}, "A/B", id="getatt-list"),
        pytest.param({"Fn::GetAtt": "A.B.C"}, "A/B.C", id="getatt-text"),
        pytest.param({"Fn::Sub": "x-${One}-${A.B}-${!One}"}, "x-one-A/B-${One}", id="sub"),
        pytest.param({"Fn::Sub": ["${v}${One}", {"v": {"Ref": "One"}}]}, "oneone", id="sub-map"),
        pytest.param({"Fn::Join": ["-", ["a", {"Ref": "One"}, 3]]}, "a-one-3", id="join"),
        pytest.param({"Fn::Join": [",", {"Ref": "Two"}]}, "a,b", id="join-of-a-list"),
        pytest.param({"Fn::If": ["Yes", 1, 2]}, 1, id="if-true"),
        pytest.param({"Fn::If": ["No", 1, {"Ref": "One"}]}, "one", id="if-false"),
        pytest.param({"Fn::Select": ["1", {"Ref": "Two"}]}, "b", id="select"),
        pytest.param({"Fn::Split": [".", "a.b"]}, ["a", "b"], id="split"),
        pytest.param({"Fn::FindInMap": ["Map", {"Ref": "One"}, "size"]}, 5, id="map"),
        pytest.param({"Fn::ImportValue": {"Fn::Sub": "${One}!"}}, "imported one!", id="import"),
        pytest.param({"Fn::Base64": "hi"}, "aGk=", id="base64"),
        pytest.param({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b", "eu-west-1c"], id="zones"),
        pytest.param(
            {"kept": 1, "gone": {"Ref": "AWS::NoValue"}, "list": [{"Ref": "AWS::NoValue"}, 2]},
            {"kept": 1, "list": [2]},
            id="no-value-removes",
        ),
        pytest.param({"Ref": "One", "Other": 1}, {"Ref": "One", "Other": 1}, id="not-a-function"),
    ],
)
def test_functions_give_what_cloudformation_documents(value: Any, result: object) -> None:
    """Each intrinsic function is replaced by its value."""
    assert resolve(value, Names()) == result


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"Fn::Cidr": ["10.0.0.0/8", 1, 8]}, id="not-supported"),
        pytest.param({"Fn::Nonsense": 1}, id="unknown"),
        pytest.param({"Fn::Length": ["a"]}, id="needs-a-macro"),
        pytest.param({"Ref": "Nobody"}, id="unknown-name"),
        pytest.param({"Fn::Sub": "${Nobody}"}, id="unknown-name-in-sub"),
        pytest.param({"Fn::Sub": {"a": 1}}, id="sub-of-an-object"),
        pytest.param({"Fn::GetAtt": "NoDot"}, id="getatt-without-attribute"),
        pytest.param({"Fn::Select": [5, ["a"]]}, id="select-beyond-the-end"),
        pytest.param({"Fn::FindInMap": ["Map", "one", "none"]}, id="map-without-key"),
        pytest.param({"Fn::If": ["Yes", 1]}, id="if-without-else"),
        pytest.param({"Fn::Join": "ab"}, id="join-of-text"),
    ],
)
def test_what_cannot_be_resolved_is_refused(value: Any) -> None:
    """Nothing unresolved is ever passed on to a service."""
    with pytest.raises(InvalidTemplate):
        resolve(value, Names())


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        pytest.param({"Fn::Equals": [{"Ref": "One"}, "one"]}, True, id="equals"),
        pytest.param({"Fn::Equals": [True, "true"]}, True, id="booleans-are-texts"),
        pytest.param({"Fn::Not": [{"Condition": "Yes"}]}, False, id="not"),
        pytest.param({"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]}, False, id="and"),
        pytest.param({"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]}, True, id="or"),
    ],
)
def test_conditions_hold_as_written(expression: Any, holds: bool) -> None:  # noqa: FBT001
    """Conditions combine as their names say."""
    assert evaluate_condition(expression, Names()) is holds


@pytest.mark.parametrize("expression", [True, {"Ref": "One"}, {"Fn::Equals": ["one"]}, {}])
def test_malformed_condition_is_refused(expression: Any) -> None:
    """What is no condition never counts as true."""
    with pytest.raises(InvalidTemplate, match="every Condition must use"):
        evaluate_condition(expression, Names())


def test_references_are_found_wherever_they_stand() -> None:
    """Names in Ref, GetAtt and Sub are found, bound and literal ones are not."""
    value = {
        "a": [{"Ref": "A"}, {"Fn::GetAtt": ["B", "X"]}],
        "b": {"Fn::Sub": ["${C.Arn} ${bound} ${!Literal} ${AWS::Region}", {"bound": {"Ref": "D"}}]},
    }

    assert references(value) == {"A", "B", "C", "D", "AWS::Region"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    """A value without functions is its own result."""
    if '"Ref"' not in json.dumps(value) and '"Fn::' not in json.dumps(value):
        assert resolve(value, Names()) == value
