from pathlib import Path

import pytest

from socketstack.errors import ConfigError
from socketstack.kit.template import (
    Template,
    items,
    member,
    reference_of,
    remove_member,
    set_member,
    text_of,
)

_TEMPLATE = """\
AWSTemplateFormatVersion: '2010-09-09'
Parameters:
  Runtime: {Type: String, Default: python3.12}
  Account: {Type: String, Default: 012345678901}
  Key: {Type: String, NoEcho: true}
Resources:
  Thing:
    Type: AWS::Serverless::Function
    Condition: yes
    Properties:
      CodeUri: ../functions/thing
      Runtime: !Ref Runtime
      Layers:
      - !Ref Shared
      - Ref: Other
      Environment:
        Variables:
          NAME: !Sub "${AWS::StackName}-thing"
          LINES: !Sub |
            first ${AWS::Region}
            second
          MAYBE: !If [HasKey, !Ref Key, !Ref 'AWS::NoValue']
          ARN: !GetAtt Shared.Arn
          LONG: {'Fn::Join': [':', [a, b]]}
"""


@pytest.fixture
def template(tmp_path: Path) -> Template:
    """A template with every kind of value that must survive."""
    path = tmp_path / "template.yaml"
    path.write_text(_TEMPLATE)
    return Template.load(path)


def test_unchanged_template_is_written_as_it_was(template: Template) -> None:
    """Tags, quotes, block scalars, leading zeros and words such as yes come out as they were."""
    written = template.text()

    assert written == _TEMPLATE


@pytest.mark.parametrize(
    ("transform", "is_serverless"),
    [
        pytest.param("", False, id="none"),
        pytest.param("Transform: AWS::Serverless-2016-10-31\n", True, id="alone"),
        pytest.param("Transform: [Own, AWS::Serverless-2016-10-31]\n", True, id="in-a-list"),
        pytest.param("Transform: Own\n", False, id="another"),
    ],
)
def test_sam_transform_is_seen(tmp_path: Path, transform: str, *, is_serverless: bool) -> None:
    """By its name, alone or among others."""
    path = tmp_path / "template.yaml"
    path.write_text(f"{transform}Resources:\n  A: {{Type: AWS::SNS::Topic}}\n")

    assert Template.load(path).is_serverless is is_serverless


def test_changed_member_leaves_everything_else_alone(template: Template) -> None:
    """Setting one property changes its line and no other."""
    (thing,) = template.resources()

    set_member(thing.properties, "CodeUri", "Thing")

    assert template.text() == _TEMPLATE.replace("../functions/thing", "Thing")


def test_removed_and_added_members_are_seen(template: Template) -> None:
    """A member can be taken out, and a mapping put in."""
    (thing,) = template.resources()

    remove_member(thing.properties, "CodeUri")
    set_member(thing.properties, "Code", {"S3Bucket": "b", "S3Key": "k"})

    assert member(thing.properties, "CodeUri") is None
    assert text_of(member(thing.properties, "Code", "S3Key")) == "k"


def test_references_resolve_to_given_value_then_default(template: Template) -> None:
    """A reference to a parameter has the given value, without one the default."""
    (thing,) = template.resources()
    runtime = member(thing.properties, "Runtime")

    assert template.resolve(runtime, {}) == "python3.12"
    assert template.resolve(runtime, {"Runtime": "python3.13"}) == "python3.13"
    assert template.resolve(member(thing.properties, "Environment"), {}) is None


def test_both_forms_of_a_reference_are_read(template: Template) -> None:
    """``!Ref`` and ``Ref:`` mean the same."""
    (thing,) = template.resources()

    names = [reference_of(node) for node in items(member(thing.properties, "Layers"))]

    assert names == ["Shared", "Other"]


def test_intrinsic_function_is_not_taken_for_text(template: Template) -> None:
    """A tagged scalar has no text of its own."""
    (thing,) = template.resources()

    assert text_of(member(thing.properties, "Environment", "Variables", "NAME")) is None


def test_secret_parameters_are_those_with_no_echo(template: Template) -> None:
    """Only parameters with NoEcho are secret."""
    assert template.secret_parameters() == ("Key",)


def test_json_template_keeps_its_json_form(tmp_path: Path) -> None:
    """A JSON template is read and written as well."""
    path = tmp_path / "template.json"
    path.write_text('{"Resources": {"A": {"Type": "T", "Properties": {"Code": "f"}}}}')
    template = Template.load(path)
    (resource,) = template.resources()

    set_member(resource.properties, "Code", {"S3Bucket": "b", "S3Key": "k"})
    path.write_text(template.text())

    (again,) = Template.load(path).resources()
    assert text_of(member(again.properties, "Code", "S3Bucket")) == "b"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param("a: [1", "not valid YAML", id="broken"),
        pytest.param("- 1", "no Resources", id="list"),
        pytest.param("", "no Resources", id="empty"),
        pytest.param("Parameters: {}", "no Resources", id="no-resources"),
    ],
)
def test_what_is_no_template_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    """The refusal names the file and what is wrong with it."""
    path = tmp_path / "template.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError, match=told) as caught:
        Template.load(path)

    assert str(path) in str(caught.value)
