"""Plain HTTP to an engine, wherever it runs: health, live folders, events, a first handshake.

No proxy and no certificate set-up of the user is looked at: the engine is near and speaks HTTP.
Under any name but a loopback one the engine takes signed calls only, so these are signed there.
"""

import errno
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from socketstack.errors import ConfigError

HEALTH: Final = "/_socketstack/health"
STARTING: Final = "starting"
_HTTP_PORT: Final = 80
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SIGNED_AS: Final = ("execute-api", "us-east-1")
"""Service and region of signatures; nothing is looked up by them."""
_ABSENCE: Final = frozenset(
    {errno.ECONNREFUSED, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH}
)
"""``localhost`` is two addresses, and the error is that of the last one tried. Where IPv6 is
switched off, as in many containers, ``::1`` does not refuse: it cannot be reached at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an engine says of itself."""

    pid: int
    version: str
    target: str = "embedded"
    """What it is: ``embedded``, or ``localstack``."""


class EngineClient:
    """An engine's address. ``answer_seconds`` is how long it may take to answer."""

    def __init__(self, host: str, port: int, *, answer_seconds: float = 5.0) -> None:
        self.host = host
        self.port = port
        self._answer_seconds = answer_seconds

    @classmethod
    def at(cls, endpoint: str) -> Self:
        """The engine at ``http://host[:port]``. Raises ``ConfigError`` for any other address."""
        parts = urlsplit(endpoint)
        try:
            port = _HTTP_PORT if parts.port is None else parts.port
        except ValueError:
            port = 0
        is_plain = parts.path in {"", "/"} and not (parts.query or parts.fragment or parts.username)
        if parts.scheme != "http" or not parts.hostname or not port or not is_plain:
            message = (
                f"{endpoint!r} is no address of an engine: give it as http://host:port, for "
                "example http://engine:4566. Without one, the stack goes to AWS."
            )
            raise ConfigError(message)
        return cls(parts.hostname, port)

    @property
    def endpoint(self) -> str:
        """Where AWS clients find the engine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One HTTP call: status and body. Raises what ``http.client`` raises."""
        with self._call(method, path, body, headers, timeout=self._answer_seconds) as response:
            # A completed upgrade has no end to read to.
            is_open = response.status == http.client.SWITCHING_PROTOCOLS
            return response.status, b"" if is_open else response.read()

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a streamed answer, until the engine ends it."""
        with self._call("GET", path, timeout=None) as response:
            yield from response

    def log_end(self) -> str:
        """The last lines of the engine's log, where we have it: not of engines of others."""
        return ""

    @contextmanager
    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            data = b"" if body is None else json.dumps(body).encode()
            signed = self._signature(method, path, data)
            connection.request(
                method, path, body=data or None, headers={**(headers or {}), **signed}
            )
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def _signature(self, method: str, path: str, data: bytes) -> dict[str, str]:
        if self.host in _LOOPBACK:
            return {}
        # Late: following an engine's logs on this machine needs none of it.
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        request = AWSRequest(method, self.endpoint + path, data=data)
        SigV4Auth(Credentials("test", "test"), *_SIGNED_AS).add_auth(request)
        return dict(request.headers)


def is_absent(error: OSError) -> bool:
    """Whether a failed connection means that nothing listens there."""
    return error.errno in _ABSENCE


def parse_health(status: int, body: bytes) -> Health | None:
    """The health that an answer tells; None when it is no engine's, or not a good one."""
    try:
        told = json.loads(body)
        if status == http.client.OK and told["status"] == "ok":
            return Health(
                pid=int(told["pid"]),
                version=str(told["version"]),
                target=str(told.get("target", "embedded")),
            )
    except (ValueError, KeyError, TypeError):
        pass
    return None


def is_starting(status: int, body: bytes) -> bool:
    """Whether an engine answers that its services are not there yet, as LocalStack's does."""
    try:
        return status == http.client.SERVICE_UNAVAILABLE and json.loads(body)["status"] == STARTING
    except (ValueError, KeyError, TypeError):
        return False
