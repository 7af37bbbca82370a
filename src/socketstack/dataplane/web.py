"""The data plane's border: aiohttp requests in, sockets and HTTP answers out.

Outcomes of the handshake and errors of the management API become HTTP here and nowhere else.

Rules: 2.06, 2.21 to 2.25, 2.29, 7.10 to 7.18.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from aiohttp import HttpVersion11, web
from aiohttp.http import RawRequestMessage

from socketstack import heap
from socketstack.clock import Clock
from socketstack.core import addressing
from socketstack.core.canonical import SignedRequest
from socketstack.core.causes import Cause
from socketstack.core.lifecycle import Event
from socketstack.core.limits import POSTED_MAX_BYTES
from socketstack.core.model import Upgrade
from socketstack.dataplane.access import ManagementAccess
from socketstack.dataplane.callers import Callers, NoCallers
from socketstack.dataplane.connect import Connect
from socketstack.dataplane.counts import Counts
from socketstack.dataplane.deadlines import Deadlines
from socketstack.dataplane.dispatch import Dispatch
from socketstack.dataplane.frames import (
    GuardedHandler,
    HandedOver,
    is_upgraded,
    switching_protocols,
)
from socketstack.dataplane.goodbyes import Goodbyes
from socketstack.dataplane.handshake import Admitted, Refused, shown_path
from socketstack.dataplane.integrations import Integrations
from socketstack.dataplane.management import Management
from socketstack.dataplane.permits import Permits
from socketstack.dataplane.pipeline import Pipeline
from socketstack.dataplane.roles import Roles
from socketstack.dataplane.session import Session
from socketstack.dataplane.stage_logs import NO_STAGE_LOGS, StageLogs, StageLogSink
from socketstack.dataplane.throttling import AWS_ACCOUNT, AccountThrottles, Throttling
from socketstack.errors import Gone, NotFound, ServiceError
from socketstack.ids import Ids
from socketstack.runner.base import Runner
from socketstack.store import Store
from socketstack.trace import Step, Trace

if TYPE_CHECKING:
    from socketstack.dataplane.backends.base import AwsServices

_STOP_SECONDS: Final = 1.0
_CUT_SECONDS: Final = 0.3
_MANY_SOCKETS: Final = 1000
"""When so many have closed, and no other is closing, their memory goes back to the system."""
_VERSION: Final = "13"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_MESSAGES: Final = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal server error",
    HTTPStatus.BAD_GATEWAY: "Internal server error",
    HTTPStatus.GATEWAY_TIMEOUT: "Endpoint request timed out",
}

RawHeaders = Sequence[tuple[bytes, bytes]]

_logger = logging.getLogger(__name__)


class DataPlane:
    """Sockets and ``@connections`` of all APIs."""

    def __init__(
        self,
        *,
        store: Store,
        runner: Runner,
        permits: Permits,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        logs: StageLogSink = NO_STAGE_LOGS,
        logs_clock: Clock | None = None,
        callers: Callers | None = None,
        roles: Roles | None = None,
        is_iam_enforced: bool = False,
        account: AccountThrottles = AWS_ACCOUNT,
        services: "AwsServices | None" = None,
        ca_bundle: Callable[[], Path] | None = None,
        own_port: int | None = None,
    ) -> None:
        self.counts = Counts()
        self._store = store
        self._clock = clock
        self._ids = ids
        self._trace = trace
        callers = callers or NoCallers()
        integrations = Integrations(runner, permits, roles)
        self._pipeline = Pipeline(
            integrations=integrations,
            services=services,
            ca_bundle=ca_bundle,
            own_port=own_port,
        )
        stage_logs = StageLogs(sink=logs, clock=logs_clock or clock, trace=trace)
        throttling = Throttling(clock=clock, account=account)
        self._connect = Connect(
            store=store,
            integrations=integrations,
            pipeline=self._pipeline,
            clock=clock,
            ids=ids,
            trace=trace,
            logs=stage_logs,
            callers=callers,
            throttling=throttling,
        )
        self._dispatch = Dispatch(
            store=store,
            pipeline=self._pipeline,
            clock=clock,
            ids=ids,
            trace=trace,
            logs=stage_logs,
            throttling=throttling,
            counts=self.counts,
        )
        self._management = Management(store=store, trace=trace, throttling=throttling)
        self._access = ManagementAccess(
            store=store, callers=callers, trace=trace, is_enforced=is_iam_enforced
        )
        self._deadlines = Deadlines(store=store, clock=clock, end=self._end)
        self._sessions: dict[str, Session] = {}
        self._goodbyes = Goodbyes(on_finished=self._finished, on_rest=self._rest)
        self._running = self._goodbyes.tasks
        self._ended = 0
        """Sessions that have ended since memory was given back."""
        self._is_stopping = False

    # Sockets

    async def upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a handshake, or a plain request to a socket's address."""
        admitted = await self._admit(request)
        return self._open(request, admitted) if isinstance(admitted, Admitted) else admitted

    async def _admit(self, request: web.BaseRequest) -> Admitted | web.Response:
        upgrade = _upgrade(request)
        if not upgrade.is_websocket:
            return self._refuse_plain(upgrade)
        if self._is_stopping:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        if not (_has_form(request, upgrade) and is_upgraded(request)):
            return self._refuse_form(request, upgrade)
        try:
            outcome = await self._connect.admit(upgrade)
        except Exception:
            _logger.exception("A handshake with %s failed", shown_path(upgrade.path))
            reason = "the engine failed; its log has the traceback"
            return self._told(HTTPStatus.INTERNAL_SERVER_ERROR, reason, Cause.INTERNAL)
        if isinstance(outcome, Refused):
            return _refusal(outcome.status, outcome.request_id, outcome.message)
        return outcome

    def _open(self, request: web.BaseRequest, admitted: Admitted) -> web.StreamResponse:
        connection = admitted.connection
        if request.transport is None or request.transport.is_closing():
            reason = "the client left during the handshake"
            return self._not_opened(admitted, HTTPStatus.SERVICE_UNAVAILABLE, reason)
        if self._is_stopping:
            return self._not_opened(
                admitted, HTTPStatus.SERVICE_UNAVAILABLE, "the engine is stopping"
            )
        if self._store.deployed_stage(connection.api_id, connection.stage_name) is None:
            reason = (
                "the stage was removed, or lost its deployment, during the handshake. Deploy it "
                "and connect again. [2.17, 2.18]"
            )
            return self._not_opened(admitted, HTTPStatus.FORBIDDEN, reason)
        key = request.headers["Sec-WebSocket-Key"]
        head = switching_protocols(key, admitted.subprotocol)
        transport = request.transport
        session = Session(
            connection=connection,
            transport=transport,
            inbox=cast("GuardedHandler", request.protocol).hand_over(head).inbox,
            store=self._store,
            dispatch=self._dispatch,
            clock=self._clock,
            trace=self._trace,
            counts=self.counts,
            on_over=self._goodbyes.take,
        )
        self._serve(admitted, session)
        return HandedOver()

    def _not_opened(
        self, admitted: Admitted, status: HTTPStatus, reason: str
    ) -> web.StreamResponse:
        """An admitted handshake that cannot become a socket any more."""
        connection = admitted.connection
        self._trace.emit(
            Step.REFUSED,
            f"{int(status)}: {reason}",
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            connection_id=connection.connection_id,
            request_id=admitted.request_id,
            cause=Cause.ENDED_MEANWHILE,
            status=int(status),
        )
        return _refusal(status, admitted.request_id)

    def _told(
        self, status: HTTPStatus, reason: str, cause: Cause, kind: str = "CONNECT"
    ) -> web.Response:
        """Refuse what never got as far as a handshake of some stage."""
        request_id = self._ids.socket_id()
        self._trace.emit(
            Step.REFUSED,
            f"{int(status)}: {reason}",
            request_id=request_id,
            cause=cause,
            status=int(status),
            kind=kind,
        )
        return _refusal(status, request_id)

    def _serve(self, admitted: Admitted, session: Session) -> None:
        connection = admitted.connection
        self._store.add_connection(connection, session)
        # The handshake's own time is no idle time.
        self._store.touch(connection.connection_id, self._clock.now_ms())
        self._sessions[connection.connection_id] = session
        self._deadlines.watch(connection.connection_id)
        self._trace.emit(
            Step.CONNECTED,
            f"{self._store.connection_count()} open",
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            connection_id=connection.connection_id,
            request_id=admitted.request_id,
            subprotocol=admitted.subprotocol,
        )
        session.begin()
        if self._is_stopping:
            session.end(Event.SHUTDOWN)

    def _finished(self, session: Session) -> None:
        session.release()
        self._sessions.pop(session.connection.connection_id, None)
        self._ended += 1

    def _rest(self) -> None:
        if self._ended >= _MANY_SOCKETS:
            self._ended = 0
            self._deadlines.forget_closed()
            heap.give_back(with_garbage=True)

    def _refuse_plain(self, upgrade: Upgrade) -> web.Response:
        """A request without upgrade headers runs no function: 426 at a stage, else 403 (2.21)."""
        domain = self._store.domain(addressing.host_name(upgrade.host))
        location = addressing.locate_upgrade(upgrade.host, upgrade.path, domain)
        is_stage = location is not None and (
            self._store.deployed_stage(location.api_id, location.stage) is not None
        )
        status = HTTPStatus.FORBIDDEN
        if is_stage and upgrade.method == "GET":
            status = HTTPStatus.UPGRADE_REQUIRED
        reason = f"{upgrade.method} {shown_path(upgrade.path)} is no WebSocket handshake. [2.21]"
        return self._told(status, reason, Cause.NOT_A_HANDSHAKE)

    def _refuse_form(self, request: web.BaseRequest, upgrade: Upgrade) -> web.Response:
        """A handshake that is none; whatever follows it on this connection is not read."""
        reason = (
            f"the upgrade request for {shown_path(upgrade.path)} is malformed: it needs HTTP/1.1, "
            f"a Host, Sec-WebSocket-Version {_VERSION}, one Sec-WebSocket-Key of 16 bytes in "
            "base64, and no body."
        )
        # aiohttp would wait ten seconds for a body, the client gone or not.
        request.content.feed_eof()
        answer = self._told(HTTPStatus.BAD_REQUEST, reason, Cause.MALFORMED_HANDSHAKE)
        answer.force_close()
        return answer

    def _end(self, connection_id: str, cause: Event) -> None:
        session = self._sessions.get(connection_id)
        if session is not None:
            session.end(cause)

    async def close_api(self, api_id: str, stage: str | None) -> None:
        """Close the sockets of an API, or of one of its stages, because it was removed."""
        for session in tuple(self._sessions.values()):
            connection = session.connection
            if connection.api_id == api_id and stage in {None, connection.stage_name}:
                session.end(Event.REMOVED)

    async def stop(self) -> None:
        """Close every socket with 1001; ``$disconnect`` functions have a second to run."""
        self._is_stopping = True
        await self._deadlines.stop()
        for session in tuple(self._sessions.values()):
            session.end(Event.SHUTDOWN)
        await self._wait_for_sessions(_CUT_SECONDS)
        for session in tuple(self._sessions.values()):
            session.abort()
        await self._wait_for_sessions(_STOP_SECONDS)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for session in tuple(self._sessions.values()):
            session.release()
        await self._pipeline.stop()

    async def _wait_for_sessions(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._running:  # one that ends may start another
                    await asyncio.wait(self._running)

    # The management API

    async def connections(self, request: web.BaseRequest) -> web.Response:
        """Answer a POST, GET or DELETE on a connection."""
        try:
            body = await _posted(request)
        except (ConnectionError, web.RequestPayloadError):
            return _refusal(HTTPStatus.BAD_REQUEST)  # the poster hung up: nobody reads this
        call = _call(request.method, request.raw_path, request.headers, request.raw_headers, body)
        return self._managed(call, request.remote or "")

    def post(self, message: RawRequestMessage, body: bytes, source_ip: str) -> web.Response:
        """Answer a POST on a connection whose whole body is there; raises nothing."""
        call = _call(message.method, message.path, message.headers, message.raw_headers, body)
        return self._managed(call, source_ip)

    def _managed(self, call: SignedRequest, source_ip: str) -> web.Response:
        domain = self._store.domain(addressing.host_name(call.host))
        target = addressing.locate_connection(call.host, call.path, domain)
        if target is None:
            return self._unmapped(call, is_custom=domain is not None)
        request_id = self._ids.socket_id()
        try:
            response = self._manage(call, target, source_ip, request_id)
        except ServiceError as error:
            response = _service_error(error)
        except Exception:
            _logger.exception("A management call failed")
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        response.headers["x-amzn-RequestId"] = request_id
        return response

    def _unmapped(self, call: SignedRequest, *, is_custom: bool) -> web.Response:
        """A call whose address leads nowhere; on custom domain names in AWS's words (7.03)."""
        if not is_custom:
            reason = f"{call.host}{shown_path(call.path)} names no API and stage. [7.11]"
            return self._told(HTTPStatus.FORBIDDEN, reason, Cause.WRONG_STAGE, "@connections")
        reason = (
            f"{call.host} maps nothing to {shown_path(call.path)}. Put the mapping key in the "
            "stage's place: https://{domain}/{mappingKey}. [7.02, 7.03]"
        )
        self._told(HTTPStatus.NOT_FOUND, reason, Cause.UNMAPPED_PATH, "@connections")
        said = f"No method found matching route {call.path[1:]} for http method {call.method}."
        return _service_error(NotFound(said))

    def _manage(
        self,
        call: SignedRequest,
        target: addressing.ManagementTarget,
        source_ip: str,
        request_id: str,
    ) -> web.Response:
        denial = self._access.denial(call, target, source_ip, request_id)
        if denial is not None:
            headers = {"x-amzn-ErrorType": denial.code}
            return web.json_response({denial.member: denial.message}, status=403, headers=headers)
        match call.method:
            case "POST":
                self._management.post(target, call.body, request_id)
                return web.Response()
            case "GET":
                return web.json_response(self._management.get(target, request_id))
            case "DELETE":
                self._management.delete(target, request_id)
                return web.Response(status=HTTPStatus.NO_CONTENT)
            case _:
                return _refusal(HTTPStatus.FORBIDDEN)


async def _posted(request: web.BaseRequest) -> bytes:
    """The body, read no further than one byte over the limit."""
    content = request.content
    if content.is_eof() and content.total_bytes <= POSTED_MAX_BYTES:
        return content.read_nowait()  # it came with its head, as most do
    body = bytearray()
    async for chunk in content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > POSTED_MAX_BYTES:
            break
    return bytes(body)


def _call(
    method: str,
    target: str,
    headers: Mapping[str, str],
    raw_headers: RawHeaders,
    body: bytes,
) -> SignedRequest:
    path, _, query = target.partition("?")
    return SignedRequest(
        method=method,
        host=headers.get("Host", ""),
        path=path,
        query=query,
        headers=_as_sent(raw_headers),
        body=body,
    )


def _upgrade(request: web.BaseRequest) -> Upgrade:
    asks = (
        request.method == "GET"
        and request.headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in request.headers.get("Connection", "").lower()
    )
    return Upgrade(
        method=request.method,
        host=request.headers.get("Host", ""),
        path=request.raw_path.partition("?")[0],  # as sent: no stage is written in % codes
        raw_target=request.raw_path,
        query=tuple(request.query.items()),
        headers=_as_sent(request.raw_headers),
        source_ip=request.remote or "",
        is_websocket=asks,
    )


def _has_form(request: web.BaseRequest, upgrade: Upgrade) -> bool:
    """Whether a handshake is whole: HTTP/1.1 with a host, key and version, and without a body."""
    return bool(
        request.version == HttpVersion11
        and upgrade.host
        and upgrade.header("Sec-WebSocket-Version") == _VERSION
        and _KEY.fullmatch(upgrade.header("Sec-WebSocket-Key") or "")
        and "Transfer-Encoding" not in request.headers
        and request.headers.get("Content-Length", "0") == "0"
    )


def _as_sent(headers: RawHeaders) -> tuple[tuple[str, str], ...]:
    """Headers in the client's own spelling: aiohttp's mapping rewrites names it knows (2.33)."""
    return tuple(
        [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in headers]
    )


def _refusal(status: int, request_id: str = "", said: str = "") -> web.Response:
    """A refused request: the status, and a body that tells no more than AWS's does."""
    known = HTTPStatus(status) if status in HTTPStatus._value2member_map_ else None
    message = said or (_MESSAGES.get(known) if known else None)
    response = web.json_response(
        {"message": message or (known.phrase if known else "")}, status=status
    )
    if request_id:
        response.headers["x-amzn-RequestId"] = request_id
    if status == HTTPStatus.FORBIDDEN:
        response.headers["x-amzn-ErrorType"] = "ForbiddenException"
    if status == HTTPStatus.UPGRADE_REQUIRED:
        response.headers["Upgrade"] = "websocket"
    return response


def _service_error(error: ServiceError) -> web.Response:
    """An error of the management API; a gone connection has an empty body (7.13)."""
    headers = {"x-amzn-ErrorType": error.code}
    if isinstance(error, Gone):
        return web.Response(status=error.status, headers=headers)
    return web.json_response({"message": error.message}, status=error.status, headers=headers)
