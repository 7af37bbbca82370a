"""One message: route, event, integration, reply. Nothing here touches a socket.

Rules: areas 5A to 5D of the rule table, 10.17.
"""

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, assert_never

from socketstack.clock import Clock
from socketstack.core import addressing, events, replies
from socketstack.core.causes import Cause
from socketstack.core.context import Facts
from socketstack.core.model import Connection, DeployedStage, InvokeResult, Message, Route
from socketstack.core.routing import DISCONNECT, Selection, explain_route
from socketstack.dataplane import stage_facts, steps
from socketstack.dataplane.counts import Counts
from socketstack.dataplane.exchange import Exchange, Result
from socketstack.dataplane.integrations import TimedOut, Unreachable
from socketstack.dataplane.pipeline import Pipeline
from socketstack.dataplane.stage_logs import StageLogs
from socketstack.dataplane.throttling import Throttling
from socketstack.ids import Ids
from socketstack.store import Store
from socketstack.trace import Step, Trace

_REASON_MAX_CHARACTERS: Final = 400

_logger = logging.getLogger(__name__)


Reply = Callable[[str | None], None]
"""Takes the frame for the client, or None for silence."""
Work = Coroutine[Any, Any, None]


class _Asked:
    """One message on its way; ``answer`` it once."""

    __slots__ = (
        *("_is_answered", "_reply", "began_seconds", "choice", "connection"),
        *("event", "facts", "message", "route"),
    )

    choice: tuple[Selection, str] | None
    """Which route was chosen and by which expression, until that is told."""
    route: Route
    """Who takes it, once that is known; so are ``event`` and ``began_seconds``."""
    event: events.MessageEvent
    began_seconds: float
    facts: Facts | None
    """What the stage's logs want to know; None when it logs nothing."""

    def __init__(self, connection: Connection, message: Message, reply: Reply) -> None:
        self.connection = connection
        self.message = message
        self.choice = None
        self.facts = None
        self._reply = reply
        self._is_answered = False

    def answer(self, frame: str | None) -> None:
        """Tell whoever asked; the first answer counts."""
        if not self._is_answered:
            self._is_answered = True
            self._reply(frame)


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
        counts: Counts,
    ) -> None:
        self._store = store
        self._throttling = throttling
        self._counts = counts
        self._logs = logs
        self._pipeline = pipeline
        self._clock = clock
        self._ids = ids
        self._tell = trace.publish

    def handle(self, connection: Connection, text: str, reply: Reply) -> Work | None:
        """Answer one message. Raises nothing: what fails inside becomes an error frame.

        The route is chosen from what is deployed now, not from what was at the handshake
        (10.17).

        Args:
            connection: Whose message it is.
            text: The message as it came.
            reply: Told once: the frame for the client, or None for silence; perhaps before this
                returns.

        Returns:
            What has still to be run as a task, for integrations that need one; else None.
        """
        self._counts.messages += 1
        asked = _Asked(connection, self._received(text), reply)
        try:
            return self._begin(asked)
        except Exception as error:  # noqa: BLE001 - the border: no message may end its connection
            self._failed(asked, error)
            return None

    def _received(self, text: str) -> Message:
        """A message with ids of its own (5.25)."""
        return Message(
            text=text,
            message_id=self._ids.socket_id(),
            request_id=self._ids.socket_id(),
            received_at_ms=self._clock.now_ms(),
        )

    def _begin(self, asked: "_Asked") -> Work | None:
        connection, message = asked.connection, asked.message
        stage = self._store.deployed_stage(connection.api_id, connection.stage_name)
        asked.facts = self._logs.message(stage, connection, message)
        if stage is None:
            reason = "The stage is not deployed any more."
            frame = replies.ErrorFrame(
                message=replies.FrameMessage.FORBIDDEN, reason=reason, cause=Cause.STAGE_GONE
            )
            self._answer(asked, frame)
            return None
        route = self._choose(stage, asked)
        if isinstance(route, replies.ErrorFrame):
            self._answer(asked, route)
            return None
        asked.route = route
        asked.event = events.message_event(
            route.route_key, connection, message, variables=stage.settings.variables
        )
        asked.began_seconds = self._clock.monotonic_seconds()
        exchange = _exchange(stage, route, connection, asked.event)
        work: Work | None = None
        if isinstance(exchange, Unreachable):
            self._called(asked, exchange)
        elif not self._pipeline.starts(exchange, partial(self._called, asked)):
            work = self._call(asked, exchange)
        self._tell_choice(asked)  # after the call has begun: the function need not wait for it
        return work

    def _choose(self, stage: DeployedStage, asked: "_Asked") -> Route | replies.ErrorFrame:
        selection = explain_route(stage.snapshot, asked.message.text)
        asked.choice = (selection, stage.snapshot.route_selection_expression)
        if selection.route is None:
            return replies.ErrorFrame(
                message=replies.FrameMessage.FORBIDDEN,
                reason=f"{_short(selection.reason)} [5.05]",
                cause=Cause.NO_ROUTE,
            )
        if asked.facts is not None:
            asked.facts.route_key = selection.route.route_key
        throttled = self._throttling.message(stage, selection.route.route_key)
        if throttled is not None:
            return replies.ErrorFrame(
                message=replies.FrameMessage.TOO_MANY_REQUESTS,
                reason=throttled.reason,
                cause=throttled.cause,
            )
        return selection.route

    def _tell_choice(self, asked: "_Asked") -> None:
        """Tell which route was chosen, once and before all else that is told of the message."""
        if asked.choice is None:
            return
        (selection, expression), asked.choice = asked.choice, None
        message = asked.message
        taker = selection.route.route_key if selection.route else "nobody"
        self._tell(
            Step.MESSAGE,
            f"{len(message.text)} characters for {taker}: {_short(selection.reason)}",
            asked.connection,
            message.request_id,
            detail=steps.selection(
                selection, expression, None if selection.key is None else _short(selection.key)
            ),
        )

    async def _call(self, asked: "_Asked", exchange: Exchange) -> None:
        try:
            outcome: Result | Exception = await self._pipeline.call(exchange)
        except Exception as error:  # noqa: BLE001 - told below, as what a runner tells is
            outcome = error
        self._called(asked, outcome)

    def _called(self, asked: "_Asked", outcome: Result | Exception) -> None:
        """An integration has done its part; raises nothing."""
        if isinstance(outcome, Exception):
            self._failed(asked, outcome)
            return
        took_ms = (self._clock.monotonic_seconds() - asked.began_seconds) * 1000
        try:
            reply = _weigh(asked.route, outcome)
            # The client need not wait for what is only told of its message.
            self._send(asked, reply)
            self._tell_call(asked, outcome, took_ms)
            self._tell_reply(asked, reply)
        except Exception as error:  # noqa: BLE001 - the border, as in ``handle``
            self._failed(asked, error)

    def _answer(self, asked: "_Asked", reply: replies.Reply) -> None:
        """Answer a message that no integration was called for."""
        self._send(asked, reply)
        self._tell_reply(asked, reply)

    def _send(self, asked: "_Asked", reply: replies.Reply) -> None:
        match reply:
            case replies.Send():
                asked.answer(reply.text)
            case replies.Silence():
                asked.answer(None)
            case replies.ErrorFrame():
                connection_id = asked.connection.connection_id
                request_id = asked.message.request_id
                asked.answer(replies.error_frame(reply.message, connection_id, request_id))
            case _:
                assert_never(reply)

    def _tell_call(self, asked: "_Asked", outcome: Result, took_ms: float) -> None:
        """Tell what an integration did, and warn of what its mappings did not find."""
        self._tell_choice(asked)
        route, connection, request_id = asked.route, asked.connection, asked.message.request_id
        if not isinstance(outcome, Unreachable | replies.Rejection):
            self._tell(
                Step.INVOKED,
                f"{route.route_key} took {took_ms:.1f} ms",
                connection,
                request_id,
                detail=steps.call(route, outcome, took_ms),
            )
        if asked.facts is not None:
            stage_facts.called(asked.facts, route.integration, asked.event, outcome, round(took_ms))
        if isinstance(outcome, replies.BackendResponse):
            for warning in outcome.warnings:
                self._tell(Step.WARNING, warning, connection, request_id)

    def _tell_reply(self, asked: "_Asked", reply: replies.Reply) -> None:
        self._tell_choice(asked)
        connection, request_id = asked.connection, asked.message.request_id
        if asked.facts is not None:
            self._logs.replied(asked.facts, reply)
        match reply:
            case replies.Send():
                size = f"{len(reply.text)} characters"
                self._tell(Step.REPLY, size, connection, request_id)
            case replies.Silence():
                summary = f"none: {reply.reason}"
                self._tell(Step.REPLY, summary, connection, request_id, reply.cause)
            case replies.ErrorFrame():
                self._tell(
                    Step.ERROR,
                    f"{reply.message}: {reply.reason}",
                    connection,
                    request_id,
                    reply.cause,
                    detail={"frame": str(reply.message)},
                )
            case _:
                assert_never(reply)

    def _failed(self, asked: "_Asked", error: Exception) -> None:
        """The engine itself failed."""
        self._tell_choice(asked)
        connection, request_id = asked.connection, asked.message.request_id
        client = f"{connection.connection_id} from {connection.source_ip}"
        _logger.error("A message of %s failed", client, exc_info=error)
        reason = "The engine failed; its log says why."
        self._tell(Step.ERROR, reason, connection, request_id, Cause.INTERNAL)
        message = replies.FrameMessage.INTERNAL_SERVER_ERROR
        asked.answer(replies.error_frame(message, connection.connection_id, request_id))

    async def disconnected(self, connection: Connection, code: int, reason: str) -> None:
        """Run ``$disconnect`` for a connection that is gone; no failure has an effect (8.19)."""
        await self._tell_disconnect(connection, code, reason)
        self._counts.disconnects += 1

    async def _tell_disconnect(self, connection: Connection, code: int, reason: str) -> None:
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
        exchange = _exchange(stage, route, connection, event)
        outcome: Result = (
            exchange if isinstance(exchange, Unreachable) else await self._pipeline.call(exchange)
        )
        took_ms = (self._clock.monotonic_seconds() - began) * 1000
        if facts is not None:
            stage_facts.called(facts, route.integration, event, outcome, round(took_ms))
            self._logs.disconnected(facts)
        failure = _failure(outcome)
        detail = steps.call(route, outcome, took_ms)
        if failure is None:
            self._tell(Step.INVOKED, DISCONNECT, connection, request_id, detail=detail)
        else:
            reason, cause = failure
            summary = f"$disconnect failed: {reason}"
            self._tell(Step.ERROR, summary, connection, request_id, cause, detail=detail)


def _exchange(
    stage: DeployedStage,
    route: Route,
    connection: Connection,
    event: events.MessageEvent | events.DisconnectEvent,
) -> Exchange | Unreachable:
    """An event on its way to its route's integration, where there is one."""
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
    return Exchange(
        route=route,
        integration=route.integration,
        snapshot=stage.snapshot,
        event=event,
        source_arn=source_arn,
        variables=stage.settings.variables,
    )


def _weigh(route: Route, outcome: Result) -> replies.Reply:
    """What the client gets for what an integration gave."""
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
            return replies.backend_reply(route, outcome)
        case _:
            assert_never(outcome)


def _short(reason: str) -> str:
    """A reason that may quote the client, as one line can show it; its advice stands at the end."""
    if len(reason) <= _REASON_MAX_CHARACTERS:
        return reason
    half = _REASON_MAX_CHARACTERS // 2
    return f"{reason[:half]} … {reason[-half:]}"


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
