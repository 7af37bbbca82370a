"""The web server over real HTTP, with AWS in moto and a management API that can be looked into."""

import asyncio
import dataclasses
import http.client
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from aiohttp import web
from connections_stub import ConnectionsStub
from example_stack import TOKEN_KEY, ExampleStack, example_stack

from functions.authorizer.verification import TOKEN_MAX_CHARACTERS
from webclient.backend import Backend
from webclient.server import make_app
from webclient.settings import Settings
from webclient.stack import read_stack


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Site:
    """A web server and what stands behind it."""

    port: int
    stack: ExampleStack

    @property
    def connections(self) -> ConnectionsStub:
        """The management API."""
        return self.stack.connections

    async def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Make one request; a body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        base = {} if body is None else {"Content-Type": "application/json"}
        return await asyncio.to_thread(self._call, method, path, data, {**base, **(headers or {})})

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request(method, path, body, headers)
            answer = client.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            client.close()


def backend_of(settings: Settings, **changes: Any) -> Backend:
    """The AWS side of the web client, for the stack with some facts changed."""
    return Backend(dataclasses.replace(read_stack(settings), **changes), settings)


@asynccontextmanager
async def served(stack: ExampleStack, backend: Backend) -> AsyncIterator[Site]:
    """Serve the web client for a stack."""
    runner = web.AppRunner(make_app(backend, Settings()))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Site(int(runner.addresses[0][1]), stack)
    finally:
        await runner.cleanup()


def local_settings(stack: ExampleStack) -> Settings:
    """Settings for a stack behind a local address."""
    return Settings(endpoint_url=stack.endpoint_url, connections_url=stack.connections.url)


@pytest.fixture(scope="module", autouse=True)
def no_aws_settings() -> Iterator[None]:
    """Nothing of this machine's own AWS settings is seen."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def shared_stack(no_aws_settings: None) -> Iterator[ExampleStack]:
    """One example stack for the module."""
    with example_stack() as made:
        yield made


@pytest.fixture(scope="module")
def local_backend(shared_stack: ExampleStack) -> Backend:
    """The stack as one behind a local address."""
    return backend_of(local_settings(shared_stack))


@pytest.fixture(scope="module")
def aws_backend(shared_stack: ExampleStack) -> Backend:
    """The same stack as one on AWS: without an endpoint, moto answers for amazonaws.com."""
    return backend_of(Settings(region="us-east-1", connections_url=shared_stack.connections.url))


@pytest.fixture
def stack(shared_stack: ExampleStack) -> ExampleStack:
    """The stack with alice on two connections, bob on one, and nothing posted yet."""
    shared_stack.connections.reset()
    for connection_id in shared_stack.rows():
        shared_stack.disconnect(connection_id)
    for connection_id, user_id in (("a1", "alice"), ("a2", "alice"), ("b1", "bob")):
        shared_stack.connect(connection_id, user_id)
    return shared_stack


@pytest.fixture
async def site(stack: ExampleStack, local_backend: Backend) -> AsyncIterator[Site]:
    """The web client in front of a local engine."""
    async with served(stack, local_backend) as made:
        yield made


@pytest.fixture
async def aws_site(stack: ExampleStack, aws_backend: Backend) -> AsyncIterator[Site]:
    """The web client in front of AWS."""
    async with served(stack, aws_backend) as made:
        yield made


def bearer(**changes: object) -> dict[str, str]:
    """An Authorization header with a token of the stack that may push, with claims changed."""
    import time

    now = int(time.time())
    claims = {"sub": "ops", "iss": "me", "aud": "chat", "exp": now + 60, "scope": "push"}
    kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return {"Authorization": f"Bearer {jwt.encode(kept, TOKEN_KEY, 'HS256')}"}


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        pytest.param("all", ["a1", "a2", "b1"], id="all"),
        pytest.param("user:alice", ["a1", "a2"], id="user"),
        pytest.param("connection:b1", ["b1"], id="connection"),
    ],
)
async def test_push_reaches_whom_it_names(site: Site, to: str, reached: list[str]) -> None:
    """The answer has the counts, and exactly the named connections got the text."""
    answer = await site.call("POST", "/api/push", {"to": to, "message": "grüezi"})

    assert answer.status == 200
    assert answer.json == {"sent": len(reached), "gone": 0, "failed": 0}
    assert sorted(site.connections.posted) == [(one, "grüezi".encode()) for one in reached]


async def test_pushed_value_that_is_not_text_goes_as_json(site: Site) -> None:
    """Any JSON value can be a message."""
    await site.call("POST", "/api/push", {"to": "connection:b1", "message": {"n": [1, None]}})

    assert site.connections.posted == [("b1", b'{"n": [1, null]}')]


async def test_push_to_all_without_anybody_is_fine(site: Site) -> None:
    """Everybody can be nobody."""
    for connection_id in ("a1", "a2", "b1"):
        site.connections.lasting[connection_id] = (410, "GoneException")

    answer = await site.call("POST", "/api/push", {"to": "all", "message": "x"})

    assert (answer.status, answer.json) == (200, {"sent": 0, "gone": 3, "failed": 0})
    assert site.stack.rows() == set()


async def test_push_to_an_absent_user_is_404(site: Site) -> None:
    """Nobody gets anything when the user is not connected."""
    answer = await site.call("POST", "/api/push", {"to": "user:nobody", "message": "x"})

    assert answer.status == 404
    assert site.connections.calls == []


@pytest.mark.parametrize("connection_id", ["b1", "unknown"])
async def test_push_to_a_gone_connection_is_410_and_its_row_goes(
    site: Site, connection_id: str
) -> None:
    """A connection that is gone, or never was, is said to be gone; others keep their rows."""
    site.connections.lasting["b1"] = (410, "GoneException")

    answer = await site.call(
        "POST", "/api/push", {"to": f"connection:{connection_id}", "message": "x"}
    )

    assert answer.status == 410
    assert answer.json["gone"] == 1
    assert site.stack.rows() == {"a1", "a2", "b1"} - {connection_id}


async def test_push_that_the_management_api_refuses_is_502(site: Site) -> None:
    """A refusal by the management API is not the caller's fault, and no row is removed."""
    site.connections.lasting["b1"] = (403, "ForbiddenException")

    answer = await site.call("POST", "/api/push", {"to": "user:bob", "message": "x"})

    assert (answer.status, answer.json["failed"]) == (502, 1)
    assert site.stack.rows() == {"a1", "a2", "b1"}


BIG = 128 * 1024


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        pytest.param(b"", 400, "JSON", id="empty"),
        pytest.param(b"{", 400, "JSON", id="not-json"),
        pytest.param(b"\xff", 400, "JSON", id="not-utf8"),
        pytest.param(b"[" * 100_000, 400, "JSON", id="too-deep"),
        pytest.param(b"[]", 400, "object", id="not-an-object"),
        pytest.param(b'{"to":"all"}', 400, "message", id="no-message"),
        pytest.param(b'{"to":"all","message":""}', 400, "empty", id="empty-message"),
        pytest.param(b'{"message":"x"}', 400, "user:NAME", id="no-target"),
        pytest.param(b'{"to":"everyone","message":"x"}', 400, "user:NAME", id="bad-target"),
        pytest.param(b'{"to":7,"message":"x"}', 400, "user:NAME", id="target-is-a-number"),
        pytest.param(b'{"to":"all","message":"\\ud800"}', 400, "Unicode", id="half-character"),
        pytest.param(b"x" * BIG, 400, "JSON", id="largest-body"),
        pytest.param(b"x" * (BIG + 1), 413, "131072", id="too-large"),
    ],
)
async def test_bad_push_is_refused_with_its_reason(
    site: Site, body: bytes, status: int, reason: str
) -> None:
    """Bad input is answered with what is wrong, and nobody gets anything."""
    answer = await site.call("POST", "/api/push", body)

    assert answer.status == status
    assert reason in answer.json["message"]
    assert site.connections.calls == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_push_that_is_not_declared_json_is_refused(site: Site, kind: str) -> None:
    """A form of another site can only send these types, so they are refused."""
    body = b'{"to":"all","message":"x"}'

    answer = await site.call("POST", "/api/push", body, {"Content-Type": kind})

    assert answer.status == 415
    assert site.connections.calls == []


FOREIGN = {
    "foreign-origin": {"Origin": "https://evil.example"},
    "null-origin": {"Origin": "null"},
    "origin-with-our-name-inside": {"Origin": "http://localhost.evil.example"},
    "other-port-of-this-machine": {"Origin": "http://127.0.0.1:1"},
    "rebound-name": {"Host": "evil.example"},
    "rebound-name-with-its-origin": {"Host": "evil.example", "Origin": "http://evil.example"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site-other-port": {"Sec-Fetch-Site": "same-site"},
}
CALLS: list[tuple[str, str, object]] = [
    ("POST", "/api/push", {"to": "all", "message": "x"}),
    ("POST", "/api/token", {"userId": "mallory"}),
    ("GET", "/api/connections", None),
    ("GET", "/api/config", None),
    ("GET", "/api/nothing", None),
]


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
async def test_foreign_pages_are_refused_on_every_call(site: Site, headers: dict[str, str]) -> None:
    """No page of another site pushes, mints or reads; nothing runs for it."""
    answers = [await site.call(method, path, body, headers) for method, path, body in CALLS]

    assert [answer.status for answer in answers] == [403] * len(CALLS)
    assert all(set(answer.json) == {"message"} for answer in answers)
    assert site.connections.calls == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
async def test_own_page_is_served(site: Site, host: str) -> None:
    """The page's own origin passes under each name of this machine."""
    address = f"{host}:{site.port}"
    headers = {
        "Host": address,
        "Origin": f"http://{address}",
        "Sec-Fetch-Site": "same-origin",
    }

    answer = await site.call("POST", "/api/push", {"to": "user:bob", "message": "x"}, headers)

    assert answer.status == 200


async def test_link_from_another_site_opens_the_page(site: Site) -> None:
    """Following a link is not a call; the page comes."""
    answer = await site.call("GET", "/", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status == 200


async def test_minted_token_is_short_lived_and_for_that_user(site: Site) -> None:
    """A local page gets a token that the authorizer accepts for a minute."""
    answer = await site.call("POST", "/api/token", {"userId": "alice"})

    claims = jwt.decode(
        answer.json["token"], TOKEN_KEY, algorithms=["HS256"], audience="chat", issuer="me"
    )
    assert answer.status == 200
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == answer.json["expiresIn"] == 60
    assert len(answer.json["token"]) < TOKEN_MAX_CHARACTERS
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("body", [{}, {"userId": ""}, {"userId": 7}, {"userId": "x" * 257}, []])
async def test_token_needs_a_user(site: Site, body: object) -> None:
    """Without a user there is no token."""
    answer = await site.call("POST", "/api/token", body)

    assert answer.status == 400
    assert "token" not in answer.json


async def test_connections_are_listed(site: Site) -> None:
    """Each connection with its user and since when; expired rows are left out."""
    answer = await site.call("GET", "/api/connections")

    listed = {(one["connectionId"], one["userId"]) for one in answer.json["connections"]}
    assert listed == {("a1", "alice"), ("a2", "alice"), ("b1", "bob")}
    assert all(one["connectedAt"] > 1_600_000_000_000 for one in answer.json["connections"])


async def test_config_tells_where_to_connect_and_no_secret(site: Site) -> None:
    """The page learns the address; the key and its name stay here."""
    answer = await site.call("GET", "/api/config")

    assert answer.json["websocketUrl"] == "ws://localhost:4566/_aws/execute-api/abc123/dev"
    assert answer.json["isLocal"] is answer.json["canMint"] is True
    assert TOKEN_KEY.encode() not in answer.body
    assert b"secret" not in answer.body.lower()


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/static/page.js", 200), ("/api/config", 200), ("/x", 404)]
)
async def test_every_answer_has_the_security_headers(site: Site, path: str, status: int) -> None:
    """No inline script, no sniffing, no referrer, no frames; sockets only to the API."""
    answer = await site.call("GET", path)

    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert answer.status == status
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://localhost:4566"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static/", "/static/..%2fapi.py"]
)
async def test_only_the_page_can_be_read(site: Site, path: str) -> None:
    """No path leads out of the static folder, and the folder is not listed."""
    answer = await site.call("GET", path)

    assert answer.status in {403, 404}
    assert b"import" not in answer.body


async def test_failure_inside_is_not_told(
    stack: ExampleStack, caplog: pytest.LogCaptureFixture
) -> None:
    """When AWS fails the client learns that the system does not answer, and the log the cause."""
    backend = backend_of(local_settings(stack), table_name="not-there")

    async with served(stack, backend) as site:
        answer = await site.call("GET", "/api/connections")

    assert answer.status == 502
    assert "make local-up" in answer.body.decode()
    assert "ResourceNotFound" not in answer.body.decode()
    assert "ResourceNotFoundException" in caplog.text


NOT_PERMITTED: dict[str, tuple[Callable[[], dict[str, str]], int]] = {
    "no-token": (dict, 401),
    "junk": (lambda: {"Authorization": "Bearer junk"}, 401),
    "other-scheme": (lambda: {"Authorization": bearer()["Authorization"][7:]}, 401),
    "expired": (lambda: bearer(exp=1), 401),
    "other-audience": (lambda: bearer(aud="other"), 401),
    "other-issuer": (lambda: bearer(iss="other"), 401),
    "no-scope": (lambda: bearer(scope=None), 403),
    "other-scope": (lambda: bearer(scope="pushy read"), 403),
    "scope-is-no-text": (lambda: bearer(scope={"push": True}), 403),
}


@pytest.mark.parametrize(("make", "status"), NOT_PERMITTED.values(), ids=NOT_PERMITTED.keys())
async def test_push_on_aws_needs_a_token_with_that_right(
    aws_site: Site, make: Callable[[], dict[str, str]], status: int
) -> None:
    """In front of AWS nobody pushes or reads the list without the right to."""
    push = await aws_site.call("POST", "/api/push", {"to": "all", "message": "x"}, make())
    listed = await aws_site.call("GET", "/api/connections", headers=make())

    assert (push.status, listed.status) == (status, status)
    assert (push.headers.get("WWW-Authenticate") == "Bearer") == (status == 401)
    assert "connections" not in listed.json
    assert aws_site.connections.calls == []


async def test_push_on_aws_with_the_right_is_done(aws_site: Site) -> None:
    """A token of the stack with the scope push may push."""
    answer = await aws_site.call(
        "POST", "/api/push", {"to": "user:bob", "message": "x"}, bearer(scope="read push")
    )

    assert (answer.status, answer.json["sent"]) == (200, 1)


async def test_no_token_is_minted_on_aws(aws_site: Site) -> None:
    """Minting is for the local demo; not even a holder of the push right gets a token."""
    answer = await aws_site.call("POST", "/api/token", {"userId": "mallory"}, bearer())

    assert answer.status == 403
    assert set(answer.json) == {"message"}


async def test_stack_with_an_outside_issuer_mints_nothing(stack: ExampleStack) -> None:
    """When tokens come from a key set, one signed with the stack's secret would be refused."""
    backend = backend_of(local_settings(stack), jwks_url="https://keys.example/jwks.json")

    async with served(stack, backend) as site:
        answer = await site.call("POST", "/api/token", {"userId": "alice"})
        config = await site.call("GET", "/api/config")

    assert answer.status == 403
    assert config.json["canMint"] is False


async def test_refusals_are_told_only_by_engines_that_keep_them(site: Site, aws_site: Site) -> None:
    """Another local endpoint, and AWS, have no traces: then nothing is claimed."""
    assert (await site.call("GET", "/api/refusal?since=0")).json == {"refusal": None}
    assert (await aws_site.call("GET", "/api/refusal")).json == {"refusal": None}


async def test_since_must_be_a_time(site: Site) -> None:
    """A bad parameter is said and nothing is asked."""
    answer = await site.call("GET", "/api/refusal?since=yesterday")

    assert answer.status == 400
    assert "milliseconds" in answer.json["message"]
