"""What people read before they agree to a change set."""

from typing import Any

import pytest

from socketstack.kit.changes import Change, holding_data, lines, read


def _entry(action: str, **members: Any) -> dict[str, Any]:
    entry = {"Action": action, "LogicalResourceId": "Table", "ResourceType": "AWS::DynamoDB::Table"}
    return {"Type": "Resource", "ResourceChange": {**entry, **members}}


def _details(*names: str) -> list[dict[str, Any]]:
    return [{"Target": {"Attribute": "Properties", "Name": name}} for name in names]


@pytest.mark.parametrize(
    ("entry", "action", "loses_data"),
    [
        pytest.param(_entry("Add"), "Add", False, id="added"),
        pytest.param(_entry("Modify", Replacement="False"), "Modify", False, id="changed"),
        pytest.param(_entry("Modify"), "Modify", False, id="only-tags-or-metadata"),
        pytest.param(_entry("Modify", Replacement="True"), "Replace", True, id="replaced"),
        pytest.param(
            _entry("Modify", Replacement="Conditional"), "Replace", True, id="perhaps-replaced"
        ),
        pytest.param(_entry("Dynamic"), "Replace", True, id="nobody-knows"),
        pytest.param(_entry("Remove"), "Remove", True, id="removed"),
        pytest.param(_entry("Remove", PolicyAction="Delete"), "Remove", True, id="deleted"),
        pytest.param(_entry("Remove", PolicyAction="Retain"), "Remove", False, id="retained"),
        pytest.param(
            _entry("Modify", Replacement="True", PolicyAction="ReplaceAndSnapshot"),
            "Replace",
            False,
            id="snapshot",
        ),
        pytest.param(
            _entry("Remove", ResourceType="AWS::Logs::LogGroup"), "Remove", False, id="no-data"
        ),
    ],
)
def test_change_is_told_by_what_it_does_to_the_resource(
    entry: dict[str, Any], action: str, *, loses_data: bool
) -> None:
    """A table that is replaced, or may be, loses its rows unless a policy keeps them."""
    (change,) = read([entry])

    assert (change.action, change.loses_data) == (action, loses_data)


def test_changes_of_other_kinds_than_resources_are_left_out() -> None:
    """Hooks are no changes of the stack."""
    assert read([{"Type": "Hook"}, {}]) == ()


def test_list_names_properties_once_and_what_is_lost_and_adds_up() -> None:
    """One line for each resource, aligned, then the sum."""
    planned = read(
        [
            _entry("Modify", Replacement="True", Details=_details("KeySchema", "KeySchema")),
            _entry(
                "Modify",
                LogicalResourceId="ApiStage",
                ResourceType="AWS::ApiGatewayV2::Stage",
                Replacement="False",
                Details=_details("Tags", "AccessLogSettings"),
            ),
            _entry("Remove", LogicalResourceId="Old", PolicyAction="Retain"),
        ]
    )

    assert list(lines(planned)) == [
        "  ± Table     AWS::DynamoDB::Table  (KeySchema; ITS CONTENTS ARE LOST)",
        "  ~ ApiStage  AWS::ApiGatewayV2::Stage  (AccessLogSettings, Tags)",
        "  - Old       AWS::DynamoDB::Table  (the old one is kept)",
        "1 to change, 1 to replace, 1 to remove",
    ]


def test_change_without_resources_says_so() -> None:
    """A change of outputs alone has a change set without resources."""
    assert list(lines([])) == ["only outputs or settings of the stack itself change"]


def test_what_holds_data_is_named_with_its_place() -> None:
    """Before a stack is deleted, people read what goes with it."""
    resources = {
        "Table": ("AWS::DynamoDB::Table", "chat-table"),
        "Api": ("AWS::ApiGatewayV2::Api", "abc"),
    }

    assert list(holding_data(resources)) == ["Table  AWS::DynamoDB::Table  chat-table"]


def test_added_resource_is_a_value() -> None:
    """Equal changes are equal, so callers can compare what they were shown."""
    assert read([_entry("Add")]) == (
        Change(action="Add", logical_id="Table", type="AWS::DynamoDB::Table"),
    )
