"""Custom domain names: made through AWS's calls, dialled by sockets, posted to by functions."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from botocore.exceptions import ClientError
from dataplane_world import (
    API,
    STAGE,
    HttpAnswer,
    World,
    running,
    soon,
)
from engine_world import Deployed, EngineWorld, running_engine
from websockets.asyncio.client import ClientConnection, connect

from socketstack.core.model import CustomDomain
from socketstack.trace import Step

DOMAIN = "api.example.com"
OWN = "chat.example.localhost"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/11111111-1111-1111-1111-111111111111"

PUSHER = """
    import json
    import boto3

    def handle(event, context):
        context_ = event["requestContext"]
        body = json.loads(event["body"])
        client = boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=body["url"].replace("{domainName}", context_["domainName"]),
        )
        try:
            client.post_to_connection(ConnectionId=context_["connectionId"], Data=b"pushed")
        except Exception as error:
            return {"statusCode": 200, "body": f"{type(error).__name__}: {error}"}
        return {"statusCode": 200, "body": context_["domainName"]}
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with an echo API that a custom domain name maps."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        world.store.set_domain(
            CustomDomain(name=DOMAIN, mappings={"chat": (API, STAGE), "": (API, STAGE)})
        )
        yield world


@asynccontextmanager
async def dialled(
    world: World, url: str, name: str = DOMAIN, **options: Any
) -> AsyncIterator[ClientConnection]:
    """A client that dials a name which no DNS knows."""
    scheme, path = url.split(":", 1)
    async with connect(
        f"{scheme}://{name}:{world.port}{path}",
        host="127.0.0.1",
        port=world.port,
        proxy=None,
        ping_interval=None,
        **options,
    ) as client:
        yield client


async def refused(world: World, path: str, name: str = DOMAIN) -> HttpAnswer:
    """The plain answer to a handshake that is expected to fail."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with dialled(world, f"ws:{path}", name):
            pass
    answer = caught.value.response
    return HttpAnswer(answer.status_code, answer.headers, bytes(answer.body or b""))


def context(world: World) -> dict[str, Any]:
    """The request context of the last CONNECT."""
    found: dict[str, Any] = world.calls("connect")[-1]["requestContext"]
    return found


async def posted(world: World, path: str, name: str = DOMAIN) -> HttpAnswer:
    """The answer to a signed post to an address below a name."""
    signed = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/execute-api/aws4_request"
    headers = {"Host": f"{name}:{world.port}", "Authorization": signed}
    return await world.http("POST", path, b"pushed", headers)


# Sockets


@pytest.mark.parametrize("path", ["/chat", "/chat/", "/", "/%63hat"])
async def test_mapping_key_leads_to_the_stage(world: World, path: str) -> None:
    """The key stands in the path, not the stage, and events tell the domain. 2.45, 10.12."""
    async with dialled(world, f"ws:{path}") as client:
        await client.send("hello")
        echo = await soon(client.recv())

    assert echo == "hello"
    seen = context(world)
    assert (seen["domainName"], seen["stage"], seen["apiId"]) == (
        f"{DOMAIN}:{world.port}",
        STAGE,
        API,
    )


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"/{STAGE}", id="the-stage"),
        pytest.param("/other", id="unknown-key"),
        pytest.param("/chat/more", id="below-a-key"),
        pytest.param(f"/_aws/execute-api/{API}/{STAGE}", id="the-path-form"),
    ],
)
async def test_path_that_is_not_mapped_is_refused(world: World, path: str) -> None:
    """Nothing but a mapping key leads anywhere under a custom domain name. 10.12."""
    answer = await refused(world, path)

    assert answer.status == 403
    assert world.calls() == []
    assert world.store.connection_count() == 0
    assert "chat to a1b2c3d4e5/dev" in world.summaries(Step.REFUSED)[0]


async def test_name_that_is_not_configured_leads_nowhere(world: World) -> None:
    """Only configured names count, also when they look alike."""
    answer = await refused(world, "/chat", "other.example.com")
    plain = await world.http("GET", "/chat", headers={"Host": "other.example.com"})

    assert (answer.status, plain.status) == (403, 403)
    assert world.calls() == []


async def test_removed_domain_leads_nowhere(world: World) -> None:
    """A domain name acts until it is removed."""
    world.store.remove_domain(DOMAIN)

    answer = await refused(world, "/chat")

    assert answer.status == 403
    assert world.calls() == []


async def test_wildcard_stands_for_one_label(world: World) -> None:
    """``*.example.net`` serves every name directly below it, and no other."""
    world.store.set_domain(CustomDomain(name="*.example.net", mappings={"": (API, STAGE)}))

    async with dialled(world, "ws:/", "a.example.net"):
        assert context(world)["domainName"] == f"a.example.net:{world.port}"
    below = await refused(world, "/", "a.b.example.net")
    parent = await refused(world, "/", "example.net")

    assert (below.status, parent.status) == (403, 403)
    assert len(world.calls("connect")) == 1


async def test_disabled_endpoint_leaves_the_domain_open(world: World) -> None:
    """The default endpoint refuses sockets and posts, the domain takes both. 2.19."""
    world.deploy_echo(is_execute_api_endpoint_disabled=True)

    answer = await world.refused()
    async with dialled(world, "ws:/chat") as client:
        [connection_id] = world.connection_ids()
        by_default = await world.http(
            "POST",
            f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}",
            b"lost",
        )
        by_id = await world.http("POST", f"/@connections/{connection_id}", b"lost")
        by_domain = await posted(world, f"/chat/@connections/{connection_id}")
        first = await soon(client.recv())

    assert [answer.status, by_default.status, by_id.status, by_domain.status] == [
        403,
        403,
        403,
        200,
    ]
    assert first == "pushed"
    assert len(world.calls("connect")) == 1
    assert "default endpoint is disabled" in world.summaries(Step.REFUSED)[0]


async def test_domain_speaks_tls_under_its_own_certificate(world: World) -> None:
    """The certificate is made for the name, by the local authority, on the same port. 1.104."""
    async with dialled(world, "wss:/chat", ssl=world.trust(), server_hostname=DOMAIN) as client:
        certificate = client.transport.get_extra_info("peercert")

    names = [name for _kind, name in certificate["subjectAltName"]]
    assert names == [DOMAIN]
    assert world.calls("connect")


async def test_no_certificate_is_made_for_unknown_names(world: World) -> None:
    """A client that verifies the name gets no connection under a name nobody configured."""
    with pytest.raises(ssl.SSLCertVerificationError):
        async with dialled(
            world,
            "wss:/chat",
            "other.example.com",
            ssl=world.trust(),
            server_hostname="other.example.com",
        ):
            pass

    assert world.calls() == []
    assert set(world.authority._contexts) == {"localhost"}


# The management API


@pytest.mark.parametrize("path", ["/chat", ""])
async def test_post_goes_by_the_mapping_key(world: World, path: str) -> None:
    """The mapping key stands in the stage's place; an empty one is left out. 7.02."""
    async with dialled(world, "ws:/chat") as client:
        [connection_id] = world.connection_ids()
        answer = await posted(world, f"{path}/%40connections/{connection_id.replace('=', '%3D')}")
        message = await soon(client.recv())

    assert (answer.status, answer.body) == (200, b"")
    assert message == "pushed"


async def test_post_with_the_stage_fails_in_aws_words(world: World) -> None:
    """The stage is not mapped, so there is no such route: 404. 7.03."""
    async with dialled(world, "ws:/chat") as client:
        [connection_id] = world.connection_ids()
        answer = await posted(world, f"/{STAGE}/@connections/{connection_id}")
        await client.send("still open")
        next_message = await soon(client.recv())

    assert answer.status == 404
    assert json.loads(answer.body) == {
        "message": f"No method found matching route {STAGE}/@connections/{connection_id} for http "
        "method POST."
    }
    assert next_message == "still open"
    assert "mapping key" in world.summaries(Step.REFUSED)[0]


async def test_post_by_another_stages_mapping_is_forbidden(world: World) -> None:
    """A connection is reached only through a mapping of the stage it was opened on. 7.29."""
    world.deploy_echo(stage="prod")
    world.deploy_echo()
    world.store.set_domain(
        CustomDomain(name=DOMAIN, mappings={"chat": (API, STAGE), "prod": (API, "prod")})
    )
    async with dialled(world, "ws:/chat") as client:
        [connection_id] = world.connection_ids()
        answer = await posted(world, f"/prod/@connections/{connection_id}")
        await client.send("still open")
        next_message = await soon(client.recv())

    assert answer.status == 403
    assert next_message == "still open"


async def test_unsigned_request_to_a_domain_is_refused(world: World) -> None:
    """A page could navigate to such a name, so it must be signed as any call."""
    async with dialled(world, "ws:/chat") as client:
        [connection_id] = world.connection_ids()
        answer = await world.http(
            "POST", f"/chat/@connections/{connection_id}", b"lost", {"Host": DOMAIN}
        )
        await client.send("still open")
        next_message = await soon(client.recv())

    assert answer.status == 403
    assert next_message == "still open"


async def test_domain_serves_nothing_but_its_apis(world: World) -> None:
    """Under a custom domain name there is no control plane and no other service."""
    signed = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/apigateway/aws4_request"
    headers = {"Host": DOMAIN, "Authorization": signed}

    keys = await world.http("POST", "/apikeys", b'{"name": "x"}', headers)

    assert keys.status == 403
    assert world.store.children((), "ApiKey") == []


# The whole engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineWorld]:
    """An engine in a process of its own."""
    with running_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


def _certificate(engine: EngineWorld) -> str:
    """A new certificate's ARN; nobody proves the domain here."""
    acm = engine.client("acm")
    arn: str = acm.request_certificate(DomainName="example.com")["CertificateArn"]
    return arn


@pytest.fixture(scope="module")
def api(engine: EngineWorld) -> Deployed:
    """An API whose function pushes to its own client, under two custom domain names."""
    gateway = engine.client("apigatewayv2")
    pusher = engine.make_function("pusher", PUSHER)
    api = engine.make_api({"$default": pusher})
    certificate = _certificate(engine)
    for name in (DOMAIN, OWN):
        gateway.create_domain_name(
            DomainName=name, DomainNameConfigurations=[{"CertificateArn": certificate}]
        )
        gateway.create_api_mapping(
            DomainName=name, ApiId=api.api_id, Stage="dev", ApiMappingKey="chat"
        )
    return api


def local_socket(engine: EngineWorld) -> socket.socket:
    """A connection to the engine, for a name that no DNS knows."""
    return socket.create_connection(("127.0.0.1", engine.port))


@pytest.mark.parametrize("name", [DOMAIN, OWN])
def test_function_pushes_through_the_domain(engine: EngineWorld, api: Deployed, name: str) -> None:
    """A function reaches the domain by its name, over TLS that it trusts. 7.02."""
    url = f"ws://{name}:{engine.port}/chat"
    with engine.connect(url, sock=local_socket(engine)) as client:
        client.send(json.dumps({"url": "https://{domainName}/chat"}))
        answers = {str(client.recv(timeout=20)) for _ in range(2)}

    assert answers == {"pushed", f"{name}:{engine.port}"}


def test_function_that_posts_with_the_stage_learns_why_not(
    engine: EngineWorld, api: Deployed
) -> None:
    """The usual address with the stage fails behind a custom domain, as on AWS. 7.03."""
    url = f"ws://{DOMAIN}:{engine.port}/chat"
    with engine.connect(url, sock=local_socket(engine)) as client:
        client.send(json.dumps({"url": "https://{domainName}/dev"}))
        answer = str(client.recv(timeout=20))

    assert "No method found matching route dev/@connections/" in answer


def test_stage_and_api_that_are_mapped_cannot_be_deleted(
    engine: EngineWorld, api: Deployed
) -> None:
    """The mappings must go first; until then everything works on."""
    gateway = engine.client("apigatewayv2")
    with pytest.raises(ClientError) as stage:
        gateway.delete_stage(ApiId=api.api_id, StageName="dev")
    with pytest.raises(ClientError) as whole:
        gateway.delete_api(ApiId=api.api_id)

    said = [str(caught.value.response["Error"]["Message"]) for caught in (stage, whole)]
    assert said == [
        (
            "Deleting stage dev failed. Please remove all base path mappings related to the stage "
            f"in your domains: {DOMAIN}, {OWN}"
        ),
        (
            "Deleting API failed. Please remove all base path mappings related to the API in your "
            f"domains: {DOMAIN}, {OWN}"
        ),
    ]
    assert gateway.get_stage(ApiId=api.api_id, StageName="dev")["StageName"] == "dev"


async def test_deleted_domain_leads_nowhere_at_once(engine: EngineWorld, api: Deployed) -> None:
    """Deleting the domain name takes its mappings along. 1.108."""
    gateway = engine.client("apigatewayv2")
    gateway.create_domain_name(
        DomainName="gone.example.com",
        DomainNameConfigurations=[{"CertificateArn": _certificate(engine)}],
    )
    gateway.create_api_mapping(DomainName="gone.example.com", ApiId=api.api_id, Stage="dev")
    url = f"ws://gone.example.com:{engine.port}/"

    async def dial() -> int:
        try:
            async with connect(url, host="127.0.0.1", port=engine.port, proxy=None):
                return 101
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code

    before = await dial()
    await asyncio.to_thread(gateway.delete_domain_name, DomainName="gone.example.com")
    after = await dial()

    assert (before, after) == (101, 403)


def test_domain_needs_a_certificate_that_exists(engine: EngineWorld, api: Deployed) -> None:
    """A made-up certificate is refused, in AWS's words, and no domain is made. 1.110."""
    gateway = engine.client("apigatewayv2")
    before = {each["DomainName"] for each in gateway.get_domain_names()["Items"]}

    with pytest.raises(ClientError) as caught:
        gateway.create_domain_name(
            DomainName="new.example.com",
            DomainNameConfigurations=[{"CertificateArn": CERTIFICATE}],
        )

    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Error"]["Message"].startswith("The provided certificate does not exist.")
    assert {each["DomainName"] for each in gateway.get_domain_names()["Items"]} == before
