"""Handshakes over real sockets: what opens, what is refused with which status, and what ran."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from dataplane_world import (
    API,
    CONNECT_ARN,
    REGION,
    STAGE,
    Event,
    Hanging,
    RawClient,
    World,
    allowed,
    complaints,
    eventually,
    function_arn,
    guarded_connect,
    proxy,
    raised,
    read_http,
    returned,
    route,
    running,
    soon,
    timed_out,
)

from socketstack.core.limits import URL_MAX_CHARACTERS
from socketstack.core.model import (
    AuthorizationType,
    FailureKind,
    IntegrationType,
    InvokeResult,
    Json,
    Route,
    StageSettings,
)
from socketstack.trace import Step

TOKEN = "route.request.querystring.token"
SECRET = "eyJhbGciOiJIUzI1NiJ9.super-secret-payload.signature"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with nothing deployed."""
    async with running(tmp_path) as world:
        yield world


def assert_untouched(world: World) -> None:
    """No connection is registered, and none ever was."""
    assert world.store.connection_count() == 0
    assert not world.data_plane._running
    assert world.summaries(Step.CONNECTED) == []
    assert world.calls("disconnect") == []


# What opens


async def test_deployed_stage_opens_after_connect_accepted(world: World) -> None:
    """A client gets in when the function of $connect returns 200."""
    world.deploy_echo()

    async with world.connect() as client:
        await client.send("hello")

        assert await soon(client.recv()) == "hello"
        assert world.store.connection_count() == 1


async def test_trailing_slash_is_accepted(world: World) -> None:
    """The stage's address may end with a slash."""
    world.deploy_echo()

    async with world.connect(f"/{STAGE}/"):
        assert len(world.calls("connect")) == 1


async def test_host_form_opens(world: World) -> None:
    """An API is also reached by its own host name."""
    world.deploy_echo()
    host = f"{API}.execute-api.localhost:{world.port}"

    async with RawClient.dial(world) as client:
        request = client.handshake(world, Host=host).replace(
            f"/_aws/execute-api/{API}".encode(), b""
        )
        client.send(request)
        answer = await read_http(client.reader)

    assert answer.status == 101
    assert world.calls("connect")[0]["requestContext"]["domainName"] == host


@pytest.mark.parametrize(("region", "status"), [(REGION, 101), ("us-west-2", 403)])
async def test_host_of_another_region_is_refused(world: World, region: str, status: int) -> None:
    """AWS's own host name leads to the APIs of its Region only."""
    world.deploy_echo()
    host = f"{API}.execute-api.{region}.amazonaws.com"

    async with RawClient.dial(world) as client:
        request = client.handshake(world, Host=host)
        client.send(request.replace(f"/_aws/execute-api/{API}".encode(), b""))
        answer = await read_http(client.reader)

    assert answer.status == status
    assert len(world.calls("connect")) == (status == 101)
    assert len(world.summaries(Step.REFUSED)) == (status == 403)


async def test_stage_without_connect_route_lets_everybody_in(world: World) -> None:
    """$connect is optional; without it nothing is invoked."""
    world.deploy(route("$default", "echo", is_two_way=True))

    async with world.connect() as client:
        assert world.calls() == []
        await client.send("hello")

        assert await soon(client.recv()) == "hello"


@pytest.mark.parametrize("status", [200, 201, 204, 299, "200"])
async def test_any_2xx_of_connect_opens(world: World, status: int | str) -> None:
    """Whatever 2xx the function returns, the client gets 101."""
    world.deploy_echo()
    world.answer("connect", returned({"statusCode": status}))

    async with world.connect() as client:
        assert client.response is not None
        assert client.response.status_code == 101


async def test_tls_opens_on_the_same_port(world: World) -> None:
    """A client may speak TLS."""
    world.deploy_echo()

    async with world.connect(ssl=world.trust()) as client:
        await client.send("hello")

        assert await soon(client.recv()) == "hello"


async def test_connect_event_has_exactly_the_documented_members(world: World) -> None:
    """The function of $connect sees the handshake as AWS shows it."""
    world.deploy_echo(variables={"table": "rows"})

    async with world.connect(f"/{STAGE}?a=1&a=2&b=", user_agent_header="probe/1"):
        (event,) = world.calls("connect")

    context = event["requestContext"]
    assert list(event) == [
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
        "requestContext",
        "isBase64Encoded",
    ]
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert event["stageVariables"] == {"table": "rows"}
    assert event["isBase64Encoded"] is False
    assert not {"connection", "upgrade"} & {name.lower() for name in event["headers"]}
    assert context.pop("requestId") == context.pop("extendedRequestId")
    assert context == {
        "routeKey": "$connect",
        "eventType": "CONNECT",
        "requestTime": "14/Nov/2023:22:13:20 +0000",
        "messageDirection": "IN",
        "stage": STAGE,
        "connectedAt": 1_700_000_000_000,
        "requestTimeEpoch": 1_700_000_000_000,
        "identity": {"userAgent": "probe/1", "sourceIp": "127.0.0.1"},
        "domainName": f"{API}.execute-api.localhost:{world.port}",
        "connectionId": "000000000000002=",
        "apiId": API,
    }


async def test_members_without_value_are_absent(world: World) -> None:
    """Without query, stage variables and User-Agent these members are left out, not null."""
    world.deploy_echo()

    async with world.connect(user_agent_header=None):
        (event,) = world.calls("connect")

    assert list(event) == ["headers", "multiValueHeaders", "requestContext", "isBase64Encoded"]
    assert event["requestContext"]["identity"] == {"sourceIp": "127.0.0.1"}


async def test_connect_is_called_on_behalf_of_its_route(world: World) -> None:
    """The permission asked for names the route, and the wait is the integration's own."""
    world.deploy(route("$connect", integration=proxy("connect", timeout_ms=1500)))

    async with world.connect():
        assert world.permits.asked == [(function_arn("connect"), CONNECT_ARN)]
        assert world.runner.deadlines_ms == [1500]


# Addresses that lead nowhere


@pytest.mark.parametrize(
    ("path", "api_id", "says"),
    [
        pytest.param("/dev", "nosuchapi1", "no API nosuchapi1", id="unknown-api"),
        pytest.param("/prod", API, "no stage 'prod'", id="unknown-stage"),
        pytest.param("/empty", API, "has no deployment", id="stage-without-deployment"),
        pytest.param("/dev/room", API, "is not the address of a stage", id="deeper-path"),
        pytest.param("/dev//", API, "is not the address of a stage", id="two-slashes"),
        pytest.param("/", API, "is not the address of a stage", id="no-stage"),
        pytest.param("", API, "is not the address of a stage", id="nothing"),
    ],
)
async def test_address_that_leads_nowhere_is_refused(
    world: World, path: str, api_id: str, says: str
) -> None:
    """A wrong address gives 403 before any function runs, and the trace says why."""
    world.deploy_echo()
    world.store.set_stage(API, StageSettings(stage_name="empty", deployment_id=None))

    answer = await world.refused(path, api_id=api_id)

    assert (answer.status, json.loads(answer.body)) == (403, {"message": "Forbidden"})
    assert answer.headers["x-amzn-ErrorType"] == "ForbiddenException"
    assert says in world.summaries(Step.REFUSED)[0]
    assert world.calls() == []
    assert_untouched(world)


async def test_address_without_api_is_refused(world: World) -> None:
    """A host and path that name no API give 403."""
    world.deploy_echo()

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world).replace(f"/_aws/execute-api/{API}".encode(), b""))
        answer = await read_http(client.reader)

    assert answer.status == 403
    assert world.calls() == []
    assert_untouched(world)


async def test_deployment_that_is_gone_is_refused(world: World) -> None:
    """A stage that points to a deleted deployment serves nobody."""
    world.deploy_echo()
    world.store.unpublish(API, "dep001")

    answer = await world.refused()

    assert answer.status == 403
    assert world.calls() == []
    assert_untouched(world)


async def test_disabled_endpoint_is_refused(world: World) -> None:
    """An API whose execute-api endpoint is disabled answers 403."""
    world.deploy_echo(is_execute_api_endpoint_disabled=True)

    answer = await world.refused()

    assert answer.status == 403
    assert "endpoint is disabled" in world.summaries(Step.REFUSED)[0]
    assert world.calls() == []
    assert_untouched(world)


@pytest.mark.parametrize(("beyond", "status"), [(0, 101), (1, 414)])
async def test_url_longer_than_4096_is_refused(world: World, beyond: int, status: int) -> None:
    """The whole URL, from scheme to query, may have 4096 characters and not one more."""
    world.deploy_echo()
    start = world.url(f"/{STAGE}?token=").replace("ws://", "wss://")
    token = "t" * (URL_MAX_CHARACTERS - len(start) + beyond)

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, f"/{STAGE}?token={token}"))
        answer = await read_http(client.reader)

    assert answer.status == status
    assert len(world.calls("connect")) == (status == 101)
    assert token not in world.told()


async def test_url_beyond_what_the_server_reads_is_refused_without_a_word(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A URL of 20000 characters is refused, and nothing of its token is logged."""
    world.deploy_echo()
    token = SECRET + "t" * 20_000

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, f"/{STAGE}?token={token}"))
        answer = await read_http(client.reader)

    assert answer.status in {400, 414}
    assert SECRET[:20] not in caplog.text
    assert SECRET[:20].encode() not in answer.body
    assert world.calls() == []
    assert_untouched(world)


# Requests that are no handshake


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", f"/_aws/execute-api/{API}/dev", 426, id="at-a-stage"),
        pytest.param("GET", f"/_aws/execute-api/{API}/prod", 403, id="elsewhere"),
        pytest.param("GET", f"/_aws/execute-api/{API}/dev/room", 403, id="below-a-stage"),
        pytest.param("POST", f"/_aws/execute-api/{API}/dev", 403, id="post"),
        pytest.param("HEAD", f"/_aws/execute-api/{API}/dev", 403, id="head"),
    ],
)
async def test_plain_request_runs_nothing(
    world: World, method: str, path: str, status: int
) -> None:
    """Without upgrade headers a stage's address answers 426, others 403."""
    world.deploy_echo()

    answer = await world.http(method, f"{path}?token={SECRET}")

    assert answer.status == status
    assert (answer.headers.get("upgrade") == "websocket") == (status == 426)
    assert SECRET not in world.told()
    assert world.calls() == []
    assert_untouched(world)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("Sec-WebSocket-Key", "", id="no-key"),
        pytest.param("Sec-WebSocket-Key", "c2hvcnQ=", id="short-key"),
        pytest.param("Sec-WebSocket-Key", "\u00e9" * 24, id="key-not-ascii"),
        pytest.param("Sec-WebSocket-Key", "%%%", id="key-not-base64"),
        pytest.param("Sec-WebSocket-Version", "12", id="old-version"),
        pytest.param("Sec-WebSocket-Version", "", id="no-version"),
    ],
)
async def test_malformed_handshake_runs_nothing(
    world: World, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    """A handshake that cannot succeed is refused with 400 before any function runs."""
    world.deploy_echo()

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, **{name.replace("-", "_"): value}))
        answer = await read_http(client.reader)

    assert answer.status == 400
    assert complaints(caplog) == []
    assert world.calls() == []
    assert_untouched(world)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param("HTTP/1.1", "HTTP/1.0", id="http-1.0"),
        pytest.param("HTTP/1.1", "HTTP/2.0", id="http-2.0"),
        pytest.param("Host: localhost:{port}\r\n", "", id="no-host"),
        pytest.param("Host: localhost:{port}", "Host:", id="empty-host"),
        pytest.param("Upgrade: w", "Content-Length: 5\r\nUpgrade: w", id="body"),
        pytest.param("Upgrade: w", "Transfer-Encoding: chunked\r\nUpgrade: w", id="chunks"),
    ],
)
async def test_handshake_beyond_the_standard_runs_nothing(
    world: World, right: str, wrong: str
) -> None:
    """A WebSocket handshake is an HTTP/1.1 request with a host and without a body."""
    world.deploy_echo()

    async with RawClient.dial(world) as client:
        whole = client.handshake(world).decode()
        broken = whole.replace(right.format(port=world.port), wrong)
        client.send(broken.encode())
        answer = await read_http(client.reader)

    assert broken != whole
    assert answer.status == 400
    assert world.calls() == []
    assert_untouched(world)


async def test_handshake_may_say_that_it_has_no_body(world: World) -> None:
    """A content length of 0 is no body; the authorizer's event has it on AWS as well."""
    world.deploy_echo()

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, Content_Length="0"))
        answer = await read_http(client.reader)

    assert answer.status == 101


async def test_refused_client_may_try_again_on_its_connection(world: World) -> None:
    """A refusal leaves the HTTP connection usable, as plain HTTP has it."""
    world.deploy_echo()
    world.answer("connect", returned({"statusCode": 403}))

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world))
        first = await read_http(client.reader)
        world.answer("connect", returned({"statusCode": 200}))
        client.send(client.handshake(world))
        second = await read_http(client.reader)

    assert (first.status, second.status) == (403, 101)


# The authorizer


def deploy_guarded(world: World, *sources: str, **members: Any) -> None:
    """An API with an authorizer before ``$connect``."""
    world.deploy(
        guarded_connect(*sources, **members),
        route("$default", "echo", is_two_way=True),
        route("$disconnect", "disconnect"),
    )


async def test_allowed_client_gets_in_with_its_context(world: World) -> None:
    """What the authorizer returned is in the events of all three kinds."""
    deploy_guarded(world, TOKEN)
    world.answer("authorizer", allowed(context={"tenant": "acme", "level": 7}))

    async with world.connect(f"/{STAGE}?token={SECRET}") as client:
        await client.send("hello")
        await soon(client.recv())
    await world.disconnected()

    kinds = ("connect", "echo", "disconnect")
    contexts = [world.calls(kind)[0]["requestContext"]["authorizer"] for kind in kinds]
    assert isinstance(contexts[0].pop("integrationLatency"), int)
    assert contexts == [{"tenant": "acme", "level": "7", "principalId": "alice"}] * 3
    assert len(world.calls("authorizer")) == 1


async def test_authorizer_event_names_the_connection_that_connect_will_see(world: World) -> None:
    """Method ARN, query and the id of the later connection are in the authorizer's event."""
    deploy_guarded(world, TOKEN)
    world.answer("authorizer", allowed())

    async with world.connect(f"/{STAGE}?token={SECRET}"):
        (event,) = world.calls("authorizer")
        (later,) = world.calls("connect")

    assert list(event) == [
        "type",
        "methodArn",
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
        "requestContext",
    ]
    assert (event["type"], event["methodArn"]) == ("REQUEST", CONNECT_ARN)
    assert event["queryStringParameters"] == {"token": SECRET}
    assert event["stageVariables"] == {}
    assert "authorizer" not in event["requestContext"]
    for member in ("connectionId", "requestId", "connectedAt"):
        assert event["requestContext"][member] == later["requestContext"][member]
    assert world.permits.asked[0] == (
        function_arn("authorizer"),
        f"arn:aws:execute-api:eu-west-1:000000000000:{API}/authorizers/auth01",
    )


@pytest.mark.parametrize(
    ("source", "path", "headers"),
    [
        pytest.param(TOKEN, "/dev", {}, id="parameter-missing"),
        pytest.param(TOKEN, "/dev?token=", {}, id="parameter-empty"),
        pytest.param(TOKEN, "/dev?Token=x", {}, id="parameter-in-other-case"),
        pytest.param("route.request.header.Authorization", "/dev", {}, id="header-missing"),
        pytest.param(
            "route.request.header.Authorization", "/dev", {"Authorization": ""}, id="header-empty"
        ),
        pytest.param("stageVariables.key", "/dev", {}, id="stage-variable-missing"),
        pytest.param("context.nothing", "/dev", {}, id="context-variable-missing"),
    ],
)
async def test_missing_identity_source_refuses_without_invoking(
    world: World, source: str, path: str, headers: dict[str, str]
) -> None:
    """A missing or empty identity source gives 401, and the authorizer is not called."""
    deploy_guarded(world, "context.connectionId", source)
    world.answer("authorizer", allowed())

    answer = await world.refused(path, additional_headers=headers)

    assert (answer.status, json.loads(answer.body)) == (401, {"message": "Unauthorized"})
    assert world.calls() == []
    assert_untouched(world)


async def test_all_kinds_of_identity_sources_are_found(world: World) -> None:
    """Header names of any case, parameters, context and stage variables can be sources."""
    world.deploy(
        guarded_connect(
            TOKEN, "route.request.header.X-Key", "context.identity.sourceIp", "stageVariables.key"
        ),
        variables={"key": "v"},
    )
    world.answer("authorizer", allowed())

    async with world.connect("/dev?token=t", additional_headers={"x-KEY": "k"}):
        assert len(world.calls("connect")) == 1


@pytest.mark.parametrize(
    ("result", "status"),
    [
        pytest.param(allowed(effect="Deny"), 403, id="deny"),
        pytest.param(allowed(CONNECT_ARN.replace("$connect", "*/*")), 403, id="shape-of-rest"),
        pytest.param(raised("Unauthorized"), 401, id="exact-unauthorized"),
        pytest.param(raised("Unauthorized "), 500, id="nearly-unauthorized"),
        pytest.param(raised("unauthorized"), 500, id="lower-case-unauthorized"),
        pytest.param(raised("Unauthorized", FailureKind.TIMEOUT), 500, id="killed"),
        pytest.param(raised("boom"), 500, id="other-error"),
        pytest.param(allowed(context={"a": {"b": 1}}), 500, id="nested-object"),
        pytest.param(allowed(context={"a": [1]}), 500, id="nested-list"),
        pytest.param(returned({"policyDocument": {}}), 500, id="no-principal-id"),
        pytest.param(allowed(principalId=""), 500, id="empty-principal-id"),
        pytest.param(returned({"principalId": "alice"}), 500, id="no-policy"),
        pytest.param(returned({"isAuthorized": True}), 500, id="simple-format"),
        pytest.param(allowed(policyDocument="Allow"), 500, id="malformed-policy"),
        pytest.param(allowed(context={"big": "x" * 8192}), 500, id="larger-than-8-KB"),
        pytest.param(InvokeResult(payload=b"null"), 500, id="nothing"),
        pytest.param(InvokeResult(payload=b"not json"), 500, id="no-json"),
    ],
)
async def test_authorizer_that_does_not_clearly_allow_refuses(
    world: World, result: InvokeResult, status: int
) -> None:
    """Whatever is not a valid result with an Allow for this ARN keeps the client out."""
    deploy_guarded(world, TOKEN)
    world.answer("authorizer", result)

    answer = await world.refused(f"/{STAGE}?token={SECRET}")

    assert answer.status == status
    assert len(world.calls("authorizer")) == 1
    assert world.calls("connect") == []
    assert_untouched(world)


async def test_authorizer_that_may_not_be_called_refuses(world: World) -> None:
    """Without permission for API Gateway the authorizer is not called and the answer is 500."""
    deploy_guarded(world)
    world.answer("authorizer", allowed())
    world.permits.forbidden = {"authorizer"}

    answer = await world.refused()

    assert answer.status == 500
    assert json.loads(answer.body) == {"message": "Internal server error"}
    assert world.calls() == []
    assert world.summaries(Step.AUTHORIZER) == []
    assert_untouched(world)


async def test_authorizer_called_by_a_role_that_nobody_knows_refuses(world: World) -> None:
    """Without a role that may, the authorizer is not called and the answer is 500."""
    deploy_guarded(world, credentials_arn="arn:aws:iam::000000000000:role/caller")
    world.answer("authorizer", allowed())

    answer = await world.refused()

    assert answer.status == 500
    assert "role/caller cannot be verified" in world.summaries(Step.REFUSED)[0]
    assert world.calls() == []
    assert_untouched(world)


@pytest.mark.parametrize(
    "path", [f"/{STAGE}/{SECRET}", f"/{SECRET}", f"/{'s' * 60}", f"/{STAGE}/x/{SECRET}"]
)
async def test_token_in_the_path_is_not_told(world: World, path: str) -> None:
    """A credential in the wrong place is refused, and no event shows it whole."""
    world.deploy_echo()

    answer = await world.refused(path)

    assert answer.status == 403
    assert SECRET not in world.told()
    assert "s" * 60 not in world.told()


@pytest.mark.parametrize("path", ["/%64ev", "/dev%2f", "/dev/%2e"])
async def test_stage_written_in_percent_codes_is_refused(world: World, path: str) -> None:
    """The path is taken as it was sent."""
    world.deploy_echo()

    answer = await world.refused(path)

    assert answer.status == 403
    assert world.calls() == []


async def test_older_protocol_version_is_refused(world: World) -> None:
    """Version 13 is the only one there is."""
    world.deploy_echo()

    async with RawClient.dial(world) as client:
        handshake = client.handshake(world).replace(b"Version: 13", b"Version: 8")
        client.send(handshake)
        answer = await read_http(client.reader)

    assert answer.status == 400
    assert world.calls() == []


async def test_authorizer_that_does_not_exist_refuses(world: World) -> None:
    """An authorizer function that cannot be found gives 500."""
    deploy_guarded(world)

    answer = await world.refused()

    assert answer.status == 500
    assert world.calls("connect") == []
    assert_untouched(world)


async def test_custom_authorization_without_authorizer_refuses(world: World) -> None:
    """A route that wants an authorizer and has none lets nobody in."""
    world.deploy(route("$connect", "connect", authorization_type=AuthorizationType.CUSTOM))

    answer = await world.refused()

    assert answer.status == 500
    assert world.calls() == []
    assert_untouched(world)


async def test_hanging_authorizer_refuses_at_its_deadline(world: World) -> None:
    """An authorizer is waited for 29 seconds; then the answer is 500."""
    deploy_guarded(world)
    world.answer("authorizer", timed_out)

    answer = await world.refused()

    assert answer.status == 500
    assert world.runner.deadlines_ms == [29_000]
    assert "did not answer within 29000 ms" in world.summaries(Step.REFUSED)[0]
    assert world.calls("connect") == []
    assert_untouched(world)


# $connect


@pytest.mark.parametrize(
    "status", [300, 301, 304, 400, 401, 403, 404, 418, 429, 499, 500, 501, 599]
)
async def test_status_of_connect_is_passed_through(world: World, status: int) -> None:
    """A handshake that the function refuses fails with exactly its status."""
    world.deploy_echo()
    world.answer("connect", returned({"statusCode": status, "body": "private"}))

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world))
        answer = await read_http(client.reader, has_body=status != 304)

    assert answer.status == status
    assert b"private" not in answer.body
    assert_untouched(world)


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(raised("boom"), id="raises"),
        pytest.param(raised("boom", FailureKind.UNHANDLED), id="dies"),
        pytest.param(raised("boom", FailureKind.TIMEOUT), id="exceeds-its-own-timeout"),
        pytest.param(returned(None), id="nothing"),
        pytest.param(returned("ok"), id="text"),
        pytest.param(returned({}), id="no-status"),
        pytest.param(returned({"statusCode": 600}), id="status-600"),
        pytest.param(returned({"statusCode": 199}), id="status-199"),
        pytest.param(returned({"statusCode": True}), id="status-true"),
        pytest.param(returned({"statusCode": "ok"}), id="status-text"),
        pytest.param(returned({"statusCode": 200, "body": {}}), id="body-no-text"),
        pytest.param(returned({"statusCode": 200, "headers": []}), id="headers-no-object"),
        pytest.param(
            returned({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "a\r\nX: b"}}),
            id="header-injection",
        ),
        pytest.param(InvokeResult(payload=b""), id="empty"),
    ],
)
async def test_connect_without_usable_answer_gives_502(world: World, result: InvokeResult) -> None:
    """A function that fails or returns no proxy response gives 502."""
    world.deploy_echo()
    world.answer("connect", result)

    answer = await world.refused()

    assert answer.status == 502
    assert json.loads(answer.body) == {"message": "Internal server error"}
    assert_untouched(world)


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param(route("$connect", "forbidden"), id="not-permitted"),
        pytest.param(route("$connect", "nosuchfunction"), id="no-such-function"),
        pytest.param(route("$connect"), id="no-integration"),
        pytest.param(
            route("$connect", integration=proxy("connect", integration_method="GET")), id="by-get"
        ),
        pytest.param(
            route("$connect", integration=proxy("connect", integration_type=IntegrationType.MOCK)),
            id="other-integration-type",
        ),
    ],
)
async def test_connect_that_cannot_be_called_gives_500(world: World, connect: Route) -> None:
    """A $connect integration that API Gateway cannot call gives 500."""
    world.deploy(connect, route("$disconnect", "disconnect"))
    world.answer("forbidden", returned({"statusCode": 200}))
    world.permits.forbidden = {"forbidden"}

    answer = await world.refused()

    assert answer.status == 500
    assert world.calls("forbidden") == []
    assert world.calls("connect") == []
    assert_untouched(world)


async def test_connect_beyond_its_timeout_gives_504(world: World) -> None:
    """A $connect function that does not answer in time gives 504."""
    world.deploy_echo()
    world.answer("connect", timed_out)

    answer = await world.refused()

    assert answer.status == 504
    assert json.loads(answer.body) == {"message": "Endpoint request timed out"}
    assert_untouched(world)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param("", "is not signed", id="unsigned"),
        pytest.param(
            "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
            "&X-Amz-Date=20260101T000000Z&X-Amz-Credential=a/20260101/r/execute-api/aws4_request",
            "No identities are kept",
            id="signed",
        ),
    ],
)
async def test_iam_route_refuses_everybody_where_no_identities_are_kept(
    world: World, query: str, reason: str
) -> None:
    """Without anybody who knows keys, AWS_IAM lets nobody in."""
    world.deploy(route("$connect", "connect", authorization_type=AuthorizationType.AWS_IAM))

    answer = await world.refused(f"/{STAGE}{query}")

    assert answer.status == 403
    assert reason in world.summaries(Step.REFUSED)[0]
    assert world.calls() == []
    assert_untouched(world)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/dev?room=1", {"X-Room": "1"}, 101, id="both-there"),
        pytest.param("/dev", {"X-Room": "1"}, 400, id="parameter-missing"),
        pytest.param("/dev?room=1", {}, 400, id="header-missing"),
    ],
)
async def test_required_request_parameters_are_required(
    world: World, path: str, headers: dict[str, str], status: int
) -> None:
    """A handshake without a required parameter is refused with 400 before $connect runs."""
    required = ("route.request.querystring.room", "route.request.header.X-Room")
    world.deploy(route("$connect", "connect", required_request_parameters=required))

    async with RawClient.dial(world) as client:
        named = {name.replace("-", "_"): value for name, value in headers.items()}
        client.send(client.handshake(world, path, **named))
        answer = await read_http(client.reader)

    assert answer.status == status
    assert len(world.calls("connect")) == (status == 101)


async def test_unexpected_error_refuses_with_500_and_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of the engine keeps the client out, with a generic answer and one log entry."""

    def broken(payload: bytes) -> InvokeResult:
        raise KeyError(SECRET[:3])

    world.deploy_echo()
    world.answer("connect", broken)

    answer = await world.refused(f"/{STAGE}?token={SECRET}")

    assert answer.status == 500
    assert json.loads(answer.body) == {"message": "Internal server error"}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert SECRET not in caplog.text
    assert_untouched(world)


# Subprotocols and extensions


async def test_offered_subprotocol_is_not_negotiated_by_itself(world: World) -> None:
    """The 101 has no subprotocol unless the function returned one."""
    world.deploy_echo()

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, Sec_WebSocket_Protocol="chat, superchat"))
        answer = await read_http(client.reader)

    assert answer.status == 101
    assert "sec-websocket-protocol" not in answer.headers


@pytest.mark.parametrize(
    ("offered", "headers", "got"),
    [
        pytest.param("chat", {"Sec-WebSocket-Protocol": "chat"}, "chat", id="offered"),
        pytest.param("chat", {"sec-websocket-PROTOCOL": "chat"}, "chat", id="other-case"),
        pytest.param("", {"Sec-WebSocket-Protocol": "chat"}, "chat", id="not-offered"),
        pytest.param("a", {"Sec-WebSocket-Protocol": "b"}, "b", id="another-one"),
        pytest.param("a, b", {"Sec-WebSocket-Protocol": "a, b"}, "a, b", id="whole-list"),
    ],
)
async def test_returned_subprotocol_is_sent_as_it_is(
    world: World, offered: str, headers: dict[str, str], got: str
) -> None:
    """Whatever the function returns is sent, asked for or not, right or wrong."""
    world.deploy_echo()
    world.answer("connect", returned({"statusCode": 200, "headers": dict(headers)}))

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, Sec_WebSocket_Protocol=offered))
        answer = await read_http(client.reader)

    assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, got)


async def test_more_than_one_returned_subprotocol_is_warned_about(world: World) -> None:
    """Sending the client's whole list back is done, and the trace says that it breaks clients."""
    world.deploy_echo()
    value: dict[str, Json] = {"Sec-WebSocket-Protocol": "a, b"}
    world.answer("connect", returned({"statusCode": 200, "headers": value}))

    with pytest.raises(websockets.InvalidHandshake):
        async with world.connect(subprotocols=["a", "b"]):
            pass

    assert "exactly one" in world.summaries(Step.WARNING)[0]


async def test_compression_is_not_negotiated(world: World) -> None:
    """permessage-deflate is offered by the client and not accepted."""
    world.deploy_echo()

    async with world.connect(compression="deflate") as client:
        await client.send("hello" * 100)
        assert await soon(client.recv()) == "hello" * 100

        assert client.response is not None
        assert client.request is not None
        assert "permessage-deflate" in client.request.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in client.response.headers


# Before the 101


async def test_connection_is_gone_until_the_101(world: World) -> None:
    """While $connect runs, posting to the connection gives 410; afterwards 200."""
    world.deploy_echo()
    connect = Hanging()
    world.answer("connect", connect)
    async with RawClient.dial(world) as client:
        client.send(client.handshake(world))
        await eventually(lambda: connect.started == 1)
        connection_id = world.calls("connect")[0]["requestContext"]["connectionId"]
        address = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"

        before = await world.http("POST", address, b"early")
        connect.release()
        opened = await read_http(client.reader)
        after = await world.http("POST", address, b"late")
        received = await client.receive()

    assert (before.status, opened.status, after.status) == (410, 101, 200)
    assert received.payload == b"late"


@pytest.mark.parametrize("function", ["authorizer", "connect"])
async def test_client_that_leaves_during_the_handshake_leaves_nothing(
    world: World, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    """A client that is gone when its handshake is decided is never registered."""
    deploy_guarded(world)
    world.answer("authorizer", allowed())
    hanging = Hanging(world.runner.answers[function])  # type: ignore[arg-type]
    world.answer(function, hanging)
    async with RawClient.dial(world) as client:
        client.send(client.handshake(world))
        await eventually(lambda: hanging.started == 1)
    await eventually(lambda: all(each.transport is None for each in world.web.connections))

    hanging.release()
    await eventually(lambda: not world.web.connections)

    assert "left" in world.summaries(Step.REFUSED)[0]
    assert complaints(caplog) == []
    assert_untouched(world)


async def test_failed_handshake_runs_no_disconnect(world: World) -> None:
    """$disconnect is for connections that were made."""
    world.deploy_echo()
    world.answer("connect", returned({"statusCode": 403}))

    await world.refused()

    assert len(world.calls("connect")) == 1
    assert_untouched(world)


async def test_ten_handshakes_wait_for_their_functions_at_the_same_time(world: World) -> None:
    """One slow $connect holds up nobody else."""
    world.deploy_echo()
    connect = Hanging()
    world.answer("connect", connect)

    async def open_one() -> Event:
        async with world.connect() as client:
            await client.send("hello")
            return {"got": await soon(client.recv())}

    clients = [asyncio.create_task(open_one()) for _ in range(10)]
    await eventually(lambda: connect.started == 10)
    assert world.store.connection_count() == 0
    connect.release()

    assert await asyncio.gather(*clients) == [{"got": "hello"}] * 10


# Secrets


@pytest.mark.parametrize("outcome", ["allowed", "denied", "raises", "connect-raises"])
async def test_tokens_appear_in_no_trace_event(world: World, outcome: str) -> None:
    """Neither query nor header values are told, even when a function's error text has them."""
    header = "Bearer-" + SECRET[::-1]
    deploy_guarded(world, TOKEN, "route.request.header.Authorization")
    world.answer("authorizer", allowed(effect="Deny" if outcome == "denied" else "Allow"))
    if outcome == "raises":
        world.answer("authorizer", raised(f"bad token {SECRET} in {header}"))
    if outcome == "connect-raises":
        world.answer("connect", raised(f"bad token {SECRET} in {header}"))

    async with RawClient.dial(world) as client:
        client.send(
            client.handshake(
                world,
                f"/{STAGE}?token={SECRET}&other={SECRET}",
                Authorization=header,
                Cookie=f"session={SECRET}",
                Sec_WebSocket_Protocol=SECRET,
            )
        )
        answer = await read_http(client.reader)

    told = world.told()
    assert (answer.status == 101) == (outcome == "allowed")
    assert world.summaries(Step.IDENTITY)
    assert SECRET not in told
    assert header not in told
    assert SECRET not in "".join(f"{name}{value}" for name, value in answer.headers.items())


@pytest.mark.parametrize(
    ("header", "sent"),
    [
        pytest.param("X_Token", SECRET, id="header-of-ones-own"),
        pytest.param("Authorization", f"Bearer {SECRET}", id="after-a-scheme"),
        pytest.param("Cookie", f"theme=dark; session={SECRET}", id="in-a-cookie"),
        pytest.param("Sec_WebSocket_Protocol", f"auth, {SECRET}", id="among-subprotocols"),
    ],
)
async def test_part_of_a_header_that_a_function_quotes_is_not_told(
    world: World, header: str, sent: str
) -> None:
    """Whatever header a token comes in, and whatever stands around it, it is told cut."""
    deploy_guarded(world, f"route.request.header.{header.replace('_', '-')}")
    world.answer("authorizer", raised(f"bad token {SECRET}"))

    async with RawClient.dial(world) as client:
        client.send(client.handshake(world, **{header: sent}))
        answer = await read_http(client.reader)

    assert answer.status == 500
    assert world.summaries(Step.REFUSED)
    assert SECRET not in world.told()


async def test_one_token_on_two_connections_is_checked_twice(world: World) -> None:
    """Authorizer results are not cached. Rule 3.23."""
    deploy_guarded(world, TOKEN)
    world.answer("authorizer", allowed())

    async with (
        world.connect(f"/{STAGE}?token={SECRET}"),
        world.connect(f"/{STAGE}?token={SECRET}"),
    ):
        pass

    assert len(world.calls("authorizer")) == 2


async def test_selection_expression_has_no_say_in_connecting(world: World) -> None:
    """Whatever the expression selects, a handshake is for $connect. Rule 2.27."""
    world.deploy_echo(route_selection_expression="constant")

    async with world.connect():
        pass
    await eventually(lambda: len(world.calls("disconnect")) == 1)

    assert len(world.calls("connect")) == 1


async def test_other_headers_of_connect_do_not_reach_the_client(world: World) -> None:
    """Cookies that work only here would mislead: none is set. Rule Q10."""
    world.deploy_echo()
    headers: dict[str, Json] = {"Set-Cookie": "a=b", "X-Own": "c"}
    world.answer("connect", returned({"statusCode": 200, "headers": headers}))

    async with world.connect() as client:
        assert client.response is not None
        assert "Set-Cookie" not in client.response.headers
        assert "X-Own" not in client.response.headers


async def test_authorizer_without_identity_source_is_always_called(world: World) -> None:
    """Nothing can be missing, so the function decides. Rule 3.08."""
    deploy_guarded(world)
    world.answer("authorizer", allowed())

    async with world.connect():
        assert len(world.calls("authorizer")) == 1
