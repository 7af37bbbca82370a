"""Reading an API's facts from where it runs: AWS, or an engine that speaks its APIs.

Only read calls are made, and, with the probes, calls of authorizers. What the caller may not read
is left out, and the checks that need it are silent about it.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from botocore.exceptions import ClientError

from socketstack.clock import Clock
from socketstack.core.addressing import function_of
from socketstack.core.jsontext import read_json
from socketstack.core.model import Json
from socketstack.doctor.facts import (
    Api,
    Authorizer,
    ConnectionTable,
    Function,
    Route,
    Stage,
    Throttle,
    http_features,
)
from socketstack.doctor.findings import Finding, ok, warning
from socketstack.doctor.sample import try_authorizers
from socketstack.doctor.tables import TABLE_VARIABLE, read_table
from socketstack.errors import ConfigError
from socketstack.ids import Ids
from socketstack.kit.cloud import Cloud

T = TypeVar("T")

_API_TYPE: Final = "AWS::ApiGatewayV2::Api"
_MISSING: Final = frozenset({"ResourceNotFoundException", "NotFoundException", "NoSuchEntity"})
_TARGET_PREFIX: Final = "integrations/"
_FUNCTION_ARN_PARTS: Final = 7
_NOBODY: Final = "AAAAAAAAAAAAAAA="
"""A connection id in the right form that no connection has."""


class Patient:
    """One place and its clients."""

    def __init__(self, cloud: Cloud, clock: Clock) -> None:
        self._cloud = cloud
        self._clock = clock

    def _client(self, service: str) -> Any:
        cloud = self._cloud
        client: Callable[..., Any] = cloud.session.client
        return client(service, endpoint_url=cloud.endpoint_url, config=cloud.config)

    @cached_property
    def _gateway(self) -> Any:
        return self._client("apigatewayv2")

    @cached_property
    def _lambda(self) -> Any:
        return self._client("lambda")

    @cached_property
    def _iam(self) -> Any:
        return self._client("iam")

    def find_api(self, *, api_id: str | None, stack_name: str | None) -> str:
        """The id of the API that is meant.

        Args:
            api_id: As the user gave it.
            stack_name: The stack that made it, when no id is given.

        Raises:
            ConfigError: there is no such API, or it is not clear which one is meant.
        """
        known = {
            api["ApiId"]: api["Name"]
            for api in _pages(self._gateway.get_apis)
            if api["ProtocolType"] == "WEBSOCKET"
        }
        if api_id is not None:
            if api_id not in known:
                raise ConfigError(_choice(f"There is no WebSocket API {api_id}", known))
            return api_id
        made = [each for each in self._made_by(stack_name) if each in known]
        candidates = made or ([] if stack_name else list(known))
        if len(candidates) != 1:
            where = f"The stack {stack_name} has" if stack_name else "Here"
            verb = "" if stack_name else " are"
            what = f"{where}{verb} {len(candidates)} WebSocket APIs"
            raise ConfigError(_choice(what, known))
        return candidates[0]

    def _made_by(self, stack_name: str | None) -> list[str]:
        if stack_name is None:
            return []
        try:
            pages = self._client("cloudformation").get_paginator("list_stack_resources")
            resources = [
                resource
                for page in pages.paginate(StackName=stack_name)
                for resource in page["StackResourceSummaries"]
            ]
        except ClientError as refusal:
            raise ConfigError(
                f"The stack {stack_name} cannot be read: {refusal}. Name another with "
                "--stack-name, or the API itself with --api."
            ) from refusal
        return [
            str(resource["PhysicalResourceId"])
            for resource in resources
            if resource["ResourceType"] == _API_TYPE
        ]

    def facts(self, api_id: str, stage_name: str | None) -> Api:
        """Everything the checks look at.

        Args:
            api_id: Of a WebSocket API that exists.
            stage_name: The stage; None for the only one.

        Raises:
            ConfigError: the stage does not exist, or it is not clear which one is meant.
        """
        gateway = self._gateway
        api = gateway.get_api(ApiId=api_id)
        record = self._stage(api_id, stage_name)
        variables = {} if record is None else record.get("StageVariables", {})
        functions = _Functions(self._lambda, self._iam, variables)
        authorizers = tuple(
            _authorizer(each, functions) for each in _pages(gateway.get_authorizers, ApiId=api_id)
        )
        integrations = {
            each["IntegrationId"]: each for each in _pages(gateway.get_integrations, ApiId=api_id)
        }
        routes = tuple(
            self._route(api_id, each, integrations, authorizers, functions)
            for each in _pages(gateway.get_routes, ApiId=api_id)
        )
        return Api(
            api_id=api_id,
            name=api["Name"],
            region=self._cloud.region,
            account_id=self._cloud.account_id,
            endpoint=api["ApiEndpoint"],
            route_selection_expression=api["RouteSelectionExpression"],
            is_endpoint_disabled=api.get("DisableExecuteApiEndpoint", False),
            routes=routes,
            authorizers=authorizers,
            stage=None if record is None else _stage(record),
            **self._log_role(),
            connection_table=self._connection_table(routes),
            partition=self._cloud.session.get_partition_for_region(self._cloud.region),
        )

    def callback(self, api: Api) -> Finding | None:
        """Ask about a connection that never was: only its absence may be what is told."""
        if api.stage is None:
            return None
        address = f"{api.endpoint.replace('ws', 'http', 1)}/{api.stage.name}"
        cloud = self._cloud
        client: Any = cloud.session.client(
            "apigatewaymanagementapi", endpoint_url=address, config=cloud.config
        )
        try:
            client.get_connection(ConnectionId=_NOBODY)
        except ClientError as refusal:
            code = _code(refusal)
            if code == "GoneException":
                return ok("callback-address", f"{address}/@connections answers.")
            return warning(
                "callback-address",
                f"{address}/@connections answers {code}.",
                "You may not look at connections, or the address is not that of the stage.",
                "Give yourself execute-api:ManageConnections to try it; functions need it too.",
            )
        return None

    def tried_authorizers(self, api: Api, clock: Clock, ids: Ids) -> list[Finding]:
        """Call the authorizers' functions with handshakes that they must refuse."""
        return list(try_authorizers(self._lambda, api, clock, ids))

    def _stage(self, api_id: str, name: str | None) -> Any:
        stages = {
            each["StageName"]: each for each in _pages(self._gateway.get_stages, ApiId=api_id)
        }
        if name is None and len(stages) == 1:
            return next(iter(stages.values()))
        if name not in stages:
            what = (
                f"API {api_id} has no stage {name}" if name else f"API {api_id} has {len(stages)}"
            )
            listed = ", ".join(sorted(stages)) or "none"
            raise ConfigError(f"{what}. Name one with --stage; there are: {listed}.")
        return stages[name]

    def _route(
        self,
        api_id: str,
        record: Any,
        integrations: dict[str, Any],
        authorizers: tuple[Authorizer, ...],
        functions: "_Functions",
    ) -> Route:
        target = record.get("Target", "")
        integration = integrations.get(target.removeprefix(_TARGET_PREFIX))
        responses = _pages(
            self._gateway.get_route_responses, ApiId=api_id, RouteId=record["RouteId"]
        )
        return Route(
            route_key=record["RouteKey"],
            authorization_type=record.get("AuthorizationType", "NONE"),
            authorizer=next(
                (a for a in authorizers if a.authorizer_id == record.get("AuthorizerId")), None
            ),
            api_key_required=record.get("ApiKeyRequired", False),
            has_target=bool(target),
            integration_type=None if integration is None else integration["IntegrationType"],
            function=None
            if integration is None
            else functions.called_by(integration.get("IntegrationUri", "")),
            has_role=integration is not None and bool(integration.get("CredentialsArn")),
            has_response=any(each["RouteResponseKey"] == "$default" for each in responses),
        )

    def _connection_table(self, routes: tuple[Route, ...]) -> ConnectionTable | None:
        connect = next((route.function for route in routes if route.route_key == "$connect"), None)
        name = "" if connect is None else connect.environment.get(TABLE_VARIABLE, "")
        if not name:
            return None
        return read_table(self._client("dynamodb"), name, self._clock.now_ms() // 1000)

    def _log_role(self) -> dict[str, Any]:
        account = _readable(self._client("apigateway").get_account)
        if account is None:
            return {"is_log_role_known": False}
        return {"is_log_role_known": True, "log_role_arn": account.get("cloudwatchRoleArn")}


class _Functions:
    """Functions by the URIs that call them, each read once."""

    def __init__(self, client: Any, iam: Any, variables: dict[str, str]) -> None:
        self._lambda = client
        self._iam = iam
        self._variables = variables
        self._known: dict[str, Function] = {}
        self._roles: dict[str, tuple[Json, ...] | None] = {}

    def called_by(self, uri: str) -> Function | None:
        """The function that an integration or authorizer URI calls; None when it calls none."""
        arn = function_of(uri, self._variables)
        if arn is None:
            return None
        if arn not in self._known:
            self._known[arn] = self._read(arn)
        return self._known[arn]

    def _read(self, arn: str) -> Function:
        name, _, qualifier = arn.split(":", _FUNCTION_ARN_PARTS - 1)[-1].partition(":")
        asked = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
        try:
            configuration = self._lambda.get_function_configuration(**asked)
        except ClientError as refusal:
            if _code(refusal) in _MISSING:
                return Function(arn=arn, exists=False)
            raise
        found = _readable(self._lambda.get_policy, **asked)
        role_arn = configuration["Role"]
        if role_arn not in self._roles:
            self._roles[role_arn] = self._role_policies(role_arn.rpartition("/")[2])
        return Function(
            arn=arn,
            policy=None if found is None else found["Policy"],
            role_arn=role_arn,
            role_policies=self._roles[role_arn],
            environment=configuration.get("Environment", {}).get("Variables", {}),
        )

    def _role_policies(self, role: str) -> tuple[Json, ...] | None:
        iam = self._iam
        try:
            inline = iam.get_paginator("list_role_policies").paginate(RoleName=role)
            attached = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
            documents = [
                iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                for page in inline
                for name in page["PolicyNames"]
            ]
            documents += [
                self._managed(policy["PolicyArn"])
                for page in attached
                for policy in page["AttachedPolicies"]
            ]
        except ClientError:
            return None
        return tuple(map(_document, documents))

    def _managed(self, arn: str) -> Any:
        version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = self._iam.get_policy_version(PolicyArn=arn, VersionId=version)
        return found["PolicyVersion"]["Document"]


def _authorizer(record: Any, functions: _Functions) -> Authorizer:
    return Authorizer(
        authorizer_id=record["AuthorizerId"],
        name=record["Name"],
        identity_sources=tuple(record.get("IdentitySource", ())),
        function=functions.called_by(record.get("AuthorizerUri", "")),
        has_role=bool(record.get("AuthorizerCredentialsArn")),
        http_features=http_features(record),
    )


def _stage(record: Any) -> Stage:
    defaults = record.get("DefaultRouteSettings", {})
    settings = record.get("RouteSettings", {})
    levels = [defaults, *settings.values()]
    return Stage(
        name=record["StageName"],
        deployment_id=record.get("DeploymentId"),
        is_auto_deployed=record.get("AutoDeploy", False),
        deployment_problem=_deployment_problem(record.get("LastDeploymentStatusMessage", "")),
        default_throttle=_throttle(defaults),
        throttles={key: _throttle(each) for key, each in settings.items()},
        logging_level=next(
            (each["LoggingLevel"] for each in levels if each.get("LoggingLevel", "OFF") != "OFF"),
            "OFF",
        ),
        access_log_format=record.get("AccessLogSettings", {}).get("Format"),
    )


def _deployment_problem(message: str) -> str | None:
    return None if not message or message.startswith("Successfully") else message


def _throttle(settings: Any) -> Throttle:
    return Throttle(
        rate=settings.get("ThrottlingRateLimit"), burst=settings.get("ThrottlingBurstLimit")
    )


def _pages(call: Callable[..., Any], **parameters: str) -> Iterator[Any]:
    """All items of a list operation; not all of them have a paginator."""
    token: dict[str, str] = {}
    while True:
        page = call(**parameters, **token)
        yield from page.get("Items", ())
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _readable(call: Callable[..., T], **parameters: str) -> T | None:
    """What a read call gives; None when it is not there or may not be read."""
    try:
        return call(**parameters)
    except ClientError:
        return None


def _document(given: Any) -> Json:
    """A policy document; IAM sends it in % codes, and boto3 usually decodes it."""
    if isinstance(given, str):
        found = read_json(unquote(given))
        return found if isinstance(found, dict) else None
    document: Json = given
    return document


def _code(refusal: ClientError) -> str:
    return str(refusal.response.get("Error", {}).get("Code", ""))


def _choice(what: str, known: dict[str, str]) -> str:
    listed = ", ".join(f"{api_id} ({name})" for api_id, name in sorted(known.items())) or "none"
    return f"{what}. Name one with --api; there are: {listed}."
