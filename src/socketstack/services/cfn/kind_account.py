"""API Gateway's settings of an account: the role that lets it write logs. Rule 1.96."""

from typing import Final

from socketstack.services.cfn.kinds import Change, Kind, Properties, Work, only


async def _create(work: Work, properties: Properties) -> str:
    name = work.name(None)
    await _set_role(work, properties)
    work.note(name)
    return name


async def _update(work: Work, change: Change) -> None:
    await _set_role(work, change.new)


async def _set_role(work: Work, properties: Properties) -> None:
    role = str(properties.get("CloudWatchRoleArn") or "")
    operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
    await work.services.call("apigateway", "UpdateAccount", patchOperations=[operation])


async def _delete(work: Work, physical_id: str, properties: Properties) -> None:
    # Nothing, as on AWS: other stacks of the account and region may need the role.
    del work, physical_id, properties


async def _read(work: Work, physical_id: str, properties: Properties) -> dict[str, str]:
    del work, properties
    return {"Id": physical_id}


KINDS: Final = (
    Kind(
        type_name="AWS::ApiGateway::Account",
        properties=only("CloudWatchRoleArn"),
        create=_create,
        update=_update,
        delete=_delete,
        read=_read,
    ),
)
