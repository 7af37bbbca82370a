"""The management API: post to, look at and delete a connection.

Who may call is decided before (``access``); here the address is: a connection is reached only
through the API and stage it was opened on, or by its id alone, which names its API.

Rules: area 7.
"""

import re
from datetime import UTC, datetime
from typing import Final

from socketstack.core.addressing import ManagementTarget
from socketstack.core.limits import POSTED_MAX_BYTES
from socketstack.core.model import DeployedStage, Json
from socketstack.dataplane.throttling import Throttling
from socketstack.errors import BadRequest, Forbidden, Gone, LimitExceeded, PayloadTooLarge
from socketstack.store import OpenConnection, Store
from socketstack.trace import Step, Trace

_CONNECTION_ID: Final = re.compile(r"[A-Za-z0-9_-]{15}=")


class Management:
    """Reaches open connections from outside."""

    def __init__(self, *, store: Store, trace: Trace, throttling: Throttling) -> None:
        self._store = store
        self._trace = trace
        self._throttling = throttling

    async def post(self, target: ManagementTarget, data: bytes) -> None:
        """Send a message to a client. Rules 7.10, 7.16, 7.17.

        Raises ``Forbidden``, ``BadRequest``, ``Gone``, ``PayloadTooLarge``, ``LimitExceeded``.
        """
        entry = self._find(target)
        if len(data) > POSTED_MAX_BYTES:
            message = f"Message too long: {len(data)} bytes, {POSTED_MAX_BYTES} is the limit"
            raise PayloadTooLarge(message)
        await entry.peer.send(self._as_text(entry, data))
        self._tell(entry, f"{len(data)} bytes posted")

    def _as_text(self, entry: OpenConnection, data: bytes) -> bytes:
        """What is no UTF-8 would break the client's socket: replaced, and said (7.24 is open)."""
        try:
            data.decode()
        except UnicodeDecodeError:
            summary = "What was posted is no UTF-8; the bytes in question are replaced. [7.24]"
            self._tell(entry, summary, Step.WARNING)
            return data.decode("utf-8", "replace").encode()
        return data

    def get(self, target: ManagementTarget) -> dict[str, Json]:
        """What is known of a connection, as JSON members. Rules 7.19, 7.20."""
        entry = self._find(target)
        connection = entry.connection
        return {
            "connectedAt": _moment(connection.connected_at_ms),
            "identity": {"sourceIp": connection.source_ip, "userAgent": connection.user_agent},
            "lastActiveAt": _moment(entry.last_active_ms),
        }

    async def delete(self, target: ManagementTarget) -> None:
        """Close a connection. Rules 7.18, 7.27, 7.28."""
        entry = self._find(target)
        self._tell(entry, "deleted")
        await entry.peer.close(1000, "Connection Closed Normally")

    def _find(self, target: ManagementTarget) -> OpenConnection:
        self._check_address(target)
        if not _CONNECTION_ID.fullmatch(target.connection_id):
            raise BadRequest(f"Invalid connectionId: {target.connection_id}")
        entry = self._store.connection(target.connection_id)
        if entry is None:
            raise Gone  # 7.12 to 7.14
        connection = entry.connection
        if target.api_id is None:
            stage = self._store.deployed_stage(connection.api_id, connection.stage_name)
            self._check_endpoint(stage, target)
            self._count(connection.account_id, connection.region)
        if target.api_id is not None and (connection.api_id, connection.stage_name) != (
            target.api_id,
            target.stage,
        ):
            raise Forbidden("Forbidden")  # 7.29
        if target.api_id is None and target.stage not in {None, connection.stage_name}:
            raise Forbidden("Forbidden")
        return entry

    def _check_address(self, target: ManagementTarget) -> None:
        if target.api_id is None:
            return
        stage = self._store.deployed_stage(target.api_id, target.stage or "")
        if stage is None:
            raise Forbidden("Forbidden")  # 7.11
        self._check_endpoint(stage, target)
        self._count(stage.snapshot.account_id, stage.snapshot.region)

    def _check_endpoint(self, stage: DeployedStage | None, target: ManagementTarget) -> None:
        """Refuse calls through a default endpoint that is disabled. Rule 2.19."""
        if stage is None or target.is_custom_domain:
            return
        if stage.snapshot.is_execute_api_endpoint_disabled:
            self._trace.emit(
                Step.REFUSED,
                "403: the API's default endpoint is disabled. Post to its custom domain name, "
                "https://{domain}/{mappingKey}. [2.19]",
                api_id=stage.snapshot.api_id,
                stage_name=stage.settings.stage_name,
                status=403,
            )
            raise Forbidden("Forbidden")

    def _count(self, account_id: str, region: str) -> None:
        """Count a call against the account's limit, which all APIs share. Rules 6.16, 7.17."""
        throttled = self._throttling.call(account_id, region)
        if throttled is not None:
            self._trace.emit(Step.REFUSED, f"429: {throttled}", status=429)
            raise LimitExceeded("Too Many Requests")

    def _tell(self, entry: OpenConnection, summary: str, step: Step = Step.PUSH) -> None:
        connection = entry.connection
        self._trace.emit(
            step,
            summary,
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            connection_id=connection.connection_id,
        )


def _moment(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"
