"""What is looked at before anything is built or made in an account. Only read calls.

Errors stop the deployment; hints are said and do not. What the caller may not read is left to
CloudFormation, which will find it too, later.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from socketstack.errors import ConfigError
from socketstack.kit.cloud import Cloud, aws_errors, code_of, is_denied
from socketstack.kit.log_role import check_log_role
from socketstack.kit.naming import names_of
from socketstack.kit.packages import Say
from socketstack.kit.template import Template
from socketstack.settings import environment

_LINT: Final = "import sys; from cfnlint.runner import main; sys.exit(main())"
"""A process of its own: its rules take 150 MB, and it ends with the process."""
_ABOUT_PACKAGING: Final = "W3002"
"""Says that code must be packaged first, which is what the build does. Left out when the findings
are read: ignoring it on the command line would take the place of what the template ignores."""
_ERROR_BIT: Final = 2
"""cfn-lint's exit code adds 2 for errors, 4 for warnings, 8 for notes."""
_BROKEN: Final = 1
_MISSING: Final = frozenset(
    {"ResourceNotFoundException", "NoSuchEntity", "QueueDoesNotExist", "404", "NoSuchBucket"}
)
_FEW_CALLS: Final = 100
"""New accounts start far below the usual thousand functions at once, some with ten."""


def check(
    template: Path,
    cloud: Cloud,
    *,
    stack_name: str,
    parameters: Mapping[str, str],
    standing: Mapping[str, str] | None,
    say: Say,
) -> None:
    """Lint the template, and see whether the account and region can take it.

    Args:
        template: What is to be deployed.
        cloud: Where.
        stack_name: The stack.
        parameters: Given for this deployment.
        standing: Parameters that the stack has and that stay where none are given; None when there
            is no such stack yet. Names are looked up then only: otherwise it has them itself.
        say: Told what is not in the way.

    Raises:
        ConfigError: naming everything of one kind that stands in the way.
    """
    say(f"Account {cloud.account_id} as {cloud.caller_arn}, region {cloud.region}")
    address = cloud.cloudformation().meta.endpoint_url
    if ".amazonaws." not in address:
        say(f"Note: this is not AWS, AWS_ENDPOINT_URL leads to {address}")
    lint(template, cloud.region, say=say)
    loaded = Template.load(template)
    with aws_errors():
        if standing is None:
            _refuse_taken(loaded, cloud, stack_name, parameters)
        about_logs = check_log_role(loaded, cloud, {**(standing or {}), **parameters})
        for hint in filter(None, (about_logs, *_hints(cloud))):
            say(f"Note: {hint}")


def lint(template: Path, region: str, *, say: Say) -> None:
    """Let cfn-lint look at a template for one region.

    Warnings are said. Raises ``ConfigError`` with what it calls an error.
    """
    command = [sys.executable, "-c", _LINT, "--format=parseable", f"--regions={region}"]
    done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
        [*command, "--", str(template)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    findings = [_finding(line) for line in done.stdout.splitlines() if line]
    errors = [finding for finding in findings if finding.startswith("E")]
    if done.returncode == _BROKEN or not findings:
        told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(f"cfn-lint could not look at {template}: {told}")
    if not done.returncode & _ERROR_BIT and not errors:
        for finding in findings:
            if not finding.startswith(_ABOUT_PACKAGING):
                say(f"Note: cfn-lint: {finding}")
        return
    raise ConfigError(
        f"cfn-lint finds errors in {template}; nothing was built. Correct them:\n  "
        + "\n  ".join(errors or findings)
    )


def _finding(line: str) -> str:
    """``file:line:column:line:column:rule:text`` as ``rule text (line)``."""
    parts = line.split(":", 6)
    return line if len(parts) < 7 else f"{parts[5]} {parts[6]} (line {parts[1]})"  # noqa: PLR2004


# Names


@dataclass(frozen=True, slots=True)
class _Named:
    """A kind of resource whose names are unique in an account and region."""

    what: str
    look: Callable[[Cloud, str], object]
    """Finds one by name; raises, or gives something empty, when there is none."""
    remove: str
    """The command that removes one, before its name."""


def _client(cloud: Cloud, service: str) -> Any:
    make: Callable[..., Any] = cloud.session.client
    return make(service, endpoint_url=cloud.endpoint_url, config=cloud.config)


def _log_group(cloud: Cloud, name: str) -> object:
    found = _client(cloud, "logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return [group for group in found if group["logGroupName"] == name]


_FUNCTION: Final = _Named(
    "function",
    lambda cloud, name: _client(cloud, "lambda").get_function_configuration(FunctionName=name),
    "aws lambda delete-function --function-name",
)
_KINDS: Final[Mapping[str, _Named]] = {
    "AWS::Lambda::Function": _FUNCTION,
    "AWS::Serverless::Function": _FUNCTION,
    "AWS::Logs::LogGroup": _Named(
        "log group", _log_group, "aws logs delete-log-group --log-group-name"
    ),
    "AWS::DynamoDB::Table": _Named(
        "table",
        lambda cloud, name: _client(cloud, "dynamodb").describe_table(TableName=name),
        "aws dynamodb delete-table --table-name",
    ),
    "AWS::SecretsManager::Secret": _Named(
        "secret",
        lambda cloud, name: _client(cloud, "secretsmanager").describe_secret(SecretId=name),
        "aws secretsmanager delete-secret --force-delete-without-recovery --secret-id",
    ),
    "AWS::IAM::Role": _Named(
        "role",
        lambda cloud, name: _client(cloud, "iam").get_role(RoleName=name),
        "aws iam delete-role --role-name",
    ),
}


def _refuse_taken(
    template: Template, cloud: Cloud, stack_name: str, parameters: Mapping[str, str]
) -> None:
    known = {
        "AWS::AccountId": cloud.account_id,
        "AWS::Partition": cloud.session.get_partition_for_region(cloud.region),
        "AWS::Region": cloud.region,
        "AWS::StackName": stack_name,
        **parameters,
    }
    taken = [
        f"{kind.what} {name}    ({kind.remove} {name})"
        for type_name, name in names_of(template, known)
        if (kind := _KINDS.get(type_name)) is not None and _exists(kind, cloud, name)
    ]
    if taken:
        raise ConfigError(
            f"{stack_name} is not deployed yet, but these names of its template are taken in "
            f"account {cloud.account_id}, region {cloud.region}; nothing was built. Choose another "
            "STACK_NAME, or remove what nobody needs:\n  " + "\n  ".join(taken)
        )


def _exists(kind: _Named, cloud: Cloud, name: str) -> bool:
    try:
        return bool(kind.look(cloud, name))
    except ClientError as error:
        # Whoever may not look may still deploy; CloudFormation would find the name taken.
        if code_of(error) in _MISSING or is_denied(error):
            return False
        raise


# Hints


def _hints(cloud: Cloud) -> Iterator[str]:
    try:
        limits = _client(cloud, "lambda").get_account_settings()["AccountLimit"]
    except ClientError:
        return
    calls = limits.get("ConcurrentExecutions")
    if calls is not None and calls < _FEW_CALLS:
        yield (
            f"This account runs at most {calls} functions at once in {cloud.region}, and every "
            "handshake and message needs one. Ask for more before people come (Service Quotas, "
            "AWS Lambda, Concurrent executions)."
        )
