import pytest

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
from socketstack.core.snapshot import build_snapshot
from socketstack.errors import ExpressionError

_API: Record = {"ApiId": "a1b2c3d4e5", "RouteSelectionExpression": "$request.body.action"}
_URI = "arn:aws:lambda:eu-west-1:123456789012:function:echo"


def _snapshot(
    *,
    api: Record = _API,
    routes: tuple[Record, ...] = (),
    integrations: tuple[Record, ...] = (),
    integration_responses: dict[str, list[Record]] | None = None,
    route_responses: dict[str, list[Record]] | None = None,
    authorizers: tuple[Record, ...] = (),
    models: tuple[Record, ...] = (),
) -> ApiSnapshot:
    return build_snapshot(
        api=api,
        deployment_id="dep123",
        account_id="123456789012",
        region="eu-west-1",
        routes=routes,
        integrations=integrations,
        integration_responses=integration_responses or {},
        route_responses=route_responses or {},
        authorizers=authorizers,
        models=models,
    )


def _route(**members: object) -> Record:
    return {"RouteId": "r1", "RouteKey": "send"} | members


def test_minimal_api_has_the_defaults() -> None:
    """An API with a bare route has the service's defaults."""
    snapshot = _snapshot(routes=(_route(),))

    assert snapshot == ApiSnapshot(
        api_id="a1b2c3d4e5",
        account_id="123456789012",
        region="eu-west-1",
        deployment_id="dep123",
        route_selection_expression="$request.body.action",
        routes={"send": Route(route_id="r1", route_key="send")},
    )


def test_api_settings_are_frozen() -> None:
    """The API's own settings are part of the snapshot."""
    api = _API | {
        "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey",
        "DisableExecuteApiEndpoint": True,
    }

    snapshot = _snapshot(api=api)

    assert snapshot.api_key_selection_expression == "$context.authorizer.usageIdentifierKey"
    assert snapshot.is_execute_api_endpoint_disabled


def test_full_route_carries_all_it_needs() -> None:
    """A route carries its integration, authorizer, schemas and required parameters."""
    snapshot = _snapshot(
        routes=(
            _route(
                RouteKey="$connect",
                Target="integrations/i1",
                AuthorizationType="CUSTOM",
                AuthorizerId="a1",
                ApiKeyRequired=True,
                ModelSelectionExpression="$request.body.kind",
                RequestModels={"chat": "Chat", "other": "Unknown"},
                RequestParameters={
                    "route.request.header.A": {"Required": True},
                    "route.request.header.B": {"Required": False},
                    "route.request.header.C": None,
                },
            ),
        ),
        integrations=(
            {
                "IntegrationId": "i1",
                "IntegrationType": "AWS",
                "IntegrationUri": _URI,
                "IntegrationMethod": "POST",
                "CredentialsArn": "arn:aws:iam::123456789012:role/r",
                "ConnectionType": "VPC_LINK",
                "TimeoutInMillis": 50,
                "PassthroughBehavior": "NEVER",
                "ContentHandlingStrategy": "CONVERT_TO_TEXT",
                "RequestParameters": {"integration.request.header.a": "context.connectionId"},
                "RequestTemplates": {"$default": "{}"},
                "TemplateSelectionExpression": "\\$default",
            },
        ),
        integration_responses={
            "i1": [
                {
                    "IntegrationResponseKey": "/2\\d\\d/",
                    "ResponseTemplates": {"$default": "ok"},
                    "ResponseParameters": {"method.response.header.a": "'b'"},
                    "TemplateSelectionExpression": "\\$default",
                    "ContentHandlingStrategy": "CONVERT_TO_BINARY",
                }
            ]
        },
        authorizers=(
            {
                "AuthorizerId": "a1",
                "Name": "jwt",
                "AuthorizerUri": _URI,
                "IdentitySource": ["route.request.querystring.token"],
                "AuthorizerCredentialsArn": "arn:aws:iam::123456789012:role/a",
            },
        ),
        models=({"Name": "Chat", "Schema": '{"type": "object"}'},),
    )

    assert snapshot.routes["$connect"] == Route(
        route_id="r1",
        route_key="$connect",
        authorization_type=AuthorizationType.CUSTOM,
        authorizer=Authorizer(
            authorizer_id="a1",
            name="jwt",
            authorizer_uri=_URI,
            identity_sources=("route.request.querystring.token",),
            credentials_arn="arn:aws:iam::123456789012:role/a",
        ),
        api_key_required=True,
        integration=Integration(
            integration_id="i1",
            integration_type=IntegrationType.AWS,
            integration_uri=_URI,
            integration_method="POST",
            credentials_arn="arn:aws:iam::123456789012:role/r",
            connection_type="VPC_LINK",
            timeout_ms=50,
            passthrough_behavior="NEVER",
            content_handling_strategy="CONVERT_TO_TEXT",
            request_parameters={"integration.request.header.a": "context.connectionId"},
            request_templates={"$default": "{}"},
            template_selection_expression="\\$default",
            responses=(
                IntegrationResponse(
                    integration_response_key="/2\\d\\d/",
                    response_templates={"$default": "ok"},
                    response_parameters={"method.response.header.a": "'b'"},
                    template_selection_expression="\\$default",
                    content_handling_strategy="CONVERT_TO_BINARY",
                ),
            ),
        ),
        model_selection_expression="$request.body.kind",
        request_models={"chat": '{"type": "object"}'},
        request_parameters=frozenset(
            {"route.request.header.A", "route.request.header.B", "route.request.header.C"}
        ),
        required_request_parameters=("route.request.header.A",),
    )


def test_minimal_integration_and_authorizer_have_the_defaults() -> None:
    """An integration and an authorizer with required members only have the defaults."""
    snapshot = _snapshot(
        routes=(_route(Target="integrations/i1", AuthorizationType="CUSTOM", AuthorizerId="a1"),),
        integrations=({"IntegrationId": "i1", "IntegrationType": "AWS_PROXY"},),
        authorizers=({"AuthorizerId": "a1", "Name": "jwt", "AuthorizerUri": _URI},),
    )

    route = snapshot.routes["send"]
    assert route.integration == Integration(
        integration_id="i1", integration_type=IntegrationType.AWS_PROXY
    )
    assert route.authorizer == Authorizer(authorizer_id="a1", name="jwt", authorizer_uri=_URI)


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        pytest.param(
            {"AuthorizationType": "CUSTOM", "AuthorizerId": "gone"},
            AuthorizationType.CUSTOM,
            id="unknown-authorizer",
        ),
        pytest.param({"AuthorizationType": "CUSTOM"}, AuthorizationType.CUSTOM, id="no-id"),
        pytest.param(
            {"AuthorizationType": "JWT", "AuthorizerId": "gone"},
            AuthorizationType.CUSTOM,
            id="unknown-type-refuses",
        ),
        pytest.param({"AuthorizationType": "AWS_IAM"}, AuthorizationType.AWS_IAM, id="iam"),
        pytest.param({"AuthorizationType": "NONE"}, AuthorizationType.NONE, id="none"),
        pytest.param({"AuthorizerId": "a1"}, AuthorizationType.NONE, id="id-without-type"),
    ],
)
def test_route_without_usable_authorizer(
    members: dict[str, object], kind: AuthorizationType
) -> None:
    """A route whose authorizer cannot be found stays protected, with nothing that could allow."""
    snapshot = _snapshot(
        routes=(_route(**members),),
        authorizers=({"AuthorizerId": "a1", "Name": "jwt", "AuthorizerUri": _URI},),
    )

    route = snapshot.routes["send"]
    assert route.authorization_type is kind
    assert route.authorizer is None


@pytest.mark.parametrize(
    ("members", "integrations"),
    [
        pytest.param({}, (), id="no-target"),
        pytest.param({"Target": "integrations/gone"}, (), id="unknown-target"),
        pytest.param(
            {"Target": "integrations/i1"},
            ({"IntegrationId": "i1", "IntegrationType": "SMOKE"},),
            id="unknown-type",
        ),
    ],
)
def test_route_without_integration(
    members: dict[str, object], integrations: tuple[Record, ...]
) -> None:
    """A route whose integration cannot be found has none."""
    snapshot = _snapshot(routes=(_route(**members),), integrations=integrations)

    assert snapshot.routes["send"].integration is None


@pytest.mark.parametrize(
    ("responses", "members", "is_two_way"),
    [
        pytest.param({"r1": [{"RouteResponseKey": "$default"}]}, {}, True, id="default"),
        pytest.param({"r1": [{"RouteResponseKey": "other"}]}, {}, False, id="other-key"),
        pytest.param({"r2": [{"RouteResponseKey": "$default"}]}, {}, False, id="other-route"),
        pytest.param(
            {}, {"RouteResponseSelectionExpression": "$default"}, False, id="expression-alone"
        ),
    ],
)
def test_route_response_makes_a_route_two_way(
    responses: dict[str, list[Record]], members: dict[str, object], *, is_two_way: bool
) -> None:
    """A $default route response makes a route two-way; the expression alone does not."""
    snapshot = _snapshot(routes=(_route(**members),), route_responses=responses)

    assert snapshot.routes["send"].is_two_way is is_two_way


@pytest.mark.parametrize("expression", ["", "$request.body", "$nothing.x"])
def test_unreadable_route_selection_cannot_be_deployed(expression: str) -> None:
    """An API whose route selection expression cannot be read cannot be frozen."""
    with pytest.raises(ExpressionError):
        _snapshot(api={"ApiId": "a1", "RouteSelectionExpression": expression})
