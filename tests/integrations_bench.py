"""Integrations of all types, routes to them and a client that asks, for tests of sockets."""

import json
from typing import Any

from dataplane_world import (
    ACCOUNT,
    REGION,
    World,
    route,
    soon,
)
from websockets.asyncio.client import ClientConnection

from socketstack.core.model import (
    Integration,
    IntegrationResponse,
    IntegrationType,
    Route,
)

ROLE = f"arn:aws:iam::{ACCOUNT}:role/caller"
SQS = f"arn:aws:apigateway:{REGION}:sqs:path/{ACCOUNT}/jobs"
OK_TEMPLATE = {"$default": '{"statusCode": 200}'}
INTERNAL = "Internal server error"
CHAT = json.dumps(
    {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string", "maxLength": 5}},
    }
)


def response(key: str = "$default", template: str | None = None, **members: Any) -> Any:
    """An integration response; ``template`` is for ``$default``."""
    templates = {} if template is None else {"$default": template}
    return IntegrationResponse(
        **{"integration_response_key": key, "response_templates": templates} | members
    )


def integration(kind: str, uri: str | None = None, **members: Any) -> Integration:
    """An integration of a type."""
    members.setdefault("responses", (response(),))
    return Integration(
        integration_id="int001",
        integration_type=IntegrationType(kind),
        integration_uri=uri,
        **members,
    )


def mock(**members: Any) -> Integration:
    """A MOCK integration that answers with 200."""
    return integration("MOCK", **{"request_templates": OK_TEMPLATE} | members)


def to(called: Integration, key: str = "$default", **members: Any) -> Route:
    """A two-way route to an integration."""
    return route(key, integration=called, **{"is_two_way": True} | members)


async def ask(client: ClientConnection, text: str) -> str:
    """Send one message and wait for one."""
    await client.send(text)
    got = await soon(client.recv())
    assert isinstance(got, str)
    return got


async def answer_to(world: World, text: str) -> str:
    """What a new client gets for one message."""
    async with world.connect() as client:
        return await ask(client, text)


def message_of(frame: str) -> str:
    """The message of an error frame."""
    document = json.loads(frame)
    assert set(document) == {"message", "connectionId", "requestId"}, frame
    return str(document["message"])


def checked(called: Integration, expression: str = "chat", **models: str) -> Route:
    """A route whose messages must match a model."""
    return to(
        called,
        model_selection_expression=expression,
        request_models={name.replace("default", "$default"): text for name, text in models.items()},
    )
