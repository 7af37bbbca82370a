"""Whether the stage can be reached, lets anything pass, and tells what happened."""

from collections.abc import Iterator
from typing import Final

from socketstack.doctor.facts import Api, Stage, Throttle
from socketstack.doctor.findings import Finding, error, note, ok, warning

_EXPLAINING: Final = ("$context.authorizer.error", "$context.error.message")


def deployment(api: Api) -> Iterator[Finding]:
    """The stage serves a deployment."""
    stage = api.stage
    if stage is None:
        return
    if stage.deployment_problem:
        yield error(
            "deployment",
            f"The last automatic deployment of stage {stage.name} failed.",
            stage.deployment_problem,
            "Mend what it names; the stage serves what was deployed before.",
        )
    if stage.deployment_id is None:
        yield error(
            "deployment",
            f"Nothing is deployed to stage {stage.name}.",
            "Routes and authorizers are live only once a deployment froze them; until then every "
            "handshake gets 403.",
            "Create a deployment for the stage, or turn auto-deploy on.",
        )
    elif not stage.is_auto_deployed:
        yield note(
            "deployment",
            f"Stage {stage.name} serves deployment {stage.deployment_id} until another is made.",
            "Changes of routes, integrations and authorizers are not live before that.",
        )
    else:
        yield ok("deployment", f"Stage {stage.name} deploys changes by itself.")


def endpoint(api: Api) -> Iterator[Finding]:
    """The API can be reached under its own address."""
    if api.is_endpoint_disabled:
        yield warning(
            "endpoint",
            "The API's own endpoint is disabled.",
            "Clients reach it only through a custom domain name that maps the stage.",
            "Map the stage to a domain name, or enable the endpoint.",
        )


def throttling(api: Api) -> Iterator[Finding]:
    """No limit lets nothing pass."""
    stage = api.stage
    if stage is None:
        return
    for where, throttle in _throttles(stage):
        if 0 in {throttle.rate, throttle.burst}:
            yield error(
                "throttling",
                f"The throttling of {where} is 0.",
                "0 lets nothing pass: handshakes get 429, messages Too Many Requests. Terraform "
                "writes it when only one of the two limits is given.",
                "Set both limits, or neither.",
            )


def _throttles(stage: Stage) -> Iterator[tuple[str, Throttle]]:
    yield f"stage {stage.name}", stage.default_throttle
    for key, throttle in stage.throttles.items():
        yield f"route {key}", throttle


def logs(api: Api) -> Iterator[Finding]:
    """What happened is written down."""
    stage = api.stage
    if stage is None:
        return
    # A template says nothing of the account, where another stack may have set the role; execution
    # logs are refused without it, so there it is wanted beside them.
    has_access_logs = stage.access_log_format is not None and api.is_log_role_known is True
    has_execution_logs = stage.logging_level != "OFF" and api.is_log_role_known is not False
    if api.log_role_arn is None and (has_access_logs or has_execution_logs):
        kind = "execution" if has_execution_logs else "access"
        yield error(
            "log-role",
            f"Stage {stage.name} writes {kind} logs, and the account has no role for them.",
            "The role is one setting for all APIs of an account in a region.",
            "aws apigateway update-account --patch-operations "
            "op=replace,path=/cloudwatchRoleArn,value=ROLE_ARN",
        )
    if stage.access_log_format is None:
        yield warning(
            "access-logs",
            f"Stage {stage.name} has no access logs.",
            "They are the only place where AWS says why a handshake was refused.",
            "Set accessLogSettings, with $context.authorizer.error and $context.error.message.",
        )
    elif not any(variable in stage.access_log_format for variable in _EXPLAINING):
        yield warning(
            "access-logs",
            f"The access logs of stage {stage.name} do not say why something failed.",
            "The format has neither of: " + ", ".join(_EXPLAINING) + ".",
            "Add them to the format.",
        )
    else:
        yield ok("access-logs", f"The access logs of stage {stage.name} explain refusals.")
