"""Where a handshake leads: from an upgrade request to a deployed stage, or a refusal.

Rules: 2.01, 2.04, 2.17, 2.18, 2.42.
"""

from http import HTTPStatus
from typing import Final

from socketstack.clock import Clock
from socketstack.core import addressing
from socketstack.core.causes import Cause
from socketstack.core.limits import URL_MAX_CHARACTERS
from socketstack.core.model import Connection, Upgrade
from socketstack.dataplane.handshake import Handshake, Refused, Secrets, shown_path
from socketstack.ids import Ids
from socketstack.store import Store

_FORBIDDEN: Final = HTTPStatus.FORBIDDEN


class Reception:
    """Finds the stage that a handshake wants, and gives the connection its name."""

    def __init__(self, *, store: Store, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    def receive(self, upgrade: Upgrade) -> Handshake | Refused:
        """The handshake of an upgrade request; nothing is called for it yet."""
        characters = len(f"wss://{upgrade.host}{upgrade.raw_target}")
        if characters > URL_MAX_CHARACTERS:
            return Refused(
                status=HTTPStatus.REQUEST_URI_TOO_LONG,
                reason=f"The URL has {characters} characters; "
                f"{URL_MAX_CHARACTERS} is the limit. Use a shorter token. [2.04]",
                cause=Cause.URL_TOO_LONG,
            )
        domain = self._store.domain(addressing.host_name(upgrade.host))
        location = addressing.locate_upgrade(upgrade.host, upgrade.path, domain)
        if location is None:
            return Refused(
                status=_FORBIDDEN,
                reason=addressing.explain_upgrade(upgrade.host, shown_path(upgrade.path), domain)
                + " [2.18]",
                cause=Cause.ADDRESS,
            )
        stage = self._store.deployed_stage(location.api_id, location.stage)
        if stage is None:
            reason, cause = self._why_not_deployed(location.api_id, location.stage)
            return Refused(status=_FORBIDDEN, reason=reason, cause=cause)
        if location.region not in {None, stage.snapshot.region}:
            return Refused(
                status=_FORBIDDEN,
                reason=f"API {location.api_id} is in {stage.snapshot.region}, and the host names "
                f"{location.region}, where there is no such API. [2.01]",
                cause=Cause.NO_SUCH_API,
            )
        now_ms = self._clock.now_ms()
        request_id = self._ids.socket_id()
        connection = Connection(
            connection_id=self._ids.socket_id(),
            api_id=location.api_id,
            stage_name=location.stage,
            account_id=stage.snapshot.account_id,
            region=stage.snapshot.region,
            domain_name=location.domain_name,
            connected_at_ms=now_ms,
            source_ip=upgrade.source_ip,
            user_agent=upgrade.header("User-Agent"),
        )
        digits = self._ids.uuid().replace("-", "")
        return Handshake(
            upgrade=upgrade,
            secrets=Secrets(upgrade),
            stage=stage,
            connection=connection,
            request_id=request_id,
            time_ms=now_ms,
            is_custom_domain=location.is_custom_domain,
            trace_id=f"Root=1-{now_ms // 1000:08x}-{digits[:24]}",
        )

    def _why_not_deployed(self, api_id: str, stage_name: str) -> tuple[str, Cause]:
        if not self._store.has_api(api_id):
            return f"There is no API {api_id}. [2.18]", Cause.NO_SUCH_API
        if not self._store.has_stage(api_id, stage_name):
            reason = f"API {api_id} has no stage {shown_path(stage_name)!r}. [2.18]"
            return reason, Cause.NO_SUCH_STAGE
        reason = (
            f"The stage {stage_name!r} of API {api_id} has no deployment. Create one, or turn "
            "auto-deploy on. [2.17]"
        )
        return reason, Cause.NOT_DEPLOYED
