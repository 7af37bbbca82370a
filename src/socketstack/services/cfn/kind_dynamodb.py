"""``AWS::DynamoDB::Table`` over DynamoDB's own operations, with TTL and backups."""

from typing import Any, Final

from socketstack.services.cfn.errors import ResourceFailed
from socketstack.services.cfn.kinds import (
    Change,
    Kind,
    Properties,
    Work,
    gone_is_fine,
    only,
    require_kept,
)

_SERVICE: Final = "dynamodb"
_CREATED_WITH: Final = (
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
)


def _stream(properties: Properties) -> dict[str, Any] | None:
    asked = properties.get("StreamSpecification")
    return None if asked is None else {"StreamEnabled": True, **asked}


def _encryption(properties: Properties) -> dict[str, Any] | None:
    asked = properties.get("SSESpecification")
    if asked is None:
        return None
    return {"Enabled": asked["SSEEnabled"]} | {n: v for n, v in asked.items() if n != "SSEEnabled"}


async def _create(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("TableName"), limit=255)
    asked = {n: properties[n] for n in _CREATED_WITH if n in properties}
    await work.services.call(
        _SERVICE,
        "CreateTable",
        TableName=name,
        StreamSpecification=_stream(properties),
        SSESpecification=_encryption(properties),
        Tags=work.tag_list(properties),
        **asked,
    )
    work.note(name)
    await _set_ttl(work, name, properties.get("TimeToLiveSpecification"))
    await _set_recovery(work, name, properties.get("PointInTimeRecoverySpecification"))
    await _require(work, name, properties)
    return name


async def _require(work: Work, name: str, properties: Properties) -> None:
    found = (await work.services.call(_SERVICE, "DescribeTable", TableName=name))["Table"]
    for member in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"):
        kept = (
            found.get("BillingModeSummary", {}).get("BillingMode")
            if member == "BillingMode"
            else found.get(member)
        )
        if member in properties:
            require_kept(_sorted(properties[member]), _sorted(kept), member)
    require_kept(_stream(properties) or {}, found.get("StreamSpecification"), "StreamSpecification")
    is_encrypted = found.get("SSEDescription", {}).get("Status") == "ENABLED"
    require_kept((_encryption(properties) or {}).get("Enabled", False), is_encrypted, "SSEEnabled")


def _sorted(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sorted(value, key=lambda v: str(v.get("IndexName") or v.get("AttributeName")))
    return value


async def _set_ttl(work: Work, name: str, ttl: dict[str, Any] | None) -> None:
    if ttl is None:
        return
    if "AttributeName" not in ttl:
        raise ResourceFailed("TimeToLiveSpecification requires AttributeName when it is enabled")
    await work.services.call(
        _SERVICE, "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=ttl
    )


async def _set_recovery(work: Work, name: str, recovery: dict[str, Any] | None) -> None:
    if recovery is None:
        return
    await work.services.call(
        _SERVICE,
        "UpdateContinuousBackups",
        TableName=name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False, **recovery},
    )


async def _update(work: Work, change: Change) -> None:
    name, new, call = change.physical_id, change.new, work.services.call
    if change.touches("BillingMode", "ProvisionedThroughput", "DeletionProtectionEnabled"):
        await call(
            _SERVICE,
            "UpdateTable",
            TableName=name,
            BillingMode=new.get("BillingMode", "PROVISIONED"),
            ProvisionedThroughput=new.get("ProvisionedThroughput"),
            DeletionProtectionEnabled=new.get("DeletionProtectionEnabled", False),
        )
    if change.touches("StreamSpecification"):
        if change.old.get("StreamSpecification"):
            off = {"StreamEnabled": False}
            await call(_SERVICE, "UpdateTable", TableName=name, StreamSpecification=off)
        if _stream(new):
            await call(_SERVICE, "UpdateTable", TableName=name, StreamSpecification=_stream(new))
    if change.touches("SSESpecification"):
        specification = _encryption(new) or {"Enabled": False}
        await call(_SERVICE, "UpdateTable", TableName=name, SSESpecification=specification)
    await _update_indexes(work, change)
    await _update_ttl(work, change)
    if change.touches("PointInTimeRecoverySpecification"):
        await _set_recovery(work, name, new.get("PointInTimeRecoverySpecification") or {})
    await _require(work, name, new)
    arn = work.arn(_SERVICE, f"table/{name}")
    # moto would keep both values of a tag that changes.
    replaced = [key for key in change.set_tags if key in change.old_tags]
    if change.gone_tags or replaced:
        keys = [*change.gone_tags, *replaced]
        await call(_SERVICE, "UntagResource", ResourceArn=arn, TagKeys=keys)
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await call(_SERVICE, "TagResource", ResourceArn=arn, Tags=tags)


async def _update_ttl(work: Work, change: Change) -> None:
    if not change.touches("TimeToLiveSpecification"):
        return
    old = change.old.get("TimeToLiveSpecification") or {}
    new = change.new.get("TimeToLiveSpecification") or {}
    if old.get("Enabled") and old.get("AttributeName") != new.get("AttributeName"):
        await _set_ttl(work, change.physical_id, {**old, "Enabled": False})
    if new:
        await _set_ttl(work, change.physical_id, new)


async def _update_indexes(work: Work, change: Change) -> None:
    old = {index["IndexName"]: index for index in change.old.get("GlobalSecondaryIndexes", [])}
    new = {index["IndexName"]: index for index in change.new.get("GlobalSecondaryIndexes", [])}
    updates: list[dict[str, Any]] = [
        {"Delete": {"IndexName": name}} for name in old if old[name] != new.get(name)
    ]
    updates += [{"Create": index} for name, index in new.items() if old.get(name) != index]
    for one in updates:
        await work.services.call(
            _SERVICE,
            "UpdateTable",
            TableName=change.physical_id,
            AttributeDefinitions=change.new.get("AttributeDefinitions"),
            GlobalSecondaryIndexUpdates=[one],
        )


async def _delete(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call(_SERVICE, "DeleteTable", TableName=name))


async def _read(work: Work, name: str, _: Properties) -> dict[str, Any]:
    found = (await work.services.call(_SERVICE, "DescribeTable", TableName=name))["Table"]
    attributes = {"Arn": found["TableArn"]}
    if "LatestStreamArn" in found:
        attributes["StreamArn"] = found["LatestStreamArn"]
    return attributes


KINDS: Final = (
    Kind(
        type_name="AWS::DynamoDB::Table",
        properties=only(
            *_CREATED_WITH,
            *("PointInTimeRecoverySpecification", "SSESpecification", "StreamSpecification"),
            *("TableName", "Tags", "TimeToLiveSpecification"),
        ),
        create=_create,
        update=_update,
        delete=_delete,
        read=_read,
        replaces=only("KeySchema", "LocalSecondaryIndexes"),
    ),
)
