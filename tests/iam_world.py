"""A whole engine in this process, its IAM, and clients that sign as anybody.

Everything is real: sockets, moto's IAM and STS, function processes. boto3 runs in threads.
"""

import asyncio
import io
import json
import textwrap
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
import websockets
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from websockets.asyncio.client import ClientConnection, connect

from socketstack.app import Engine
from socketstack.core.model import (
    ApiSnapshot,
    AuthorizationType,
    Authorizer,
    Integration,
    IntegrationType,
    Json,
    Route,
    StageSettings,
)
from socketstack.settings import Settings
from socketstack.trace import Step

ACCOUNT = "000000000000"
REGION = "us-east-1"
API = "a1b2c3d4e5"
STAGE = "dev"
PATIENCE_SECONDS = 30.0
CONNECT_ARN = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API}/{STAGE}/$connect"
CONNECTIONS = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API}/{STAGE}"
ROOT = Credentials("test", "test")
STRANGER = Credentials("AKIASTRANGER00000000", "secret")

RECORDER = """
    import json

    def handle(event, context):
        print("EVENT " + json.dumps(event))
        return {"statusCode": 200, "body": json.dumps(event["requestContext"]["identity"])}
"""
"""Prints its event and answers with the identity in it."""

T = TypeVar("T")


def trust(*services: str, **principal: Json) -> Json:
    """A trust policy for services, or for the given Principal."""
    named: Json = dict(principal) if principal else {"Service": list(services)}
    statement: Json = {"Effect": "Allow", "Principal": named, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(action: Json, resource: Json = "*", effect: str = "Allow", **members: Json) -> Json:
    """A policy of one statement."""
    statement: Json = {"Effect": effect, "Action": action, "Resource": resource, **members}
    return {"Version": "2012-10-17", "Statement": [statement]}


def function_arn(name: str) -> str:
    """The ARN of a function."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def role_arn(name: str) -> str:
    """The ARN of a role."""
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def uri(function: str) -> str:
    """The integration URI of a function."""
    path = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/"
    return f"{path}{function_arn(function)}/invocations"


@dataclass(eq=False)
class IamWorld:
    """One engine."""

    engine: Engine
    _clients: dict[str, Any] = field(default_factory=dict)

    # Clients

    def client(self, service: str, credentials: Credentials = ROOT, **options: Any) -> Any:
        """A boto3 client that signs with these credentials, without retries."""
        keys = credentials.get_frozen_credentials()
        key = f"{service} {keys} {options}"
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,  # type: ignore[call-overload]
                **{
                    "endpoint_url": self.engine.endpoint,
                    "region_name": REGION,
                    "aws_access_key_id": credentials.access_key,
                    "aws_secret_access_key": credentials.secret_key,
                    "aws_session_token": credentials.token,
                    "config": Config(retries={"total_max_attempts": 1}, proxies={}),
                    **options,
                },
            )
        return self._clients[key]

    async def call(
        self, service: str, operation: str, credentials: Credentials = ROOT, /, **parameters: Any
    ) -> Any:
        """One call through boto3, in a thread."""
        client = self.client(service, credentials)
        return await asyncio.to_thread(getattr(client, operation), **parameters)

    def management(self, credentials: Credentials = ROOT) -> Any:
        """A client of ``@connections``."""
        url = f"{self.engine.endpoint}/_aws/execute-api/{API}/{STAGE}"
        return self.client("apigatewaymanagementapi", credentials, endpoint_url=url)

    async def manage(self, operation: str, credentials: Credentials, /, **parameters: Any) -> Any:
        """One call of ``@connections`` through boto3, in a thread."""
        method: Callable[..., Any] = getattr(self.management(credentials), operation)
        return await asyncio.to_thread(method, **parameters)

    def close(self) -> None:
        """Close what boto3 keeps open."""
        for client in self._clients.values():
            client.close()

    # Identities

    async def make_user(self, name: str, *documents: Json) -> Credentials:
        """A user with inline policies and an access key."""
        await self.call("iam", "create_user", UserName=name)
        for number, document in enumerate(documents):
            await self.call(
                "iam",
                "put_user_policy",
                UserName=name,
                PolicyName=f"p{number}",
                PolicyDocument=json.dumps(document),
            )
        made = await self.call("iam", "create_access_key", UserName=name)
        key = made["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    async def make_role(self, name: str, trusted: Json, *documents: Json) -> str:
        """A role with inline policies; returns its ARN."""
        await self.call(
            "iam", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(trusted)
        )
        for number, document in enumerate(documents):
            await self.call(
                "iam",
                "put_role_policy",
                RoleName=name,
                PolicyName=f"p{number}",
                PolicyDocument=json.dumps(document),
            )
        return role_arn(name)

    async def assume(self, name: str, **parameters: Any) -> Credentials:
        """A session ``s1`` of a role, made by the account's root."""
        made = await self.call(
            "sts", "assume_role", RoleArn=role_arn(name), RoleSessionName="s1", **parameters
        )
        return credentials_of(made)

    async def make_function(
        self, name: str, source: str = RECORDER, *, role: str = "functions", is_open: bool = True
    ) -> None:
        """A function of one module; ``is_open`` permits API Gateway to call it."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", textwrap.dedent(source))
        await self.call(
            "lambda",
            "create_function",
            FunctionName=name,
            Runtime="python3.13",
            Handler="handler.handle",
            Role=role_arn(role),
            Code={"ZipFile": code.getvalue()},
            Timeout=20,
        )
        if is_open:
            await self.call(
                "lambda",
                "add_permission",
                FunctionName=name,
                StatementId="gateway",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
            )

    # What is deployed

    def deploy(self, *routes: Route) -> None:
        """Put an API with these routes into service, as a deployment would leave it."""
        store = self.engine.store
        store.put(("Api", API), {"ApiId": API})
        store.publish(
            ApiSnapshot(
                api_id=API,
                account_id=ACCOUNT,
                region=REGION,
                deployment_id="dep001",
                route_selection_expression="$request.body.action",
                routes={each.route_key: each for each in routes},
            )
        )
        store.set_stage(API, StageSettings(stage_name=STAGE, deployment_id="dep001"))

    # Sockets

    @property
    def url(self) -> str:
        """The stage's address."""
        return f"ws://localhost:{self.engine.port}/_aws/execute-api/{API}/{STAGE}"

    @asynccontextmanager
    async def connect(self, url: str = "", **options: Any) -> AsyncIterator[ClientConnection]:
        """A client of the websockets library; it is closed at the end."""
        async with connect(url or self.url, proxy=None, ping_interval=None, **options) as client:
            yield client

    async def refused(self, url: str = "", **options: Any) -> tuple[int, Any]:
        """Status and JSON of a handshake that is expected to fail."""
        try:
            async with self.connect(url, **options):
                pass
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code, json.loads(refusal.response.body or b"null")
        message = "the handshake succeeded"
        raise AssertionError(message)

    def presigned(self, credentials: Credentials, *, url: str = "", seconds: int = 60) -> str:
        """The stage's address, presigned by botocore."""
        request = AWSRequest(method="GET", url=(url or self.url))
        SigV4QueryAuth(credentials, "execute-api", REGION, expires=seconds).add_auth(request)
        return str(request.url)

    def signed_headers(self, credentials: Credentials, *, region: str = REGION) -> dict[str, str]:
        """The headers of a signed handshake."""
        request = AWSRequest(method="GET", url=self.url)
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        return {str(name): str(value) for name, value in request.headers.items()}

    def connection_id(self) -> str:
        """The id of the one open connection."""
        (entry,) = self.engine.store.connections()
        return entry.connection.connection_id

    # What happened

    def told(self, step: Step) -> list[str]:
        """What the trace said about one step."""
        return [event.summary for event in self.engine.trace.recent() if event.step is step]

    def everything_told(self) -> str:
        """The whole trace."""
        return "\n".join(json.dumps(event.as_json()) for event in self.engine.trace.recent())


def credentials_of(made: Mapping[str, Any]) -> Credentials:
    """The credentials in an answer of STS."""
    keys = made["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def route(key: str, function: str | None = None, **members: Any) -> Route:
    """A two-way route; ``function`` is what it calls, by ``credentials_arn`` if it is given."""
    integration = None
    credentials_arn = members.pop("credentials_arn", None)
    if function is not None:
        integration = Integration(
            integration_id=f"to-{function}",
            integration_type=IntegrationType.AWS_PROXY,
            integration_uri=uri(function),
            credentials_arn=credentials_arn,
        )
    values = {"route_id": f"id{key}", "route_key": key, "is_two_way": True}
    return Route(**{**values, "integration": integration, **members})


def signed_connect(function: str | None = "echo") -> Route:
    """A ``$connect`` route with AWS_IAM."""
    return route("$connect", function, authorization_type=AuthorizationType.AWS_IAM)


def guarded_connect(role: str | None) -> Route:
    """A ``$connect`` route whose authorizer is called by a role."""
    authorizer = Authorizer(
        authorizer_id="auth01",
        name="tokens",
        authorizer_uri=uri("authorizer"),
        credentials_arn=role,
    )
    return route(
        "$connect", "echo", authorization_type=AuthorizationType.CUSTOM, authorizer=authorizer
    )


@asynccontextmanager
async def iam_world(*, is_enforced: bool = False) -> AsyncIterator[IamWorld]:
    """A running engine; it is stopped at the end."""
    engine = Engine(Settings(port=0, region=REGION, is_iam_enforced=is_enforced))
    await engine.start()
    world = IamWorld(engine)
    try:
        yield world
    finally:
        world.close()
        await engine.stop()


async def soon(awaitable: Awaitable[T]) -> T:
    """Wait with a deadline."""
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)
