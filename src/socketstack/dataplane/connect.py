"""The ``$connect`` flow: from an upgrade request to a connection or a refusal.

Nothing here touches a socket. The order of checks decides what runs: an address that leads
nowhere and a missing identity source are refused before any function is called.

Rules: areas 2 and 3 of the rule table, 4.03, 4.09.
"""

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Final, assert_never

from socketstack.clock import Clock
from socketstack.core import events, identity, replies
from socketstack.core.model import (
    AuthorizationType,
    DeployedStage,
    InvokeResult,
    Route,
    Upgrade,
)
from socketstack.core.routing import CONNECT
from socketstack.dataplane.authorization import Authorization, Authorized
from socketstack.dataplane.handshake import (
    Admitted,
    Handshake,
    Narrator,
    Refused,
    shown_path,
    without_secrets,
)
from socketstack.dataplane.integrations import Integrations, TimedOut, Unreachable
from socketstack.dataplane.reception import Reception
from socketstack.errors import ExpressionError
from socketstack.ids import Ids
from socketstack.store import Store
from socketstack.trace import Step, Trace

_FORBIDDEN: Final = HTTPStatus.FORBIDDEN
_FAILED: Final = HTTPStatus.INTERNAL_SERVER_ERROR


class Connect:
    """Decides handshakes."""

    def __init__(
        self, *, store: Store, integrations: Integrations, clock: Clock, ids: Ids, trace: Trace
    ) -> None:
        self._integrations = integrations
        self._narrator = Narrator(trace)
        self._reception = Reception(store=store, clock=clock, ids=ids)
        self._authorization = Authorization(
            integrations=integrations, clock=clock, narrator=self._narrator
        )

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        """Decide one handshake; every branch that is not a clear yes is a refusal."""
        handshake = self._reception.receive(upgrade)
        if isinstance(handshake, Refused):
            self._narrator.refused(handshake)
            return handshake
        self._narrator.tell(
            handshake, Step.HANDSHAKE, f"{shown_path(upgrade.path)} from {upgrade.source_ip}"
        )
        outcome = await self._decide(handshake)
        if isinstance(outcome, Refused):
            outcome = replace(
                outcome,
                request_id=handshake.request_id,
                reason=without_secrets(outcome.reason, upgrade),
            )
            self._narrator.refused(outcome, handshake.connection)
        return outcome

    async def _decide(self, handshake: Handshake) -> Admitted | Refused:
        closed = self._closed(handshake.stage)
        if closed is not None:
            return closed
        route = handshake.stage.snapshot.routes.get(CONNECT)
        if route is None:
            # 2.05: a stage without $connect lets everybody in, as on AWS.
            return Admitted(connection=handshake.connection, subprotocol=None)
        refused = self._missing_parameters(handshake, route)
        if refused is not None:
            return refused
        authorized = await self._authorize(handshake, route)
        if isinstance(authorized, Refused):
            return authorized
        if route.api_key_required:
            return Refused(
                status=_FORBIDDEN,
                reason="The route needs an API key, and the local engine cannot check keys "
                "yet. [4.09]",
            )
        return await self._call_connect(authorized, route)

    async def _authorize(self, handshake: Handshake, route: Route) -> Authorized | Refused:
        match route.authorization_type:
            case AuthorizationType.NONE:
                return Authorized(handshake=handshake)
            case AuthorizationType.AWS_IAM:
                return Refused(
                    status=_FORBIDDEN,
                    reason="The route has AWS_IAM, and the local engine cannot verify signatures "
                    "yet. [4.03]",
                )
            case AuthorizationType.CUSTOM:
                return await self._authorization.authorize(handshake, route)
            case _:
                assert_never(route.authorization_type)

    def _closed(self, stage: DeployedStage) -> Refused | None:
        """What refuses everybody, whatever the route."""
        if stage.snapshot.is_execute_api_endpoint_disabled:
            return Refused(
                status=_FORBIDDEN, reason="The API's default endpoint is disabled. [2.19]"
            )
        if stage.settings.is_closed(CONNECT):
            return Refused(
                status=HTTPStatus.TOO_MANY_REQUESTS,
                reason="The stage's throttling is 0, which lets nobody connect. Leave the members "
                "out for no throttling. [1.98]",
            )
        return None

    def _missing_parameters(self, handshake: Handshake, route: Route) -> Refused | None:
        """Required request parameters; their keys have the form of identity sources. Rule 5.63."""
        try:
            required = [identity.parse_source(key) for key in route.required_request_parameters]
        except ExpressionError as error:
            return Refused(status=_FAILED, reason=str(error))
        found = identity.resolve(required, handshake.upgrade, {}, {})
        if not found.missing:
            return None
        return Refused(
            status=HTTPStatus.BAD_REQUEST,
            reason=f"Required request parameter missing: {', '.join(found.missing)}. [5.63]",
        )

    async def _call_connect(self, authorized: Authorized, route: Route) -> Admitted | Refused:
        handshake = authorized.handshake
        if route.integration is None:
            return Refused(
                status=_FAILED, reason="The route $connect has no integration to call. [2.11]"
            )
        event = events.connect_event(
            handshake.upgrade,
            handshake.connection,
            request_id=handshake.request_id,
            time_ms=handshake.time_ms,
            trace_id=handshake.trace_id,
            variables=handshake.stage.settings.variables,
            integration_latency_ms=authorized.latency_ms,
        )
        outcome = await self._integrations.call(
            route.integration,
            json.dumps(event, separators=(",", ":")).encode(),
            source_arn=handshake.source_arn,
            variables=handshake.stage.settings.variables,
        )
        match outcome:
            case InvokeResult():
                verdict = replies.verdict(outcome)
            case TimedOut():
                verdict = replies.CONNECT_TIMED_OUT
            case Unreachable():
                verdict = replies.Refuse(status=_FAILED, reason=f"{outcome.reason} [2.11]")
            case _:
                assert_never(outcome)
        if isinstance(verdict, replies.Refuse):
            return Refused(status=verdict.status, reason=verdict.reason)
        if verdict.warning:
            self._narrator.tell(handshake, Step.WARNING, verdict.warning)
        return Admitted(connection=handshake.connection, subprotocol=verdict.subprotocol)
