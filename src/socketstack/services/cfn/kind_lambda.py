"""``AWS::Lambda::*`` over Lambda's own operations.

A function is checked after it was made: what moto's Lambda does not give back by
GetFunctionConfiguration was not kept, and then the resource fails with the member's name.
"""

import io
import zipfile
from collections.abc import Mapping
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
    without,
)
from socketstack.services.cfn.values import text

_SERVICE: Final = "lambda"
_CONFIGURATION: Final = (
    "DeadLetterConfig",
    "Description",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "TracingConfig",
)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "DeadLetterConfig": {"TargetArn": ""},
    "Description": "",
    "EphemeralStorage": {"Size": 512},
    "FileSystemConfigs": [],
    "Layers": [],
    "LoggingConfig": {"LogFormat": "Text"},
    "MemorySize": 128,
    "SnapStart": {"ApplyOn": "None"},
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}
"""What a property that left the template goes back to."""

_INLINE_FILES: Final = {"python": "index.py", "nodejs": "index.js"}


def _configuration(properties: Properties) -> dict[str, Any]:
    members: dict[str, Any] = {n: properties[n] for n in _CONFIGURATION if n in properties}
    if "Environment" in properties:
        variables = properties["Environment"].get("Variables", {})
        members["Environment"] = {"Variables": {n: text(v) for n, v in variables.items()}}
    if "KmsKeyArn" in properties:
        members["KMSKeyArn"] = properties["KmsKeyArn"]
    return members


def _code(properties: Properties) -> dict[str, Any]:
    code = properties["Code"]
    if "ZipFile" in code:
        return {"ZipFile": _inline(str(code["ZipFile"]), str(properties.get("Runtime", "")))}
    wanted = {"S3Bucket", "S3Key", "S3ObjectVersion"}
    if not {"S3Bucket", "S3Key"} <= set(code) or set(code) - wanted:
        raise ResourceFailed(
            "property Code must have S3Bucket and S3Key, or ZipFile: container images are not "
            "supported by the local engine"
        )
    return dict(code)


def _inline(source: str, runtime: str) -> bytes:
    file_name = next((f for start, f in _INLINE_FILES.items() if runtime.startswith(start)), None)
    if file_name is None:
        raise ResourceFailed(f"ZipFile can only be used with Python and Node.js, not {runtime}")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo(file_name)  # a fixed date: same source, same package
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, source)
    return packed.getvalue()


async def _require_configuration(work: Work, name: str, members: dict[str, Any]) -> None:
    kept = await work.services.call(_SERVICE, "GetFunctionConfiguration", FunctionName=name)
    asked = {member: value for member, value in members.items() if member != "Layers"}
    require_kept(asked, kept, "")
    require_kept(
        members.get("Layers", []), [one["Arn"] for one in kept.get("Layers", [])], "Layers"
    )


async def _create_function(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("FunctionName"))
    members = _configuration(properties)
    await work.services.call(
        _SERVICE,
        "CreateFunction",
        FunctionName=name,
        Code=_code(properties),
        Architectures=properties.get("Architectures"),
        PackageType=properties.get("PackageType"),
        Tags=work.tags(properties) or None,
        **members,
    )
    work.note(name)
    await _reserve(work, name, properties)
    await _require_configuration(work, name, members)
    return name


async def _reserve(work: Work, name: str, properties: Properties) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is not None:
        await work.services.call(
            _SERVICE,
            "PutFunctionConcurrency",
            FunctionName=name,
            ReservedConcurrentExecutions=reserved,
        )


async def _update_function(work: Work, change: Change) -> None:
    name = change.physical_id
    call = work.services.call
    if change.touches("Code", "Architectures"):
        await call(
            _SERVICE,
            "UpdateFunctionCode",
            FunctionName=name,
            Architectures=change.new.get("Architectures"),
            **_code(change.new),
        )
    old, new = _configuration(change.old), _configuration(change.new)
    gone = {
        member: _DEFAULTS[member] for member in old if member not in new and member in _DEFAULTS
    }
    if "Environment" in old and "Environment" not in new:
        gone["Environment"] = {"Variables": {}}
    if old != new:
        members = {**gone, **new}
        await call(_SERVICE, "UpdateFunctionConfiguration", FunctionName=name, **members)
        await _require_configuration(work, name, new)
    if change.touches("ReservedConcurrentExecutions"):
        if change.new.get("ReservedConcurrentExecutions") is None:
            await call(_SERVICE, "DeleteFunctionConcurrency", FunctionName=name)
        await _reserve(work, name, change.new)
    await _retag(work, work.arn(_SERVICE, f"function:{name}"), change)


async def _retag(work: Work, arn: str, change: Change) -> None:
    call = work.services.call
    if change.gone_tags:
        await call(_SERVICE, "UntagResource", Resource=arn, TagKeys=change.gone_tags)
    if change.set_tags:
        await call(_SERVICE, "TagResource", Resource=arn, Tags=change.set_tags)


async def _delete_function(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call(_SERVICE, "DeleteFunction", FunctionName=name))


async def _read_function(work: Work, name: str, _: Properties) -> dict[str, Any]:
    found = await work.services.call(_SERVICE, "GetFunctionConfiguration", FunctionName=name)
    return {"Arn": found["FunctionArn"]}


async def _create_version(work: Work, properties: Properties) -> str:
    made = await work.services.call(_SERVICE, "PublishVersion", **properties)
    work.note(made["FunctionArn"])
    return str(made["FunctionArn"])


async def _delete_version(work: Work, arn: str, _: Properties) -> None:
    await gone_is_fine(work.services.call(_SERVICE, "DeleteFunction", FunctionName=arn))


async def _read_version(work: Work, arn: str, _: Properties) -> dict[str, Any]:
    del work
    return {"Version": arn.rsplit(":", 1)[-1], "FunctionArn": arn}


def _alias_place(arn: str) -> dict[str, str]:
    function, name = arn.rsplit(":", 1)
    return {"FunctionName": function, "Name": name}


async def _create_alias(work: Work, properties: Properties) -> str:
    made = await work.services.call(_SERVICE, "CreateAlias", **_alias_members(properties))
    work.note(made["AliasArn"])
    require_kept(without(_alias_members(properties), "FunctionName"), made, "")
    return str(made["AliasArn"])


def _alias_members(properties: Properties) -> dict[str, Any]:
    routing = properties.get("RoutingConfig", {}).get("AdditionalVersionWeights", [])
    weights = {str(w["FunctionVersion"]): w["FunctionWeight"] for w in routing}
    members = {name: value for name, value in properties.items() if name != "RoutingConfig"}
    return {
        **members,
        **({"RoutingConfig": {"AdditionalVersionWeights": weights}} if weights else {}),
    }


async def _update_alias(work: Work, change: Change) -> None:
    members = _alias_members(change.new)
    members.setdefault("Description", "")
    members.setdefault("RoutingConfig", {"AdditionalVersionWeights": {}})
    await work.services.call(
        _SERVICE, "UpdateAlias", **(members | _alias_place(change.physical_id))
    )


async def _delete_alias(work: Work, arn: str, _: Properties) -> None:
    await gone_is_fine(work.services.call(_SERVICE, "DeleteAlias", **_alias_place(arn)))


async def _read_alias(work: Work, arn: str, _: Properties) -> dict[str, Any]:
    del work
    return {"AliasArn": arn}


async def _create_permission(work: Work, properties: Properties) -> str:
    statement_id = work.name(None)
    await work.services.call(_SERVICE, "AddPermission", StatementId=statement_id, **properties)
    work.note(statement_id)
    return statement_id


async def _delete_permission(work: Work, statement_id: str, properties: Properties) -> None:
    await gone_is_fine(
        work.services.call(
            _SERVICE,
            "RemovePermission",
            FunctionName=properties["FunctionName"],
            StatementId=statement_id,
        )
    )


async def _read_permission(work: Work, statement_id: str, _: Properties) -> dict[str, Any]:
    del work
    return {"Id": statement_id}


async def _put_invoke_config(work: Work, properties: Properties) -> str:
    made = await work.services.call(_SERVICE, "PutFunctionEventInvokeConfig", **properties)
    physical_id = f"{properties['FunctionName']}|{properties['Qualifier']}"
    work.note(physical_id)
    require_kept(without(properties, "FunctionName", "Qualifier"), made, "")
    return physical_id


async def _update_invoke_config(work: Work, change: Change) -> None:
    await _put_invoke_config(work, change.new)


async def _delete_invoke_config(work: Work, _: str, properties: Properties) -> None:
    await gone_is_fine(
        work.services.call(
            _SERVICE,
            "DeleteFunctionEventInvokeConfig",
            FunctionName=properties["FunctionName"],
            Qualifier=properties["Qualifier"],
        )
    )


async def _create_layer(work: Work, properties: Properties) -> str:
    made = await work.services.call(
        _SERVICE,
        "PublishLayerVersion",
        LayerName=work.name(properties.get("LayerName")),
        **without(properties, "LayerName"),
    )
    work.note(made["LayerVersionArn"])
    return str(made["LayerVersionArn"])


async def _delete_layer(work: Work, arn: str, _: Properties) -> None:
    layer, version = arn.rsplit(":", 1)
    await gone_is_fine(
        work.services.call(
            _SERVICE, "DeleteLayerVersion", LayerName=layer, VersionNumber=int(version)
        )
    )


async def _read_layer(work: Work, arn: str, _: Properties) -> dict[str, Any]:
    del work
    return {"LayerVersionArn": arn}


async def _create_mapping(work: Work, properties: Properties) -> str:
    members = _mapping_members(work, properties)
    made = await work.services.call(_SERVICE, "CreateEventSourceMapping", **members)
    work.note(made["UUID"])
    require_kept(without(members, "FunctionName", "Enabled", "Tags"), made, "")
    return str(made["UUID"])


def _mapping_members(work: Work, properties: Properties) -> dict[str, Any]:
    members = dict(properties)
    if "KmsKeyArn" in members:
        members["KMSKeyArn"] = members.pop("KmsKeyArn")
    members["Tags"] = work.tags(properties) or None
    return members


async def _update_mapping(work: Work, change: Change) -> None:
    members = _mapping_members(work, change.new)
    await work.services.call(
        _SERVICE,
        "UpdateEventSourceMapping",
        UUID=change.physical_id,
        **without(members, "EventSourceArn", "StartingPosition", "Tags"),
    )
    arn = work.arn(_SERVICE, f"event-source-mapping:{change.physical_id}")
    await _retag(work, arn, change)


async def _delete_mapping(work: Work, uuid: str, _: Properties) -> None:
    await gone_is_fine(work.services.call(_SERVICE, "DeleteEventSourceMapping", UUID=uuid))


async def _read_mapping(work: Work, uuid: str, _: Properties) -> dict[str, Any]:
    return {
        "Id": uuid,
        "EventSourceMappingArn": work.arn(_SERVICE, f"event-source-mapping:{uuid}"),
    }


async def _create_layer_permission(work: Work, properties: Properties) -> str:
    layer, version = str(properties["LayerVersionArn"]).rsplit(":", 1)
    statement_id = work.name(None)
    await work.services.call(
        _SERVICE,
        "AddLayerVersionPermission",
        LayerName=layer,
        VersionNumber=int(version),
        StatementId=statement_id,
        Action=properties["Action"],
        Principal=properties["Principal"],
        OrganizationId=properties.get("OrganizationId"),
    )
    physical_id = f"{properties['LayerVersionArn']}#{statement_id}"
    work.note(physical_id)
    return physical_id


async def _delete_layer_permission(work: Work, physical_id: str, _: Properties) -> None:
    arn, statement_id = physical_id.split("#", 1)
    layer, version = arn.rsplit(":", 1)
    await gone_is_fine(
        work.services.call(
            _SERVICE,
            "RemoveLayerVersionPermission",
            LayerName=layer,
            VersionNumber=int(version),
            StatementId=statement_id,
        )
    )


async def _read_layer_permission(work: Work, physical_id: str, _: Properties) -> dict[str, Any]:
    del work
    return {"Id": physical_id}


KINDS: Final = (
    Kind(
        type_name="AWS::Lambda::Function",
        properties=only(
            *_CONFIGURATION,
            *("Architectures", "Code", "Environment", "FunctionName", "KmsKeyArn", "PackageType"),
            *("ReservedConcurrentExecutions", "Tags"),
        ),
        create=_create_function,
        update=_update_function,
        delete=_delete_function,
        read=_read_function,
    ),
    Kind(
        type_name="AWS::Lambda::Version",
        properties=only("FunctionName", "Description", "CodeSha256"),
        create=_create_version,
        delete=_delete_version,
        read=_read_version,
    ),
    Kind(
        type_name="AWS::Lambda::Alias",
        properties=only("FunctionName", "FunctionVersion", "Name", "Description", "RoutingConfig"),
        create=_create_alias,
        update=_update_alias,
        delete=_delete_alias,
        read=_read_alias,
    ),
    Kind(
        type_name="AWS::Lambda::Permission",
        properties=only(
            *("Action", "EventSourceToken", "FunctionName", "FunctionUrlAuthType", "Principal"),
            *("PrincipalOrgID", "SourceAccount", "SourceArn"),
        ),
        create=_create_permission,
        delete=_delete_permission,
        read=_read_permission,
    ),
    Kind(
        type_name="AWS::Lambda::EventInvokeConfig",
        properties=only(
            *("FunctionName", "Qualifier", "DestinationConfig", "MaximumEventAgeInSeconds"),
            "MaximumRetryAttempts",
        ),
        create=_put_invoke_config,
        update=_update_invoke_config,
        delete=_delete_invoke_config,
    ),
    Kind(
        type_name="AWS::Lambda::LayerVersion",
        properties=only(
            *("LayerName", "Content", "Description", "CompatibleRuntimes", "LicenseInfo"),
            "CompatibleArchitectures",
        ),
        create=_create_layer,
        delete=_delete_layer,
        read=_read_layer,
    ),
    Kind(
        type_name="AWS::Lambda::LayerVersionPermission",
        properties=only("LayerVersionArn", "Action", "Principal", "OrganizationId"),
        create=_create_layer_permission,
        delete=_delete_layer_permission,
        read=_read_layer_permission,
    ),
    Kind(
        type_name="AWS::Lambda::EventSourceMapping",
        properties=only(
            *("BatchSize", "BisectBatchOnFunctionError", "DestinationConfig", "Enabled"),
            *("EventSourceArn", "FilterCriteria", "FunctionName", "FunctionResponseTypes"),
            *("KmsKeyArn", "MaximumBatchingWindowInSeconds", "MaximumRecordAgeInSeconds"),
            *("MaximumRetryAttempts", "ParallelizationFactor", "ScalingConfig"),
            *("StartingPosition", "Tags", "TumblingWindowInSeconds"),
        ),
        create=_create_mapping,
        update=_update_mapping,
        delete=_delete_mapping,
        read=_read_mapping,
    ),
)
