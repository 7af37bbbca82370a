"""Whether a template's stage has an access log, as far as parameters tell."""

from pathlib import Path

import pytest

from socketstack.kit.log_role import AccessLog, access_log_of
from socketstack.kit.template import Template

_EXAMPLE = Path(__file__).parents[3] / "infra" / "template.yaml"
_SETTINGS = "{DestinationArn: a, Format: b}"
_FORM = """
Parameters: {{Logs: {{Type: String, Default: "yes"}}}}
Conditions:
  Plain: !Equals [!Ref Logs, "yes"]
  Long: {{"Fn::Equals": ["yes", {{Ref: Logs}}]}}
  Other: !Not [!Equals [!Ref Logs, "no"]]
Resources:
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {properties}
  More:
    Type: {more}
"""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({}, False, id="by-default"),
        pytest.param({"AccessLogs": "true", "Stage": "prod"}, True, id="on"),
        pytest.param({"AccessLogs": "false"}, False, id="off"),
    ],
)
def test_example_has_a_parameter_for_it(values: dict[str, str], *, expected: bool) -> None:
    """The kit's own template is read by its condition."""
    found = access_log_of(Template.load(_EXAMPLE), values)

    assert found == AccessLog(is_on=expected, switch="AccessLogs=true")


@pytest.mark.parametrize(
    ("settings", "values", "expected"),
    [
        pytest.param(None, {}, None, id="none"),
        pytest.param(_SETTINGS, {}, AccessLog(is_on=True, switch=None), id="always"),
        pytest.param(
            f"!If [Plain, {_SETTINGS}, !Ref AWS::NoValue]",
            {},
            AccessLog(is_on=True, switch="Logs=yes"),
            id="by-its-default",
        ),
        pytest.param(
            f"!If [Plain, {_SETTINGS}, !Ref AWS::NoValue]",
            {"Logs": "no"},
            AccessLog(is_on=False, switch="Logs=yes"),
            id="switched-off",
        ),
        pytest.param(
            f'{{"Fn::If": [Long, {_SETTINGS}, {{Ref: "AWS::NoValue"}}]}}',
            {},
            AccessLog(is_on=True, switch="Logs=yes"),
            id="long-forms",
        ),
        pytest.param(f"!If [Other, {_SETTINGS}, !Ref AWS::NoValue]", {}, None, id="not-clear"),
        pytest.param(f"!If [Absent, {_SETTINGS}, !Ref AWS::NoValue]", {}, None, id="no-condition"),
    ],
)
def test_settings_are_read_with_their_condition(
    tmp_path: Path, settings: str | None, values: dict[str, str], expected: AccessLog | None
) -> None:
    """What one parameter decides is known; everything else is left to API Gateway."""
    properties = "{}" if settings is None else f"\n      AccessLogSettings: {settings}"
    path = tmp_path / "template.yaml"
    path.write_text(_FORM.format(properties=properties, more="AWS::SNS::Topic"))

    assert access_log_of(Template.load(path), values) == expected


def test_template_that_sets_the_role_itself_needs_none(tmp_path: Path) -> None:
    """``AWS::ApiGateway::Account`` in the template is the role."""
    path = tmp_path / "template.yaml"
    properties = f"\n      AccessLogSettings: {_SETTINGS}"
    path.write_text(_FORM.format(properties=properties, more="AWS::ApiGateway::Account"))

    assert access_log_of(Template.load(path), {}) is None
