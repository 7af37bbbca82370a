"""The management API: post to, look at and delete a connection.

Who may call is decided before (``access``); here the address is: a connection is reached only
through the API and stage it was opened on, or by its id alone, which names its API.

Rules: area 7.
"""

import re
from datetime import UTC, datetime
from typing import Final

from socketstack.core.addressing import ManagementTarget
from socketstack.core.causes import Cause
from socketstack.core.limits import POSTED_MAX_BYTES
from socketstack.core.model import DeployedStage, Json
from socketstack.dataplane.handshake import shown_path
from socketstack.dataplane.throttling import Throttling
from socketstack.errors import (
    BadRequest,
    Forbidden,
    Gone,
    LimitExceeded,
    PayloadTooLarge,
    ServiceError,
)
from socketstack.store import OpenConnection, Store
from socketstack.trace import Step, Trace

_CONNECTION_ID: Final = re.compile(r"[A-Za-z0-9_-]{15}=")


class Management:
    """Reaches open connections from outside.

    Each method takes the ``request_id`` of the call, by which the trace knows it; a refusal is told
    there, with its cause, and raised for the border.
    """

    def __init__(self, *, store: Store, trace: Trace, throttling: Throttling) -> None:
        self._store = store
        self._trace = trace
        self._throttling = throttling

    def post(self, target: ManagementTarget, data: bytes, request_id: str = "") -> None:
        """Send a message to a client. Rules 7.10, 7.16, 7.17.

        Raises ``Forbidden``, ``BadRequest``, ``Gone``, ``PayloadTooLarge``, ``LimitExceeded``.
        """
        entry = self._find(target, request_id)
        if len(data) > POSTED_MAX_BYTES:
            message = f"Message too long: {len(data)} bytes, {POSTED_MAX_BYTES} is the limit"
            raise self._refused(
                target, request_id, PayloadTooLarge(message), Cause.POST_TOO_LARGE, message
            )
        try:
            entry.peer.send(self._as_text(entry, data, request_id))
        except LimitExceeded as full:
            reason = f"{target.connection_id}: {full.message} [7.17]"
            raise self._refused(target, request_id, full, Cause.SLOW_READER, reason) from None
        except Gone as gone:
            raise self._gone(target, request_id, gone) from None
        self._tell(entry, f"{len(data)} bytes posted", request_id)

    def _as_text(self, entry: OpenConnection, data: bytes, request_id: str) -> bytes:
        """What is no UTF-8 would break the client's socket: replaced, and said (7.24 is open)."""
        try:
            data.decode()
        except UnicodeDecodeError:
            summary = "What was posted is no UTF-8; the bytes in question are replaced. [7.24]"
            self._tell(entry, summary, request_id, Step.WARNING)
            return data.decode("utf-8", "replace").encode()
        return data

    def get(self, target: ManagementTarget, request_id: str = "") -> dict[str, Json]:
        """What is known of a connection, as JSON members. Rules 7.19, 7.20."""
        entry = self._find(target, request_id)
        connection = entry.connection
        return {
            "connectedAt": _moment(connection.connected_at_ms),
            "identity": {"sourceIp": connection.source_ip, "userAgent": connection.user_agent},
            "lastActiveAt": _moment(entry.last_active_ms),
        }

    def delete(self, target: ManagementTarget, request_id: str = "") -> None:
        """Close a connection. Rules 7.18, 7.27, 7.28."""
        entry = self._find(target, request_id)
        self._tell(entry, "deleted", request_id)
        entry.peer.close(1000, "Connection Closed Normally")

    def _find(self, target: ManagementTarget, request_id: str) -> OpenConnection:
        self._check_address(target, request_id)
        if not _CONNECTION_ID.fullmatch(target.connection_id):
            shown = shown_path(target.connection_id)
            raise self._refused(
                target,
                request_id,
                BadRequest(f"Invalid connectionId: {target.connection_id}"),
                Cause.MALFORMED_ID,
                f"{shown!r} is no connection id. [7.15]",
            )
        entry = self._store.connection(target.connection_id)
        if entry is None:
            raise self._gone(target, request_id, Gone())
        connection = entry.connection
        if target.api_id is None:
            stage = self._store.deployed_stage(connection.api_id, connection.stage_name)
            self._check_endpoint(stage, target, request_id)
            self._count(target, request_id, connection.account_id, connection.region)
        is_of_stage = target.stage == connection.stage_name
        if target.api_id is None:
            is_right = target.stage is None or is_of_stage
        else:
            is_right = is_of_stage and target.api_id == connection.api_id
        if not is_right:
            reason = (
                f"{target.connection_id} was opened on {connection.api_id}/"
                f"{connection.stage_name}, and the call went to "
                f"{target.api_id or connection.api_id}/{target.stage}. [7.29]"
            )
            raise self._refused(
                target, request_id, Forbidden("Forbidden"), Cause.WRONG_STAGE, reason
            )
        return entry

    def _gone(self, target: ManagementTarget, request_id: str, gone: Gone) -> ServiceError:
        """The 410 of a connection that is not open. Rules 7.12 to 7.14."""
        reason = f"no open connection has the id {target.connection_id}. [7.12, 7.14]"
        return self._refused(target, request_id, gone, Cause.GONE, reason)

    def _check_address(self, target: ManagementTarget, request_id: str) -> None:
        if target.api_id is None:
            return
        stage = self._store.deployed_stage(target.api_id, target.stage or "")
        if stage is None:
            reason = (
                f"no API {target.api_id} is deployed at a stage "
                f"{shown_path(target.stage or '')!r}; the stage belongs into the address. [7.11]"
            )
            raise self._refused(
                target, request_id, Forbidden("Forbidden"), Cause.WRONG_STAGE, reason
            )
        self._check_region(stage, target, request_id)
        self._check_endpoint(stage, target, request_id)
        self._count(target, request_id, stage.snapshot.account_id, stage.snapshot.region)

    def _check_region(
        self, stage: DeployedStage, target: ManagementTarget, request_id: str
    ) -> None:
        """Refuse calls through AWS's name of another Region. Rule 7.01."""
        region = stage.snapshot.region
        if target.region in {None, region}:
            return
        reason = (
            f"the API is in {region}, and the host names {target.region}. Post to the domainName "
            "of the event. [7.01, 7.11]"
        )
        raise self._refused(target, request_id, Forbidden("Forbidden"), Cause.WRONG_STAGE, reason)

    def _check_endpoint(
        self, stage: DeployedStage | None, target: ManagementTarget, request_id: str
    ) -> None:
        """Refuse calls through a default endpoint that is disabled. Rule 2.19."""
        if stage is None or target.is_custom_domain:
            return
        if stage.snapshot.is_execute_api_endpoint_disabled:
            reason = (
                "the API's default endpoint is disabled. Post to its custom domain name, "
                "https://{domain}/{mappingKey}. [2.19]"
            )
            raise self._refused(
                target, request_id, Forbidden("Forbidden"), Cause.ENDPOINT_DISABLED, reason
            )

    def _count(
        self, target: ManagementTarget, request_id: str, account_id: str, region: str
    ) -> None:
        """Count a call against the account's limit, which all APIs share. Rules 6.16, 7.17."""
        throttled = self._throttling.call(account_id, region)
        if throttled is not None:
            error = LimitExceeded("Too Many Requests")
            raise self._refused(target, request_id, error, throttled.cause, throttled.reason)

    def _refused(
        self,
        target: ManagementTarget,
        request_id: str,
        error: ServiceError,
        cause: Cause,
        reason: str,
    ) -> ServiceError:
        """Tell why a call is refused; returns the error to raise."""
        self._trace.emit(
            Step.REFUSED,
            f"{error.status}: {reason}",
            api_id=target.api_id or "",
            stage_name=shown_path(target.stage or ""),
            connection_id=shown_path(target.connection_id),
            request_id=request_id,
            cause=cause,
            status=error.status,
            kind="@connections",
        )
        return error

    def _tell(
        self, entry: OpenConnection, summary: str, request_id: str, step: Step = Step.PUSH
    ) -> None:
        self._trace.publish(step, summary, entry.connection, request_id)


def _moment(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"
