"""Terraform's resources as the CloudFormation resources that they are: tables, no reading.

A row says which checks rest on a member, so that those can say that they do not know.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from socketstack.doctor.hcl import Unknown, Value
from socketstack.doctor.template import ACCOUNT, made_up

Properties = dict[str, Any]

OWN_NAMES: Final = ("function_name", "name")
"""What a physical name is written as. Any name will do for the checks, so one that is not known is
made up."""
ATTACHMENT: Final = "Terraform::IAM::Attachment"
"""What CloudFormation says with a member of the policy."""
STATEMENT: Final = {
    "effect": "Effect",
    "actions": "Action",
    "not_actions": "NotAction",
    "resources": "Resource",
    "not_resources": "NotResource",
}
"""Members of a statement in ``aws_iam_policy_document``."""


@dataclass(frozen=True, slots=True)
class Member:
    """An attribute, the property it becomes, and the checks that rest on it."""

    name: str
    becomes: str
    checks: frozenset[str]


def _first(bodies: Sequence[Properties]) -> Value:
    return bodies[0]


@dataclass(frozen=True, slots=True)
class Nested:
    """A block, the property it becomes, and what is sent for what it leaves out."""

    name: str
    becomes: str
    members: tuple[Member, ...]
    shape: Callable[[Sequence[Properties]], Value] = _first
    defaults: Mapping[str, Value] = field(default_factory=dict)

    @property
    def checks(self) -> frozenset[str]:
        """The checks that rest on any of it."""
        return frozenset[str]().union(*(member.checks for member in self.members))


def _as_written(properties: Properties, _own_name: str) -> Properties:
    return properties


@dataclass(frozen=True, slots=True)
class Twin:
    """A type of resource: its name in CloudFormation, and what of it is looked at."""

    kind: str
    members: tuple[Member, ...]
    blocks: tuple[Nested, ...] = ()
    shape: Callable[[Properties, str], Properties] = _as_written

    @property
    def checks(self) -> frozenset[str]:
        """The checks that rest on there being one."""
        parts: list[Member | Nested] = [*self.members, *self.blocks]
        return frozenset[str]().union(*(part.checks for part in parts))


def _member(name: str, becomes: str, checks: str = "") -> Member:
    return Member(name, becomes, frozenset(checks.split()))


_OPEN = "open-connect unused-authorizer identity-source browser-credentials authorizer-permission"
_CALLS = "integration integration-permission wide-permission callback-permission"
_ROUTES = f"{_OPEN} {_CALLS} default-route route-response"
_ALLOWED = "authorizer-permission integration-permission wide-permission"

_LIMITS: Final = (
    _member("throttling_rate_limit", "ThrottlingRateLimit", "throttling"),
    _member("throttling_burst_limit", "ThrottlingBurstLimit", "throttling"),
    _member("logging_level", "LoggingLevel", "log-role"),
)
# The provider sends both limits of a block that has neither, or one.
_NO_LIMITS: Final = {"ThrottlingRateLimit": 0, "ThrottlingBurstLimit": 0}


def _by_route(bodies: Sequence[Properties]) -> Value:
    return {body.get("RouteKey"): body for body in bodies}


def _named_function(properties: Properties, own_name: str) -> Properties:
    return {**properties, "FunctionName": own_name}


def _named_role(properties: Properties, own_name: str) -> Properties:
    return {**properties, "RoleName": own_name}


def _policies(bodies: Sequence[Properties]) -> Value:
    return [{**body, "PolicyDocument": _document(body)} for body in bodies]


def _document(properties: Properties) -> Value:
    return json.loads(properties.get("PolicyDocument", "{}"))


def _role_policy(properties: Properties, _own_name: str) -> Properties:
    role = properties.get("Role")
    return {"Roles": [role], "PolicyDocument": _document(properties)}


def _managed(properties: Properties, _own_name: str) -> Properties:
    return {"Roles": [], "PolicyDocument": _document(properties)}


def _permission(properties: Properties, _own_name: str) -> Properties:
    qualifier = properties.pop("Qualifier", None)
    if qualifier is not None:
        properties["FunctionName"] = f"{properties.get('FunctionName')}:{qualifier}"
    return properties


TWINS: Final[Mapping[str, Twin]] = {
    "aws_apigatewayv2_api": Twin(
        "AWS::ApiGatewayV2::Api",
        (
            _member("name", "Name"),
            _member("protocol_type", "ProtocolType", _ROUTES),
            _member("route_selection_expression", "RouteSelectionExpression"),
            _member("disable_execute_api_endpoint", "DisableExecuteApiEndpoint", "endpoint"),
        ),
    ),
    "aws_apigatewayv2_authorizer": Twin(
        "AWS::ApiGatewayV2::Authorizer",
        (
            _member("api_id", "ApiId", _OPEN),
            _member("name", "Name"),
            _member("authorizer_type", "AuthorizerType", "http-api-features"),
            _member("authorizer_uri", "AuthorizerUri", "authorizer-permission"),
            _member(
                "authorizer_credentials_arn", "AuthorizerCredentialsArn", "authorizer-permission"
            ),
            _member("identity_sources", "IdentitySource", "identity-source browser-credentials"),
            _member(
                "authorizer_payload_format_version",
                "AuthorizerPayloadFormatVersion",
                "http-api-features",
            ),
            _member(
                "authorizer_result_ttl_in_seconds",
                "AuthorizerResultTtlInSeconds",
                "http-api-features",
            ),
            _member("enable_simple_responses", "EnableSimpleResponses", "http-api-features"),
        ),
        (
            Nested(
                "jwt_configuration",
                "JwtConfiguration",
                (_member("issuer", "Issuer"),),
                # Also an empty block is one.
                defaults={"Issuer": ""},
            ),
        ),
    ),
    "aws_apigatewayv2_integration": Twin(
        "AWS::ApiGatewayV2::Integration",
        (
            _member("api_id", "ApiId", _CALLS),
            _member("integration_type", "IntegrationType", "integration"),
            _member("integration_uri", "IntegrationUri", _CALLS),
            _member("credentials_arn", "CredentialsArn", "integration-permission"),
        ),
    ),
    "aws_apigatewayv2_route": Twin(
        "AWS::ApiGatewayV2::Route",
        (
            _member("api_id", "ApiId", _ROUTES),
            _member("route_key", "RouteKey", _ROUTES),
            _member("target", "Target", _CALLS),
            _member("authorization_type", "AuthorizationType", _OPEN),
            _member("authorizer_id", "AuthorizerId", _OPEN),
            _member("api_key_required", "ApiKeyRequired", "open-connect"),
        ),
    ),
    "aws_apigatewayv2_route_response": Twin(
        "AWS::ApiGatewayV2::RouteResponse",
        (
            _member("route_id", "RouteId", "route-response"),
            _member("route_response_key", "RouteResponseKey", "route-response"),
        ),
    ),
    "aws_apigatewayv2_stage": Twin(
        "AWS::ApiGatewayV2::Stage",
        (
            _member("api_id", "ApiId", "deployment throttling access-logs log-role"),
            _member("name", "StageName", "integration-permission callback-permission"),
            _member("auto_deploy", "AutoDeploy", "deployment"),
            _member("deployment_id", "DeploymentId", "deployment"),
        ),
        (
            Nested("default_route_settings", "DefaultRouteSettings", _LIMITS, defaults=_NO_LIMITS),
            Nested(
                "route_settings",
                "RouteSettings",
                (_member("route_key", "RouteKey", "throttling"), *_LIMITS),
                _by_route,
                _NO_LIMITS,
            ),
            Nested(
                "access_log_settings",
                "AccessLogSettings",
                (_member("format", "Format", "access-logs"),),
            ),
        ),
    ),
    "aws_lambda_function": Twin(
        "AWS::Lambda::Function",
        (_member("role", "Role", "callback-permission"),),
        shape=_named_function,
    ),
    "aws_lambda_permission": Twin(
        "AWS::Lambda::Permission",
        (
            _member("function_name", "FunctionName", _ALLOWED),
            _member("qualifier", "Qualifier", _ALLOWED),
            _member("action", "Action", _ALLOWED),
            _member("principal", "Principal", _ALLOWED),
            _member("source_arn", "SourceArn", _ALLOWED),
        ),
        shape=_permission,
    ),
    "aws_iam_role": Twin(
        "AWS::IAM::Role",
        (_member("managed_policy_arns", "ManagedPolicyArns", "callback-permission"),),
        (
            Nested(
                "inline_policy",
                "Policies",
                (_member("policy", "PolicyDocument", "callback-permission"),),
                _policies,
            ),
        ),
        _named_role,
    ),
    "aws_iam_role_policy": Twin(
        "AWS::IAM::Policy",
        (
            _member("role", "Role", "callback-permission"),
            _member("policy", "PolicyDocument", "callback-permission"),
        ),
        shape=_role_policy,
    ),
    "aws_iam_policy": Twin(
        "AWS::IAM::ManagedPolicy",
        (_member("policy", "PolicyDocument", "callback-permission"),),
        shape=_managed,
    ),
    "aws_iam_role_policy_attachment": Twin(
        ATTACHMENT,
        (
            _member("role", "Role", "callback-permission"),
            _member("policy_arn", "PolicyArn", "callback-permission"),
        ),
    ),
    "aws_api_gateway_account": Twin(
        "AWS::ApiGateway::Account",
        (_member("cloudwatch_role_arn", "CloudWatchRoleArn", "log-role"),),
    ),
}

_NAMED_BY_ID: Final = frozenset({"aws_apigatewayv2_stage", "aws_lambda_function", "aws_iam_role"})
"""Resources whose id is their name."""
_LOOKED_UP: Final[Mapping[tuple[str, str], Value]] = {
    ("data.aws_partition", "partition"): "aws",
    ("data.aws_partition", "dns_suffix"): "amazonaws.com",
    ("data.aws_caller_identity", "account_id"): ACCOUNT,
}


def computed(kind: str, address: str, name: str, own_name: str, region: str) -> Value:
    """An attribute that AWS gives, in the form of its service.

    Args:
        kind: The resource's type; of data sources with ``data.`` before it.
        address: Tells it from others.
        name: The attribute.
        own_name: The resource's name, real or made up.
        region: Where it is to be.

    Returns:
        Unknown for what has no form that could be made up.
    """
    if kind.startswith("data."):
        if kind == "data.aws_region" and name in {"name", "region", "id"}:
            return region
        return _LOOKED_UP.get((kind, name), Unknown(f"{address}.{name} is read from AWS"))
    arn = _arn(kind, address, own_name, region)
    own_id = own_name if kind in _NAMED_BY_ID else made_up(address)
    given = {"arn": arn, "id": own_id} | dict.fromkeys(OWN_NAMES, own_name)
    if kind == "aws_lambda_function":
        given["invoke_arn"] = (
            f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
        )
    if kind == "aws_apigatewayv2_api":
        given["execution_arn"] = f"arn:aws:execute-api:{region}:{ACCOUNT}:{made_up(address)}"
    return given.get(name, Unknown(f"{address}.{name} is known only when it is applied"))


def _arn(kind: str, address: str, own_name: str, region: str) -> str:
    match kind:
        case "aws_lambda_function":
            return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{own_name}"
        case "aws_iam_role":
            return f"arn:aws:iam::{ACCOUNT}:role/{own_name}"
        case _:
            service = kind.split("_")[1]
            return f"arn:aws:{service}:{region}:{ACCOUNT}:{made_up(address)}"
