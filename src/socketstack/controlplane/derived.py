"""What a record holds beyond what was sent: cleared, merged and computed members.

``created`` and ``changed`` give the candidate that ``checks`` then judges as a whole, so the same
rules hold for Create and Update. Rules: 1.12, 1.39, 1.40, 1.52, 1.53, 1.55, 1.90, 1.100.
"""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Final

from socketstack.controlplane import domain_names
from socketstack.controlplane.kinds import ROUTE_SETTINGS_DEFAULTS, Kind
from socketstack.controlplane.members import is_nothing, mapping, text
from socketstack.core.model import Record

_LAMBDA_URI: Final = re.compile(r"^arn:[^:]+:apigateway:[^:]+:lambda:path/")
_BY_STATUS: Final = "${integration.response.statuscode}"
_RESPONSE_SELECTION: Final = {
    "MOCK": _BY_STATUS,
    "HTTP": _BY_STATUS,
    "AWS": "${integration.response.body.errorMessage}",
}
"""Integration type to ``IntegrationResponseSelectionExpression``. Rule 1.53."""

HTTP_ONLY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Api": ("CorsConfiguration", "CredentialsArn", "RouteKey", "Target"),  # 1.21
        "Route": ("AuthorizationScopes",),
        "Integration": ("IntegrationSubtype", "ResponseParameters", "TlsConfig"),  # 1.60
        "Authorizer": (
            "AuthorizerPayloadFormatVersion",  # 1.70
            "AuthorizerResultTtlInSeconds",  # 1.71
            "EnableSimpleResponses",  # 1.71
            "JwtConfiguration",
        ),
    }
)
"""Members of HTTP APIs by kind: refused when set, dropped when they are off or empty."""


def created(kind: Kind, sent: Record) -> Record:
    """The record that a Create makes of what was sent: defaults filled in."""
    return changed(kind, {}, sent)


def changed(kind: Kind, current: Record, sent: Record) -> Record:
    """The record that an Update makes of the current one. Rule 1.12.

    An empty text, list or map clears its member back to the default; in merged maps an empty
    text removes its key, which is how Terraform removes stage variables and parameters.
    """
    record = dict(current)
    for member, value in sent.items():
        if member in kind.merged and isinstance(value, dict):
            record[member] = _merged(mapping(record, member), value)
        else:
            record[member] = deepcopy(value)
    kept = {member: value for member, value in record.items() if not is_nothing(value)}
    complete = {**deepcopy(dict(kind.defaults)), **kept}
    for member in HTTP_ONLY.get(kind.name, ()):
        if not complete.get(member):
            complete.pop(member, None)
    derive = _DERIVE.get(kind.name)
    return complete if derive is None else derive(complete)


def _merged(old: Mapping[str, object], new: Mapping[str, object]) -> Record:
    together = {**old, **deepcopy(dict(new))}
    return {key: value for key, value in together.items() if value != ""}


def _route(record: Record) -> Record:
    """Only CUSTOM keeps its authorizer. Rules 1.39, 1.40."""
    if record["AuthorizationType"] != "CUSTOM":
        record.pop("AuthorizerId", None)
    return record


def _integration(record: Record) -> Record:
    """The response selection follows from the type (1.53), the method from Lambda (1.55)."""
    kind = text(record, "IntegrationType")
    record.pop("IntegrationResponseSelectionExpression", None)
    if kind in _RESPONSE_SELECTION:
        record["IntegrationResponseSelectionExpression"] = _RESPONSE_SELECTION[kind]
    if _LAMBDA_URI.match(text(record, "IntegrationUri")):
        record.setdefault("IntegrationMethod", "POST")
    return record


def _stage(record: Record) -> Record:
    """The default route settings read back complete (1.90), entries for a key as sent.

    An entry takes nothing from the defaults (1.100); filling in its logging level would show
    a change in every plan of Terraform's provider, whose tests run against AWS.
    """
    record["DefaultRouteSettings"] = {
        **ROUTE_SETTINGS_DEFAULTS,
        **mapping(record, "DefaultRouteSettings"),
    }
    return record


_DERIVE: Final[Mapping[str, Callable[[Record], Record]]] = MappingProxyType(
    {
        "Route": _route,
        "Integration": _integration,
        "Stage": _stage,
        "DomainName": domain_names.completed,
    }
)
