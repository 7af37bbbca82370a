"""What a deployment freezes: records of the service model in, one ``ApiSnapshot`` out.

Everything a message or handshake needs is looked up here, once: a route carries its
integration, authorizer and schemas. A reference that leads nowhere stays empty in the way
that refuses, never in the way that lets through.

Rules: 1.30, 1.39, 1.52, 1.78, 5.06, 5.27, 5.73, 10.09.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from socketstack.core.expressions import parse
from socketstack.core.model import (
    ApiSnapshot,
    AuthorizationType,
    Authorizer,
    Integration,
    IntegrationResponse,
    IntegrationType,
    Record,
    Route,
)

_TARGET_PREFIX: Final = "integrations/"
_API_KEY_EXPRESSION: Final = "$request.header.x-api-key"  # 1.15
_TIMEOUT_MS: Final = 29_000  # 1.52

Children = Mapping[str, Sequence[Record]]
"""Parent id to child records."""


def build_snapshot(
    *,
    api: Record,
    deployment_id: str,
    account_id: str,
    region: str,
    routes: Iterable[Record],
    integrations: Iterable[Record],
    integration_responses: Children,
    route_responses: Children,
    authorizers: Iterable[Record],
    models: Iterable[Record],
    partition: str = "aws",
) -> ApiSnapshot:
    """Freeze an API.

    Args:
        api: Its record, with ``ApiId`` and ``RouteSelectionExpression``.
        deployment_id: The deployment that freezes it.
        account_id: Owner, for ARNs.
        region: Home, for ARNs.
        routes: Route records with ``RouteId`` and ``RouteKey``.
        integrations: Integration records with ``IntegrationId``.
        integration_responses: By integration id.
        route_responses: By route id; one with the key ``$default`` makes it two-way (5.27).
        authorizers: Authorizer records with ``AuthorizerId``.
        models: Model records; routes name them by ``Name``.
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.

    Raises:
        ExpressionError: the route selection expression cannot be read, so nothing could be
            routed.
    """
    route_selection = parse(_text(api, "RouteSelectionExpression"))
    targets = {
        found.integration_id: found
        for record in integrations
        if (found := _integration(record, integration_responses))
    }
    guards = {_text(record, "AuthorizerId"): _authorizer(record) for record in authorizers}
    schemas = {_text(record, "Name"): _text(record, "Schema") for record in models}
    frozen = [_route(record, targets, guards, schemas, route_responses) for record in routes]
    return ApiSnapshot(
        api_id=_text(api, "ApiId"),
        account_id=account_id,
        region=region,
        deployment_id=deployment_id,
        route_selection_expression=route_selection.text,
        api_key_selection_expression=_text(api, "ApiKeySelectionExpression") or _API_KEY_EXPRESSION,
        is_execute_api_endpoint_disabled=api.get("DisableExecuteApiEndpoint") is True,
        routes={route.route_key: route for route in frozen},
        models=schemas,
        partition=partition,
    )


def _route(
    record: Record,
    integrations: Mapping[str, Integration],
    authorizers: Mapping[str, Authorizer],
    schemas: Mapping[str, str],
    route_responses: Children,
) -> Route:
    route_id = _text(record, "RouteId")
    kind = _authorization_type(record)
    is_custom = kind is AuthorizationType.CUSTOM  # 1.39: an authorizer id alone does nothing
    models = _texts(record, "RequestModels")
    return Route(
        route_id=route_id,
        route_key=_text(record, "RouteKey"),
        authorization_type=kind,
        authorizer=authorizers.get(_text(record, "AuthorizerId")) if is_custom else None,
        api_key_required=record.get("ApiKeyRequired") is True,
        integration=integrations.get(_text(record, "Target").removeprefix(_TARGET_PREFIX)),
        is_two_way=any(
            _text(response, "RouteResponseKey") == "$default"
            for response in route_responses.get(route_id, ())
        ),
        model_selection_expression=_optional(record, "ModelSelectionExpression"),
        request_models={key: schemas[name] for key, name in models.items() if name in schemas},
        request_parameters=frozenset(_parameters(record)),
        required_request_parameters=_required_parameters(record),
    )


def _authorization_type(record: Record) -> AuthorizationType:
    """The route's protection; an unknown one is CUSTOM without authorizer, which refuses."""
    name = _text(record, "AuthorizationType") or AuthorizationType.NONE
    if name in frozenset(AuthorizationType):
        return AuthorizationType(name)
    return AuthorizationType.CUSTOM


def _parameters(record: Record) -> dict[str, object]:
    parameters = record.get("RequestParameters")
    return parameters if isinstance(parameters, dict) else {}


def _required_parameters(record: Record) -> tuple[str, ...]:
    return tuple(
        str(name)
        for name, constraint in _parameters(record).items()
        if isinstance(constraint, dict) and constraint.get("Required") is True
    )


def _integration(record: Record, responses: Children) -> Integration | None:
    """An integration; None for a type nobody can call, whose routes then answer with errors."""
    kind = _text(record, "IntegrationType")
    if kind not in frozenset(IntegrationType):
        return None
    integration_id = _text(record, "IntegrationId")
    timeout_ms = record.get("TimeoutInMillis")
    return Integration(
        integration_id=integration_id,
        integration_type=IntegrationType(kind),
        integration_uri=_optional(record, "IntegrationUri"),
        integration_method=_optional(record, "IntegrationMethod"),
        credentials_arn=_optional(record, "CredentialsArn"),
        connection_type=_text(record, "ConnectionType") or "INTERNET",
        timeout_ms=timeout_ms if isinstance(timeout_ms, int) else _TIMEOUT_MS,
        passthrough_behavior=_text(record, "PassthroughBehavior") or "WHEN_NO_MATCH",
        content_handling_strategy=_optional(record, "ContentHandlingStrategy"),
        request_parameters=_texts(record, "RequestParameters"),
        request_templates=_texts(record, "RequestTemplates"),
        template_selection_expression=_optional(record, "TemplateSelectionExpression"),
        responses=tuple(map(_integration_response, responses.get(integration_id, ()))),
    )


def _integration_response(record: Record) -> IntegrationResponse:
    return IntegrationResponse(
        integration_response_key=_text(record, "IntegrationResponseKey"),
        response_templates=_texts(record, "ResponseTemplates"),
        response_parameters=_texts(record, "ResponseParameters"),
        template_selection_expression=_optional(record, "TemplateSelectionExpression"),
        content_handling_strategy=_optional(record, "ContentHandlingStrategy"),
    )


def _authorizer(record: Record) -> Authorizer:
    sources = record.get("IdentitySource")
    return Authorizer(
        authorizer_id=_text(record, "AuthorizerId"),
        name=_text(record, "Name"),
        authorizer_uri=_text(record, "AuthorizerUri"),
        identity_sources=tuple(map(str, sources)) if isinstance(sources, list | tuple) else (),
        credentials_arn=_optional(record, "AuthorizerCredentialsArn"),
    )


def _text(record: Record, member: str) -> str:
    """A text member; empty when it is absent."""
    value = record.get(member)
    return value if isinstance(value, str) else ""


def _optional(record: Record, member: str) -> str | None:
    return _text(record, member) or None


def _texts(record: Record, member: str) -> dict[str, str]:
    """A map of texts; empty when it is absent."""
    value = record.get(member)
    if not isinstance(value, dict):
        return {}
    return {str(name): str(text) for name, text in value.items()}
