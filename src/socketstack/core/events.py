"""The payloads functions receive, member for member in the order of captured AWS events.

Absent is not null: a member without a value is left out, except where AWS sends it empty
(10.06). The builders get every fact as an argument; they read no clock and draw no ids.

Rules: 2.32, 2.33, 2.37 to 2.47, 3.03 to 3.06, 3.19 to 3.22, 5.20 to 5.25, 8.04 to 8.09, 8.17.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, NotRequired, TypedDict, cast

from socketstack.core.model import Connection, EventType, Json, Message, Upgrade

NO_VARIABLES: Final[Mapping[str, str]] = {}

_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_IDENTITY_ORDER: Final = (
    "apiKey",
    "userArn",
    "apiKeyId",
    "userAgent",
    "accountId",
    "caller",
    "sourceIp",
    "user",
)
"""As in captures of REST APIs, whose order of agent and address is the same."""
_HIDDEN_FROM_CONNECT: Final = frozenset({"connection", "upgrade", "content-length"})  # 2.32


class Identity(TypedDict):
    """Who is on the other side; who let it in decides which members there are (2.40).

    ``apiKey`` and ``apiKeyId`` are there when an API key was needed (4.13), those of AWS when IAM
    let it in (4.05).
    """

    apiKey: NotRequired[str]
    apiKeyId: NotRequired[str]
    userArn: NotRequired[str]
    userAgent: NotRequired[str]
    accountId: NotRequired[str]
    caller: NotRequired[str]
    sourceIp: str
    user: NotRequired[str]


class RequestContext(TypedDict):
    """Rule 2.39; times are in milliseconds since the epoch."""

    routeKey: str
    disconnectStatusCode: NotRequired[int]
    authorizer: NotRequired[dict[str, Json]]
    messageId: NotRequired[str]
    eventType: str
    extendedRequestId: str
    requestTime: str
    messageDirection: Literal["IN"]
    disconnectReason: NotRequired[str]
    stage: str
    connectedAt: int
    requestTimeEpoch: int
    identity: Identity
    requestId: str
    domainName: str
    connectionId: str
    apiId: str


class AuthorizerEvent(TypedDict):
    """What an authorizer function receives. Rules 3.03 to 3.06."""

    type: Literal["REQUEST"]
    methodArn: str
    headers: dict[str, str]
    multiValueHeaders: dict[str, list[str]]
    queryStringParameters: dict[str, str]
    multiValueQueryStringParameters: dict[str, list[str]]
    stageVariables: dict[str, str]
    requestContext: RequestContext


class ConnectEvent(TypedDict):
    """What the function of ``$connect`` receives. Rules 2.37, 2.38."""

    headers: dict[str, str]
    multiValueHeaders: dict[str, list[str]]
    queryStringParameters: NotRequired[dict[str, str]]
    multiValueQueryStringParameters: NotRequired[dict[str, list[str]]]
    stageVariables: NotRequired[dict[str, str]]
    requestContext: RequestContext
    isBase64Encoded: bool


class MessageEvent(TypedDict):
    """What the function of a message's route receives. Rule 5.20."""

    stageVariables: NotRequired[dict[str, str]]
    requestContext: RequestContext
    body: str
    isBase64Encoded: bool


class DisconnectEvent(TypedDict):
    """What the function of ``$disconnect`` receives. Rules 8.04 to 8.09."""

    headers: dict[str, str]
    multiValueHeaders: dict[str, list[str]]
    stageVariables: NotRequired[dict[str, str]]
    requestContext: RequestContext
    isBase64Encoded: bool


def authorizer_event(
    upgrade: Upgrade,
    connection: Connection,
    *,
    method_arn: str,
    request_id: str,
    time_ms: int,
    trace_id: str,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> AuthorizerEvent:
    """The payload of an authorizer call.

    Args:
        upgrade: The handshake.
        connection: The connection it will become; without an authorizer context yet.
        method_arn: ``arn:…:{api}/{stage}/$connect`` (3.04).
        request_id: The handshake's request id, in the format of 2.42.
        time_ms: When the request came.
        trace_id: ``Root=1-…``, for ``X-Amzn-Trace-Id``.
        variables: The stage's variables; empty ones are sent as ``{}`` (3.05).
    """
    pairs = [pair for pair in upgrade.headers if pair[0].lower() not in _HIDDEN_FROM_CONNECT]
    pairs += [("Connection", "upgrade"), ("content-length", "0"), ("Upgrade", "websocket")]
    headers = _grouped_headers(pairs, upgrade.source_ip, trace_id)
    query = _grouped(upgrade.query)
    return {
        "type": "REQUEST",
        "methodArn": method_arn,
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": _last(query),
        "multiValueQueryStringParameters": query,
        "stageVariables": dict(variables),
        "requestContext": request_context(
            connection, "$connect", EventType.CONNECT, request_id=request_id, time_ms=time_ms
        ),
    }


def connect_event(
    upgrade: Upgrade,
    connection: Connection,
    *,
    request_id: str,
    time_ms: int,
    trace_id: str,
    variables: Mapping[str, str] = NO_VARIABLES,
    integration_latency_ms: int | None = None,
) -> ConnectEvent:
    """The payload of ``$connect``.

    Args:
        upgrade: The handshake.
        connection: The connection, with what the authorizer returned.
        request_id: The handshake's request id.
        time_ms: When the request came.
        trace_id: ``Root=1-…``, for ``X-Amzn-Trace-Id``.
        variables: The stage's variables; left out when there are none (2.46).
        integration_latency_ms: How long the authorizer took (3.22); None without one.
    """
    pairs = [pair for pair in upgrade.headers if pair[0].lower() not in _HIDDEN_FROM_CONNECT]
    headers = _grouped_headers(pairs, upgrade.source_ip, trace_id)
    event: ConnectEvent = {
        "headers": _last(headers),
        "multiValueHeaders": headers,
        **_query_members(upgrade.query),
        **_variables_member(variables),
        "requestContext": request_context(
            connection, "$connect", EventType.CONNECT, request_id=request_id, time_ms=time_ms
        ),
        "isBase64Encoded": False,
    }
    authorizer = event["requestContext"].get("authorizer")
    if authorizer is not None and integration_latency_ms is not None:
        authorizer["integrationLatency"] = integration_latency_ms
    return event


def message_event(
    route_key: str,
    connection: Connection,
    message: Message,
    *,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> MessageEvent:
    """The payload of one message, for the route that was chosen (5.22)."""
    return {
        **_variables_member(variables),
        "requestContext": request_context(
            connection,
            route_key,
            EventType.MESSAGE,
            request_id=message.request_id,
            time_ms=message.received_at_ms,
            message_id=message.message_id,
        ),
        "body": message.text,
        "isBase64Encoded": False,
    }


def disconnect_event(
    connection: Connection,
    *,
    status_code: int,
    reason: str,
    request_id: str,
    time_ms: int,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> DisconnectEvent:
    """The payload of ``$disconnect``; code and reason come from ``core.lifecycle`` (8.10)."""
    headers = {
        "Host": connection.domain_name,
        "x-api-key": "",
        "X-Forwarded-For": "",
        "x-restapi": "",
    }
    return {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        **_variables_member(variables),
        "requestContext": request_context(
            connection,
            "$disconnect",
            EventType.DISCONNECT,
            request_id=request_id,
            time_ms=time_ms,
            disconnect=(status_code, reason),
        ),
        "isBase64Encoded": False,
    }


def request_time(time_ms: int) -> str:
    """Milliseconds since the epoch as ``dd/MMM/yyyy:HH:mm:ss +0000``. Rule 2.43."""
    return _request_time(time_ms // 1000)


@lru_cache(maxsize=8)  # messages come by the thousand in a second
def _request_time(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    # strftime's %b follows the locale, AWS does not.
    return f"{moment:%d}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} +0000"


def request_context(
    connection: Connection,
    route_key: str,
    event_type: EventType,
    *,
    request_id: str,
    time_ms: int,
    message_id: str | None = None,
    disconnect: tuple[int, str] | None = None,
) -> RequestContext:
    """The ``requestContext`` of an event; ``disconnect`` is close code and reason (2.39, 8.07)."""
    # In the order of AWS's own events; what is not there is left out, not null.
    members: dict[str, object] = {"routeKey": route_key}
    if disconnect is not None:
        members["disconnectStatusCode"] = disconnect[0]
    if connection.authorizer is not None:
        members["authorizer"] = dict(connection.authorizer)
    if message_id is not None:
        members["messageId"] = message_id
    members["eventType"] = event_type.value
    members["extendedRequestId"] = request_id
    members["requestTime"] = request_time(time_ms)
    members["messageDirection"] = "IN"
    if disconnect is not None:
        members["disconnectReason"] = disconnect[1]
    members["stage"] = connection.stage_name
    members["connectedAt"] = connection.connected_at_ms
    members["requestTimeEpoch"] = time_ms
    members["identity"] = _identity(connection)
    members["requestId"] = request_id
    members["domainName"] = connection.domain_name
    members["connectionId"] = connection.connection_id
    members["apiId"] = connection.api_id
    return cast("RequestContext", members)  # every required member is set above


def _identity(connection: Connection) -> Identity:
    if not connection.identity and connection.user_agent is not None:
        return {"userAgent": connection.user_agent, "sourceIp": connection.source_ip}
    known = {
        **connection.identity,
        "userAgent": connection.user_agent,
        "sourceIp": connection.source_ip,
    }
    present = {name: known[name] for name in _IDENTITY_ORDER if known.get(name) is not None}
    return cast("Identity", present)  # the address is always there


class _QueryMembers(TypedDict, total=False):
    queryStringParameters: dict[str, str]
    multiValueQueryStringParameters: dict[str, list[str]]


class _VariablesMember(TypedDict, total=False):
    stageVariables: dict[str, str]


def _query_members(query: Iterable[tuple[str, str]]) -> _QueryMembers:
    grouped = _grouped(query)
    if not grouped:
        return {}
    return {
        "queryStringParameters": _last(grouped),
        "multiValueQueryStringParameters": grouped,
    }


def _variables_member(variables: Mapping[str, str]) -> _VariablesMember:
    return {"stageVariables": dict(variables)} if variables else {}


def _grouped_headers(
    pairs: Iterable[tuple[str, str]], source_ip: str, trace_id: str
) -> dict[str, list[str]]:
    """Headers by name, sorted as in captures, with those that API Gateway adds (2.33)."""
    grouped: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for name, value in pairs:
        grouped.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    forwarded = grouped.pop(spelling.get("x-forwarded-for", ""), [])
    for name, value in (
        ("X-Amzn-Trace-Id", trace_id),
        ("X-Forwarded-For", ", ".join([*forwarded, source_ip])),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
    ):
        grouped.pop(spelling.get(name.lower(), ""), None)
        grouped[name] = [value]
    return dict(sorted(grouped.items(), key=lambda item: item[0].lower()))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _last(grouped: Mapping[str, list[str]]) -> dict[str, str]:
    """The single-value form: the last of each."""
    return {name: values[-1] for name, values in grouped.items()}
