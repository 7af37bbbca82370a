"""The role with which API Gateway writes logs: whether one is needed, and whether there is one.

The role is set once for an account and region, outside of any stack. Without it a stage with access
logs fails in the middle of a deployment (rule 1.96).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import yaml
from botocore.exceptions import ClientError

from socketstack.errors import ConfigError
from socketstack.kit.cloud import Cloud, is_denied
from socketstack.kit.template import Template, items, member, reference_of, text_of

_STAGES: Final = frozenset({"AWS::ApiGatewayV2::Stage", "AWS::Serverless::WebSocketApi"})
_SETS_THE_ROLE: Final = "AWS::ApiGateway::Account"
_TRUST: Final = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
_MAY_WRITE: Final = "iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """What a template says of its stage's access log."""

    is_on: bool
    switch: str | None
    """The parameter and its value that switch it on, ``AccessLogs=true``; None without one."""


def access_log_of(template: Template, values: Mapping[str, str]) -> AccessLog | None:
    """Whether a stage of the template has an access log.

    Args:
        template: The template.
        values: Parameters that do not have their default.

    Returns:
        None where there is none at all, where the template sets the role itself, and where it
        cannot be told from parameters alone.
    """
    resources = list(template.resources())
    if any(resource.type == _SETS_THE_ROLE for resource in resources):
        return None
    for resource in resources:
        settings = member(resource.properties, "AccessLogSettings")
        if resource.type not in _STAGES or settings is None:
            continue
        chosen = _arguments(settings, "If")
        if chosen is None:
            return AccessLog(is_on=True, switch=None)
        return _by_condition(template, values, text_of(chosen[0]) if chosen else None)
    return None


def _by_condition(
    template: Template, values: Mapping[str, str], name: str | None
) -> AccessLog | None:
    condition = member(template.root, "Conditions", name) if name is not None else None
    sides = _arguments(condition, "Equals") or []
    parameter = next((found for side in sides if (found := reference_of(side))), None)
    wanted = next((found for side in sides if (found := text_of(side)) is not None), None)
    if parameter is None or wanted is None:
        return None
    default = text_of(member(template.root, "Parameters", parameter, "Default"))
    is_on = values.get(parameter, default) == wanted
    return AccessLog(is_on=is_on, switch=f"{parameter}={wanted}")


def _arguments(node: yaml.Node | None, function: str) -> list[yaml.Node] | None:
    """The arguments of ``!Function`` or ``Fn::Function``; None for anything else."""
    if isinstance(node, yaml.SequenceNode) and node.tag == f"!{function}":
        return items(node)
    inner = member(node, f"Fn::{function}")
    return None if inner is None else items(inner)


def check_log_role(template: Template, cloud: Cloud, values: Mapping[str, str]) -> str | None:
    """A hint about the access log, or None.

    ``values`` are the parameters that do not have their default. A caller who may not look gets
    no hint: API Gateway decides then. Raises ``ConfigError`` when the stage is to have an access
    log and API Gateway has no role in this account and region.
    """
    log = access_log_of(template, values)
    if log is None:
        return None
    has_role = _has_role(cloud)
    if has_role is None:
        return None
    if log.is_on and not has_role:
        raise ConfigError(_refusal(cloud, log))
    if log.is_on or not has_role or log.switch is None:
        return None
    return (
        "API Gateway may write logs in this account and region, and the stage's access log, which "
        f"tells why a handshake was refused, is off. {log.switch} switches it on "
        f'(--parameter {log.switch}; with make PARAMETERS="{log.switch}").'
    )


def _has_role(cloud: Cloud) -> bool | None:
    """None where the caller may not look."""
    client = cloud.session.client(
        "apigateway", endpoint_url=cloud.endpoint_url, config=cloud.config
    )
    try:
        return bool(client.get_account().get("cloudwatchRoleArn"))
    except ClientError as error:
        if is_denied(error):
            return None
        raise


def _refusal(cloud: Cloud, log: AccessLog) -> str:
    partition = cloud.session.get_partition_for_region(cloud.region)
    role = f"arn:{partition}:iam::{cloud.account_id}:role/api-gateway-logs"
    without = f", or leave {log.switch} out" if log.switch else ""
    return (
        "The stage is to have an access log, and API Gateway has no role to write it with in "
        f"account {cloud.account_id}, region {cloud.region}; nothing was built. Set one, once for "
        f"both{without}:\n"
        f"  aws iam create-role --role-name api-gateway-logs --assume-role-policy-document "
        f"'{_TRUST}'\n"
        f"  aws iam attach-role-policy --role-name api-gateway-logs "
        f"--policy-arn arn:{partition}:{_MAY_WRITE}\n"
        f"  aws apigateway update-account --region {cloud.region} --patch-operations "
        f"op=replace,path=/cloudwatchRoleArn,value={role}"
    )
