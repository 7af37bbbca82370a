"""Whole events that functions get, against documents with the shapes of captured AWS events.

The documents beside this file have our own values in the members, the members' order and the
absences of events captured on AWS: the test events of aws-powertools/powertools-lambda-python
(captures of 2024 and 2025) and of MousaZeidBaker/aws-lambda-typing (2022, with an authorizer),
the log in boto/boto3#3789 (DELETE, with an authorizer), a public capture of an idle close, and the
authorizer page of the developer guide. No capture shows stage variables; their place is ours.

What differs from run to run stands in the documents as ``<name>``, and ``_PATTERNS`` says what it
may be; the same name is the same value throughout one event.

Rules: 2.32, 2.33, 2.37 to 2.46, 3.03 to 3.06, 3.18 to 3.22, 5.20 to 5.25, 8.04 to 8.14, 8.17.
"""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import websockets
from aws_lambda_powertools.utilities.data_classes import APIGatewayWebSocketEvent
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import (
    APIGatewayAuthorizerRequestEvent,
    APIGatewayAuthorizerResponseWebSocket,
)
from aws_lambda_powertools.utilities.parser.models import (
    APIGatewayWebSocketConnectEventModel,
    APIGatewayWebSocketDisconnectEventModel,
    APIGatewayWebSocketMessageEventModel,
)
from engine_world import RECORDER, Deployed, EngineWorld, running_engine
from websockets.sync.client import ClientConnection

from socketstack.core.authorizer import Allow, Deny, decide
from socketstack.core.model import InvokeResult

Event = dict[str, Any]

_FOLDER = Path(__file__).parent
_NAMES = sorted(path.stem for path in _FOLDER.glob("*.json"))

_SOCKET_ID = r"[A-Za-z0-9_-]{15}="
_MILLISECONDS = r"1[0-9]{12}"
_PATTERNS = {
    "apiId": r"[a-z0-9]{10}",
    "connectedAt": _MILLISECONDS,
    "connectionId": _SOCKET_ID,
    "domainName": r"[a-z0-9]{10}\.execute-api\.localhost:[0-9]+",
    "integrationLatency": r"[0-9]{1,5}",
    "messageId": _SOCKET_ID,
    "requestId": _SOCKET_ID,
    "requestTime": r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} \+0000",
    "requestTimeEpoch": _MILLISECONDS,
    "sourceIp": r"127\.0\.0\.1",
    "traceId": r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}",
    "webSocketKey": r"[A-Za-z0-9+/]{22}==",
}
_NUMBERS = {"connectedAt", "integrationLatency", "requestTimeEpoch"}
_AUTHORIZER = f"""
    {RECORDER.strip()}

    record = handle

    def handle(event, context):
        record(event, context)
        statement = {{
            "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]
        }}
        return {{
            "principalId": "alice",
            "policyDocument": {{"Version": "2012-10-17", "Statement": [statement]}},
            "context": {{"tier": "gold", "seats": 4, "isAdmin": True}},
        }}
"""
_CHAT = '{"action": "chat", "message": "Hello from client"}'
_NO_JSON = 'no JSON: ü ☃ "quoted"\n'
_EMPTY_CLOSE = b"\x88\x80\x11\x22\x33\x44"
"""A client's close frame without a code."""


class Recording:
    """What functions got, by the name of the document that shows it."""

    def __init__(self, engine: EngineWorld) -> None:
        self.engine = engine
        recorder = engine.make_function("recorder")
        authorizer = engine.make_function("authorizer", _AUTHORIZER)
        routes = dict.fromkeys(("$connect", "$disconnect", "$default", "chat"), recorder)
        self.open = engine.make_api(routes)
        self.guarded = engine.make_api(routes, authorizer=authorizer)
        self.guarded_with_query = engine.make_api(
            routes,
            authorizer=authorizer,
            sources=("route.request.querystring.token",),
            variables={"table": "chat"},
        )
        self.events: dict[str, Event] = {}

    @contextmanager
    def _connect(
        self, api: Deployed, query: str = "", **options: Any
    ) -> Iterator[ClientConnection]:
        """A client that calls the API by its own host name, as on AWS."""
        port = self.engine.port
        settings = {"user_agent_header": None} | options
        url = f"ws://{api.api_id}.execute-api.localhost:{port}/dev{query}"
        with (
            socket.create_connection(("127.0.0.1", port)) as sock,
            self.engine.connect(url, sock=sock, **settings) as client,
        ):
            yield client

    def _found(self, api: Deployed, event_type: str, function: str = "recorder") -> Event:
        """The latest event of an API and type; waits until there is one more than before."""
        taken = [event for event in self.events.values() if _is_of(event, api, event_type)]
        count = len([event for event in taken if ("type" in event) == (function == "authorizer")])
        everything: list[Event] = []
        while len(everything) <= count:
            everything = [
                event for event in self.engine.events(function, 1) if _is_of(event, api, event_type)
            ]
        return everything[-1]

    def run(self) -> None:
        """Connect, send and close in every way that a document shows."""
        with self._connect(self.open) as client:
            client.send(_CHAT)
            assert client.recv(timeout=10) == _CHAT
            self.events["connect"] = self._found(self.open, "CONNECT")
            self.events["message"] = self._found(self.open, "MESSAGE")
            client.send(_NO_JSON)
            assert client.recv(timeout=10) == _NO_JSON
            self.events["message-default"] = self._found(self.open, "MESSAGE")
            client.socket.sendall(_EMPTY_CLOSE)
            with pytest.raises(websockets.ConnectionClosed):
                client.recv(timeout=10)
        self.events["disconnect-without-code"] = self._found(self.open, "DISCONNECT")
        with self._connect(self.open) as client:
            client.close(1001)
        self.events["disconnect-page-left"] = self._found(self.open, "DISCONNECT")
        with self._connect(self.open) as client:
            self.engine.own("POST", "clock", {"to": "idle", "beforeSeconds": 0})
            with pytest.raises(websockets.ConnectionClosed):
                client.recv(timeout=10)
        self.events["disconnect-idle"] = self._found(self.open, "DISCONNECT")
        with self._connect(self.guarded):
            self.events["authorizer"] = self._found(self.guarded, "CONNECT", "authorizer")
        self._run_guarded()

    def _run_guarded(self) -> None:
        api = self.guarded_with_query
        headers = {"Authorization": "Bearer golden"}
        with self._connect(
            api,
            "?room=one&room=two&token=golden",
            user_agent_header="golden/1",
            additional_headers=headers,
        ) as client:
            client.send(_CHAT)
            assert client.recv(timeout=10) == _CHAT
            self.events["authorizer-with-query"] = self._found(api, "CONNECT", "authorizer")
            self.events["connect-authorized"] = self._found(api, "CONNECT")
            self.events["message-authorized"] = self._found(api, "MESSAGE")
            connection_id = self.events["message-authorized"]["requestContext"]["connectionId"]
            self.engine.management(api).delete_connection(ConnectionId=connection_id)
            with pytest.raises(websockets.ConnectionClosed):
                client.recv(timeout=10)
        self.events["disconnect-authorized-deleted"] = self._found(api, "DISCONNECT")


def _is_of(event: Event, api: Deployed, event_type: str) -> bool:
    context = event["requestContext"]
    return (context["apiId"], context["eventType"]) == (api.api_id, event_type)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Event]]:
    """The events of one real engine, whose functions are real processes."""
    with running_engine(tmp_path_factory.mktemp("golden")) as engine:
        recording = Recording(engine)
        recording.run()
        yield recording.events


# Documents with places for values


def _golden(name: str) -> Event:
    document: Event = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def _with_names(golden: object, actual: object, bound: dict[str, str]) -> object:
    """The actual value, with the golden names where it is what they may stand for."""
    match golden, actual:
        case dict(), dict():
            return {
                key: _with_names(golden.get(key), value, bound) for key, value in actual.items()
            }
        case list(), list() if len(golden) == len(actual):
            return [_with_names(*pair, bound) for pair in zip(golden, actual, strict=True)]
        case str(), _ if "<" in golden and _fits(golden, actual, bound):
            return golden
        case _:
            return actual


def _fits(golden: str, actual: object, bound: dict[str, str]) -> bool:
    names = re.findall(r"<(\w+)>", golden)
    if type(actual) is not (int if set(names) & _NUMBERS else str):
        return False
    pattern = re.escape(golden)
    for name in names:
        pattern = pattern.replace(re.escape(f"<{name}>"), f"(?P<{name}>{_PATTERNS[name]})")
    match = re.fullmatch(pattern, str(actual))
    return match is not None and all(
        bound.setdefault(name, value) == value for name, value in match.groupdict().items()
    )


@pytest.mark.parametrize("name", _NAMES)
def test_event_is_the_document_member_for_member(name: str, recorded: dict[str, Event]) -> None:
    """A function gets exactly the documented members, in their order, and no null for absence."""
    golden, actual = _golden(name), recorded[name]

    named = _with_names(golden, actual, {})

    assert json.dumps(named, indent=2) == json.dumps(golden, indent=2)


def test_every_event_has_a_document(recorded: dict[str, Event]) -> None:
    """No event is recorded that nothing is compared with, and no document is left out."""
    assert sorted(recorded) == _NAMES


@pytest.mark.parametrize(
    ("golden", "actual"),
    [
        pytest.param({"a": "<requestId>"}, {"a": None}, id="null"),
        pytest.param({"a": "<requestId>"}, {}, id="absent"),
        pytest.param({}, {"a": None}, id="too-much"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="other-order"),
        pytest.param({"a": "<connectedAt>"}, {"a": "1700000000000"}, id="text-for-number"),
        pytest.param({"a": "<connectedAt>"}, {"a": 1700000000}, id="seconds"),
        pytest.param(
            {"a": "<requestId>", "b": "<requestId>"},
            {"a": "FDmBIG3EoAMEqYA=", "b": "FDmBIeapIAMCIQg="},
            id="two-values-for-one-name",
        ),
        pytest.param({"a": "<apiId>/dev"}, {"a": "a1b2c3d4e5/prod"}, id="other-text-around"),
        pytest.param({"a": ["<sourceIp>"]}, {"a": ["127.0.0.1"] * 2}, id="longer-list"),
    ],
)
def test_comparison_itself_finds_differences(golden: Event, actual: Event) -> None:
    """What is absent, null, in another order or of another type is not taken for the same."""
    named = _with_names(golden, actual, {})

    assert json.dumps(named) != json.dumps(golden)


# What belongs together


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(
            ("connect", "message", "message-default", "disconnect-without-code"), id="open"
        ),
        pytest.param(
            (
                "authorizer-with-query",
                "connect-authorized",
                "message-authorized",
                "disconnect-authorized-deleted",
            ),
            id="guarded",
        ),
    ],
)
def test_events_of_one_connection_agree(names: tuple[str, ...], recorded: dict[str, Event]) -> None:
    """All events of a connection tell the same of it; every request and message has its own id."""
    contexts = [recorded[name]["requestContext"] for name in names]

    for member in ("connectionId", "connectedAt", "apiId", "domainName", "stage", "identity"):
        assert [each[member] for each in contexts] == [contexts[0][member]] * len(contexts)
    own = [each["messageId"] for each in contexts if "messageId" in each]
    own += {each["requestId"] for each in contexts}
    assert len(own) == len(set(own))
    times = [each["requestTimeEpoch"] for each in contexts]
    assert times == sorted(times)


@pytest.mark.parametrize("name", _NAMES)
def test_both_forms_of_the_time_agree(name: str, recorded: dict[str, Event]) -> None:
    """The request time is requestTimeEpoch in words, to the second, in UTC."""
    context = recorded[name]["requestContext"]

    told = datetime.strptime(context["requestTime"], "%d/%b/%Y:%H:%M:%S %z")

    assert told.timestamp() == context["requestTimeEpoch"] // 1000
    assert context["requestId"] == context["extendedRequestId"]


# An outside reader


@pytest.mark.parametrize("name", [name for name in _NAMES if not name.startswith("authorizer")])
def test_powertools_reads_the_event(name: str, recorded: dict[str, Event]) -> None:
    """The models of AWS's own Powertools, made from real events, take ours."""
    models: dict[str, Any] = {
        "connect": APIGatewayWebSocketConnectEventModel,
        "message": APIGatewayWebSocketMessageEventModel,
        "disconnect": APIGatewayWebSocketDisconnectEventModel,
    }
    event = recorded[name]

    parsed: Any = models[name.partition("-")[0]].model_validate(event)
    wrapped = APIGatewayWebSocketEvent(event)

    context = event["requestContext"]
    assert parsed.request_context.connection_id == context["connectionId"]
    assert parsed.request_context.connected_at.timestamp() * 1000 == context["connectedAt"]
    assert wrapped.request_context.identity.source_ip == "127.0.0.1"
    assert wrapped.request_context.route_key == context["routeKey"]
    assert wrapped.request_context.disconnect_status_code == context.get("disconnectStatusCode")
    assert wrapped.body == event.get("body")
    assert "host" in wrapped.headers or name.startswith("message")


def test_powertools_reads_the_authorizer_event(recorded: dict[str, Event]) -> None:
    """Powertools finds headers, query, variables and the connection in the authorizer's event."""
    wrapped = APIGatewayAuthorizerRequestEvent(recorded["authorizer-with-query"])

    assert wrapped.get_type == "REQUEST"
    assert wrapped.headers["authorization"] == "Bearer golden"
    assert wrapped.query_string_parameters == {"room": "two", "token": "golden"}
    assert wrapped.stage_variables == {"table": "chat"}
    assert wrapped.request_context["routeKey"] == "$connect"


def test_policy_that_powertools_writes_decides(recorded: dict[str, Event]) -> None:
    """A policy made by Powertools from our methodArn lets in, or refuses, as it says."""
    method_arn = recorded["authorizer"]["methodArn"]

    decisions = []
    for write in ("allow_route", "deny_route"):
        response = APIGatewayAuthorizerResponseWebSocket.from_route_arn(method_arn, "alice")
        getattr(response, write)("$connect")
        answer = json.dumps(response.asdict()).encode()
        decisions.append(decide(InvokeResult(payload=answer), method_arn))

    assert isinstance(decisions[0], Allow)
    assert isinstance(decisions[1], Deny)
