"""APIs of the suite: routes, integrations, authorizer, stage, in the order that AWS wants them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from parity.account import Account, Function, Stage
from parity.sockets import UnopenedError, connect
from websockets.exceptions import InvalidHandshake

STAGE = "dev"
EXPRESSION = "$request.body.action"


@dataclass(frozen=True, kw_only=True)
class Route:
    """What one route is made of."""

    key: str
    function: Function | None = None
    """None: a route without integration."""
    is_two_way: bool = False
    timeout_ms: int | None = None
    integration: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the integration."""
    responses: tuple[Mapping[str, Any], ...] = ()
    """Integration responses; without a key of their own they have ``$default``."""
    members: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the route."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """An authorizer on ``$connect``."""

    function: Function
    sources: tuple[str, ...] = ()


class ApiBuilder:
    """Makes one API and what belongs to it."""

    def __init__(self, account: Account, name: str, expression: str = EXPRESSION) -> None:
        self._account = account
        self._gateway = account.gateway
        made = self._gateway.create_api(
            Name=f"{account.prefix}-{name}",
            ProtocolType="WEBSOCKET",
            RouteSelectionExpression=expression,
        )
        self.api_id: str = made["ApiId"]
        self._api_endpoint: str = made.get("ApiEndpoint", "")

    def add(self, *routes: Route, guard: Guard | None = None) -> "ApiBuilder":
        """Make routes; ``guard`` protects ``$connect``."""
        for route in routes:
            protected = self._protection(guard) if guard and route.key == "$connect" else {}
            target = self._target(route)
            made = self._gateway.create_route(
                ApiId=self.api_id, RouteKey=route.key, **target, **protected, **route.members
            )
            if route.is_two_way:
                self._gateway.create_route_response(
                    ApiId=self.api_id, RouteId=made["RouteId"], RouteResponseKey="$default"
                )
        return self

    def deploy(self, stage: str = STAGE, variables: Mapping[str, str] | None = None) -> Stage:
        """Make a deployment and a stage that serves it."""
        deployment = self._gateway.create_deployment(ApiId=self.api_id)
        self._gateway.create_stage(
            ApiId=self.api_id,
            StageName=stage,
            DeploymentId=deployment["DeploymentId"],
            StageVariables=dict(variables or {}),
        )
        made = self.stage(stage)
        if self._account.target.is_aws:
            self._wait(made)
        return made

    def redeploy(self, stage: str = STAGE) -> str:
        """Make a deployment and move a stage to it; returns the deployment's id."""
        made = self._gateway.create_deployment(ApiId=self.api_id, StageName=stage)
        deployment_id: str = made["DeploymentId"]
        return deployment_id

    def stage(self, name: str) -> Stage:
        """How clients reach a stage."""
        url = self._account.target.socket_url(self.api_id, name, self._api_endpoint)
        return Stage(api_id=self.api_id, name=name, url=url)

    def _wait(self, stage: Stage) -> None:
        """A new stage takes a while to be seen on AWS; what it then does is for tests to say."""

        def is_there() -> bool | None:
            try:
                with connect(self._account, stage):
                    return True
            except UnopenedError as refused:
                return True if refused.answer.status not in {403, 404} else None
            except (OSError, InvalidHandshake):
                return None

        try:
            self._account.eventually(is_there)
        except AssertionError:
            return

    def _protection(self, guard: Guard) -> dict[str, str]:
        made = self._gateway.create_authorizer(
            ApiId=self.api_id,
            Name=f"{self._account.prefix}-guard",
            AuthorizerType="REQUEST",
            AuthorizerUri=guard.function.integration_uri(self._account.target.region),
            IdentitySource=list(guard.sources),
        )
        return {"AuthorizationType": "CUSTOM", "AuthorizerId": made["AuthorizerId"]}

    def _target(self, route: Route) -> dict[str, str]:
        if route.function is None and not route.integration:
            return {}
        called: dict[str, Any] = {}
        if route.function is not None:
            called = {
                "IntegrationType": "AWS_PROXY",
                "IntegrationMethod": "POST",
                "IntegrationUri": route.function.integration_uri(self._account.target.region),
            }
        if route.timeout_ms is not None:
            called["TimeoutInMillis"] = route.timeout_ms
        made = self._gateway.create_integration(
            ApiId=self.api_id, **{**called, **route.integration}
        )
        for response in route.responses:
            self._gateway.create_integration_response(
                ApiId=self.api_id,
                IntegrationId=made["IntegrationId"],
                **{"IntegrationResponseKey": "$default", **response},
            )
        return {"Target": f"integrations/{made['IntegrationId']}"}


def all_items(operation: Any, **place: str) -> Iterator[dict[str, Any]]:
    """Everything that a list call gives, page by page."""
    token: dict[str, str] = {}
    while True:
        page = operation(**place, **token)
        yield from page["Items"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}
