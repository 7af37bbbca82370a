"""What the service model does not state: patterns, references, uniqueness, WebSocket-only rules.

``verify`` judges the record as it would be stored, for Create and Update alike, and
``verify_removal`` what still refers to a record that is to go. Where AWS's own
wording is known it is used word for word, with the rule's id beside it. Stages and deployments
are judged in ``stage_checks``, custom domain names in ``domain_names``.
Rules: 1.13, 1.14, 1.19, 1.21, 1.28, 1.32 to 1.47, 1.51 to 1.62, 1.65 to 1.75.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from socketstack.controlplane import domain_names, models, sources, stage_checks
from socketstack.controlplane.derived import HTTP_ONLY
from socketstack.controlplane.kinds import (
    API_MAPPING,
    AUTHORIZER,
    DEPLOYMENT,
    DOMAIN_NAME,
    INTEGRATION,
    INTEGRATION_RESPONSE,
    MODEL,
    ROUTE,
    ROUTE_RESPONSE,
    STAGE,
)
from socketstack.controlplane.members import mapping, text, texts
from socketstack.controlplane.subject import Subject
from socketstack.core import limits
from socketstack.core.model import Record
from socketstack.errors import BadRequest, Conflict, TooManyRequests

_PREDEFINED_KEYS: Final = frozenset({"$connect", "$disconnect", "$default"})  # 1.32
_TARGET: Final = re.compile(r"integrations/([^/]+)")  # 1.34
_ROUTE_PARAMETER: Final = re.compile(  # 1.42, 5.61
    r"route\.request\.(?:multivalue)?(?:header|querystring)\.[^\s.]\S*"
)
_INTEGRATION_PARAMETER: Final = re.compile(  # 1.58
    r"integration\.request\.(?:header|querystring|path)\.[A-Za-z0-9!#$%&'*+.^_`|~-]+"
)
_MAPPED_VALUE: Final = re.compile(  # 5.61
    r"'[^']*'"
    r"|(?:route|method)\.request\.(?:multivalue)?(?:header|querystring|path)\.\S+"
    r"|(?:route|method)\.request\.body(?:\.\S+)?"
    r"|(?:context|stageVariables)\.\S+"
)
_RESPONSE_PARAMETER: Final = re.compile(  # 2.26
    r"(?:method|route)\.response\.header\.[A-Za-z0-9!#$%&'*+.^_`|~-]+"
)
_RESPONSE_VALUE: Final = re.compile(
    r"'[^']*'"
    r"|integration\.response\.(?:multivalue)?header\.\S+"
    r"|integration\.response\.body(?:\.\S+)?"
)
_METHODS: Final = ("ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")  # 1.56
_SERVICE_URI: Final = re.compile(r"arn:[^:]+:apigateway:[^:]+:[^:]+:(?:path|action)/.+", re.DOTALL)
_FUNCTION_URI: Final = re.compile(  # 1.55
    r"arn:[^:]+:apigateway:[^:]+:lambda:path/2015-03-31/functions/.+/invocations"
)
_HTTP_URI: Final = re.compile(r"(?:https?://|\$\{stageVariables\.).+")
_MODEL_NAME: Final = re.compile(r"[A-Za-z0-9]+")  # 1.74
_API_KEY_SOURCES: Final = (  # 1.19
    "$request.header.x-api-key",
    "$context.authorizer.usageIdentifierKey",
)


def verify(subject: Subject) -> None:
    """Refuse a record that API Gateway would refuse.

    Raises:
        BadRequest, Conflict, TooManyRequests: with AWS's wording where it is known.
    """
    for member in HTTP_ONLY.get(subject.kind.name, ()):
        if member in subject.record:
            raise BadRequest(f"{member} is supported only for HTTP APIs.")
    check = _CHECKS.get(subject.kind.name)
    if check is not None:
        check(subject)


def verify_quota(subject: Subject) -> None:
    """Refuse one record too many. Rule 1.28."""
    most = subject.kind.per_api
    if most is not None and sum(1 for _ in subject.others()) >= most:
        raise TooManyRequests(
            f"Maximum number of {subject.kind.plural} for this API has been reached: {most}.",
            limitType=f"{subject.kind.plural} per API",
        )


def verify_removal(subject: Subject) -> None:
    """Refuse to delete what a route or stage still uses. Rules 1.61, 1.72, 1.83.

    Raises:
        Conflict, BadRequest: naming the users where AWS does.
    """
    domain_names.verify_unmapped(subject)
    name = text(subject.record, "Name")
    match subject.kind.name:
        case INTEGRATION.name:
            target = f"integrations/{subject.own_id}"
            users = [
                text(route, "RouteId")
                for route in subject.of_api(ROUTE)
                if text(route, "Target") == target
            ]
            if users:
                raise Conflict(  # 1.61
                    "Cannot delete Integration because it is referenced by the following Routes "
                    f"with Ids: [{', '.join(users)}]"
                )
        case AUTHORIZER.name:
            for route in subject.of_api(ROUTE):
                if text(route, "AuthorizerId") == subject.own_id:
                    raise Conflict(  # 1.72
                        f"Cannot delete authorizer '{name}', is referenced in route: "
                        f"{route['RouteKey']}"
                    )
        case MODEL.name:
            for route in subject.of_api(ROUTE):
                if name in mapping(route, "RequestModels").values():
                    raise Conflict(
                        f"Cannot delete model '{name}', is referenced in route: {route['RouteKey']}"
                    )
        case DEPLOYMENT.name:
            stage_checks.verify_deployment_removal(subject)
        case _:
            pass


def _api(subject: Subject) -> None:
    record = subject.record
    expression = text(record, "RouteSelectionExpression")
    if not expression:
        raise BadRequest(  # 1.14
            "RouteSelectionExpression is required for WebSocket APIs, for example "
            "$request.body.action."
        )
    sources.verify_expression("RouteSelectionExpression", expression)
    key_source = text(record, "ApiKeySelectionExpression")
    if key_source not in _API_KEY_SOURCES:
        raise BadRequest(
            f"Invalid ApiKeySelectionExpression {key_source!r}: use "
            f"{' or '.join(_API_KEY_SOURCES)}."
        )


def _route(subject: Subject) -> None:
    record = subject.record
    key = text(record, "RouteKey")
    if key.startswith("$") and key not in _PREDEFINED_KEYS:
        raise BadRequest(
            f"Invalid route key {key!r}: keys that start with $ are reserved, only $connect, "
            "$disconnect and $default may be used."
        )
    if subject.is_taken("RouteKey"):
        raise Conflict(f"Route with key {key} already exists for this API")  # 1.33
    _authorization(subject, key)
    _target(subject)
    parameters = mapping(record, "RequestParameters")
    for parameter in parameters:
        if not _ROUTE_PARAMETER.fullmatch(parameter):
            raise BadRequest(
                f"Invalid request parameter {parameter!r}: use route.request.header.NAME or "
                "route.request.querystring.NAME."
            )
    if parameters and key != "$connect":
        raise BadRequest(  # 1.42
            "Request parameters are only supported for the $connect route in WEBSOCKET APIs"
        )
    response = text(record, "RouteResponseSelectionExpression")
    if response and response != "$default":
        raise BadRequest(  # 1.44
            f"Invalid RouteResponseSelectionExpression {response!r}: only $default is supported."
        )
    selection = text(record, "ModelSelectionExpression")
    if selection:
        sources.verify_expression("ModelSelectionExpression", selection)
    _models(subject, "RequestModels")


def _authorization(subject: Subject, key: str) -> None:
    """Rules 1.37, 1.38, 1.41."""
    kind = text(subject.record, "AuthorizationType")
    if kind == "JWT":
        raise BadRequest(
            "Invalid authorization type JWT: WebSocket APIs support NONE, AWS_IAM and CUSTOM."
        )
    if kind != "NONE" and key != "$connect":
        raise BadRequest(  # 1.38
            "Currently, authorization is restricted to the $connect route only"
        )
    known = {text(authorizer, "AuthorizerId") for authorizer in subject.of_api(AUTHORIZER)}
    if kind == "CUSTOM" and text(subject.record, "AuthorizerId") not in known:
        raise BadRequest(
            "Invalid authorizer ID specified. Setting the authorization type to CUSTOM requires a "
            "valid authorizer."
        )


def _target(subject: Subject) -> None:
    """Rules 1.34 to 1.36."""
    target = text(subject.record, "Target")
    if not target:
        return
    found = _TARGET.fullmatch(target)
    if found is None:
        raise BadRequest(f"Invalid target {target!r}: use the form integrations/{{integrationId}}.")
    if subject.store.get((*subject.api, INTEGRATION.name, found[1])) is None:
        raise BadRequest(f"Invalid target {target!r}: this API has no integration {found[1]}.")


def _models(subject: Subject, member: str) -> None:
    """Rule 1.45."""
    known = {text(model, "Name") for model in subject.of_api(MODEL)}
    for key, name in mapping(subject.record, member).items():
        if name not in known:
            raise BadRequest(
                f"Invalid model {name!r} for {member}.{key}: this API has no such model."
            )


def _route_response(subject: Subject) -> None:
    key = text(subject.record, "RouteResponseKey")
    if key != "$default":  # 1.47
        raise BadRequest(f"Invalid route response key {key!r}: only $default is supported.")
    if subject.is_taken("RouteResponseKey"):
        raise Conflict(f"RouteResponse with key {key} already exists for this route")
    _models(subject, "ResponseModels")


def _integration(subject: Subject) -> None:
    record = subject.record
    method = text(record, "IntegrationMethod")
    if method and method not in _METHODS:  # 1.56
        raise BadRequest(
            f"Invalid HTTP method {method!r}: valid methods are {', '.join(_METHODS)}."
        )
    timeout = record["TimeoutInMillis"]
    low, high = limits.INTEGRATION_TIMEOUT_MIN_MS, limits.INTEGRATION_TIMEOUT_MAX_MS
    if not isinstance(timeout, int) or not low <= timeout <= high:  # 1.54
        raise BadRequest(f"Timeout should be between {low} ms and {high} ms")
    version = text(record, "PayloadFormatVersion")
    if version != "1.0":  # 1.60
        raise BadRequest(f"Invalid payload format version {version!r}: WebSocket APIs use 1.0.")
    _integration_uri(record)
    _connection(record)
    for key, value in mapping(record, "RequestParameters").items():
        if not _INTEGRATION_PARAMETER.fullmatch(key):
            raise BadRequest(
                f"Invalid mapping expression specified: {key}. Use "
                "integration.request.header.NAME, integration.request.querystring.NAME or "
                "integration.request.path.NAME."
            )
        if not _MAPPED_VALUE.fullmatch(str(value)):
            raise BadRequest(f"Invalid mapping expression specified: {value}")
    _template_selection(record, sources.MESSAGE)
    _templates_size(record, "RequestTemplates")


def _integration_uri(record: Record) -> None:
    kind, uri = text(record, "IntegrationType"), text(record, "IntegrationUri")
    if not uri:
        return
    if kind.startswith("AWS") and not _SERVICE_URI.fullmatch(uri):
        raise BadRequest(
            "AWS ARN for integration must contain path or action: a function's URI is "
            "arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{functionArn}/invocations."
        )
    if kind.startswith("HTTP") and not _HTTP_URI.fullmatch(uri):
        raise BadRequest(f"Invalid HTTP endpoint specified for URI: {uri}")


def _connection(record: Record) -> None:
    """Rule 1.59."""
    if record["ConnectionType"] != "VPC_LINK":
        return
    if not text(record, "IntegrationType").startswith("HTTP"):
        raise BadRequest("VPC_LINK connections need an integration of type HTTP or HTTP_PROXY.")
    if not text(record, "ConnectionId"):
        raise BadRequest("ConnectionId is required when the connection type is VPC_LINK.")


def _template_selection(record: Record, readable: tuple[tuple[str, ...], ...]) -> None:
    """Rules 1.57, 5.59."""
    selection = text(record, "TemplateSelectionExpression")
    if selection:
        sources.verify_expression("TemplateSelectionExpression", selection, readable)


def _templates_size(record: Record, member: str) -> None:
    """All templates of one side together; one template's limit is the model's. Rule 5.52."""
    size = sum(len(str(each).encode()) for each in mapping(record, member).values())
    if size > limits.MAPPING_TEMPLATES_MAX_BYTES:
        raise BadRequest(
            f"Invalid {member}: they have {size} bytes together, "
            f"{limits.MAPPING_TEMPLATES_MAX_BYTES} are allowed."
        )


def _integration_response(subject: Subject) -> None:
    key = text(subject.record, "IntegrationResponseKey")
    if key != "$default" and not sources.is_pattern(key):  # 1.62
        raise BadRequest(
            f"Invalid integration response key {key!r}: use $default or a regular expression "
            r"between slashes, for example /2\d\d/."
        )
    if subject.is_taken("IntegrationResponseKey"):
        raise Conflict(f"IntegrationResponse with key {key} already exists for this integration")
    for name, value in mapping(subject.record, "ResponseParameters").items():
        if not _RESPONSE_PARAMETER.fullmatch(name) or not _RESPONSE_VALUE.fullmatch(str(value)):
            raise BadRequest(
                f"Invalid mapping expression specified: {name} from {value}. Use "
                "method.response.header.NAME, and integration.response.header.NAME, "
                "integration.response.body.PATH or 'text'."
            )
    _template_selection(subject.record, sources.MESSAGE_AND_RESPONSE)
    _templates_size(subject.record, "ResponseTemplates")


def _authorizer(subject: Subject) -> None:
    record = subject.record
    kind = text(record, "AuthorizerType")
    if kind != "REQUEST":  # 1.65
        raise BadRequest(
            f"Invalid authorizer type {kind}: WebSocket APIs support REQUEST authorizers only."
        )
    if subject.is_taken("Name"):
        raise BadRequest(  # 1.69
            "Authorizer name must be unique. Authorizer "
            f"{record['Name']} already exists in this RestApi."
        )
    uri = text(record, "AuthorizerUri")
    if not _FUNCTION_URI.fullmatch(uri):
        raise BadRequest(
            f"Invalid Authorizer URI: {uri}. Authorizer URI should be a valid API Gateway ARN that "
            "represents a Lambda function invocation."
        )
    for source in texts(record, "IdentitySource"):
        sources.verify_identity_source(source)  # 1.67


def _model(subject: Subject) -> None:
    record = subject.record
    name = text(record, "Name")
    if not _MODEL_NAME.fullmatch(name):  # 1.75
        raise BadRequest(f"Model name must be alphanumeric: {name}")
    if subject.is_taken("Name"):
        raise Conflict(f"Model with name {name} already exists for this API")
    models.verify_schema(subject)


_CHECKS: Final[Mapping[str, Callable[[Subject], None]]] = MappingProxyType(
    {
        "Api": _api,
        ROUTE.name: _route,
        ROUTE_RESPONSE.name: _route_response,
        INTEGRATION.name: _integration,
        INTEGRATION_RESPONSE.name: _integration_response,
        AUTHORIZER.name: _authorizer,
        MODEL.name: _model,
        STAGE.name: stage_checks.verify,
        DEPLOYMENT.name: stage_checks.verify_deployment,
        DOMAIN_NAME.name: domain_names.verify_domain,
        API_MAPPING.name: domain_names.verify_mapping,
    }
)
