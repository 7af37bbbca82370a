"""Templates whose conditions are decided before an engine sees them."""

from typing import Any

import pytest

from socketstack.services.cfn.conditions import StackFacts, can_decide, decided
from socketstack.services.cfn.errors import InvalidTemplate

_PSEUDO = {"AWS::Region": "us-east-1"}


def _template(**parts: Any) -> dict[str, Any]:
    return {
        "Parameters": {"Logs": {"Type": "String"}},
        "Conditions": {
            "WithLogs": {"Fn::Equals": [{"Ref": "Logs"}, "yes"]},
            "WithoutLogs": {"Fn::Not": [{"Condition": "WithLogs"}]},
        },
        **parts,
    }


def _decide(document: dict[str, Any], logs: str) -> dict[str, Any]:
    facts = StackFacts(document=document, parameters={"Logs": logs}, pseudo=_PSEUDO)
    return decided(facts)


def test_resources_and_outputs_stay_only_where_their_condition_holds() -> None:
    """What is let in loses its condition, what is not is gone, and nothing waits for it."""
    document = _template(
        Resources={
            "Group": {"Type": "G", "Condition": "WithLogs"},
            "Stage": {"Type": "S", "DependsOn": ["Group", "Api"]},
            "Api": {"Type": "A", "DependsOn": "Group"},
        },
        Outputs={"Name": {"Condition": "WithLogs", "Value": {"Ref": "Group"}}},
    )

    on, off = _decide(document, "yes"), _decide(document, "no")

    assert on["Resources"] == {
        "Group": {"Type": "G"},
        "Stage": {"Type": "S", "DependsOn": ["Group", "Api"]},
        "Api": {"Type": "A", "DependsOn": ["Group"]},
    }
    assert on["Outputs"] == {"Name": {"Value": {"Ref": "Group"}}}
    assert off["Resources"] == {"Stage": {"Type": "S", "DependsOn": ["Api"]}, "Api": {"Type": "A"}}
    assert off["Outputs"] == {}
    assert "Conditions" not in on
    assert on["Parameters"] == document["Parameters"]


def test_branches_are_chosen_and_no_value_disappears() -> None:
    """``Fn::If`` becomes one of its values, in maps and in lists."""
    chosen = {"Fn::If": ["WithLogs", {"Fn::GetAtt": ["Group", "Arn"]}, {"Ref": "AWS::NoValue"}]}
    document = _template(
        Resources={
            "Stage": {"Type": "S", "Properties": {"To": chosen, "List": [chosen, "x"]}},
        }
    )

    on, off = _decide(document, "yes"), _decide(document, "no")

    arn = {"Fn::GetAtt": ["Group", "Arn"]}
    assert on["Resources"]["Stage"]["Properties"] == {"To": arn, "List": [arn, "x"]}
    assert off["Resources"]["Stage"]["Properties"] == {"List": ["x"]}


def test_template_without_conditions_is_left_alone() -> None:
    """Nothing is copied where there is nothing to decide."""
    document = {"Resources": {"Api": {"Type": "A"}}}

    assert decided(StackFacts(document=document, parameters={}, pseudo={})) is document


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        pytest.param(
            {"A": {"Condition": "B"}, "B": {"Condition": "A"}}, "refers to itself", id="circle"
        ),
        pytest.param({"A": {"Condition": "C"}}, "C is not declared", id="unknown"),
        pytest.param(
            {"A": {"Fn::Equals": [{"Ref": "Api"}, "x"]}}, "Cannot reference", id="resource"
        ),
        pytest.param({"A": {"Fn::Odd": []}}, "every Condition must use", id="function"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(conditions: dict[str, Any], told: str) -> None:
    """A template whose condition cannot be decided is not let through half."""
    document = {"Conditions": conditions, "Resources": {"Api": {"Type": "T", "Condition": "A"}}}

    with pytest.raises(InvalidTemplate, match=told):
        decided(StackFacts(document=document, parameters={}, pseudo=_PSEUDO))


def test_values_that_must_be_fetched_leave_the_decision_open() -> None:
    """Conditions over SSM parameters are left to whoever can read them."""
    fetched = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/name"}

    assert not can_decide({"Parameters": {"Name": fetched}})
    assert can_decide({"Parameters": {"Name": {"Type": "String"}}})
    assert can_decide({})
