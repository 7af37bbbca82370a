"""The control plane in general, and APIs: wire, errors, lists, defaults, tags."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from parity.account import Account, refusal, without_metadata
from parity.apis import ApiBuilder, all_items
from parity.cases import case

rule = pytest.mark.rule
API = {
    "Name": "parity",
    "ProtocolType": "WEBSOCKET",
    "RouteSelectionExpression": "$request.body.action",
}
UNKNOWN_API = "zzzzzzzzzz"


@pytest.fixture(scope="module")
def api_id(account: Account) -> str:
    """An API that tests may read and change."""
    return ApiBuilder(account, "plain").api_id


@pytest.fixture
def fresh(account: Account) -> Iterator[str]:
    """An API of one test."""
    api_id = ApiBuilder(account, "fresh").api_id
    yield api_id
    account.gateway.delete_api(ApiId=api_id)


# The wire


@rule("1.02")
def test_wire_is_lower_camel_case(account: Account, api_id: str) -> None:
    """Members travel in lowerCamelCase, whatever an SDK makes of them."""
    with account.recorded("GetApi") as answers:
        account.gateway.get_api(ApiId=api_id)

    assert {"apiId", "protocolType", "routeSelectionExpression"} <= answers[0].json().keys()


@rule("1.03")
def test_each_verb_has_its_status(account: Account) -> None:
    """Create gives 201, Get and Update 200, Delete 204 without a body."""
    gateway = account.gateway
    with account.recorded("*") as answers:
        api_id = gateway.create_api(**API)["ApiId"]
        gateway.get_api(ApiId=api_id)
        gateway.update_api(ApiId=api_id, Description="changed")
        gateway.delete_api(ApiId=api_id)

    assert [answer.status for answer in answers] == [201, 200, 200, 204]
    assert answers[-1].body == b""


@rule("1.05", "1.06")
@pytest.mark.parametrize(
    ("operation", "parameters", "status", "code"),
    [
        pytest.param("get_api", {"ApiId": UNKNOWN_API}, 404, "NotFoundException", id="404"),
        pytest.param(
            "create_route",
            {"RouteKey": "guarded", "AuthorizationType": "AWS_IAM"},
            400,
            "BadRequestException",
            id="400",
        ),
    ],
)
def test_error_is_named_in_a_header_and_told_in_the_body(
    account: Account,
    fresh: str,
    operation: str,
    parameters: dict[str, Any],
    *,
    status: int,
    code: str,
) -> None:
    """A modelled error has its status, its name in x-amzn-ErrorType and a message."""
    with account.recorded("*") as answers:
        told = refusal(getattr(account.gateway, operation), **{"ApiId": fresh, **parameters})

    assert (told.status, told.code) == (status, code)
    assert answers[0].headers["x-amzn-errortype"].partition(":")[0] == code
    assert isinstance(answers[0].json()["message"], str)


_KINDS = [
    case("1.07", "route", "route", {"RouteId": "nosuch1"}),
    case("1.07", "integration", "integration", {"IntegrationId": "nosuch1"}),
    case("1.07", "authorizer", "authorizer", {"AuthorizerId": "nosuch"}),
    case("1.07", "model", "model", {"ModelId": "nosuch"}),
    case("1.07", "deployment", "deployment", {"DeploymentId": "nosuch"}),
    case("1.07 1.103", "stage", "stage", {"StageName": "nosuch"}),
    case("1.07", "malformed", "route", {"RouteId": "NOT-an-id-at-all!"}),
]


@pytest.mark.parametrize("verb", ["get", "delete"])
@pytest.mark.parametrize(("kind", "place"), _KINDS)
def test_unknown_id_is_not_found(
    account: Account, api_id: str, kind: str, place: dict[str, str], verb: str
) -> None:
    """Get and Delete of an id that is not there give 404, malformed or not."""
    told = refusal(getattr(account.gateway, f"{verb}_{kind}"), ApiId=api_id, **place)

    assert (told.status, told.code) == (404, "NotFoundException")


@rule("1.46")
def test_deleting_an_unknown_route_is_not_found(account: Account, api_id: str) -> None:
    """DeleteRoute of an unknown id gives 404."""
    told = refusal(account.gateway.delete_route, ApiId=api_id, RouteId="nosuch1")

    assert told.status == 404


@rule("1.08")
def test_unknown_api_is_named_with_its_account(account: Account) -> None:
    """The message names the account and the id."""
    told = refusal(account.gateway.get_routes, ApiId=UNKNOWN_API)

    assert told.status == 404
    assert told.message.startswith("Invalid API identifier specified ")
    assert told.message.endswith(f":{UNKNOWN_API}")


@rule("1.09")
def test_lists_come_in_pages(account: Account, fresh: str) -> None:
    """``maxResults`` limits a page, ``nextToken`` leads on, and the last page has none."""
    keys = {f"key{number}" for number in range(5)}
    for key in keys:
        account.gateway.create_route(ApiId=fresh, RouteKey=key)

    first = account.gateway.get_routes(ApiId=fresh, MaxResults="2")
    rest = account.gateway.get_routes(ApiId=fresh, MaxResults="2", NextToken=first["NextToken"])
    last = account.gateway.get_routes(ApiId=fresh, MaxResults="2", NextToken=rest["NextToken"])

    pages = [first["Items"], rest["Items"], last["Items"]]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {route["RouteKey"] for page in pages for route in page} == keys
    assert "NextToken" not in last


@rule("1.11")
def test_times_are_iso_8601_in_utc(account: Account, api_id: str) -> None:
    """``createdDate`` is a text such as 2024-05-01T12:00:00Z."""
    with account.recorded("GetApi") as answers:
        account.gateway.get_api(ApiId=api_id)

    created = answers[0].json()["createdDate"]
    assert created.endswith(("Z", "+00:00"))
    assert datetime.fromisoformat(created).utcoffset() is not None


@rule("1.12")
def test_update_changes_only_what_is_sent(account: Account, fresh: str) -> None:
    """Members left out of an update keep their value."""
    account.gateway.update_api(ApiId=fresh, Description="first", Version="1")

    account.gateway.update_api(ApiId=fresh, Version="2")

    now = account.gateway.get_api(ApiId=fresh)
    assert (now["Description"], now["Version"]) == ("first", "2")
    assert now["RouteSelectionExpression"] == "$request.body.action"


# Apis


@pytest.mark.parametrize(
    ("members", "left_out"),
    [
        case("1.13", "no-name", {}, "Name"),
        case("1.13", "no-protocol", {}, "ProtocolType"),
        case("1.13", "long-name", {"Name": "n" * 129}, None),
        case("1.13", "unknown-protocol", {"ProtocolType": "TCP"}, None),
        case("1.14", "no-expression", {}, "RouteSelectionExpression"),
        case("1.19", "key-expression", {"ApiKeySelectionExpression": "$request.body.key"}, None),
        case("1.21", "cors", {"CorsConfiguration": {"AllowOrigins": ["*"]}}, None),
        case("1.21", "quick-create", {"Target": "https://example.com"}, None),
        case("1.25", "reserved-tag", {"Tags": {"aws:x": "1"}}, None),
    ],
)
def test_bad_api_is_refused(
    account: Account, members: dict[str, Any], left_out: str | None
) -> None:
    """An API that AWS refuses is a bad request, and none is made."""
    name = f"{account.prefix}-refused"
    wanted = {**API, "Name": name, **members}
    wanted.pop(left_out or "", None)

    told = refusal(account.gateway.create_api, **wanted)

    assert (told.status, told.code) == (400, "BadRequestException")
    assert wanted.get("Name") not in [api["Name"] for api in all_items(account.gateway.get_apis)]


@rule("1.15")
def test_minimal_api_reads_back_with_defaults(account: Account, api_id: str) -> None:
    """The key comes from a header, the endpoint is enabled, there are no tags, nothing else."""
    found = account.gateway.get_api(ApiId=api_id)

    assert found["ApiKeySelectionExpression"] == "$request.header.x-api-key"
    assert found["DisableExecuteApiEndpoint"] is False
    assert found["Tags"] == {}
    assert {"Description", "Version", "CorsConfiguration"} & found.keys() == set()


@rule("1.17")
def test_api_id_has_ten_letters_and_digits(account: Account, api_id: str) -> None:
    """An API id is ten lower-case letters and digits."""
    assert len(api_id) == 10
    assert set(api_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789")


@rule("1.18")
def test_protocol_type_cannot_be_changed(account: Account, fresh: str) -> None:
    """Whatever an update sends, a WebSocket API stays one."""
    account.signed(
        "PATCH",
        f"{account.control_plane_url}/v2/apis/{fresh}",
        json.dumps({"protocolType": "HTTP"}).encode(),
        service="apigateway",
        headers={"Content-Type": "application/json"},
    )

    assert account.gateway.get_api(ApiId=fresh)["ProtocolType"] == "WEBSOCKET"


@rule("1.19")
def test_key_may_come_from_the_authorizer(account: Account, fresh: str) -> None:
    """The second of the two key sources is accepted."""
    source = "$context.authorizer.usageIdentifierKey"

    account.gateway.update_api(ApiId=fresh, ApiKeySelectionExpression=source)

    assert account.gateway.get_api(ApiId=fresh)["ApiKeySelectionExpression"] == source


@rule("1.20")
def test_update_changes_all_that_can_be_changed(account: Account, fresh: str) -> None:
    """Name, texts, both expressions, the two switches and the address type can be changed."""
    wanted = {
        "Name": f"{account.prefix}-renamed",
        "Description": "words",
        "Version": "7",
        "RouteSelectionExpression": "$request.body.kind",
        "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey",
        "DisableSchemaValidation": True,
        "DisableExecuteApiEndpoint": True,
        "IpAddressType": "dualstack",
    }

    account.gateway.update_api(ApiId=fresh, **wanted)

    found = account.gateway.get_api(ApiId=fresh)
    assert {name: found.get(name) for name in wanted} == wanted


@rule("1.23")
def test_arn_of_an_api_has_an_empty_account(account: Account, fresh: str) -> None:
    """Tags are set and read by that ARN."""
    arn = f"arn:aws:apigateway:{account.target.region}::/apis/{fresh}"

    account.gateway.tag_resource(ResourceArn=arn, Tags={"team": "chat", "tier": "1"})
    account.gateway.untag_resource(ResourceArn=arn, TagKeys=["tier"])

    assert account.gateway.get_tags(ResourceArn=arn)["Tags"] == {"team": "chat"}
    assert account.gateway.get_api(ApiId=fresh)["Tags"] == {"team": "chat"}


@rule("1.24")
def test_route_takes_no_tags(account: Account, fresh: str) -> None:
    """Only APIs, stages, domain names and VPC links can be tagged."""
    route = account.gateway.create_route(ApiId=fresh, RouteKey="send")["RouteId"]
    arn = f"arn:aws:apigateway:{account.target.region}::/apis/{fresh}/routes/{route}"

    told = refusal(account.gateway.tag_resource, ResourceArn=arn, Tags={"team": "chat"})

    assert 400 <= told.status < 500


@rule("1.25")
def test_reserved_tag_key_is_refused_in_the_words_of_aws(account: Account, fresh: str) -> None:
    """A key that begins with ``aws:`` in any case is refused, and no tag is set."""
    arn = f"arn:aws:apigateway:{account.target.region}::/apis/{fresh}"

    told = refusal(account.gateway.tag_resource, ResourceArn=arn, Tags={"AWS:x": "1"})

    assert (told.status, told.message) == (
        400,
        "Invalid tag key. Tag keys cannot start with 'aws:' (case insensitive)",
    )
    assert account.gateway.get_api(ApiId=fresh)["Tags"] == {}


@rule("1.26")
def test_deleting_an_api_takes_everything_below_along(account: Account) -> None:
    """Routes, integrations and stages are no reason to keep an API."""
    builder = ApiBuilder(account, "doomed")
    api_id = builder.api_id
    account.gateway.create_integration(ApiId=api_id, IntegrationType="MOCK")
    route = account.gateway.create_route(ApiId=api_id, RouteKey="$default")["RouteId"]
    account.gateway.create_stage(ApiId=api_id, StageName="dev")

    account.gateway.delete_api(ApiId=api_id)

    assert refusal(account.gateway.get_api, ApiId=api_id).status == 404
    assert refusal(account.gateway.get_route, ApiId=api_id, RouteId=route).status == 404
    assert refusal(account.gateway.get_stage, ApiId=api_id, StageName="dev").status == 404


@rule("1.28")
def test_eleventh_stage_is_refused(account: Account, fresh: str) -> None:
    """An API has at most ten stages."""
    for number in range(10):
        account.gateway.create_stage(ApiId=fresh, StageName=f"stage{number}")

    told = refusal(account.gateway.create_stage, ApiId=fresh, StageName="eleventh")

    assert told.status in {400, 429}
    assert len(list(all_items(account.gateway.get_stages, ApiId=fresh))) == 10


@rule("1.15")
def test_answer_of_create_and_read_are_the_same(account: Account, fresh: str) -> None:
    """What Create answers is what Get gives."""
    made = account.gateway.create_route(ApiId=fresh, RouteKey="send")

    found = account.gateway.get_route(ApiId=fresh, RouteId=made["RouteId"])

    assert without_metadata(found) == without_metadata(made)
