"""The border between the server and the AWS services: bytes in, bytes out."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from socketstack.services.http import AwsRequest, AwsResponse

Handle = Callable[[AwsRequest], Awaitable[AwsResponse]]


class AwsWeb:
    """An aiohttp handler around something that answers AWS calls."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Read the whole request, have it answered, send the whole answer."""
        if request.headers.get("Expect", "").lower() == "100-continue":
            # aiohttp's low-level server leaves this to us; boto3 waits a second for it.
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        path, _, query_string = request.raw_path.partition("?")
        answer = await self._handle(
            AwsRequest(
                method=request.method,
                host=request.headers.get("Host", ""),
                path=path,
                query_string=query_string,
                headers=tuple(request.headers.items()),
                body=await request.read(),
            )
        )
        response = web.Response(status=answer.status, body=answer.body)
        response.headers.clear()
        for name, value in answer.headers:
            response.headers.add(name, value)
        return response
