"""What an AWS call asks permission for: actions, and the resources they are done to.

The operation is read as AWS's protocols name it, or from the service model's paths. A call that
could be read in two ways is none: what is judged must be what is done. Where IAM's
action has another name than the operation, or one call needs several, a table says so. A resource
is an ARN where it can be read from the call (``call_resources``), else ``*``: only a statement for
all resources allows it then.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from socketstack.controlplane.service import Match, Service
from socketstack.core.model import Json
from socketstack.services import targets
from socketstack.services.call_resources import Place, resources_of
from socketstack.services.http import AwsRequest
from socketstack.services.s3_actions import s3_actions

_PREFIXES: Final = {"monitoring": "cloudwatch", "email": "ses"}
"""Signing name to the prefix of the service's actions, where they differ."""

_ACTIONS: Final = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeAsync": "lambda:InvokeFunction",
    "lambda:InvokeWithResponseStream": "lambda:InvokeFunction",
    "sns:PublishBatch": "sns:Publish",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
_FREE: Final = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""What every principal may do, whatever its policies say."""

_TRANSACTION: Final = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Get": "dynamodb:GetItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}
_RPC_PATH: Final = re.compile(r"/service/\w+/operation/(\w+)")
_RPC_SERVICES: Final = frozenset(
    {
        *("cloudformation", "dynamodb", "events", "firehose", "iam", "kinesis", "kms", "logs"),
        *("monitoring", "secretsmanager", "sns", "sqs", "ssm", "states", "sts"),
    }
)
"""Services whose operations have names in the call; of others the model tells."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One permission that a call needs."""

    action: str
    resource: str


def demands_of(request: AwsRequest, service: str, place: Place) -> list[Demand]:
    """All permissions that a call needs; none for what everybody may do.

    Args:
        request: The call.
        service: The service's signing name.
        place: Region and account of what it is done to.
    """
    special = _SPECIAL.get(service)
    if special is not None:
        return special(request, place)
    operation, fields = _operation(request, service)
    named = f"{_PREFIXES.get(service, service)}:{operation or 'Unknown'}"
    action = _ACTIONS.get(named, named)
    if action in _FREE:
        return []
    if service == "dynamodb" and operation in {"TransactWriteItems", "TransactGetItems"}:
        return _transaction(fields, place)
    demands = [
        Demand(action, resource)
        for resource in resources_of(service, operation or "", fields, place)
    ]
    role = fields.get("Role")
    if service == "lambda" and isinstance(role, str) and request.method != "GET":
        demands.append(Demand("iam:PassRole", role))
    return demands


def _operation(request: AwsRequest, service: str) -> tuple[str | None, Mapping[str, Json]]:
    """The operation's name and its parameters; None for a call that means none or several."""
    if service in _RPC_SERVICES:
        return _named_operation(request)
    model = _model(service)
    if model is None:
        return None, {}
    found = model.match(request.method, request.path)
    return (None, {}) if found is None else (found.operation.name, _members(request, found))


def _named_operation(request: AwsRequest) -> tuple[str | None, Mapping[str, Json]]:
    """Whoever answers the call must not read another name out of it than is judged here."""
    target = request.header("X-Amz-Target")
    in_path = _RPC_PATH.fullmatch(request.path)
    fields = targets.query_fields(request)
    names = [target, in_path, fields.get("Action")]
    is_mixed = bool(request.query_string) and bool(request.body)
    if sum(name is not None for name in names) != 1 or is_mixed:
        return None, {}
    if target is not None:
        return target.rpartition(".")[2], _json(request.body)
    if in_path is not None:
        return in_path[1], {}  # its parameters are CBOR: every resource is ``*``
    return fields["Action"], dict(fields)


def _members(request: AwsRequest, found: Match) -> dict[str, Json]:
    """Parameters of a call whose operation is its path, each from where the model has it."""
    shape = found.operation.input_shape
    if shape is None:
        return {}
    query = {name: values[0] for name, values in parse_qs(request.query_string).items()}
    body = {} if "payload" in shape.serialization else _json(request.body)
    places: Mapping[str | None, Mapping[str, Json]] = {
        "uri": dict(found.labels),
        "querystring": dict(query),
        None: body,
    }
    values = {}
    for name, member in shape.members.items():
        place = places.get(member.serialization.get("location"), {})
        values[name] = place.get(member.serialization.get("name", name))
    return values


@cache
def _model(service: str) -> Service | None:
    """A service's model, for those whose operations are paths."""
    try:
        description = Loader().load_service_model(service, "service-2")
    except UnknownServiceError:
        return None
    return Service(ServiceModel(description, service_name=service))


def _s3(request: AwsRequest, place: Place) -> list[Demand]:
    return [Demand(action, resource) for action, resource in s3_actions(request, place)]


def _json(body: bytes) -> dict[str, Json]:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _transaction(fields: Mapping[str, Json], place: Place) -> list[Demand]:
    items = fields.get("TransactItems")
    demands = []
    for item in items if isinstance(items, list) else []:
        for kind, entry in (item if isinstance(item, dict) else {}).items():
            members = entry if isinstance(entry, dict) else {}
            action = _TRANSACTION.get(kind, "dynamodb:Unknown")
            resources = resources_of("dynamodb", kind, members, place)
            demands += [Demand(action, resource) for resource in resources]
    return demands or [Demand("dynamodb:TransactWriteItems", "*")]


def _apigateway(request: AwsRequest, place: Place) -> list[Demand]:
    """Management of APIs: the method is the action, the path the resource."""
    path = unquote(request.path).removeprefix("/v2")
    resource = f"arn:{place.partition}:apigateway:{place.region}::{path}"
    return [Demand(f"apigateway:{request.method.upper()}", resource)]


_SPECIAL: Final[Mapping[str, Callable[[AwsRequest, Place], list[Demand]]]] = {
    "apigateway": _apigateway,
    "s3": _s3,
}
