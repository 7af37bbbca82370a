"""The border between the server and the AWS services: bytes in, bytes out."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from socketstack.services.http import AwsRequest, AwsResponse

Handle = Callable[[AwsRequest], Awaitable[AwsResponse]]
Refuse = Callable[[AwsRequest, str], AwsResponse | None]
"""The answer to a call that may not pass, by call and address of the caller; else None."""


class AwsWeb:
    """An aiohttp handler around something that answers AWS calls."""

    def __init__(self, handle: Handle, refuse: Refuse | None = None) -> None:
        self._handle = handle
        self._refuse = refuse

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Read the whole request, have it answered, send the whole answer."""
        try:
            body = await _read(request)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the client left while sending: nobody reads this
        asked = _as_aws_request(request, body)
        refusal = self._refuse(asked, request.remote or "") if self._refuse else None
        return _as_response(refusal or await self._handle(asked))


class GuardedRoom:
    """A guard around a room that answers HTTP by itself: what may not pass never enters it."""

    def __init__(
        self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], refuse: Refuse
    ) -> None:
        self._handle = handle
        self._refuse = refuse

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or refuse it."""
        try:
            body = await _read(request)  # aiohttp keeps it for the room
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the client left while sending: nobody reads this
        refusal = self._refuse(_as_aws_request(request, body), request.remote or "")
        return await self._handle(request) if refusal is None else _as_response(refusal)


def _as_aws_request(request: web.BaseRequest, body: bytes) -> AwsRequest:
    path, _, query_string = request.raw_path.partition("?")
    return AwsRequest(
        method=request.method,
        host=request.headers.get("Host", ""),
        path=path,
        query_string=query_string,
        headers=tuple(request.headers.items()),
        body=body,
    )


def _as_response(answer: AwsResponse) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body)
    response.headers.clear()
    for name, value in answer.headers:
        response.headers.add(name, value)
    return response


async def _read(request: web.BaseRequest) -> bytes:
    if request.headers.get("Expect", "").lower() == "100-continue":
        # aiohttp's low-level server leaves this to us; boto3 waits a second for it.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    return await request.read()
