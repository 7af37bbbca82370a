"""Is this LocalStack well? Answered by real calls.

Its own health page counts plugins, and calls a LocalStack healthy of which every service fails.
"""

from collections.abc import Mapping
from typing import Final

from socketstack.localstack.host import Host
from socketstack.services.http import AwsRequest, AwsResponse

_SCOPE: Final = "20200101/us-east-1"
_JSON: Final = "application/x-amz-json-1.1"
_FORM: Final = "application/x-www-form-urlencoded"
_SECONDS: Final = 120.0
_FAILED: Final = 500


def _query(service: str, action: str, version: str) -> AwsRequest:
    body = f"Action={action}&Version={version}".encode()
    return _request("POST", service, "/", {"Content-Type": _FORM}, body)


def _target(service: str, target: str) -> AwsRequest:
    return _request("POST", service, "/", {"Content-Type": _JSON, "X-Amz-Target": target}, b"{}")


def _request(
    method: str, service: str, path: str, headers: Mapping[str, str], body: bytes = b""
) -> AwsRequest:
    signed = ("Authorization", f"AWS4-HMAC-SHA256 Credential=test/{_SCOPE}/{service}/aws4_request")
    return AwsRequest(
        method=method,
        host="localhost",
        path=path,
        headers=(*headers.items(), signed),
        body=body,
    )


CALLS: Final[Mapping[str, AwsRequest]] = {
    "sts GetCallerIdentity": _query("sts", "GetCallerIdentity", "2011-06-15"),
    "iam ListRoles": _query("iam", "ListRoles", "2010-05-08"),
    "s3 ListBuckets": _request("GET", "s3", "/", {}),
    "lambda ListFunctions": _request("GET", "lambda", "/2015-03-31/functions/", {}),
    "logs DescribeLogGroups": _target("logs", "Logs_20140328.DescribeLogGroups"),
    "dynamodb ListTables": _target("dynamodb", "DynamoDB_20120810.ListTables"),
    "secretsmanager ListSecrets": _target("secretsmanager", "secretsmanager.ListSecrets"),
    "cloudformation DescribeStacks": _query("cloudformation", "DescribeStacks", "2010-05-15"),
}
"""Reads of the services that a WebSocket system lives on; they load these services as well."""


def first_problem(host: Host) -> str:
    """What is wrong, for people; empty when every call is answered. Not from the engine's loop."""
    for name, request in CALLS.items():
        try:
            answer = host.run(host.engine.app.answer(request), seconds=_SECONDS)
        except TimeoutError:
            return f"{name} is not answered within {_SECONDS:.0f} s."
        if answer.status >= _FAILED:
            return _said(name, answer)
    return ""


def _said(name: str, answer: AwsResponse) -> str:
    said = " ".join(answer.body.decode("utf-8", "replace").split())
    return (
        f"{name} is answered with {answer.status}: {said[:300]} Leave SERVICES unset, or let it "
        "name this service too; the lines above say what else went wrong."
    )
