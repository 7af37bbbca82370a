"""Kinds ``AWS::ApiGateway::ApiKey``, ``UsagePlan``, ``UsagePlanKey``: WebSocket APIs use REST's.

Rules: 4.08 to 4.11.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from socketstack.services.cfn.kinds import (
    Change,
    Kind,
    Properties,
    Work,
    gone_is_fine,
    only,
)
from socketstack.services.cfn.values import text

_SERVICE: Final = "apigateway"
_QUOTA: Final = {"Limit": "limit", "Offset": "offset", "Period": "period"}
_THROTTLE: Final = {"BurstLimit": "burstLimit", "RateLimit": "rateLimit"}
_KEY_MEMBERS: Final = {"CustomerId": "customerId", "Description": "description"}
_NAME_MAX: Final = 128


async def _create_key(work: Work, properties: Properties) -> str:
    made = await work.services.call(
        _SERVICE,
        "CreateApiKey",
        name=work.name(properties.get("Name"), limit=_NAME_MAX),
        enabled=properties.get("Enabled", False),
        generateDistinctId=properties.get("GenerateDistinctId"),
        value=properties.get("Value"),
        tags=work.tags(properties) or None,
        **{ours: properties.get(theirs) for theirs, ours in _KEY_MEMBERS.items()},
    )
    work.note(made["id"])
    return str(made["id"])


async def _update_key(work: Work, change: Change) -> None:
    operations = [
        _replace(f"/{ours}", change.new.get(theirs, ""))
        for theirs, ours in _KEY_MEMBERS.items()
        if change.touches(theirs)
    ]
    if change.touches("Enabled"):
        operations.append(_replace("/enabled", change.new.get("Enabled", False)))
    if operations:
        await work.services.call(
            _SERVICE, "UpdateApiKey", apiKey=change.physical_id, patchOperations=operations
        )
    await _retag(work, f"apikeys/{change.physical_id}", change)


async def _delete_key(work: Work, key_id: str, _: Properties) -> None:
    await gone_is_fine(work.services.call(_SERVICE, "DeleteApiKey", apiKey=key_id))


async def _read_key(work: Work, key_id: str, _: Properties) -> dict[str, Any]:
    del work
    return {"APIKeyId": key_id}


async def _create_plan(work: Work, properties: Properties) -> str:
    made = await work.services.call(
        _SERVICE,
        "CreateUsagePlan",
        name=work.name(properties.get("UsagePlanName"), limit=_NAME_MAX),
        description=properties.get("Description"),
        apiStages=[_api_stage(entry) for entry in properties.get("ApiStages", [])] or None,
        quota=_renamed(properties.get("Quota"), _QUOTA),
        throttle=_renamed(properties.get("Throttle"), _THROTTLE),
        tags=work.tags(properties) or None,
    )
    work.note(made["id"])
    return str(made["id"])


async def _update_plan(work: Work, change: Change) -> None:
    operations = [*_plan_operations(change)]
    if operations:
        await work.services.call(
            _SERVICE, "UpdateUsagePlan", usagePlanId=change.physical_id, patchOperations=operations
        )
    await _retag(work, f"usageplans/{change.physical_id}", change)


def _plan_operations(change: Change) -> Iterator[dict[str, str]]:
    old, new = change.old, change.new
    if change.touches("UsagePlanName") and "UsagePlanName" in new:
        yield _replace("/name", new["UsagePlanName"])
    if change.touches("Description"):
        yield _replace("/description", new.get("Description", ""))
    before, after = (_stage_names(side) for side in (old, new))
    for stage in sorted(before - after):
        yield _operation("remove", "/apiStages", stage)
    for stage in sorted(after - before):
        yield _operation("add", "/apiStages", stage)
    for group, members in (("Quota", _QUOTA), ("Throttle", _THROTTLE)):
        if change.touches(group):
            if group in old:
                yield _operation("remove", f"/{group.lower()}")
            for theirs, ours in members.items():
                if theirs in new.get(group, {}):
                    yield _operation("add", f"/{group.lower()}/{ours}", new[group][theirs])


async def _delete_plan(work: Work, plan_id: str, _: Properties) -> None:
    call = work.services.call
    found = await call(_SERVICE, "GetUsagePlans")
    plan = next((each for each in found.get("items", []) if each["id"] == plan_id), None)
    if plan is None:
        return
    operations = [
        _operation("remove", "/apiStages", f"{entry['apiId']}:{entry['stage']}")
        for entry in plan.get("apiStages", [])
    ]
    if operations:
        await call(_SERVICE, "UpdateUsagePlan", usagePlanId=plan_id, patchOperations=operations)
    await gone_is_fine(call(_SERVICE, "DeleteUsagePlan", usagePlanId=plan_id))


async def _read_id(work: Work, physical_id: str, _: Properties) -> dict[str, Any]:
    del work
    return {"Id": physical_id}


async def _create_plan_key(work: Work, properties: Properties) -> str:
    plan_id, key_id = str(properties["UsagePlanId"]), str(properties["KeyId"])
    await work.services.call(
        _SERVICE,
        "CreateUsagePlanKey",
        usagePlanId=plan_id,
        keyId=key_id,
        keyType=properties["KeyType"],
    )
    physical_id = f"{key_id}:{plan_id}"
    work.note(physical_id)
    return physical_id


async def _delete_plan_key(work: Work, physical_id: str, properties: Properties) -> None:
    del properties
    key_id, _, plan_id = physical_id.partition(":")
    await gone_is_fine(
        work.services.call(_SERVICE, "DeleteUsagePlanKey", usagePlanId=plan_id, keyId=key_id)
    )


async def _retag(work: Work, resource: str, change: Change) -> None:
    arn = f"arn:aws:apigateway:{work.region}::/{resource}"
    if change.gone_tags:
        await work.services.call(
            _SERVICE, "UntagResource", resourceArn=arn, tagKeys=change.gone_tags
        )
    if change.set_tags:
        await work.services.call(_SERVICE, "TagResource", resourceArn=arn, tags=change.set_tags)


def _operation(verb: str, path: str, value: object = None) -> dict[str, str]:
    rest = {} if value is None else {"value": text(value)}
    return {"op": verb, "path": path, **rest}


def _replace(path: str, value: object) -> dict[str, str]:
    return _operation("replace", path, value)


def _renamed(given: Mapping[str, Any] | None, names: Mapping[str, str]) -> dict[str, Any] | None:
    if given is None:
        return None
    return {ours: given[theirs] for theirs, ours in names.items() if theirs in given}


def _api_stage(entry: Mapping[str, Any]) -> dict[str, Any]:
    stage = {"apiId": entry.get("ApiId"), "stage": entry.get("Stage")}
    if entry.get("Throttle"):  # the service says by name that it does not honour it
        stage["throttle"] = {
            path: _renamed(throttle, _THROTTLE) for path, throttle in entry["Throttle"].items()
        }
    return {name: value for name, value in stage.items() if value is not None}


def _stage_names(properties: Mapping[str, Any]) -> set[str]:
    return {f"{entry['ApiId']}:{entry['Stage']}" for entry in properties.get("ApiStages", [])}


KINDS: Final = (
    Kind(
        type_name="AWS::ApiGateway::ApiKey",
        properties=only(*_KEY_MEMBERS, "Enabled", "GenerateDistinctId", "Name", "Tags", "Value"),
        create=_create_key,
        update=_update_key,
        delete=_delete_key,
        read=_read_key,
    ),
    Kind(
        type_name="AWS::ApiGateway::UsagePlan",
        properties=only("ApiStages", "Description", "Quota", "Tags", "Throttle", "UsagePlanName"),
        create=_create_plan,
        update=_update_plan,
        delete=_delete_plan,
        read=_read_id,
    ),
    Kind(
        type_name="AWS::ApiGateway::UsagePlanKey",
        properties=only("KeyId", "KeyType", "UsagePlanId"),
        create=_create_plan_key,
        delete=_delete_plan_key,
        read=_read_id,
    ),
)
