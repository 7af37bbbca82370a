"""Models over real sockets: what does not match its model calls nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dataplane_world import (
    API,
    World,
    proxy,
    running,
)
from http_backend import HttpBackend, http_backend
from integrations_bench import (
    CHAT,
    answer_to,
    ask,
    checked,
    integration,
    message_of,
    mock,
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


@pytest.mark.parametrize("kind", ["AWS_PROXY", "HTTP_PROXY", "MOCK"])
async def test_message_that_does_not_match_calls_nothing(
    world: World, backend: HttpBackend, kind: str
) -> None:
    """A failed validation gives `Bad request body`, whatever the integration. 5.36, 5.74."""
    called = {
        "AWS_PROXY": proxy("echo"),
        "HTTP_PROXY": integration("HTTP_PROXY", backend.url),
        "MOCK": mock(responses=(response(template="passed"),)),
    }[kind]
    world.deploy(checked(called, chat=CHAT))

    async with world.connect() as client:
        for bad in ('{"text": 1}', "{}", "no json", "[]", '{"text":"too long"}'):
            assert message_of(await ask(client, bad)) == "Bad request body"
        assert world.runner.calls == []
        assert backend.received == []
        good = await ask(client, '{"text":"hi"}')

    assert good == ("passed" if kind == "MOCK" else '{"text":"hi"}')
    assert "#/text" in world.summaries(Step.ERROR)[0]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        pytest.param('{"kind":"chat","text":"hi"}', True, id="key"),
        pytest.param('{"kind":"chat"}', False, id="key-fails"),
        pytest.param('{"kind":"other"}', True, id="default"),
        pytest.param("{}", True, id="no-key-default"),
        pytest.param('{"kind":"other","strict":1}', False, id="default-fails"),
    ],
)
async def test_model_is_chosen_by_the_expression(world: World, text: str, *, passes: bool) -> None:
    """The expression gives the model's key, else $default is taken. 5.72."""
    default = '{"properties": {"strict": {"type": "string"}}}'
    world.deploy(checked(proxy("echo"), "$request.body.kind", chat=CHAT, default=default))

    got = await answer_to(world, text)

    assert (got == text) is passes
    assert len(world.calls("echo")) == int(passes)


async def test_no_model_for_a_key_fails(world: World) -> None:
    """Without a model for the key and without $default validation fails. 5.73."""
    world.deploy(checked(proxy("echo"), "$request.body.kind", chat=CHAT))

    assert message_of(await answer_to(world, '{"kind":"other"}')) == "Bad request body"
    assert world.runner.calls == []
    assert "no model for the key 'other'" in world.summaries(Step.ERROR)[0]


async def test_models_without_an_expression_check_nothing(world: World) -> None:
    """Models count only with a selection expression. 5.71."""
    world.deploy(to(proxy("echo"), request_models={"$default": CHAT}))

    assert await answer_to(world, "anything") == "anything"


async def test_model_may_refer_to_another_of_its_api(world: World) -> None:
    """A schema follows its own definitions and the API's other models, and nothing else. 1.74."""
    url = f"https://apigateway.amazonaws.com/restapis/{API}/models/Text"
    schema = {
        "definitions": {"n": {"type": "integer"}},
        "properties": {"text": {"$ref": url}, "n": {"$ref": "#/definitions/n"}},
    }
    world.deploy(
        checked(proxy("echo"), chat=json.dumps(schema)),
        models={"Text": '{"type":"string"}'},
    )

    assert await answer_to(world, '{"text":"a","n":1}') == '{"text":"a","n":1}'
    assert message_of(await answer_to(world, '{"text":1}')) == "Bad request body"
    assert message_of(await answer_to(world, '{"n":"1"}')) == "Bad request body"


async def test_model_that_cannot_be_applied_lets_nothing_pass(
    world: World, backend: HttpBackend
) -> None:
    """A schema that leads elsewhere is not fetched, and no message matches it."""
    schema = json.dumps({"$ref": f"{backend.url}/schema.json"})
    world.deploy(checked(proxy("echo"), chat=schema))

    assert message_of(await answer_to(world, "{}")) == "Bad request body"
    assert backend.received == []
    assert world.runner.calls == []
