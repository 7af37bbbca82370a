"""Each refusal carries its code, over real sockets; nothing runs that should not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from dataplane_world import (
    API,
    CONNECT_ARN,
    STAGE,
    RawClient,
    World,
    allowed,
    eventually,
    guarded_connect,
    proxy,
    raised,
    returned,
    route,
    running,
    timed_out,
)

from socketstack.core.model import (
    AuthorizationType,
    Integration,
    IntegrationType,
    StageSettings,
    Throttle,
)

TOKEN = "route.request.querystring.token"
Arrange = Callable[[World], None]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane of the test's own."""
    async with running(tmp_path) as made:
        yield made


def codes(world: World) -> list[str]:
    """The codes of what was refused or closed, in order."""
    return [event.cause.code for event in world.events if event.cause is not None]


def guarded(answer: Any, **members: Any) -> Arrange:
    """A ``$connect`` route with an authorizer that gives an answer."""

    def arrange(world: World) -> None:
        world.answer("authorizer", answer)
        world.deploy(guarded_connect(TOKEN, **members))

    return arrange


def connecting(answer: Any) -> Arrange:
    """A ``$connect`` route whose function gives an answer."""

    def arrange(world: World) -> None:
        world.answer("connect", answer)
        world.deploy_echo()

    return arrange


def deployed(*routes: Any, **members: Any) -> Arrange:
    """An API with these routes."""
    return lambda world: world.deploy(*routes, **members)


def forbidden(function: str, arrange: Arrange) -> Arrange:
    """API Gateway may not call a function."""

    def both(world: World) -> None:
        world.permits.forbidden.add(function)
        arrange(world)

    return both


def undeployed(world: World) -> None:
    """A stage without a deployment."""
    world.deploy_echo()
    world.store.set_stage(API, StageSettings(stage_name=STAGE, deployment_id=None))


_ALLOW_OTHERS = allowed("arn:aws:execute-api:eu-west-1:000000000000:a1b2c3d4e5/dev/GET/x")
_GOOD = "/dev?token=a-token-of-alice"


@pytest.mark.parametrize(
    ("arrange", "path", "status", "code"),
    [
        pytest.param(deployed(), "/dev/deeper", 403, "SS-104", id="deeper-path"),
        pytest.param(deployed(), "/prod", 403, "SS-106", id="unknown-stage"),
        pytest.param(undeployed, "/dev", 403, "SS-107", id="not-deployed"),
        pytest.param(
            deployed(is_execute_api_endpoint_disabled=True), "/dev", 403, "SS-108", id="disabled"
        ),
        pytest.param(deployed(), "/dev?x=" + "x" * 4096, 414, "SS-103", id="url-too-long"),
        pytest.param(
            deployed(throttles={"": Throttle(rate_per_second=0, burst=0)}),
            "/dev",
            429,
            "SS-110",
            id="throttling-zero",
        ),
        pytest.param(
            deployed(
                route("$connect", "connect", required_request_parameters=(TOKEN,)),
            ),
            "/dev",
            400,
            "SS-111",
            id="parameter-missing",
        ),
        pytest.param(guarded(allowed()), "/dev", 401, "SS-201", id="identity-missing"),
        pytest.param(guarded(raised("Unauthorized")), _GOOD, 401, "SS-202", id="unauthorized"),
        pytest.param(
            guarded(allowed(CONNECT_ARN, "Deny")), _GOOD, 403, "SS-203", id="explicit-deny"
        ),
        pytest.param(guarded(_ALLOW_OTHERS), _GOOD, 403, "SS-204", id="nothing-allows"),
        pytest.param(guarded(raised("boom")), _GOOD, 500, "SS-205", id="authorizer-failed"),
        pytest.param(guarded(timed_out), _GOOD, 500, "SS-206", id="authorizer-late"),
        pytest.param(
            forbidden("authorizer", guarded(allowed())), _GOOD, 500, "SS-207", id="no-permission"
        ),
        pytest.param(
            deployed(route("$connect", "connect", authorization_type=AuthorizationType.CUSTOM)),
            _GOOD,
            500,
            "SS-208",
            id="authorizer-missing",
        ),
        pytest.param(
            guarded(allowed(context={"nested": {}})), _GOOD, 500, "SS-209", id="nested-context"
        ),
        pytest.param(
            guarded(allowed(context={"big": "x" * 9000})), _GOOD, 500, "SS-210", id="over-8-kb"
        ),
        pytest.param(
            guarded(returned({"principalId": "a", "policyDocument": []})),
            _GOOD,
            500,
            "SS-211",
            id="malformed-policy",
        ),
        pytest.param(
            deployed(guarded_connect("$request.querystring.token")),
            _GOOD,
            500,
            "SS-212",
            id="http-api-identity-source",
        ),
        pytest.param(
            deployed(route("$connect", "connect", authorization_type=AuthorizationType.AWS_IAM)),
            "/dev",
            403,
            "SS-301",
            id="unsigned",
        ),
        pytest.param(
            deployed(route("$connect", "connect", api_key_required=True)),
            "/dev",
            403,
            "SS-305",
            id="no-api-key",
        ),
        pytest.param(
            connecting(returned({"statusCode": 418})), "/dev", 418, "SS-401", id="connect-refuses"
        ),
        pytest.param(deployed(route("$connect")), "/dev", 500, "SS-601", id="no-integration"),
        pytest.param(
            forbidden("connect", deployed(route("$connect", "connect"))),
            "/dev",
            500,
            "SS-602",
            id="connect-not-permitted",
        ),
        pytest.param(
            deployed(route("$connect", "nobody")), "/dev", 500, "SS-604", id="no-such-function"
        ),
        pytest.param(connecting(raised("boom")), "/dev", 502, "SS-605", id="connect-failed"),
        pytest.param(connecting(returned("ok")), "/dev", 502, "SS-606", id="no-proxy-response"),
        pytest.param(connecting(timed_out), "/dev", 504, "SS-607", id="connect-late"),
    ],
)
async def test_refused_handshake_has_its_code(
    world: World, arrange: Arrange, path: str, status: int, code: str
) -> None:
    """The status is AWS's, the code says which of its reasons it was, and no socket opens."""
    arrange(world)

    answer = await world.refused(path)

    assert (answer.status, codes(world)) == (status, [code])
    assert code not in json.dumps(dict(answer.headers)) + answer.body.decode()
    assert answer.headers["x-amzn-RequestId"] == world.events[-1].request_id != ""
    assert world.connection_ids() == []


async def test_unknown_api_has_its_code(world: World) -> None:
    """An API that does not exist is told apart from a stage that does not."""
    await world.refused(api_id="nosuchapi1")

    assert codes(world) == ["SS-105"]


async def test_plain_request_and_malformed_upgrade_have_their_codes(world: World) -> None:
    """What is no handshake at all is told as well, and calls nothing."""
    world.deploy_echo()

    plain = await world.http("GET", f"/_aws/execute-api/{API}/{STAGE}")
    async with RawClient.dial(world) as client:
        client.send(client.handshake(world).replace(b"Version: 13", b"Version: 12"))
        await eventually(lambda: len(codes(world)) == 2)

    assert plain.status == 426
    assert codes(world) == ["SS-101", "SS-102"]
    assert world.calls() == []


def mock(template: str | None, **members: Any) -> Integration:
    """A MOCK integration with a request template."""
    return Integration(
        integration_id="mock01",
        integration_type=IntegrationType.MOCK,
        request_templates={} if template is None else {"$default": template},
        **members,
    )


@pytest.mark.parametrize(
    ("taker", "message", "frame", "code"),
    [
        pytest.param(route("other", "echo"), "hi", "Forbidden", "SS-501", id="no-route"),
        pytest.param(
            route("$default", "fails", is_two_way=True),
            "hi",
            "Internal server error",
            "SS-605",
            id="function-failed",
        ),
        pytest.param(
            route("$default", "late"), "hi", "Endpoint request timed out", "SS-607", id="late"
        ),
        pytest.param(
            route("$default", "echo", is_two_way=True, model_selection_expression="$default"),
            "hi",
            "Bad request body",
            "SS-504",
            id="no-model",
        ),
        pytest.param(
            route(
                "$default",
                "echo",
                model_selection_expression="$default",
                request_models={"$default": '{"type": "object"}'},
            ),
            "[]",
            "Bad request body",
            "SS-503",
            id="model-mismatch",
        ),
        pytest.param(
            route("$default", integration=mock(None, passthrough_behavior="NEVER")),
            "hi",
            "Unsupported Media Type",
            "SS-505",
            id="no-template",
        ),
        pytest.param(
            route("$default", integration=mock("not a status")),
            "hi",
            "Internal server error",
            "SS-610",
            id="template-gives-no-status",
        ),
        pytest.param(
            route("$default", integration=mock('{"statusCode": 200}')),
            "hi",
            "Internal server error",
            "SS-611",
            id="no-integration-response",
        ),
        pytest.param(
            route(
                "$default",
                integration=proxy("echo", content_handling_strategy="CONVERT_TO_BINARY"),
            ),
            "no base64!",
            "Internal server error",
            "SS-612",
            id="no-base64",
        ),
        pytest.param(
            route(
                "$default",
                integration=Integration(
                    integration_id="http01",
                    integration_type=IntegrationType.HTTP_PROXY,
                    integration_uri="ftp://example.com",
                ),
            ),
            "hi",
            "Internal server error",
            "SS-609",
            id="no-http-address",
        ),
    ],
)
async def test_error_frame_has_its_code(
    world: World, taker: Any, message: str, frame: str, code: str
) -> None:
    """The client gets AWS's frame, the trace the code, under the frame's own request id."""
    world.deploy(taker)
    world.answer("fails", raised("boom"))
    world.answer("late", timed_out)

    async with world.connect() as client:
        await client.send(message)
        told = json.loads(await client.recv())

    assert told["message"] == frame
    refusals = [event for event in world.events if event.cause is not None]
    assert [(each.cause.code, each.request_id) for each in refusals if each.cause] == [
        (code, told["requestId"])
    ]


async def test_closed_sockets_have_their_codes(world: World) -> None:
    """Binary frames and frames that are too large are told with the way out."""
    world.deploy_echo()

    async with world.connect() as binary, world.connect() as large:
        await binary.send(b"\x00")
        await binary.wait_closed()
        await large.send("x" * 33_000)
        await large.wait_closed()

    assert sorted(codes(world)) == ["SS-701", "SS-702"]


@pytest.mark.parametrize(
    ("connection_id", "stage", "size", "code"),
    [
        pytest.param("L0SM9cOFvHcCIhw=", "dev", 1, "SS-801", id="gone"),
        pytest.param("mine", "prod", 1, "SS-802", id="wrong-stage"),
        pytest.param("nonsense", "dev", 1, "SS-803", id="malformed-id"),
        pytest.param("mine", "dev", 131_073, "SS-804", id="too-large"),
    ],
)
async def test_refused_call_has_its_code(
    world: World, connection_id: str, stage: str, size: int, code: str
) -> None:
    """A call on @connections is told with its code, under the request id the SDK shows."""
    world.deploy_echo()
    management = world.management(f"http://localhost:{world.port}/_aws/execute-api/{API}/{stage}")

    async with world.connect():
        wanted = world.connection_ids()[0] if connection_id == "mine" else connection_id
        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(
                lambda: management.post_to_connection(ConnectionId=wanted, Data=b"x" * size)
            )

    (event,) = [each for each in world.events if each.cause is not None]
    assert event.cause is not None
    assert event.cause.code == code
    assert refused.value.response["ResponseMetadata"]["RequestId"] == event.request_id


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({"Origin": "https://evil.example"}, "SS-901", id="foreign-page"),
        pytest.param({"Host": "evil.example"}, "SS-902", id="unknown-host"),
        pytest.param({"Host": "host.docker.internal"}, "SS-903", id="unsigned"),
    ],
)
async def test_closed_door_names_its_code(world: World, headers: dict[str, str], code: str) -> None:
    """What the engine itself does not let in is told to its sender: it is no rule of AWS."""
    answer = await world.http("GET", "/anything", headers=headers)

    assert (answer.status, json.loads(answer.body)["code"]) == (403, code)
