"""Integrations, integration responses and authorizers of the control plane."""

from collections.abc import Iterator
from typing import Any

import pytest
from parity.account import Account, refusal
from parity.apis import ApiBuilder, all_items
from parity.cases import case

rule = pytest.mark.rule


@pytest.fixture(scope="module")
def shared(account: Account) -> str:
    """An API for refusals: none of them may leave anything."""
    return ApiBuilder(account, "integrations").api_id


@pytest.fixture
def api_id(account: Account) -> Iterator[str]:
    """An API of one test."""
    api_id = ApiBuilder(account, "integration").api_id
    yield api_id
    account.gateway.delete_api(ApiId=api_id)


def function_uri(account: Account) -> str:
    """A Lambda integration's address."""
    return (
        f"arn:aws:apigateway:{account.target.region}:lambda:path/2015-03-31/functions/"
        f"arn:aws:lambda:{account.target.region}:123456789012:function:some/invocations"
    )


# Integrations


@rule("1.51")
@pytest.mark.parametrize("kind", ["AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK"])
def test_five_types_are_accepted(account: Account, api_id: str, kind: str) -> None:
    """Each of the five integration types can be made."""
    needed = {"IntegrationMethod": "POST", "IntegrationUri": "https://example.com/"}
    if kind.startswith("AWS"):
        needed["IntegrationUri"] = function_uri(account)

    made = account.gateway.create_integration(
        ApiId=api_id, IntegrationType=kind, **({} if kind == "MOCK" else needed)
    )

    assert made["IntegrationType"] == kind


@pytest.mark.parametrize(
    "members",
    [
        case("1.51", "no-type", {"IntegrationType": None}),
        case("1.51", "unknown-type", {"IntegrationType": "LAMBDA"}),
        case("1.54 6.20", "too-slow", {"TimeoutInMillis": 29_001}),
        case("1.54", "too-quick", {"TimeoutInMillis": 49}),
        case("1.56", "method", {"IntegrationMethod": "FETCH"}),
        case("1.57", "selection", {"TemplateSelectionExpression": "$request.body["}),
        case("1.58", "key", {"RequestParameters": {"header.x": "'1'"}}),
        case("1.60", "version-2", {"PayloadFormatVersion": "2.0"}),
        case("1.60", "subtype", {"IntegrationSubtype": "SQS-SendMessage"}),
        case("1.64", "content", {"ContentHandlingStrategy": "CONVERT_TO_WORDS"}),
    ],
)
def test_bad_integration_is_refused(account: Account, shared: str, members: dict[str, Any]) -> None:
    """An integration that AWS refuses is a bad request, and none is made."""
    wanted = {
        "IntegrationType": "HTTP",
        "IntegrationMethod": "POST",
        "IntegrationUri": "https://example.com/",
        **members,
    }
    sent = {name: value for name, value in wanted.items() if value is not None}

    told = refusal(account.gateway.create_integration, ApiId=shared, **sent)

    assert (told.status, told.code) == (400, "BadRequestException")
    assert account.gateway.get_integrations(ApiId=shared)["Items"] == []


@rule("1.52")
def test_minimal_integration_reads_back_with_defaults(account: Account, api_id: str) -> None:
    """The connection is INTERNET, unmatched messages pass, the timeout is 29 s."""
    made = account.gateway.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationMethod="POST",
        IntegrationUri=function_uri(account),
    )

    found = account.gateway.get_integration(ApiId=api_id, IntegrationId=made["IntegrationId"])
    assert found["ConnectionType"] == "INTERNET"
    assert found["PassthroughBehavior"] == "WHEN_NO_MATCH"
    assert found["TimeoutInMillis"] == 29_000


@rule("1.53")
@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        pytest.param("MOCK", "${integration.response.statuscode}", id="mock"),
        pytest.param("HTTP", "${integration.response.statuscode}", id="http"),
        pytest.param("AWS", "${integration.response.body.errorMessage}", id="aws"),
        pytest.param("HTTP_PROXY", None, id="http-proxy"),
        pytest.param("AWS_PROXY", None, id="aws-proxy"),
    ],
)
def test_response_selection_follows_from_the_type(
    account: Account, api_id: str, kind: str, expression: str | None
) -> None:
    """The integration response selection is computed."""
    uri = function_uri(account) if kind.startswith("AWS") else "https://example.com/"
    needed = {"IntegrationMethod": "POST", "IntegrationUri": uri}

    made = account.gateway.create_integration(
        ApiId=api_id, IntegrationType=kind, **({} if kind == "MOCK" else needed)
    )

    assert made.get("IntegrationResponseSelectionExpression") == expression


@rule("1.54")
@pytest.mark.parametrize("timeout", [50, 29_000])
def test_timeout_may_be_at_its_bounds(account: Account, api_id: str, timeout: int) -> None:
    """50 ms and 29 s are accepted."""
    made = account.gateway.create_integration(
        ApiId=api_id, IntegrationType="MOCK", TimeoutInMillis=timeout
    )

    assert made["TimeoutInMillis"] == timeout


@rule("1.57", "1.58", "1.64")
def test_mappings_and_templates_are_kept(account: Account, api_id: str) -> None:
    """Mapped parameters, a template selection and content handling read back."""
    wanted = {
        "TemplateSelectionExpression": "${request.body.kind}",
        "RequestTemplates": {"a": '{"statusCode": 200}'},
        "RequestParameters": {"integration.request.header.id": "context.connectionId"},
        "ContentHandlingStrategy": "CONVERT_TO_TEXT",
    }

    made = account.gateway.create_integration(
        ApiId=api_id,
        IntegrationType="HTTP",
        IntegrationMethod="POST",
        IntegrationUri="https://example.com/",
        **wanted,
    )

    assert {name: made.get(name) for name in wanted} == wanted


@rule("1.61")
def test_integration_in_use_cannot_be_deleted(account: Account, api_id: str) -> None:
    """The conflict names the routes' ids, and the integration stays."""
    integration = account.gateway.create_integration(ApiId=api_id, IntegrationType="MOCK")
    place = {"ApiId": api_id, "IntegrationId": integration["IntegrationId"]}
    route = account.gateway.create_route(
        ApiId=api_id, RouteKey="send", Target=f"integrations/{place['IntegrationId']}"
    )["RouteId"]

    told = refusal(account.gateway.delete_integration, **place)

    assert (told.status, told.code) == (409, "ConflictException")
    assert told.message == (
        "Cannot delete Integration because it is referenced by the following Routes "
        f"with Ids: [{route}]"
    )
    assert account.gateway.get_integration(**place)["IntegrationType"] == "MOCK"


# Integration responses


@rule("1.62", "1.63")
@pytest.mark.parametrize("key", ["$default", "/2\\d\\d/"])
def test_integration_response_has_all_verbs(account: Account, api_id: str, key: str) -> None:
    """It can be made, read, listed, changed and deleted; then it is not found."""
    gateway = account.gateway
    integration = gateway.create_integration(ApiId=api_id, IntegrationType="MOCK")
    place = {"ApiId": api_id, "IntegrationId": integration["IntegrationId"]}

    made = gateway.create_integration_response(**place, IntegrationResponseKey=key)
    one = {**place, "IntegrationResponseId": made["IntegrationResponseId"]}
    gateway.update_integration_response(**one, TemplateSelectionExpression="\\$default")
    found = gateway.get_integration_response(**one)
    listed = gateway.get_integration_responses(**place)["Items"]
    gateway.delete_integration_response(**one)

    assert found["IntegrationResponseKey"] == key
    assert found["TemplateSelectionExpression"] == "\\$default"
    assert [each["IntegrationResponseKey"] for each in listed] == [key]
    assert refusal(gateway.get_integration_response, **one).status == 404


@rule("1.62")
@pytest.mark.parametrize("key", ["200", "/[/"])
def test_other_integration_response_key_is_refused(account: Account, api_id: str, key: str) -> None:
    """A key that is neither $default nor a pattern between slashes is a bad request."""
    integration = account.gateway.create_integration(ApiId=api_id, IntegrationType="MOCK")
    place = {"ApiId": api_id, "IntegrationId": integration["IntegrationId"]}

    told = refusal(account.gateway.create_integration_response, **place, IntegrationResponseKey=key)

    assert told.status == 400
    assert account.gateway.get_integration_responses(**place)["Items"] == []


# Authorizers


def authorizer(account: Account, **members: Any) -> dict[str, Any]:
    """What an authorizer is made of; members that are None are left out."""
    wanted = {
        "Name": "tokens",
        "AuthorizerType": "REQUEST",
        "AuthorizerUri": function_uri(account),
        "IdentitySource": ["route.request.header.Auth"],
        **members,
    }
    return {name: value for name, value in wanted.items() if value is not None}


@pytest.mark.parametrize(
    "members",
    [
        case("1.65", "jwt", {"AuthorizerType": "JWT"}),
        case("1.65", "token", {"AuthorizerType": "TOKEN"}),
        case("1.67", "http-form", {"IdentitySource": ["$request.header.Auth"]}),
        case("1.67", "word", {"IdentitySource": ["token"]}),
        case("1.70", "version", {"AuthorizerPayloadFormatVersion": "2.0"}),
        case("1.71", "simple-responses", {"EnableSimpleResponses": True}),
        case("1.71", "ttl", {"AuthorizerResultTtlInSeconds": 300}),
    ],
)
def test_bad_authorizer_is_refused(account: Account, shared: str, members: dict[str, Any]) -> None:
    """An authorizer that AWS refuses is a bad request, and none is made."""
    told = refusal(
        account.gateway.create_authorizer, ApiId=shared, **authorizer(account, **members)
    )

    assert (told.status, told.code) == (400, "BadRequestException")
    assert account.gateway.get_authorizers(ApiId=shared)["Items"] == []


@rule("1.66")
def test_missing_authorizer_type_is_told_in_the_words_of_aws(account: Account, shared: str) -> None:
    """The type is needed."""
    wanted = authorizer(account, AuthorizerType=None)

    told = refusal(account.gateway.create_authorizer, ApiId=shared, **wanted)

    assert (told.status, told.message) == (
        400,
        "Invalid request input. CreateAuthorizer input is missing authorizer type.",
    )


@pytest.mark.parametrize(
    "sources",
    [
        case("1.68", "none", []),
        case("1.67", "two", ["route.request.header.Auth", "route.request.querystring.token"]),
        case("1.67", "others", ["context.identity.sourceIp", "stageVariables.mode"]),
    ],
)
def test_identity_sources_are_accepted(account: Account, api_id: str, sources: list[str]) -> None:
    """Headers, parameters, context and stage variables, or nothing at all."""
    made = account.gateway.create_authorizer(
        ApiId=api_id, **authorizer(account, IdentitySource=sources)
    )

    assert made.get("IdentitySource", []) == sources


@rule("1.73")
def test_authorizer_id_has_six_letters_and_digits(account: Account, api_id: str) -> None:
    """An authorizer id is six lower-case letters and digits."""
    made = account.gateway.create_authorizer(ApiId=api_id, **authorizer(account))

    assert len(made["AuthorizerId"]) == 6
    assert set(made["AuthorizerId"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789")


@rule("1.69")
def test_authorizer_names_are_unique(account: Account, api_id: str) -> None:
    """A second authorizer with a name is refused in AWS's words."""
    account.gateway.create_authorizer(ApiId=api_id, **authorizer(account))

    told = refusal(account.gateway.create_authorizer, ApiId=api_id, **authorizer(account))

    assert (told.status, told.message) == (
        400,
        "Authorizer name must be unique. Authorizer tokens already exists in this RestApi.",
    )
    assert len(list(all_items(account.gateway.get_authorizers, ApiId=api_id))) == 1


@rule("1.72")
def test_authorizer_in_use_cannot_be_deleted(account: Account, api_id: str) -> None:
    """The conflict names the authorizer and the route, and the authorizer stays."""
    made = account.gateway.create_authorizer(ApiId=api_id, **authorizer(account))
    place = {"ApiId": api_id, "AuthorizerId": made["AuthorizerId"]}
    account.gateway.create_route(
        ApiId=api_id,
        RouteKey="$connect",
        AuthorizationType="CUSTOM",
        AuthorizerId=made["AuthorizerId"],
    )

    told = refusal(account.gateway.delete_authorizer, **place)

    assert (told.status, told.message) == (
        409,
        "Cannot delete authorizer 'tokens', is referenced in route: $connect",
    )
    assert account.gateway.get_authorizer(**place)["Name"] == "tokens"
