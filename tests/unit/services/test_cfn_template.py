from typing import Any

import pytest

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.template import check_form, parse, transforms

TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic"}


def test_short_forms_become_long_ones() -> None:
    """YAML's short functions are the same as JSON's long ones."""
    document = parse(
        "a: !Ref X\nb: !GetAtt X.Y.Z\nc: !Sub '${X}'\nd: !If [C, !Ref A, !Ref B]\n"
        "e: !Condition C\nf: !Join [',', [!GetAtt [A, B]]]\ng: !Sub ['${v}', {v: !Ref X}]"
    )

    assert document == {
        "a": {"Ref": "X"},
        "b": {"Fn::GetAtt": ["X", "Y.Z"]},
        "c": {"Fn::Sub": "${X}"},
        "d": {"Fn::If": ["C", {"Ref": "A"}, {"Ref": "B"}]},
        "e": {"Condition": "C"},
        "f": {"Fn::Join": [",", [{"Fn::GetAtt": ["A", "B"]}]]},
        "g": {"Fn::Sub": ["${v}", {"v": {"Ref": "X"}}]},
    }


def test_dates_stay_texts() -> None:
    """A policy's version without quotes is text, as CloudFormation reads it."""
    assert parse("Version: 2012-10-17") == {"Version": "2012-10-17"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: [", id="broken-yaml"),
        pytest.param('{"a": }', id="broken-json"),
        pytest.param("just text", id="no-mapping"),
        pytest.param("a: !!python/object/apply:os.getcwd []", id="python-object"),
        pytest.param("", id="empty"),
        pytest.param("a: " + "x" * 1_100_000, id="too-long"),
    ],
)
def test_text_that_is_no_template_is_refused(text: str) -> None:
    """Whatever cannot be read is a ValidationError, and nothing in it runs."""
    with pytest.raises(InvalidTemplate):
        parse(text)


def test_transforms_are_listed() -> None:
    """One transform or several are a list."""
    assert transforms({"Transform": "A"}) == ["A"]
    assert transforms({"Transform": ["A", "B"]}) == ["A", "B"]
    assert transforms({}) == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param({}, "At least one Resources member must be defined", id="no-resources"),
        pytest.param({"Resources": {}}, "At least one Resources member", id="empty-resources"),
        pytest.param(
            {"Resource": {"A": TOPIC}}, "Invalid template property", id="misspelt-section"
        ),
        pytest.param({"Resources": {"A-B": TOPIC}}, "A-B is non alphanumeric", id="logical-id"),
        pytest.param({"Resources": {"A": {}}}, "must contain a Type member", id="no-type"),
        pytest.param({"Resources": {"A": []}}, "definition is malformed", id="no-object"),
        pytest.param(
            {"Resources": {"A": {**TOPIC, "Prop": {}}}},
            "Invalid template resource property 'Prop'",
            id="misspelt-member",
        ),
        pytest.param(
            {"Resources": {"A": {**TOPIC, "UpdatePolicy": {}}}},
            "UpdatePolicy is not supported",
            id="update-policy",
        ),
        pytest.param(
            {"Resources": {"A": {**TOPIC, "DeletionPolicy": "Snapshot"}}},
            "DeletionPolicy Snapshot is not supported",
            id="snapshot",
        ),
        pytest.param(
            {"Resources": {"A": {**TOPIC, "Properties": {"TopicName": {"Ref": "B"}}}}},
            r"Unresolved resource dependencies \[B\] in the Resources block",
            id="unknown-reference",
        ),
        pytest.param(
            {"Resources": {"A": {**TOPIC, "DependsOn": ["B"]}}},
            r"Unresolved resource dependencies \[B\]",
            id="unknown-dependency",
        ),
        pytest.param(
            {"Resources": {"A": TOPIC}, "Outputs": {"O": {"Value": {"Fn::Sub": "${B.Arn}"}}}},
            r"Unresolved resource dependencies \[B\] in the Outputs block",
            id="unknown-reference-in-output",
        ),
        pytest.param(
            {"Resources": {"A": {**TOPIC, "Condition": "C"}}},
            "Unresolved condition dependency C",
            id="unknown-condition",
        ),
        pytest.param(
            {"Resources": {"A": {**TOPIC, "Properties": {"TopicName": None}}}},
            r"\[/Resources/A/Properties/TopicName\] 'null' values are not allowed",
            id="null",
        ),
        pytest.param(
            {"Resources": {f"T{number}": TOPIC for number in range(501)}},
            "Number of resources, 501, is greater than maximum allowed, 500",
            id="too-many",
        ),
        pytest.param(
            {"Resources": {"A": TOPIC}, "Rules": {"R": {}}},
            "Rules: this section is not supported",
            id="rules",
        ),
    ],
)
def test_malformed_template_is_refused_with_the_reason(
    document: dict[str, Any], message: str
) -> None:
    """The form is checked before anything is looked at."""
    with pytest.raises(InvalidTemplate, match=message):
        check_form(document)


def test_well_formed_template_passes() -> None:
    """A template with every kind of reference is accepted."""
    check_form(
        {
            "Parameters": {"P": {"Type": "String"}},
            "Conditions": {"C": {"Fn::Equals": ["a", "a"]}},
            "Resources": {
                "A": {**TOPIC, "Condition": "C", "DependsOn": "B"},
                "B": {**TOPIC, "Properties": {"TopicName": {"Fn::Sub": "${P}${AWS::Region}"}}},
            },
            "Outputs": {"O": {"Condition": "C", "Value": {"Ref": "A"}}},
        }
    )


def test_yaml_alias_is_refused_as_on_aws() -> None:
    """An anchor alone is harmless; following it is not allowed."""
    anchored = "Resources:\n  A: &a {Type: AWS::SNS::Topic}\n"

    with pytest.raises(InvalidTemplate, match="YAML aliases are not allowed"):
        parse(anchored + "  B: *a\n")

    assert parse(anchored) == {"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}
