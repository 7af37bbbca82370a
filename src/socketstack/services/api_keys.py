"""API keys and usage plans over HTTP: their part of the ``apigateway`` service (that of REST APIs).

moto has these operations too, and keeps what it is told: stages that do not exist, quotas as texts,
plans that are deleted with their stages. Since the data plane refuses by these records, they are
our own. What else the service has, REST APIs and the account's settings, is passed on to moto.
Rules: 4.08 to 4.11, 9.05.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel

from socketstack.clock import Clock
from socketstack.controlplane import conform, rest_json
from socketstack.controlplane.extras import verify_tags
from socketstack.controlplane.service import Service, slim
from socketstack.core.model import Record
from socketstack.core.usage import day_text
from socketstack.errors import BadRequest, NotImplementedYet, ServiceError
from socketstack.ids import Ids
from socketstack.services import targets
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.key_records import KeyRecords
from socketstack.store import Store
from socketstack.trace import Step, Trace

_OURS: Final = re.compile(r"/(apikeys|usageplans)(/.*)?")
_TAGS: Final = re.compile(r"/tags/arn:[^:]+:apigateway:[^:]*::/(apikeys|usageplans)/([^/]+)/?")
_PAGE: Final = 25
_PAGE_MAX: Final = 500
_DAYS_MAX: Final = 90

Handle = Callable[[AwsRequest], Awaitable[AwsResponse]]
_Act = Callable[[KeyRecords, dict[str, Any]], dict[str, Any]]


class ApiKeysApi:
    """Answers calls about API keys and usage plans, on the event loop.

    Args:
        store: Where records go, and where the data plane reads them.
        pass_on: Answers everything else of the service.
        region: The Region of callers that do not sign.
    """

    def __init__(
        self, *, store: Store, clock: Clock, ids: Ids, trace: Trace, pass_on: Handle, region: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._trace = trace
        self._pass_on = pass_on
        self._region = region

    async def handle(self, request: AwsRequest) -> AwsResponse:
        """Answer one call."""
        path = unquote(request.path)
        tagged = _TAGS.fullmatch(path)
        if tagged is None and not _OURS.fullmatch(path):
            return await self._pass_on(request)
        region = targets.region_of(request, self._region)
        records = KeyRecords(store=self._store, clock=self._clock, ids=self._ids, region=region)
        try:
            answer = self._tags(records, request, tagged) if tagged else self._own(records, request)
        except ServiceError as error:
            answer = rest_json.encode_error(error)
        headers = {
            **answer.headers,
            "Content-Length": str(len(answer.body)),
            "x-amzn-RequestId": self._ids.uuid(),
        }
        return AwsResponse(status=answer.status, headers=tuple(headers.items()), body=answer.body)

    def _own(self, records: KeyRecords, request: AwsRequest) -> rest_json.Answer:
        match = _service().match(request.method, request.path)
        act = None if match is None else _ACTS.get(match.operation.name)
        if match is None or act is None:
            name = match.operation.name if match else f"{request.method} {request.path}"
            raise NotImplementedYet(f"{name} is not served.")
        query = parse_qsl(request.query_string, keep_blank_values=True)
        if ("mode", "import") in query:
            raise NotImplementedYet("ImportApiKeys is not served: create the keys one by one.")
        sent = rest_json.decode(match.operation, match.labels, query, request.body)
        conform.verify(match.operation, _typed(sent))
        verify_tags(sent.get("tags") or {})  # type: ignore[arg-type]
        result = act(records, _typed(sent))
        if not match.operation.name.startswith("Get"):
            self._trace.emit(
                Step.CONTROL,
                f"{match.operation.name} {result.get('id') or ' '.join(match.labels.values())}",
                operation=match.operation.name,
            )
        status = match.operation.http.get("responseCode", HTTPStatus.OK)
        shape = match.operation.output_shape
        document = {} if shape is None else rest_json.to_wire(shape, result)
        return _answer(status, document)

    def _tags(
        self, records: KeyRecords, request: AwsRequest, tagged: re.Match[str]
    ) -> rest_json.Answer:
        kind, identifier = tagged.groups()
        tags = records.tags(kind, identifier)
        match request.method:
            case "GET":
                return _answer(HTTPStatus.OK, {"tags": tags})
            case "PUT":
                new = _tags_of(request.body)
                verify_tags({**tags, **new})
                records.set_tags(kind, identifier, {**tags, **new})
            case "DELETE":
                gone = {v for k, v in parse_qsl(request.query_string) if k == "tagKeys"}
                records.set_tags(kind, identifier, {k: v for k, v in tags.items() if k not in gone})
            case _:
                raise NotImplementedYet(f"{request.method} of tags is not served.")
        return rest_json.Answer(HTTPStatus.NO_CONTENT, {}, b"")


@cache
def _service() -> Service:
    """The service model without its documentation, read once per process when it is needed."""
    description = Loader().load_service_model("apigateway", "service-2")
    return Service(ServiceModel(slim(description), service_name="apigateway"))


def _answer(status: int, document: object) -> rest_json.Answer:
    body = json.dumps(document).encode()
    return rest_json.Answer(status, {"Content-Type": rest_json.CONTENT_TYPE}, body)


def _typed(sent: Record) -> dict[str, Any]:
    """Query members as the model types them: on the wire they are texts."""
    typed = dict(sent)
    for name in ("includeValue", "includeValues"):
        if name in typed:
            typed[name] = str(typed[name]).lower() == "true"
    if "limit" in typed:
        if not str(typed["limit"]).isdigit():
            raise BadRequest(f"Invalid limit {typed['limit']!r}: it is a number")
        typed["limit"] = int(str(typed["limit"]))
    return typed


def _tags_of(body: bytes) -> dict[str, str]:
    try:
        tags = json.loads(body or b"{}").get("tags")
    except (ValueError, AttributeError):
        tags = None
    if not isinstance(tags, dict) or not all(isinstance(v, str) for v in tags.values()):
        raise BadRequest("Invalid request input: tags are missing.")
    return tags


def _page(items: Sequence[dict[str, Any]], sent: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a list; the position is the id of the last item before it."""
    limit = sent.get("limit", _PAGE)
    if not 1 <= limit <= _PAGE_MAX:
        raise BadRequest(f"Invalid limit {limit}: 1 to {_PAGE_MAX} are allowed")
    position, start = sent.get("position"), 0
    if position is not None:
        ids = [item["id"] for item in items]
        if position not in ids:
            raise BadRequest("Invalid position parameter specified")
        start = ids.index(position) + 1
    shown = list(items[start : start + limit])
    more = {"position": shown[-1]["id"]} if start + limit < len(items) else {}
    return {"items": shown, **more}


def _without_value(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "value"}


def _get_key(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    key = records.key(sent["apiKey"])
    return key if sent.get("includeValue") else _without_value(key)


def _get_keys(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    keys = [
        key if sent.get("includeValues") else _without_value(key)
        for key in records.all_keys()
        if str(key.get("name") or "").startswith(sent.get("nameQuery", ""))
        and sent.get("customerId") in {None, key.get("customerId")}
    ]
    return _page(keys, sent)


def _update_key(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    return _without_value(records.update_key(sent["apiKey"], sent.get("patchOperations", [])))


def _delete_key(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    records.delete_key(sent["apiKey"])
    return {}


def _get_plans(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    return _page(records.plans(sent.get("keyId")), sent)


def _update_plan(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    return records.update_plan(sent["usagePlanId"], sent.get("patchOperations", []))


def _delete_plan(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    records.delete_plan(sent["usagePlanId"])
    return {}


def _get_plan_keys(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    keys = [
        key
        for key in records.plan_keys(sent["usagePlanId"])
        if str(key.get("name") or "").startswith(sent.get("nameQuery", ""))
    ]
    return _page(keys, sent)


def _delete_plan_key(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    records.remove_key(sent["usagePlanId"], sent["keyId"])
    return {}


def _get_usage(records: KeyRecords, sent: dict[str, Any]) -> dict[str, Any]:
    """Pairs of used and left, for each day, by key."""
    first, last = (_day(sent[name]) for name in ("startDate", "endDate"))
    if not 0 <= last - first <= _DAYS_MAX:
        raise BadRequest(f"Invalid dates: endDate is 0 to {_DAYS_MAX} days after startDate")
    plan_id, wanted = sent["usagePlanId"], sent.get("keyId")
    items = {
        key["id"]: records.used(plan_id, key["id"], range(first, last + 1))
        for key in records.plan_keys(plan_id)
        if wanted in {None, key["id"]}
    }
    return {
        "usagePlanId": plan_id,
        "startDate": day_text(first),
        "endDate": day_text(last),
        "items": items,
    }


def _day(text: str) -> int:
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError:
        raise BadRequest(f"Invalid date {text!r}: use the form YYYY-MM-DD") from None


_ACTS: Final[Mapping[str, _Act]] = {
    "CreateApiKey": lambda records, sent: records.create_key(sent),
    "GetApiKey": _get_key,
    "GetApiKeys": _get_keys,
    "UpdateApiKey": _update_key,
    "DeleteApiKey": _delete_key,
    "CreateUsagePlan": lambda records, sent: records.create_plan(sent),
    "GetUsagePlan": lambda records, sent: records.plan(sent["usagePlanId"]),
    "GetUsagePlans": _get_plans,
    "UpdateUsagePlan": _update_plan,
    "DeleteUsagePlan": _delete_plan,
    "CreateUsagePlanKey": lambda records, sent: records.add_key(
        sent["usagePlanId"], sent["keyId"], sent["keyType"]
    ),
    "GetUsagePlanKey": lambda records, sent: records.plan_key(sent["usagePlanId"], sent["keyId"]),
    "GetUsagePlanKeys": _get_plan_keys,
    "DeleteUsagePlanKey": _delete_plan_key,
    "GetUsage": _get_usage,
}
