"""One message: route, event, integration, reply. Nothing here touches a socket.

Rules: areas 5A to 5D of the rule table, 10.17.
"""

import json
from typing import Final, assert_never

from socketstack.clock import Clock
from socketstack.core import addressing, events, replies
from socketstack.core.model import Connection, DeployedStage, InvokeResult, Message, Route
from socketstack.core.routing import DISCONNECT, explain_route
from socketstack.dataplane.integrations import Integrations, Outcome, TimedOut, Unreachable
from socketstack.ids import Ids
from socketstack.store import Store
from socketstack.trace import Step, Trace

_REASON_MAX_CHARACTERS: Final = 400


class Dispatch:
    """Answers messages, and tells ``$disconnect``."""

    def __init__(
        self, *, store: Store, integrations: Integrations, clock: Clock, ids: Ids, trace: Trace
    ) -> None:
        self._store = store
        self._integrations = integrations
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
        reply = await self._answer(connection, message)
        match reply:
            case replies.Send():
                self._tell(connection, message.request_id, Step.REPLY, _size(reply.text))
                return reply.text
            case replies.Silence():
                self._tell(connection, message.request_id, Step.REPLY, f"none: {reply.reason}")
                return None
            case replies.ErrorFrame():
                self._tell(
                    connection, message.request_id, Step.ERROR, f"{reply.message}: {reply.reason}"
                )
                return replies.error_frame(
                    reply.message, connection.connection_id, message.request_id
                )
            case _:
                assert_never(reply)

    async def _answer(self, connection: Connection, message: Message) -> replies.Reply:
        stage = self._store.deployed_stage(connection.api_id, connection.stage_name)
        if stage is None:
            reason = "The stage is not deployed any more."
            return replies.ErrorFrame(message=replies.FrameMessage.FORBIDDEN, reason=reason)
        selection = explain_route(stage.snapshot, message.text)
        taker = selection.route.route_key if selection.route else "nobody"
        self._tell(
            connection,
            message.request_id,
            Step.MESSAGE,
            f"{_size(message.text)} for {taker}: {_short(selection.reason)}",
        )
        if selection.route is None:
            return replies.ErrorFrame(
                message=replies.FrameMessage.FORBIDDEN, reason=f"{_short(selection.reason)} [5.05]"
            )
        if stage.settings.is_closed(selection.route.route_key):
            return replies.ErrorFrame(
                message=replies.FrameMessage.TOO_MANY_REQUESTS,
                reason="The throttling of stage or route is 0, which lets nothing pass. Leave the "
                "members out for no throttling. [1.98, 5.38]",
            )
        if selection.route.model_selection_expression is not None:
            return replies.ErrorFrame(
                message=replies.FrameMessage.INTERNAL_SERVER_ERROR,
                reason=f"The route {selection.route.route_key} validates messages by models, which "
                "the local engine cannot do yet, so nothing passes. [5.71]",
            )
        return await self._call(stage, selection.route, connection, message)

    async def _call(
        self, stage: DeployedStage, route: Route, connection: Connection, message: Message
    ) -> replies.Reply:
        event = events.message_event(
            route.route_key, connection, message, variables=stage.settings.variables
        )
        began = self._clock.monotonic_seconds()
        outcome = await self._invoke(stage, route, connection, event)
        if not isinstance(outcome, Unreachable):
            took_ms = (self._clock.monotonic_seconds() - began) * 1000
            summary = f"{route.route_key} took {took_ms:.1f} ms"
            self._tell(connection, message.request_id, Step.INVOKED, summary)
        match outcome:
            case InvokeResult():
                return replies.for_route(route, outcome)
            case TimedOut():
                return replies.MESSAGE_TIMED_OUT
            case Unreachable():
                return replies.ErrorFrame(
                    message=replies.FrameMessage.INTERNAL_SERVER_ERROR,
                    reason=f"{outcome.reason} [5.33]",
                )
            case _:
                assert_never(outcome)

    async def disconnected(self, connection: Connection, code: int, reason: str) -> None:
        """Run ``$disconnect`` for a connection that is gone; no failure has an effect (8.19)."""
        stage = self._store.deployed_stage(connection.api_id, connection.stage_name)
        route = None if stage is None else stage.snapshot.routes.get(DISCONNECT)
        if stage is None or route is None:
            return  # 8.20
        request_id = self._ids.socket_id()
        event = events.disconnect_event(
            connection,
            status_code=code,
            reason=reason,
            request_id=request_id,
            time_ms=self._clock.now_ms(),
            variables=stage.settings.variables,
        )
        outcome = await self._invoke(stage, route, connection, event)
        if isinstance(outcome, InvokeResult) and outcome.failure is None:
            self._tell(connection, request_id, Step.INVOKED, DISCONNECT)
        else:
            self._tell(connection, request_id, Step.ERROR, f"$disconnect failed: {_why(outcome)}")

    async def _invoke(
        self,
        stage: DeployedStage,
        route: Route,
        connection: Connection,
        event: events.MessageEvent | events.DisconnectEvent,
    ) -> Outcome:
        if route.integration is None:
            return Unreachable(f"The route {route.route_key} has no integration to call.")
        source_arn = addressing.route_arn(
            region=connection.region,
            account_id=connection.account_id,
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            route_key=route.route_key,
            partition=stage.snapshot.partition,
        )
        return await self._integrations.call(
            route.integration,
            json.dumps(event, separators=(",", ":")).encode(),
            source_arn=source_arn,
            variables=stage.settings.variables,
        )

    def _tell(self, connection: Connection, request_id: str, step: Step, summary: str) -> None:
        self._trace.emit(
            step,
            summary,
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            connection_id=connection.connection_id,
            request_id=request_id,
        )


def _short(reason: str) -> str:
    """A reason that may quote the client, as one line can show it; its advice stands at the end."""
    if len(reason) <= _REASON_MAX_CHARACTERS:
        return reason
    half = _REASON_MAX_CHARACTERS // 2
    return f"{reason[:half]} … {reason[-half:]}"


def _size(text: str) -> str:
    return f"{len(text)} characters"


def _why(outcome: Outcome) -> str:
    match outcome:
        case InvokeResult():
            return f"the function failed ({outcome.failure}). See its log."
        case TimedOut():
            return f"no answer within {outcome.after_ms} ms"
        case Unreachable():
            return outcome.reason
        case _:
            assert_never(outcome)
