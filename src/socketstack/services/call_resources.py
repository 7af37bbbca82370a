"""The ARNs that AWS calls are about, as far as their parameters tell; else ``*``."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from socketstack.core.model import Json
from socketstack.services.references import read_reference
from socketstack.services.sparse_imports import is_loaded, moto_module

Fields = Mapping[str, Json]

_EVERYTHING: Final = "*"
_LAYER_VERSION: Final = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where resources are."""

    region: str
    account_id: str
    partition: str = "aws"

    def arn(self, service: str, resource: str, *, is_global: bool = False) -> str:
        """The ARN of a resource here."""
        region = "" if is_global else self.region
        return f"arn:{self.partition}:{service}:{region}:{self.account_id}:{resource}"


def resources_of(service: str, operation: str, fields: Fields, place: Place) -> list[str]:
    """The ARNs that a call is about; ``["*"]`` when that cannot be told."""
    read = _READERS.get(service)
    found = [] if read is None else [arn for arn in read(operation, fields, place) if arn]
    return found or [_EVERYTHING]


def _text(fields: Fields, *names: str) -> str:
    """The first of some parameters that is a text and not empty."""
    return next((value for n in names if isinstance(value := fields.get(n), str) and value), "")


def _named(place: Place, service: str, name: str, prefix: str = "") -> str:
    """An ARN as it is, or the ARN of a name; nothing for nothing."""
    if not name or name.startswith("arn:"):
        return name
    return place.arn(service, f"{prefix}{name}")


def _dynamodb(_operation: str, fields: Fields, place: Place) -> list[str]:
    table = _named(
        place, "dynamodb", _text(fields, "TableName", "TableArn", "ResourceArn"), "table/"
    )
    index = _text(fields, "IndexName")
    if table:
        return [f"{table}/index/{index}" if index else table]
    several = fields.get("RequestItems")
    names = several if isinstance(several, dict) else {}
    return [
        _text(fields, "StreamArn"),
        *(_named(place, "dynamodb", name, "table/") for name in names),
    ]


def _sqs(_operation: str, fields: Fields, place: Place) -> list[str]:
    url = _text(fields, "QueueUrl", "QueueName")
    return [_named(place, "sqs", url.rstrip("/").rpartition("/")[2])]


def _sns(_operation: str, fields: Fields, place: Place) -> list[str]:
    subscription = _text(fields, "SubscriptionArn").rpartition(":")[0]
    named = _text(fields, "TopicArn", "TargetArn", "ResourceArn", "Name")
    return [_named(place, "sns", named) or subscription]


def _secretsmanager(_operation: str, fields: Fields, place: Place) -> list[str]:
    named = _text(fields, "SecretId", "Name")
    return [_secret(named, place) if named else ""]


def _secret(named: str, place: Place) -> str:
    """A secret's whole ARN: AWS looks the six characters at its end up too."""
    if not named.startswith("arn:") and is_loaded("secretsmanager"):
        accounts: Any = moto_module("secretsmanager.models").secretsmanager_backends
        backend = (accounts.get(place.account_id) or {}).get(place.region)
        secret = None if backend is None else backend.secrets.get(named)
        if secret is not None:
            return str(secret.arn)
    return _named(place, "secretsmanager", named, "secret:")


def _logs(_operation: str, fields: Fields, place: Place) -> list[str]:
    group = _text(fields, "logGroupName", "logGroupIdentifier", "resourceArn")
    if group.startswith("arn:"):
        group = group.removesuffix(":*").split(":", 6)[-1]
    return [place.arn("logs", f"log-group:{group}:log-stream:{_text(fields, 'logStreamName')}")]


def _ssm(_operation: str, fields: Fields, place: Place) -> list[str]:
    several = fields.get("Names")
    names = several if isinstance(several, list) else [_text(fields, "Name", "Path")]
    return [
        _named(place, "ssm", name.lstrip("/"), "parameter/")
        for name in names
        if isinstance(name, str)
    ]


def _lambda(_operation: str, fields: Fields, place: Place) -> list[str]:
    layer = _text(fields, "LayerName")
    if layer:
        arn = _named(place, "lambda", layer, "layer:")
        version = _text(fields, "VersionNumber")
        return [f"{arn}:{version}" if version else _LAYER_VERSION.sub("", arn)]
    named = _text(fields, "FunctionName")
    reference = read_reference(named, region=place.region, account_id=place.account_id)
    if reference is None:
        return [_text(fields, "Resource")]
    qualifier = reference.qualifier or _text(fields, "Qualifier")
    unqualified = reference.unqualified_arn
    return [f"{unqualified}:{qualifier}" if qualifier else unqualified]


def _iam(_operation: str, fields: Fields, place: Place) -> list[str]:
    for member, kind in _IAM_KINDS:
        name = _text(fields, member)
        if name:
            return [place.arn("iam", f"{kind}/{name}", is_global=True)]
    return [_text(fields, "PolicyArn")]


def _sts(_operation: str, fields: Fields, place: Place) -> list[str]:
    name = _text(fields, "Name")
    federated = place.arn("sts", f"federated-user/{name}", is_global=True) if name else ""
    return [_text(fields, "RoleArn") or federated]


def _kms(_operation: str, fields: Fields, place: Place) -> list[str]:
    key = _text(fields, "KeyId", "TargetKeyId")
    return [_named(place, "kms", key, "" if key.startswith("alias/") else "key/")]


def _events(operation: str, fields: Fields, place: Place) -> list[str]:
    if operation == "PutEvents":
        entries = fields.get("Entries")
        buses = {
            _text(entry, "EventBusName") or "default"
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict)
        }
        return [_named(place, "events", bus, "event-bus/") for bus in sorted(buses)]
    return [_named(place, "events", _text(fields, "Rule", "Name"), "rule/")]


def _kinesis(_operation: str, fields: Fields, place: Place) -> list[str]:
    return [_named(place, "kinesis", _text(fields, "StreamARN", "StreamName"), "stream/")]


def _firehose(_operation: str, fields: Fields, place: Place) -> list[str]:
    return [_named(place, "firehose", _text(fields, "DeliveryStreamName"), "deliverystream/")]


def _states(_operation: str, fields: Fields, _place: Place) -> list[str]:
    return [_text(fields, "stateMachineArn", "executionArn", "activityArn", "resourceArn")]


def _cloudformation(_operation: str, fields: Fields, place: Place) -> list[str]:
    stack = _text(fields, "StackName")
    return [_named(place, "cloudformation", f"{stack}/*", "stack/") if stack else ""]


_IAM_KINDS: Final = (
    # the first that is there: a role in an instance profile is about the profile
    ("InstanceProfileName", "instance-profile"),
    ("RoleName", "role"),
    ("UserName", "user"),
    ("GroupName", "group"),
    ("PolicyName", "policy"),
)
_READERS: Final[Mapping[str, Callable[[str, Fields, Place], list[str]]]] = {
    "cloudformation": _cloudformation,
    "dynamodb": _dynamodb,
    "events": _events,
    "firehose": _firehose,
    "iam": _iam,
    "kinesis": _kinesis,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "secretsmanager": _secretsmanager,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "states": _states,
    "sts": _sts,
}
