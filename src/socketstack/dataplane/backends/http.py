"""HTTP and HTTP_PROXY: a request to somebody's server.

Certificates are verified, redirects are not followed, answers are read to a limit. The engine's own
port is no backend: on AWS nothing is there.

Rules: 1.59, 2.34, 5.29, 5.35, 5.60.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from socketstack.core.causes import Cause
from socketstack.core.replies import FrameMessage, Rejection
from socketstack.dataplane.backends.base import BackendAnswer, BackendOutcome, BackendRequest
from socketstack.dataplane.integrations import TimedOut, Unreachable

ANSWER_MAX_BYTES: Final = 10 * 1024 * 1024
"""API Gateway's limit for what a backend answers."""

_SCHEMES: Final = frozenset({"http", "https"})
_NOT_FORWARDED: Final = frozenset(
    {
        *("connection", "content-length", "host", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HttpBackend:
    """Calls HTTP servers. Opens its connections late, on the event loop; ``stop`` closes them."""

    def __init__(
        self, *, ca_bundle: Callable[[], Path] | None = None, own_port: int | None = None
    ) -> None:
        self._ca_bundle = ca_bundle
        self._own_port = own_port
        self._session: aiohttp.ClientSession | None = None

    async def call(self, request: BackendRequest) -> BackendOutcome:
        """Send the request and read the answer."""
        url, headers = self._checked_url(request), _headers(request)
        if isinstance(url, str) or isinstance(headers, str):
            problem = str(url) if isinstance(url, str) else str(headers)
            return Unreachable(problem, Cause.INTEGRATION_SETTINGS)
        method = request.exchange.integration.integration_method or "POST"
        if method == "ANY":
            method = "POST"
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return await self._send(method, url, headers, request.body)
        except TimeoutError:
            return TimedOut(request.timeout_ms)
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorDNSError, ssl.SSLError) as error:
            return _failed(HTTPStatus.INTERNAL_SERVER_ERROR, url, error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failed(HTTPStatus.GATEWAY_TIMEOUT, url, error)

    async def stop(self) -> None:
        """Close what is open."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(
        self, method: str, url: URL, headers: CIMultiDict[str], body: bytes
    ) -> BackendOutcome:
        async with self._client().request(
            method, url, data=body or None, headers=headers, allow_redirects=False
        ) as response:
            received = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                received += chunk
                if len(received) > ANSWER_MAX_BYTES:
                    return _failed(
                        HTTPStatus.INTERNAL_SERVER_ERROR,
                        url,
                        f"the answer is larger than {ANSWER_MAX_BYTES} bytes",
                    )
            return BackendAnswer(
                status=response.status,
                body=bytes(received),
                headers=tuple(response.headers.items()),
            )

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            trusted = ssl.create_default_context()
            if self._ca_bundle is not None:
                trusted.load_verify_locations(cafile=self._ca_bundle())
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=trusted, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session

    def _checked_url(self, request: BackendRequest) -> URL | str:
        url = _url(request)
        if isinstance(url, URL) and self._is_own(url):
            return (
                f"{url.origin()} is this engine's own address, which no integration can call. "
                "Use the URL of a server of yours. [5.60]"
            )
        return url

    def _is_own(self, url: URL) -> bool:
        """Whether a URL leads back to the engine, by a name or address of this machine."""
        if self._own_port is None or url.port != self._own_port:
            return False
        host = (url.host or "").lower().rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or address.is_unspecified


def _failed(status: HTTPStatus, url: URL, why: Exception | str) -> Rejection:
    reason = str(why) or type(why).__name__
    return Rejection(
        status=status,
        message=FrameMessage.INTERNAL_SERVER_ERROR,
        reason=f"{url.origin()} did not answer: {reason}. Is the server up, and does its "
        "certificate hold?",
        cause=Cause.BACKEND_DOWN,
    )


def _url(request: BackendRequest) -> URL | str:
    if request.exchange.integration.connection_type == "VPC_LINK":
        return (
            "VPC links are not supported by the local engine. Use the connection type INTERNET "
            "with an address that this machine reaches. [1.59]"
        )
    try:
        url = URL(request.uri)
    except ValueError:
        url = URL()
    if url.scheme not in _SCHEMES or not url.host:
        # As configured: parts of the request's own may come from a message.
        given = request.exchange.integration.integration_uri
        return f"The integration URI {given!r} is no URL with http:// or https:// and a host."
    return url.extend_query(request.query) if request.query else url


def _headers(request: BackendRequest) -> CIMultiDict[str] | str:
    """The handshake's headers, where it is one, and over them those that are mapped (2.34)."""
    exchange = request.exchange
    headers: CIMultiDict[str] = CIMultiDict(
        {
            "User-Agent": f"AmazonAPIGateway_{exchange.snapshot.api_id}",
            "x-amzn-apigateway-api-id": exchange.snapshot.api_id,
            "Accept": "application/json",
        }
    )
    if request.body:
        headers["Content-Type"] = "application/json"
    for name, values in exchange.headers.items():
        if name.lower() not in _NOT_FORWARDED:
            headers.popall(name, None)
            for value in values:
                headers.add(name, value)
    for name, value in request.headers:
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            return f"The mapped header {name} has a character that no header can carry. [5.60]"
        headers[name] = value
    return headers
