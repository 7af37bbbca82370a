"""How stacks, events and change sets look in answers: members of the service model."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from socketstack.services.cfn import plan
from socketstack.services.cfn.parameters import MASKED, is_secret
from socketstack.services.cfn.stack import (
    ChangeSet,
    Event,
    Output,
    ResourceChange,
    Stack,
    Target,
)
from socketstack.services.cfn.template import Document, transforms
from socketstack.services.cfn.values import text

_NOT_DRIFTED: Final = {"StackDriftStatus": "NOT_CHECKED"}


def moment(time_ms: int | None) -> datetime | None:
    """Epoch milliseconds as the serializer wants time."""
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC)


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def stack(one: Stack) -> dict[str, Any]:
    """A stack as DescribeStacks shows it."""
    target = one.target
    return present(
        {
            "StackId": one.stack_id,
            "StackName": one.name,
            "ChangeSetId": one.change_set_id,
            "Description": one.document.get("Description"),
            "Parameters": None if target is None else parameters(target) or None,
            "CreationTime": moment(one.created_ms),
            "LastUpdatedTime": moment(one.updated_ms),
            "DeletionTime": moment(one.deleted_ms),
            "RollbackConfiguration": {},
            "StackStatus": one.status,
            "StackStatusReason": one.reason,
            "DisableRollback": one.disable_rollback,
            "NotificationARNs": [],
            "TimeoutInMinutes": one.timeout_minutes,
            "Capabilities": [] if target is None else list(target.capabilities),
            "Outputs": [output(entry) for entry in one.outputs] or None,
            "RoleARN": None if target is None else target.role_arn,
            "Tags": [] if target is None else tags(target),
            "EnableTerminationProtection": one.termination_protection,
            "DriftInformation": _NOT_DRIFTED,
        }
    )


def summary(one: Stack) -> dict[str, Any]:
    """A stack as ListStacks shows it."""
    return present(
        {
            "StackId": one.stack_id,
            "StackName": one.name,
            "TemplateDescription": one.document.get("Description"),
            "CreationTime": moment(one.created_ms),
            "LastUpdatedTime": moment(one.updated_ms),
            "DeletionTime": moment(one.deleted_ms),
            "StackStatus": one.status,
            "StackStatusReason": one.reason,
            "DriftInformation": _NOT_DRIFTED,
        }
    )


def parameters(target: Target) -> list[dict[str, str]]:
    """Parameter values; those with NoEcho are masked."""
    declared = target.template.document.get("Parameters", {})
    return [
        {
            "ParameterKey": name,
            "ParameterValue": MASKED if is_secret(declared.get(name, {})) else value,
        }
        for name, value in target.parameters.items()
    ]


def tags(target: Target) -> list[dict[str, str]]:
    """The stack's tags."""
    return [{"Key": key, "Value": value} for key, value in target.tags.items()]


def output(one: Output) -> dict[str, Any]:
    """One output."""
    return present(
        {
            "OutputKey": one.key,
            "OutputValue": one.value,
            "Description": one.description,
            "ExportName": one.export_name,
        }
    )


def event(owner: Stack, one: Event) -> dict[str, Any]:
    """One event."""
    return present(
        {
            "StackId": owner.stack_id,
            "EventId": one.event_id,
            "StackName": owner.name,
            "LogicalResourceId": one.logical_id,
            "PhysicalResourceId": one.physical_id,
            "ResourceType": one.type_name,
            "Timestamp": moment(one.time_ms),
            "ResourceStatus": one.status,
            "ResourceStatusReason": one.reason,
        }
    )


def resource(owner: Stack, logical_id: str, *, time_member: str) -> dict[str, Any]:
    """One resource with its status."""
    state = owner.states[logical_id]
    return present(
        {
            "StackName": owner.name,
            "StackId": owner.stack_id,
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": state.physical_id or None,
            "ResourceType": state.type_name,
            time_member: moment(state.time_ms),
            "ResourceStatus": state.status,
            "ResourceStatusReason": state.reason,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
    )


def change_set(one: ChangeSet) -> dict[str, Any]:
    """A change set as DescribeChangeSet shows it."""
    return present(
        {
            **change_set_summary(one),
            "Parameters": parameters(one.target),
            "NotificationARNs": [],
            "RollbackConfiguration": {},
            "Capabilities": list(one.target.capabilities),
            "Tags": tags(one.target),
            "Changes": [{"Type": "Resource", "ResourceChange": change(c)} for c in one.changes],
            "OnStackFailure": one.on_failure,
        }
    )


def change_set_summary(one: ChangeSet) -> dict[str, Any]:
    """A change set as ListChangeSets shows it."""
    return present(
        {
            "ChangeSetName": one.name,
            "ChangeSetId": one.change_set_id,
            "StackId": one.stack.stack_id,
            "StackName": one.stack.name,
            "Description": one.description,
            "CreationTime": moment(one.created_ms),
            "ExecutionStatus": one.execution_status,
            "Status": one.status,
            "StatusReason": one.reason,
            "IncludeNestedStacks": False,
        }
    )


def change(one: ResourceChange) -> dict[str, Any]:
    """One line of a change set."""
    is_modify = one.action == "Modify"
    return present(
        {
            "Action": one.action,
            "LogicalResourceId": one.logical_id,
            "PhysicalResourceId": one.physical_id,
            "ResourceType": one.type_name,
            "Replacement": ("True" if one.replaces else "False") if is_modify else None,
            "Scope": list(one.scope),
            "Details": [
                {
                    "Target": {
                        "Attribute": "Properties",
                        "Name": changed.name,
                        "RequiresRecreation": "Always" if changed.is_replacing else "Never",
                    },
                    "Evaluation": "Static",
                    "ChangeSource": "DirectModification",
                }
                for changed in one.properties
                if changed.name
            ],
        }
    )


def template_summary(document: Document, processed: Document) -> dict[str, Any]:
    """What GetTemplateSummary and ValidateTemplate say of a template."""
    needed = plan.required_capabilities(processed)
    named = transforms(document)
    if named:
        needed.append("CAPABILITY_AUTO_EXPAND")
    types = sorted({str(one["Type"]) for one in document["Resources"].values()})
    reason = f"The following resource(s) require capabilities: [{', '.join(types)}]"
    return present(
        {
            "Parameters": [_declaration(n, d) for n, d in document.get("Parameters", {}).items()],
            "Description": document.get("Description"),
            "Capabilities": needed,
            "CapabilitiesReason": reason if needed else None,
            "ResourceTypes": types,
            "Version": document.get("AWSTemplateFormatVersion"),
            "DeclaredTransforms": named,
        }
    )


def _declaration(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    default, allowed = declared.get("Default"), declared.get("AllowedValues")
    return present(
        {
            "ParameterKey": name,
            "DefaultValue": None if default is None else text(default),
            "ParameterType": declared.get("Type", "String"),
            "NoEcho": is_secret(declared),
            "Description": declared.get("Description"),
            "ParameterConstraints": present(
                {"AllowedValues": None if allowed is None else [text(v) for v in allowed]}
            ),
        }
    )
