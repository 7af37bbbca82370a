"""The ``$connect`` flow: from an upgrade request to a connection or a refusal.

Nothing here touches a socket. The order of checks decides what runs: an address that leads
nowhere and a missing identity source are refused before any function is called.

Rules: areas 2 and 3 of the rule table, 4.03, 4.09.
"""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, assert_never

from socketstack.clock import Clock
from socketstack.core import addressing, authorizer, events, identity, replies
from socketstack.core.limits import URL_MAX_CHARACTERS
from socketstack.core.model import (
    AuthorizationType,
    Authorizer,
    Connection,
    DeployedStage,
    InvokeResult,
    Route,
    Upgrade,
)
from socketstack.core.routing import CONNECT
from socketstack.dataplane.integrations import (
    AUTHORIZER_TIMEOUT_MS,
    Integrations,
    TimedOut,
    Unreachable,
)
from socketstack.errors import ExpressionError
from socketstack.ids import Ids
from socketstack.store import Store
from socketstack.trace import Step, Trace, redact

_SECRET_HEADERS: Final = frozenset(
    {"authorization", "cookie", "x-api-key", "sec-websocket-protocol"}
)
_SECRET_MIN_CHARACTERS: Final = 8
_SHOWN_PART_CHARACTERS: Final = 40
_FORBIDDEN: Final = HTTPStatus.FORBIDDEN
_FAILED: Final = HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The socket may open."""

    connection: Connection
    subprotocol: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The socket does not open. ``reason`` is for people at this machine, not for the client."""

    status: int
    reason: str
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Handshake:
    """What the steps of one handshake share; nothing in it changes."""

    upgrade: Upgrade
    stage: DeployedStage
    connection: Connection
    request_id: str
    time_ms: int
    trace_id: str

    @property
    def source_arn(self) -> str:
        """The ARN of the ``$connect`` route (3.04)."""
        snapshot = self.stage.snapshot
        return addressing.route_arn(
            region=snapshot.region,
            account_id=snapshot.account_id,
            api_id=snapshot.api_id,
            stage_name=self.stage.settings.stage_name,
            route_key=CONNECT,
            partition=snapshot.partition,
        )


class Connect:
    """Decides handshakes."""

    def __init__(
        self, *, store: Store, integrations: Integrations, clock: Clock, ids: Ids, trace: Trace
    ) -> None:
        self._store = store
        self._integrations = integrations
        self._clock = clock
        self._ids = ids
        self._trace = trace

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        """Decide one handshake; every branch that is not a clear yes is a refusal."""
        located = self._locate(upgrade)
        if isinstance(located, Refused):
            self._tell_refused(located, "", "", "")
            return located
        handshake = located
        connection = handshake.connection
        self._tell(
            handshake, Step.HANDSHAKE, f"{shown_path(upgrade.path)} from {upgrade.source_ip}"
        )
        outcome = await self._decide(handshake)
        if isinstance(outcome, Refused):
            outcome = replace(
                outcome,
                request_id=handshake.request_id,
                reason=_without_secrets(outcome.reason, upgrade),
            )
            self._tell_refused(
                outcome, connection.api_id, connection.stage_name, connection.connection_id
            )
        return outcome

    def _locate(self, upgrade: Upgrade) -> _Handshake | Refused:
        characters = len(f"wss://{upgrade.host}{upgrade.raw_target}")
        if characters > URL_MAX_CHARACTERS:
            return Refused(
                status=HTTPStatus.REQUEST_URI_TOO_LONG,
                reason=f"The URL has {characters} characters; "
                f"{URL_MAX_CHARACTERS} is the limit. Use a shorter token. [2.04]",
            )
        location = addressing.locate_upgrade(upgrade.host, upgrade.path)
        if location is None:
            return Refused(
                status=_FORBIDDEN,
                reason=addressing.explain_upgrade(upgrade.host, shown_path(upgrade.path))
                + " [2.18]",
            )
        stage = self._store.deployed_stage(location.api_id, location.stage)
        if stage is None:
            reason = self._why_not_deployed(location.api_id, location.stage)
            return Refused(status=_FORBIDDEN, reason=reason)
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
        return _Handshake(
            upgrade=upgrade,
            stage=stage,
            connection=connection,
            request_id=request_id,
            time_ms=now_ms,
            trace_id=f"Root=1-{now_ms // 1000:08x}-{digits[:24]}",
        )

    def _why_not_deployed(self, api_id: str, stage_name: str) -> str:
        if not self._store.has_api(api_id):
            return f"There is no API {api_id}. [2.18]"
        if not self._store.has_stage(api_id, stage_name):
            return f"API {api_id} has no stage {shown_path(stage_name)!r}. [2.18]"
        return (
            f"The stage {stage_name!r} of API {api_id} has no deployment. Create one, or turn "
            "auto-deploy on. [2.17]"
        )

    async def _decide(self, handshake: _Handshake) -> Admitted | Refused:
        closed = self._closed(handshake.stage)
        if closed is not None:
            return closed
        route = handshake.stage.snapshot.routes.get(CONNECT)
        if route is None:
            # 2.05: a stage without $connect lets everybody in, as on AWS.
            return Admitted(connection=handshake.connection, subprotocol=None)
        refused = self._gate(handshake, route)
        if refused is not None:
            return refused
        match route.authorization_type:
            case AuthorizationType.NONE:
                return await self._call_connect(handshake, route, None)
            case AuthorizationType.AWS_IAM:
                return Refused(
                    status=_FORBIDDEN,
                    reason="The route has AWS_IAM, and the local engine cannot verify signatures "
                    "yet. [4.03]",
                )
            case AuthorizationType.CUSTOM:
                return await self._authorize(handshake, route)
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

    def _gate(self, handshake: _Handshake, route: Route) -> Refused | None:
        """What refuses before any function is called, whoever asks."""
        if route.api_key_required:
            return Refused(
                status=_FORBIDDEN,
                reason="The route needs an API key, and the local engine cannot check keys "
                "yet. [4.09]",
            )
        return self._missing_parameters(handshake, route)

    async def _authorize(self, handshake: _Handshake, route: Route) -> Admitted | Refused:
        chosen = route.authorizer
        if chosen is None:
            return Refused(
                status=_FAILED, reason="The authorizer of $connect does not exist. [3.27]"
            )
        event = events.authorizer_event(
            handshake.upgrade,
            handshake.connection,
            method_arn=handshake.source_arn,
            request_id=handshake.request_id,
            time_ms=handshake.time_ms,
            trace_id=handshake.trace_id,
            variables=handshake.stage.settings.variables,
        )
        missing = self._missing_sources(handshake, chosen, event)
        if missing is not None:
            return missing
        decision, latency_ms = await self._ask_authorizer(handshake, chosen, event)
        self._tell(handshake, Step.DECISION, f"{type(decision).__name__}: {decision.reason}")
        if not isinstance(decision, authorizer.Allow):
            return Refused(status=decision.status, reason=decision.reason)
        admitted = replace(handshake.connection, authorizer=decision.context)
        return await self._call_connect(replace(handshake, connection=admitted), route, latency_ms)

    def _missing_parameters(self, handshake: _Handshake, route: Route) -> Refused | None:
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

    def _missing_sources(
        self, handshake: _Handshake, chosen: Authorizer, event: events.AuthorizerEvent
    ) -> Refused | None:
        try:
            sources = [identity.parse_source(text) for text in chosen.identity_sources]
        except ExpressionError as error:
            return Refused(status=_FAILED, reason=str(error))
        found = identity.resolve(
            sources,
            handshake.upgrade,
            identity.context_variables(json.loads(json.dumps(event["requestContext"]))),
            handshake.stage.settings.variables,
        )
        shown = [f"{name} = {redact(value)}" for name, value in found.values.items()]
        shown += [f"{name} is missing" for name in found.missing]
        self._tell(handshake, Step.IDENTITY, "; ".join(shown) or "no identity source")
        if not found.missing:
            return None
        return Refused(
            status=HTTPStatus.UNAUTHORIZED,
            reason=f"Identity source missing or empty: {', '.join(found.missing)}. The authorizer "
            "is not called. Send it with the handshake. [3.07]",
        )

    async def _ask_authorizer(
        self, handshake: _Handshake, chosen: Authorizer, event: events.AuthorizerEvent
    ) -> tuple[authorizer.Decision, int]:
        snapshot = handshake.stage.snapshot
        source_arn = addressing.authorizer_arn(
            region=snapshot.region,
            account_id=snapshot.account_id,
            api_id=snapshot.api_id,
            authorizer_id=chosen.authorizer_id,
            partition=snapshot.partition,
        )
        began = self._clock.monotonic_seconds()
        outcome = await self._integrations.invoke(
            chosen.authorizer_uri,
            json.dumps(event, separators=(",", ":")).encode(),
            source_arn=None if chosen.credentials_arn else source_arn,
            variables=handshake.stage.settings.variables,
            timeout_ms=AUTHORIZER_TIMEOUT_MS,
        )
        latency_ms = round((self._clock.monotonic_seconds() - began) * 1000)
        if not isinstance(outcome, Unreachable):
            self._tell(handshake, Step.AUTHORIZER, f"{chosen.name} took {latency_ms} ms")
        match outcome:
            case InvokeResult():
                return authorizer.decide(outcome, handshake.source_arn), latency_ms
            case TimedOut():
                reason = f"The authorizer did not answer within {outcome.after_ms} ms. [2.16]"
                return authorizer.Failure(reason=reason), latency_ms
            case Unreachable():
                return authorizer.Failure(reason=f"{outcome.reason} [3.27]"), latency_ms
            case _:
                assert_never(outcome)

    async def _call_connect(
        self, handshake: _Handshake, route: Route, latency_ms: int | None
    ) -> Admitted | Refused:
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
            integration_latency_ms=latency_ms,
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
            self._tell(handshake, Step.WARNING, verdict.warning)
        return Admitted(connection=handshake.connection, subprotocol=verdict.subprotocol)

    def _tell(self, handshake: _Handshake, step: Step, summary: str) -> None:
        self._trace.emit(
            step,
            _without_secrets(summary, handshake.upgrade),
            api_id=handshake.connection.api_id,
            stage_name=handshake.connection.stage_name,
            connection_id=handshake.connection.connection_id,
            request_id=handshake.request_id,
        )

    def _tell_refused(
        self, refused: Refused, api_id: str, stage_name: str, connection_id: str
    ) -> None:
        self._trace.emit(
            Step.REFUSED,
            f"{refused.status}: {refused.reason}",
            api_id=api_id,
            stage_name=stage_name,
            connection_id=connection_id,
            request_id=refused.request_id,
            status=int(refused.status),
        )


def shown_path(path: str) -> str:
    """A path for people: a long part may be a credential in the wrong place."""
    return "/".join(
        redact(part) if len(part) > _SHOWN_PART_CHARACTERS else part for part in path.split("/")
    )


def _without_secrets(text: str, upgrade: Upgrade) -> str:
    """Text that may quote what a function said, without the credentials of the handshake.

    Every longer query value and the headers that carry credentials count as such.
    """
    values = [value for _name, value in upgrade.query]
    values += [value for name, value in upgrade.headers if name.lower() in _SECRET_HEADERS]
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SECRET_MIN_CHARACTERS:
            text = text.replace(value, redact(value))
    return text
