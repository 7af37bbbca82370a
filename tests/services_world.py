"""MotoApp and InvokeApi behind a small real server, and boto3 clients for it."""

import asyncio
import json
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import boto3
from aiohttp import web
from botocore.config import Config
from fakes import FakeClock, FakeRunner

from socketstack.clock import MovableClock
from socketstack.ids import RandomIds
from socketstack.runner.base import Runner
from socketstack.services.functions import FunctionPermits, InvokeApi, MotoFunctions
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.moto_app import MotoApp
from socketstack.services.schedules import Scheduler
from socketstack.services.web import AwsWeb

ACCOUNT = "000000000000"
REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/functions"
PATIENCE_SECONDS = 20.0

_INVOKE = re.compile(r"/2015-03-31/functions/[^/]+/invocations")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class ServicesWorld:
    """One engine's services, without its other rooms."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.app = MotoApp(account_id=ACCOUNT, region=REGION)
        self.functions = MotoFunctions(self.app)
        self.permits = FunctionPermits(self.functions)
        self.fake_runner = FakeRunner()
        self.told: list[str] = []
        """What was said about events that reach nobody, and about rules that are due."""
        self.schedule_clock = MovableClock(self.clock)
        self.invoke_api: InvokeApi
        self.scheduler: Scheduler
        self.url = ""
        self._clients: dict[str, Any] = {}

    def use(self, runner: Runner) -> None:
        """Let this runner run the functions."""
        self.invoke_api = InvokeApi(
            runner, self.functions, self.app, clock=self.clock, tell=self.told.append
        )
        self.scheduler = Scheduler(
            self.app,
            self.invoke_api.targets,
            clock=self.schedule_clock,
            ids=RandomIds(),
            tell=self.told.append,
        )

    async def answer(self, request: AwsRequest) -> AwsResponse:
        """Show a request its room, as the front door does."""
        if _INVOKE.match(request.path):
            return await self.invoke_api.handle(request)
        return await self.app.handle(request)

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client; the same for the same options."""
        key = f"{service} {sorted(options.items(), key=str)}"
        if key not in self._clients:
            config = options.pop("config", Config()).merge(
                Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE_SECONDS)
            )
            self._clients[key] = boto3.client(
                service,  # type: ignore[call-overload]
                **{
                    "endpoint_url": self.url,
                    "region_name": REGION,
                    "aws_access_key_id": "test",
                    "aws_secret_access_key": "test",
                    "config": config,
                    **options,
                },
            )
        return self._clients[key]

    async def call(self, service: str, operation: str, /, **parameters: Any) -> Any:
        """Call an operation through boto3, in a thread."""
        method: Callable[..., Any] = getattr(self.client(service), operation)
        return await asyncio.to_thread(method, **parameters)

    async def make_role(self) -> str:
        """The role of functions, made once."""
        await self.call(
            "iam", "create_role", RoleName="functions", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        return ROLE

    async def make_function(self, name: str = "echo", **parameters: Any) -> Any:
        """A function over Lambda's API; the role must exist."""
        members = {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Handler": "handler.handle",
            "Role": ROLE,
            "Code": {"ZipFile": zipped({"handler.py": "def handle(event, context): return event"})},
            **parameters,
        }
        return await self.call("lambda", "create_function", **members)

    def close_clients(self) -> None:
        """Close what boto3 keeps open."""
        for client in self._clients.values():
            client.close()


@asynccontextmanager
async def services_world(
    make_runner: Callable[[ServicesWorld], Runner] | None = None,
) -> AsyncIterator[ServicesWorld]:
    """A running world, with a fake runner unless told otherwise; all is closed at the end."""
    world = ServicesWorld()
    server = web.Server(
        AwsWeb(world.answer).handle, auto_decompress=False, request_factory=_large_request
    )
    server_runner = web.ServerRunner(server)
    await server_runner.setup()
    site = web.TCPSite(server_runner, "127.0.0.1", 0)
    await site.start()
    world.url = f"http://127.0.0.1:{server_runner.addresses[0][1]}"
    world.use(make_runner(world) if make_runner else world.fake_runner)
    try:
        yield world
    finally:
        world.close_clients()
        await server_runner.cleanup()
        await world.scheduler.stop()
        await world.invoke_api.stop()
        await world.app.stop()


def _large_request(*arguments: Any) -> web.BaseRequest:
    """A request as the engine's server makes it: larger than aiohttp would take."""
    message, payload, protocol, writer, task = arguments
    return web.BaseRequest(
        message, payload, protocol, writer, task, task.get_loop(), client_max_size=100_000_000
    )


def signed(service: str, method: str, path: str, **members: Any) -> AwsRequest:
    """A request as an SDK would sign it, sent to ``host``; the signature itself is not one."""
    scope = f"Credential=test/20260101/{REGION}/{service}/aws4_request"
    headers = (
        ("Authorization", f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00"),
        *members.pop("headers", ()),
    )
    return AwsRequest(
        method=method, path=path, headers=headers, **{"host": "localhost:4566", **members}
    )


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip of files."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            # A fixed time: the same files give the same bytes.
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


async def until(condition: Callable[[], bool]) -> None:
    """Poll until something holds; fails after a while."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for announces nothing
            await asyncio.sleep(0.005)


async def ticking(clock: FakeClock, condition: Callable[[], bool]) -> None:
    """Let time pass in steps of one second until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            clock.advance(1)
            await asyncio.sleep(0.005)
