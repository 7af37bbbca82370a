"""Answers in AWS's shapes: what moto returns, and errors of our own, as ``AwsResponse``."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.targets import query_fields

_NOT_ON_THE_WIRE: Final = frozenset({"status", "content-length", "transfer-encoding", "connection"})
_WITHOUT_BODY: Final = frozenset({204, 304})


def response(
    request: AwsRequest, status: int, headers: Mapping[str, Any], body: object
) -> AwsResponse:
    """An answer as HTTP has it: one length, one content type, no body where none belongs."""
    data = _as_bytes(body)
    pairs = [
        (str(name), str(value))
        for name, value in headers.items()
        if str(name).lower() not in _NOT_ON_THE_WIRE and value is not None
    ]
    names = {name.lower() for name, _ in pairs}
    if data and "content-type" not in names:
        pairs.append(("Content-Type", _content_type(request, data)))
    if status in _WITHOUT_BODY:
        return AwsResponse(status=status, headers=tuple(pairs))
    length = len(data)
    if request.method == "HEAD":
        # What GET would give; the answer itself has no body.
        named = {str(name).lower(): value for name, value in headers.items()}
        length, data = int(named.get("content-length", length)), b""
    pairs.append(("Content-Length", str(length)))
    return AwsResponse(status=status, headers=tuple(pairs), body=data)


def error(  # one line per fact of an error
    request: AwsRequest, *, service: str, status: int, code: str, message: str, request_id: str
) -> AwsResponse:
    """An error as the request's protocol has it: XML for S3 and the query protocol, else JSON."""
    headers = {"x-amzn-RequestId": request_id}
    if service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    elif "Action" in query_fields(request):
        kind = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's own border
        body = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code>"
            f"<Message>{escape(message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        headers["x-amzn-ErrorType"] = code
        body = json.dumps({"__type": code, "message": message})
    return response(request, status, headers, body)


def _as_bytes(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return _as_bytes(body.read())
    if isinstance(body, Iterable):
        return b"".join(_as_bytes(piece) for piece in body)
    raise TypeError(f"An answer cannot be a {type(body).__name__}.")


def _content_type(request: AwsRequest, data: bytes) -> str:
    if data.startswith(b"<"):
        return "text/xml"
    asked = request.header("Content-Type") or ""
    return asked if asked.startswith("application/x-amz-json") else "application/json"
