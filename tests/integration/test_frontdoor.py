"""The front door over real sockets: who may pass, which room answers, HTTP and TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.http import RawRequestMessage

from socketstack.dataplane.frames import guarded
from socketstack.errors import ConfigError
from socketstack.frontdoor import FrontDoor, Handler, Rooms
from socketstack.listener import Listener, bind
from socketstack.tls import LocalAuthority

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/sts/aws4_request,"}


class Front:
    """A front door whose rooms answer with their names and remember who came."""

    def __init__(self, folder: Path) -> None:
        self.visits: list[str] = []
        names = ("upgrade", "connections", "control_plane", "invoke", "own", "other_services")
        rooms = Rooms(**{name: self._room(name) for name in names}, post=self._post)
        self.authority = LocalAuthority(folder, outside_bundle=None)
        self.bound = bind("127.0.0.1", 0)
        self.port = self.bound.getsockname()[1]
        door = FrontDoor(rooms, allowed_hosts=("engine",))
        self.web = web.Server(door.handle)
        connections = guarded(self.web, door.at_once, access_log=None)
        self.listener = Listener(self.bound, connections, self.authority.server_context)

    def _room(self, name: str) -> Handler:
        async def answer(request: web.BaseRequest) -> web.Response:
            self.visits.append(name)
            return web.Response(text=name)

        return answer

    def _post(self, message: RawRequestMessage, body: bytes, source_ip: str) -> web.Response:
        del message, body, source_ip
        self.visits.append("post")
        return web.Response(text="post")

    async def ask(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        """One request; header names have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}", headers=named) as got,
        ):
            return got.status, await got.text()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    """A listening front door."""
    front = Front(tmp_path)
    front.listener.start()
    yield front
    await front.listener.stop()
    await front.web.shutdown(0)


@pytest.mark.parametrize(
    ("path", "method", "headers", "room"),
    [
        pytest.param("/_socketstack/health", "GET", {}, "own", id="own"),
        pytest.param("/v2/apis", "GET", {}, "control_plane", id="apis"),
        pytest.param(
            "/v2/apis",
            "GET",
            {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/s3/aws4_request,"},
            "other_services",
            id="bucket-named-v2",
        ),
        pytest.param("/dev/@connections/abc%3D", "GET", {}, "connections", id="connections"),
        pytest.param("/dev/@connections/abc%3D", "POST", {}, "post", id="post"),
        pytest.param("/%40connections/abc%3D", "GET", {}, "connections", id="encoded"),
        pytest.param("/2015-03-31/functions/echo/invocations", "POST", {}, "invoke", id="invoke"),
        pytest.param("/2015-03-31/functions/echo", "GET", {}, "other_services", id="function"),
        pytest.param("/_aws/execute-api/abc/dev", "GET", {}, "upgrade", id="plain-http-at-stage"),
        pytest.param(
            "/dev", "GET", {"Host": "abc.execute-api.localhost:1"}, "upgrade", id="stage-by-host"
        ),
        pytest.param("/", "POST", {}, "other_services", id="query-protocol"),
        pytest.param("/", "GET", {"Host": "bucket.localhost:4566"}, "other_services", id="s3"),
        pytest.param(
            "/", "GET", {"Host": "engine:4566", **SIGNED}, "other_services", id="named-host"
        ),
        pytest.param(
            "/dev/@connections/abc%3D",
            "POST",
            {"Host": "abc.execute-api.eu-west-1.amazonaws.com", **SIGNED},
            "post",
            id="post-by-aws-name",
        ),
        pytest.param(
            "/v2/apis",
            "GET",
            {"Host": "abc.execute-api.eu-west-1.amazonaws.com", **SIGNED},
            "upgrade",
            id="nothing-else-by-aws-name",
        ),
        pytest.param("/?Action=X", "GET", SIGNED, "other_services", id="signed-action"),
    ],
)
async def test_request_reaches_its_room(
    front: Front, path: str, method: str, headers: dict[str, str], room: str
) -> None:
    """Each kind of call is answered by the part that owns it."""
    status, text = await front.ask(path, method=method, **headers)

    assert (status, text) == (200, room)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="foreign-origin"),
        pytest.param({"Origin": "http://localhost:8080"}, id="another-port-is-foreign"),
        pytest.param({"Origin": "null"}, id="opaque-origin"),
        pytest.param({"Sec_Fetch_Site": "cross-site"}, id="cross-site"),
        pytest.param({"Sec_Fetch_Site": "same-site"}, id="same-site"),
        pytest.param({"Host": "evil.example"}, id="rebound-name"),
        pytest.param({"Host": "evil.amazonaws.com"}, id="any-aws-name"),
        pytest.param({"Host": "abc.execute-api.eu-west-1.amazonaws.com"}, id="unsigned-aws-name"),
        pytest.param({"Host": "x.localhost.localstack.cloud:1"}, id="navigated-public-name"),
        pytest.param({"Host": "host.docker.internal:1"}, id="navigated-docker-name"),
        pytest.param({"Host": "engine:1"}, id="navigated-named-host"),
        pytest.param({"Upgrade_Insecure_Requests": "1"}, id="navigation-of-an-old-browser"),
        pytest.param({"Host": "localhost.evil.example"}, id="name-that-begins-well"),
        pytest.param({"Host": "evilamazonaws.com"}, id="name-that-ends-well"),
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/_socketstack/events", "/v2/apis", "/dev/@connections/a", "/", "/_aws/execute-api/a/b"],
)
async def test_page_of_another_site_is_refused_before_anything_runs(
    front: Front, path: str, headers: dict[str, str]
) -> None:
    """A web page cannot reach any AWS call, and no room hears of it."""
    status, text = await front.ask(path, method="POST", **headers)

    assert status == 403
    assert "Forbidden" in text
    assert front.visits == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_unsigned_action_in_the_address_is_not_taken(front: Front, method: str) -> None:
    """A link cannot make the engine do something: the query protocol wants POST or a signature."""
    status, _text = await front.ask("/?Action=CreateStack&StackName=evil", method=method)

    assert status == 403
    assert front.visits == []


async def test_upgrade_from_any_origin_reaches_the_data_plane(front: Front) -> None:
    """WebSocket upgrades follow AWS: the authorizer decides, not the Origin."""
    status, text = await front.ask(
        "/_aws/execute-api/abc/dev",
        Upgrade="websocket",
        Connection="keep-alive, Upgrade",
        Origin="https://evil.example",
    )

    assert (status, text) == (200, "upgrade")


@pytest.mark.parametrize(
    "host",
    ["abc.execute-api.localhost", "abc.execute-api.eu-central-1.amazonaws.com", "localhost"],
)
async def test_tls_on_the_same_port_fits_the_name_asked_for(front: Front, host: str) -> None:
    """A client that trusts the local authority reaches the engine under every address form."""
    trusting = ssl.create_default_context(cafile=str(front.authority.bundle()))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", front.port, ssl=trusting, server_hostname=host
    )

    writer.write(f"GET /_socketstack/x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()

    assert status.startswith(b"HTTP/1.1 ")


async def test_client_that_says_nothing_holds_nothing_up(front: Front) -> None:
    """A silent connection neither blocks others nor outlives the listener."""
    _reader, silent = await asyncio.open_connection("127.0.0.1", front.port)

    status, _text = await front.ask("/v2/apis")
    await front.listener.stop()

    assert status == 200
    silent.close()


async def test_untrusting_tls_client_is_its_own_affair(front: Front) -> None:
    """A failed TLS handshake leaves the engine answering."""
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(
            "127.0.0.1", front.port, ssl=ssl.create_default_context(), server_hostname="localhost"
        )

    status, _text = await front.ask("/v2/apis")

    assert status == 200


def test_taken_port_is_named_with_the_variable_that_changes_it() -> None:
    """The message says which port, and how to choose another."""
    first = bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    first.listen()

    with pytest.raises(ConfigError, match=rf"Port {port} .* SOCKETSTACK_PORT"):
        bind("127.0.0.1", port)

    first.close()
