"""The names of a template's resources, as far as they are known before deployment."""

from pathlib import Path

import pytest

from socketstack.kit.naming import names_of
from socketstack.kit.template import Template

_KNOWN = {"AWS::StackName": "chat", "AWS::Region": "eu-west-1", "Suffix": "blue"}


def _names(tmp_path: Path, resource: str) -> list[tuple[str, str]]:
    path = tmp_path / "template.yaml"
    path.write_text(
        "Parameters:\n  Suffix: {Type: String, Default: green}\n"
        "  Other: {Type: String, Default: plain}\n"
        f"Resources:\n  Thing: {resource}\n"
    )
    return list(names_of(Template.load(path), _KNOWN))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        pytest.param("fixed", "fixed", id="plain"),
        pytest.param("!Ref AWS::StackName", "chat", id="pseudo-parameter"),
        pytest.param("{Ref: Suffix}", "blue", id="given-parameter"),
        pytest.param("!Ref Other", "plain", id="default"),
        pytest.param('!Sub "/a/${AWS::StackName}-${Suffix}"', "/a/chat-blue", id="sub"),
        pytest.param('{"Fn::Sub": "${AWS::Region}-x"}', "eu-west-1-x", id="long-sub"),
        pytest.param('!Sub "${Thing2.Arn}-x"', None, id="rests-on-another-resource"),
        pytest.param("!Ref Thing2", None, id="another-resource"),
        pytest.param("!GetAtt Thing2.Name", None, id="attribute"),
        pytest.param('!Sub ["${A}", {A: b}]', None, id="sub-with-variables"),
        pytest.param('!Join ["-", [a, b]]', None, id="another-function"),
    ],
)
def test_name_is_known_or_left_out(tmp_path: Path, value: str, name: str | None) -> None:
    """Texts, parameters and what they are put together to are known; the rest is not guessed."""
    found = _names(
        tmp_path, f"\n    Type: AWS::Logs::LogGroup\n    Properties: {{LogGroupName: {value}}}"
    )

    assert found == ([] if name is None else [("AWS::Logs::LogGroup", name)])


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param("{Type: AWS::Logs::LogGroup}", id="no-name"),
        pytest.param("{Type: AWS::SNS::Topic, Properties: {TopicName: x}}", id="other-type"),
        pytest.param(
            "{Type: AWS::Logs::LogGroup, Condition: C, Properties: {LogGroupName: x}}",
            id="under-a-condition",
        ),
    ],
)
def test_resource_without_a_certain_name_is_left_out(tmp_path: Path, resource: str) -> None:
    """What may not be made at all cannot stand in the way."""
    assert _names(tmp_path, resource) == []
