"""Routes, route responses and models of the control plane."""

from collections.abc import Iterator
from typing import Any

import pytest
from parity.account import Account, refusal, without_metadata
from parity.apis import ApiBuilder, all_items
from parity.cases import case

rule = pytest.mark.rule
RESTRICTED = "Currently, authorization is restricted to the $connect route only"


@pytest.fixture(scope="module")
def shared(account: Account) -> str:
    """An API for refusals: none of them may leave a route."""
    return ApiBuilder(account, "routes").api_id


@pytest.fixture
def api_id(account: Account) -> Iterator[str]:
    """An API of one test."""
    api_id = ApiBuilder(account, "route").api_id
    yield api_id
    account.gateway.delete_api(ApiId=api_id)


def keys(account: Account, api_id: str) -> list[str]:
    """Keys of an API's routes."""
    return [route["RouteKey"] for route in all_items(account.gateway.get_routes, ApiId=api_id)]


def authorizer(account: Account, api_id: str, name: str = "tokens") -> str:
    """A REQUEST authorizer of an API."""
    uri = (
        f"arn:aws:apigateway:{account.target.region}:lambda:path/2015-03-31/functions/"
        f"arn:aws:lambda:{account.target.region}:123456789012:function:guard/invocations"
    )
    made = account.gateway.create_authorizer(
        ApiId=api_id,
        Name=name,
        AuthorizerType="REQUEST",
        AuthorizerUri=uri,
        IdentitySource=["route.request.header.Auth"],
    )
    authorizer_id: str = made["AuthorizerId"]
    return authorizer_id


@rule("1.29", "1.36")
def test_key_is_all_that_a_route_needs(account: Account, api_id: str) -> None:
    """A route without target or anything else can be made."""
    made = account.gateway.create_route(ApiId=api_id, RouteKey="send")

    found = account.gateway.get_route(ApiId=api_id, RouteId=made["RouteId"])
    assert found["RouteKey"] == "send"
    assert not found.get("Target")


@rule("1.30")
def test_bare_route_is_open_and_has_no_other_member(account: Account, api_id: str) -> None:
    """It needs no API key and no authorization, and members without value are absent."""
    made = account.gateway.create_route(ApiId=api_id, RouteKey="send")

    found = without_metadata(account.gateway.get_route(ApiId=api_id, RouteId=made["RouteId"]))
    assert found == {
        "ApiKeyRequired": False,
        "AuthorizationType": "NONE",
        "RouteId": made["RouteId"],
        "RouteKey": "send",
    }


@rule("1.31")
def test_route_id_has_seven_letters_and_digits(account: Account, api_id: str) -> None:
    """A route id is seven lower-case letters and digits."""
    route_id = account.gateway.create_route(ApiId=api_id, RouteKey="send")["RouteId"]

    assert len(route_id) == 7
    assert set(route_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789")


@pytest.mark.parametrize(
    "members",
    [
        case("1.29", "no-key", {"RouteKey": None}),
        case("1.32", "reserved-key", {"RouteKey": "$other"}),
        case("1.34", "target-of-another-form", {"Target": "somewhere"}),
        case("1.35", "unknown-target", {"Target": "integrations/nosuch1"}),
        case("1.37", "jwt", {"RouteKey": "$connect", "AuthorizationType": "JWT"}),
        case("1.37", "unknown-authorization", {"AuthorizationType": "SOME"}),
        case("1.41", "no-authorizer", {"RouteKey": "$connect", "AuthorizationType": "CUSTOM"}),
        case(
            "1.41",
            "unknown-authorizer",
            {"RouteKey": "$connect", "AuthorizationType": "CUSTOM", "AuthorizerId": "nosuch"},
        ),
        case("1.42", "parameter", {"RequestParameters": {"header.X": {"Required": True}}}),
        case("1.42", "body", {"RequestParameters": {"route.request.body.x": {"Required": True}}}),
        case("1.44", "response-selection", {"RouteResponseSelectionExpression": "$request.body.x"}),
        case("1.45", "unknown-model", {"RequestModels": {"$default": "NoSuchModel"}}),
    ],
)
def test_bad_route_is_refused(account: Account, shared: str, members: dict[str, Any]) -> None:
    """A route that AWS refuses is a bad request, and none is made."""
    wanted = {"RouteKey": "refused", **members}
    sent = {name: value for name, value in wanted.items() if value is not None}

    told = refusal(account.gateway.create_route, ApiId=shared, **sent)

    assert (told.status, told.code) == (400, "BadRequestException")
    assert wanted["RouteKey"] not in keys(account, shared)


@pytest.mark.parametrize("key", ["$default", "$disconnect", "send"])
@pytest.mark.parametrize("kind", ["AWS_IAM", "CUSTOM"])
@rule("1.38")
def test_only_connect_can_be_protected(account: Account, api_id: str, key: str, kind: str) -> None:
    """Authorization on another route is refused in AWS's words, and no route is made."""
    told = refusal(account.gateway.create_route, ApiId=api_id, RouteKey=key, AuthorizationType=kind)

    assert (told.status, told.message) == (400, RESTRICTED)
    assert keys(account, api_id) == []


@rule("1.38")
def test_existing_route_cannot_be_protected_later(account: Account, api_id: str) -> None:
    """The same holds for an update, and the route stays as it was."""
    route = account.gateway.create_route(ApiId=api_id, RouteKey="send")["RouteId"]

    told = refusal(
        account.gateway.update_route, ApiId=api_id, RouteId=route, AuthorizationType="AWS_IAM"
    )

    assert (told.status, told.message) == (400, RESTRICTED)
    found = account.gateway.get_route(ApiId=api_id, RouteId=route)
    assert found["AuthorizationType"] == "NONE"


@pytest.mark.parametrize("key", ["$connect", "send"])
@rule("1.33")
def test_second_route_with_a_key_conflicts(account: Account, api_id: str, key: str) -> None:
    """A key is taken once; the conflict names it."""
    account.gateway.create_route(ApiId=api_id, RouteKey=key)

    told = refusal(account.gateway.create_route, ApiId=api_id, RouteKey=key)

    assert (told.status, told.code) == (409, "ConflictException")
    assert told.message == f"Route with key {key} already exists for this API"
    assert keys(account, api_id) == [key]


@rule("1.34")
def test_routes_may_share_an_integration(account: Account, api_id: str) -> None:
    """Two routes with one target read back with it."""
    made = account.gateway.create_integration(ApiId=api_id, IntegrationType="MOCK")
    target = f"integrations/{made['IntegrationId']}"

    for key in ("one", "two"):
        account.gateway.create_route(ApiId=api_id, RouteKey=key, Target=target)

    found = all_items(account.gateway.get_routes, ApiId=api_id)
    assert [route["Target"] for route in found] == [target, target]


@rule("1.39")
def test_authorizer_without_type_is_not_used(account: Account, api_id: str) -> None:
    """An authorizer id alone is taken, and the route stays open."""
    made = account.gateway.create_route(
        ApiId=api_id, RouteKey="$connect", AuthorizerId=authorizer(account, api_id)
    )

    assert made["AuthorizationType"] == "NONE"


@rule("1.40")
def test_authorizer_stays_until_the_type_is_none(account: Account, api_id: str) -> None:
    """An update that leaves both members out keeps the authorizer; NONE detaches it."""
    authorizer_id = authorizer(account, api_id)
    made = account.gateway.create_route(
        ApiId=api_id,
        RouteKey="$connect",
        AuthorizationType="CUSTOM",
        AuthorizerId=authorizer_id,
    )
    place = {"ApiId": api_id, "RouteId": made["RouteId"]}

    account.gateway.update_route(**place, OperationName="named")
    kept = account.gateway.get_route(**place)
    account.gateway.update_route(**place, AuthorizationType="NONE")
    freed = account.gateway.get_route(**place)

    assert (kept["AuthorizationType"], kept.get("AuthorizerId")) == ("CUSTOM", authorizer_id)
    assert freed["AuthorizationType"] == "NONE"


@rule("1.42", "1.43")
def test_request_parameter_can_be_deleted_once(account: Account, api_id: str) -> None:
    """A declared parameter goes with 204; the same call again finds nothing."""
    key = "route.request.header.X-Room"
    made = account.gateway.create_route(
        ApiId=api_id, RouteKey="$connect", RequestParameters={key: {"Required": True}}
    )
    place = {"ApiId": api_id, "RouteId": made["RouteId"], "RequestParameterKey": key}

    assert made["RequestParameters"] == {key: {"Required": True}}
    gone = account.gateway.delete_route_request_parameter(**place)
    told = refusal(account.gateway.delete_route_request_parameter, **place)

    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert told.status == 404


# Route responses


@rule("1.48")
def test_route_response_has_its_key_and_an_id_of_six(account: Account, api_id: str) -> None:
    """The answer has both."""
    route = account.gateway.create_route(ApiId=api_id, RouteKey="send")["RouteId"]

    made = account.gateway.create_route_response(
        ApiId=api_id, RouteId=route, RouteResponseKey="$default"
    )

    assert made["RouteResponseKey"] == "$default"
    assert len(made["RouteResponseId"]) == 6


@rule("1.47", "1.49")
def test_route_response_is_made_and_deleted(account: Account, api_id: str) -> None:
    """The key $default is accepted, and after deletion the response is not found."""
    route = account.gateway.create_route(ApiId=api_id, RouteKey="send")["RouteId"]
    place = {"ApiId": api_id, "RouteId": route}

    made = account.gateway.create_route_response(**place, RouteResponseKey="$default")
    account.gateway.delete_route_response(**place, RouteResponseId=made["RouteResponseId"])
    told = refusal(
        account.gateway.get_route_response, **place, RouteResponseId=made["RouteResponseId"]
    )

    assert made["RouteResponseKey"] == "$default"
    assert told.status == 404


@rule("1.47")
def test_other_route_response_key_is_refused(account: Account, api_id: str) -> None:
    """A route response for anything but $default is a bad request, and none is made."""
    route = account.gateway.create_route(ApiId=api_id, RouteKey="send")["RouteId"]

    told = refusal(
        account.gateway.create_route_response, ApiId=api_id, RouteId=route, RouteResponseKey="200"
    )

    assert told.status == 400
    assert account.gateway.get_route_responses(ApiId=api_id, RouteId=route)["Items"] == []


# Models


@pytest.mark.parametrize(
    "members",
    [
        case("1.75", "name", {"Name": "not-a-name"}),
        case("1.75", "schema", {"Schema": "{no json"}),
    ],
)
def test_bad_model_is_refused(account: Account, shared: str, members: dict[str, str]) -> None:
    """A name with other characters and a schema that cannot be read are bad requests."""
    wanted = {"Name": "Message", "ContentType": "application/json", "Schema": "{}", **members}

    told = refusal(account.gateway.create_model, ApiId=shared, **wanted)

    assert told.status == 400
    assert account.gateway.get_models(ApiId=shared)["Items"] == []


@rule("1.45")
def test_route_may_name_models_of_its_api(account: Account, api_id: str) -> None:
    """A request model that exists is accepted."""
    schema = '{"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}'
    account.gateway.create_model(
        ApiId=api_id, Name="Message", ContentType="application/json", Schema=schema
    )

    made = account.gateway.create_route(
        ApiId=api_id, RouteKey="send", RequestModels={"$default": "Message"}
    )

    assert made["RequestModels"] == {"$default": "Message"}
