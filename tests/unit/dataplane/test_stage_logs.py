"""From replies and refusals to statuses and errors in stages' logs."""

from typing import Any

import pytest
from fakes import FakeClock, FakeStageLogs
from unit.core.builders import connection, upgrade

from socketstack.core import replies
from socketstack.core.causes import Cause
from socketstack.core.context import NOT_AUTHORIZED, Facts, PhaseFacts, variables
from socketstack.core.model import (
    AccessLogging,
    ApiSnapshot,
    DeployedStage,
    EventType,
    StageLogging,
    StageSettings,
)
from socketstack.core.replies import FrameMessage
from socketstack.dataplane import stage_facts
from socketstack.dataplane.handshake import Admitted, Handshake, Refused, Secrets
from socketstack.dataplane.stage_logs import NO_STAGE_LOGS, StageLogs, StageLogSink
from socketstack.trace import Step, Trace, TraceEvent

LOGGING = StageLogging(
    access=AccessLogging("arn:x", "$context.status $context.error.responseType $context.requestId")
)


def stage_logs(sink: StageLogSink) -> tuple[StageLogs, list[TraceEvent]]:
    """The logs of stages over a sink, and what the trace then tells."""
    clock = FakeClock()
    trace = Trace(clock)
    events: list[TraceEvent] = []
    trace.subscribe(events.append)
    return StageLogs(sink=sink, clock=clock, trace=trace), events


def message(**members: Any) -> Facts:
    """A message on its way."""
    return Facts(
        connection=connection(),
        event_type=EventType.MESSAGE,
        request_id="r=",
        time_ms=1,
        logging=LOGGING,
        **members,
    )


def handshake(logging: StageLogging | None = LOGGING) -> Handshake:
    """A handshake of a stage."""
    snapshot = ApiSnapshot(
        api_id="a1b2c3d4e5",
        account_id="123456789012",
        region="eu-west-1",
        deployment_id="dep123",
        route_selection_expression="$request.body.action",
    )
    settings = StageSettings(stage_name="prod", deployment_id="dep123", logging=logging)
    asked = upgrade()
    return Handshake(
        upgrade=asked,
        secrets=Secrets(asked),
        stage=DeployedStage(settings=settings, snapshot=snapshot),
        connection=connection(),
        request_id="r=",
        time_ms=1,
        trace_id="Root=1-1-1",
        facts=None if logging is None else message(),
    )


def frame(message: FrameMessage, reason: str, cause: Cause) -> replies.ErrorFrame:
    """An error frame."""
    return replies.ErrorFrame(message=message, reason=reason, cause=cause)


def refused(reason: str, cause: Cause, response_type: str = "") -> Refused:
    """A handshake that ends with 403."""
    return Refused(status=403, reason=reason, cause=cause, response_type=response_type)


@pytest.mark.parametrize(
    ("reply", "integration", "expected"),
    [
        pytest.param(replies.Send("x"), PhaseFacts(status=201), "201 -", id="own-status"),
        pytest.param(replies.Silence("one-way"), PhaseFacts(status=200), "200 -", id="silence"),
        pytest.param(replies.Send("x"), None, "200 -", id="without-integration"),
        pytest.param(
            replies.ErrorFrame(
                message=replies.FrameMessage.FORBIDDEN, reason="no route", cause=Cause.NO_ROUTE
            ),
            None,
            "403 ACCESS_DENIED",
            id="no-route",
        ),
        pytest.param(
            replies.ErrorFrame(
                message=replies.FrameMessage.TOO_MANY_REQUESTS,
                reason="too many",
                cause=Cause.THROTTLED,
            ),
            None,
            "429 THROTTLED",
            id="throttled",
        ),
        pytest.param(
            replies.ErrorFrame(
                message=replies.FrameMessage.BAD_REQUEST_BODY,
                reason="no number",
                cause=Cause.MODEL_MISMATCH,
            ),
            None,
            "400 BAD_REQUEST_BODY",
            id="model-refuses",
        ),
        pytest.param(
            replies.ErrorFrame(
                message=replies.FrameMessage.UNSUPPORTED_MEDIA_TYPE,
                reason="none",
                cause=Cause.NO_INTEGRATION,
            ),
            None,
            "415 UNSUPPORTED_MEDIA_TYPE",
            id="no-template",
        ),
        pytest.param(
            replies.ErrorFrame(
                message=replies.FrameMessage.INTERNAL_SERVER_ERROR,
                reason="none",
                cause=Cause.NO_INTEGRATION,
            ),
            None,
            "500 API_CONFIGURATION_ERROR",
            id="nothing-to-call",
        ),
        pytest.param(
            replies.ErrorFrame(
                message=replies.FrameMessage.INTERNAL_SERVER_ERROR,
                reason="failed",
                cause=Cause.FUNCTION_FAILED,
            ),
            PhaseFacts(service_status=200, latency_ms=3, error="boom"),
            "502 INTEGRATION_FAILURE",
            id="function-failed",
        ),
        pytest.param(
            replies.ErrorFrame(
                message=replies.FrameMessage.TIMED_OUT,
                reason="late",
                cause=Cause.INTEGRATION_TIMED_OUT,
            ),
            PhaseFacts(latency_ms=29_000, error="late"),
            "504 INTEGRATION_TIMEOUT",
            id="late",
        ),
    ],
)
def test_reply_of_a_message_has_a_status(
    reply: replies.Reply, integration: PhaseFacts | None, expected: str
) -> None:
    """Each frame, and silence, is a status in the log, and an error only when it is one."""
    sink = FakeStageLogs()
    logs, _ = stage_logs(sink)
    facts = message() if integration is None else message(integration=integration)

    logs.replied(facts, reply)

    assert sink.access == [f"{expected} r="]


def test_refusal_of_a_model_is_explained() -> None:
    """What a model refuses stands in the variable for it. Rule 9.01."""
    logs, _ = stage_logs(FakeStageLogs())
    facts = message()

    logs.replied(
        facts,
        replies.ErrorFrame(
            message=replies.FrameMessage.BAD_REQUEST_BODY,
            reason="no number",
            cause=Cause.MODEL_MISMATCH,
        ),
    )

    assert variables(facts)["error.validationErrorString"] == "no number"


@pytest.mark.parametrize(
    ("integration", "expected"),
    [
        pytest.param(None, "200 -", id="no-route"),
        pytest.param(PhaseFacts(status=204, service_status=200), "204 -", id="fine"),
        pytest.param(PhaseFacts(service_status=200), "502 INTEGRATION_FAILURE", id="failed"),
        pytest.param(PhaseFacts(latency_ms=29_000), "504 INTEGRATION_TIMEOUT", id="late"),
        pytest.param(PhaseFacts(error="none"), "500 API_CONFIGURATION_ERROR", id="not-called"),
    ],
)
def test_goodbye_has_a_status(integration: PhaseFacts | None, expected: str) -> None:
    """What became of ``$disconnect`` shows, although it has no effect. Rule 8.19."""
    sink = FakeStageLogs()
    logs, _ = stage_logs(sink)
    facts = message() if integration is None else message(integration=integration)

    logs.disconnected(facts)

    assert sink.access == [f"{expected} r="]


def test_request_of_a_silent_stage_writes_nothing() -> None:
    """Without facts nothing is written, whatever the outcome."""
    sink = FakeStageLogs()
    logs, events = stage_logs(sink)
    silent = handshake(logging=None)

    stage_facts.signed(silent, None)
    logs.decided(logs.handshake(silent), refused("no", Cause.ADDRESS))
    logs.disconnected(logs.goodbye(silent.stage, silent.connection, (1000, ""), "r=", 1))

    assert sink.destinations == []
    assert events == []


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        pytest.param(None, {"authenticate.status": "200", "authorize.status": "200"}, id="allowed"),
        pytest.param(
            Refused(
                status=403,
                reason="no policy",
                cause=Cause.CALLER_NOT_ALLOWED,
                response_type="ACCESS_DENIED",
            ),
            {
                "authenticate.status": "200",
                "authorize.status": "403",
                "authorize.error": NOT_AUTHORIZED,
            },
            id="denied",
        ),
        pytest.param(
            Refused(
                status=403,
                reason="no such key",
                cause=Cause.SIGNATURE,
                response_type="INVALID_SIGNATURE",
            ),
            {"authenticate.status": "403", "authenticate.error": "no such key"},
            id="unknown-signer",
        ),
    ],
)
def test_signature_and_permission_are_two_phases(
    refused: Refused | None, expected: dict[str, str]
) -> None:
    """A signer that is known and one that may connect are told apart. Rule 9.02."""
    made = handshake()
    assert made.facts is not None

    stage_facts.signed(made, refused)

    found = variables(made.facts)
    assert {k: v for k, v in found.items() if k.startswith(("authenticate", "authorize."))} == (
        expected
    )


def test_refused_handshake_keeps_its_own_response_type() -> None:
    """Who refuses says what kind of refusal it is; an admitted handshake is a 200."""
    sink = FakeStageLogs()
    logs, _ = stage_logs(sink)
    made = handshake()

    logs.decided(
        message(),
        Refused(
            status=403, reason="none", cause=Cause.API_KEY_MISSING, response_type="INVALID_API_KEY"
        ),
    )
    logs.decided(message(), Admitted(connection=made.connection, subprotocol=None, request_id="r="))

    assert sink.access == ["403 INVALID_API_KEY r=", "200 - r="]


def test_without_a_place_for_logs_the_trace_says_so() -> None:
    """Where nothing keeps logs, a stage that wants one is told on the trace."""
    logs, events = stage_logs(NO_STAGE_LOGS)

    logs.disconnected(message())

    assert [(event.step, event.summary) for event in events] == [
        (Step.WARNING, "Nothing keeps logs here: 1 lines are dropped.")
    ]
