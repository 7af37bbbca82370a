"""HTTP integrations over real sockets: what backends get, and what clients get of it."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from dataplane_world import (
    API,
    STAGE,
    World,
    proxy,
    running,
)
from http_backend import HttpBackend, http_backend, json_answer
from integrations_bench import (
    INTERNAL,
    answer_to,
    integration,
    message_of,
    response,
    to,
)

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


async def test_http_proxy_sends_the_text_and_returns_the_body(
    world: World, backend: HttpBackend
) -> None:
    """The message is the request's body, the backend's body the reply, unchanged. 5.29, 5.60."""
    called = integration("HTTP_PROXY", f"{backend.url}/in?x=1", integration_method="PUT")
    world.deploy(to(called))

    assert await answer_to(world, '{"é": [1,  2]}') == '{"é": [1,  2]}'

    received = backend.received[0]
    assert (received.method, received.path) == ("PUT", "/in?x=1")
    assert received.body == '{"é": [1,  2]}'.encode()
    assert received.header("User-Agent") == f"AmazonAPIGateway_{API}"
    assert received.header("Cookie") is None


async def test_http_proxy_ignores_templates_and_integration_responses(
    world: World, backend: HttpBackend
) -> None:
    """Proxy types know neither request templates nor integration responses. 5.49."""
    called = integration(
        "HTTP_PROXY",
        backend.url,
        passthrough_behavior="NEVER",
        request_templates={"$default": "changed"},
        responses=(response(template="changed too"),),
    )
    world.deploy(to(called))

    assert await answer_to(world, "as it is") == "as it is"


async def test_http_proxy_returns_bodies_of_all_statuses(
    world: World, backend: HttpBackend
) -> None:
    """A backend's error is its answer, and redirects are not followed. 5.29."""
    world.deploy(to(integration("HTTP_PROXY", backend.url)))
    backend.answer = web.Response(status=503, text="busy")
    assert await answer_to(world, "x") == "busy"

    backend.answer = web.Response(status=302, text="elsewhere", headers={"Location": backend.url})
    assert await answer_to(world, "x") == "elsewhere"

    assert len(backend.received) == 2


async def test_parameters_are_mapped(world: World, backend: HttpBackend) -> None:
    """Headers, query and path come from body, context, stage variables and texts. 5.60, 5.61."""
    called = integration(
        "HTTP_PROXY",
        f"{backend.url}/rooms/{{room}}/x",
        request_parameters={
            "integration.request.header.connectionId": "context.connectionId",
            "integration.request.header.ip": "context.identity.sourceIp",
            "integration.request.header.Content-Type": "'text/x'",
            "integration.request.querystring.who": "route.request.body.user.name",
            "integration.request.querystring.all": "route.request.body.list[*].n",
            "integration.request.querystring.none": "route.request.body.nothing",
            "integration.request.querystring.env": "stageVariables.env",
            "integration.request.path.room": "route.request.body.room",
        },
    )
    world.deploy(to(called), variables={"env": "a&b"})

    await answer_to(world, '{"room":"../a b?c","user":{"name":"zoë"},"list":[{"n":1},{"n":2}]}')

    received = backend.received[0]
    assert received.header("connectionId") == _connection_id(world)
    assert received.header("ip") == "127.0.0.1"
    assert received.header("Content-Type") == "text/x"
    path, _, query = received.path.partition("?")
    assert path == "/rooms/..%2Fa%20b%3Fc/x"
    assert query == "who=zo%C3%AB&all=%5B1,+2%5D&env=a%26b"


def _connection_id(world: World) -> str:
    """The connection that the last message came on."""
    return next(e.connection_id for e in reversed(world.events) if e.step is Step.MESSAGE)


async def test_header_with_line_breaks_is_not_sent(world: World, backend: HttpBackend) -> None:
    """A message cannot write headers of its own into the backend's request."""
    called = integration(
        "HTTP_PROXY",
        backend.url,
        request_parameters={"integration.request.header.x": "route.request.body.x"},
    )
    world.deploy(to(called))

    got = await answer_to(world, json.dumps({"x": "a\r\nAdmin: yes"}))

    assert message_of(got) == INTERNAL
    assert backend.received == []


async def test_host_cannot_come_from_a_message(world: World, backend: HttpBackend) -> None:
    """A path parameter in the host's place calls nobody."""
    called = integration(
        "HTTP_PROXY",
        "http://{host}/x",
        request_parameters={"integration.request.path.host": "route.request.body.host"},
    )
    world.deploy(to(called))

    got = await answer_to(world, json.dumps({"host": f"localhost:{backend.port}"}))

    assert message_of(got) == INTERNAL
    assert backend.received == []


async def test_http_maps_request_and_response(world: World, backend: HttpBackend) -> None:
    """HTTP sends what the request template makes, and replies what the response template makes."""
    backend.answer = json_answer({"total": 3, "items": ["a", "b"]}, 201, X_Kind="list")
    called = integration(
        "HTTP",
        "${stageVariables.base}/list",
        request_templates={"$default": '{"from":"$context.connectionId","q":$input.json(\'$.q\')}'},
        responses=(
            response(
                "/2\\d\\d/",
                None,
                template_selection_expression="${integration.response.header.x-kind}",
                response_templates={
                    "list": "#set($r = $input.path('$'))$r.total of $stageVariables.name:"
                    "#foreach($i in $r.items) $i#if($foreach.hasNext),#end#end ($context.status)",
                    "$default": "wrong",
                },
            ),
            response("$default", "failed"),
        ),
    )
    world.deploy(to(called), variables={"base": backend.url, "name": "things"})

    got = await answer_to(world, '{"q":"x"}')

    assert got == "3 of things: a, b (201)"
    sent = json.loads(backend.received[0].body)
    assert sent == {"from": _connection_id(world), "q": "x"}


async def test_response_template_can_be_chosen_by_the_message(
    world: World, backend: HttpBackend
) -> None:
    """The response's selection reads the message, the status and the answer. 5.59."""
    backend.answer = json_answer({"kind": "k"}, 200)
    chosen = response(
        "$default",
        None,
        template_selection_expression="${request.body.lang}-${integration.response.statuscode}"
        "-${integration.response.body.kind}",
        response_templates={"de-200-k": "gut", "$default": "good"},
    )
    world.deploy(to(integration("HTTP", backend.url, responses=(chosen,))))

    assert await answer_to(world, '{"lang":"de"}') == "gut"
    assert await answer_to(world, '{"lang":"en"}') == "good"


async def test_response_without_template_passes_the_body(
    world: World, backend: HttpBackend
) -> None:
    """An integration response without a fitting template passes the backend's body on."""
    backend.answer = web.Response(text="raw \u00e9")
    world.deploy(to(integration("HTTP", backend.url)))

    assert await answer_to(world, "{}") == "raw \u00e9"


async def test_content_is_converted(world: World, backend: HttpBackend) -> None:
    """Base64 from the client becomes bytes, bytes of the backend become base64. 5.69, 5.70."""
    data = bytes(range(256))
    called = integration(
        "HTTP",
        backend.url,
        content_handling_strategy="CONVERT_TO_BINARY",
        responses=(response(content_handling_strategy="CONVERT_TO_TEXT"),),
    )
    world.deploy(to(called))

    got = await answer_to(world, base64.b64encode(data).decode())

    assert backend.received[0].body == data
    assert base64.b64decode(got) == data


async def test_text_that_is_no_base64_cannot_become_binary(
    world: World, backend: HttpBackend
) -> None:
    """What cannot be decoded is an error, and nothing is called. 5.69."""
    called = integration("HTTP", backend.url, content_handling_strategy="CONVERT_TO_BINARY")
    function = proxy("echo", content_handling_strategy="CONVERT_TO_BINARY")
    world.deploy(to(called), to(function, "function"))

    assert message_of(await answer_to(world, "no base64!")) == INTERNAL
    assert message_of(await answer_to(world, '{"action":"function"}')) == INTERNAL
    assert backend.received == []
    assert world.runner.calls == []


async def test_function_is_told_that_its_body_is_binary(world: World) -> None:
    """With CONVERT_TO_BINARY a proxy function gets the base64 marked as such. 5.69."""
    world.deploy(to(proxy("echo", content_handling_strategy="CONVERT_TO_BINARY")))

    assert await answer_to(world, "AAEC") == "AAEC"

    event = world.calls("echo")[0]
    assert (event["body"], event["isBase64Encoded"]) == ("AAEC", True)


async def test_certificate_is_verified(world: World) -> None:
    """A backend whose certificate nobody vouches for gets no request; one that we trust does."""
    stranger = trustme.CA().issue_cert("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.configure_cert(context)
    async with (
        http_backend(context) as unknown,
        http_backend(world.authority.server_context()) as known,
    ):
        world.deploy(
            to(integration("HTTP_PROXY", unknown.url), "unknown"),
            to(integration("HTTP_PROXY", known.url), "known"),
        )

        assert message_of(await answer_to(world, '{"action":"unknown"}')) == INTERNAL
        assert unknown.received == []
        assert await answer_to(world, '{"action":"known"}') == '{"action":"known"}'


async def test_slow_backend_gives_the_timeout_frame(world: World, backend: HttpBackend) -> None:
    """A backend beyond the integration's own time gives the timeout frame. 5.35."""
    began, release = asyncio.Event(), asyncio.Event()

    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        began.set()
        await release.wait()
        return web.Response()

    backend.answer = hang
    world.deploy(to(integration("HTTP_PROXY", backend.url, timeout_ms=300)))

    got = await answer_to(world, "x")
    release.set()

    assert message_of(got) == "Endpoint request timed out"
    assert began.is_set()


@pytest.mark.parametrize(
    ("uri", "members", "why"),
    [
        pytest.param("http://localhost:1/", {}, "did not answer", id="nobody-listens"),
        pytest.param("http://no.such.host.invalid/", {}, "did not answer", id="no-such-host"),
        pytest.param("file:///etc/passwd", {}, "http://", id="file"),
        pytest.param("http://", {}, "host", id="no-host"),
        pytest.param("${stageVariables.nothing}", {}, "not set", id="no-variable"),
        pytest.param(
            "http://localhost/", {"connection_type": "VPC_LINK"}, "VPC links", id="1.59-vpc-link"
        ),
    ],
)
async def test_backend_that_cannot_be_called_gives_the_error_frame(
    world: World, uri: str, members: dict[str, Any], why: str
) -> None:
    """Nothing tells the client what is wrong; the trace tells the person at this machine."""
    world.deploy(to(integration("HTTP_PROXY", uri, **members)))

    assert message_of(await answer_to(world, "x")) == INTERNAL
    assert why in world.summaries(Step.ERROR)[0]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "x.localhost", "0.0.0.0", "[::1]"])
async def test_engine_does_not_call_itself(world: World, host: str) -> None:
    """The engine's own address is no backend: on AWS nothing is there."""
    world.deploy(to(integration("HTTP_PROXY", f"http://{host}:{world.port}/{STAGE}")))

    assert message_of(await answer_to(world, "x")) == INTERNAL
    assert "own address" in world.summaries(Step.ERROR)[0]


async def test_endless_answer_is_given_up(world: World, backend: HttpBackend) -> None:
    """An answer beyond API Gateway's limit is an error and is not kept."""

    async def pour(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        chunk = b"x" * 262_144
        try:
            while True:
                await answer.write(chunk)
        except ConnectionError:
            return answer

    backend.answer = pour
    world.deploy(to(integration("HTTP_PROXY", backend.url)))

    assert message_of(await answer_to(world, "x")) == INTERNAL
    assert "larger than" in world.summaries(Step.ERROR)[0]
