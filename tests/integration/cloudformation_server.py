"""A small server around CloudFormation, moto and the control plane, for clients that need a URL."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3
from aiohttp import web
from botocore.config import Config

from socketstack.clock import SystemClock
from socketstack.controlplane.plane import ControlPlane
from socketstack.controlplane.web import ControlPlaneWeb
from socketstack.ids import RandomIds
from socketstack.services.api_keys import ApiKeysApi
from socketstack.services.certificates import AccountCertificates
from socketstack.services.cloudformation import CloudFormation
from socketstack.services.moto_app import MotoApp
from socketstack.services.stage_logs import AccountLogging
from socketstack.services.web import AwsWeb
from socketstack.store import Store
from socketstack.trace import Trace

ACCOUNT = "000000000000"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class World:
    """What a test may look at besides the URL."""

    url: str
    store: Store
    trace: Trace
    moto: MotoApp
    cloudformation: CloudFormation


@asynccontextmanager
async def cloudformation_world() -> AsyncIterator[World]:
    """Start everything on a free port; stop it all afterwards."""
    clock, ids, store = SystemClock(), RandomIds(), Store()
    trace = Trace(clock)
    plane = ControlPlane(
        store=store,
        clock=clock,
        ids=ids,
        trace=trace,
        endpoint="ws://localhost:4566",
        can_log=AccountLogging(),
        has_certificate=AccountCertificates(),
    )
    moto = MotoApp(account_id=ACCOUNT, region=REGION)
    formation = CloudFormation(moto=moto, plane=plane, clock=clock, ids=ids, trace=trace)
    moto.replace_service("cloudformation", formation.handle)
    keys = ApiKeysApi(
        store=store, clock=clock, ids=ids, trace=trace, pass_on=moto.answer, region=REGION
    )
    moto.replace_service("apigateway", keys.handle)
    aws, control = AwsWeb(moto.handle), ControlPlaneWeb(plane)

    async def route(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(("/v2/apis", "/v2/domainnames", "/v2/tags")):
            return await control.handle(request)
        return await aws.handle(request)

    runner = web.ServerRunner(web.Server(route))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield World(f"http://127.0.0.1:{port}", store, trace, moto, formation)
    finally:
        await runner.cleanup()
        await formation.stop()
        await moto.stop()


class Cloud:
    """The server in a thread of its own, and clients for it."""

    def __init__(self) -> None:
        self._started: Future[World] = Future()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self.world = self._started.result(timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._finish.set)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._finish = asyncio.get_running_loop(), asyncio.Event()
        async with cloudformation_world() as world:
            self._started.set_result(world)
            await self._finish.wait()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self.world.url

    def client(self, service: str, region: str = REGION) -> Any:
        """A boto3 client; the caller need not close it."""
        session: Any = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=region
        )
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=self.url, config=config)

    def command_line(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the unmodified AWS CLI against it."""
        return subprocess.run(
            [Path(sys.executable).with_name("aws"), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ENDPOINT_URL": self.url,
                "AWS_PAGER": "",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
