"""The operations of CloudFormation, for one region.

An operation that deploys answers when the deployment is done, or after ``PATIENCE_SECONDS`` while
it goes on: waiters of the CLI ask first and then sleep half a minute, so this saves them the
sleep. What is not listed is refused by name, and so is every member that would have no effect.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from socketstack.services.cfn import outputs, plan, prepare, views
from socketstack.services.cfn.deploy import Deployment, Tools
from socketstack.services.cfn.errors import (
    AlreadyExists,
    InvalidChangeSetStatus,
    InvalidTemplate,
    NotSupported,
)
from socketstack.services.cfn.reading import Reading
from socketstack.services.cfn.stack import ChangeSet, ResourceChange, Stack, Stacks, Target
from socketstack.services.cfn.template import check_form, parse
from socketstack.services.cfn.values import text

Members = Mapping[str, Any]
Result = dict[str, Any]

PATIENCE_SECONDS: Final = 20.0
NO_CHANGES: Final = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)

_log: Final = logging.getLogger(__name__)
_STACK_NAME: Final = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_UPDATABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "CREATE_FAILED",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_COMPLETE",
    }
)
_IGNORED_AT_AWS_TOO: Final = frozenset({"ClientRequestToken", "ClientToken"})
_TARGET_MEMBERS: Final = frozenset(
    {
        *("StackName", "TemplateBody", "TemplateURL", "UsePreviousTemplate", "Parameters", "Tags"),
        *("Capabilities", "RoleARN"),
    }
)
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "CreateStack": _TARGET_MEMBERS
    | {"DisableRollback", "OnFailure", "EnableTerminationProtection", "TimeoutInMinutes"},
    "UpdateStack": _TARGET_MEMBERS | {"DisableRollback"},
    "CreateChangeSet": _TARGET_MEMBERS
    | {"ChangeSetName", "ChangeSetType", "Description", "OnStackFailure"},
    "DeleteStack": frozenset({"StackName", "RetainResources", "RoleARN"}),
    "ExecuteChangeSet": frozenset({"ChangeSetName", "StackName", "DisableRollback"}),
}
"""Members that have an effect, for the operations that change something."""


class RegionApi:
    """CloudFormation of one region."""

    def __init__(self, tools: Tools, region: str) -> None:
        self._tools = tools
        self._region = region
        self._stacks: Stacks = tools.stacks
        self._running: set[asyncio.Task[None]] = set()
        reading = Reading(tools.stacks)
        self._operations: dict[str, Callable[[Members], Awaitable[Result]]] = {
            "CreateStack": self._create_stack,
            "UpdateStack": self._update_stack,
            "DeleteStack": self._delete_stack,
            "CreateChangeSet": self._create_change_set,
            "ExecuteChangeSet": self._execute_change_set,
            "ValidateTemplate": self._validate_template,
            "GetTemplateSummary": self._get_template_summary,
            "DeleteChangeSet": _at_once(self._delete_change_set),
            "DescribeChangeSet": _at_once(reading.describe_change_set),
            "DescribeStackEvents": _at_once(reading.describe_stack_events),
            "DescribeStackResource": _at_once(reading.describe_stack_resource),
            "DescribeStackResources": _at_once(reading.describe_stack_resources),
            "DescribeStacks": _at_once(reading.describe_stacks),
            "GetTemplate": _at_once(reading.get_template),
            "ListChangeSets": _at_once(reading.list_change_sets),
            "ListExports": _at_once(reading.list_exports),
            "ListImports": _at_once(reading.list_imports),
            "ListStackResources": _at_once(reading.list_stack_resources),
            "ListStacks": _at_once(reading.list_stacks),
            "UpdateTerminationProtection": _at_once(self._update_termination_protection),
        }

    async def answer(self, operation: str, members: Members) -> Result:
        """Carry out one operation; raises ``StackError``."""
        act = self._operations.get(operation)
        if act is None:
            raise NotSupported(f"{operation} is not supported by the local engine.")
        effective = _MEMBERS.get(operation)
        if effective is not None:
            given = {name for name, value in members.items() if value not in (None, [], {}, False)}
            idle = sorted(given - effective - _IGNORED_AT_AWS_TOO)
            if idle:
                raise NotSupported(
                    f"{operation}: {', '.join(idle)} has no effect in the local engine and is "
                    "therefore refused."
                )
        return await act(members)

    async def stop(self) -> None:
        """Cancel deployments under way and wait for them."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    # Operations that deploy

    async def _create_stack(self, members: Members) -> Result:
        name = _checked_name(members)
        existing = self._stacks.find(name)
        if existing is not None and existing.status != "REVIEW_IN_PROGRESS":
            raise AlreadyExists(f"Stack [{name}] already exists")
        stack = existing or self._new_stack(name)
        wanted = await self._target(members, stack)
        prepare.check_capabilities(wanted, must_expand=True)
        await prepare.check(stack, wanted, self._tools)
        if self._stacks.find(name) is not existing:
            raise AlreadyExists(f"Stack [{name}] already exists")
        if members.get("DisableRollback") and members.get("OnFailure"):
            raise InvalidTemplate("You can specify either DisableRollback or OnFailure, not both.")
        stack.on_failure = members.get("OnFailure", "ROLLBACK")
        stack.disable_rollback = bool(members.get("DisableRollback"))
        stack.termination_protection = bool(members.get("EnableTerminationProtection"))
        stack.timeout_minutes = members.get("TimeoutInMinutes")
        self._stacks.add(stack)
        await self._perform(stack, Deployment(stack, self._tools).create(wanted))
        return {"StackId": stack.stack_id}

    async def _update_stack(self, members: Members) -> Result:
        stack = self._updatable(str(members["StackName"]))
        wanted = await self._target(members, stack)
        prepare.check_capabilities(wanted, must_expand=True)
        await prepare.check(stack, wanted, self._tools)
        scope = await prepare.lookup(stack, wanted, self._tools, is_empty=False)
        if not await self._changes(stack, wanted) and not self._differs(stack, wanted, scope):
            raise InvalidTemplate("No updates are to be performed.")
        self._updatable(stack.stack_id)
        stack.disable_rollback = bool(members.get("DisableRollback"))
        await self._perform(stack, Deployment(stack, self._tools).update(wanted))
        return {"StackId": stack.stack_id}

    async def _delete_stack(self, members: Members) -> Result:
        stack = self._stacks.find(str(members["StackName"]))
        if stack is None or stack.deleted_ms is not None:
            return {}
        self._check_deletable(stack)
        retained = frozenset(members.get("RetainResources", ()))
        await self._perform(stack, Deployment(stack, self._tools).delete(retained))
        return {}

    def _check_deletable(self, stack: Stack) -> None:
        if stack.termination_protection:
            raise InvalidTemplate(
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        if stack.is_busy:
            raise InvalidTemplate(
                f"Stack [{stack.name}] cannot be deleted while in status {stack.status}"
            )
        for output in stack.outputs:
            if output.export_name is not None:
                users = [one.name for one in self._stacks.importers(output.export_name)]
                if users:
                    raise InvalidTemplate(
                        f"Export {output.export_name} cannot be deleted as it is in use by "
                        f"{' and '.join(users)}"
                    )

    async def _perform(self, stack: Stack, deployment: Coroutine[Any, Any, None]) -> None:
        """Start a deployment, and wait for it as long as a client would be glad of it."""
        task = asyncio.create_task(self._guarded(stack, deployment))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        pause = asyncio.create_task(self._tools.clock.sleep(PATIENCE_SECONDS))
        try:
            await asyncio.wait({task, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            await asyncio.gather(pause, return_exceptions=True)

    async def _guarded(self, stack: Stack, deployment: Coroutine[Any, Any, None]) -> None:
        try:
            await deployment
        except Exception:  # noqa: BLE001 - a border: a stack must not stay "in progress" for ever
            _log.exception("the deployment of stack %s failed unexpectedly", stack.name)
            verb = stack.status.split("_", maxsplit=1)[0]
            stack.status = f"{verb}_FAILED"
            stack.reason = "The local engine failed; see its log."

    # Change sets

    async def _create_change_set(self, members: Members) -> Result:
        kind = members.get("ChangeSetType", "UPDATE")
        if kind not in {"CREATE", "UPDATE"}:
            raise NotSupported(f"ChangeSetType {kind} is not supported by the local engine.")
        name = str(members["ChangeSetName"])
        if not _STACK_NAME.fullmatch(name):
            raise InvalidTemplate(f"Invalid change set name: {name}")
        stack = self._stack_of_change_set(members, is_create=kind == "CREATE")
        if self._stacks.find_change_set(
            name, stack.name if self._stacks.find(stack.name) else None
        ):
            raise AlreadyExists(f"ChangeSet {name} already exists for stack {stack.stack_id}")
        body = await prepare.template_text(members, self._tools.services, stack)
        made = prepare.draft(body, members, stack)
        change_set = ChangeSet(
            change_set_id=self._arn(f"changeSet/{name}/{self._tools.ids.uuid()}"),
            name=name,
            stack=stack,
            is_create=kind == "CREATE",
            created_ms=self._tools.clock.now_ms(),
            description=members.get("Description"),
            target=prepare.unprocessed(made, members),
            on_failure=members.get("OnStackFailure"),
        )
        await self._fill(change_set, made, members)
        present = self._stacks.find(stack.name)
        if present is None and change_set.is_create:
            self._stacks.add(stack)
        elif present is not stack:
            raise AlreadyExists(f"Stack [{stack.name}] was made or deleted meanwhile")
        self._stacks.add_change_set(change_set)
        return {"Id": change_set.change_set_id, "StackId": stack.stack_id}

    async def _fill(self, change_set: ChangeSet, made: prepare.Draft, members: Members) -> None:
        """Work out the changes; what cannot be deployed makes a change set that says so."""
        stack = change_set.stack
        try:
            wanted = await prepare.target(made, members, stack, self._tools.translator)
            prepare.check_capabilities(wanted, must_expand=False)
            change_set.target = wanted
            await prepare.check(stack, wanted, self._tools)
            change_set.changes = tuple(await self._changes(stack, wanted))
        except InvalidTemplate as refused:
            self._spoil(change_set, refused.message)
            return
        scope = await prepare.lookup(stack, wanted, self._tools, is_empty=False)
        if (
            not change_set.is_create
            and not change_set.changes
            and not self._differs(stack, wanted, scope)
        ):
            self._spoil(change_set, NO_CHANGES)

    @staticmethod
    def _spoil(change_set: ChangeSet, reason: str) -> None:
        change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
        change_set.reason = reason

    def _stack_of_change_set(self, members: Members, *, is_create: bool) -> Stack:
        if not is_create:
            return self._updatable(str(members["StackName"]))
        name = _checked_name(members)
        existing = self._stacks.find(name)
        if existing is None:
            return self._new_stack(name)
        if existing.status != "REVIEW_IN_PROGRESS":
            raise InvalidTemplate(
                f"Stack [{name}] already exists and cannot be created again with the changeSet "
                f"[{members['ChangeSetName']}]."
            )
        return existing

    async def _execute_change_set(self, members: Members) -> Result:
        change_set = self._change_set(members)
        stack = change_set.stack
        if change_set.execution_status != "AVAILABLE" or change_set.status != "CREATE_COMPLETE":
            shown = change_set.status
            if change_set.execution_status not in {"AVAILABLE", "UNAVAILABLE"}:
                shown = change_set.execution_status
            raise InvalidChangeSetStatus(
                f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status "
                f"of [{shown}]"
            )
        if not change_set.is_create:
            self._updatable(stack.stack_id)
        stack.disable_rollback = bool(members.get("DisableRollback"))
        stack.on_failure = change_set.on_failure or "ROLLBACK"
        stack.change_set_id = change_set.change_set_id
        for other in self._stacks.change_sets(stack):
            if other is not change_set:
                self._stacks.remove_change_set(other)
        change_set.execution_status = "EXECUTE_IN_PROGRESS"
        await self._perform(stack, self._executed(change_set))
        return {}

    async def _executed(self, change_set: ChangeSet) -> None:
        deployment = Deployment(change_set.stack, self._tools)
        if change_set.is_create:
            await deployment.create(change_set.target)
        else:
            await deployment.update(change_set.target)
        is_done = change_set.stack.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        change_set.execution_status = "EXECUTE_COMPLETE" if is_done else "EXECUTE_FAILED"

    def _delete_change_set(self, members: Members) -> Result:
        found = self._stacks.find_change_set(
            str(members["ChangeSetName"]), members.get("StackName")
        )
        if found is not None:
            if found.execution_status == "EXECUTE_IN_PROGRESS":
                raise InvalidChangeSetStatus(
                    f"ChangeSet [{found.change_set_id}] cannot be deleted while it is executed"
                )
            self._stacks.remove_change_set(found)
        return {}

    async def _get_template_summary(self, members: Members) -> Result:
        if members.get("StackName"):
            stack = self._stacks.get(str(members["StackName"]))
            if stack.target is None:
                raise InvalidTemplate(
                    "GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks."
                )
            return views.template_summary(parse(stack.target.template.text), stack.document)
        return await self._summary(members)

    async def _validate_template(self, members: Members) -> Result:
        summary = await self._summary(members)
        kept = ("Parameters", "Description", "Capabilities", "CapabilitiesReason")
        return {name: summary[name] for name in (*kept, "DeclaredTransforms") if name in summary}

    async def _summary(self, members: Members) -> Result:
        body = await prepare.template_text(members, self._tools.services, None)
        document = prepare.form_checked(parse(body))
        defaults = {
            name: text(declared.get("Default", ""))
            for name, declared in document.get("Parameters", {}).items()
        }
        processed = await self._tools.translator.processed(document, defaults, self._region)
        check_form(processed)
        return views.template_summary(parse(body), processed)

    def _update_termination_protection(self, members: Members) -> Result:
        stack = self._stacks.get(str(members["StackName"]))
        stack.termination_protection = bool(members["EnableTerminationProtection"])
        return {"StackId": stack.stack_id}

    # Shared

    async def _target(self, members: Members, stack: Stack) -> Target:
        body = await prepare.template_text(members, self._tools.services, stack)
        made = prepare.draft(body, members, stack)
        return await prepare.target(made, members, stack, self._tools.translator)

    async def _changes(self, stack: Stack, wanted: Target) -> list[ResourceChange]:
        scope = await prepare.lookup(stack, wanted, self._tools, is_empty=False)
        resources = wanted.template.document["Resources"]
        types = {one["Type"] for one in resources.values()}
        types |= {one.type_name for one in stack.resources.values()}
        return plan.changes(stack, wanted, await self._tools.kinds(types), scope)

    @staticmethod
    def _differs(stack: Stack, wanted: Target, scope: plan.Lookup) -> bool:
        present = stack.target
        tags_differ = present is not None and dict(present.tags) != dict(wanted.tags)
        return tags_differ or outputs.differ(stack, wanted, scope)

    def _updatable(self, name_or_id: str) -> Stack:
        stack = self._stacks.find(name_or_id)
        if stack is None or stack.deleted_ms is not None:
            raise InvalidTemplate(f"Stack [{name_or_id}] does not exist")
        if stack.status not in _UPDATABLE:
            raise InvalidTemplate(
                f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
            )
        return stack

    def _change_set(self, members: Members) -> ChangeSet:
        return self._stacks.get_change_set(str(members["ChangeSetName"]), members.get("StackName"))

    def _new_stack(self, name: str) -> Stack:
        return Stack(
            stack_id=self._arn(f"stack/{name}/{self._tools.ids.uuid()}"),
            name=name,
            region=self._region,
            created_ms=self._tools.clock.now_ms(),
        )

    def _arn(self, resource: str) -> str:
        return f"arn:aws:cloudformation:{self._region}:{self._tools.account_id}:{resource}"


def _checked_name(members: Members) -> str:
    name = str(members.get("StackName", ""))
    if not _STACK_NAME.fullmatch(name):
        raise InvalidTemplate(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    return name


def _at_once(act: Callable[[Members], Result]) -> Callable[[Members], Awaitable[Result]]:
    async def answered(members: Members) -> Result:
        return act(members)

    return answered
