"""One CloudFormation stack: change sets, waiting, events, deletion.

The same calls go to the engine and to AWS; only the time between two looks differs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from socketstack.clock import SystemClock
from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit import changes
from socketstack.kit.changes import Change
from socketstack.kit.cloud import Cloud, is_expired, is_throttled
from socketstack.kit.packages import Say
from socketstack.kit.waiting import poll

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import ChangeSetTypeType
    from mypy_boto3_cloudformation.type_defs import (
        CreateChangeSetInputTypeDef,
        DescribeChangeSetOutputTypeDef,
        ParameterTypeDef,
        StackEventTypeDef,
        StackTypeDef,
    )

_NEVER_FINISHED: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
"""The stack was never there: it can only be deleted, and nothing is lost by that."""
_UPDATABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_SUCCEEDED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")
_CONSEQUENCE: Final = "cancelled"
"""CloudFormation marks resources it gave up because another one failed."""
_AFTERMATH: Final[Mapping[str, str]] = {
    "ROLLBACK_COMPLETE": (
        "Nothing of it is left but its events; the next deployment removes those too."
    ),
    "UPDATE_ROLLBACK_COMPLETE": "What was deployed before is in place again.",
    "UPDATE_ROLLBACK_FAILED": (
        "Going back failed as well: repair what is named, then continue the rollback "
        "(aws cloudformation continue-update-rollback)."
    ),
    "DELETE_FAILED": "What is named stands in the way; remove that, then try again.",
}
"""What a failure leaves, by the stack's last status."""
_LOOK_AGAIN: Final = "run the same command again to see how it ended."

Agree = Callable[[Sequence[Change]], bool]
"""Sees what is about to change; whether it may happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    """A template as CloudFormation takes it: its text, or an address in S3."""

    body: str | None = None
    url: str | None = None


class Stack:
    """A stack by name."""

    def __init__(self, cloud: Cloud, name: str, *, say: Say = lambda _line: None) -> None:
        self.name = name
        self._cloud = cloud
        self._say = say
        self._client: CloudFormationClient = cloud.cloudformation()

    def describe(self, stack_id: str | None = None) -> "StackTypeDef | None":
        """What CloudFormation knows of it; None when it does not exist."""
        try:
            found = self._client.describe_stacks(StackName=stack_id or self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return found[0] if found else None

    def parameters(self) -> dict[str, str] | None:
        """Its parameters as they are now; None when it does not exist."""
        stack = self.describe()
        if stack is None:
            return None
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}

    def outputs(self) -> dict[str, str]:
        """Its outputs by name."""
        stack = self.describe()
        outputs = [] if stack is None else stack.get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def physical_ids(self, stack_id: str | None = None) -> dict[str, tuple[str, str]]:
        """Logical id to type and physical id, for every resource that has one."""
        pages = self._client.get_paginator("list_stack_resources")
        return {
            entry["LogicalResourceId"]: (entry["ResourceType"], entry["PhysicalResourceId"])
            for page in pages.paginate(StackName=stack_id or self.name)
            for entry in page["StackResourceSummaries"]
            if entry.get("PhysicalResourceId") and entry["ResourceStatus"] != "DELETE_COMPLETE"
        }

    def resources(self) -> dict[str, tuple[str, str]]:
        """As ``physical_ids``; empty when the stack does not exist."""
        return {} if self.describe() is None else self.physical_ids()

    def apply(
        self,
        source: TemplateSource,
        *,
        known_parameters: tuple[str, ...],
        parameters: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
        agree: Agree = lambda _changes: True,
    ) -> bool:
        """Create or update the stack; returns False when there was nothing to change.

        Args:
            source: The template.
            known_parameters: Names of the template's parameters.
            parameters: Values for some of them; others keep what they have.
            tags: Tags of the stack, which CloudFormation puts on its resources.
            agree: Sees the changes before any of them is made, and may forbid them all.

        Raises:
            DeploymentFailed: with the resources that failed.
            ConfigError: the stack is in a state that this command does not touch, or ``agree``
                said no; then nothing is left of the attempt.
        """
        stack = self._usable()
        kind: ChangeSetTypeType = "CREATE" if stack is None else "UPDATE"
        values = _parameters(stack, known_parameters, parameters)
        change_set = self._create_change_set(kind, source, values, tags or {})
        if change_set is None:
            return False
        if not agree(changes.read(self._changes(change_set))):
            self._discard(change_set)
            message = "Nothing was changed. Answer y, or set YES=1, to go on."
            raise ConfigError(message)
        last_event = next((event["EventId"] for event in self._events(change_set.stack_id)), None)
        self._client.execute_change_set(StackName=self.name, ChangeSetName=change_set.id)
        self._wait(change_set.stack_id, last_event, _SUCCEEDED)
        return True

    def delete(self) -> list[str] | None:
        """Delete the stack; returns physical ids of what its template keeps.

        None when there is no such stack. Raises ``DeploymentFailed`` when it cannot be deleted.
        """
        stack = self.describe()
        if stack is None:
            return None
        stack_id = stack["StackId"]
        resources = self.physical_ids(stack_id)
        last_event = next((event["EventId"] for event in self._events(stack_id)), None)
        self._client.delete_stack(StackName=self.name)
        self._wait(stack_id, last_event, frozenset({"DELETE_COMPLETE"}))
        kept = {
            event["LogicalResourceId"]
            for event in self._events(stack_id)
            if event.get("ResourceStatus") == "DELETE_SKIPPED"
        }
        return sorted(
            f"{resources[name][0]} {resources[name][1]}" for name in kept & set(resources)
        )

    def _usable(self) -> "StackTypeDef | None":
        stack = self.describe()
        status = "" if stack is None else stack["StackStatus"]
        if status in {"", "REVIEW_IN_PROGRESS"}:
            return None
        if status in _NEVER_FINISHED:
            self._say(f"Removing {self.name}, which is {status}")
            self.delete()
            return None
        if status in _UPDATABLE:
            return stack
        message = (
            f"The stack {self.name} is {status}. Wait until CloudFormation has finished, or "
            "repair it in the CloudFormation console, then deploy again."
        )
        raise ConfigError(message)

    def _create_change_set(
        self,
        kind: "ChangeSetTypeType",
        source: TemplateSource,
        parameters: "list[ParameterTypeDef]",
        tags: Mapping[str, str],
    ) -> "_ChangeSet | None":
        request: CreateChangeSetInputTypeDef = {
            "StackName": self.name,
            "ChangeSetName": f"socketstack-{SystemClock().now_ms()}",
            "ChangeSetType": kind,
            "Parameters": parameters,
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        }
        if tags:  # an empty list would take those away that the stack has
            request["Tags"] = [{"Key": name, "Value": value} for name, value in tags.items()]
        if source.url is not None:
            request["TemplateURL"] = source.url
        elif source.body is not None:
            request["TemplateBody"] = source.body
        try:
            made = self._client.create_change_set(**request)
        except ClientError as error:
            if any(text in str(error) for text in _NO_CHANGES):
                return None  # emulators say so here, AWS in the change set's status
            raise
        change_set = _ChangeSet(id=made["Id"], stack_id=made["StackId"], kind=kind)
        done = poll(
            lambda: self._finished(change_set),
            every_seconds=self._cloud.poll_seconds,
            timeout_seconds=self._cloud.limit_seconds,
        )
        if done is not None and done["Status"] == "CREATE_COMPLETE":
            return change_set
        reason = "it did not finish in time" if done is None else done.get("StatusReason", "")
        self._discard(change_set)
        if any(text in reason for text in _NO_CHANGES):
            return None
        message = f"The stack {self.name} cannot be changed as asked: {reason}"
        raise DeploymentFailed(message)

    def _discard(self, change_set: "_ChangeSet") -> None:
        """Leave nothing of a change set that is not executed; their number is limited."""
        self._client.delete_change_set(StackName=self.name, ChangeSetName=change_set.id)
        if change_set.kind == "CREATE":
            # The stack that was to be made exists as a name without resources.
            self._client.delete_stack(StackName=change_set.stack_id)

    def _changes(self, change_set: "_ChangeSet") -> Iterator[Mapping[str, Any]]:
        pages = self._client.get_paginator("describe_change_set")
        for page in pages.paginate(StackName=self.name, ChangeSetName=change_set.id):
            yield from page["Changes"]

    def _finished(self, change_set: "_ChangeSet") -> "DescribeChangeSetOutputTypeDef | None":
        found = self._client.describe_change_set(StackName=self.name, ChangeSetName=change_set.id)
        return found if found["Status"] in {"CREATE_COMPLETE", "FAILED"} else None

    def _wait(self, stack_id: str, last_event: str | None, wanted: frozenset[str]) -> None:
        told: set[str] = set()
        goes_on = f"CloudFormation goes on with {self.name} without us"
        try:
            status = poll(
                lambda: self._settled(stack_id, last_event, told),
                every_seconds=self._cloud.poll_seconds,
                timeout_seconds=self._cloud.limit_seconds,
            )
        except ClientError as error:
            if not is_expired(error):
                raise
            message = f"The AWS credentials expired meanwhile. {goes_on}; {_LOOK_AGAIN}"
            raise ConfigError(message) from error
        except KeyboardInterrupt:
            self._say(f"{goes_on}; {_LOOK_AGAIN}")
            raise
        if status in wanted:
            return
        failures = "".join(
            f"\n  {event['LogicalResourceId']} ({event.get('ResourceType', '')}): "
            f"{event.get('ResourceStatusReason', 'no reason given')}"
            for event in reversed(list(self._new_events(stack_id, last_event)))
            if _is_cause(event)
        )
        aftermath = _AFTERMATH.get(status or "", "")
        message = f"The stack {self.name} ended as {status or 'unfinished'}.{failures}"
        if aftermath:
            message += f"\n{aftermath}"
        raise DeploymentFailed(message)

    def _settled(self, stack_id: str, last_event: str | None, told: set[str]) -> str | None:
        try:
            return self._look(stack_id, last_event, told)
        except ClientError as error:
            if is_throttled(error):
                return None  # it will answer the next time; what is at work does not stop for it
            raise

    def _look(self, stack_id: str, last_event: str | None, told: set[str]) -> str | None:
        if not self._cloud.is_local:
            for event in reversed(list(self._new_events(stack_id, last_event))):
                if event["EventId"] not in told:
                    told.add(event["EventId"])
                    self._say(_line(event))
        stack = self.describe(stack_id)
        if stack is None:
            return "DELETE_COMPLETE"
        status = stack["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    def _events(self, stack_id: str) -> "Iterator[StackEventTypeDef]":
        """Newest first."""
        pages = self._client.get_paginator("describe_stack_events")
        try:
            for page in pages.paginate(StackName=stack_id):
                yield from page["StackEvents"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise

    def _new_events(self, stack_id: str, last_event: str | None) -> "Iterator[StackEventTypeDef]":
        for event in self._events(stack_id):
            if event["EventId"] == last_event:
                return
            yield event


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChangeSet:
    id: str
    stack_id: str
    kind: str


def _line(event: "StackEventTypeDef") -> str:
    """An event as progress: when, what, which; and why, where something failed."""
    status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
    line = f"{event['Timestamp']:%H:%M:%S}  {status:<28}  {event.get('LogicalResourceId', '')}"
    return f"{line}: {reason}" if reason and status.endswith("_FAILED") else line


def _is_cause(event: "StackEventTypeDef") -> bool:
    is_failure = event.get("ResourceStatus", "").endswith("_FAILED")
    return is_failure and _CONSEQUENCE not in event.get("ResourceStatusReason", "").lower()


def _parameters(
    stack: "StackTypeDef | None", known: tuple[str, ...], given: Mapping[str, str]
) -> "list[ParameterTypeDef]":
    """Given values; what is not given keeps the value that the stack has."""
    held = [] if stack is None else stack.get("Parameters", [])
    before = {parameter.get("ParameterKey") for parameter in held}
    values: list[ParameterTypeDef] = [
        {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
    ]
    return values + [
        {"ParameterKey": name, "UsePreviousValue": True}
        for name in known
        if name in before and name not in given
    ]
