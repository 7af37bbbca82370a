"""A real data plane on a port of its own, composed as in ``app``, with functions that tests answer.

APIs are put into the Store as a deployment would leave them. Clients are the ``websockets`` library
and, where a client must misbehave, ``RawClient``, which sends the bytes it is told to.
"""

import asyncio
import base64
import json
import logging
import os
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import boto3
import pytest
import websockets
from aiohttp import web
from botocore.config import Config
from fakes import Answer, FakeClock, FakeIds, FakeRunner, FakeServices, FakeStageLogs
from websockets.asyncio.client import ClientConnection, connect

from socketstack.core.model import (
    ApiSnapshot,
    AuthorizationType,
    Authorizer,
    FailureKind,
    Integration,
    IntegrationType,
    InvokeResult,
    Json,
    Route,
    StageLogging,
    StageSettings,
    Throttle,
)
from socketstack.core.policy import PolicyDecision
from socketstack.dataplane.frames import guarded
from socketstack.dataplane.throttling import AccountThrottles
from socketstack.dataplane.web import DataPlane
from socketstack.frontdoor import FrontDoor, Rooms
from socketstack.ids import RandomIds
from socketstack.listener import Listener, bind
from socketstack.services.api_keys import ApiKeysApi
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.web import AwsWeb
from socketstack.store import Store
from socketstack.tls import LocalAuthority
from socketstack.trace import Step, Trace, TraceEvent

ACCOUNT = "000000000000"
REGION = "eu-west-1"
API = "a1b2c3d4e5"
STAGE = "dev"
PATIENCE_SECONDS = 20.0
CONNECT_ARN = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API}/{STAGE}/$connect"

UNLIMITED = AccountThrottles(requests=None, connections=None)
"""For tests about something else: this world's time stands still, so no bucket would refill."""

Event = dict[str, Any]
_T = TypeVar("_T")


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Warnings and errors that were logged, but not that this machine was slow just then."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
        # asyncio's debug mode tells of every callback that took a tenth of a second.
        and not (record.name == "asyncio" and " took " in record.getMessage())
    ]


def function_arn(name: str) -> str:
    """The ARN of a function."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def proxy(function: str, **members: Any) -> Integration:
    """A Lambda proxy integration with a function."""
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/"
    return Integration(
        integration_id=f"to-{function}",
        integration_type=members.pop("integration_type", IntegrationType.AWS_PROXY),
        integration_uri=f"{uri}{function_arn(function)}/invocations",
        **members,
    )


def route(key: str, function: str | None = None, **members: Any) -> Route:
    """A route; ``function`` is what it calls."""
    integration = None if function is None else proxy(function)
    return Route(**{"route_id": f"id{key}", "route_key": key, "integration": integration} | members)


def guarded_connect(*sources: str, function: str | None = "connect", **members: Any) -> Route:
    """A ``$connect`` route with the authorizer function ``authorizer``."""
    authorizer = Authorizer(
        authorizer_id="auth01",
        name="tokens",
        authorizer_uri=function_arn("authorizer"),
        identity_sources=sources,
        **members,
    )
    return route(
        "$connect",
        function,
        authorization_type=AuthorizationType.CUSTOM,
        authorizer=authorizer,
    )


def returned(value: Json) -> InvokeResult:
    """What a function that returned ``value`` gave."""
    return InvokeResult(payload=json.dumps(value).encode())


def raised(message: str, kind: FailureKind = FailureKind.HANDLED) -> InvokeResult:
    """What a function that failed with ``message`` gave."""
    payload = json.dumps({"errorMessage": message, "errorType": "Exception"}).encode()
    return InvokeResult(payload=payload, failure=kind)


def allowed(resource: str = CONNECT_ARN, effect: str = "Allow", **members: Json) -> InvokeResult:
    """An authorizer's result."""
    statement: Json = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    policy: Json = {"Version": "2012-10-17", "Statement": [statement]}
    return returned({"principalId": "alice", "policyDocument": policy, **members})


def echoed(payload: bytes) -> InvokeResult:
    """A function that returns the message it got."""
    return returned({"statusCode": 200, "body": json.loads(payload)["body"]})


def timed_out(payload: bytes) -> InvokeResult:
    """A function that does not answer before the deadline of its caller."""
    raise TimeoutError


OK = returned({"statusCode": 200})


class Hanging:
    """A function that answers when it is told to; ``started`` counts its calls."""

    def __init__(self, result: InvokeResult = OK) -> None:
        self.started = 0
        self._result = result
        self._released = asyncio.Event()

    async def __call__(self, payload: bytes) -> InvokeResult:
        """Wait for ``release``."""
        self.started += 1
        await self._released.wait()
        return self._result

    def release(self) -> None:
        """Let all calls go on, also those to come."""
        self._released.set()


class FakePermits:
    """Lets API Gateway call every function but those named in ``forbidden``."""

    def __init__(self) -> None:
        self.forbidden: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        """Function and source ARN of every question."""

    def allows(self, function: str, source_arn: str) -> PolicyDecision:
        """Decide by the function's name."""
        self.asked.append((function, source_arn))
        name = function.rsplit(":", maxsplit=1)[-1]
        return PolicyDecision(is_allowed=name not in self.forbidden, reason="the test says so")


@dataclass(frozen=True)
class HttpAnswer:
    """A plain answer from the port."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class World:
    """One data plane, its Store and its clients."""

    def __init__(self, folder: Path, *, account: AccountThrottles = UNLIMITED) -> None:
        self.clock = FakeClock()
        self.store = Store()
        self.trace = Trace(self.clock)
        self.events: list[TraceEvent] = []
        self.trace.subscribe(self.events.append)
        self.permits = FakePermits()
        self.logs = FakeStageLogs()
        self.runner = FakeRunner({"connect": OK, "disconnect": OK, "echo": echoed})
        self.services = FakeServices()
        self.authority = LocalAuthority(
            folder, outside_bundle=None, custom_domain=self._custom_domain
        )
        bound = bind("127.0.0.1", 0)
        self.port: int = bound.getsockname()[1]
        self.data_plane = DataPlane(
            store=self.store,
            runner=self.runner,
            permits=self.permits,
            clock=self.clock,
            ids=FakeIds(),
            trace=self.trace,
            logs=self.logs,
            account=account,
            services=self.services,
            ca_bundle=self.authority.bundle,
            own_port=self.port,
        )
        keys = ApiKeysApi(
            store=self.store,
            clock=self.clock,
            ids=RandomIds(),
            trace=self.trace,
            pass_on=_no_service,
            region=REGION,
        )
        rooms = Rooms(
            upgrade=self.data_plane.upgrade,
            connections=self.data_plane.connections,
            post=self.data_plane.post,
            control_plane=_nobody,
            invoke=_nobody,
            own=_nobody,
            other_services=AwsWeb(keys.handle).handle,
        )
        door = FrontDoor(rooms, is_custom_domain=lambda name: self._custom_domain(name) is not None)
        self.web = web.Server(door.handle)
        connections = guarded(self.web, door.at_once, auto_decompress=False, access_log=None)
        self._listener = Listener(bound, connections, self.authority.server_context)

    def _custom_domain(self, host_name: str) -> str | None:
        domain = self.store.domain(host_name)
        return None if domain is None else domain.name

    async def start(self) -> None:
        """Open the port."""
        self._listener.start()

    async def stop(self) -> None:
        """Stop in the order of ``app``."""
        await self._listener.stop()
        await self.data_plane.stop()
        await self.web.shutdown(0.2)
        self.runner.stop()

    # What is deployed

    def deploy(
        self,
        *routes: Route,
        api_id: str = API,
        stage: str = STAGE,
        deployment_id: str = "dep001",
        variables: Mapping[str, str] | None = None,
        throttles: Mapping[str, Throttle | None] | None = None,
        logging: StageLogging | None = None,
        **members: Any,
    ) -> None:
        """Put an API with these routes into service at a stage."""
        self.store.put(("Api", api_id), {"ApiId": api_id, "Region": REGION})
        self.store.put(("Api", api_id, "Stage", stage), {"ApiId": api_id, "StageName": stage})
        self.store.publish(
            ApiSnapshot(
                **{
                    "api_id": api_id,
                    "account_id": ACCOUNT,
                    "region": REGION,
                    "deployment_id": deployment_id,
                    "route_selection_expression": "$request.body.action",
                    "routes": {each.route_key: each for each in routes},
                }
                | members
            )
        )
        self.store.set_stage(
            api_id,
            StageSettings(
                stage_name=stage,
                deployment_id=deployment_id,
                variables=dict(variables or {}),
                throttles=dict(throttles or {}),
                logging=logging,
            ),
        )

    def deploy_echo(self, **members: Any) -> None:
        """Put an API into service whose ``$default`` route echoes, with all three events."""
        self.deploy(
            route("$connect", "connect"),
            route("$default", "echo", is_two_way=True),
            route("$disconnect", "disconnect"),
            **members,
        )

    def answer(self, function: str, answer: Answer) -> None:
        """Decide what a function gives."""
        self.runner.answers[function] = answer

    # What happened

    def calls(self, function: str | None = None) -> list[Event]:
        """The events that a function got, or all of them."""
        return [
            json.loads(payload)
            for name, payload in self.runner.calls
            if function is None or name == function_arn(function)
        ]

    def summaries(self, step: Step) -> list[str]:
        """What the trace said about one step."""
        return [event.summary for event in self.events if event.step is step]

    def told(self) -> str:
        """Everything that the trace said."""
        return "\n".join(json.dumps(event.as_json()) for event in self.events)

    def disconnects(self) -> list[tuple[int, str]]:
        """Code and reason of every ``$disconnect`` event."""
        contexts = [event["requestContext"] for event in self.calls("disconnect")]
        return [(each["disconnectStatusCode"], each["disconnectReason"]) for each in contexts]

    def connection_ids(self) -> list[str]:
        """Ids of the registered connections, oldest first."""
        return [entry.connection.connection_id for entry in self.store.connections()]

    async def disconnected(self, count: int = 1) -> list[tuple[int, str]]:
        """``disconnects``, when there are ``count`` of them and no session runs any more."""
        await eventually(lambda: len(self.disconnects()) >= count)
        await eventually(lambda: not self.data_plane._running)
        return self.disconnects()

    # Clients

    def url(self, path: str = f"/{STAGE}", *, api_id: str = API, scheme: str = "ws") -> str:
        """A socket's address in the path form."""
        return f"{scheme}://localhost:{self.port}/_aws/execute-api/{api_id}{path}"

    @asynccontextmanager
    async def connect(
        self, path: str = f"/{STAGE}", *, api_id: str = API, **options: Any
    ) -> AsyncIterator[ClientConnection]:
        """A client of the websockets library; it is closed at the end."""
        url = self.url(path, api_id=api_id, scheme="wss" if "ssl" in options else "ws")
        settings: dict[str, Any] = {"proxy": None, "max_size": None, "ping_interval": None}
        async with connect(url, **settings | options) as client:
            yield client

    def trust(self) -> ssl.SSLContext:
        """How a client comes to trust this port."""
        return ssl.create_default_context(cafile=str(self.authority.certificate()))

    async def refused(self, path: str = f"/{STAGE}", **options: Any) -> HttpAnswer:
        """The plain answer to a handshake that is expected to fail."""
        try:
            async with self.connect(path, **options):
                pass
        except websockets.InvalidStatus as refusal:
            answer = refusal.response
            return HttpAnswer(answer.status_code, answer.headers, bytes(answer.body or b""))
        message = "the handshake succeeded"
        raise AssertionError(message)

    async def http(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """One plain request, on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        sent = {"Host": f"localhost:{self.port}", "Connection": "close"} | dict(headers or {})
        sent["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = await read_http(reader, has_body=method != "HEAD")
        writer.close()
        await writer.wait_closed()
        return answer

    def gateway(self, region: str = REGION) -> Any:
        """A boto3 client for API keys and usage plans, without retries."""
        return boto3.client(
            "apigateway",
            endpoint_url=f"http://localhost:{self.port}",
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def management(self, url: str | None = None) -> Any:
        """A boto3 client of the management API, without retries."""
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=url or f"http://localhost:{self.port}/_aws/execute-api/{API}/{STAGE}",
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )


async def _no_service(request: AwsRequest) -> AwsResponse:
    return AwsResponse(status=501, headers=(("Content-Length", "0"),))


async def _nobody(request: web.BaseRequest) -> web.Response:
    return web.Response(status=404)


@asynccontextmanager
async def running(folder: Path, *, account: AccountThrottles = UNLIMITED) -> AsyncIterator[World]:
    """A world for one test; ``account`` is what its account may do in a second."""
    world = World(folder, account=account)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


async def eventually(condition: Callable[[], bool]) -> None:
    """Poll until something is so, with a deadline."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - polls what has no event, to a deadline
            await asyncio.sleep(0.002)


async def soon(awaitable: Awaitable[_T]) -> _T:
    """Wait with a deadline."""
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


async def read_http(reader: asyncio.StreamReader, *, has_body: bool = True) -> HttpAnswer:
    """One plain answer."""
    head = (await soon(reader.readuntil(b"\r\n\r\n"))).decode("latin-1")
    status_line, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", 0)) if has_body else 0
    body = await soon(reader.readexactly(length))
    return HttpAnswer(int(status_line.split()[1]), headers, body)


# Frames

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
_MASK = b"\x11\x22\x33\x44"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    is_final: bool = True,
    is_masked: bool = True,
    claims: int | None = None,
    reserved: int = 0,
) -> bytes:
    """A client's frame; ``claims`` is the length it says it has."""
    length = len(payload) if claims is None else claims
    first = (0x80 if is_final else 0) | reserved | opcode
    bit = 0x80 if is_masked else 0
    if length < 126:
        head = struct.pack("!BB", first, bit | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    if not is_masked:
        return head + payload
    mask = (_MASK * (len(payload) // 4 + 1))[: len(payload)]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(
        len(payload), "big"
    )
    return head + _MASK + masked


def closing(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


@dataclass(frozen=True)
class Frame:
    """A frame from the server."""

    opcode: int
    payload: bytes
    is_final: bool

    @property
    def code(self) -> int:
        """A close frame's code."""
        code: int = struct.unpack("!H", self.payload[:2])[0]
        return code


class RawClient:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def dial(cls, world: World, **options: Any) -> AsyncIterator[Self]:
        """Open a TCP connection; it is cut off at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port, **options)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, world: World, together_with: bytes = b"", **options: Any
    ) -> AsyncIterator[Self]:
        """Open a socket; some bytes may travel together with the handshake."""
        async with cls.dial(world, **options) as client:
            client.send(client.handshake(world) + together_with)
            answer = await read_http(client.reader)
            assert answer.status == 101, answer
            yield client

    @staticmethod
    def handshake(world: World, path: str = f"/{STAGE}", **headers: str) -> bytes:
        """The bytes of a handshake; header names have underscores for hyphens."""
        sent = {
            "Host": f"localhost:{world.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
        return f"GET /_aws/execute-api/{API}{path} HTTP/1.1\r\n{lines}\r\n".encode()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def receive(self) -> Frame:
        """The next frame."""
        first, second = await soon(self.reader.readexactly(2))
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(await soon(self.reader.readexactly(2)), "big")
        elif length == 127:
            length = int.from_bytes(await soon(self.reader.readexactly(8)), "big")
        payload = await soon(self.reader.readexactly(length))
        return Frame(first & 0xF, payload, bool(first & 0x80))

    async def ended(self) -> bool:
        """Whether nothing but the end of the stream follows."""
        return await soon(self.reader.read()) == b""
