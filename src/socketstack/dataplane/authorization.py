"""Asking the authorizer function of ``$connect``.

A missing identity source is refused before the function is called; whatever the function gives
that is no clear Allow is a refusal too.

Rules: 2.13 to 2.16, 3.01 to 3.27.
"""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, assert_never

from socketstack.clock import Clock
from socketstack.core import addressing, authorizer, events, identity
from socketstack.core.causes import Cause
from socketstack.core.model import Authorizer, InvokeResult, Route
from socketstack.dataplane import stage_facts, steps
from socketstack.dataplane.exchange import event_text
from socketstack.dataplane.handshake import Handshake, Narrator, Refused
from socketstack.dataplane.integrations import (
    AUTHORIZER_TIMEOUT_MS,
    Integrations,
    Outcome,
    TimedOut,
    Unreachable,
)
from socketstack.errors import ExpressionError
from socketstack.trace import Step, redact

_FAILED: Final = HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """The handshake may go on."""

    handshake: Handshake
    """With the context that later events carry."""
    latency_ms: int | None = None
    """How long an authorizer took (3.22); None without one."""
    usage_identifier_key: str | None = None
    """The API key to check, when the API reads it from the authorizer (3.29)."""


class Authorization:
    """Asks authorizers."""

    def __init__(self, *, integrations: Integrations, clock: Clock, narrator: Narrator) -> None:
        self._integrations = integrations
        self._clock = clock
        self._narrator = narrator

    async def authorize(self, handshake: Handshake, route: Route) -> Authorized | Refused:
        """Decide a handshake on a route with the authorization type CUSTOM."""
        chosen = route.authorizer
        if chosen is None:
            return Refused(
                status=_FAILED,
                reason="The authorizer of $connect does not exist. [3.27]",
                cause=Cause.AUTHORIZER_MISSING,
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
        self._narrator.tell(
            handshake,
            Step.DECISION,
            f"{type(decision).__name__}: {decision.reason}",
            detail=steps.decision(decision),
        )
        if not isinstance(decision, authorizer.Allow):
            return Refused(status=decision.status, reason=decision.reason, cause=decision.cause)
        admitted = replace(handshake.connection, authorizer=decision.context)
        return Authorized(
            handshake=replace(handshake, connection=admitted),
            latency_ms=latency_ms,
            usage_identifier_key=decision.usage_identifier_key,
        )

    def _missing_sources(
        self, handshake: Handshake, chosen: Authorizer, event: events.AuthorizerEvent
    ) -> Refused | None:
        try:
            sources = [identity.parse_source(text) for text in chosen.identity_sources]
        except ExpressionError as error:
            return Refused(
                status=_FAILED, reason=str(error), cause=Cause.IDENTITY_SOURCE_UNREADABLE
            )
        asks_context = any(source.kind is identity.SourceKind.CONTEXT for source in sources)
        found = identity.resolve(
            sources,
            handshake.upgrade,
            _context(event) if asks_context else {},
            handshake.stage.settings.variables,
        )
        shown = [f"{name} = {redact(value)}" for name, value in found.values.items()]
        shown += [f"{name} is missing" for name in found.missing]
        self._narrator.tell(
            handshake,
            Step.IDENTITY,
            "; ".join(shown) or "no identity source",
            detail=steps.identity_sources(found),
        )
        if not found.missing:
            return None
        return Refused(
            status=HTTPStatus.UNAUTHORIZED,
            reason=f"Identity source missing or empty: {', '.join(found.missing)}. The authorizer "
            "is not called. Send it with the handshake. [3.07]",
            cause=Cause.IDENTITY_MISSING,
        )

    async def _ask_authorizer(
        self, handshake: Handshake, chosen: Authorizer, event: events.AuthorizerEvent
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
            event_text(event),
            source_arn=source_arn,
            role_arn=chosen.credentials_arn,
            variables=handshake.stage.settings.variables,
            timeout_ms=AUTHORIZER_TIMEOUT_MS,
        )
        latency_ms = round((self._clock.monotonic_seconds() - began) * 1000)
        if not isinstance(outcome, Unreachable):
            self._narrator.tell(
                handshake,
                Step.AUTHORIZER,
                f"{chosen.name} took {latency_ms} ms",
                detail=steps.authorizer_call(chosen, outcome, latency_ms),
            )
        decision = _decision(outcome, handshake.source_arn)
        stage_facts.authorized(handshake, chosen.authorizer_id, outcome, decision, latency_ms)
        return decision, latency_ms


def _context(event: events.AuthorizerEvent) -> dict[str, str]:
    return identity.context_variables(json.loads(json.dumps(event["requestContext"])))


def _decision(outcome: Outcome, method_arn: str) -> authorizer.Decision:
    match outcome:
        case InvokeResult():
            return authorizer.decide(outcome, method_arn)
        case TimedOut():
            reason = f"The authorizer did not answer within {outcome.after_ms} ms. [2.16]"
            return authorizer.Failure(reason=reason, cause=Cause.AUTHORIZER_TIMED_OUT)
        case Unreachable():
            reason = f"{outcome.reason} [3.27]"
            return authorizer.Failure(reason=reason, cause=Cause.AUTHORIZER_NOT_CALLABLE)
        case _:
            assert_never(outcome)
