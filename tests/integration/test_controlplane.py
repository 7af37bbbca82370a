"""The control plane as boto3 sees it: a real client against a real aiohttp server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import pytest
from botocore.exceptions import ClientError
from controlplane_bench import Site, serving

from socketstack.controlplane.plane import Caller

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client

T = TypeVar("T")

FUNCTION_URI = (
    "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:eu-west-1:000000000000:function:f/invocations"
)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A control plane on a free port."""
    async with serving() as site:
        yield site


@pytest.fixture
async def client(site: Site) -> AsyncIterator["ApiGatewayV2Client"]:
    """A boto3 client of eu-west-1."""
    client = await asyncio.to_thread(site.client)
    yield client
    client.close()


async def refusal(
    expected: type[ClientError], operation: Callable[..., Any], **parameters: Any
) -> dict[str, Any]:
    """Call an operation that must fail with a typed exception; returns the parsed answer."""
    with pytest.raises(expected) as caught:
        await asyncio.to_thread(operation, **parameters)
    return dict(caught.value.response)


async def raw(
    method: str, url: str, **options: Any
) -> tuple[aiohttp.ClientResponse, dict[str, Any]]:
    """One plain HTTP request; returns the response and its JSON document."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, **options) as answer,
    ):
        return answer, await answer.json()


async def make_api(client: "ApiGatewayV2Client") -> str:
    """A new WebSocket API; returns its id."""
    api = await asyncio.to_thread(
        client.create_api,
        Name="chat",
        ProtocolType="WEBSOCKET",
        RouteSelectionExpression="$request.body.action",
    )
    return api["ApiId"]


async def test_api_lives_through_all_verbs(client: "ApiGatewayV2Client") -> None:
    """An API can be created, read, listed, changed and deleted with boto3."""
    made = await asyncio.to_thread(
        client.create_api,
        Name="chat",
        ProtocolType="WEBSOCKET",
        RouteSelectionExpression="$request.body.action",
        Tags={"team": "blue"},
    )
    api_id = made["ApiId"]
    read = await asyncio.to_thread(client.get_api, ApiId=api_id)
    listed = await asyncio.to_thread(client.get_apis)
    changed = await asyncio.to_thread(client.update_api, ApiId=api_id, Description="talk")
    deleted = await asyncio.to_thread(client.delete_api, ApiId=api_id)
    gone = await refusal(client.exceptions.NotFoundException, client.get_api, ApiId=api_id)

    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["CreatedDate"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert made["ApiEndpoint"] == f"ws://localhost:4566/_aws/execute-api/{api_id}"
    assert made["Tags"] == {"team": "blue"}
    assert read["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [item["ApiId"] for item in listed["Items"]] == [api_id]
    assert changed["Description"] == "talk"
    assert changed["Name"] == "chat"
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert gone["Error"]["Message"] == f"Invalid API identifier specified 000000000000:{api_id}"
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 404


async def test_whole_system_is_configured_and_deployed(
    site: Site, client: "ApiGatewayV2Client"
) -> None:
    """The calls that a deployment tool makes end in a stage that clients can reach."""
    api_id = await make_api(client)
    integration = await asyncio.to_thread(
        client.create_integration,
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=FUNCTION_URI,
    )
    authorizer = await asyncio.to_thread(
        client.create_authorizer,
        ApiId=api_id,
        AuthorizerType="REQUEST",
        AuthorizerUri=FUNCTION_URI,
        IdentitySource=["route.request.querystring.token"],
        Name="token",
    )
    target = f"integrations/{integration['IntegrationId']}"
    await asyncio.to_thread(
        client.create_route,
        ApiId=api_id,
        RouteKey="$connect",
        AuthorizationType="CUSTOM",
        AuthorizerId=authorizer["AuthorizerId"],
        Target=target,
    )
    echo = await asyncio.to_thread(
        client.create_route, ApiId=api_id, RouteKey="echo", Target=target
    )
    await asyncio.to_thread(
        client.create_route_response,
        ApiId=api_id,
        RouteId=echo["RouteId"],
        RouteResponseKey="$default",
    )
    await asyncio.to_thread(
        client.create_stage, ApiId=api_id, StageName="dev", StageVariables={"mode": "test"}
    )
    assert site.store.deployed_stage(api_id, "dev") is None

    deployment = await asyncio.to_thread(client.create_deployment, ApiId=api_id, StageName="dev")

    assert deployment["DeploymentStatus"] == "DEPLOYED"
    assert deployment["AutoDeployed"] is False
    deployed = site.store.deployed_stage(api_id, "dev")
    assert deployed is not None
    assert deployed.settings.variables == {"mode": "test"}
    assert deployed.snapshot.region == "eu-west-1"
    connect, echo_route = deployed.snapshot.routes["$connect"], deployed.snapshot.routes["echo"]
    assert connect.authorizer is not None
    assert connect.authorizer.identity_sources == ("route.request.querystring.token",)
    assert echo_route.is_two_way
    assert echo_route.integration is not None
    assert echo_route.integration.integration_uri == FUNCTION_URI


async def test_bad_request_is_typed(client: "ApiGatewayV2Client") -> None:
    """A refused value raises boto3's BadRequestException, and nothing is made."""
    answer = await refusal(
        client.exceptions.BadRequestException,
        client.create_api,
        Name="chat",
        ProtocolType="WEBSOCKET",
    )

    assert "RouteSelectionExpression" in answer["Error"]["Message"]
    assert (await asyncio.to_thread(client.get_apis))["Items"] == []


async def test_conflict_is_typed(client: "ApiGatewayV2Client") -> None:
    """A second route with one key raises boto3's ConflictException, and the first stays alone."""
    api_id = await make_api(client)
    await asyncio.to_thread(client.create_route, ApiId=api_id, RouteKey="$connect")

    answer = await refusal(
        client.exceptions.ConflictException,
        client.create_route,
        ApiId=api_id,
        RouteKey="$connect",
    )

    assert answer["Error"]["Message"] == "Route with key $connect already exists for this API"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert len((await asyncio.to_thread(client.get_routes, ApiId=api_id))["Items"]) == 1


async def test_quota_is_typed(site: Site, client: "ApiGatewayV2Client") -> None:
    """The eleventh stage raises boto3's TooManyRequestsException with its limit type."""
    api_id = await make_api(client)
    for number in range(10):
        site.plane.call(
            "CreateStage",
            {"ApiId": api_id, "StageName": f"s{number}"},
            Caller("000000000000", "eu-west-1"),
        )

    answer = await refusal(
        client.exceptions.TooManyRequestsException,
        client.create_stage,
        ApiId=api_id,
        StageName="s10",
    )

    assert answer["LimitType"] == "Stages per API"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert not site.store.has_stage(api_id, "s10")


async def test_not_found_names_the_resource_type(client: "ApiGatewayV2Client") -> None:
    """A missing route raises boto3's NotFoundException with its resource type."""
    api_id = await make_api(client)

    answer = await refusal(
        client.exceptions.NotFoundException, client.get_route, ApiId=api_id, RouteId="nothere"
    )

    assert answer["ResourceType"] == "Route"


async def test_unserved_operation_is_named(client: "ApiGatewayV2Client") -> None:
    """An operation that is not served answers 501 with its name."""
    answer = await refusal(ClientError, client.get_vpc_links)

    assert answer["Error"]["Code"] == "NotImplementedException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "GetVpcLinks" in answer["Error"]["Message"]


async def test_paginator_visits_every_route_once(client: "ApiGatewayV2Client") -> None:
    """boto3's paginator follows nextToken to the end."""
    api_id = await make_api(client)
    keys = [f"k{number}" for number in range(7)]
    for key in keys:
        await asyncio.to_thread(client.create_route, ApiId=api_id, RouteKey=key)

    def walk() -> list[str]:
        pages = client.get_paginator("get_routes").paginate(
            ApiId=api_id, PaginationConfig={"PageSize": 3}
        )
        return [item["RouteKey"] for page in pages for item in page["Items"]]

    assert await asyncio.to_thread(walk) == keys


async def test_bad_token_is_refused(client: "ApiGatewayV2Client") -> None:
    """A next token that was never given is a bad request."""
    api_id = await make_api(client)

    await refusal(
        client.exceptions.BadRequestException, client.get_routes, ApiId=api_id, NextToken="x"
    )


async def test_tags_round_trip(client: "ApiGatewayV2Client") -> None:
    """Tags set by ARN read back by ARN and on the resource, and can be removed."""
    api_id = await make_api(client)
    arn = f"arn:aws:apigateway:eu-west-1::/apis/{api_id}"

    tagged = await asyncio.to_thread(
        client.tag_resource, ResourceArn=arn, Tags={"a": "1", "b": "2"}
    )
    untagged = await asyncio.to_thread(client.untag_resource, ResourceArn=arn, TagKeys=["a", "c"])

    assert tagged["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert untagged["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert (await asyncio.to_thread(client.get_tags, ResourceArn=arn))["Tags"] == {"b": "2"}
    assert (await asyncio.to_thread(client.get_api, ApiId=api_id))["Tags"] == {"b": "2"}


async def test_regions_are_apart(site: Site, client: "ApiGatewayV2Client") -> None:
    """An API of one region is not found from another; the signature's scope tells the region."""
    api_id = await make_api(client)
    other = await asyncio.to_thread(site.client, "us-east-2")

    try:
        await refusal(other.exceptions.NotFoundException, other.get_api, ApiId=api_id)
        assert (await asyncio.to_thread(other.get_apis))["Items"] == []
    finally:
        other.close()


async def test_unsigned_call_is_of_the_default_region(site: Site) -> None:
    """A call without signature belongs to the default region and the fixed account."""
    body = {
        "name": "chat",
        "protocolType": "WEBSOCKET",
        "routeSelectionExpression": "$request.body.action",
    }

    answer, made = await raw("POST", f"{site.url}/v2/apis", json=body)

    assert answer.status == 201
    record = site.store.get(("Api", made["apiId"]))
    assert record is not None
    assert (record["Region"], record["AccountId"]) == ("us-east-1", "000000000000")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut-off"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"[" * 100_000, id="too-deep"),
        pytest.param(json.dumps({"name": ["chat"]}).encode(), id="wrong-type"),
        pytest.param(b"", id="empty"),
    ],
)
async def test_unusable_body_is_a_bad_request(site: Site, body: bytes) -> None:
    """A body that is not the JSON an operation needs answers 400, and nothing is made."""
    answer, document = await raw("POST", f"{site.url}/v2/apis", data=body)

    assert answer.status == 400
    assert answer.headers["x-amzn-ErrorType"] == "BadRequestException"
    assert document["message"]
    assert site.store.children((), "Api") == []


async def test_wire_is_lower_camel_case(site: Site, client: "ApiGatewayV2Client") -> None:
    """Answers carry lowerCamelCase members and ISO 8601 dates in UTC."""
    api_id = await make_api(client)
    scope = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/apigateway/aws4_request"
    }

    answer, document = await raw("GET", f"{site.url}/v2/apis/{api_id}", headers=scope)

    assert answer.headers["x-amzn-RequestId"]
    assert document["createdDate"] == "2023-11-14T22:13:20Z"
    assert document["routeSelectionExpression"] == "$request.body.action"
    assert not {"region", "Region", "accountId", "AccountId"} & set(document)


async def test_unknown_body_members_are_ignored(site: Site) -> None:
    """A member that the service model does not know changes nothing, as restJson1 asks."""
    body = {
        "name": "chat",
        "protocolType": "WEBSOCKET",
        "routeSelectionExpression": "$request.body.action",
        "madeUp": {"deep": 1},
        "description": None,
    }

    answer, document = await raw("POST", f"{site.url}/v2/apis", json=body)

    assert answer.status == 201
    assert not {"madeUp", "description"} & set(document)


@pytest.mark.parametrize(
    ("method", "path"),
    [pytest.param("GET", "/v2/other", id="path"), pytest.param("PUT", "/v2/tags/x", id="method")],
)
async def test_unknown_request_line_answers_501(site: Site, method: str, path: str) -> None:
    """A request outside the model is refused with what was asked."""
    answer, document = await raw(method, site.url + path)

    assert answer.status == 501
    assert path in document["message"]


async def test_too_large_body_is_left_to_the_server(site: Site) -> None:
    """A body beyond the server's limit answers 413, and nothing is made."""
    body = b" " * 1_100_000
    head = f"POST /v2/apis HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    host, port = site.url.removeprefix("http://").split(":")

    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + body)
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()

    assert status == 413
    assert site.store.children((), "Api") == []


async def test_presigned_call_is_of_its_scope(site: Site) -> None:
    """The region is read from a signature in the query string as well."""
    body = {
        "name": "chat",
        "protocolType": "WEBSOCKET",
        "routeSelectionExpression": "$request.body.action",
    }
    scope = {"X-Amz-Credential": "A/20260101/ap-south-1/apigateway/aws4_request"}

    _answer, made = await raw("POST", f"{site.url}/v2/apis", json=body, params=scope)

    record = site.store.get(("Api", made["apiId"]))
    assert record is not None
    assert record["Region"] == "ap-south-1"


async def test_unexpected_failure_tells_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect inside is logged with its traceback and answered as a plain internal error."""
    site.store.put(("Api", "broken"), {})  # a record no operation can have made

    answer, document = await raw("GET", f"{site.url}/v2/apis/broken")

    assert answer.status == 500
    assert document == {"message": "Internal server error"}
    assert "KeyError" in caplog.text
