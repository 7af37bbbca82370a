"""LocalStack's services as the engine sees them: requests in, answers out, in threads.

LocalStack answers in the thread that asks; the event loop must not be that thread, because many
of its services call others through the very port that this loop serves. CloudWatch Logs is moto's
there too, so what writes to moto's records for the embedded engine does so here.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol
from urllib.parse import unquote

from localstack.aws import handlers
from localstack.http import Request, Response

from socketstack.ids import Ids
from socketstack.localstack.identity_records import LocalStackRecords
from socketstack.services import replies, sparse_imports, targets
from socketstack.services.http import AwsRequest, AwsResponse

_Handle = Callable[[AwsRequest], Awaitable[AwsResponse]]
_IDENTITY_SERVICES: Final = frozenset({"iam", "sts"})
_THREADS: Final = 64
"""Calls under way at once: a service that calls a function, which calls AWS, takes several."""
_HTTPS_PORTS: Final = frozenset({"443"})

_logger = logging.getLogger(__name__)


class Gateway(Protocol):
    """LocalStack's chain of handlers (``rolo.gateway.Gateway``)."""

    def process(self, request: Request, response: Response) -> None:
        """Answer a request by filling the response."""
        ...


class LocalStackApp:
    """The services of the LocalStack in this process; see ``services.aws_app.AwsApp``.

    Until ``attach`` has named the gateway, every call is answered with 503.
    """

    def __init__(
        self, *, account_id: str, region: str, ids: Ids, records: LocalStackRecords
    ) -> None:
        self._records = records
        self.account_id = account_id
        self.region = region
        self.identity_generation = 0
        self._generations = itertools.count(1)
        self._ids = ids
        self._gateway: Gateway | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="localstack-call")
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="localstack-logs")
        self._before_calls: dict[str, list[Callable[[AwsRequest], None]]] = {}
        self._replacements: dict[str, _Handle] = {}
        handlers.serve_custom_service_request_handlers.append(self._before)
        handlers.run_custom_response_handlers.append(self._after)

    def attach(self, gateway: Gateway) -> None:
        """Answer calls by this gateway from now on."""
        self._gateway = gateway

    async def handle(self, request: AwsRequest) -> AwsResponse:
        """Answer any AWS call, and LocalStack's own addresses."""
        if replacement := self._replacements.get(targets.service_name(request)):
            return await replacement(request)
        return await self.answer(request)

    async def answer(self, request: AwsRequest) -> AwsResponse:
        """Answer by LocalStack, past what ``replace_service`` put in front."""
        gateway = self._gateway
        if gateway is None:
            return self._error(request, 503, "ServiceUnavailable", "LocalStack is starting.")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._answer, gateway, request)
        except RuntimeError:  # the threads take nothing more
            return self._error(request, 503, "ServiceUnavailable", "LocalStack is stopping.")

    def replace_service(self, name: str, handle: _Handle) -> None:
        """Let calls of a service, by its signing name, be answered by ``handle``."""
        self._replacements[name] = handle

    def before_service(self, service: str, prepare: Callable[[], None]) -> None:
        """Nothing: what is mended in moto for the embedded engine is LocalStack's affair here."""

    def before_calls(self, service: str, prepare: Callable[[AwsRequest], None]) -> None:
        """Run ``prepare`` before each call of ``service`` is answered, in the call's thread."""
        self._before_calls.setdefault(service, []).append(prepare)

    def submit(self, call: Callable[[], None]) -> None:
        """Run something in a thread of its own, one after the other, without waiting for it."""
        self._beside.submit(call)

    def load(self, service: str) -> None:
        """Make moto's records of a service available."""
        sparse_imports.moto_module(f"{service}.models")

    async def stop(self) -> None:
        """Take no more calls and forget those that nobody waits for any more."""
        handlers.serve_custom_service_request_handlers.remove(self._before)
        handlers.run_custom_response_handlers.remove(self._after)
        for threads in (self._threads, self._beside):
            threads.shutdown(wait=False, cancel_futures=True)

    # In LocalStack's threads

    def _answer(self, gateway: Gateway, request: AwsRequest) -> AwsResponse:
        response = Response()
        try:
            gateway.process(_as_asked(request), response)
            # Read whole: what LocalStack streams are files that lie here.
            body = b"".join(response.iter_encoded())
        except Exception:  # the border to LocalStack: whatever it raises becomes an answer
            _logger.exception("An AWS call failed: %s %s", request.method, request.path)
            message = "This call failed in LocalStack; see its log."
            return self._error(request, 500, "InternalFailure", message)
        finally:
            response.close()
        return _as_answer(request, response, body)

    def _before(self, _chain: object, context: Any, _response: object) -> None:
        """A handler of LocalStack's chain, before a call of a service is answered."""
        name = context.service.service_name if context.service else ""
        waiting = self._before_calls.get(name)
        if waiting:
            headers = tuple((str(k), str(v)) for k, v in context.request.headers.items())
            asked = AwsRequest(method=context.request.method, host="", path="/", headers=headers)
            for prepare in waiting:
                prepare(asked)

    def _after(self, _chain: object, context: Any, _response: object) -> None:
        """A handler of LocalStack's chain, after a call was answered."""
        if context.service and context.service.service_name in _IDENTITY_SERVICES:
            self._records.keep_session_policy(context.service_request, context.service_response)
            self.identity_generation = next(self._generations)

    def _error(self, request: AwsRequest, status: int, code: str, message: str) -> AwsResponse:
        return replies.error(
            request,
            service=targets.service_name(request),
            status=status,
            code=code,
            message=message,
            request_id=self._ids.uuid(),
        )


def _as_asked(request: AwsRequest) -> Request:
    """The request as LocalStack's servers would give it to its gateway."""
    name, _, port = request.host.partition(":")
    return Request(
        method=request.method,
        path=unquote(request.path),
        raw_path=request.path,
        query_string=request.query_string,
        headers=_headers(request),
        body=request.body,
        scheme="https" if port in _HTTPS_PORTS else "http",
        server=(name or "localhost", int(port) if port.isdecimal() else None),
        remote_addr="127.0.0.1",
    )


def _headers(request: AwsRequest) -> dict[str, str]:
    headers: dict[str, str] = {"Host": request.host}
    for name, value in request.headers:
        lower = name.lower()
        if lower not in {"host", "transfer-encoding"}:
            known = next((k for k in headers if k.lower() == lower), name)
            headers[known] = f"{headers[known]},{value}" if known in headers else value
    return headers


def _as_answer(request: AwsRequest, response: Response, body: bytes) -> AwsResponse:
    return replies.response(request, response.status_code, dict(response.headers), body)
