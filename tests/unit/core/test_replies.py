import json

import pytest
from unit.core.builders import raised, returned

from socketstack.core.causes import Cause
from socketstack.core.model import FailureKind, InvokeResult, Json, Route
from socketstack.core.replies import (
    CONNECT_TIMED_OUT,
    MESSAGE_TIMED_OUT,
    Accept,
    BackendResponse,
    ErrorFrame,
    FrameMessage,
    Refuse,
    Rejection,
    Send,
    Silence,
    backend_reply,
    backend_verdict,
    error_frame,
    for_route,
    sendable,
    verdict,
)

_ONE_WAY = Route(route_id="r1", route_key="send")
_TWO_WAY = Route(route_id="r1", route_key="send", is_two_way=True)

_NOT_A_PROXY_RESPONSE = [
    pytest.param(returned(None), "no JSON object", id="null"),
    pytest.param(returned("ok"), "no JSON object", id="text"),
    pytest.param(returned([200]), "no JSON object", id="array"),
    pytest.param(InvokeResult(payload=b"not json"), "no JSON object", id="not-json"),
    pytest.param(returned({}), "no usable statusCode", id="empty"),
    pytest.param(returned({"body": "x"}), "no usable statusCode", id="no-status"),
    pytest.param(returned({"statusCode": None}), "no usable statusCode", id="null-status"),
    pytest.param(returned({"statusCode": True}), "no usable statusCode", id="boolean-status"),
    pytest.param(returned({"statusCode": 200.5}), "no usable statusCode", id="fraction"),
    pytest.param(returned({"statusCode": "ok"}), "no usable statusCode", id="text-status"),
    pytest.param(returned({"statusCode": "+200"}), "no usable statusCode", id="signed-text"),
    pytest.param(returned({"statusCode": 199}), "no usable statusCode", id="too-low"),
    pytest.param(returned({"statusCode": 600}), "no usable statusCode", id="too-high"),
    pytest.param(returned({"statusCode": 200, "body": {"a": 1}}), "body", id="object-body"),
    pytest.param(returned({"statusCode": 200, "body": 1}), "body", id="number-body"),
    pytest.param(returned({"statusCode": 200, "headers": "x"}), "headers", id="text-headers"),
    pytest.param(
        returned({"statusCode": 200, "headers": {"a": {"b": "c"}}}), "headers", id="nested-header"
    ),
    pytest.param(
        returned({"statusCode": 200, "headers": {"a": ["b"]}}), "headers", id="list-in-headers"
    ),
    pytest.param(
        returned({"statusCode": 200, "multiValueHeaders": ["a"]}), "headers", id="list-of-headers"
    ),
    pytest.param(
        returned({"statusCode": 200, "multiValueHeaders": {"a": [["b"]]}}),
        "headers",
        id="list-in-list",
    ),
    pytest.param(
        returned({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "a\r\nX: y"}}),
        "Sec-WebSocket-Protocol",
        id="header-injection",
    ),
    pytest.param(
        returned({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": ""}}),
        "Sec-WebSocket-Protocol",
        id="empty-subprotocol",
    ),
    pytest.param(raised("KeyError: 'x'"), "KeyError: 'x'", id="raised"),
    pytest.param(raised("exit", FailureKind.UNHANDLED), "exit", id="died"),
    pytest.param(raised("Task timed out", FailureKind.TIMEOUT), "Task timed out", id="own-timeout"),
    pytest.param(
        InvokeResult(payload=b'{"statusCode": 200}', failure=FailureKind.HANDLED),
        "no message",
        id="failed-with-a-valid-answer",
    ),
    pytest.param(
        InvokeResult(payload=b"", failure=FailureKind.UNHANDLED), "no message", id="no-payload"
    ),
]


@pytest.mark.parametrize("status", [200, 201, 204, 299, "200"])
def test_2xx_accepts_the_handshake(status: int | str) -> None:
    """Any 2xx lets the client in; the body plays no part."""
    result = returned({"statusCode": status, "body": "ignored"})

    decision = verdict(result)

    assert decision == Accept()


@pytest.mark.parametrize("status", [300, 301, 400, 401, 403, 501, 599])
def test_other_status_refuses_with_that_status(status: int) -> None:
    """Any other status refuses the handshake with exactly that status."""
    decision = verdict(returned({"statusCode": status}))

    assert isinstance(decision, Refuse)
    assert decision.status == status


@pytest.mark.parametrize(("result", "part"), _NOT_A_PROXY_RESPONSE)
def test_failure_or_other_shape_refuses_with_502(result: InvokeResult, part: str) -> None:
    """A function that fails, or returns no proxy response, refuses the handshake with 502."""
    decision = verdict(result)

    assert isinstance(decision, Refuse)
    assert decision.status == 502
    assert part in decision.reason


@pytest.mark.parametrize(
    ("members", "subprotocol"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"headers": None, "multiValueHeaders": None}, None, id="null-headers"),
        pytest.param({"headers": {"X-Other": "a"}}, None, id="other-header"),
        pytest.param({"headers": {"Sec-WebSocket-Protocol": None}}, None, id="null-value"),
        pytest.param({"headers": {"Sec-WebSocket-Protocol": "chat"}}, "chat", id="one"),
        pytest.param({"headers": {"sec-websocket-protocol": "chat"}}, "chat", id="lower-case"),
        pytest.param(
            {"multiValueHeaders": {"Sec-WebSocket-Protocol": ["chat"]}}, "chat", id="multi-value"
        ),
        pytest.param(
            {"multiValueHeaders": {"Sec-WebSocket-Protocol": "chat"}}, "chat", id="multi-as-text"
        ),
        pytest.param(
            {
                "headers": {"Sec-WebSocket-Protocol": "chat"},
                "multiValueHeaders": {"Sec-WebSocket-Protocol": ["chat"]},
            },
            "chat",
            id="same-in-both",
        ),
    ],
)
def test_returned_subprotocol_is_accepted(
    members: dict[str, Json], subprotocol: str | None
) -> None:
    """The subprotocol a function returns is the one in the 101; without one there is none."""
    decision = verdict(returned({"statusCode": 200} | members))

    assert decision == Accept(subprotocol=subprotocol)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"headers": {"Sec-WebSocket-Protocol": "a, b"}}, id="list-sent-back"),
        pytest.param({"multiValueHeaders": {"Sec-WebSocket-Protocol": ["a", "b"]}}, id="two"),
    ],
)
def test_several_subprotocols_are_sent_with_a_warning(members: dict[str, Json]) -> None:
    """Several subprotocols reach the client as on AWS, with a warning that it will fail."""
    decision = verdict(returned({"statusCode": 200} | members))

    assert isinstance(decision, Accept)
    assert decision.subprotocol == "a, b"
    assert decision.warning is not None
    assert "exactly one" in decision.warning


@pytest.mark.parametrize("status", [200, 400, 500, "502"])
def test_two_way_route_sends_the_body_whatever_the_status(status: int | str) -> None:
    """With a route response the client gets the body, whatever the status."""
    reply = for_route(_TWO_WAY, returned({"statusCode": status, "body": "hi"}))

    assert reply == Send("hi")


@pytest.mark.parametrize("status", [200, 500])
def test_one_way_route_sends_nothing(status: int) -> None:
    """Without a route response nothing reaches the client, and the reason says how to get it."""
    reply = for_route(_ONE_WAY, returned({"statusCode": status, "body": "hi"}))

    assert isinstance(reply, Silence)
    assert "route response" in reply.reason


@pytest.mark.parametrize("body", [{}, {"body": None}])
def test_two_way_route_without_body_sends_nothing(body: dict[str, Json]) -> None:
    """A two-way route whose function returns no body sends nothing."""
    reply = for_route(_TWO_WAY, returned({"statusCode": 200} | body))

    assert reply == Silence("the function returned no body")


def test_empty_body_is_an_empty_frame() -> None:
    """A body that is an empty text is sent as such."""
    assert for_route(_TWO_WAY, returned({"statusCode": 200, "body": ""})) == Send("")


@pytest.mark.parametrize("route", [_ONE_WAY, _TWO_WAY], ids=["one-way", "two-way"])
@pytest.mark.parametrize(("result", "part"), _NOT_A_PROXY_RESPONSE)
def test_failure_or_other_shape_gives_the_error_frame(
    route: Route, result: InvokeResult, part: str
) -> None:
    """A function that fails gives the internal error frame, also on one-way routes."""
    reply = for_route(route, result)

    assert isinstance(reply, ErrorFrame)
    assert reply.message == "Internal server error"
    assert part in reply.reason


@pytest.mark.parametrize(
    "result", [raised("x"), returned({"statusCode": 200, "body": "x"}), returned(None)]
)
def test_disconnect_result_goes_nowhere(result: InvokeResult) -> None:
    """Whatever $disconnect gives, nothing is sent."""
    route = Route(route_id="r1", route_key="$disconnect", is_two_way=True)

    assert isinstance(for_route(route, result), Silence)


def test_reply_of_128_kb_is_sent_and_one_byte_more_is_an_error() -> None:
    """A reply may have 131072 bytes, counted in UTF-8."""
    largest = "ä" * (65_536)

    sent = sendable(largest)
    refused = sendable(largest + "x")

    assert sent == Send(largest)
    assert isinstance(refused, ErrorFrame)
    assert "131073 bytes" in refused.reason


def test_half_a_surrogate_pair_can_be_sent() -> None:
    """A body that JSON allows and UTF-8 does not is sent with a question mark in its place."""
    result = InvokeResult(payload=b'{"statusCode": 200, "body": "a\\ud800b"}')

    assert for_route(_TWO_WAY, result) == Send("a?b")


@pytest.mark.parametrize("message", ["Forbidden", "Internal server error"])
def test_error_frame_is_byte_for_byte_as_captured(message: str) -> None:
    """An error frame has the irregular spaces that AWS sends."""
    frame = error_frame(message, "FDmBIeapIAMCIQg=", "FDmBIG3EoAMEqYA=")

    assert frame == (
        f'{{"message": "{message}", "connectionId":"FDmBIeapIAMCIQg=", '
        '"requestId":"FDmBIG3EoAMEqYA="}'
    )


def test_error_frame_escapes_its_values() -> None:
    """Quotes in a value cannot break out of it."""
    frame = error_frame('a"b', "c\\d", "e\nf")

    assert json.loads(frame) == {"message": 'a"b', "connectionId": "c\\d", "requestId": "e\nf"}


def test_integration_timeouts_have_their_own_outcomes() -> None:
    """An integration that does not answer in time is 504 at the handshake, a frame later."""
    assert CONNECT_TIMED_OUT.status == 504
    assert MESSAGE_TIMED_OUT.message == "Endpoint request timed out"


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_backend_with_2xx_lets_the_client_in(status: int) -> None:
    """Any 2xx of a backend admits. Rules 2.07, 5.55."""
    assert backend_verdict(BackendResponse(status=status)) == Accept()


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        pytest.param(301, 301, id="redirect"),
        pytest.param(404, 404, id="client-error"),
        pytest.param(599, 599, id="highest"),
        pytest.param(100, 502, id="informational"),
        pytest.param(199, 502, id="below"),
        pytest.param(600, 502, id="above"),
    ],
)
def test_backends_status_refuses(status: int, refused: int) -> None:
    """Another status refuses with itself, one that no answer can have with 502. Rule 2.08."""
    verdict = backend_verdict(BackendResponse(status=status))

    assert isinstance(verdict, Refuse)
    assert verdict.status == refused


def test_failed_function_behind_a_mapping_refuses() -> None:
    """A function that failed admits nobody, though Lambda answered with 200. Rule 2.09."""
    verdict = backend_verdict(BackendResponse(status=200, failure="it raised"))

    assert verdict == Refuse(status=502, reason="it raised", cause=Cause.FUNCTION_FAILED)


@pytest.mark.parametrize(
    ("subprotocols", "expected"),
    [
        pytest.param((), Accept(), id="none"),
        pytest.param(("chat",), Accept(subprotocol="chat"), id="one"),
    ],
)
def test_backends_subprotocol_is_accepted(subprotocols: tuple[str, ...], expected: Accept) -> None:
    """The subprotocol that the integration mapped goes into the 101. Rule 2.26."""
    assert backend_verdict(BackendResponse(status=200, subprotocols=subprotocols)) == expected


@pytest.mark.parametrize("bad", ["", "a\r\nX: y", " a", "ü"])
def test_subprotocol_that_no_header_can_carry_refuses(bad: str) -> None:
    """A backend cannot write into the handshake's answer. Rule 2.26."""
    verdict = backend_verdict(BackendResponse(status=200, subprotocols=(bad,)))

    assert isinstance(verdict, Refuse)
    assert verdict.status == 502


def test_backends_body_reaches_clients_of_two_way_routes() -> None:
    """Whatever the status; nothing where there is nothing, or no route response. Rule 5.29."""
    gone = Route(route_id="r1", route_key="$disconnect", is_two_way=True)

    assert backend_reply(_TWO_WAY, BackendResponse(status=500, body="x")) == Send("x")
    assert isinstance(backend_reply(_TWO_WAY, BackendResponse(status=200)), Silence)
    assert isinstance(backend_reply(_ONE_WAY, BackendResponse(status=200, body="x")), Silence)
    assert isinstance(backend_reply(gone, BackendResponse(status=200, body="x")), Silence)


def test_large_body_of_a_backend_is_the_internal_error() -> None:
    """A reply above 128 KB cannot be sent. Rule 6.01."""
    reply = backend_reply(_TWO_WAY, BackendResponse(status=200, body="x" * 131_073))

    assert isinstance(reply, ErrorFrame)


def test_rejection_of_a_message_is_an_error_frame() -> None:
    """A message that API Gateway itself ends gets a frame; its details go to the logs. 5.75."""
    rejection = Rejection(
        status=400,
        message=FrameMessage.BAD_REQUEST_BODY,
        reason="why",
        cause=Cause.MODEL_MISMATCH,
        validation="what",
    )

    assert rejection.frame() == ErrorFrame(
        message=FrameMessage.BAD_REQUEST_BODY,
        reason="why",
        cause=Cause.MODEL_MISMATCH,
        validation="what",
    )
