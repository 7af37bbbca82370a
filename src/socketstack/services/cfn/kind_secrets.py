"""Secrets, parameters and keys: Secrets Manager, SSM, KMS.

Values of secrets never enter events, status reasons or answers.
"""

import json
from typing import Any, Final

from socketstack.services.cfn.errors import ResourceFailed
from socketstack.services.cfn.kinds import Change, Kind, Properties, Work, gone_is_fine, only

_PASSWORD_MEMBERS: Final = (
    "ExcludeCharacters",
    "ExcludeLowercase",
    "ExcludeNumbers",
    "ExcludePunctuation",
    "ExcludeUppercase",
    "IncludeSpace",
    "PasswordLength",
    "RequireEachIncludedType",
)


async def _secret_string(work: Work, properties: Properties) -> str:
    given, options = properties.get("SecretString"), properties.get("GenerateSecretString")
    if given is not None and options is not None:
        raise ResourceFailed("SecretString and GenerateSecretString exclude each other")
    if options is None:
        return "" if given is None else str(given)
    members = {name: options[name] for name in _PASSWORD_MEMBERS if name in options}
    made = await work.services.call("secretsmanager", "GetRandomPassword", **members)
    password = str(made["RandomPassword"])
    template, key = options.get("SecretStringTemplate"), options.get("GenerateStringKey")
    if (template is None) != (key is None):
        raise ResourceFailed("SecretStringTemplate and GenerateStringKey need each other")
    if template is None:
        return password
    try:
        document = json.loads(template)
    except ValueError as error:
        raise ResourceFailed("SecretStringTemplate is not JSON") from error
    if not isinstance(document, dict):
        raise ResourceFailed("SecretStringTemplate is not a JSON object")
    return json.dumps(document | {str(key): password})


async def _create_secret(work: Work, properties: Properties) -> str:
    made = await work.services.call(
        "secretsmanager",
        "CreateSecret",
        Name=work.name(properties.get("Name"), limit=512),
        SecretString=await _secret_string(work, properties) or None,
        Description=properties.get("Description"),
        KmsKeyId=properties.get("KmsKeyId"),
        Tags=work.tag_list(properties),
        ClientRequestToken=work.ids.uuid(),
    )
    work.note(made["ARN"])
    return str(made["ARN"])


async def _update_secret(work: Work, change: Change) -> None:
    call = work.services.call
    if change.touches("SecretString", "GenerateSecretString", "Description", "KmsKeyId"):
        is_new_value = change.touches("SecretString", "GenerateSecretString")
        value = await _secret_string(work, change.new) if is_new_value else ""
        await call(
            "secretsmanager",
            "UpdateSecret",
            SecretId=change.physical_id,
            SecretString=value or None,
            Description=change.new.get("Description", ""),
            KmsKeyId=change.new.get("KmsKeyId"),
            ClientRequestToken=work.ids.uuid(),
        )
    if change.gone_tags:
        await call(
            "secretsmanager",
            "UntagResource",
            SecretId=change.physical_id,
            TagKeys=change.gone_tags,
        )
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await call("secretsmanager", "TagResource", SecretId=change.physical_id, Tags=tags)


async def _delete_secret(work: Work, arn: str, _: Properties) -> None:
    await gone_is_fine(
        work.services.call(
            "secretsmanager", "DeleteSecret", SecretId=arn, ForceDeleteWithoutRecovery=True
        )
    )


async def _read_id(work: Work, physical_id: str, _: Properties) -> dict[str, Any]:
    del work
    return {"Id": physical_id}


async def _put_resource_policy(work: Work, properties: Properties) -> str:
    await work.services.call(
        "secretsmanager",
        "PutResourcePolicy",
        SecretId=properties["SecretId"],
        ResourcePolicy=json.dumps(properties["ResourcePolicy"]),
    )
    work.note(str(properties["SecretId"]))
    return str(properties["SecretId"])


async def _update_resource_policy(work: Work, change: Change) -> None:
    await _put_resource_policy(work, change.new)


async def _delete_resource_policy(work: Work, arn: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("secretsmanager", "DeleteResourcePolicy", SecretId=arn))


async def _create_parameter(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("Name"), limit=1011)
    await work.services.call(
        "ssm",
        "PutParameter",
        **{**properties, "Name": name, "Tags": work.tag_list(properties)},
    )
    work.note(name)
    return name


async def _update_parameter(work: Work, change: Change) -> None:
    members = {n: v for n, v in change.new.items() if n != "Tags"}
    await work.services.call(
        "ssm", "PutParameter", **{**members, "Name": change.physical_id, "Overwrite": True}
    )
    place = {"ResourceType": "Parameter", "ResourceId": change.physical_id}
    if change.gone_tags:
        await work.services.call("ssm", "RemoveTagsFromResource", **place, TagKeys=change.gone_tags)
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await work.services.call("ssm", "AddTagsToResource", **place, Tags=tags)


async def _delete_parameter(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("ssm", "DeleteParameter", Name=name))


async def _read_parameter(work: Work, name: str, _: Properties) -> dict[str, Any]:
    found = (await work.services.call("ssm", "GetParameter", Name=name))["Parameter"]
    return {"Type": found["Type"], "Value": found["Value"]}


async def _create_key(work: Work, properties: Properties) -> str:
    policy = properties.get("KeyPolicy")
    tags = [{"TagKey": k, "TagValue": v} for k, v in work.tags(properties).items()]
    made = await work.services.call(
        "kms",
        "CreateKey",
        Description=properties.get("Description"),
        KeySpec=properties.get("KeySpec"),
        KeyUsage=properties.get("KeyUsage"),
        MultiRegion=properties.get("MultiRegion"),
        Policy=None if policy is None else json.dumps(policy),
        Tags=tags or None,
    )
    key_id = str(made["KeyMetadata"]["KeyId"])
    work.note(key_id)
    if properties.get("EnableKeyRotation"):
        await work.services.call("kms", "EnableKeyRotation", KeyId=key_id)
    return key_id


async def _update_key(work: Work, change: Change) -> None:
    key_id, call = change.physical_id, work.services.call
    if change.touches("Description"):
        description = change.new.get("Description", "")
        await call("kms", "UpdateKeyDescription", KeyId=key_id, Description=description)
    if change.touches("KeyPolicy") and "KeyPolicy" in change.new:
        policy = json.dumps(change.new["KeyPolicy"])
        await call("kms", "PutKeyPolicy", KeyId=key_id, PolicyName="default", Policy=policy)
    if change.touches("EnableKeyRotation"):
        verb = "Enable" if change.new.get("EnableKeyRotation") else "Disable"
        await call("kms", f"{verb}KeyRotation", KeyId=key_id)
    if change.gone_tags:
        await call("kms", "UntagResource", KeyId=key_id, TagKeys=change.gone_tags)
    if change.set_tags:
        tags = [{"TagKey": key, "TagValue": value} for key, value in change.set_tags.items()]
        await call("kms", "TagResource", KeyId=key_id, Tags=tags)


async def _delete_key(work: Work, key_id: str, properties: Properties) -> None:
    await gone_is_fine(
        work.services.call(
            "kms",
            "ScheduleKeyDeletion",
            KeyId=key_id,
            PendingWindowInDays=properties.get("PendingWindowInDays", 30),
        )
    )


async def _read_key(work: Work, key_id: str, _: Properties) -> dict[str, Any]:
    return {"KeyId": key_id, "Arn": work.arn("kms", f"key/{key_id}")}


async def _create_key_alias(work: Work, properties: Properties) -> str:
    await work.services.call("kms", "CreateAlias", **properties)
    work.note(str(properties["AliasName"]))
    return str(properties["AliasName"])


async def _update_key_alias(work: Work, change: Change) -> None:
    await work.services.call("kms", "UpdateAlias", **change.new)


async def _delete_key_alias(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("kms", "DeleteAlias", AliasName=name))


KINDS: Final = (
    Kind(
        type_name="AWS::SecretsManager::Secret",
        properties=only(
            *("Description", "GenerateSecretString", "KmsKeyId", "Name", "SecretString", "Tags"),
        ),
        create=_create_secret,
        update=_update_secret,
        delete=_delete_secret,
        read=_read_id,
    ),
    Kind(
        type_name="AWS::SecretsManager::ResourcePolicy",
        properties=only("SecretId", "ResourcePolicy"),
        create=_put_resource_policy,
        update=_update_resource_policy,
        delete=_delete_resource_policy,
        read=_read_id,
    ),
    Kind(
        type_name="AWS::SSM::Parameter",
        properties=only(
            *("AllowedPattern", "DataType", "Description", "Name", "Tags", "Tier", "Type", "Value"),
        ),
        create=_create_parameter,
        update=_update_parameter,
        delete=_delete_parameter,
        read=_read_parameter,
    ),
    Kind(
        type_name="AWS::KMS::Key",
        properties=only(
            *("Description", "EnableKeyRotation", "KeyPolicy", "KeySpec", "KeyUsage"),
            *("MultiRegion", "PendingWindowInDays", "Tags"),
        ),
        create=_create_key,
        update=_update_key,
        delete=_delete_key,
        read=_read_key,
        replaces=only("KeySpec", "KeyUsage", "MultiRegion"),
    ),
    Kind(
        type_name="AWS::KMS::Alias",
        properties=only("AliasName", "TargetKeyId"),
        create=_create_key_alias,
        update=_update_key_alias,
        delete=_delete_key_alias,
    ),
)
