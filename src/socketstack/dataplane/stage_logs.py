"""Access and execution logs of stages: from what became known of a request to lines.

A request of a stage that logs nothing has no ``Facts``: then nothing here costs anything. Lines
that cannot be delivered are told on the trace, once for each reason and place.

Rules: 9.02 to 9.08.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, Protocol

from socketstack.clock import Clock
from socketstack.core import access_log, context, execution_log, replies
from socketstack.core.context import Facts
from socketstack.core.model import (
    Connection,
    DeployedStage,
    EventType,
    LogDestination,
    LoggingLevel,
    Message,
)
from socketstack.core.routing import CONNECT, DISCONNECT
from socketstack.dataplane.handshake import Admitted, Handshake, Refused
from socketstack.runner.base import LogLine
from socketstack.trace import Step, Trace

_STATUSES: Final = {
    replies.FrameMessage.FORBIDDEN: HTTPStatus.FORBIDDEN,
    replies.FrameMessage.TIMED_OUT: HTTPStatus.GATEWAY_TIMEOUT,
    replies.FrameMessage.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    replies.FrameMessage.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
}


class StageLogSink(Protocol):
    """Takes the lines of stages; must not block."""

    def write(self, destination: LogDestination, lines: Sequence[LogLine]) -> str:
        """Take lines, in order; says why some are dropped, and is empty when none are."""
        ...


class NoStageLogs:
    """Where nothing keeps logs."""

    def write(self, destination: LogDestination, lines: Sequence[LogLine]) -> str:
        """Drop the lines."""
        del destination
        return f"Nothing keeps logs here: {len(lines)} lines are dropped."


NO_STAGE_LOGS: Final = NoStageLogs()


class StageLogs:
    """Writes what stages want to be logged."""

    def __init__(self, *, sink: StageLogSink, clock: Clock, trace: Trace) -> None:
        self._sink = sink
        self._clock = clock
        self._trace = trace
        self._told: dict[LogDestination, str] = {}

    # Requests begin: each gives None when the stage logs nothing

    def handshake(self, handshake: Handshake) -> Facts | None:
        """A CONNECT."""
        logging = handshake.stage.settings.logging
        if logging is None:
            return None
        return Facts(
            connection=handshake.connection,
            event_type=EventType.CONNECT,
            request_id=handshake.request_id,
            time_ms=handshake.time_ms,
            logging=logging,
            route_key=CONNECT,
        )

    def message(
        self, stage: DeployedStage | None, connection: Connection, message: Message
    ) -> Facts | None:
        """A MESSAGE; its route is chosen later."""
        if stage is None or stage.settings.logging is None:
            return None
        return Facts(
            connection=connection,
            event_type=EventType.MESSAGE,
            request_id=message.request_id,
            time_ms=message.received_at_ms,
            logging=stage.settings.logging,
            message_id=message.message_id,
        )

    def goodbye(
        self,
        stage: DeployedStage | None,
        connection: Connection,
        disconnect: tuple[int, str],
        request_id: str,
        time_ms: int,
    ) -> Facts | None:
        """A DISCONNECT with its code and reason."""
        if stage is None or stage.settings.logging is None:
            return None
        return Facts(
            connection=connection,
            event_type=EventType.DISCONNECT,
            request_id=request_id,
            time_ms=time_ms,
            logging=stage.settings.logging,
            route_key=DISCONNECT,
            disconnect=disconnect,
        )

    # Requests end

    def decided(self, facts: Facts | None, outcome: Admitted | Refused) -> None:
        """Log a handshake."""
        if facts is None:
            return
        if isinstance(outcome, Refused):
            facts.end(outcome.status, reason=outcome.reason, response_type=outcome.response_type)
        else:
            facts.end(HTTPStatus.OK)
        self._write(facts)

    def replied(self, facts: Facts, reply: replies.Reply) -> None:
        """Log a message whose reply is decided."""
        if not isinstance(reply, replies.ErrorFrame):
            facts.end(_integration_status(facts))
        elif reply.message is replies.FrameMessage.INTERNAL_SERVER_ERROR:
            facts.end(_failed_status(facts), reason=reply.reason, message=reply.message)
        elif reply.message is replies.FrameMessage.BAD_REQUEST_BODY:
            facts.end(
                HTTPStatus.BAD_REQUEST,
                reason=reply.reason,
                message=reply.message,
                response_type="BAD_REQUEST_BODY",
                validation=reply.validation or reply.reason,
            )
        else:
            facts.end(_STATUSES[reply.message], reason=reply.reason, message=reply.message)
        self._write(facts)

    def disconnected(self, facts: Facts | None) -> None:
        """Log a connection that ended; what failed has no effect, but shows (8.19)."""
        if facts is None:
            return
        has_failed = facts.integration is not None and facts.integration.status is None
        facts.end(_failed_status(facts) if has_failed else _integration_status(facts))
        self._write(facts)

    def _write(self, facts: Facts) -> None:
        access = facts.logging.access
        if access is not None:
            text = access_log.line(access.layout, context.variables(facts))
            self._send(facts, access.destination_arn, [text])
            self._warn_of_unknown(facts, access.layout)
        if facts.execution.level is not LoggingLevel.OFF:
            self._send(facts, "", execution_log.lines(facts))

    def _send(self, facts: Facts, access_arn: str, texts: Sequence[str]) -> None:
        if not texts:
            return
        connection = facts.connection
        destination = LogDestination(
            account_id=connection.account_id,
            region=connection.region,
            api_id=connection.api_id,
            stage_name=connection.stage_name,
            access_arn=access_arn,
        )
        now_ms = self._clock.now_ms()
        problem = self._sink.write(destination, [LogLine(time_ms=now_ms, text=t) for t in texts])
        if problem:
            self._tell_once(destination, problem)
        else:
            self._told.pop(destination, None)

    def _warn_of_unknown(self, facts: Facts, layout: str) -> None:
        unknown = access_log.unknown_variables(layout)
        if unknown:
            names = ", ".join(f"$context.{name}" for name in unknown)
            destination = LogDestination(
                account_id="",
                region="",
                api_id=facts.connection.api_id,
                stage_name=facts.connection.stage_name,
            )
            self._tell_once(
                destination,
                f"The access log's format names {names}, which WebSocket APIs do not have: a - is "
                "written. Take the names from AWS's page on logging for WebSocket APIs. [9.02]",
            )

    def _tell_once(self, destination: LogDestination, problem: str) -> None:
        if self._told.get(destination) == problem:
            return
        self._told[destination] = problem
        self._trace.emit(
            Step.WARNING,
            problem,
            api_id=destination.api_id,
            stage_name=destination.stage_name,
        )


def _failed_status(facts: Facts) -> int:
    """What a failed call is for a handshake, which has a status (2.09 to 2.12)."""
    called = facts.integration
    if called is None:
        return HTTPStatus.INTERNAL_SERVER_ERROR
    if called.service_status is not None:
        return HTTPStatus.BAD_GATEWAY  # the function failed, or gave no proxy response
    is_late = called.latency_ms is not None
    return HTTPStatus.GATEWAY_TIMEOUT if is_late else HTTPStatus.INTERNAL_SERVER_ERROR


def _integration_status(facts: Facts) -> int:
    called = facts.integration
    return HTTPStatus.OK if called is None or called.status is None else called.status
