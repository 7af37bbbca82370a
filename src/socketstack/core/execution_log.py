"""Execution log lines: the story of one request, as API Gateway tells it to CloudWatch Logs.

Lines that tell of failures are written at the level ERROR too, payloads only with data trace.
The wording follows lines that people published; where none is known, it is our own.

Rules: 9.06 to 9.08.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from socketstack.core.context import NOT_AUTHORIZED, Facts
from socketstack.core.jsontext import read_json
from socketstack.core.model import EventType, Json, LoggingLevel

EVENT_MAX_BYTES: Final = 1024
"""Longer texts are cut. Rule 9.08."""
_CUT: Final = " [TRUNCATED]"
_SHOWN_CHARACTERS: Final = 6
_SECRETS: Final = frozenset(
    {
        *("authorization", "proxy-authorization", "cookie", "sec-websocket-protocol"),
        *("x-api-key", "x-amz-credential", "x-amz-security-token", "x-amz-signature"),
    }
)
_PARAMETERS: Final = (
    *("headers", "multiValueHeaders"),
    *("queryStringParameters", "multiValueQueryStringParameters"),
)


class _Kind(Enum):
    INFO = auto()
    FAILURE = auto()
    PAYLOAD = auto()


@dataclass(frozen=True, slots=True)
class _Line:
    kind: _Kind
    text: str


def lines(facts: Facts) -> list[str]:
    """The lines of one ended request, in order; empty when the route logs nothing."""
    logging = facts.execution
    if logging.level is LoggingLevel.OFF:
        return []
    wanted = {_Kind.FAILURE}
    if logging.level is LoggingLevel.INFO:
        wanted.add(_Kind.INFO)
        if logging.data_trace:
            wanted.add(_Kind.PAYLOAD)
    return [
        f"({facts.request_id}) {_cut(each.text)}" for each in _story(facts) if each.kind in wanted
    ]


def redacted(value: str) -> str:
    """A secret as API Gateway shows it: asterisks, and the last six characters of a long one."""
    if len(value) <= 2 * _SHOWN_CHARACTERS:
        return "*" * len(value)
    return "*" * (len(value) - _SHOWN_CHARACTERS) + value[-_SHOWN_CHARACTERS:]


def _story(facts: Facts) -> Iterator[_Line]:
    yield _info(f"Extended Request Id: {facts.request_id}")
    yield from _authorizer(facts)
    if facts.integration is not None or facts.error is None:
        yield _info(f"Starting execution for request: {facts.request_id}")
        yield _info(f"WebSocket Request Route: [{facts.route_key}]")
        yield from _arrival(facts)
        yield from _integration(facts)
    yield from _end(facts)


def _authorizer(facts: Facts) -> Iterator[_Line]:
    called, judged = facts.authorizer, facts.authorize
    if called is None:
        return
    yield _info(f"Starting authorizer: {facts.authorizer_id} for request: {facts.request_id}")
    if called.request_id:
        yield _info(f"AWS Integration Endpoint RequestId : {called.request_id}")
    if called.status == HTTPStatus.UNAUTHORIZED:
        yield _failure(f"Unauthorized request: {facts.request_id}")
    elif called.error:
        yield _failure(f"Execution failed due to configuration error: {called.error}")
    elif judged is not None and judged.error:
        yield _failure(NOT_AUTHORIZED)
    else:
        principal = (facts.connection.authorizer or {}).get("principalId")
        shown = redacted(principal) if isinstance(principal, str) else ""
        yield _info(f"Using valid authorizer policy for principal: {shown}")
        yield _info("Successfully completed authorizer execution")


def _arrival(facts: Facts) -> Iterator[_Line]:
    connection = facts.connection
    if facts.event_type is EventType.CONNECT:
        agent = connection.user_agent or "null"
        yield _info(
            f"Client [UserAgent: {agent}, SourceIp: {connection.source_ip}] is connecting to "
            f"WebSocket API [{connection.api_id}]."
        )
    elif facts.event_type is EventType.MESSAGE:
        yield _info(
            f"WebSocket API [{connection.api_id}] received message from client "
            f"[Connection Id: {connection.connection_id}]."
        )


def _integration(facts: Facts) -> Iterator[_Line]:
    called = facts.integration
    if called is None:
        return
    if facts.sent:
        yield _Line(_Kind.PAYLOAD, f"Endpoint request URI: {facts.integration_target}")
        yield _Line(
            _Kind.PAYLOAD, f"Endpoint request body after transformations: {_payload(facts.sent)}"
        )
    yield _info(f"Sending request to {facts.integration_target}")
    if called.service_status is not None:
        yield _info(
            f"Received response. Status: {called.service_status}, "
            f"Integration latency: {called.latency_ms} ms"
        )
    if facts.received:
        body = _payload(facts.received)
        yield _Line(_Kind.PAYLOAD, f"Endpoint response body before transformations: {body}")
    if called.error:
        yield _failure(called.error)
    if called.request_id:
        yield _info(f"AWS Integration Endpoint RequestId : {called.request_id}")


def _end(facts: Facts) -> Iterator[_Line]:
    connection, error = facts.connection, facts.error
    client = f"[Connection Id: {connection.connection_id}]"
    if error is not None:
        phases = (facts.authorizer, facts.authorize, facts.integration)
        is_told = any(phase and phase.error for phase in phases)
        if facts.reason and not is_told:
            yield _failure(f"Execution failed: {facts.reason}")
        yield _info(
            f"Gateway response type: {error.response_type} with status code: {facts.status}"
        )
    elif facts.event_type is EventType.CONNECT:
        yield _info(f"Client {client} connected to API [{connection.api_id}] successfully.")
    elif facts.event_type is EventType.MESSAGE:
        yield _info(
            f"Message from client {client} sent to API [{connection.api_id}] with response "
            f"status code [{facts.status}]."
        )
    if facts.event_type is EventType.DISCONNECT and facts.disconnect is not None:
        code, reason = facts.disconnect
        called = (
            f" with integration response status code [{facts.status}]" if facts.integration else ""
        )
        yield _info(
            f"Client {client} disconnected from API [{connection.api_id}]{called}. "
            f"Close reason: [{code}: {reason}]"
        )


def _info(text: str) -> _Line:
    return _Line(_Kind.INFO, text)


def _failure(text: str) -> _Line:
    return _Line(_Kind.FAILURE, text)


def _cut(text: str) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= EVENT_MAX_BYTES:
        return text
    return data[:EVENT_MAX_BYTES].decode("utf-8", "ignore") + _CUT


def _payload(data: bytes) -> str:
    """A payload for people: credentials among headers and parameters are starred out."""
    event = read_json(data)
    if not isinstance(event, dict):
        return data.decode("utf-8", "replace")
    shown = {
        name: _parameters(value) if name in _PARAMETERS else value
        for name, value in _without_api_key(event).items()
    }
    if shown == event:
        return data.decode("utf-8", "replace")
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False)


def _without_api_key(event: dict[str, Json]) -> dict[str, Json]:
    """An event whose ``identity`` does not show the API key that let its client in (4.13)."""
    context = event.get("requestContext")
    identity = context.get("identity") if isinstance(context, dict) else None
    if not isinstance(context, dict) or not isinstance(identity, dict) or "apiKey" not in identity:
        return event
    hidden = {**identity, "apiKey": _starred(identity["apiKey"])}
    return {**event, "requestContext": {**context, "identity": hidden}}


def _parameters(value: Json) -> Json:
    if not isinstance(value, dict):
        return value
    return {name: _starred(item) if _is_secret(name) else item for name, item in value.items()}


def _starred(value: Json) -> Json:
    if isinstance(value, list):
        return [_starred(each) for each in value]
    return redacted(value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    # A token in the query string is how browsers authenticate, so it counts as well.
    return name.lower() in _SECRETS or name.lower().endswith("token")
