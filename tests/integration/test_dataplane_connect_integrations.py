"""``$connect`` with integrations of all types: who gets in, and what the backend learns."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from dataplane_world import (
    STAGE,
    World,
    allowed,
    function_arn,
    guarded_connect,
    proxy,
    raised,
    returned,
    route,
    running,
    timed_out,
)
from http_backend import HttpBackend, http_backend, json_answer

from socketstack.core.model import Integration, IntegrationResponse, IntegrationType, Route
from socketstack.trace import Step


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with nothing deployed."""
    async with running(tmp_path) as world:
        yield world


@pytest.fixture
async def backend() -> AsyncIterator[HttpBackend]:
    """An HTTP server to call."""
    async with http_backend() as backend:
        yield backend


def response(key: str = "$default", **members: Any) -> IntegrationResponse:
    """An integration response."""
    return IntegrationResponse(integration_response_key=key, **members)


def integration(kind: str, uri: str | None = None, **members: Any) -> Integration:
    """An integration of a type, with an integration response for everything."""
    return Integration(
        **{
            "integration_id": "int001",
            "integration_type": IntegrationType(kind),
            "integration_uri": uri,
            "responses": (response(),),
        }
        | members
    )


def mock(status: int = 200, **members: Any) -> Integration:
    """A MOCK integration that answers with a status."""
    templates = {"$default": json.dumps({"statusCode": status})}
    return integration("MOCK", **{"request_templates": templates} | members)


def connecting(called: Integration, **members: Any) -> Route:
    """A ``$connect`` route to an integration."""
    return route("$connect", integration=called, **members)


# MOCK


async def test_mock_lets_clients_in(world: World) -> None:
    """A MOCK $connect with 200 and an integration response for it admits. 5.55."""
    world.deploy(connecting(mock(responses=(response("/2\\d\\d/"),))))

    async with world.connect() as client:
        assert client.subprotocol is None

    assert world.runner.calls == []


@pytest.mark.parametrize("status", [301, 400, 401, 403, 500, 503])
async def test_mock_with_another_status_refuses(world: World, status: int) -> None:
    """A MOCK $connect refuses with the status it is told, and no socket opens. 2.08, 5.55."""
    world.deploy(connecting(mock(status)))

    assert (await world.refused()).status == status
    assert world.connection_ids() == []


async def test_mock_without_integration_response_refuses(world: World) -> None:
    """Without a fitting integration response nobody gets in. 5.39, 5.55."""
    world.deploy(connecting(mock(responses=(response("/4\\d\\d/"),))))

    answer = await world.refused()

    assert (answer.status, json.loads(answer.body)) == (500, {"message": "Internal server error"})
    assert world.connection_ids() == []
    assert "No integration response fits" in world.summaries(Step.REFUSED)[0]


async def test_mock_without_template_refuses(world: World) -> None:
    """There is no message to pass through on $connect, so a MOCK needs a template. 5.54."""
    world.deploy(connecting(mock(request_templates={})))

    assert (await world.refused()).status == 500
    assert world.connection_ids() == []


async def test_template_reads_parameters_of_the_handshake(world: World) -> None:
    """A template sees query and headers of the handshake, and may decide by them. 5.51."""
    template = (
        "#if($input.params('token') == 'let-me-in' && $input.params().header.get('X-Kind') == 'a'"
        " && $input.params('none') == '')"
        '{"statusCode": 200}#else{"statusCode": 401}#end'
    )
    world.deploy(connecting(mock(request_templates={"$default": template})))

    refused = await world.refused(f"/{STAGE}?token=wrong", additional_headers={"X-Kind": "a"})
    async with world.connect(f"/{STAGE}?token=let-me-in", additional_headers={"X-Kind": "a"}):
        count = len(world.connection_ids())

    assert refused.status == 401
    assert count == 1


async def test_subprotocol_comes_from_the_integration_response(world: World) -> None:
    """With MOCK the 101's subprotocol is what the integration response maps. 2.26."""
    parameters = {"method.response.header.Sec-WebSocket-Protocol": "'chat'"}
    world.deploy(connecting(mock(responses=(response(response_parameters=parameters),))))

    async with world.connect(subprotocols=["other", "chat"]) as client:
        assert client.subprotocol == "chat"


async def test_unsupported_handshake_is_refused_with_415(world: World) -> None:
    """Passthrough NEVER without a fitting template refuses handshakes as well. 5.40."""
    world.deploy(connecting(mock(request_templates={}, passthrough_behavior="NEVER")))

    assert (await world.refused()).status == 415


# HTTP


async def test_http_integration_gets_the_handshakes_headers(
    world: World, backend: HttpBackend
) -> None:
    """Handshake headers travel to an HTTP backend, WebSocket's own among them. 2.34."""
    headers = [("X-One", "1"), ("X-Two", "a"), ("X-Two", "b"), ("Cookie", "c=d")]
    world.deploy(connecting(integration("HTTP_PROXY", f"{backend.url}/in")))

    async with world.connect(f"/{STAGE}?token=t", additional_headers=headers):
        pass

    received = backend.received[0]
    assert (received.method, received.path, received.body) == ("POST", "/in", b"")
    assert received.header("Sec-WebSocket-Version") == "13"
    assert received.header("X-One") == "1"
    assert [value for name, value in received.headers if name == "X-Two"] == ["a", "b"]
    assert received.header("Cookie") == "c=d"
    assert received.header("X-Forwarded-For") == "127.0.0.1"
    assert received.header("Host") == f"localhost:{backend.port}"
    assert received.header("Upgrade") is None


async def test_mapped_header_replaces_the_handshakes(world: World, backend: HttpBackend) -> None:
    """A mapping wins over the header of the handshake, which is the way around 2.34."""
    called = integration(
        "HTTP_PROXY",
        backend.url,
        request_parameters={"integration.request.header.sec-websocket-version": "'none'"},
    )
    world.deploy(connecting(called))

    async with world.connect():
        pass

    named = [v for n, v in backend.received[0].headers if n.lower() == "sec-websocket-version"]
    assert named == ["none"]


@pytest.mark.parametrize("kind", ["HTTP", "HTTP_PROXY"])
@pytest.mark.parametrize("status", [302, 400, 404, 500])
async def test_backends_status_refuses(
    world: World, backend: HttpBackend, kind: str, status: int
) -> None:
    """A backend that does not answer with 2xx keeps clients out, with its status. 2.08."""
    backend.answer = web.Response(status=status)
    world.deploy(connecting(integration(kind, backend.url)))

    assert (await world.refused()).status == status
    assert world.connection_ids() == []


async def test_backends_subprotocol_is_sent(world: World, backend: HttpBackend) -> None:
    """HTTP_PROXY passes the header on; HTTP does where it is mapped. 2.26."""
    backend.answer = json_answer({"use": "chat"}, 201, Sec_WebSocket_Protocol="chat")
    key = "method.response.header.sec-websocket-protocol"
    by_header = response(
        response_parameters={key: "integration.response.header.Sec-WebSocket-Protocol"}
    )
    by_body = response(response_parameters={key: "integration.response.body.use"})

    for called, expected in (
        (integration("HTTP_PROXY", backend.url), "chat"),
        (integration("HTTP", backend.url), None),
        (integration("HTTP", backend.url, responses=(by_header,)), "chat"),
        (integration("HTTP", backend.url, responses=(by_body,)), "chat"),
    ):
        world.deploy(connecting(called))
        async with world.connect(subprotocols=["chat"]) as client:
            assert client.subprotocol == expected


async def test_declared_parameters_are_mapped_and_others_are_not(
    world: World, backend: HttpBackend
) -> None:
    """Query and headers are mapped when the route declares them; the trace names others. 5.62."""
    called = integration(
        "HTTP_PROXY",
        backend.url,
        request_parameters={
            "integration.request.header.token": "route.request.querystring.token",
            "integration.request.header.all": "route.request.multivaluequerystring.room",
            "integration.request.header.other": "route.request.querystring.other",
            "integration.request.querystring.agent": "route.request.header.user-agent",
            "integration.request.querystring.none": "route.request.header.nothing",
        },
    )
    declared = frozenset(
        {
            "route.request.querystring.token",
            "route.request.multivaluequerystring.room",
            "route.request.header.user-agent",
            "route.request.header.nothing",
        }
    )
    world.deploy(connecting(called, request_parameters=declared))

    async with world.connect(f"/{STAGE}?token=t&room=a&room=b&other=o", user_agent_header="ua/1"):
        pass

    received = backend.received[0]
    assert (received.header("token"), received.header("all")) == ("t", "a,b")
    assert received.header("other") is None
    assert received.path == "/?agent=ua/1"
    warnings = world.summaries(Step.WARNING)
    assert len(warnings) == 1
    assert "route.request.querystring.other is not mapped" in warnings[0]


async def test_unreachable_backend_refuses(world: World) -> None:
    """A backend that cannot be reached is a timeout of the gateway, and no socket opens."""
    world.deploy(connecting(integration("HTTP_PROXY", "http://localhost:1/")))

    assert (await world.refused()).status == 504
    assert world.connection_ids() == []


async def test_slow_backend_refuses_with_504(world: World, backend: HttpBackend) -> None:
    """A backend beyond the integration's time refuses with 504. 2.12."""
    release = asyncio.Event()

    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    backend.answer = hang
    world.deploy(connecting(integration("HTTP_PROXY", backend.url, timeout_ms=200)))

    refused = await world.refused()
    release.set()

    assert refused.status == 504
    assert world.connection_ids() == []


# AWS


async def test_function_gets_the_rendered_handshake(world: World) -> None:
    """AWS with a function: the template is the payload, any result admits. 5.51, 5.55."""
    world.answer("join", returned({"anything": True}))
    world.answer("authorizer", allowed(context={"tenant": 7}))
    template = (
        '{"user":"$context.authorizer.principalId","tenant":"$context.authorizer.tenant",'
        '"room":"$input.params(\'room\')"}'
    )
    called = proxy(
        "join",
        integration_type=IntegrationType.AWS,
        request_templates={"$default": template},
        responses=(response(),),
    )
    guarded = guarded_connect("route.request.querystring.room")
    world.deploy(
        connecting(
            called,
            authorization_type=guarded.authorization_type,
            authorizer=guarded.authorizer,
        )
    )

    async with world.connect(f"/{STAGE}?room=r1"):
        pass

    assert world.calls("join") == [{"user": "alice", "tenant": "7", "room": "r1"}]
    assert [function for function, _source in world.permits.asked] == [
        function_arn("authorizer"),
        function_arn("join"),
    ]


async def test_function_that_fails_refuses(world: World) -> None:
    """A function that raises keeps clients out, whatever an integration response makes of it."""
    world.answer("join", raised("no"))
    called = proxy(
        "join",
        integration_type=IntegrationType.AWS,
        request_templates={"$default": "{}"},
        responses=(response("/no/"), response()),
    )
    world.deploy(connecting(called))

    assert (await world.refused()).status == 502
    assert world.connection_ids() == []


async def test_slow_function_refuses_with_504(world: World) -> None:
    """A function beyond the integration's time refuses with 504. 2.12."""
    world.answer("join", timed_out)
    called = proxy("join", integration_type=IntegrationType.AWS, responses=(response(),))
    world.deploy(connecting(called))

    assert (await world.refused()).status == 504


async def test_models_apply_to_connect_as_well(world: World) -> None:
    """A handshake has no body, so one that must match a model is refused. 5.36."""
    checked = connecting(
        proxy("connect"),
        model_selection_expression="m",
        request_models={"m": '{"type":"object"}'},
    )
    world.deploy(checked)

    assert (await world.refused()).status == 400
    assert world.runner.calls == []


async def test_secrets_of_the_handshake_stay_off_the_trace(
    world: World, backend: HttpBackend
) -> None:
    """Templates and mappings move tokens; the trace shows none of them whole."""
    secret = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXBhcnQ.c2ln"
    called = integration(
        "HTTP",
        backend.url,
        request_templates={"$default": "$input.params('token').substring(999)"},
        request_parameters={
            "integration.request.header.t": "route.request.querystring.token",
        },
    )
    world.deploy(connecting(called))

    assert (await world.refused(f"/{STAGE}?token={secret}")).status == 500
    assert backend.received == []
    assert secret not in world.told()
