"""What the functions are told: the events of CONNECT, MESSAGE and DISCONNECT."""

import re

import pytest
from parity.account import Account, Event, Function, Stage
from parity.sockets import connect, connected_as, disconnect_event

rule = pytest.mark.rule
SOCKET_ID = re.compile(r"[A-Za-z0-9_-]{15}=")
CONTEXT = {
    "routeKey",
    "eventType",
    "extendedRequestId",
    "requestTime",
    "messageDirection",
    "stage",
    "connectedAt",
    "requestTimeEpoch",
    "identity",
    "requestId",
    "domainName",
    "connectionId",
    "apiId",
}


class Life:
    """One connection from its handshake to its end, with a query or without."""

    def __init__(self, account: Account, stage: Stage, worker: Function, below: str = "") -> None:
        headers = {"X-MixedCase": "Kept", "User-Agent": "parity/1"}
        with connect(
            account, stage, below=below, headers=headers, user_agent_header=None
        ) as client:
            self.first = client.event(action="echo", number=1)
            self.second = client.event("plain words")
            self.connection_id = client.connection_id
        (self.connect,) = account.events(worker, connected_as(client.mark))
        self.disconnect = disconnect_event(account, worker, self.connection_id)

    @property
    def contexts(self) -> list[Event]:
        """The request contexts of all three kinds."""
        events = (self.connect, self.first, self.disconnect)
        return [event["requestContext"] for event in events]


@pytest.fixture(scope="module")
def life(account: Account, chat: Stage, worker: Function) -> Life:
    """A connection without a query, to a stage without variables."""
    return Life(account, chat, worker)


@pytest.fixture(scope="module")
def rich(account: Account, other_stage: Stage, worker: Function) -> Life:
    """A connection with a query, to a stage with variables."""
    return Life(account, other_stage, worker, "?token=t&room=1&room=2")


# CONNECT


@rule("2.37")
def test_connect_event_has_exactly_its_members(rich: Life) -> None:
    """Headers, context, encoding and, with a query, its two members; stage variables if any."""
    event = rich.connect

    assert set(event) - {"stageVariables"} == {
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "requestContext",
        "isBase64Encoded",
    }
    assert event["isBase64Encoded"] is False
    assert event["queryStringParameters"] == {"token": "t", "room": "2"}
    assert event["multiValueQueryStringParameters"] == {"token": ["t"], "room": ["1", "2"]}


@rule("2.38", "10.06")
def test_members_of_the_query_are_absent_without_one(life: Life) -> None:
    """They are left out, neither null nor empty."""
    assert set(life.connect) == {
        "headers",
        "multiValueHeaders",
        "requestContext",
        "isBase64Encoded",
    }


@rule("3.21")
def test_authorizer_is_absent_where_there_is_none(life: Life) -> None:
    """No event of an open API has that member."""
    assert [context for context in life.contexts if "authorizer" in context] == []


@rule("2.39")
def test_connect_context_has_exactly_its_members(life: Life) -> None:
    """Thirteen members."""
    context = life.connect["requestContext"]

    assert set(context) == CONTEXT
    assert (context["routeKey"], context["eventType"]) == ("$connect", "CONNECT")


@rule("2.40")
def test_identity_has_address_and_agent(life: Life) -> None:
    """``sourceIp`` and, when sent, ``userAgent``; no null members."""
    identity = life.connect["requestContext"]["identity"]

    assert set(identity) == {"sourceIp", "userAgent"}
    assert identity["userAgent"] == "parity/1"


@rule("2.40")
def test_identity_has_no_agent_when_none_was_sent(
    account: Account, chat: Stage, worker: Function
) -> None:
    """A client without User-Agent has an identity of one member."""
    with connect(account, chat, user_agent_header=None) as client:
        (event,) = account.events(worker, connected_as(client.mark))

    assert set(event["requestContext"]["identity"]) == {"sourceIp"}


@rule("2.32")
def test_connect_event_leaves_out_three_headers(life: Life) -> None:
    """``Connection``, ``Upgrade`` and ``content-length`` are not told."""
    names = {name.lower() for name in life.connect["headers"]}

    assert names & {"connection", "upgrade", "content-length"} == set()
    assert "sec-websocket-key" in names


@rule("2.33")
def test_header_names_keep_the_client_s_case(life: Life) -> None:
    """Names are as they were sent; a trace id and three forwarding headers are added."""
    headers = life.connect["headers"]

    assert headers["X-MixedCase"] == "Kept"
    assert life.connect["multiValueHeaders"]["X-MixedCase"] == ["Kept"]
    assert headers["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert (headers["X-Forwarded-Port"], headers["X-Forwarded-Proto"]) == ("443", "https")
    assert headers["X-Forwarded-For"]


@rule("2.36")
def test_connected_at_is_the_time_of_the_handshake(life: Life) -> None:
    """It differs from the CONNECT event's time by little."""
    context = life.connect["requestContext"]

    assert abs(context["connectedAt"] - context["requestTimeEpoch"]) < 1000


# All three


@rule("2.41")
def test_request_id_is_there_twice(life: Life) -> None:
    """``extendedRequestId`` equals ``requestId``."""
    for context in life.contexts:
        assert context["extendedRequestId"] == context["requestId"]


@rule("2.42", "10.19")
def test_ids_have_sixteen_characters(life: Life) -> None:
    """Connection, request and message ids are URL-safe base64 that ends in ``=``."""
    ids = [context[name] for context in life.contexts for name in ("connectionId", "requestId")]
    ids.append(life.first["requestContext"]["messageId"])

    assert [each for each in ids if not SOCKET_ID.fullmatch(each)] == []


@rule("2.43")
def test_times_have_their_forms(life: Life) -> None:
    """``requestTime`` in CLF form, epochs as integers in milliseconds."""
    form = r"\d\d/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}:\d\d:\d\d:\d\d \+0000"
    for context in life.contexts:
        assert re.fullmatch(form, context["requestTime"])
        assert isinstance(context["requestTimeEpoch"], int)
        assert context["requestTimeEpoch"] > 1_500_000_000_000
        assert isinstance(context["connectedAt"], int)


@rule("2.44")
def test_direction_is_in(life: Life) -> None:
    """All three kinds say ``IN``."""
    assert [context["messageDirection"] for context in life.contexts] == ["IN", "IN", "IN"]


@rule("2.46")
def test_stage_variables_are_told_when_there_are_any(life: Life, rich: Life) -> None:
    """CONNECT and MESSAGE have the stage's variables; without any the member is absent."""
    wanted = {"colour": "red", "size": "10"}

    assert [event.get("stageVariables") for event in (rich.connect, rich.first)] == [wanted] * 2
    assert "stageVariables" not in {**life.connect, **life.first}


# MESSAGE


@rule("5.20", "5.24", "2.31", "10.05")
def test_message_event_has_exactly_its_members(life: Life, rich: Life) -> None:
    """Context, body and encoding; nothing of the handshake's headers and query."""
    assert set(life.first) == {"requestContext", "body", "isBase64Encoded"}
    assert set(rich.first) - {"stageVariables"} == {"requestContext", "body", "isBase64Encoded"}
    assert life.first["isBase64Encoded"] is False


@rule("5.21")
def test_message_context_has_a_message_id(life: Life) -> None:
    """It has the members of CONNECT and ``messageId``."""
    context = life.first["requestContext"]

    assert set(context) == set(life.connect["requestContext"]) | {"messageId"}
    assert context["eventType"] == "MESSAGE"


@rule("5.22")
def test_message_names_the_chosen_route(life: Life) -> None:
    """``routeKey`` is that of the route, also for ``$default``."""
    keys = [event["requestContext"]["routeKey"] for event in (life.first, life.second)]

    assert keys == ["echo", "$default"]


@rule("5.23")
def test_body_is_the_text(life: Life) -> None:
    """It is unchanged, JSON or not."""
    assert life.first["body"] == '{"action": "echo", "number": 1}'
    assert life.second["body"] == "plain words"


@rule("5.25")
def test_each_message_has_new_ids(life: Life) -> None:
    """Request and message ids are new; connection id and time are those of the handshake."""
    contexts = [life.first["requestContext"], life.second["requestContext"]]
    ids = {context[name] for context in contexts for name in ("requestId", "messageId")}

    assert len(ids) == 4
    for name in ("connectionId", "connectedAt"):
        values = [life.connect["requestContext"][name], *(context[name] for context in contexts)]
        assert len(set(values)) == 1


# DISCONNECT


@rule("8.08")
def test_disconnect_event_has_no_message_id(life: Life) -> None:
    """It belongs to no message."""
    assert "messageId" not in life.disconnect["requestContext"]


@rule("8.04")
def test_disconnect_event_has_exactly_its_members(life: Life) -> None:
    """Headers twice, context and encoding; no body, no query."""
    assert set(life.disconnect) == {
        "headers",
        "multiValueHeaders",
        "requestContext",
        "isBase64Encoded",
    }
    assert life.disconnect["isBase64Encoded"] is False


@rule("8.05", "10.07")
def test_disconnect_event_has_four_made_up_headers(life: Life) -> None:
    """Three of them are empty, the fourth is the host."""
    headers = life.disconnect["headers"]

    assert set(headers) == {"Host", "x-api-key", "X-Forwarded-For", "x-restapi"}
    assert (headers["x-api-key"], headers["x-restapi"]) == ("", "")
    assert headers["Host"] == life.disconnect["requestContext"]["domainName"]
    assert life.disconnect["multiValueHeaders"] == {
        name: [value] for name, value in headers.items()
    }


@rule("8.06")
def test_disconnect_context_has_code_and_reason(life: Life) -> None:
    """It has the members of CONNECT and two more."""
    context = life.disconnect["requestContext"]

    more = {"disconnectStatusCode", "disconnectReason"}
    assert set(context) == set(life.connect["requestContext"]) | more
    assert isinstance(context["disconnectStatusCode"], int)
    assert isinstance(context["disconnectReason"], str)
    assert (context["routeKey"], context["eventType"]) == ("$disconnect", "DISCONNECT")


@rule("8.07")
def test_disconnect_context_has_the_identity_of_the_handshake(life: Life) -> None:
    """Address and agent are still told."""
    before, after = life.connect["requestContext"], life.disconnect["requestContext"]

    assert after["identity"] == before["identity"]


@rule("8.09")
def test_disconnect_context_has_the_time_of_the_handshake(life: Life) -> None:
    """``connectedAt`` is that of CONNECT; the event's own time is later."""
    before, after = life.connect["requestContext"], life.disconnect["requestContext"]

    assert after["connectedAt"] == before["connectedAt"]
    assert after["requestTimeEpoch"] >= before["requestTimeEpoch"]
