"""A control plane over a fresh Store, called directly or behind HTTP on a free port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
from aiohttp import web
from botocore.config import Config
from fakes import FakeClock, FakeIds

from socketstack.controlplane.plane import Caller, ControlPlane
from socketstack.controlplane.web import ControlPlaneWeb
from socketstack.core.model import Record
from socketstack.ids import RandomIds
from socketstack.store import Store
from socketstack.trace import Trace, TraceEvent

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client

FUNCTION_URI = (
    "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:us-east-1:000000000000:function:f/invocations"
)


@dataclass
class Bench:
    """A control plane with everything around it in reach."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: Store = field(default_factory=Store)
    caller: Caller = field(default_factory=lambda: Caller("000000000000", "us-east-1"))
    can_log: bool = False
    certificates: set[str] | None = None
    """ARNs of those that there are; None for whichever is asked for."""

    def __post_init__(self) -> None:
        self.events: list[TraceEvent] = []
        trace = Trace(self.clock)
        trace.subscribe(self.events.append)
        self.plane = ControlPlane(
            store=self.store,
            clock=self.clock,
            ids=FakeIds(),
            trace=trace,
            endpoint="ws://localhost:4566",
            can_log=lambda _caller: self.can_log,
            has_certificate=lambda arn: self.certificates is None or arn in self.certificates,
        )

    def call(self, operation: str, **parameters: object) -> Record:
        """One operation."""
        return self.plane.call(operation, parameters, self.caller)

    def api(self, **members: object) -> str:
        """A new WebSocket API; returns its id."""
        defaults: Record = {
            "Name": "chat",
            "ProtocolType": "WEBSOCKET",
            "RouteSelectionExpression": "$request.body.action",
        }
        return str(self.plane.call("CreateApi", {**defaults, **members}, self.caller)["ApiId"])

    def route(self, api_id: str, key: str = "$default", **members: object) -> str:
        """A new route; returns its id."""
        return str(self.call("CreateRoute", ApiId=api_id, RouteKey=key, **members)["RouteId"])

    def integration(self, api_id: str, **members: object) -> str:
        """A new integration, MOCK unless said otherwise; returns its id."""
        sent = {"IntegrationType": "MOCK", **members}
        return str(self.call("CreateIntegration", ApiId=api_id, **sent)["IntegrationId"])

    def authorizer(self, api_id: str, **members: object) -> str:
        """A new REQUEST authorizer; returns its id."""
        sent = {
            "AuthorizerType": "REQUEST",
            "AuthorizerUri": FUNCTION_URI,
            "IdentitySource": ["route.request.querystring.token"],
            "Name": "token",
            **members,
        }
        return str(self.call("CreateAuthorizer", ApiId=api_id, **sent)["AuthorizerId"])

    def model(self, api_id: str, name: str = "Message", schema: str = '{"type":"object"}') -> str:
        """A new model; returns its id."""
        sent: Record = {"Name": name, "Schema": schema, "ContentType": "application/json"}
        return str(self.call("CreateModel", ApiId=api_id, **sent)["ModelId"])

    def deployment(self, api_id: str, **members: object) -> str:
        """A new deployment; returns its id."""
        return str(self.call("CreateDeployment", ApiId=api_id, **members)["DeploymentId"])

    def stage(self, api_id: str, name: str = "dev", **members: object) -> Record:
        """A new stage."""
        return self.call("CreateStage", ApiId=api_id, StageName=name, **members)

    def items(self, operation: str, **parameters: object) -> list[Record]:
        """The items of a list operation."""
        items = self.call(operation, **parameters)["Items"]
        assert isinstance(items, list)
        return items


@dataclass(frozen=True)
class Site:
    """A control plane behind HTTP, with its Store in reach."""

    url: str
    store: Store
    plane: ControlPlane

    def client(self, region: str = "eu-west-1") -> "ApiGatewayV2Client":
        """A boto3 client that neither retries nor asks the environment."""
        config = Config(retries={"total_max_attempts": 1}, proxies={})
        session = boto3.session.Session("AKIDEXAMPLE", "secret", region_name=region)
        return session.client("apigatewayv2", endpoint_url=self.url, config=config)


@asynccontextmanager
async def serving(*, can_log: bool = False) -> AsyncIterator[Site]:
    """A control plane on a free port of 127.0.0.1, gone afterwards."""
    clock, store = FakeClock(), Store()
    plane = ControlPlane(
        store=store,
        clock=clock,
        ids=RandomIds(),
        trace=Trace(clock),
        endpoint="ws://localhost:4566",
        can_log=lambda _caller: can_log,
    )
    runner = web.ServerRunner(web.Server(ControlPlaneWeb(plane).handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield Site(f"http://{host}:{port}", store, plane)
    finally:
        await runner.cleanup()
