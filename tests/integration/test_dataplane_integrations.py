"""Integrations over real sockets: templates, functions and services, and what clients get of it."""

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dataplane_world import (
    ACCOUNT,
    API,
    REGION,
    STAGE,
    World,
    allowed,
    eventually,
    function_arn,
    guarded_connect,
    proxy,
    raised,
    returned,
    route,
    running,
    soon,
)
from http_backend import HttpBackend, http_backend, json_answer
from integrations_bench import (
    CHAT,
    INTERNAL,
    ROLE,
    SQS,
    answer_to,
    ask,
    checked,
    integration,
    message_of,
    mock,
    response,
    to,
)

from socketstack.core.model import (
    AccessLogging,
    ExecutionLogging,
    IntegrationType,
    LoggingLevel,
    StageLogging,
)
from socketstack.core.service_calls import ServiceAnswer, ServiceRefusal
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


# MOCK


async def test_mock_answers_by_its_response_template(world: World) -> None:
    """A MOCK integration gives what its response template makes of the message. 5.54, 5.57."""
    world.deploy(
        to(
            mock(
                request_templates={"$default": '{"statusCode": 200, "id": $input.json(\'$.id\')}'},
                responses=(
                    response("$default", '{"other": true}'),
                    response("/2\\d\\d/", "{\"pong\": $input.json('$.id')}"),
                ),
            )
        )
    )

    assert await answer_to(world, '{"action":"ping","id":[7]}') == '{"pong": [7]}'
    assert world.runner.calls == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param("200", "two", id="200"),
        pytest.param("299", "two", id="299"),
        pytest.param("404", "not found", id="404"),
        pytest.param("500", "rest", id="default"),
    ],
)
async def test_status_chooses_the_integration_response(
    world: World, status: str, expected: str
) -> None:
    """The response with a matching pattern is taken, else that of $default. 5.57."""
    responses = (
        response("$default", "rest"),
        response("/404/", "not found"),
        response("/2\\d{2}/", "two"),
    )
    templates = {"$default": "{\"statusCode\": $input.path('$.s')}"}
    world.deploy(to(mock(request_templates=templates, responses=responses)))

    assert await answer_to(world, f'{{"s": {status}}}') == expected


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("hello", id="no-json"),
        pytest.param("{}", id="no-status"),
        pytest.param('{"statusCode": "200"}', id="text"),
        pytest.param('{"statusCode": 1}', id="no-http-status"),
    ],
)
async def test_mock_without_a_usable_status_is_an_error(world: World, template: str) -> None:
    """A MOCK whose request names no status gives the error frame, and the trace says why. 5.54."""
    world.deploy(to(mock(request_templates={"$default": template})))

    assert message_of(await answer_to(world, "{}")) == INTERNAL
    assert "statusCode" in world.summaries(Step.ERROR)[0]


async def test_mock_takes_a_status_in_loose_json(world: World) -> None:
    """API Gateway's own reader takes names without quotes, and so does a MOCK. 5.54."""
    called = mock(
        request_templates={"$default": "{ statusCode: 200, }"}, responses=(response(template="x"),)
    )
    world.deploy(to(called))

    assert await answer_to(world, "{}") == "x"


async def test_one_way_mock_gives_nothing(world: World) -> None:
    """Without a route response nothing reaches the client, whatever the template. 5.26."""
    called = mock(responses=(response(template="hidden"),))
    world.deploy(
        to(called, "quiet", is_two_way=False), to(mock(responses=(response(template="x"),)))
    )

    async with world.connect() as client:
        await client.send('{"action":"quiet"}')

        assert await ask(client, "next") == "x"


async def test_mock_without_response_template_gives_nothing(world: World) -> None:
    """What a MOCK was sent is no answer: without a template the client gets nothing. Q17."""
    world.deploy(to(mock(), "quiet"), to(mock(responses=(response(template="x"),))))

    async with world.connect() as client:
        await client.send('{"action":"quiet"}')

        assert await ask(client, "next") == "x"


async def test_no_integration_response_is_an_error(world: World) -> None:
    """A backend whose answer no integration response fits gives the error frame. 5.39, 5.56."""
    world.deploy(to(mock(responses=())), to(mock(responses=(response("/5../", "no"),)), "five"))

    assert message_of(await answer_to(world, "{}")) == INTERNAL
    assert message_of(await answer_to(world, '{"action":"five"}')) == INTERNAL
    assert all("No integration response fits" in each for each in world.summaries(Step.ERROR))


# Choosing templates


@pytest.mark.parametrize(
    ("expression", "text", "expected"),
    [
        pytest.param("$request.body.kind", '{"kind":"a"}', "A", id="key"),
        pytest.param("${request.body.kind}", '{"kind":"a"}', "A", id="braces"),
        pytest.param("$request.body.kind", '{"kind":"z"}', "D", id="unknown-key"),
        pytest.param("$request.body.kind", "{}", "D", id="no-key"),
        pytest.param("$request.body.kind", "no json", "D", id="no-json"),
        pytest.param("a", "{}", "A", id="constant"),
        pytest.param("\\$default", "{}", "D", id="default-constant"),
        pytest.param(None, '{"kind":"a"}', "D", id="no-expression"),
        pytest.param("application/json", "{}", "J", id="free-text-key"),
    ],
)
async def test_template_is_chosen_by_the_expression(
    world: World, expression: str | None, text: str, expected: str
) -> None:
    """The expression's key names the template, else $default does; keys are free. 5.46 to 5.48."""
    names = {"a": "A", "$default": "D", "application/json": "J"}
    templates = {key: f'{{"statusCode":200,"t":"{name}"}}' for key, name in names.items()}
    called = mock(
        request_templates=templates,
        template_selection_expression=expression,
        responses=(response(template="$input.path('$.t')"),),
    )
    world.deploy(to(called))

    assert await answer_to(world, text) == expected


@pytest.mark.parametrize(
    ("behavior", "templates", "passes"),
    [
        pytest.param("WHEN_NO_MATCH", {}, True, id="no-match-none"),
        pytest.param("WHEN_NO_MATCH", {"other": "x"}, True, id="no-match-some"),
        pytest.param("WHEN_NO_TEMPLATES", {}, True, id="no-templates-none"),
        pytest.param("WHEN_NO_TEMPLATES", {"other": "x"}, False, id="no-templates-some"),
        pytest.param("NEVER", {}, False, id="never-none"),
        pytest.param("NEVER", {"other": "x"}, False, id="never-some"),
    ],
)
async def test_unmatched_message_passes_as_configured(
    world: World, backend: HttpBackend, behavior: str, templates: dict[str, str], *, passes: bool
) -> None:
    """What no template fits reaches the backend as it is, or is refused before the call. 5.40."""
    called = integration(
        "HTTP",
        backend.url,
        integration_method="POST",
        passthrough_behavior=behavior,
        request_templates=templates,
        template_selection_expression="nothing",
    )
    world.deploy(to(called))

    got = await answer_to(world, '{"a": 1}')

    if passes:
        assert got == '{"a": 1}'
    else:
        assert message_of(got) == "Unsupported Media Type"
        assert backend.received == []
        assert "[5.40]" in world.summaries(Step.ERROR)[0]


# AWS with a function


async def test_function_gets_the_rendered_template(world: World) -> None:
    """AWS with a function: the template is its payload, its result the answer. 5.58."""
    world.answer("add", lambda payload: returned({"sum": sum(json.loads(payload)["of"])}))
    called = proxy(
        "add",
        integration_type=IntegrationType.AWS,
        request_templates={"$default": "{\"of\": $input.json('$.numbers')}"},
        responses=(response(template="the sum is $input.path('$.sum')"),),
    )
    world.deploy(to(called))

    assert await answer_to(world, '{"numbers":[1,2,3]}') == "the sum is 6"
    assert world.calls("add") == [{"of": [1, 2, 3]}]
    assert world.permits.asked[-1][0] == function_arn("add")


@pytest.mark.parametrize("invocation", [None, "'Event'"])
async def test_function_behind_another_method_is_not_called(
    world: World, invocation: str | None
) -> None:
    """AWS with a function that is to be called by GET gives the error frame. 1.55."""
    world.answer("add", returned({}))
    header = "integration.request.header.X-Amz-Invocation-Type"
    called = proxy(
        "add",
        integration_type=IntegrationType.AWS,
        integration_method="GET",
        request_parameters={} if invocation is None else {header: invocation},
        responses=(response(template="called"),),
    )
    world.deploy(to(called))

    assert json.loads(await answer_to(world, "{}"))["message"] == "Internal server error"
    assert world.calls("add") == []
    assert world.services.later == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("NotFound: no room", "404 no room", id="pattern"),
        pytest.param("Something else", "oops", id="default"),
        pytest.param("a\nNotFound: b", "oops", id="whole-text"),
    ],
)
async def test_error_of_a_function_chooses_its_response(
    world: World, message: str, expected: str
) -> None:
    """What a function raises is matched with the keys as a whole. 5.58."""
    world.answer("fail", raised(message))
    called = proxy(
        "fail",
        integration_type=IntegrationType.AWS,
        responses=(
            response("/NotFound: .*/", "404 $input.path('$.errorMessage').substring(10)"),
            response("$default", "oops"),
        ),
    )
    world.deploy(to(called))

    assert await answer_to(world, "{}") == expected


async def test_success_of_a_function_needs_the_default_response(world: World) -> None:
    """A result is no error message: patterns do not match it. 5.56, 5.58."""
    world.answer("fine", returned({"a": 1}))
    called = proxy(
        "fine", integration_type=IntegrationType.AWS, responses=(response("/.*/", "matched"),)
    )
    world.deploy(to(called))

    assert message_of(await answer_to(world, "{}")) == INTERNAL


async def test_function_is_not_called_with_text(world: World) -> None:
    """A message that is no JSON cannot be a payload, and nothing is called."""
    world.answer("fine", returned({"a": 1}))
    world.deploy(to(proxy("fine", integration_type=IntegrationType.AWS, responses=(response(),))))

    assert message_of(await answer_to(world, "no json")) == INTERNAL
    assert world.runner.calls == []


async def test_forbidden_function_is_not_called(world: World) -> None:
    """AWS with a function asks for permission as the proxy type does. 5.33."""
    world.permits.forbidden = {"fine"}
    world.answer("fine", returned({"a": 1}))
    later = {"integration.request.header.X-Amz-Invocation-Type": "'Event'"}
    called = proxy("fine", integration_type=IntegrationType.AWS, responses=(response(),))
    event = proxy(
        "fine",
        integration_type=IntegrationType.AWS,
        responses=(response(),),
        request_parameters=later,
    )
    world.deploy(to(called), to(event, "later"))

    assert message_of(await answer_to(world, "{}")) == INTERNAL
    assert message_of(await answer_to(world, '{"action":"later"}')) == INTERNAL
    assert world.runner.calls == []
    assert world.services.later == []


async def test_function_can_be_called_asynchronously(world: World) -> None:
    """With the header X-Amz-Invocation-Type 'Event' nobody waits for the function."""
    called = proxy(
        "job",
        integration_type=IntegrationType.AWS,
        request_parameters={"integration.request.header.X-Amz-Invocation-Type": "'Event'"},
        responses=(response("$default", "accepted with $context.status"),),
    )
    world.deploy(to(called))

    assert await answer_to(world, '{"n":1}') == "accepted with 202"
    assert world.services.later == [(function_arn("job"), b'{"n":1}')]
    assert world.runner.calls == []


# AWS with other services


async def test_context_of_the_authorizer_is_text_in_templates_mappings_and_logs(
    world: World, backend: HttpBackend
) -> None:
    """Numbers and booleans of the authorizer are text everywhere but in its own result. 3.18."""
    world.answer("authorizer", allowed(context={"level": 7, "is_admin": True}))
    lengths = "$context.authorizer.level.length() $context.authorizer.is_admin.length()"
    mapped = {"integration.request.header.level": "context.authorizer.level"}
    called = integration(
        "HTTP",
        f"{backend.url}/x",
        request_parameters=mapped,
        responses=(response(template=lengths),),
    )
    log = StageLogging(
        access=AccessLogging(
            f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:access",
            "$context.authorizer.level $context.authorizer.is_admin $context.eventType",
        )
    )
    world.deploy(guarded_connect(), to(called), logging=log)

    assert await answer_to(world, "{}") == "1 4"
    assert backend.received[0].header("level") == "7"
    await eventually(lambda: "7 true MESSAGE" in world.logs.access)


async def test_service_is_called_as_the_role(world: World) -> None:
    """The call has the mapped parameters and body, and is made as the integration's role. 5.66."""
    world.services.answer = ServiceAnswer(status=200, body=b'{"MessageId": "m1"}')
    called = integration(
        "AWS",
        SQS.replace("jobs", "${stageVariables.queue}"),
        integration_method="POST",
        credentials_arn=ROLE.replace("caller", "${stageVariables.role}"),
        request_templates={
            "$default": "Action=SendMessage&MessageBody=$util.urlEncode($input.body)"
        },
        request_parameters={
            "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"
        },
        responses=(response("/200/", "queued as $input.path('$.MessageId')"),),
    )
    world.deploy(to(called), variables={"queue": "jobs", "role": "caller"})

    assert await answer_to(world, "a b") == "queued as m1"

    call = world.services.calls[0]
    assert (call.role_arn, call.method) == (ROLE, "POST")
    assert (call.target.service, call.target.path) == ("sqs", f"/{ACCOUNT}/jobs")
    assert call.header("content-type") == "application/x-www-form-urlencoded"
    assert call.body == b"Action=SendMessage&MessageBody=a+b"


@pytest.mark.parametrize(
    ("uri", "credentials", "why"),
    [
        pytest.param(SQS, None, "without a role", id="no-role"),
        pytest.param(SQS, "arn:aws:iam::*:user/*", "of the caller", id="5.67-caller"),
        pytest.param("arn:aws:apigateway:x:sqs", ROLE, "names no service", id="no-service"),
        pytest.param(f"arn:aws:apigateway:{REGION}:sqs:action/a b", ROLE, "action", id="action"),
        pytest.param(
            f"arn:aws:apigateway:{REGION}:x.sqs:path/a", ROLE, "subdomain", id="subdomain"
        ),
    ],
)
async def test_service_that_cannot_be_called_gives_the_error_frame(
    world: World, uri: str, credentials: str | None, why: str
) -> None:
    """Without a role that can be verified no service is called. 5.66, 5.67."""
    world.deploy(to(integration("AWS", uri, credentials_arn=credentials)))

    assert message_of(await answer_to(world, "{}")) == INTERNAL
    assert world.services.calls == []
    assert why in world.summaries(Step.ERROR)[0]


async def test_service_that_refuses_gives_the_error_frame(world: World) -> None:
    """What a role may not do is told on the trace only. 5.66."""
    world.services.answer = ServiceRefusal("the role may not")
    world.deploy(to(integration("AWS", SQS, credentials_arn=ROLE)))

    assert message_of(await answer_to(world, "{}")) == INTERNAL
    assert "the role may not" in world.summaries(Step.ERROR)[0]


# What goes wrong in templates


@pytest.mark.parametrize(
    ("template", "why"),
    [
        pytest.param("#foreach($i in [1..", "cannot be read", id="syntax"),
        pytest.param("$input.path('$.a[').x", "JSONPath", id="path"),
        pytest.param("$util.parseJson('{')", "not JSON", id="json"),
        pytest.param("$input.body.substring(99)", "failed", id="java"),
        pytest.param("#macro(f)#f()#end#f()", "nests too deeply", id="recursion"),
        pytest.param("#include('/etc/passwd')", "loader", id="include"),
        pytest.param("$input.body.matches('(a+)+$')", "computing", id="endless-pattern"),
    ],
)
async def test_broken_template_gives_the_error_frame(
    world: World, backend: HttpBackend, template: str, why: str
) -> None:
    """A template that fails calls nothing, tells the client nothing and the trace all. 5.50."""
    called = integration("HTTP", backend.url, request_templates={"$default": template})
    world.deploy(to(called), to(mock(responses=(response(template="fine"),)), "next"))

    async with world.connect() as client:
        assert message_of(await ask(client, "a" * 40 + "b")) == INTERNAL
        assert await ask(client, '{"action":"next"}') == "fine"

    assert backend.received == []
    assert why in world.summaries(Step.ERROR)[0]


async def test_broken_response_template_gives_the_error_frame(
    world: World, backend: HttpBackend
) -> None:
    """What the backend did stays done; the client gets the error frame. 5.59."""
    called = integration("HTTP", backend.url, responses=(response(template="#foreach("),))
    world.deploy(to(called))

    assert message_of(await answer_to(world, "x")) == INTERNAL
    assert len(backend.received) == 1
    assert "response template" in world.summaries(Step.ERROR)[0]


async def test_engine_answers_others_while_a_template_runs_without_end(
    world: World, backend: HttpBackend
) -> None:
    """An endless template is ended by its limits, and meanwhile everybody else is served."""
    endless = (
        "#foreach($a in [1..1000])#foreach($b in [1..1000])#foreach($c in [1..1000])#end#end#end"
    )
    world.deploy(
        to(integration("HTTP", backend.url, request_templates={"$default": endless})),
        to(proxy("echo"), "echo"),
        to(mock(responses=(response(template="quick"),)), "quick"),
    )

    async with world.connect() as slow, world.connect() as other:
        await slow.send("{}")
        assert await ask(other, '{"action":"echo"}') == '{"action":"echo"}'
        assert await ask(other, '{"action":"quick"}') == "quick"
        got = await soon(slow.recv())

    assert isinstance(got, str)
    assert message_of(got) == INTERNAL
    assert backend.received == []


async def test_templates_know_the_context(world: World) -> None:
    """$context has the members of the request context and of the authorizer, as texts. 9.01."""
    template = (
        "$context.routeKey|$context.eventType|$context.stage|$context.apiId|$context.identity.sourceIp"
        "|$context.domainName|$context.nothing|$context.messageId.length()|$context.connectedAt"
    )
    world.deploy(to(mock(responses=(response(template=template),)), "who"))

    got = await answer_to(world, '{"action":"who"}')

    assert got.split("|") == [
        *("who", "MESSAGE", STAGE, API, "127.0.0.1"),
        f"{API}.execute-api.localhost:{world.port}",
        *("", "16", str(world.clock.now_ms())),
    ]


# Logs


def logged(layout: str) -> StageLogging:
    """A stage that logs everything."""
    return StageLogging(
        access=AccessLogging("arn:aws:logs:eu-west-1:000000000000:log-group:access", layout),
        execution={"": ExecutionLogging(level=LoggingLevel.INFO, data_trace=True)},
    )


async def test_logs_tell_of_the_backend(world: World, backend: HttpBackend) -> None:
    """Access and execution logs have status and payloads of any integration. 9.02, 9.07."""
    backend.answer = json_answer({"n": 1}, 404)
    templates = {"$default": '{"sent": true}'}
    world.deploy(
        to(integration("HTTP", backend.url, request_templates=templates)),
        logging=logged("$context.status $context.integration.status $context.error.message"),
    )

    await answer_to(world, "{}")
    await eventually(lambda: len(world.logs.access) > 1)

    assert world.logs.access[1] == "404 404 -"
    lines = "\n".join(world.logs.execution)
    assert 'Endpoint request body after transformations: {"sent": true}' in lines
    assert 'Endpoint response body before transformations: {"n": 1}' in lines


async def test_logs_tell_why_a_message_does_not_match(world: World) -> None:
    """What is wrong with a message is in $context.error.validationErrorString. 5.75, 9.01."""
    layout = "$context.status $context.error.validationErrorString $context.integration.status"
    world.deploy(checked(proxy("echo"), chat=CHAT), logging=logged(layout))

    await answer_to(world, '{"text": 1}')
    await eventually(lambda: len(world.logs.access) > 1)

    assert world.logs.access[1] == r"400 [#/text: does not match type \"string\"] -"


async def test_logs_tell_of_a_rejected_answer(world: World) -> None:
    """An answer without integration response is an error of the API's configuration. 5.39."""
    world.deploy(
        to(mock(responses=())),
        logging=logged("$context.status $context.error.responseType"),
    )

    await answer_to(world, "{}")
    await eventually(lambda: len(world.logs.access) > 1)

    assert world.logs.access[1] == "500 API_CONFIGURATION_ERROR"


# $disconnect


async def test_disconnect_goes_to_any_integration(world: World, backend: HttpBackend) -> None:
    """$disconnect is mapped and called as well; what comes back goes nowhere. 5.41."""
    called = integration(
        "HTTP",
        backend.url,
        request_templates={
            "$default": '{"gone":"$context.connectionId","why":"$context.disconnectReason"}'
        },
    )
    world.deploy(route("$disconnect", integration=called, is_two_way=True))

    async with world.connect() as client:
        await client.close(1000, "bye")
    await eventually(lambda: bool(backend.received))

    sent = json.loads(backend.received[0].body)
    assert sent["why"] == "bye"
    assert len(sent["gone"]) == 16
    await eventually(lambda: "$disconnect" in world.summaries(Step.INVOKED))


async def test_failed_disconnect_is_told(world: World) -> None:
    """A $disconnect that cannot be called has no effect but on the trace. 8.19."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        called = integration("HTTP_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}/")
        world.deploy(route("$disconnect", integration=called))

        async with world.connect():
            pass
        await eventually(lambda: bool(world.summaries(Step.ERROR)))

    assert world.summaries(Step.ERROR)[0].startswith("$disconnect failed: ")
