"""From an authorizer event to the decision API Gateway understands. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

Effect = Literal["Allow", "Deny"]


def token_of(event: Mapping[str, Any]) -> str:
    """The query string parameter ``token``; empty when it is missing or given more than once."""
    values = (event.get("multiValueQueryStringParameters") or {}).get("token")
    if isinstance(values, list) and len(values) > 1:
        return ""
    token = (event.get("queryStringParameters") or {}).get("token")
    return token if isinstance(token, str) else ""


def is_origin_allowed(event: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    """Whether the page that connects is on the list; an empty list allows any.

    With a list, a client that sends no Origin or several is refused: CORS does not protect
    WebSockets, so this is the only check there is.
    """
    if not allowed:
        return True
    headers = event.get("headers") or {}
    origins = {value for name, value in headers.items() if name.lower() == "origin"}
    return len(origins) == 1 and origins <= allowed


def policy(
    effect: Effect, event: Mapping[str, Any], user_id: str, context: Mapping[str, str | int]
) -> dict[str, Any]:
    """A policy for exactly this handshake, with a flat context (3.10, 3.13, 3.17)."""
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": effect,
        "Resource": event["methodArn"],
    }
    return {
        "principalId": user_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": dict(context),
    }
