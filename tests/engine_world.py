"""A real engine in a process of its own, and APIs on it made through AWS's own calls.

Functions are real processes; the recording one prints the event it gets, so that a test reads it
back from CloudWatch Logs as it would on AWS.
"""

import io
import json
import socket
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from websockets.sync.client import ClientConnection, connect

from socketstack.kit.engine import EngineProcess
from socketstack.settings import Settings

ACCOUNT = "000000000000"
REGION = "us-east-1"
STAGE = "dev"
PATIENCE_SECONDS = 20.0

RECORDER = """
    import json

    def handle(event, context):
        print("EVENT " + json.dumps(event))
        return {"statusCode": 200, "body": event.get("body", "")}
"""
"""Prints its event and echoes."""

_T = TypeVar("_T")
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """An API at a stage."""

    api_id: str
    url: str


@dataclass(eq=False)
class EngineWorld:
    """One engine and what a test does with it."""

    settings: Settings
    process: EngineProcess
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """The engine's port."""
        return self.settings.port

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of the engine, without retries."""
        key = f"{service} {options}"
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,  # type: ignore[call-overload]
                **{
                    "endpoint_url": f"http://localhost:{self.port}",
                    "region_name": REGION,
                    "aws_access_key_id": "test",
                    "aws_secret_access_key": "test",
                    "config": Config(retries={"total_max_attempts": 1}, proxies={}),
                    **options,
                },
            )
        return self._clients[key]

    def close(self) -> None:
        """Close what boto3 keeps open."""
        for client in self._clients.values():
            client.close()

    # What is deployed

    def make_role(self) -> str:
        """A role for functions."""
        role = self.client("iam").create_role(
            RoleName="functions", AssumeRolePolicyDocument=json.dumps(_TRUST)
        )
        arn: str = role["Role"]["Arn"]
        return arn

    def make_function(self, name: str, source: str = RECORDER, **members: Any) -> str:
        """A function of one module, which API Gateway may call; returns its ARN."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", textwrap.dedent(source))
        made = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="handler.handle",
            Role=f"arn:aws:iam::{ACCOUNT}:role/functions",
            Code={"ZipFile": code.getvalue()},
            **members,
        )
        self.client("lambda").add_permission(
            FunctionName=name,
            StatementId="gateway",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        arn: str = made["FunctionArn"]
        return arn

    def make_api(
        self,
        routes: Mapping[str, str],
        *,
        authorizer: str | None = None,
        sources: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
        stage: str = STAGE,
    ) -> Deployed:
        """An API whose routes call functions and answer; ``authorizer`` guards ``$connect``.

        Args:
            routes: Route key to function ARN.
            authorizer: ARN of the authorizer function.
            sources: Its identity sources.
            variables: The stage's variables.
            stage: The stage's name.
        """
        gateway = self.client("apigatewayv2")
        api_id: str = gateway.create_api(
            Name="golden", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action"
        )["ApiId"]
        guard: dict[str, str] = {}
        if authorizer is not None:
            made = gateway.create_authorizer(
                ApiId=api_id,
                Name="tokens",
                AuthorizerType="REQUEST",
                AuthorizerUri=_uri(authorizer),
                IdentitySource=list(sources),
            )
            guard = {"AuthorizationType": "CUSTOM", "AuthorizerId": made["AuthorizerId"]}
        for key, function in routes.items():
            integration = gateway.create_integration(
                ApiId=api_id,
                IntegrationType="AWS_PROXY",
                IntegrationMethod="POST",
                IntegrationUri=_uri(function),
            )
            route = gateway.create_route(
                ApiId=api_id,
                RouteKey=key,
                Target=f"integrations/{integration['IntegrationId']}",
                **(guard if key == "$connect" else {}),
            )
            if not key.startswith("$") or key == "$default":
                gateway.create_route_response(
                    ApiId=api_id, RouteId=route["RouteId"], RouteResponseKey="$default"
                )
        gateway.create_stage(
            ApiId=api_id, StageName=stage, AutoDeploy=True, StageVariables=dict(variables or {})
        )
        url = f"ws://localhost:{self.port}/_aws/execute-api/{api_id}/{stage}"
        return Deployed(api_id=api_id, url=url)

    # What happens

    @contextmanager
    def connect(self, url: str, **options: Any) -> Iterator[ClientConnection]:
        """A client of the websockets library; it is closed at the end."""
        settings: dict[str, Any] = {"proxy": None, "ping_interval": None}
        with connect(url, **settings | options) as client:
            yield client

    def management(self, api: Deployed) -> Any:
        """A client of an API's ``@connections``."""
        url = f"http{api.url.removeprefix('ws')}"
        return self.client("apigatewaymanagementapi", endpoint_url=url)

    def events(self, function: str, count: int) -> list[dict[str, Any]]:
        """The events that a recording function printed, when there are ``count`` of them."""

        def found() -> list[dict[str, Any]] | None:
            lines = self.log_lines(function)
            events = [json.loads(line[6:]) for line in lines if line.startswith("EVENT ")]
            return events if len(events) >= count else None

        return eventually(found)

    def log_lines(self, function: str) -> list[str]:
        """Everything in a function's log group; nothing where there is none yet."""
        logs = self.client("logs")
        group = f"/aws/lambda/{function}"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return []
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"].rstrip("\n") for page in pages for event in page["events"]]

    def own(self, method: str, name: str, body: object = None) -> tuple[int, Any]:
        """One call of the engine's own addresses: status and JSON."""
        status, answer = self.process.request(method, f"/_socketstack/{name}", body)
        return status, json.loads(answer)

    def steps(self, step: str) -> list[dict[str, Any]]:
        """What the trace tells of one kind of step."""
        lines = self.process.lines("/_socketstack/events?follow=false")
        return [event for event in map(json.loads, lines) if event.get("step") == step]

    def engine_log(self) -> str:
        """What the engine wrote to its terminal."""
        return self.process.log.read_text(errors="replace")


def _uri(function_arn: str) -> str:
    path = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/"
    return f"{path}{function_arn}/invocations"


def eventually(look: Callable[[], _T | None]) -> _T:
    """Poll until there is something; fails after a while."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)
    return found


@contextmanager
def running_engine(folder: Path) -> Iterator[EngineWorld]:
    """An engine on a free port with a role for functions; it is stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = Settings(port=port, state_dir=folder / "state", region=REGION)
    process = EngineProcess(settings)
    process.start()
    world = EngineWorld(settings, process)
    try:
        process.wait()
        world.make_role()
        yield world
    finally:
        world.close()
        process.stop()
