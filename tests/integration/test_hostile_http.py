"""Random and broken HTTP against a real engine: an answer, no traceback, and nothing happened.

The examples are drawn from a fixed seed, so a run that fails does so again.
"""

import json
import re
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from engine_world import EngineWorld, eventually, running_engine
from hypothesis import given, settings
from hypothesis import strategies as st

from socketstack.core.jsontext import MISSING, read_json

_QUIET = settings(derandomize=True, max_examples=40, deadline=None, database=None)
_READ_SECONDS = 10.0

_NAMES = st.text(alphabet="abcXYZ019-_", min_size=1, max_size=12)
_VALUES = st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\0"))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)
_TEXTS = st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["C"]), max_size=40)
_ANSWER = """
    def handle(event, context):
        return {"statusCode": 200, "type": type(event).__name__}
"""
_DEEP = b"[" * 20_000 + b"]" * 20_000
_BODIES = (
    st.binary(max_size=200)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [
            _DEEP,
            b'{"functions":' * 5000 + b"1" + b"}" * 5000,
            b'{"name":"\\ud800","protocolType":"WEBSOCKET","routeSelectionExpression":"$"}',
            b'{"skipSeconds":' + b"9" * 5000 + b"}",
            b"\xff\xfe\x00",
        ]
    )
)
_PARTS = st.sampled_from(
    ["", "..", ".", "%00", "%ff", "%2f..%2f", "@connections", "%40connections", "$connect", "{}"]
) | st.text(alphabet="abc019=%$@:._-~", max_size=8)
_PATHS = st.lists(_PARTS, max_size=5).map("/".join)
_QUERIES = st.sampled_from(["", "?", "?a=%ff", "?Action=ListUsers", "?a=1&a=2", "?%00=%"])


class World:
    """An engine that nothing may happen to."""

    def __init__(self, engine: EngineWorld) -> None:
        self.engine = engine
        arn = engine.make_function("answer", _ANSWER)
        self.api = engine.make_api(dict.fromkeys(("$connect", "$disconnect", "$default"), arn))
        self._was_told = len(engine.engine_log())
        self._is_deployed = self.deployed()

    def deployed(self) -> list[str]:
        """The APIs that there are."""
        items = self.engine.client("apigatewayv2").get_apis()["Items"]
        return sorted(item["ApiId"] for item in items)

    def send(self, data: bytes, *, is_over: bool = False) -> bytes:
        """The engine's first answer, or less when it hangs up; ``is_over``: no more is sent."""
        with socket.create_connection(("127.0.0.1", self.engine.port)) as client:
            client.settimeout(_READ_SECONDS)
            answer = b""
            try:
                client.sendall(data)
                if is_over:
                    client.shutdown(socket.SHUT_WR)
                while not _is_whole(answer) and (chunk := client.recv(65_536)):
                    answer += chunk
            except ConnectionError:
                pass  # the engine hung up on what it need not read
        return answer

    def assert_unharmed(self) -> None:
        """The engine answers, no socket is open, and no exception was written."""
        status, health = self.engine.own("GET", "health")
        assert (status, health["connections"]) == (200, 0)
        log = self.engine.engine_log()
        told, self._was_told = log[self._was_told :], len(log)
        assert "Traceback" not in told

    def assert_unchanged(self) -> None:
        """No API came or went."""
        assert self.deployed() == self._is_deployed


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One engine for all examples: what one leaves behind, the next one meets."""
    with running_engine(tmp_path_factory.mktemp("hostile")) as engine:
        yield World(engine)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end) and (length is None or len(body) >= int(length[1]))


def _request(method: str, path: str, body: bytes, headers: dict[str, bytes] | None = None) -> bytes:
    lines = {"Host": b"localhost", "Connection": b"close"} | (headers or {})
    lines["Content-Length"] = str(len(body)).encode()
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n".encode("latin-1") + head + b"\r\n" + body


def _status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1."), answer[:200]
    assert b"Traceback" not in answer
    assert b".py" not in answer
    return int(answer.split(b" ", 2)[1])


def _assert_refused(answer: bytes, *known: int) -> None:
    status = _status(answer)
    assert status < 500 or status in {501, *known}, answer[:300]


# Anything at all


@_QUIET
@given(st.binary(max_size=300))
def test_bytes_that_are_no_http(world: World, data: bytes) -> None:
    """What is no HTTP is refused or hung up on."""
    answer = world.send(data, is_over=True)

    assert b"Traceback" not in answer
    assert not answer or _status(answer) == 400
    world.assert_unharmed()


_REQUESTS = st.builds(
    _request,
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"]),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["/v2/apis/", "/v2/tags/", "/_socketstack/", "/_aws/execute-api/"]),
        _PATHS,
        _QUERIES,
    ),
    _BODIES,
    st.dictionaries(_NAMES.map(lambda name: f"X-{name}"), _VALUES, max_size=4),
)


@_QUIET
@given(_REQUESTS)
def test_random_requests_below_our_own_addresses(world: World, request_bytes: bytes) -> None:
    """Whatever is asked of the control plane, of sockets and of the engine itself, is answered."""
    answer = world.send(request_bytes)

    _assert_refused(answer)
    world.assert_unharmed()
    world.assert_unchanged()


# Bodies


def _operations() -> list[tuple[str, str]]:
    return [
        ("POST", "/v2/apis"),
        ("PATCH", "/v2/apis/{api}"),
        ("POST", "/v2/apis/{api}/routes"),
        ("POST", "/v2/apis/{api}/integrations"),
        ("POST", "/v2/apis/{api}/authorizers"),
        ("POST", "/v2/apis/{api}/models"),
        ("POST", "/v2/apis/{api}/stages"),
        ("POST", "/v2/apis/{api}/deployments"),
        ("POST", "/v2/tags/arn:aws:apigateway:us-east-1::%2Fapis%2F{api}"),
        ("POST", "/_socketstack/live"),
        ("POST", "/_socketstack/clock"),
        ("POST", "/2015-03-31/functions/nobody/invocations"),
        ("POST", "/_aws/execute-api/{api}/dev/@connections/AAAAAAAAAAAAAAA%3D"),
    ]


@pytest.mark.parametrize(("method", "path"), _operations())
@settings(_QUIET, max_examples=15)
@given(body=_BODIES)
def test_random_bodies_are_refused_with_a_reason(
    world: World, method: str, path: str, body: bytes
) -> None:
    """A body that an operation cannot take gives a 4xx, and the engine goes on."""
    answer = world.send(_request(method, path.replace("{api}", world.api.api_id), body))

    _assert_refused(answer)
    world.assert_unharmed()


_MEMBERS = st.sampled_from(
    [
        "name",
        "protocolType",
        "routeSelectionExpression",
        "routeKey",
        "target",
        "authorizationType",
        "integrationType",
        "integrationUri",
        "timeoutInMillis",
        "identitySource",
        "authorizerType",
        "authorizerUri",
        "stageName",
        "stageVariables",
        "defaultRouteSettings",
        "deploymentId",
        "schema",
        "requestParameters",
        "tags",
    ]
)


@pytest.mark.parametrize(("method", "path"), _operations()[:8])
@settings(_QUIET, max_examples=15)
@given(body=st.dictionaries(_MEMBERS, _JSON, max_size=6))
def test_known_members_with_random_values(
    world: World, method: str, path: str, body: dict[str, Any]
) -> None:
    """Right names with wrong values are refused too, whatever their type."""
    sent = json.dumps(body).encode()

    answer = world.send(_request(method, path.replace("{api}", world.api.api_id), sent))

    _assert_refused(answer)
    world.assert_unharmed()


@_QUIET
@given(body=_BODIES)
def test_function_gets_json_or_is_not_called(world: World, body: bytes) -> None:
    """An Invoke whose body is no JSON is refused; one that is JSON reaches the function."""
    path = "/2015-03-31/functions/answer/invocations"

    answer = world.send(_request("POST", path, body))

    is_json = read_json(body or b"{}") is not MISSING
    assert _status(answer) == (200 if is_json else 400)
    assert (b'"statusCode": 200' in answer) is is_json
    world.assert_unharmed()


def test_random_bodies_to_our_own_addresses_change_nothing(world: World) -> None:
    """After all examples the clock was never moved but by what is a number, and no API is gone."""
    deep = world.send(_request("POST", "/_socketstack/clock", _DEEP))
    live = world.send(_request("POST", "/_socketstack/live", _DEEP))

    assert (_status(deep), _status(live)) == (400, 400)
    assert b"nests too deeply" in deep
    assert b"nests too deeply" in live
    assert world.api.api_id in world.deployed()


def test_body_above_a_megabyte_is_too_large_for_our_own_addresses(world: World) -> None:
    """What nobody needs to send is not gathered in memory."""
    answer = world.send(_request("POST", "/_socketstack/live", b" " * (1024 * 1024 + 1)))

    assert _status(answer) == 413


# Clients that leave


@pytest.mark.parametrize("how", ["end-of-stream", "reset"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/apis",
        "/2015-03-31/functions/answer/invocations",
        "/_socketstack/live",
        "/_socketstack/clock",
        "/",
        "/bucket/key",
        "/_aws/execute-api/{api}/dev/@connections/AAAAAAAAAAAAAAA%3D",
    ],
)
@pytest.mark.parametrize("extra", ["", "Expect: 100-continue\r\n"])
def test_upload_that_is_given_up_leaves_no_trace(
    world: World, path: str, how: str, extra: str
) -> None:
    """A client that leaves in the middle of its body is no error of the engine's."""
    before = world.deployed()
    head = (
        f"POST {path.replace('{api}', world.api.api_id)} HTTP/1.1\r\n"
        f"Host: localhost\r\nContent-Length: 1000\r\n{extra}\r\n"
    )
    with socket.create_connection(("127.0.0.1", world.engine.port)) as client:
        client.sendall(head.encode() + b'{"name": ')
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    world.assert_unharmed()
    assert world.deployed() == before


# Handshakes


_HANDSHAKE = {
    "Upgrade": b"websocket",
    "Connection": b"Upgrade",
    "Sec-WebSocket-Version": b"13",
    "Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
}


@_QUIET
@given(
    st.sampled_from(sorted(_HANDSHAKE)),
    _VALUES | st.sampled_from([b"", b"h2c", b"8", b"Upgrade, close", b"AAAA"]),
    st.sampled_from(["dev", "dev/x", "prod", "", "%64ev", "dev%2f", "..", "dev?token=%ff"]),
)
def test_handshake_with_one_wrong_header_opens_nothing(
    world: World, name: str, value: bytes, stage: str
) -> None:
    """A handshake that is not whole is refused before any function is called."""
    if value.strip().lower() == _HANDSHAKE[name].lower() or (
        name == "Connection" and b"upgrade" in value.lower()
    ):
        value = b"nothing"
    path = f"/_aws/execute-api/{world.api.api_id}/{stage}"

    answer = world.send(_request("GET", path, b"", _HANDSHAKE | {name: value}))

    assert 400 <= _status(answer) < 500
    world.assert_unharmed()


@_QUIET
@given(
    _PATHS,
    st.sampled_from(["localhost", "a.execute-api.localhost", "x", "", "[::1", "é".encode().hex()]),
    st.dictionaries(
        st.sampled_from(["Origin", "Sec-WebSocket-Protocol", "Cookie", "Authorization", "X-A"]),
        _VALUES,
        max_size=5,
    ),
)
def test_handshake_that_leads_nowhere_opens_nothing(
    world: World, path: str, host: str, headers: dict[str, bytes]
) -> None:
    """Any address but that of a deployed stage is refused, whatever comes with it."""
    sent = _HANDSHAKE | headers | {"Host": host.encode()}

    answer = world.send(_request("GET", f"/{path}", b"", sent))

    assert 400 <= _status(answer) < 500
    world.assert_unharmed()


@_QUIET
@given(
    st.dictionaries(
        st.sampled_from(["Origin", "Sec-WebSocket-Protocol", "Cookie", "User-Agent", "X-A", "X-B"]),
        _TEXTS.map(lambda text: text.encode("latin-1")),
        max_size=6,
    ),
    st.text(alphabet="abc=&%f0+;?/", max_size=30),
)
def test_whole_handshake_with_random_headers_is_let_in_and_let_go(
    world: World, headers: dict[str, bytes], query: str
) -> None:
    """Whatever a client adds to a right handshake, its function is called and answers."""
    path = f"/_aws/execute-api/{world.api.api_id}/dev?{query}"
    closing = b"\x88\x80\x11\x22\x33\x44"  # a client's close frame
    handshake = _request("GET", path, b"", _HANDSHAKE | headers)

    answer = world.send(handshake + closing)

    assert _status(answer) == 101
    eventually(lambda: world.engine.own("GET", "health")[1]["connections"] == 0 or None)
    world.assert_unharmed()


def test_stream_of_events_survives_what_was_sent(world: World) -> None:
    """The trace of all that hostility can still be read, line by line, to its end."""
    path = f"/_aws/execute-api/{world.api.api_id}/\udc80\ud800".encode("utf-8", "surrogatepass")
    world.send(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    lines = list(world.engine.process.lines("/_socketstack/events?follow=false"))

    assert lines
    assert all(json.loads(line) for line in lines)
    world.assert_unharmed()
