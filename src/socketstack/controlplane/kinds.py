"""The resource kinds: one table row each. Five operations per row follow from it.

Paths in the Store alternate kind and id: ``("Api", apiId, "Route", routeId)``. A record also
carries the ids of its parents (``ApiId``, ``RouteId`` ...), which no answer shows.
Rules: 1.09 (list operations), 1.15, 1.17, 1.28, 1.30, 1.31, 1.48, 1.52, 1.73, 1.77, 1.90.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from socketstack.core import limits
from socketstack.core.model import Record


class Verb(StrEnum):
    """What an operation does to a kind."""

    CREATE = "Create"
    GET = "Get"
    LIST = "List"
    UPDATE = "Update"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of resource."""

    name: str
    plural: str
    id_member: str
    id_length: int | None
    """Characters of a new id; None when the caller names the resource."""
    parents: tuple[str, ...] = ("Api",)
    """Names of the kinds above, outermost first."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """What reads back for members that were not sent. Values are never changed in place."""
    merged: frozenset[str] = field(default=frozenset())
    """Map members that an update merges key by key; elsewhere it replaces the member. 1.12"""
    per_api: int | None = None
    """How many of them an API may have. Rule 1.28."""
    created_member: str | None = None
    """Where the time of creation goes. Rule 1.11."""
    updated_member: str | None = None
    """Where the time of the last change goes."""
    is_deployed: bool = True
    """Whether a change makes automatic deployments. Rule 1.93."""

    def operations(self) -> Iterator[tuple[str, Verb]]:
        """The five operations, with their names in the service model."""
        yield f"Create{self.name}", Verb.CREATE
        yield f"Get{self.name}", Verb.GET
        yield f"Get{self.plural}", Verb.LIST
        yield f"Update{self.name}", Verb.UPDATE
        yield f"Delete{self.name}", Verb.DELETE


ROUTE_SETTINGS_DEFAULTS: Final[Mapping[str, object]] = MappingProxyType(
    {"DetailedMetricsEnabled": False, "DataTraceEnabled": False, "LoggingLevel": "OFF"}
)
"""What a route setting reads back without being sent; throttling stays absent. 1.90, 1.98"""

API: Final = Kind(
    name="Api",
    plural="Apis",
    id_member="ApiId",
    id_length=10,
    parents=(),
    created_member="CreatedDate",
    defaults={
        "ApiKeySelectionExpression": "$request.header.x-api-key",
        "DisableExecuteApiEndpoint": False,
        "IpAddressType": "ipv4",  # 1.109
        "Tags": {},
    },
)
ROUTE: Final = Kind(
    name="Route",
    plural="Routes",
    id_member="RouteId",
    id_length=7,
    defaults={"ApiKeyRequired": False, "AuthorizationType": "NONE"},
    merged=frozenset({"RequestParameters"}),
    per_api=limits.ROUTES_PER_API,
)
ROUTE_RESPONSE: Final = Kind(
    name="RouteResponse",
    plural="RouteResponses",
    id_member="RouteResponseId",
    id_length=6,
    parents=("Api", "Route"),
)
INTEGRATION: Final = Kind(
    name="Integration",
    plural="Integrations",
    id_member="IntegrationId",
    id_length=7,
    defaults={
        "ConnectionType": "INTERNET",
        "PassthroughBehavior": "WHEN_NO_MATCH",
        "PayloadFormatVersion": "1.0",  # 1.52 leaves it open; the Terraform provider expects it
        "TimeoutInMillis": limits.INTEGRATION_TIMEOUT_MAX_MS,
    },
    merged=frozenset({"RequestParameters"}),
    per_api=limits.INTEGRATIONS_PER_API,
)
INTEGRATION_RESPONSE: Final = Kind(
    name="IntegrationResponse",
    plural="IntegrationResponses",
    id_member="IntegrationResponseId",
    id_length=6,
    parents=("Api", "Integration"),
)
AUTHORIZER: Final = Kind(
    name="Authorizer",
    plural="Authorizers",
    id_member="AuthorizerId",
    id_length=6,
    defaults={"IdentitySource": []},
    per_api=limits.AUTHORIZERS_PER_API,
)
MODEL: Final = Kind(
    name="Model",
    plural="Models",
    id_member="ModelId",
    id_length=6,
    defaults={"ContentType": "application/json"},
)
DEPLOYMENT: Final = Kind(
    name="Deployment",
    plural="Deployments",
    id_member="DeploymentId",
    id_length=6,
    created_member="CreatedDate",
    defaults={"AutoDeployed": False, "DeploymentStatus": "DEPLOYED"},
    is_deployed=False,
)
STAGE: Final = Kind(
    name="Stage",
    plural="Stages",
    id_member="StageName",
    id_length=None,
    created_member="CreatedDate",
    updated_member="LastUpdatedDate",
    defaults={
        "AutoDeploy": False,
        "DefaultRouteSettings": dict(ROUTE_SETTINGS_DEFAULTS),
        "RouteSettings": {},
        "StageVariables": {},
        "Tags": {},
    },
    merged=frozenset({"DefaultRouteSettings", "RouteSettings", "StageVariables"}),
    per_api=limits.STAGES_PER_API,
    is_deployed=False,
)

DOMAIN_NAME: Final = Kind(
    name="DomainName",
    plural="DomainNames",
    id_member="DomainName",
    id_length=None,
    parents=(),
    defaults={
        "ApiMappingSelectionExpression": "$request.basepath",  # 1.104
        "DomainNameConfigurations": [],
        "RoutingMode": "API_MAPPING_ONLY",
        "Tags": {},
    },
    is_deployed=False,
)
API_MAPPING: Final = Kind(
    name="ApiMapping",
    plural="ApiMappings",
    id_member="ApiMappingId",
    id_length=6,
    parents=("DomainName",),
    defaults={"ApiMappingKey": ""},
    is_deployed=False,
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            API,
            ROUTE,
            ROUTE_RESPONSE,
            INTEGRATION,
            INTEGRATION_RESPONSE,
            AUTHORIZER,
            MODEL,
            DEPLOYMENT,
            STAGE,
            DOMAIN_NAME,
            API_MAPPING,
        )
    }
)
"""All kinds by name."""

OPERATIONS: Final[Mapping[str, tuple[Verb, Kind]]] = MappingProxyType(
    {name: (verb, kind) for kind in KINDS.values() for name, verb in kind.operations()}
)
"""Operation name to what it does to which kind: 55 of them."""


def parent_path(kind: Kind, members: Record) -> tuple[str, ...]:
    """The Store path of what a record of this kind lies below; ``members`` hold the ids."""
    path: tuple[str, ...] = ()
    for name in kind.parents:
        path = (*path, name, str(members[KINDS[name].id_member]))
    return path
