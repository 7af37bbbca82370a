"""What a backend's answer becomes: the handshake's verdict, or a frame, or nothing.

Proxy functions give an ``InvokeResult``; all other backends a ``BackendResponse``, which is what
the integration's own mappings made of their answer.

Rules: 2.07 to 2.12, 2.22 to 2.28, 5.05, 5.26 to 5.41, 5.43 to 5.45, 5.54, 5.55.
"""

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Final, NamedTuple

from socketstack.core.causes import Cause
from socketstack.core.jsontext import as_text, read_json
from socketstack.core.limits import MESSAGE_MAX_BYTES
from socketstack.core.model import InvokeResult, Json, Route


class FrameMessage(StrEnum):
    """The texts an error frame can carry. Rules 5.05, 5.32 to 5.39."""

    FORBIDDEN = "Forbidden"
    INTERNAL_SERVER_ERROR = "Internal server error"
    TIMED_OUT = "Endpoint request timed out"
    BAD_REQUEST_BODY = "Bad request body"
    UNSUPPORTED_MEDIA_TYPE = "Unsupported Media Type"
    TOO_MANY_REQUESTS = "Too Many Requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """The handshake succeeds; ``subprotocol`` goes into the 101 as it is (2.23, 2.24)."""

    subprotocol: str | None = None
    warning: str | None = None
    """What will break clients although the service does it. Rule 2.25."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The handshake fails with this HTTP status; reason and cause are not for the client."""

    status: int
    reason: str
    cause: Cause


class Send(NamedTuple):
    """One text frame to the client."""

    text: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing reaches the client, and why; with a cause when somebody may wait for it."""

    reason: str
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFrame:
    """An error frame with this message; ``reason`` and ``cause`` are not for the client."""

    message: FrameMessage
    reason: str
    cause: Cause
    validation: str = ""
    """What is wrong with the message, for ``$context.error.validationErrorString`` (5.75)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """API Gateway itself ends a request: ``status`` for handshakes, ``message`` for messages."""

    status: int
    message: FrameMessage
    reason: str
    cause: Cause
    validation: str = ""

    def frame(self) -> ErrorFrame:
        """The rejection of a message."""
        return ErrorFrame(
            message=self.message,
            reason=self.reason,
            cause=self.cause,
            validation=self.validation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendResponse:
    """What a backend other than a proxy function gave, after the integration's mappings."""

    status: int
    body: str = ""
    """What a client of a two-way route gets; empty is nothing."""
    subprotocols: tuple[str, ...] = ()
    failure: str = ""
    """Why this admits nobody in spite of its status: the function behind it failed."""
    warnings: tuple[str, ...] = ()
    sent: bytes = field(default=b"", repr=False)
    """What the backend got, after the request's mappings."""
    received: bytes = field(default=b"", repr=False)
    """What the backend gave, before the response's mappings."""


Verdict = Accept | Refuse
Reply = Send | Silence | ErrorFrame

CONNECT_TIMED_OUT: Final = Refuse(
    status=HTTPStatus.GATEWAY_TIMEOUT,
    reason="The $connect integration did not answer within its timeout (at most 29 s).",
    cause=Cause.INTEGRATION_TIMED_OUT,
)
"""Rule 2.12."""

MESSAGE_TIMED_OUT: Final = ErrorFrame(
    message=FrameMessage.TIMED_OUT,
    reason="The integration did not answer within its timeout (at most 29 s).",
    cause=Cause.INTEGRATION_TIMED_OUT,
)
"""Rule 5.35."""

_SUBPROTOCOL: Final = "sec-websocket-protocol"
_STATUS_TEXT: Final = re.compile(r"[1-5]\d\d")
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599
_REFUSING: Final = range(300, 600)
_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_WANTED: Final = 'Return {"statusCode": 200} and, where the client gets a reply, a text "body".'


class ProxyResponse(NamedTuple):
    """A valid answer of a proxy function."""

    status: int
    subprotocols: tuple[str, ...]
    body: str | None


def verdict(result: InvokeResult) -> Verdict:
    """Decide a handshake by what the ``$connect`` proxy function gave.

    A 2xx accepts (2.07), another status refuses with exactly that status (2.08), a failed
    call and anything that is no proxy response refuse with 502 (2.09, 2.10). The body is
    never used (2.28).
    """
    response = proxy_response(result)
    if isinstance(response, str):
        cause = _function_cause(result)
        return Refuse(status=HTTPStatus.BAD_GATEWAY, reason=response, cause=cause)
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        return Refuse(
            status=response.status,
            reason=f"The $connect function returned statusCode {response.status}.",
            cause=Cause.CONNECT_REFUSES,
        )
    return _accept(response.subprotocols)


def for_route(route: Route, result: InvokeResult) -> Reply:
    """Decide what a proxy function's result sends to the client.

    Args:
        route: The chosen route; ``is_two_way`` decides whether the client gets the body.
        result: What the call gave.

    Returns:
        ``ErrorFrame`` when the function failed or gave no proxy response, also on one-way
        routes (5.32, 5.34); ``Send`` with the body on two-way routes, whatever the status
        (5.28, 5.31); else ``Silence``.
    """
    if route.route_key == "$disconnect":
        return Silence("the connection is gone")  # 5.41
    response = proxy_response(result)
    if isinstance(response, str):
        return ErrorFrame(
            message=FrameMessage.INTERNAL_SERVER_ERROR,
            reason=response,
            cause=_function_cause(result),
        )
    if not route.is_two_way:
        return Silence(
            f"the route {route.route_key} has no route response, so nothing of the function's "
            "result reaches the client; add one with the key $default and deploy",
            Cause.ONE_WAY,
        )
    if response.body is None:
        return Silence("the function returned no body")
    return sendable(response.body)


def backend_verdict(response: BackendResponse) -> Verdict:
    """Decide a handshake by what any other backend gave: a 2xx admits (2.07, 2.08, 5.55).

    A failed function refuses with 502, whatever an integration response makes of its error.
    """
    if response.failure:
        return Refuse(
            status=HTTPStatus.BAD_GATEWAY, reason=response.failure, cause=Cause.FUNCTION_FAILED
        )
    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        status = response.status if response.status in _REFUSING else HTTPStatus.BAD_GATEWAY
        return Refuse(
            status=status,
            reason=f"The $connect integration answered with {response.status}.",
            cause=Cause.CONNECT_REFUSES,
        )
    if not all(map(_FIELD_VALUE.fullmatch, response.subprotocols)):
        return Refuse(
            status=HTTPStatus.BAD_GATEWAY,
            reason="The integration gave a Sec-WebSocket-Protocol that no header can carry.",
            cause=Cause.SUBPROTOCOL,
        )
    return _accept(response.subprotocols)


def backend_reply(route: Route, response: BackendResponse) -> Reply:
    """Decide what any other backend's answer sends to the client, whatever its status (5.29)."""
    if route.route_key == "$disconnect":
        return Silence("the connection is gone")  # 5.41
    if not route.is_two_way:
        return Silence(
            f"the route {route.route_key} has no route response, so nothing of the backend's "
            "answer reaches the client; add one with the key $default and deploy",
            Cause.ONE_WAY,
        )
    if not response.body:
        return Silence("the backend's answer, after its mappings, is empty")
    return sendable(response.body)


def sendable(text: str) -> Send | ErrorFrame:
    """A reply's text as a frame; one above 128 KB becomes the internal error (6.01)."""
    data = text.encode("utf-8", "replace")  # JSON can hold half a surrogate pair, UTF-8 cannot
    if len(data) > MESSAGE_MAX_BYTES:
        return ErrorFrame(
            message=FrameMessage.INTERNAL_SERVER_ERROR,
            reason=f"The reply has {len(data)} bytes; {MESSAGE_MAX_BYTES} is the limit.",
            cause=Cause.REPLY_TOO_LARGE,
        )
    return Send(data.decode())


def error_frame(message: str, connection_id: str, request_id: str) -> str:
    """An error frame's text, byte for byte, irregular spaces included. Rule 5.44."""
    return (
        f'{{"message": {json.dumps(message)}, "connectionId":{json.dumps(connection_id)}, '
        f'"requestId":{json.dumps(request_id)}}}'
    )


def proxy_response(result: InvokeResult) -> ProxyResponse | str:
    """Read a proxy function's result; a text says why it is none. Rules 2.09, 2.10, 5.34."""
    answer = read_json(result.payload)
    if result.failure is not None:
        message = answer.get("errorMessage") if isinstance(answer, dict) else None
        return f"The function failed ({result.failure}): {message or 'no message'}. See its log."
    if not isinstance(answer, dict):
        return f"The function returned no JSON object. {_WANTED}"
    status = _status(answer.get("statusCode"))
    if status is None:
        return f"The function returned no usable statusCode. {_WANTED}"
    body = answer.get("body")
    if body is not None and not isinstance(body, str):
        return "The function returned a body that is no text. Use json.dumps on it."
    subprotocols = _subprotocols(answer)
    if subprotocols is None:
        return (
            "The function returned headers that are no object of texts, or a "
            "Sec-WebSocket-Protocol that no header can carry."
        )
    return ProxyResponse(status=status, subprotocols=subprotocols, body=body)


def _function_cause(result: InvokeResult) -> Cause:
    """Why a result is no proxy response: the call failed, or what it gave is none."""
    return Cause.FUNCTION_RESULT if result.failure is None else Cause.FUNCTION_FAILED


def _accept(subprotocols: tuple[str, ...]) -> Accept:
    if not subprotocols:
        return Accept()
    value = ", ".join(subprotocols)
    if "," not in value:
        return Accept(subprotocol=value)
    return Accept(
        subprotocol=value,
        warning=f"Sec-WebSocket-Protocol is {value!r}: clients fail unless it is exactly one "
        "of those they offered. Return one.",
    )


def _status(value: Json) -> int | None:
    """A usable status code; AWS's own examples return it as text, so that is one."""
    if isinstance(value, str) and _STATUS_TEXT.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or not _LOWEST_STATUS <= value <= _HIGHEST_STATUS:
        return None  # True and False are below the lowest
    return value


def _subprotocols(answer: dict[str, Json]) -> tuple[str, ...] | None:
    """The returned subprotocols, each once, or None when the headers are not valid."""
    single, multiple = answer.get("headers"), answer.get("multiValueHeaders")
    if single is None and multiple is None:
        return ()
    if not isinstance(single, dict | None) or not isinstance(multiple, dict | None):
        return None
    found: dict[str, None] = {}
    pairs = [(name, [value]) for name, value in (single or {}).items()]
    pairs += [(n, v if isinstance(v, list) else [v]) for n, v in (multiple or {}).items()]
    for name, values in pairs:
        if any(isinstance(value, list | dict) for value in values):
            return None
        if name.lower() == _SUBPROTOCOL:
            found.update(dict.fromkeys(as_text(value) for value in values if value is not None))
    return tuple(found) if all(map(_FIELD_VALUE.fullmatch, found)) else None
