"""``AWS::IAM::*``: roles and policies over IAM's own operations.

Policies are stored and given back, not enforced: local callers may do everything.
"""

import json
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
)

_SERVICE: Final = "iam"
_SESSION_SECONDS: Final = 3600


def _document(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def _create_role(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("RoleName"))
    await work.services.call(
        _SERVICE,
        "CreateRole",
        RoleName=name,
        AssumeRolePolicyDocument=_document(properties["AssumeRolePolicyDocument"]),
        Path=properties.get("Path"),
        Description=properties.get("Description"),
        MaxSessionDuration=properties.get("MaxSessionDuration"),
        PermissionsBoundary=properties.get("PermissionsBoundary"),
        Tags=work.tag_list(properties),
    )
    work.note(name)
    for arn in properties.get("ManagedPolicyArns", []):
        await work.services.call(_SERVICE, "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    for policy in properties.get("Policies", []):
        await _put_inline(work, name, policy)
    return name


async def _put_inline(work: Work, role: str, policy: Mapping[str, Any]) -> None:
    await work.services.call(
        _SERVICE,
        "PutRolePolicy",
        RoleName=role,
        PolicyName=policy["PolicyName"],
        PolicyDocument=_document(policy["PolicyDocument"]),
    )


async def _update_role(work: Work, change: Change) -> None:
    name, call = change.physical_id, work.services.call
    if change.touches("AssumeRolePolicyDocument"):
        document = _document(change.new["AssumeRolePolicyDocument"])
        await call(_SERVICE, "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=document)
    if change.touches("Description", "MaxSessionDuration"):
        await call(
            _SERVICE,
            "UpdateRole",
            RoleName=name,
            Description=change.new.get("Description", ""),
            MaxSessionDuration=change.new.get("MaxSessionDuration", _SESSION_SECONDS),
        )
    if change.touches("PermissionsBoundary"):
        boundary = change.new.get("PermissionsBoundary")
        if boundary is None:
            await call(_SERVICE, "DeleteRolePermissionsBoundary", RoleName=name)
        else:
            await call(
                _SERVICE,
                "PutRolePermissionsBoundary",
                RoleName=name,
                PermissionsBoundary=boundary,
            )
    await _update_policies(work, change)
    if change.gone_tags:
        await call(_SERVICE, "UntagRole", RoleName=name, TagKeys=change.gone_tags)
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await call(_SERVICE, "TagRole", RoleName=name, Tags=tags)


async def _update_policies(work: Work, change: Change) -> None:
    name, call = change.physical_id, work.services.call
    old_arns = set(change.old.get("ManagedPolicyArns", []))
    new_arns = set(change.new.get("ManagedPolicyArns", []))
    for arn in sorted(new_arns - old_arns):
        await call(_SERVICE, "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    for arn in sorted(old_arns - new_arns):
        await gone_is_fine(call(_SERVICE, "DetachRolePolicy", RoleName=name, PolicyArn=arn))
    old = {policy["PolicyName"]: policy for policy in change.old.get("Policies", [])}
    new = {policy["PolicyName"]: policy for policy in change.new.get("Policies", [])}
    for policy_name, policy in new.items():
        if old.get(policy_name) != policy:
            await _put_inline(work, name, policy)
    for policy_name in sorted(set(old) - set(new)):
        await gone_is_fine(
            call(_SERVICE, "DeleteRolePolicy", RoleName=name, PolicyName=policy_name)
        )


async def _delete_role(work: Work, name: str, properties: Properties) -> None:
    call = work.services.call
    for policy in properties.get("Policies", []):
        await gone_is_fine(
            call(_SERVICE, "DeleteRolePolicy", RoleName=name, PolicyName=policy["PolicyName"])
        )
    for arn in properties.get("ManagedPolicyArns", []):
        await gone_is_fine(call(_SERVICE, "DetachRolePolicy", RoleName=name, PolicyArn=arn))
    await gone_is_fine(call(_SERVICE, "DeleteRole", RoleName=name))


async def _read_role(work: Work, name: str, _: Properties) -> dict[str, Any]:
    role = (await work.services.call(_SERVICE, "GetRole", RoleName=name))["Role"]
    return {"Arn": role["Arn"], "RoleId": role["RoleId"]}


_HOLDERS: Final = (
    ("Roles", "PutRolePolicy", "DeleteRolePolicy", "RoleName"),
    ("Users", "PutUserPolicy", "DeleteUserPolicy", "UserName"),
    ("Groups", "PutGroupPolicy", "DeleteGroupPolicy", "GroupName"),
)


async def _put_policy(work: Work, properties: Properties) -> None:
    if not any(properties.get(holders) for holders, *_ in _HOLDERS):
        raise ResourceFailed("At least one of [Groups,Roles,Users] must be non-empty.")
    for holders, put, _, member in _HOLDERS:
        for holder in properties.get(holders, []):
            await work.services.call(
                _SERVICE,
                put,
                **{member: holder},
                PolicyName=properties["PolicyName"],
                PolicyDocument=_document(properties["PolicyDocument"]),
            )


async def _create_policy(work: Work, properties: Properties) -> str:
    physical_id = work.name(None)
    work.note(physical_id)
    await _put_policy(work, properties)
    return physical_id


async def _update_policy(work: Work, change: Change) -> None:
    await _put_policy(work, change.new)
    kept = {name: change.new.get(name, []) for name, *_ in _HOLDERS}
    if change.touches("PolicyName"):
        kept = {}
    gone = {
        **change.old,
        **{
            name: [h for h in change.old.get(name, []) if h not in kept.get(name, [])]
            for name, *_ in _HOLDERS
        },
    }
    await _delete_policy(work, change.physical_id, gone)


async def _delete_policy(work: Work, _: str, properties: Properties) -> None:
    for holders, _put, delete, member in _HOLDERS:
        for holder in properties.get(holders, []):
            await gone_is_fine(
                work.services.call(
                    _SERVICE, delete, **{member: holder}, PolicyName=properties["PolicyName"]
                )
            )


async def _create_managed(work: Work, properties: Properties) -> str:
    made = await work.services.call(
        _SERVICE,
        "CreatePolicy",
        PolicyName=work.name(properties.get("ManagedPolicyName")),
        PolicyDocument=_document(properties["PolicyDocument"]),
        Path=properties.get("Path"),
        Description=properties.get("Description"),
    )
    arn = str(made["Policy"]["Arn"])
    work.note(arn)
    for role in properties.get("Roles", []):
        await work.services.call(_SERVICE, "AttachRolePolicy", RoleName=role, PolicyArn=arn)
    return arn


async def _update_managed(work: Work, change: Change) -> None:
    arn, call = change.physical_id, work.services.call
    if change.touches("PolicyDocument"):
        found = await call(_SERVICE, "ListPolicyVersions", PolicyArn=arn)
        await call(
            _SERVICE,
            "CreatePolicyVersion",
            PolicyArn=arn,
            PolicyDocument=_document(change.new["PolicyDocument"]),
            SetAsDefault=True,
        )
        for version in found["Versions"]:  # a policy has five versions at most
            await call(
                _SERVICE, "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"]
            )
    old, new = (set(side.get("Roles", [])) for side in (change.old, change.new))
    for role in sorted(new - old):
        await call(_SERVICE, "AttachRolePolicy", RoleName=role, PolicyArn=arn)
    for role in sorted(old - new):
        await gone_is_fine(call(_SERVICE, "DetachRolePolicy", RoleName=role, PolicyArn=arn))


async def _delete_managed(work: Work, arn: str, properties: Properties) -> None:
    call = work.services.call
    for role in properties.get("Roles", []):
        await gone_is_fine(call(_SERVICE, "DetachRolePolicy", RoleName=role, PolicyArn=arn))
    await gone_is_fine(call(_SERVICE, "DeletePolicy", PolicyArn=arn))


async def _read_managed(work: Work, arn: str, _: Properties) -> dict[str, Any]:
    policy = (await work.services.call(_SERVICE, "GetPolicy", PolicyArn=arn))["Policy"]
    return {"PolicyArn": arn, "PolicyId": policy["PolicyId"]}


KINDS: Final = (
    Kind(
        type_name="AWS::IAM::Role",
        properties=only(
            *("AssumeRolePolicyDocument", "Description", "ManagedPolicyArns"),
            *("MaxSessionDuration", "Path", "PermissionsBoundary", "Policies", "RoleName", "Tags"),
        ),
        create=_create_role,
        update=_update_role,
        delete=_delete_role,
        read=_read_role,
    ),
    Kind(
        type_name="AWS::IAM::Policy",
        properties=only("PolicyName", "PolicyDocument", "Roles", "Users", "Groups"),
        create=_create_policy,
        update=_update_policy,
        delete=_delete_policy,
    ),
    Kind(
        type_name="AWS::IAM::ManagedPolicy",
        properties=only("ManagedPolicyName", "PolicyDocument", "Path", "Description", "Roles"),
        create=_create_managed,
        update=_update_managed,
        delete=_delete_managed,
        read=_read_managed,
    ),
)
