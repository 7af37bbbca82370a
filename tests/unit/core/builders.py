"""Values that many tests of the core start from."""

import json
from collections.abc import Mapping

from socketstack.core.model import (
    ApiSnapshot,
    Connection,
    FailureKind,
    InvokeResult,
    Json,
    Route,
    Upgrade,
)

METHOD_ARN = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/$connect"


def api_snapshot(*route_keys: str, expression: str = "$request.body.action") -> ApiSnapshot:
    """An API with routes of these keys and nothing behind them."""
    return ApiSnapshot(
        api_id="a1b2c3d4e5",
        account_id="123456789012",
        region="eu-west-1",
        deployment_id="dep123",
        route_selection_expression=expression,
        routes={key: Route(route_id=f"id-{key}", route_key=key) for key in route_keys},
    )


def upgrade(
    *,
    headers: tuple[tuple[str, str], ...] = (),
    query: tuple[tuple[str, str], ...] = (),
) -> Upgrade:
    """A handshake to the stage prod."""
    host = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
    return Upgrade(
        method="GET",
        host=host,
        path="/prod",
        raw_target="/prod",
        query=query,
        headers=(("Host", host), *headers),
        source_ip="203.0.113.9",
        is_websocket=True,
    )


def connection(
    *, user_agent: str | None = None, authorizer: Mapping[str, Json] | None = None
) -> Connection:
    """An open connection of the stage prod."""
    return Connection(
        connection_id="FDmBIeapIAMCIQg=",
        api_id="a1b2c3d4e5",
        stage_name="prod",
        account_id="123456789012",
        region="eu-west-1",
        domain_name="a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
        connected_at_ms=1_737_995_987_617,
        source_ip="203.0.113.9",
        user_agent=user_agent,
        authorizer=authorizer,
    )


def returned(value: Json) -> InvokeResult:
    """What a function that returned ``value`` gave."""
    return InvokeResult(payload=json.dumps(value).encode())


def raised(message: str, kind: FailureKind = FailureKind.HANDLED) -> InvokeResult:
    """What a function that failed with ``message`` gave."""
    payload = json.dumps({"errorMessage": message, "errorType": "Exception"}).encode()
    return InvokeResult(payload=payload, failure=kind)
