"""Reading an API's facts from a SAM or CloudFormation template, before anything is deployed.

Names that only a deployment gives are made up, each the same wherever it is referred to, so that
policies and permissions can be judged as if everything existed.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from socketstack.core.addressing import function_of
from socketstack.core.model import Json
from socketstack.doctor.facts import (
    Api,
    Authorizer,
    Function,
    Route,
    Stage,
    Throttle,
    http_features,
)
from socketstack.errors import ConfigError
from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.parameters import choose, typed
from socketstack.services.cfn.sam import Translator
from socketstack.services.cfn.template import Document, parse
from socketstack.services.cfn.values import NO_VALUE, Scope, evaluate_condition, resolve

ACCOUNT: Final = "123456789012"
_TARGET_PREFIX: Final = "integrations/"
_PACKAGES: Final = ("CodeUri", "ContentUri")
_ANYWHERE: Final = "s3://not-packaged/yet"
_API: Final = "AWS::ApiGatewayV2::Api"
_AUTHORIZER: Final = "AWS::ApiGatewayV2::Authorizer"
_FUNCTION: Final = "AWS::Lambda::Function"
_ID_CHARACTERS: Final = 10

Properties = Mapping[str, Any]


def read_template(
    path: Path, *, parameters: Mapping[str, str], region: str, api_name: str | None = None
) -> Api:
    """The facts of a template's WebSocket API.

    Args:
        path: The template.
        parameters: Values of its parameters.
        region: Where it is to be deployed.
        api_name: The logical id of the API, when the template has several.

    Raises:
        ConfigError: the template cannot be read or transformed, or the API is not clear.
    """
    try:
        document = parse(path.read_text())
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        chosen = choose(document, given)
        plain = asyncio.run(Translator().processed(_without_packages(document), chosen, region))
        return _Template(plain, chosen, region).api(api_name)
    except (OSError, InvalidTemplate) as problem:
        raise ConfigError(f"{path}: {problem}") from problem


def facts_of(document: Document, *, region: str, api_name: str | None, where: str) -> Api:
    """The facts of a template without transforms and parameters.

    Args:
        document: Its resources; references may be values already, see ``made_up``.
        region: Where it is to be deployed.
        api_name: The logical id of the API, when there are several.
        where: What errors say that it was read from.

    Raises:
        ConfigError: the API is not clear.
    """
    try:
        return _Template(document, {}, region).api(api_name)
    except InvalidTemplate as problem:
        raise ConfigError(f"{where}: {problem}") from problem


def _without_packages(document: Document) -> Document:
    """The template with code that lies somewhere: the transform wants an address, not a folder."""
    whole: Document = json.loads(json.dumps(document))
    sections = [whole.get("Globals", {}).get("Function", {})]
    sections += [one.get("Properties", {}) for one in whole.get("Resources", {}).values()]
    for properties in sections:
        for member in _PACKAGES:
            if isinstance(properties, dict) and isinstance(properties.get(member), str):
                properties[member] = _ANYWHERE
    return whole


class _Template(Scope):
    """A template without transforms; also what its functions look things up in."""

    def __init__(self, document: Document, parameters: Mapping[str, str], region: str) -> None:
        self._document = document
        self._region = region
        declared = document.get("Parameters", {})
        self._values: dict[str, object] = {
            name: typed(declared[name], value) for name, value in parameters.items()
        }
        self._values |= {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/stack/id",
            "AWS::StackName": "stack",
            "AWS::URLSuffix": "amazonaws.com",
        }

    @cached_property
    def _resources(self) -> dict[str, tuple[str, Properties]]:
        """Logical id to type and properties, for what the conditions let exist."""
        return {
            name: (one["Type"], resolve(one.get("Properties", {}), self))
            for name, one in self._document["Resources"].items()
            if "Condition" not in one or self.condition(one["Condition"])
        }

    def _of(self, *types: str) -> Iterator[tuple[str, Properties]]:
        for name, (kind, properties) in self._resources.items():
            if kind in types:
                yield name, properties

    # As a Scope

    def ref(self, name: str) -> object:
        """A parameter's value, or a made-up physical id."""
        if name in self._values:
            return self._values[name]
        definition = self._definition(name)
        match definition["Type"]:
            case "AWS::Lambda::Function":
                return self._named(name, "FunctionName")
            case "AWS::Lambda::Version" | "AWS::Lambda::Alias":
                return self._qualified(name)
            case "AWS::ApiGatewayV2::Stage":
                return self._named(name, "StageName")
            case "AWS::IAM::Role":
                return self._named(name, "RoleName")
            case _:
                return made_up(name)

    def attribute(self, logical_id: str, attribute: str) -> object:
        """A made-up attribute: the id, or an ARN in the form of its service."""
        kind = self._definition(logical_id)["Type"]
        match (kind, attribute):
            case ("AWS::Lambda::Function", "Arn"):
                name = self._named(logical_id, "FunctionName")
                return f"arn:aws:lambda:{self._region}:{ACCOUNT}:function:{name}"
            case ("AWS::IAM::Role", "Arn"):
                return f"arn:aws:iam::{ACCOUNT}:role/{self.ref(logical_id)}"
            case _ if attribute.endswith("Arn"):
                service = kind.split("::")[1].lower() if kind.count("::") > 1 else "custom"
                return f"arn:aws:{service}:{self._region}:{ACCOUNT}:{made_up(logical_id)}"
            case _:
                return made_up(logical_id)

    def condition(self, name: str) -> bool:
        """Whether a condition holds with the chosen parameters."""
        try:
            expression = self._document.get("Conditions", {})[name]
        except KeyError:
            raise InvalidTemplate(f"Template error: there is no condition {name}") from None
        return evaluate_condition(expression, self)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A map of the template."""
        try:
            found: Mapping[str, Any] = self._document.get("Mappings", {})[name]
        except KeyError:
            raise InvalidTemplate(f"Template error: there is no mapping {name}") from None
        return found

    def imported(self, export_name: str) -> object:
        """What another stack exports is not known here."""
        return f"imported-{export_name}"

    def _definition(self, logical_id: str) -> Any:
        try:
            return self._document["Resources"][logical_id]
        except KeyError:
            raise InvalidTemplate(
                f"Template format error: Unresolved resource dependencies [{logical_id}]"
            ) from None

    def _named(self, logical_id: str, member: str) -> str:
        """The resource's own name, or its logical id."""
        given = self._definition(logical_id).get("Properties", {}).get(member)
        return logical_id if given is None else str(resolve(given, self))

    def _qualified(self, logical_id: str) -> str:
        properties = self._definition(logical_id).get("Properties", {})
        function = str(resolve(properties.get("FunctionName", ""), self))
        arn = function if function.startswith("arn:") else self._function_arn(function)
        return f"{arn}:{resolve(properties.get('Name', '1'), self)}"

    def _function_arn(self, name: str) -> str:
        return f"arn:aws:lambda:{self._region}:{ACCOUNT}:function:{name}"

    # Facts

    def api(self, name: str | None) -> Api:
        """The facts of the API with this logical id; None for the only one."""
        apis = {n: p for n, p in self._of(_API) if p.get("ProtocolType") == "WEBSOCKET"}
        if name is None and len(apis) == 1:
            name = next(iter(apis))
        if name not in apis:
            listed = ", ".join(apis) or "none"
            raise InvalidTemplate(
                f"it is not clear which WebSocket API is meant; name one with --api: {listed}"
            )
        properties = apis[name]
        api_id = made_up(name)
        authorizers = {
            made_up(n): self._authorizer(n, p)
            for n, p in self._of(_AUTHORIZER)
            if p.get("ApiId") == api_id
        }
        return Api(
            api_id=api_id,
            name=str(properties.get("Name", name)),
            region=self._region,
            account_id=ACCOUNT,
            route_selection_expression=str(properties.get("RouteSelectionExpression", "")),
            is_endpoint_disabled=properties.get("DisableExecuteApiEndpoint") in {True, "true"},
            routes=tuple(self._routes(api_id, authorizers)),
            authorizers=tuple(authorizers.values()),
            stage=self._stage(api_id),
            log_role_arn=next(
                (p.get("CloudWatchRoleArn") for _, p in self._of("AWS::ApiGateway::Account")), None
            ),
        )

    def _routes(self, api_id: str, authorizers: Mapping[str, Authorizer]) -> Iterator[Route]:
        integrations = {
            made_up(n): p
            for n, p in self._of("AWS::ApiGatewayV2::Integration")
            if p.get("ApiId") == api_id
        }
        answered = {
            p.get("RouteId")
            for _, p in self._of("AWS::ApiGatewayV2::RouteResponse")
            if p.get("RouteResponseKey") == "$default"
        }
        for name, properties in self._of("AWS::ApiGatewayV2::Route"):
            if properties.get("ApiId") != api_id:
                continue
            target = str(properties.get("Target", ""))
            integration = integrations.get(target.removeprefix(_TARGET_PREFIX))
            yield Route(
                route_key=str(properties["RouteKey"]),
                authorization_type=str(properties.get("AuthorizationType", "NONE")),
                authorizer=authorizers.get(str(properties.get("AuthorizerId"))),
                api_key_required=properties.get("ApiKeyRequired") in {True, "true"},
                has_target=bool(target),
                integration_type=None
                if integration is None
                else str(integration.get("IntegrationType")),
                function=None
                if integration is None
                else self._called_by(str(integration.get("IntegrationUri", ""))),
                has_role=integration is not None and bool(integration.get("CredentialsArn")),
                has_response=made_up(name) in answered,
            )

    def _authorizer(self, name: str, properties: Properties) -> Authorizer:
        return Authorizer(
            authorizer_id=made_up(name),
            name=str(properties.get("Name", name)),
            identity_sources=tuple(map(str, properties.get("IdentitySource", ()))),
            function=self._called_by(str(properties.get("AuthorizerUri", ""))),
            has_role=bool(properties.get("AuthorizerCredentialsArn")),
            http_features=http_features(properties),
        )

    def _called_by(self, uri: str) -> Function | None:
        arn = function_of(uri, {})
        if arn is None:
            return None
        name = arn.split(":")[6]
        found = next((p for n, p in self._of(_FUNCTION) if p.get("FunctionName", n) == name), None)
        if found is None:
            return Function(arn=arn, exists=False)
        return Function(
            arn=arn,
            policy=self._resource_policy(arn),
            role_arn=str(found.get("Role", "")),
            role_policies=self._role_policies(str(found.get("Role", ""))),
        )

    def _resource_policy(self, arn: str) -> str | None:
        """What the permissions of the template add up to."""
        statements = [
            _statement(arn, properties)
            for _, properties in self._of("AWS::Lambda::Permission")
            if arn in {(name := str(properties.get("FunctionName"))), self._function_arn(name)}
        ]
        if not statements:
            return None
        return json.dumps({"Version": "2012-10-17", "Statement": statements})

    def _role_policies(self, role_arn: str) -> tuple[Json, ...] | None:
        role = next(
            ((n, p) for n, p in self._of("AWS::IAM::Role") if self.attribute(n, "Arn") == role_arn),
            None,
        )
        if role is None:
            return None
        name, properties = role
        documents = [one["PolicyDocument"] for one in properties.get("Policies", ())]
        documents += [
            policy["PolicyDocument"]
            for _, policy in self._of("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
            if self.ref(name) in policy.get("Roles", ())
        ]
        return tuple({"Version": "2012-10-17", **document} for document in documents)

    def _stage(self, api_id: str) -> Stage | None:
        found = [p for _, p in self._of("AWS::ApiGatewayV2::Stage") if p.get("ApiId") == api_id]
        if not found:
            return None
        record = found[0]
        is_auto_deployed = record.get("AutoDeploy") in {True, "true"}
        settings = record.get("RouteSettings", {})
        defaults = record.get("DefaultRouteSettings", {})
        levels = [each.get("LoggingLevel", "OFF") for each in (defaults, *settings.values())]
        return Stage(
            name=str(record["StageName"]),
            deployment_id="auto" if is_auto_deployed else record.get("DeploymentId"),
            is_auto_deployed=is_auto_deployed,
            default_throttle=_throttle(defaults),
            throttles={key: _throttle(each) for key, each in settings.items()},
            logging_level=next((level for level in levels if level != "OFF"), "OFF"),
            access_log_format=record.get("AccessLogSettings", {}).get("Format"),
        )


def made_up(logical_id: str) -> str:
    """An id in the alphabet of API Gateway's, always the same for one name."""
    return hashlib.sha256(logical_id.encode()).hexdigest()[:_ID_CHARACTERS]


def _statement(arn: str, properties: Properties) -> dict[str, Json]:
    statement: dict[str, Json] = {
        "Effect": "Allow",
        "Principal": {"Service": str(properties.get("Principal"))},
        "Action": str(properties.get("Action")),
        "Resource": arn,
    }
    if "SourceArn" in properties:
        statement["Condition"] = {"ArnLike": {"AWS:SourceArn": str(properties["SourceArn"])}}
    return statement


def _throttle(settings: Properties) -> Throttle:
    rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
    return Throttle(
        rate=None if rate is None else float(rate), burst=None if burst is None else int(burst)
    )
