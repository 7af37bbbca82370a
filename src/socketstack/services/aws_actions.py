"""AWS services as integrations call them: an action or a path becomes a request to moto.

API Gateway adds what belongs to the protocol: the target header and content type of JSON services,
``Action`` and ``Version`` of query services. What the integration maps wins over it. Answers of
query services are JSON, as API Gateway asks for them.

The call is made in the name of the integration's role, which must be allowed to; nobody else's
permissions count, and no signature is made.

Rules: 5.66.
"""

import json
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

from socketstack.core.policy import PolicyDecision
from socketstack.core.service_calls import ServiceAnswer, ServiceCall, ServiceRefusal
from socketstack.services.aws_app import AnswersCalls
from socketstack.services.call_resources import Place
from socketstack.services.demands import demands_of
from socketstack.services.http import AwsRequest

MayRole = Callable[[str, str, str], PolicyDecision]
"""Whether a role may do an action to a resource."""

_MODEL_NAMES: Final = {"states": "stepfunctions", "monitoring": "cloudwatch", "email": "ses"}
_FORM: Final = "application/x-www-form-urlencoded"
_QUERY_ALWAYS: Final = frozenset({"sns", "sts", "iam", "email", "ses"})
_QUERY_TOO: Final = frozenset({"sqs", "monitoring"})
"""Services with a JSON protocol of today that integrations call by forms."""
_SCOPE_DATE: Final = "20200101"
_DROPPED: Final = frozenset({"authorization", "content-length", "host", "transfer-encoding"})


class AwsActions:
    """Calls moto for integrations, and functions that nobody waits for."""

    def __init__(self, app: AnswersCalls, *, may: MayRole, invoke: AnswersCalls) -> None:
        self._app = app
        self._may = may
        self._invoke = invoke

    async def call(self, call: ServiceCall) -> ServiceAnswer | ServiceRefusal:
        """Make a call, when the role may."""
        request = aws_request(call)
        if isinstance(request, ServiceRefusal):
            return request
        denial = self._denial(call, request)
        if denial is not None:
            return denial
        answer = await self._app.handle(request)
        if answer.status == HTTPStatus.NOT_IMPLEMENTED:
            return ServiceRefusal(answer.body.decode("utf-8", "replace"))
        body, headers = answer.body, answer.headers
        if "xml" in (answer.header("Content-Type") or "") and call.target.service != "s3":
            body = xml_as_json(body)
            kept = [pair for pair in headers if pair[0].lower() != "content-type"]
            headers = (*kept, ("Content-Type", "application/json"))
        return ServiceAnswer(status=answer.status, headers=headers, body=body)

    async def invoke_later(self, function: str, payload: bytes) -> ServiceAnswer | ServiceRefusal:
        """Call a function asynchronously; who may was asked before."""
        answer = await self._invoke.handle(
            AwsRequest(
                method="POST",
                host="lambda.amazonaws.com",
                path=f"/2015-03-31/functions/{quote(function, safe='')}/invocations",
                headers=(("X-Amz-Invocation-Type", "Event"),),
                body=payload,
            )
        )
        return ServiceAnswer(status=answer.status, headers=answer.headers, body=answer.body)

    def _denial(self, call: ServiceCall, request: AwsRequest) -> ServiceRefusal | None:
        target = call.target
        place = Place(region=target.region, account_id=call.account_id, partition=target.partition)
        for demand in demands_of(request, target.service, place):
            decision = self._may(call.role_arn, demand.action, demand.resource)
            if not decision.is_allowed:
                return ServiceRefusal(
                    f"{call.role_arn} may not {demand.action} on {demand.resource}: "
                    f"{decision.reason} [5.66]"
                )
        return None


def aws_request(call: ServiceCall) -> AwsRequest | ServiceRefusal:
    """The request that an integration's call makes; a refusal when there is no such action.

    Parameters of a form all stand in its body, those that are mapped first: what permission is
    asked for is what the service reads.
    """
    target = call.target
    host = f"{target.service}.{target.region}.amazonaws.com"
    headers = {n: v for n, v in call.headers if n.lower() not in _DROPPED}
    query = list(call.query)
    if target.action:
        added = _action(call)
        if isinstance(added, ServiceRefusal):
            return added
        query = [*added.query, *query]
        if target.service == "dynamodb":  # it takes application/json, which moto does not
            headers = {n: v for n, v in headers.items() if n.lower() != "content-type"}
        known = {name.lower() for name in headers}
        headers |= {n: v for n, v in added.headers.items() if n.lower() not in known}
    if target.service == "sqs" and target.path.count("/") > 1:
        # The queue in the path is the one that is meant, whatever the body says.
        query.append(("QueueUrl", f"https://{host}{target.path}"))
    body, query_string = call.body, urlencode(query)
    if any(n.lower() == "content-type" and v.startswith(_FORM) for n, v in headers.items()):
        body, query_string = b"&".join(filter(None, (query_string.encode(), body))), ""
    scope = f"{_SCOPE_DATE}/{target.region}/{target.service}/aws4_request"
    return AwsRequest(
        method="POST" if target.action else _method(call.method),
        host=host,
        path=target.path or "/",
        query_string=query_string,
        headers=(
            *headers.items(),
            ("Authorization", f"AWS4-HMAC-SHA256 Credential={call.account_id}/{scope}"),
        ),
        body=body,
    )


class _Added:
    """What API Gateway adds to the call of an action."""

    def __init__(self, headers: dict[str, str], query: list[tuple[str, str]]) -> None:
        self.headers = headers
        self.query = query


def _action(call: ServiceCall) -> _Added | ServiceRefusal:
    target = call.target
    metadata = _metadata(target.service)
    if metadata is None:
        return ServiceRefusal(f"There is no service {target.service!r}. [5.66]")
    is_form = (call.header("Content-Type") or "").startswith(_FORM)
    is_json = call.body.lstrip().startswith(b"{") and not is_form
    if target.service in _QUERY_ALWAYS or (target.service in _QUERY_TOO and not is_json):
        action = [("Action", target.action), ("Version", str(metadata["apiVersion"]))]
        return _Added({"Content-Type": _FORM}, action)
    if "targetPrefix" not in metadata:
        return ServiceRefusal(
            f"{target.service} has no actions; use its paths: "
            f"arn:aws:apigateway:{{region}}:{target.service}:path/… [5.66]"
        )
    return _Added(
        {
            "Content-Type": f"application/x-amz-json-{metadata.get('jsonVersion', '1.0')}",
            "X-Amz-Target": f"{metadata['targetPrefix']}.{target.action}",
        },
        [],
    )


def _method(method: str) -> str:
    return "POST" if method == "ANY" else method


@cache
def _metadata(service: str) -> dict[str, Any] | None:
    try:
        model = Loader().load_service_model(_MODEL_NAMES.get(service, service), "service-2")
    except UnknownServiceError:
        return None
    metadata: dict[str, Any] = model["metadata"]
    return metadata


def xml_as_json(body: bytes) -> bytes:
    """An answer of the query protocol as the JSON that AWS gives to ``Accept: application/json``.

    Errors lose their outer element, repeated elements become lists.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - moto wrote it
    except ET.ParseError:
        return body
    name, value = _local(root.tag), _value(root)
    document = value if name == "ErrorResponse" else {name: value}
    return json.dumps(document, ensure_ascii=False).encode()


def _value(element: ET.Element) -> Any:
    children = list(element)
    if not children:
        return element.text if element.text and element.text.strip() else None
    members: dict[str, Any] = {}
    for child in children:
        name, value = _local(child.tag), _value(child)
        if name in members:
            before = members[name]
            members[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            members[name] = value
    return members


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
