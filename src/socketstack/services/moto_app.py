"""moto in process: AWS requests in, AWS responses out, without a second server.

Nothing of moto is imported before a call needs it, and then only the service it needs
(``sparse_imports``); what moto does wrong is mended right after (``moto_repairs``). All of moto
runs in one thread (``worker``), so callers need no locks. moto's state belongs to the process: one
``MotoApp`` at a time, and ``stop`` clears it.

No signature is checked here and no permission of the caller: ``guard`` does, in front of it, where
it is asked to.
"""

import asyncio
import itertools
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from socketstack.ids import Ids, RandomIds
from socketstack.services import aws_chunked, moto_repairs, replies, sparse_imports, targets
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.targets import Target
from socketstack.services.worker import Worker

T = TypeVar("T")
Handle = Callable[[AwsRequest], Awaitable[AwsResponse]]
_Prepare = Callable[[], None]
_BeforeCall = Callable[[AwsRequest], None]
_MotoHandler = Callable[[Any, str, Any], Any]

_STOP_SECONDS: Final = 5.0
_READS: Final = re.compile(r"(Describe|List|Get|Validate|Detect|Estimate)")
_HOP_BY_HOP: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_NAMED_ERROR_ARGUMENTS: Final = 2

_logger = logging.getLogger(__name__)


class MotoApp:
    """The AWS services that are not our own.

    ``generation`` grows with every call that may change functions: each call of lambda or
    cloudformation that is not a read. Whoever changes functions otherwise calls ``changed``.
    ``identity_generation`` grows likewise with calls that may change who may do what.
    """

    def __init__(self, *, account_id: str, region: str, ids: Ids | None = None) -> None:
        self.account_id = account_id
        self.region = region
        self.generation = 0
        self.identity_generation = 0
        self._generations = itertools.count(1)
        self._ids = ids or RandomIds()
        self._worker = Worker()
        self._routes: dict[str, list[tuple[re.Pattern[str], _MotoHandler]]] = {}
        self._preparations: list[tuple[str, _Prepare]] = []
        self._before_calls: dict[str, list[_BeforeCall]] = {}
        self._replacements: dict[str, Handle] = {}
        self._is_configured = False

    async def handle(self, request: AwsRequest) -> AwsResponse:
        """Answer any AWS call; raises nothing but ``CancelledError``.

        A service or operation that moto does not have is a 501 that names it; an unexpected
        failure is logged once and answered with a 500 in the protocol of the request.
        """
        if replacement := self._replacements.get(targets.service_name(request)):
            return await replacement(request)
        return await self.answer(request)

    async def answer(self, request: AwsRequest) -> AwsResponse:
        """Answer by moto itself, past what ``replace_service`` put in its place."""
        try:
            future = self._worker.submit(lambda: self._answer(request))
        except RuntimeError as stopped:
            return self._error(request, 503, "ServiceUnavailable", str(stopped))
        return await asyncio.wrap_future(future)

    async def run(self, call: Callable[[], T]) -> T:
        """Run something else in moto's thread and wait for what it returns or raises.

        Inside, moto's modules may be imported and used; ``load`` a service first.
        """

        def configured() -> T:
            self._configure()
            return call()

        return await asyncio.wrap_future(self._worker.submit(configured))

    def submit(self, call: _Prepare) -> None:
        """Run something in moto's thread without waiting; from any thread, not after ``stop``."""
        self._worker.submit(call)

    def released(self) -> AbstractContextManager[None]:
        """Inside moto's thread: let other calls in while this one waits for something else."""
        return self._worker.released()

    def changed(self) -> None:
        """Say that functions may have changed; from any thread."""
        # Not an addition, which two threads could make to the same number.
        self.generation = next(self._generations)

    def load(self, service: str) -> None:
        """Import one of moto's services (its folder's name) and mend it; in moto's thread.

        Raises ``ModuleNotFoundError``.
        """
        self._configure()
        if not sparse_imports.is_loaded(service):
            sparse_imports.load_service(service)
        moto_repairs.apply()
        self._prepare()

    def before_service(self, service: str, prepare: _Prepare) -> None:
        """Run ``prepare`` in moto's thread once, as soon as ``service`` is there.

        For replacements inside moto. ``service`` is the name of moto's folder, for example
        ``awslambda``.
        """
        self._preparations.append((service, prepare))

    def before_calls(self, service: str, prepare: _BeforeCall) -> None:
        """Run ``prepare`` in moto's thread before each call of ``service`` is answered."""
        self._before_calls.setdefault(service, []).append(prepare)

    def replace_service(self, name: str, handle: Handle) -> None:
        """Let calls of a service be answered by ``handle``, on the event loop, not by moto.

        ``name`` is the service's signing name, for example ``cloudformation``.
        """
        self._replacements[name] = handle

    async def stop(self) -> None:
        """Finish calls under way, forget all state and end the thread; at most five seconds."""
        if "moto.core" in sys.modules and self._is_configured:
            await self.run(moto_repairs.forget_everything)
        await asyncio.to_thread(self._worker.stop, _STOP_SECONDS)

    # In moto's thread

    def _configure(self) -> None:
        if not self._is_configured:
            self._is_configured = True
            moto_repairs.configure(self.account_id)

    def _prepare(self) -> None:
        waiting, self._preparations = self._preparations, []
        for service, prepare in waiting:
            if sparse_imports.is_loaded(service):
                prepare()
            else:
                self._preparations.append((service, prepare))

    def _answer(self, request: AwsRequest) -> AwsResponse:
        try:
            self._configure()
            target = targets.locate(request, self.region)
            return self._dispatch(request, target)
        except Exception as failure:  # the border to moto: whatever it raises becomes an answer
            named = failure.args if isinstance(failure, ValueError) else ()
            if len(named) == _NAMED_ERROR_ARGUMENTS and str(named[0]).endswith("Exception"):
                # How moto refuses in places where it should raise its own errors.
                return self._error(request, 400, str(named[0]), str(named[1]))
            _logger.exception("An AWS call failed: %s %s", request.method, request.path)
            return self._error(
                request, 500, "InternalFailure", "This call failed in the engine; see its log."
            )

    def _dispatch(self, request: AwsRequest, target: Target) -> AwsResponse:
        if target.service is None:
            return self._unknown(request, f"The service {target.name!r} is not available.")
        try:
            self.load(target.service)
        except ModuleNotFoundError as missing:
            return self._unknown(request, f"The service {target.name!r} needs {missing.name}.")
        handler = self._handler(target)
        if handler is None:
            return self._unknown(request, f"{target.name} has no {request.method} {request.path}.")
        for prepare in self._before_calls.get(target.service, ()):
            prepare(request)
        try:
            request = _decoded(request)
        except aws_chunked.MalformedChunks as malformed:
            return self._error(request, 400, "IncompleteBody", str(malformed))
        try:
            return self._call(request, target, handler)
        finally:
            if _changes_functions(target.service, request):
                self.changed()
            if _changes_identities(target.service, request):
                self.identity_generation = next(self._generations)

    def _call(self, request: AwsRequest, target: Target, handler: _MotoHandler) -> AwsResponse:
        from werkzeug.exceptions import HTTPException  # noqa: PLC0415 - loaded with moto

        host = target.url.split("/", 3)[2]
        asked = sparse_imports.moto_module("core.request").Request.from_primitives(
            request.method, target.url, _headers(request, host), request.body
        )
        try:
            status, headers, body = handler(asked, asked.raw_url, asked.headers)
        except HTTPException as refused:
            status, headers, body = refused.code, dict(refused.get_headers()), refused.get_body()
        except ClientError as refused:
            refusal = refused.response["Error"]
            return self._error(request, 400, refusal["Code"], refusal["Message"])
        except NotImplementedError as missing:
            return self._unknown(request, str(missing) or f"{target.name} lacks this operation.")
        if (int(status), body, target.name == "s3") == (404, "", False):
            return self._unknown(request, f"{target.name} has no {request.method} {request.path}.")
        if target.service == "sqs":
            body = _reachable(body, host, request.host)
        return replies.response(request, int(status), headers, body)

    def _handler(self, target: Target) -> _MotoHandler | None:
        service = str(target.service)
        routes = self._routes.get(service)
        if routes is None:
            routes = self._routes[service] = _routes(service)
        url = target.url.partition("?")[0]
        return next((handler for pattern, handler in routes if pattern.match(url)), None)

    def _unknown(self, request: AwsRequest, message: str) -> AwsResponse:
        return self._error(request, 501, "NotImplemented", message)

    def _error(self, request: AwsRequest, status: int, code: str, message: str) -> AwsResponse:
        return replies.error(
            request,
            service=targets.service_name(request),
            status=status,
            code=code,
            message=message,
            request_id=self._ids.uuid(),
        )


def _routes(service: str) -> list[tuple[re.Pattern[str], _MotoHandler]]:
    """Moto's table of addresses, compiled once instead of for every call."""
    urls = sparse_imports.moto_module(f"{service}.urls")
    return [
        (re.compile(path.format(base)), handler)
        for base in urls.url_bases
        for path, handler in urls.url_paths.items()
    ]


def _headers(request: AwsRequest, host: str) -> dict[str, str]:
    """Headers as WSGI has them: one value per name, and the host of the AWS address."""
    headers = {"Host": host}
    seen: dict[str, str] = {}
    for name, value in request.headers:
        if name.lower() in _HOP_BY_HOP:
            continue
        first = seen.setdefault(name.lower(), name)
        headers[first] = f"{headers[first]},{value}" if first in headers else value
    return headers


def _decoded(request: AwsRequest) -> AwsRequest:
    """An upload in chunks as a plain one, its trailing checksum as a header."""
    if not aws_chunked.is_chunked(request.header("x-amz-content-sha256")):
        return request
    whole = aws_chunked.unchunk(request.body)
    headers = [
        (name, value)
        for name, value in request.headers
        if name.lower() not in {"content-encoding", "x-amz-content-sha256", "x-amz-trailer"}
    ]
    encodings = [
        part.strip()
        for part in (request.header("Content-Encoding") or "").split(",")
        if part.strip() not in {"", "aws-chunked"}
    ]
    if encodings:
        headers.append(("Content-Encoding", ",".join(encodings)))
    headers += [("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), *whole.trailers.items()]
    return AwsRequest(
        method=request.method,
        host=request.host,
        path=request.path,
        query_string=request.query_string,
        headers=tuple(headers),
        body=whole.data,
    )


def _reachable(body: Any, host: str, own_host: str) -> Any:
    """Queue URLs lead to this engine, not to AWS."""
    text = body.decode() if isinstance(body, bytes) else body
    return text.replace(f"https://{host}/", f"http://{own_host}/") if text else text


def _changes_functions(service: str, request: AwsRequest) -> bool:
    if service == "awslambda":
        return request.method not in {"GET", "HEAD"}
    if service == "cloudformation":
        return not _READS.match(targets.query_fields(request).get("Action", ""))
    return False


def _changes_identities(service: str, request: AwsRequest) -> bool:
    if service == "iam":
        return not _READS.match(targets.query_fields(request).get("Action", ""))
    return service == "sts"  # most of its calls make keys, also those that are named Get
