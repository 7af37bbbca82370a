"""The doctor on a Terraform folder: the example, and the example with one mistake."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from socketstack.doctor.checks import examine
from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Severity
from socketstack.doctor.report import is_healthy
from socketstack.doctor.template import read_template
from socketstack.doctor.terraform import read_folder
from socketstack.errors import ConfigError

_INFRA = Path(__file__).parents[3] / "infra"
_EXAMPLE = _INFRA / "terraform"


def facts(folder: Path, **variables: str) -> Api:
    """The facts of a folder."""
    return read_folder(folder, variables=variables, region="eu-west-1")


def found(api: Api, severity: Severity) -> set[str]:
    """The checks that found something of this severity."""
    return {one.check for one in examine(api) if one.severity is severity}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example that may be spoilt."""
    copy = tmp_path / "module"
    shutil.copytree(_EXAMPLE, copy, ignore=shutil.ignore_patterns(".terraform*"))
    return copy


def spoil(folder: Path, before: str, after: str) -> None:
    """Put one text in another's place, in the one file that has it."""
    holding = [path for path in folder.glob("*.tf") if before in path.read_text()]
    assert len(holding) == 1, before
    holding[0].write_text(holding[0].read_text().replace(before, after))


def test_example_is_healthy() -> None:
    """The kit's own module has no errors, and nothing of it is unknown."""
    api = facts(_EXAMPLE, stage="prod", access_logs="true")

    assert is_healthy(examine(api))
    assert found(api, Severity.WARNING) == set()
    assert api.stage is not None
    assert (api.stage.name, api.region) == ("prod", "eu-west-1")
    assert api.authorizers[0].identity_sources == ("route.request.querystring.token",)


def test_module_and_template_get_the_same_findings() -> None:
    """Both describe one system, so the doctor says the same of both."""
    template = read_template(_INFRA / "template.yaml", parameters={}, region="eu-west-1")

    assert verdicts(facts(_EXAMPLE)) == verdicts(template)


_ROUTE_TYPE = 'authorization_type = each.key == "$connect" ? "CUSTOM" : "NONE"'
_ATTACHED = (
    'authorizer_id      = each.key == "$connect" ? aws_apigatewayv2_authorizer.token.id : null'
)
_SOURCES = 'identity_sources = ["route.request.querystring.token"]'
_GUARD = 'authorizer_type = "REQUEST"'
_RATE = "throttling_rate_limit  = var.throttle_rate"


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        pytest.param(_ROUTE_TYPE, 'authorization_type = "NONE"', "open-connect", id="1-none"),
        pytest.param(
            f"{_ROUTE_TYPE}\n  {_ATTACHED}",
            _ROUTE_TYPE.replace("$connect", "send")
            + "\n  "
            + _ATTACHED.replace("$connect", "send"),
            "open-connect",
            id="1-another-route",
        ),
        pytest.param(_ATTACHED, "", "open-connect", id="1-names-no-authorizer"),
        pytest.param(
            _SOURCES,
            'identity_sources = ["$request.querystring.token"]',
            "identity-source",
            id="2-http-api-syntax",
        ),
        pytest.param(
            "${aws_apigatewayv2_api.this.execution_arn}/authorizers/*",
            "${aws_apigatewayv2_api.this.execution_arn}/*/$connect",
            "authorizer-permission",
            id="4-may-not-call-authorizer",
        ),
        pytest.param(
            "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/${each.key}",
            "${aws_apigatewayv2_api.this.execution_arn}/other/${each.key}",
            "integration-permission",
            id="4-may-not-call-function",
        ),
        pytest.param(
            _GUARD,
            f"{_GUARD}\n  enable_simple_responses = true",
            "http-api-features",
            id="5-simple",
        ),
        pytest.param(_GUARD, 'authorizer_type = "JWT"', "http-api-features", id="6-jwt"),
        pytest.param("auto_deploy = true", "", "deployment", id="7-not-deployed"),
        pytest.param(_RATE, "", "throttling", id="15-one-limit-alone"),
        pytest.param(
            _RATE, f'logging_level = "INFO"\n    {_RATE}', "log-role", id="12-account-has-no-role"
        ),
        pytest.param(
            'target             = "integrations/${aws_apigatewayv2_integration.this[each.key].id}"',
            "",
            "integration",
            id="route-calls-nothing",
        ),
    ],
)
def test_mistake_is_an_error(folder: Path, before: str, after: str, check: str) -> None:
    """Each mistake that breaks the system is found by its check, and by no other."""
    spoil(folder, before, after)

    assert found(facts(folder), Severity.ERROR) == {check}


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        pytest.param(
            _SOURCES,
            'identity_sources = ["route.request.header.Authorization"]',
            "browser-credentials",
            id="8-header",
        ),
        pytest.param(
            'actions = ["execute-api:ManageConnections"]',
            'actions = ["execute-api:Invoke"]',
            "callback-permission",
            id="9-may-not-post",
        ),
        pytest.param(
            '"$default"    = { function = "messages", is_two_way = true }',
            "",
            "default-route",
            id="13-no-default",
        ),
        pytest.param(
            'authorizeError     = "$context.authorize.error"',
            "",
            None,
            id="logs-still-explain",
        ),
    ],
)
def test_mistake_is_a_warning(folder: Path, before: str, after: str, check: str | None) -> None:
    """What often is a mistake is warned of."""
    spoil(folder, before, after)

    expected = set() if check is None else {check}
    assert found(facts(folder, access_logs="true"), Severity.WARNING) == expected


@pytest.mark.parametrize(
    ("before", "after", "silent"),
    [
        pytest.param(_ROUTE_TYPE, "authorization_type = var.kind", "open-connect", id="variable"),
        pytest.param(
            _ROUTE_TYPE, "authorization_type = module.guard.kind", "open-connect", id="module"
        ),
        pytest.param(
            _SOURCES,
            'identity_sources = split(",", "route.request.querystring.token")',
            "identity-source",
            id="function",
        ),
        pytest.param(
            "auto_deploy = true", "auto_deploy = var.kind", "deployment", id="stage-variable"
        ),
        pytest.param(
            'resource "aws_apigatewayv2_route" "this" {\n  for_each = local.routes',
            'resource "aws_apigatewayv2_route" "this" {\n  for_each = var.kind',
            "open-connect",
            id="how-many-routes",
        ),
        pytest.param(
            'actions = ["execute-api:ManageConnections"]',
            "actions = var.kind",
            "callback-permission",
            id="policy",
        ),
    ],
)
def test_what_cannot_be_known_is_never_fine(
    folder: Path, before: str, after: str, silent: str
) -> None:
    """A check that rests on a value that only Terraform knows says nothing, and that fails."""
    (folder / "kind.tf").write_text('variable "kind" {}\n')
    spoil(folder, before, after)

    findings = examine(facts(folder))

    assert not is_healthy(findings)
    assert silent not in {one.check for one in findings}
    unknown = [one for one in findings if one.severity is Severity.UNKNOWN]
    assert any(silent in one.why for one in unknown)


def test_given_variable_is_known(folder: Path) -> None:
    """A value from the command line, or from terraform.tfvars, closes the gap; the former wins."""
    (folder / "kind.tf").write_text('variable "kind" {}\n')
    spoil(folder, _ROUTE_TYPE, 'authorization_type = each.key == "$connect" ? var.kind : "NONE"')
    (folder / "terraform.tfvars").write_text('kind = "NONE"\n')

    assert found(facts(folder), Severity.ERROR) == {"open-connect"}
    assert is_healthy(examine(facts(folder, kind="CUSTOM")))


def test_attached_policies_count(folder: Path) -> None:
    """A policy of the folder is read where it is attached; one of AWS is a gap."""
    spoil(folder, 'actions = ["execute-api:ManageConnections"]', 'actions = ["s3:GetObject"]')
    extra = folder / "extra.tf"
    attach = (
        'resource "aws_iam_role_policy_attachment" "push" {\n'
        '  role       = aws_iam_role.function["messages"].name\n  policy_arn = %s\n}\n'
    )
    extra.write_text(
        'resource "aws_iam_policy" "push" {\n  policy = jsonencode({ Statement = [{ Effect = '
        '"Allow", Action = "execute-api:ManageConnections", Resource = "*" }] })\n}\n'
        + attach
        % "aws_iam_policy.push.arn"
    )
    assert "callback-permission" in found(facts(folder), Severity.OK)

    extra.write_text(attach % '"arn:aws:iam::aws:policy/AmazonAPIGatewayInvokeFullAccess"')

    assert found(facts(folder), Severity.UNKNOWN) == {"not-known"}


def verdicts(api: Api) -> list[tuple[str, Severity]]:
    """What was found, in an order of its own."""
    return sorted((one.check, one.severity) for one in examine(api))


def take_out(folder: Path, name: str, head: str) -> None:
    """Remove one block from a file."""
    text = (folder / name).read_text()
    before, rest = text.split(f"{head} {{\n")
    (folder / name).write_text(before + rest.partition("\n}\n")[2])


_AUTHORIZER = {
    "//": "written by a program",
    "api_id": "${aws_apigatewayv2_api.this.id}",
    "name": "ApiConnectAuthorizer",
    "authorizer_type": "REQUEST",
    "authorizer_uri": '${aws_lambda_function.this["authorizer"].invoke_arn}',
    "identity_sources": ["route.request.querystring.token"],
}
_STAGE = {
    "api_id": "${aws_apigatewayv2_api.this.id}",
    "name": "${var.stage}",
    "auto_deploy": True,
    "default_route_settings": {
        "throttling_rate_limit": "${var.throttle_rate}",
        "throttling_burst_limit": "${var.throttle_burst}",
    },
    "dynamic": {
        "access_log_settings": {
            "for_each": "${aws_cloudwatch_log_group.access}",
            "content": {
                "destination_arn": "${access_log_settings.value.arn}",
                "format": '${jsonencode({ error = "$context.authorizer.error" })}',
            },
        }
    },
    "lifecycle": {"create_before_destroy": True},
}
_POLICY = {
    "for_each": "${local.policies}",
    "dynamic": [
        {
            "statement": {
                "for_each": "${each.value.statements}",
                "content": [
                    {
                        "actions": "${statement.value.actions}",
                        "resources": "${statement.value.resources}",
                    }
                ],
            }
        }
    ],
}


def write_json(folder: Path, **spoilt: object) -> None:
    """The example with three of its blocks in a JSON file; members of the authorizer may differ."""
    take_out(folder, "main.tf", 'resource "aws_apigatewayv2_authorizer" "token"')
    take_out(folder, "main.tf", 'resource "aws_apigatewayv2_stage" "this"')
    take_out(folder, "functions.tf", 'data "aws_iam_policy_document" "function"')
    document = {
        "//": "a comment",
        "resource": [
            {"aws_apigatewayv2_authorizer": {"token": [_AUTHORIZER | spoilt]}},
            {"aws_apigatewayv2_stage": {"this": _STAGE}},
        ],
        "data": {"aws_iam_policy_document": {"function": _POLICY}},
        "variable": {"unused": {"default": {"a": ["b"]}}},
        "output": {"quoted": {"value": 'a "quoted" ${upper("x")} $${not code} \\ text'}},
    }
    (folder / "more.tf.json").write_text(json.dumps(document))


def test_json_says_the_same_as_the_native_syntax(folder: Path) -> None:
    """Blocks of a ``.tf.json`` file count as those of ``.tf`` files, dynamic ones too."""
    write_json(folder)

    api = facts(folder, access_logs="true")

    assert verdicts(api) == verdicts(facts(_EXAMPLE, access_logs="true"))
    assert api.gaps == ()
    assert api.stage is not None
    assert "authorizer.error" in str(api.stage.access_log_format)


def test_mistake_in_json_is_found(folder: Path) -> None:
    """An authorizer of a JSON file that has an identity source of HTTP APIs is an error."""
    write_json(folder, identity_sources=["$request.querystring.token"])

    assert found(facts(folder), Severity.ERROR) == {"identity-source"}


_STAGE_OVER = (
    'resource "aws_apigatewayv2_stage" "this" {\n'
    "  default_route_settings {\n    throttling_rate_limit = 0\n  }\n}\n"
)


@pytest.mark.parametrize(
    ("name", "text", "check"),
    [
        pytest.param(
            "override.tf",
            'resource "aws_apigatewayv2_route" "this" {\n  authorization_type = "NONE"\n}\n',
            "open-connect",
            id="argument",
        ),
        pytest.param("my_override.tf", _STAGE_OVER, "throttling", id="nested-block"),
        pytest.param(
            "my_override.tf.json",
            '{"variable": {"throttle_rate": {"default": 0}}}',
            "throttling",
            id="json",
        ),
    ],
)
def test_override_files_override(folder: Path, name: str, text: str, check: str) -> None:
    """What Terraform merges over a block counts, and not what it takes the place of."""
    (folder / name).write_text(text)

    assert found(facts(folder), Severity.ERROR) == {check}


def test_locals_may_be_overridden(folder: Path) -> None:
    """A local of an override file is the one that counts."""
    (folder / "kind.tf").write_text('locals {\n  kind = "CUSTOM"\n}\n')
    (folder / "override.tf").write_text('locals {\n  kind = "NONE"\n}\n')
    spoil(folder, _ROUTE_TYPE, 'authorization_type = each.key == "$connect" ? local.kind : "NONE"')

    assert found(facts(folder), Severity.ERROR) == {"open-connect"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("{", "cannot be read as Terraform", id="no-json"),
        pytest.param('{"resources": {}}', "resources is no kind of block", id="kind"),
        pytest.param('{"resource": {"a": "b"}}', "holds something that is no object", id="form"),
        pytest.param('{"locals": {"a": "${b"}}', "code without an end", id="template"),
    ],
)
def test_broken_json_is_refused_by_name(folder: Path, text: str, told: str) -> None:
    """What cannot be read is never passed over."""
    (folder / "more.tf.json").write_text(text)

    with pytest.raises(ConfigError, match=rf"more\.tf\.json.*{told}"):
        facts(folder)


def test_files_of_values_count_in_terraforms_order(folder: Path) -> None:
    """``terraform.tfvars``, then its JSON, then ``*.auto.tfvars`` of both kinds by their names."""
    files = (
        ("terraform.tfvars", 'stage = "one"'),
        ("terraform.tfvars.json", '{"stage": "two"}'),
        ("a.auto.tfvars.json", '{"stage": "three"}'),
        ("b.auto.tfvars", 'stage = "four"'),
    )
    names = []
    for name, text in files:
        (folder / name).write_text(text)
        stage = facts(folder).stage
        names.append(stage.name if stage is not None else None)
    given = facts(folder, stage="five").stage
    (folder / "c.auto.tfvars.json").write_text("[]")

    assert names == ["one", "two", "three", "four"]
    assert given is not None
    assert given.name == "five"
    with pytest.raises(ConfigError, match=r"c\.auto\.tfvars\.json.*holds no object"):
        facts(folder)


_CALL = """
variable "where" { default = "prod" }
module "chat" {
  source       = "./module"
  build_dir    = "build"
  stage        = var.where
  throttle_rate = %s
}
"""


def test_module_in_a_folder_beside_is_read_with_its_variables(folder: Path) -> None:
    """A system whose API is in a called module gets the same findings as that module alone."""
    (folder.parent / "main.tf").write_text(_CALL % "50")

    api = facts(folder.parent)

    assert verdicts(api) == verdicts(facts(folder))
    assert api.gaps == ()
    assert api.stage is not None
    assert api.stage.name == "prod"


def test_mistake_in_a_called_module_is_found(folder: Path) -> None:
    """What is wrong inside, or with what it is called with, is an error."""
    (folder.parent / "main.tf").write_text(_CALL % "0")
    from_outside = found(facts(folder.parent), Severity.ERROR)
    (folder.parent / "main.tf").write_text(_CALL % "50")
    spoil(folder, _ROUTE_TYPE, 'authorization_type = "NONE"')

    assert from_outside == {"throttling"}
    assert found(facts(folder.parent), Severity.ERROR) == {"open-connect"}


def test_what_a_module_is_not_given_is_unknown(folder: Path) -> None:
    """A value that the caller does not know, or does not set, is not guessed."""
    (folder.parent / "main.tf").write_text(_CALL % "var.rate" + 'variable "rate" {}\n')

    gaps = facts(folder.parent).gaps
    known = facts(folder.parent, rate="50")

    assert {gap.why for gap in gaps} == {
        "var.rate has no value here; give it with --parameter rate=VALUE"
    }
    assert all("module.chat.aws_apigatewayv2_stage.this" in gap.what for gap in gaps)
    assert known.gaps == ()


_GUARD_MODULE = """
variable "name" {}
resource "aws_lambda_function" "guard" { function_name = var.name }
output "uri" { value = aws_lambda_function.guard.invoke_arn }
"""


def test_outputs_of_modules_lead_to_what_they_made(folder: Path) -> None:
    """An authorizer whose function is a module's is matched with it, one for each as well."""
    uri = 'authorizer_uri  = aws_lambda_function.this["authorizer"].invoke_arn'
    (folder / "guard").mkdir()
    (folder / "guard" / "main.tf").write_text(_GUARD_MODULE)
    (folder / "guard.tf").write_text(
        'module "guard" {\n  for_each = toset(["one", "two"])\n  source = "./guard"\n'
        '  name = "guard-${each.key}"\n}\n'
    )
    spoil(folder, uri, 'authorizer_uri = module.guard["two"].uri')

    api = facts(folder)

    assert api.gaps == ()
    assert [one.function.name for one in api.authorizers if one.function] == ["guard-two"]
    assert "authorizer-permission" in found(api, Severity.ERROR)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("terraform-aws-modules/apigateway-v2/aws", id="registry"),
        pytest.param("git::https://example.com/modules.git?ref=v1", id="git"),
    ],
)
def test_module_from_elsewhere_is_named_and_not_known(folder: Path, source: str) -> None:
    """What comes from a registry or by git is said to be unknown, and so is what rests on it."""
    (folder / "more.tf").write_text(f'module "more" {{\n  source = "{source}"\n}}\n')
    spoil(folder, _SOURCES, "identity_sources = module.more.sources")

    api = facts(folder)

    notes = [one.what for one in examine(api) if one.check == "not-known"]
    assert "What module.more makes is not known." in notes
    assert "identity_sources of aws_apigatewayv2_authorizer.token is not known." in notes
    assert all(source in gap.why for gap in api.gaps)
    assert not is_healthy(examine(api))


def test_module_that_is_not_there_or_calls_itself_is_refused(folder: Path) -> None:
    """Both are mistakes that Terraform refuses; the message names the folder."""
    (folder / "more.tf").write_text('module "more" {\n  source = "./absent"\n}\n')
    with pytest.raises(ConfigError, match=r"calls the module more in \./absent"):
        facts(folder)

    (folder / "more.tf").write_text('module "more" {\n  source = "../module"\n}\n')
    with pytest.raises(ConfigError, match="calls itself"):
        facts(folder)


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    """A folder without files, with a broken one or without an API is an error with its name."""
    with pytest.raises(ConfigError, match=r"has no \.tf files"):
        facts(tmp_path)
    (tmp_path / "main.tf").write_text("locals {}\n")
    with pytest.raises(ConfigError, match="which WebSocket API is meant"):
        facts(tmp_path)
    (tmp_path / "main.tf").write_text("resource {\n")
    with pytest.raises(ConfigError, match=r"main\.tf cannot be read as Terraform"):
        facts(tmp_path)


def test_command_needs_no_credentials_and_fails_on_a_mistake(folder: Path) -> None:
    """``socketstack doctor FOLDER`` reads files alone; its exit code and its JSON tell."""

    def run() -> tuple[int, set[str]]:
        done = subprocess.run(
            [sys.executable, "-m", "socketstack", "doctor", "--json", str(folder)],
            env={"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        findings = json.loads(done.stdout)["findings"]
        return done.returncode, {f["check"] for f in findings if f["severity"] == "error"}

    assert run() == (0, set())

    spoil(folder, _ROUTE_TYPE, 'authorization_type = "NONE"')

    assert run() == (1, {"open-connect"})
