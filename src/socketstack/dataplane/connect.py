"""The ``$connect`` flow: from an upgrade request to a connection or a refusal.

Nothing here touches a socket. The order of checks decides what runs: an address that leads
nowhere and a missing identity source are refused before any function is called.

Rules: areas 2 and 3 of the rule table, 4.03, 4.09.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final, assert_never

from socketstack.clock import Clock
from socketstack.core import events, identity, replies
from socketstack.core.causes import Cause
from socketstack.core.model import (
    AuthorizationType,
    InvokeResult,
    Route,
    Upgrade,
)
from socketstack.core.routing import CONNECT
from socketstack.dataplane import stage_facts, steps
from socketstack.dataplane.api_keys import ApiKeys
from socketstack.dataplane.authorization import Authorization, Authorized
from socketstack.dataplane.callers import Callers
from socketstack.dataplane.exchange import Exchange, Result
from socketstack.dataplane.handshake import (
    Admitted,
    Handshake,
    Narrator,
    Refused,
    shown_path,
)
from socketstack.dataplane.integrations import Integrations, TimedOut, Unreachable
from socketstack.dataplane.pipeline import Pipeline
from socketstack.dataplane.reception import Reception
from socketstack.dataplane.signed import SignedAuthorization
from socketstack.dataplane.stage_logs import StageLogs
from socketstack.dataplane.throttling import THROTTLED, Throttling
from socketstack.errors import ExpressionError
from socketstack.ids import Ids
from socketstack.store import Store
from socketstack.trace import Step, Trace

_FORBIDDEN: Final = HTTPStatus.FORBIDDEN
_FAILED: Final = HTTPStatus.INTERNAL_SERVER_ERROR


class Connect:
    """Decides handshakes."""

    def __init__(
        self,
        *,
        store: Store,
        integrations: Integrations,
        pipeline: Pipeline,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        logs: StageLogs,
        callers: Callers,
        throttling: Throttling,
    ) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._ids = ids
        self._logs = logs
        self._narrator = Narrator(trace)
        self._throttling = throttling
        self._api_keys = ApiKeys(store=store, clock=clock, throttling=throttling)
        self._reception = Reception(store=store, clock=clock, ids=ids)
        self._signed = SignedAuthorization(callers=callers, narrator=self._narrator)
        self._authorization = Authorization(
            integrations=integrations, clock=clock, narrator=self._narrator
        )

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        """Decide one handshake; every branch that is not a clear yes is a refusal."""
        handshake = self._reception.receive(upgrade)
        if isinstance(handshake, Refused):
            handshake = replace(handshake, request_id=self._ids.socket_id())
            self._narrator.refused(handshake)
            return handshake
        self._narrator.tell(
            handshake,
            Step.HANDSHAKE,
            f"{shown_path(upgrade.path)} from {upgrade.source_ip}",
            detail={
                "deploymentId": handshake.stage.snapshot.deployment_id,
                "origin": upgrade.header("Origin"),
            },
        )
        facts = self._logs.handshake(handshake)
        if facts is not None:
            handshake = replace(handshake, facts=facts)
        outcome = await self._decide(handshake)
        if isinstance(outcome, Refused):
            outcome = replace(
                outcome,
                request_id=handshake.request_id,
                reason=handshake.secrets.hidden_in(outcome.reason),
            )
            self._narrator.refused(outcome, handshake.connection)
        self._logs.decided(handshake.facts, outcome)
        return outcome

    async def _decide(self, handshake: Handshake) -> Admitted | Refused:
        closed = self._closed(handshake)
        if closed is not None:
            return closed
        route = handshake.stage.snapshot.routes.get(CONNECT)
        if route is None:
            # 2.05: a stage without $connect lets everybody in, as on AWS.
            return Admitted(
                connection=handshake.connection, subprotocol=None, request_id=handshake.request_id
            )
        refused = self._missing_parameters(handshake, route)
        if refused is not None:
            return refused
        authorized = await self._authorize(handshake, route)
        if isinstance(authorized, Refused):
            return authorized
        if handshake.facts is not None:
            handshake.facts.connection = authorized.handshake.connection
        if route.api_key_required:
            # After the authorizer, whatever the key's source: in AWS's logs the usage plan is
            # verified when the authorizer is done (4.10).
            checked = self._api_keys.check(authorized)
            if isinstance(checked, Refused):
                return checked
            authorized = checked
        return await self._call_connect(authorized, route)

    async def _authorize(self, handshake: Handshake, route: Route) -> Authorized | Refused:
        match route.authorization_type:
            case AuthorizationType.NONE:
                return Authorized(handshake=handshake)
            case AuthorizationType.AWS_IAM:
                signed = self._signed.authorize(handshake)
                stage_facts.signed(handshake, signed if isinstance(signed, Refused) else None)
                return signed
            case AuthorizationType.CUSTOM:
                return await self._authorization.authorize(handshake, route)
            case _:
                assert_never(route.authorization_type)

    def _closed(self, handshake: Handshake) -> Refused | None:
        """What refuses whoever comes, before anybody is asked."""
        stage = handshake.stage
        if stage.snapshot.is_execute_api_endpoint_disabled and not handshake.is_custom_domain:
            return Refused(
                status=_FORBIDDEN,
                reason="The API's default endpoint is disabled. Connect to its custom domain "
                "name, or enable the endpoint and deploy. [2.19]",
                cause=Cause.ENDPOINT_DISABLED,
            )
        throttled = self._throttling.handshake(stage)
        if throttled is not None:
            return Refused(
                status=HTTPStatus.TOO_MANY_REQUESTS,
                reason=throttled.reason,
                cause=throttled.cause,
                response_type=THROTTLED,
            )
        return None

    def _missing_parameters(self, handshake: Handshake, route: Route) -> Refused | None:
        """Required request parameters; their keys have the form of identity sources. Rule 5.63."""
        try:
            required = [identity.parse_source(key) for key in route.required_request_parameters]
        except ExpressionError as error:
            return Refused(
                status=_FAILED, reason=str(error), cause=Cause.IDENTITY_SOURCE_UNREADABLE
            )
        found = identity.resolve(required, handshake.upgrade, {}, {})
        if not found.missing:
            return None
        return Refused(
            status=HTTPStatus.BAD_REQUEST,
            reason=f"Required request parameter missing: {', '.join(found.missing)}. [5.63]",
            cause=Cause.PARAMETER_MISSING,
        )

    async def _call_connect(self, authorized: Authorized, route: Route) -> Admitted | Refused:
        handshake = authorized.handshake
        if handshake.facts is not None:
            handshake.facts.connection = handshake.connection
        if route.integration is None:
            return Refused(
                status=_FAILED,
                reason="The route $connect has no integration to call. [2.11]",
                cause=Cause.NO_INTEGRATION,
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
        began = self._clock.monotonic_seconds()
        outcome = await self._pipeline.call(
            Exchange(
                route=route,
                integration=route.integration,
                snapshot=handshake.stage.snapshot,
                event=event,
                source_arn=handshake.source_arn,
                variables=handshake.stage.settings.variables,
            )
        )
        took_ms = (self._clock.monotonic_seconds() - began) * 1000
        if handshake.facts is not None:
            stage_facts.called(handshake.facts, route.integration, event, outcome, round(took_ms))
        if not isinstance(outcome, Unreachable | replies.Rejection):
            self._narrator.tell(
                handshake,
                Step.INVOKED,
                f"{CONNECT} took {took_ms:.1f} ms",
                detail=steps.call(route, outcome, took_ms),
            )
        verdict = _verdict(outcome)
        if isinstance(verdict, replies.Refuse):
            return Refused(status=verdict.status, reason=verdict.reason, cause=verdict.cause)
        warnings = outcome.warnings if isinstance(outcome, replies.BackendResponse) else ()
        for warning in (*warnings, *([verdict.warning] if verdict.warning else [])):
            self._narrator.tell(handshake, Step.WARNING, warning)
        return Admitted(
            connection=handshake.connection,
            subprotocol=verdict.subprotocol,
            request_id=handshake.request_id,
        )


def _verdict(outcome: Result) -> replies.Verdict:
    match outcome:
        case InvokeResult():
            return replies.verdict(outcome)
        case replies.BackendResponse():
            return replies.backend_verdict(outcome)
        case replies.Rejection():
            return replies.Refuse(status=outcome.status, reason=outcome.reason, cause=outcome.cause)
        case TimedOut():
            return replies.CONNECT_TIMED_OUT
        case Unreachable():
            return replies.Refuse(
                status=_FAILED, reason=f"{outcome.reason} [2.11]", cause=outcome.cause
            )
        case _:
            assert_never(outcome)
