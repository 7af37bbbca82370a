"""Names of the template and of its Terraform twin, and what is refused before Terraform runs."""

import re
from pathlib import Path

import pytest

from socketstack.cli import main
from socketstack.kit.template import Template
from socketstack.kit.terraform import variable_name

_INFRA = Path(__file__).parents[3] / "infra"
_OWN = {"name", "build_dir", "tags"}
"""What the template has in another way: the stack's name, the build and the stack's tags."""


@pytest.mark.parametrize(
    ("parameter", "variable"),
    [
        ("Stage", "stage"),
        ("JwksUrl", "jwks_url"),
        ("PointInTimeRecovery", "point_in_time_recovery"),
        ("AlarmTopicArn", "alarm_topic_arn"),
    ],
)
def test_variable_is_named_as_the_parameter(parameter: str, variable: str) -> None:
    """Words of CamelCase are joined with underscores."""
    assert variable_name(parameter) == variable


def test_every_parameter_of_the_template_is_a_variable_of_the_module() -> None:
    """PARAMETERS means the same with CloudFormation and with Terraform."""
    text = (_INFRA / "terraform" / "variables.tf").read_text()
    variables = set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))
    parameters = Template.load(_INFRA / "template.yaml").parameter_names()

    assert {variable_name(name) for name in parameters} == variables - _OWN


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody: no credentials, no terraform on the PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--parameter=Nope=1"], "no parameter Nope", id="parameter"),
        pytest.param(["--endpoint=http://localhost:1"], "does not go with", id="endpoint"),
        pytest.param(["--region=eu-west-1"], "no AWS credentials", id="credentials"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    account: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    """The exit code is the user's; no build, no state."""
    module = [f"--terraform={_INFRA / 'terraform'}", f"--template={_INFRA / 'template.yaml'}"]

    assert main(["deploy", *module, *arguments]) == 2

    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
