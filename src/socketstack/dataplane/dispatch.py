"""One message: route, event, integration, reply. Nothing here touches a socket.

Rules: areas 5A to 5D of the rule table, 10.17.
"""

from collections.abc import Mapping
from typing import Final, assert_never

from socketstack.clock import Clock
from socketstack.core import addressing, events, replies
from socketstack.core.causes import Cause
from socketstack.core.context import Facts
from socketstack.core.model import Connection, DeployedStage, InvokeResult, Json, Message, Route
from socketstack.core.routing import DISCONNECT, explain_route
from socketstack.dataplane import stage_facts, steps
from socketstack.dataplane.exchange import Exchange, Result
from socketstack.dataplane.integrations import TimedOut, Unreachable
from socketstack.dataplane.pipeline import Pipeline
from socketstack.dataplane.stage_logs import StageLogs
from socketstack.dataplane.throttling import Throttling
from socketstack.ids import Ids
from socketstack.store import Store
from socketstack.trace import NO_DETAIL, Step, Trace

_REASON_MAX_CHARACTERS: Final = 400


class Dispatch:
    """Answers messages, and tells ``$disconnect``."""

    def __init__(
        self,
        *,
        store: Store,
        pipeline: Pipeline,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        logs: StageLogs,
        throttling: Throttling,
    ) -> None:
        self._store = store
        self._throttling = throttling
        self._logs = logs
        self._pipeline = pipeline
        self._clock = clock
        self._ids = ids
        self._trace = trace

    def received(self, text: str) -> Message:
        """A message as it came, with ids of its own (5.25)."""
        return Message(
            text=text,
            message_id=self._ids.socket_id(),
            request_id=self._ids.socket_id(),
            received_at_ms=self._clock.now_ms(),
        )

    async def handle(self, connection: Connection, message: Message) -> str | None:
        """Answer one message; returns the frame for the client, None for silence.

        The route is chosen from what is deployed now, not from what was at the handshake
        (10.17).
        """
        stage = self._store.deployed_stage(connection.api_id, connection.stage_name)
        facts = self._logs.message(stage, connection, message)
        reply = await self._answer(stage, connection, message, facts)
        if facts is not None:
            self._logs.replied(facts, reply)
        match reply:
            case replies.Send():
                self._tell(connection, message.request_id, Step.REPLY, _size(reply.text))
                return reply.text
            case replies.Silence():
                self._tell(
                    connection,
                    message.request_id,
                    Step.REPLY,
                    f"none: {reply.reason}",
                    cause=reply.cause,
                )
                return None
            case replies.ErrorFrame():
                self._tell(
                    connection,
                    message.request_id,
                    Step.ERROR,
                    f"{reply.message}: {reply.reason}",
                    cause=reply.cause,
                    detail={"frame": str(reply.message)},
                )
                return replies.error_frame(
                    reply.message, connection.connection_id, message.request_id
                )
            case _:
                assert_never(reply)

    async def _answer(
        self,
        stage: DeployedStage | None,
        connection: Connection,
        message: Message,
        facts: Facts | None,
    ) -> replies.Reply:
        if stage is None:
            reason = "The stage is not deployed any more."
            return replies.ErrorFrame(
                message=replies.FrameMessage.FORBIDDEN, reason=reason, cause=Cause.STAGE_GONE
            )
        selection = explain_route(stage.snapshot, message.text)
        taker = selection.route.route_key if selection.route else "nobody"
        self._tell(
            connection,
            message.request_id,
            Step.MESSAGE,
            f"{_size(message.text)} for {taker}: {_short(selection.reason)}",
            detail=steps.selection(
                selection,
                stage.snapshot.route_selection_expression,
                None if selection.key is None else _short(selection.key),
            ),
        )
        if selection.route is None:
            return replies.ErrorFrame(
                message=replies.FrameMessage.FORBIDDEN,
                reason=f"{_short(selection.reason)} [5.05]",
                cause=Cause.NO_ROUTE,
            )
        if facts is not None:
            facts.route_key = selection.route.route_key
        throttled = self._throttling.message(stage, selection.route.route_key)
        if throttled is not None:
            return replies.ErrorFrame(
                message=replies.FrameMessage.TOO_MANY_REQUESTS,
                reason=throttled.reason,
                cause=throttled.cause,
            )
        return await self._call(stage, selection.route, connection, message, facts)

    async def _call(
        self,
        stage: DeployedStage,
        route: Route,
        connection: Connection,
        message: Message,
        facts: Facts | None,
    ) -> replies.Reply:
        event = events.message_event(
            route.route_key, connection, message, variables=stage.settings.variables
        )
        began = self._clock.monotonic_seconds()
        outcome = await self._invoke(stage, route, connection, event)
        if not isinstance(outcome, Unreachable | replies.Rejection):
            took_ms = (self._clock.monotonic_seconds() - began) * 1000
            self._tell(
                connection,
                message.request_id,
                Step.INVOKED,
                f"{route.route_key} took {took_ms:.1f} ms",
                detail=steps.call(route, outcome, took_ms),
            )
        if facts is not None:
            took_ms = (self._clock.monotonic_seconds() - began) * 1000
            stage_facts.called(facts, route.integration, event, outcome, round(took_ms))
        match outcome:
            case InvokeResult():
                return replies.for_route(route, outcome)
            case TimedOut():
                return replies.MESSAGE_TIMED_OUT
            case Unreachable():
                return replies.ErrorFrame(
                    message=replies.FrameMessage.INTERNAL_SERVER_ERROR,
                    reason=f"{outcome.reason} [5.33]",
                    cause=outcome.cause,
                )
            case replies.Rejection():
                return outcome.frame()
            case replies.BackendResponse():
                for warning in outcome.warnings:
                    self._tell(connection, message.request_id, Step.WARNING, warning)
                return replies.backend_reply(route, outcome)
            case _:
                assert_never(outcome)

    async def disconnected(self, connection: Connection, code: int, reason: str) -> None:
        """Run ``$disconnect`` for a connection that is gone; no failure has an effect (8.19)."""
        stage = self._store.deployed_stage(connection.api_id, connection.stage_name)
        route = None if stage is None else stage.snapshot.routes.get(DISCONNECT)
        request_id = self._ids.socket_id()
        now_ms = self._clock.now_ms()
        facts = self._logs.goodbye(stage, connection, (code, reason), request_id, now_ms)
        if stage is None or route is None:
            self._logs.disconnected(facts)
            return  # 8.20
        event = events.disconnect_event(
            connection,
            status_code=code,
            reason=reason,
            request_id=request_id,
            time_ms=now_ms,
            variables=stage.settings.variables,
        )
        began = self._clock.monotonic_seconds()
        outcome = await self._invoke(stage, route, connection, event)
        took_ms = (self._clock.monotonic_seconds() - began) * 1000
        if facts is not None:
            stage_facts.called(facts, route.integration, event, outcome, round(took_ms))
            self._logs.disconnected(facts)
        failure = _failure(outcome)
        detail = steps.call(route, outcome, took_ms)
        if failure is None:
            self._tell(connection, request_id, Step.INVOKED, DISCONNECT, detail=detail)
        else:
            reason, cause = failure
            summary = f"$disconnect failed: {reason}"
            self._tell(connection, request_id, Step.ERROR, summary, cause=cause, detail=detail)

    async def _invoke(
        self,
        stage: DeployedStage,
        route: Route,
        connection: Connection,
        event: events.MessageEvent | events.DisconnectEvent,
    ) -> Result:
        if route.integration is None:
            reason = f"The route {route.route_key} has no integration to call."
            return Unreachable(reason, Cause.NO_INTEGRATION)
        source_arn = addressing.route_arn(
            region=connection.region,
            account_id=connection.account_id,
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            route_key=route.route_key,
            partition=stage.snapshot.partition,
        )
        return await self._pipeline.call(
            Exchange(
                route=route,
                integration=route.integration,
                snapshot=stage.snapshot,
                event=event,
                source_arn=source_arn,
                variables=stage.settings.variables,
            )
        )

    def _tell(
        self,
        connection: Connection,
        request_id: str,
        step: Step,
        summary: str,
        *,
        cause: Cause | None = None,
        detail: Mapping[str, Json] = NO_DETAIL,
    ) -> None:
        self._trace.publish(
            step,
            summary,
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            connection_id=connection.connection_id,
            request_id=request_id,
            cause=cause,
            detail=detail,
        )


def _short(reason: str) -> str:
    """A reason that may quote the client, as one line can show it; its advice stands at the end."""
    if len(reason) <= _REASON_MAX_CHARACTERS:
        return reason
    half = _REASON_MAX_CHARACTERS // 2
    return f"{reason[:half]} … {reason[-half:]}"


def _size(text: str) -> str:
    return f"{len(text)} characters"


def _failure(outcome: Result) -> tuple[str, Cause] | None:
    """Why a call did not do what it should; None when it did."""
    match outcome:
        case InvokeResult():
            if outcome.failure is None:
                return None
            reason = f"the function failed ({outcome.failure}). See its log."
            return reason, Cause.FUNCTION_FAILED
        case replies.BackendResponse():
            return (outcome.failure, Cause.FUNCTION_FAILED) if outcome.failure else None
        case TimedOut():
            return f"no answer within {outcome.after_ms} ms", Cause.INTEGRATION_TIMED_OUT
        case Unreachable() | replies.Rejection():
            return outcome.reason, outcome.cause
        case _:
            assert_never(outcome)
