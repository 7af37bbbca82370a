"""The system that is measured, made through boto3: so it runs on every endpoint that speaks AWS."""

import io
import json
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

_SYSTEM = Path(__file__).parent / "system"
_RUNTIME: Any = f"python{sys.version_info.major}.{sys.version_info.minor}"
_REGION, _STAGE = "us-east-1", "bench"
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
_ANSWERED = {"echo": "echo", "who": "who", "sleep": "sleeper", "cold": "cold", "soak": "soak"}
"""Routes with an answer, and the functions behind them."""
_FUNCTIONS = {
    "authorizer": "system.authorizer",
    "connections": "system.connections",
    "echo": "system.echo",
    "who": "system.who",
    "sleeper": "system.sleeper",
    "cold": "cold.handler",
    "soak": "soak.handler",
}
FUNCTIONS = tuple(_FUNCTIONS)
"""Names of all functions."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """Where clients connect, and where posts go."""

    url: str
    callback_url: str


class Deployment:
    """Makes functions and an API at an endpoint.

    ``has_paths``: sockets by path, not by host name. ``tally``: a file below the folder for
    temporary files that every ``$disconnect`` makes longer by a byte.
    """

    def __init__(self, endpoint: str, *, has_paths: bool, tally: Path | None = None) -> None:
        self._endpoint, self._has_paths = endpoint, has_paths
        self._environment = {"TALLY": str(tally)} if tally else {}
        session = boto3.Session("test", "test", region_name=_REGION)
        self._iam = session.client("iam", endpoint_url=endpoint)
        self._lambda = session.client("lambda", endpoint_url=endpoint)
        self._api = session.client("apigatewayv2", endpoint_url=endpoint)

    def make(self) -> Deployed:
        """Functions, then the API with authorizer, routes and stage."""
        role = self._iam.create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(_TRUST))
        arn = role["Role"]["Arn"]
        arns = {name: self._function(name, handler, arn) for name, handler in _FUNCTIONS.items()}
        api_id = self._api.create_api(
            Name="bench",
            ProtocolType="WEBSOCKET",
            RouteSelectionExpression="$request.body.action",
        )["ApiId"]
        authorizer_id = self._api.create_authorizer(
            ApiId=api_id,
            Name="token",
            AuthorizerType="REQUEST",
            AuthorizerUri=_uri(arns["authorizer"]),
            IdentitySource=["route.request.querystring.token"],
        )["AuthorizerId"]
        connections = self._integration(api_id, arns["connections"])
        guarded = {"AuthorizationType": "CUSTOM", "AuthorizerId": authorizer_id}
        self._route(api_id, "$connect", connections, **guarded)
        self._route(api_id, "$disconnect", connections)
        for key, function in _ANSWERED.items():
            target = self._integration(api_id, arns[function])
            answers = {"RouteResponseSelectionExpression": "$default"}
            route_id = self._route(api_id, key, target, **answers)
            self._api.create_route_response(
                ApiId=api_id, RouteId=route_id, RouteResponseKey="$default"
            )
        self._api.create_stage(ApiId=api_id, StageName=_STAGE, AutoDeploy=True)
        return self._addresses(api_id)

    def renew(self, number: int, functions: Iterable[str] = ("cold",)) -> None:
        """Give functions another environment: their processes are of no use any more."""
        for name in functions:
            self._lambda.update_function_configuration(
                FunctionName=name,
                Environment={"Variables": {**self._environment, "NUMBER": str(number)}},
            )

    def _addresses(self, api_id: str) -> Deployed:
        port = self._endpoint.rsplit(":", 1)[1]
        if self._has_paths:
            base = f"localhost:{port}/_aws/execute-api/{api_id}/{_STAGE}"
        else:
            base = f"{api_id}.execute-api.localhost:{port}/{_STAGE}"
        return Deployed(f"ws://{base}?token=bench", f"http://{base}")

    def _function(self, name: str, handler: str, role: str) -> str:
        made = self._lambda.create_function(
            FunctionName=name,
            Runtime=_RUNTIME,
            Role=role,
            Handler=handler,
            Code={"ZipFile": _code()},
            Environment={"Variables": self._environment},
            MemorySize=256,
            Timeout=20,
        )
        self._lambda.add_permission(
            FunctionName=name,
            StatementId="api",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        return made["FunctionArn"]

    def _integration(self, api_id: str, arn: str) -> str:
        made = self._api.create_integration(
            ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=_uri(arn)
        )
        return f"integrations/{made['IntegrationId']}"

    def _route(self, api_id: str, key: str, target: str, **more: Any) -> str:
        made = self._api.create_route(ApiId=api_id, RouteKey=key, Target=target, **more)
        return made["RouteId"]


def _uri(arn: str) -> str:
    return f"arn:aws:apigateway:{_REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


def _code() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(_SYSTEM.glob("*.py")):
            archive.write(path, path.name)
    return packed.getvalue()


def message(action: str, **members: object) -> str:
    """A message for the route of this name."""
    return json.dumps({"action": action, **members})
