"""``AWS::ApiGatewayV2::*``: one row per type over the control plane's own operations.

The properties are those of the operations, so the control plane decides what is acceptable and
its message is the resource's status reason. Covers what CloudFormation adds to rules 1.13 to 1.83.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from socketstack.core.limits import INTEGRATION_TIMEOUT_MAX_MS
from socketstack.errors import NotFound
from socketstack.services.cfn.kinds import (
    Change,
    Kind,
    Properties,
    Work,
    require_kept,
    without,
)
from socketstack.services.cfn.schemas import schema

_HTTP_ONLY: Final = frozenset(
    {
        "AuthorizationScopes",
        "AuthorizerPayloadFormatVersion",
        "BasePath",
        "Body",
        "BodyS3Location",
        "CorsConfiguration",
        "EnableSimpleResponses",
        "FailOnWarnings",
        "IntegrationSubtype",
        "JwtConfiguration",
        "MutualTlsAuthentication",
    }
)
"""Properties of HTTP APIs and of OpenAPI import (1.21), and mutual TLS: not supported, so refused
by name."""


@dataclass(frozen=True, slots=True)
class _Row:
    """How a type is named in operations.

    ``parents`` are the properties that say where it lies; ``id_member`` names it in answers and
    further calls. ``json_text`` are properties that templates may write as objects, ``repeated``
    those that every update must have, changed or not.
    """

    name: str
    id_member: str
    parents: tuple[str, ...] = ("ApiId",)
    is_tagged: bool = False
    attributes: tuple[str, ...] = ()
    json_text: frozenset[str] = frozenset()
    repeated: tuple[str, ...] = ()

    @property
    def type_name(self) -> str:
        return f"AWS::ApiGatewayV2::{self.name}"


_KEPT_WHEN_LEFT_OUT: Final = frozenset({"AuthorizationType", "AuthorizerId"})
"""Leaving these out of a route keeps its authorizer attached, as on AWS (1.40)."""

_ROWS: Final = (
    _Row("Api", "ApiId", (), is_tagged=True, attributes=("ApiId", "ApiEndpoint")),
    _Row("Authorizer", "AuthorizerId", attributes=("AuthorizerId",)),
    _Row("Deployment", "DeploymentId", attributes=("DeploymentId",)),
    _Row("Integration", "IntegrationId", attributes=("IntegrationId",)),
    _Row(
        "IntegrationResponse",
        "IntegrationResponseId",
        ("ApiId", "IntegrationId"),
        attributes=("IntegrationResponseId",),
    ),
    _Row("Model", "ModelId", attributes=("ModelId",), json_text=frozenset({"Schema"})),
    _Row("Route", "RouteId", attributes=("RouteId",)),
    _Row(
        "RouteResponse",
        "RouteResponseId",
        ("ApiId", "RouteId"),
        attributes=("RouteResponseId",),
    ),
    _Row("Stage", "StageName", is_tagged=True),
    _Row(
        "DomainName",
        "DomainName",
        (),
        is_tagged=True,
        attributes=("DomainNameArn", "RegionalDomainName", "RegionalHostedZoneId"),
    ),
    _Row(
        "ApiMapping",
        "ApiMappingId",
        ("DomainName",),
        attributes=("ApiMappingId",),
        repeated=("ApiId",),
    ),
)


TYPES: Final = frozenset(row.type_name for row in _ROWS)
"""The types of WebSocket APIs and of their custom domain names."""


def kind(type_name: str) -> Kind:
    """One of ``TYPES``; reads AWS's schema of it."""
    return _kind(next(row for row in _ROWS if row.type_name == type_name))


def _kind(row: _Row) -> Kind:
    described = schema(row.type_name)
    assert described is not None, row.type_name
    maker = _Maker(row)
    return Kind(
        type_name=row.type_name,
        properties=described.properties - _HTTP_ONLY,
        create=maker.create,
        update=maker.update,
        delete=maker.delete,
        read=maker.read,
        replaces=frozenset({"StageName"}) if row.name == "Deployment" else frozenset(),
    )


class _Maker:
    """Makes resources of one type by the control plane's operations."""

    def __init__(self, row: _Row) -> None:
        self._row = row

    async def create(self, work: Work, properties: Properties) -> str:
        """Create one; its id."""
        row, given = self._row, self._members(work, properties)
        answer = work.control(f"Create{row.name}", given)
        physical_id = str(answer[row.id_member])
        work.note(physical_id)
        if row.name != "Deployment":  # its StageName is an instruction, not a member
            require_kept(without(given, *row.parents), answer, "")
        return physical_id

    async def update(self, work: Work, change: Change) -> None:
        """Change one in place."""
        row, where = self._row, self._place(change.new, change.physical_id)
        before = without(self._members(work, change.old), "Tags")
        after = without(self._members(work, change.new), "Tags")
        changed = {n: _with_gaps(before.get(n), v) for n, v in after.items() if before.get(n) != v}
        cleared = {
            name: _cleared(value)
            for name, value in before.items()
            if name not in after and name not in _KEPT_WHEN_LEFT_OUT
        }
        for operation, names in _removals(row, before, after):
            work.control(operation, {**where, **names})
            cleared.pop("AccessLogSettings", None)
        if changed or cleared:
            repeated = {name: after[name] for name in row.repeated}
            work.control(f"Update{row.name}", {**where, **cleared, **repeated, **changed})
        if row.is_tagged:
            _retag(work, _arn(work, row, where), change)

    async def delete(self, work: Work, physical_id: str, properties: Properties) -> None:
        """Delete one; with its API it may be gone already."""
        try:
            work.control(f"Delete{self._row.name}", self._place(properties, physical_id))
        except NotFound:
            return

    async def read(self, work: Work, physical_id: str, properties: Properties) -> dict[str, Any]:
        """Its attributes."""
        record = work.control(f"Get{self._row.name}", self._place(properties, physical_id))
        if self._row.name == "DomainName":
            return _domain_attributes(record)
        found = {name: record[name] for name in self._row.attributes}
        if self._row.name == "Api":
            found["ExecuteApiArn"] = work.arn("execute-api", physical_id)
        return found

    def _place(self, properties: Mapping[str, Any], physical_id: str) -> dict[str, Any]:
        parents = {name: properties[name] for name in self._row.parents}
        return {**parents, self._row.id_member: physical_id}

    def _members(self, work: Work, properties: Properties) -> dict[str, Any]:
        given = {
            name: json.dumps(value)
            if name in self._row.json_text and not isinstance(value, str)
            else value
            for name, value in without(properties, "Tags").items()
        }
        tags = work.tags(properties) if self._row.is_tagged else {}
        return {**given, **({"Tags": tags} if tags else {})}


def _domain_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    [configuration] = record["DomainNameConfigurations"]
    return {
        "DomainNameArn": record["DomainNameArn"],
        "RegionalDomainName": configuration["ApiGatewayDomainName"],
        "RegionalHostedZoneId": configuration["HostedZoneId"],
    }


def _cleared(value: object) -> object:
    """What tells the control plane to go back to a member's default."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return INTEGRATION_TIMEOUT_MAX_MS  # TimeoutInMillis is the only number
    if isinstance(value, dict):
        # Updates merge maps: keys are taken away one by one, by empty texts.
        leaves = {k: v for k, v in value.items() if isinstance(v, (str, bool))}
        return {key: False if isinstance(v, bool) else "" for key, v in leaves.items()}
    return type(value)()


def _with_gaps(old: object, new: object) -> object:
    """A map in which keys that left have empty texts: updates merge maps of texts."""
    if isinstance(old, dict) and isinstance(new, dict):
        texts = (key for key, value in old.items() if key not in new and isinstance(value, str))
        return {**dict.fromkeys(texts, ""), **new}
    return new


def _removals(
    row: _Row, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Operations that take away what an update cannot: rules 1.43 and 1.99."""
    if row.name == "Stage":
        for key in sorted(
            set(before.get("RouteSettings", {})) - set(after.get("RouteSettings", {}))
        ):
            yield "DeleteRouteSettings", {"RouteKey": key}
        if "AccessLogSettings" in before and "AccessLogSettings" not in after:
            yield "DeleteAccessLogSettings", {}
    if row.name == "Route":
        old, new = (side.get("RequestParameters", {}) for side in (before, after))
        for key in sorted(set(old) - set(new)):
            yield "DeleteRouteRequestParameter", {"RequestParameterKey": key}


def _arn(work: Work, row: _Row, where: Mapping[str, Any]) -> str:
    if row.name == "DomainName":
        return f"arn:aws:apigateway:{work.region}::/domainnames/{where['DomainName']}"
    path = f"/apis/{where['ApiId']}"
    if row.name == "Stage":
        path += f"/stages/{where['StageName']}"
    return f"arn:aws:apigateway:{work.region}::{path}"


def _retag(work: Work, arn: str, change: Change) -> None:
    if change.gone_tags:
        work.control("UntagResource", {"ResourceArn": arn, "TagKeys": change.gone_tags})
    if change.set_tags:
        work.control("TagResource", {"ResourceArn": arn, "Tags": change.set_tags})
