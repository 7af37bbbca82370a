"""Which service a request means, and the address it would have had on AWS.

All services share one port here, so what AWS reads from the host name is found elsewhere: in the
credential scope of the signature (header or query), in ``X-Amz-Target``, in the path of REST
calls, in ``Action`` and ``Version`` of the query protocol. A request that says nothing of this
is meant for S3, whose objects are fetched without signature.

moto dispatches by URL: ``Target.url`` is such a URL, always with the region in its host.
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from socketstack.services.http import AwsRequest

DEFAULT_REGION: Final = "us-east-1"

_SCOPE: Final = re.compile(r"Credential=[^/,\s]+/\d{8}/([^/,]+)/([^/,]+)/aws4_request")
_SCOPE_WITHOUT_REGION: Final = re.compile(r"Credential=[^/,\s]+/\d{8}/([^/,]+)/aws4_request")
_QUERY_SCOPE: Final = re.compile(
    r"(?:^|&)X-Amz-Credential=[^&]*?(?:/|%2F)\d{8}(?:/|%2F)([^&/%]+)(?:/|%2F)([^&/%]+)"
    r"(?:/|%2F)aws4_request",
    re.IGNORECASE,
)
_REGION_NAME: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")
_SERVICE_AND_REGION_PATH: Final = re.compile(r"/([a-z0-9-]+)_([a-z]{2}(?:-[a-z]+)+-\d)/")
_RPC_PATH: Final = re.compile(r"/service/(\w+)/operation/\w+")

_SIGNING_ALIASES: Final = {
    "eventbridge": "events",
    "execute-api": "iot",
    "iotdata": "data.iot",
    "mobiletargeting": "pinpoint",
    "payment-cryptography": "controlplane.payment-cryptography",
    "memorydb": "memory-db",
    "timestream": "ingest.timestream",
}
"""Signing name to the first label of the service's host, where they differ."""

_SERVICE_OF_TARGET: Final = {
    "AWSCognitoIdentityProviderService": "cognito-idp",
    "AWSCognitoIdentityService": "cognito-identity",
    "AWSEvents": "events",
    "AWSStepFunctions": "states",
    "AmazonSQS": "sqs",
    "AmazonSSM": "ssm",
    "DynamoDBStreams": "dynamodb",
    "DynamoDB": "dynamodb",
    "GraniteServiceVersion": "monitoring",
    "Kinesis": "kinesis",
    "Logs": "logs",
    "TrentService": "kms",
    "secretsmanager": "secretsmanager",
}
_SERVICE_OF_VERSION: Final = {
    "2009-04-15": "sdb",
    "2010-03-31": "sns",
    "2010-05-08": "iam",
    "2010-05-15": "cloudformation",
    "2010-08-01": "monitoring",
    "2011-06-15": "sts",
    "2012-11-05": "sqs",
    "2016-11-15": "ec2",
}
_SERVICE_OF_PATH: Final = (
    (re.compile(r"/20\d\d-\d\d-\d\d/(functions|layers|event-source-mappings|tags)\b"), "lambda"),
    (re.compile(r"/(restapis|apikeys|usageplans)\b"), "apigateway"),
)
_PATH_STYLE_HOSTS: Final = re.compile(r"(localhost|[\d.]+|\[.*\]|[^.]+|host\.docker\.internal)")
_BUCKET_HOSTS: Final = (
    re.compile(r"(?P<bucket>.+)\.s3[.-].*"),
    re.compile(r"(?P<bucket>.+?)(\.s3)?\.localhost"),
)


_WITHOUT_REGION: Final = frozenset({"budgets", "cloudfront"})
_IN_API_DOMAIN: Final = frozenset({"aidevops", "dsql", "s3vectors"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``service`` is moto's folder, or None when moto has no such service.

    ``name`` is the service as the request calls it: its signing name, or the like.
    """

    name: str
    service: str | None
    region: str
    url: str


def locate(request: AwsRequest, region: str = DEFAULT_REGION) -> Target:
    """Read from a request where it goes; ``region`` is for those that do not say."""
    name, named_region = _named(request)
    region = named_region or region
    host, path = _address(request, name, region)
    return Target(
        name=name,
        service=_moto_service(host, path, name),
        region=region,
        url=f"https://{host}{path}" + (f"?{request.query_string}" if request.query_string else ""),
    )


def service_name(request: AwsRequest) -> str:
    """The service's signing name, or what an unsigned request says instead."""
    return _named(request)[0]


def region_of(request: AwsRequest, default: str) -> str:
    """The region that the signature names, else ``default``."""
    return _named(request)[1] or default


def _named(request: AwsRequest) -> tuple[str, str | None]:
    return _signed(request) or _unsigned(request) or ("s3", None)


def _signed(request: AwsRequest) -> tuple[str, str | None] | None:
    authorization = request.header("Authorization") or ""
    if match := _SCOPE.search(authorization) or _QUERY_SCOPE.search(request.query_string):
        region, service = match.groups()
        return service.lower(), region if _REGION_NAME.fullmatch(region) else None
    if match := _SCOPE_WITHOUT_REGION.search(authorization):
        return match[1].lower(), None
    return None


def _unsigned(request: AwsRequest) -> tuple[str, str | None] | None:
    if target := request.header("X-Amz-Target"):
        prefix = re.sub(r"_?\d{8}$", "", target.partition(".")[0])
        return _SERVICE_OF_TARGET.get(prefix, prefix.lower()), None
    if match := _RPC_PATH.fullmatch(request.path):
        prefix = re.sub(r"_?\d{8}$", "", match[1])
        return _SERVICE_OF_TARGET.get(prefix, prefix.lower()), None
    if match := _SERVICE_AND_REGION_PATH.match(request.path):
        return match[1], match[2]
    for pattern, service in _SERVICE_OF_PATH:
        if pattern.match(request.path):
            return service, None
    fields = query_fields(request)
    if "Action" in fields and fields.get("Version") in _SERVICE_OF_VERSION:
        return _SERVICE_OF_VERSION[fields["Version"]], None
    return None


def query_fields(request: AwsRequest) -> dict[str, str]:
    """Fields of a call in the query protocol, from its form body or its query string."""
    text = request.query_string
    if (request.header("Content-Type") or "").startswith("application/x-www-form-urlencoded"):
        text = f"{request.body.decode('utf-8', 'replace')}&{text}"
    return {name: values[0] for name, values in parse_qs(text).items()}


def _address(request: AwsRequest, name: str, region: str) -> tuple[str, str]:
    """Host and path as they would be on AWS."""
    path = request.path or "/"
    if name == "s3" and not path.startswith("/v20180820/"):
        # A bucket in the host becomes the path form; moto then sees one form only.
        bucket = bucket_of_host(request.host)
        return f"s3.{region}.amazonaws.com", f"/{bucket}{path}" if bucket else path
    if name in _WITHOUT_REGION:
        return f"{name}.amazonaws.com", path
    if name in _IN_API_DOMAIN:
        return f"{name}.{region}.api.aws", path
    return f"{_first_labels(request, name)}.{region}.amazonaws.com", path


def _first_labels(request: AwsRequest, name: str) -> str:
    target = request.header("X-Amz-Target") or ""
    if name == "s3":
        return f"{request.header('x-amz-account-id') or '000000000000'}.s3-control"
    if name == "sagemaker":
        ends = {"invocations": "runtime", "BatchPutMetrics": "metrics"}
        part = next((part for end, part in ends.items() if request.path.endswith(end)), "api")
        return f"{part}.sagemaker"
    if name == "dynamodb" and target.startswith("DynamoDBStreams"):
        return "streams.dynamodb"
    if name == "mediastore" and not target:
        return "data.mediastore"
    return _SIGNING_ALIASES.get(name, name)


def bucket_of_host(host: str) -> str | None:
    """The bucket of a virtual-hosted S3 address; None for hosts of path-style addresses."""
    name = re.sub(r":\d+$", "", host).lower()
    if name.startswith(("s3.", "s3-")) or _PATH_STYLE_HOSTS.fullmatch(name):
        return None
    for pattern in _BUCKET_HOSTS:
        if match := pattern.fullmatch(name):
            return match["bucket"]
    return None


def _moto_service(host: str, path: str, name: str) -> str | None:
    if name == "ses":
        return "sesv2" if path.startswith("/v2/") else "ses"
    return _service_of_host(host)


@lru_cache(maxsize=256)
def _service_of_host(host: str) -> str | None:
    url = f"https://{host}/"
    return next((service for service, pattern in _patterns() if pattern.match(url)), None)


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Moto's table of services and their addresses, read without importing moto itself."""
    moto = importlib.util.find_spec("moto")
    assert moto is not None
    assert moto.submodule_search_locations is not None
    path = Path(moto.submodule_search_locations[0]) / "backend_index.py"
    spec = importlib.util.spec_from_file_location("socketstack_moto_backend_index", path)
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    patterns: list[tuple[str, re.Pattern[str]]] = table.backend_url_patterns
    return patterns
