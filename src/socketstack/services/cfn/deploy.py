"""Deploying: makes, changes and removes a stack's resources, one after the other, with rollback.

One ``Deployment`` is one operation on one stack. What it has done stands in a journal; when
something fails the journal is undone. Old resources that are replaced or no longer
wanted are removed last, when nothing can fail any more.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from socketstack.clock import Clock
from socketstack.errors import ServiceError
from socketstack.ids import Ids
from socketstack.services.cfn import outputs, plan
from socketstack.services.cfn.calls import CallRefused, Services
from socketstack.services.cfn.dynamic import fetched_parameters, replaced
from socketstack.services.cfn.errors import ResourceFailed
from socketstack.services.cfn.kinds import Change, ControlCall, Kind, Work
from socketstack.services.cfn.sam import Translator
from socketstack.services.cfn.stack import (
    STACK_TYPE,
    Event,
    Resource,
    ResourceState,
    Stack,
    Stacks,
    Target,
)

_log: Final = logging.getLogger(__name__)

Refusal = (CallRefused, ServiceError, ResourceFailed)


class Deed(Enum):
    """What was done to a resource, and so how it is undone."""

    CREATED = auto()
    UPDATED = auto()
    REPLACED = auto()


@dataclass(frozen=True, slots=True)
class _Entry:
    deed: Deed
    logical_id: str
    old: Resource | None
    new: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every deployment of a region uses."""

    account_id: str
    stacks: Stacks
    services: Services
    control: ControlCall
    kinds: Callable[[Iterable[str]], Awaitable[dict[str, Kind]]]
    """The kinds of some types; types that nobody can make are missing."""
    clock: Clock
    ids: Ids
    announce: Callable[[Stack], None]
    """Called for every new status of the stack."""
    translator: Translator


class Deployment:
    """One operation on one stack."""

    def __init__(self, stack: Stack, tools: Tools) -> None:
        self._stack = stack
        self._tools = tools
        self._journal: list[_Entry] = []
        self._leftovers: list[Resource] = []

    # The three operations

    async def create(self, target: Target) -> None:
        """Make everything; on failure roll back as the stack says. Never raises a refusal."""
        stack = self._stack
        stack.target = target
        self._status("CREATE_IN_PROGRESS", "User Initiated")
        failure = await self._apply(target)
        if failure is None:
            self._status("CREATE_COMPLETE")
            return
        if stack.disable_rollback or stack.on_failure == "DO_NOTHING":
            self._status("CREATE_FAILED", failure)
            return
        is_delete = stack.on_failure == "DELETE"
        self._status("DELETE_IN_PROGRESS" if is_delete else "ROLLBACK_IN_PROGRESS", failure)
        failed = await self._remove_all(is_rollback=True)
        stack.outputs = []
        if failed:
            name = "DELETE_FAILED" if is_delete else "ROLLBACK_FAILED"
            self._status(name, _failed_to("delete", failed))
        elif is_delete:
            self._finish_delete()
        else:
            self._status("ROLLBACK_COMPLETE", failure)

    async def update(self, target: Target) -> None:
        """Change what differs; on failure put the old state back. Never raises a refusal."""
        stack = self._stack
        before = stack.target
        old_outputs, old_imports = stack.outputs, stack.imports
        stack.target = target
        stack.updated_ms = self._tools.clock.now_ms()
        self._status("UPDATE_IN_PROGRESS", "User Initiated")
        failure = await self._apply(target)
        if failure is None:
            self._status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            await self._clean_up()
            self._forget_the_gone()
            self._status("UPDATE_COMPLETE")
        elif stack.disable_rollback:
            self._status("UPDATE_FAILED", failure)
        else:
            self._status("UPDATE_ROLLBACK_IN_PROGRESS", failure)
            failed = await self._undo()
            stack.target = before
            stack.outputs, stack.imports = old_outputs, old_imports
            if failed:
                self._status("UPDATE_ROLLBACK_FAILED", _failed_to("update", failed))
                return
            self._status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", failure)
            self._forget_the_gone()
            self._status("UPDATE_ROLLBACK_COMPLETE", failure)

    async def delete(self, retained: frozenset[str] = frozenset()) -> None:
        """Remove everything but what is retained. Never raises a refusal."""
        self._status("DELETE_IN_PROGRESS", "User Initiated")
        failed = await self._remove_all(is_rollback=False, retained=retained)
        if failed:
            self._status("DELETE_FAILED", _failed_to("delete", failed))
        else:
            self._finish_delete()

    def _finish_delete(self) -> None:
        stack = self._stack
        stack.deleted_ms = self._tools.clock.now_ms()
        stack.outputs, stack.imports = [], frozenset()
        self._status("DELETE_COMPLETE")
        self._tools.stacks.retire(stack)

    # Going forward

    async def _apply(self, target: Target) -> str | None:
        """Reach the target; what failed, in words, or None."""
        try:
            scope = await self._lookup(target)
            definitions = plan.active(target.template.document, scope)
            ordered = plan.order(definitions, scope)
            kinds = await self._tools.kinds({one["Type"] for one in definitions.values()})
            for logical_id in ordered:
                await self._reach(logical_id, definitions[logical_id], kinds, scope)
            self._set_outputs(target, scope)
        except Refusal as refusal:
            return str(refusal)
        gone = [one for name, one in self._stack.resources.items() if name not in definitions]
        self._leftovers += reversed(gone)
        return None

    async def _lookup(self, target: Target) -> plan.Lookup:
        return plan.Lookup(
            stack=self._stack,
            target=target,
            account_id=self._tools.account_id,
            exported=self._exported,
            resources=self._stack.resources,
            fetched=await fetched_parameters(target, self._tools.services),
        )

    def _exported(self, name: str) -> str | None:
        found = (
            output.value
            for stack, output in self._tools.stacks.exports()
            if output.export_name == name and stack is not self._stack
        )
        return next(found, None)

    async def _reach(
        self, logical_id: str, definition: dict[str, Any], kinds: plan.Kinds, scope: plan.Lookup
    ) -> None:
        """Make, change or leave one resource; raises when it fails."""
        old = self._stack.resources.get(logical_id)
        verb = "create" if old is None else "update"
        type_name = str(definition["Type"])
        try:
            kind = _supported(kinds, type_name)
            wanted = Resource(
                logical_id=logical_id,
                type_name=type_name,
                definition=definition,
                properties=plan.resolved(definition, kind, scope),
                tags=self._tags(),
                needs=plan.needs(definition, self._template_resources(), scope),
            )
            if old is None:
                await self._create(wanted, kind)
            else:
                await self._change(old, wanted, kind)
        except Exception as failure:  # a resource type's mistake must not leave a stack hanging
            if not isinstance(failure, Refusal):
                _log.exception("%s of %s failed unexpectedly", verb, logical_id)
            told = failure if isinstance(failure, Refusal) else _internal(failure)
            reason = self._fail(_named(old, logical_id, type_name), f"{verb.upper()}_FAILED", told)
            raise ResourceFailed(f"{_failed_to(verb, [logical_id])} {reason}") from failure

    def _template_resources(self) -> Mapping[str, object]:
        resources: Mapping[str, object] = self._stack.document["Resources"]
        return resources

    def _tags(self) -> Mapping[str, str]:
        return {} if self._stack.target is None else self._stack.target.tags

    async def _create(self, wanted: Resource, kind: Kind) -> Resource:
        self._event(wanted, "CREATE_IN_PROGRESS")
        made: list[str] = []

        def note(physical_id: str) -> None:
            if not made:
                known = replace(wanted, physical_id=physical_id)
                self._event(known, "CREATE_IN_PROGRESS", "Resource creation Initiated")
            made[:] = [physical_id]

        work = self._work(wanted, note)
        properties = await replaced(wanted.properties, self._tools.services)
        try:
            note(await kind.create(work, properties))
            attributes = await kind.read(work, made[0], properties)
        except Exception:
            if made:
                await self._discard(replace(wanted, physical_id=made[0]), kind, work, properties)
            raise
        resource = replace(wanted, physical_id=made[0], attributes=attributes)
        old = self._stack.resources.get(wanted.logical_id)
        deed = Deed.CREATED if old is None else Deed.REPLACED
        self._journal.append(_Entry(deed, wanted.logical_id, old, resource))
        self._stack.resources[wanted.logical_id] = resource
        self._event(resource, "CREATE_COMPLETE" if old is None else "UPDATE_COMPLETE")
        return resource

    async def _discard(
        self, half_made: Resource, kind: Kind, work: Work, properties: dict[str, Any]
    ) -> None:
        """Remove what a failed creation has left, so that nothing stays behind."""
        assert half_made.physical_id is not None
        try:
            await kind.delete(work, half_made.physical_id, properties)
        except Refusal as refusal:
            self._fail(half_made, "DELETE_FAILED", refusal)
            # Kept, so that deleting the stack tries again.
            self._stack.resources.setdefault(half_made.logical_id, half_made)

    async def _change(self, old: Resource, wanted: Resource, kind: Kind) -> None:
        if old.type_name != wanted.type_name:
            raise ResourceFailed(
                "Update of resource type is not permitted. The new template modifies resource "
                f"type of the following resources: [{old.logical_id}]"
            )
        tags_differ = old.tags != wanted.tags and "Tags" in kind.properties
        if old.properties == wanted.properties and not tags_differ:
            kept = replace(old, definition=wanted.definition, needs=wanted.needs, tags=wanted.tags)
            self._stack.resources[old.logical_id] = kept
            return
        if kind.replacing(old.properties, wanted.properties):
            await self._replace(old, wanted, kind)
        else:
            await self._update(old, wanted, kind)

    async def _replace(self, old: Resource, wanted: Resource, kind: Kind) -> None:
        identifier = kind.schema.identifier
        names = [name for name in identifier if name in wanted.properties]
        if len(names) == len(identifier) and all(
            old.properties.get(name) == wanted.properties[name] for name in names
        ):
            given = ", ".join(str(wanted.properties[name]) for name in names)
            raise ResourceFailed(
                "CloudFormation cannot update a stack when a custom-named resource requires "
                f"replacing. Rename {given} and update the stack again."
            )
        self._event(
            old,
            "UPDATE_IN_PROGRESS",
            "Requested update requires the creation of a new physical resource; hence creating "
            "one.",
        )
        await self._create(wanted, kind)
        self._leftovers.append(old)

    async def _update(self, old: Resource, wanted: Resource, kind: Kind) -> None:
        new = replace(wanted, physical_id=old.physical_id, attributes=old.attributes)
        self._event(old, "UPDATE_IN_PROGRESS")
        # Even a failed update may have changed something: it is undone as well.
        self._journal.append(_Entry(Deed.UPDATED, old.logical_id, old, new))
        attributes = await self._perform_update(old, new, kind)
        new = replace(new, attributes=attributes)
        self._stack.resources[old.logical_id] = new
        self._event(new, "UPDATE_COMPLETE")

    async def _perform_update(self, old: Resource, new: Resource, kind: Kind) -> Mapping[str, Any]:
        assert old.physical_id is not None
        assert kind.update is not None
        work, before = self._work(new), self._work(old)
        old_properties = await replaced(old.properties, self._tools.services)
        new_properties = await replaced(new.properties, self._tools.services)
        change = Change(
            physical_id=old.physical_id,
            old=old_properties,
            new=new_properties,
            old_tags=before.tags(old_properties),
            new_tags=work.tags(new_properties),
        )
        await kind.update(work, change)
        return await kind.read(work, old.physical_id, new_properties)

    def _set_outputs(self, target: Target, scope: plan.Lookup) -> None:
        made = outputs.evaluated(target.template.document, scope)
        outputs.check_exports(self._stack, made, self._tools.stacks)
        self._stack.outputs = made
        self._stack.imports = frozenset(scope.imports)

    # Going back, and cleaning up

    async def _clean_up(self) -> None:
        """Remove what was replaced or left the template; a failure is told and tolerated."""
        for resource in self._leftovers:
            # Not by the template: it still has a resource whose condition holds no longer.
            is_replaced = self._stack.resources.get(resource.logical_id) is not resource
            policy = "UpdateReplacePolicy" if is_replaced else "DeletionPolicy"
            if not is_replaced:
                self._stack.resources.pop(resource.logical_id, None)
            await self._remove(resource, is_retained=_retains(resource, policy))

    def _forget_the_gone(self) -> None:
        stack = self._stack
        stack.states = {n: state for n, state in stack.states.items() if n in stack.resources}

    async def _undo(self) -> list[str]:
        """Undo the journal; the logical ids that could not be undone.

        Old states come back in the order in which they were left, so that each finds what it
        refers to; then what is new goes, users before what they use.
        """
        failed: list[str] = []
        kinds = await self._tools.kinds({entry.new.type_name for entry in self._journal})
        for entry in self._journal:
            if entry.old is None:
                continue
            if entry.deed is Deed.UPDATED:
                kind = kinds[entry.new.type_name]
                if not await self._put_back(entry.old, entry.new, kind):
                    failed.append(entry.logical_id)
                    continue
            else:
                self._event(entry.old, "UPDATE_COMPLETE")
            self._stack.resources[entry.logical_id] = entry.old
        for entry in reversed(self._journal):
            if entry.deed is Deed.UPDATED:
                continue
            if not await self._remove(entry.new, is_retained=False):
                failed.append(entry.logical_id)
            elif entry.old is None:
                self._stack.resources.pop(entry.logical_id, None)
        return failed

    async def _put_back(self, old: Resource, new: Resource, kind: Kind) -> bool:
        self._event(new, "UPDATE_IN_PROGRESS")
        try:
            await self._perform_update(new, old, kind)
        except Refusal as refusal:
            self._fail(new, "UPDATE_FAILED", refusal)
            return False
        self._event(old, "UPDATE_COMPLETE")
        return True

    async def _remove_all(
        self, *, is_rollback: bool, retained: frozenset[str] = frozenset()
    ) -> list[str]:
        """Remove every resource, users before what they use; the logical ids that failed.

        What a resource that stayed depends on stays too, as on AWS.
        """
        failed: list[str] = []
        left = dict(self._stack.resources)
        stuck: list[Resource] = []
        while left:
            users = [*left.values(), *stuck]
            free = [n for n in left if not any(n in one.needs for one in users)]
            if not free and stuck:
                break
            logical_id = (free or list(left))[-1]
            resource = left.pop(logical_id)
            is_retained = logical_id in retained or _retains(
                resource, "DeletionPolicy", is_rollback=is_rollback
            )
            if await self._remove(resource, is_retained=is_retained):
                self._stack.resources.pop(logical_id, None)
            else:
                failed.append(logical_id)
                stuck.append(resource)
        return failed

    async def _remove(self, resource: Resource, *, is_retained: bool) -> bool:
        if is_retained:
            self._event(resource, "DELETE_SKIPPED")
            return True
        self._event(resource, "DELETE_IN_PROGRESS")
        kinds = await self._tools.kinds({resource.type_name})
        assert resource.physical_id is not None
        try:
            properties = await replaced(resource.properties, self._tools.services)
        except ResourceFailed:
            properties = resource.properties  # what it refers to is gone; ids are enough here
        try:
            kind = kinds[resource.type_name]
            await kind.delete(self._work(resource), resource.physical_id, properties)
        except Refusal as refusal:
            self._fail(resource, "DELETE_FAILED", refusal)
            return False
        self._event(resource, "DELETE_COMPLETE")
        return True

    # Telling

    def _work(self, resource: Resource, note: Callable[[str], None] | None = None) -> Work:
        return Work(
            logical_id=resource.logical_id,
            stack_name=self._stack.name,
            region=self._stack.region,
            account_id=self._tools.account_id,
            services=self._tools.services,
            control=self._tools.control,
            ids=self._tools.ids,
            stack_tags=resource.tags,
            note=note or (lambda _physical_id: None),
        )

    def _status(self, status: str, reason: str | None = None) -> None:
        stack = self._stack
        stack.status, stack.reason = status, reason
        stack.record(self._line(stack.name, stack.stack_id, STACK_TYPE, status, reason))
        self._tools.announce(stack)

    def _event(self, resource: Resource, status: str, reason: str | None = None) -> None:
        physical_id = resource.physical_id or ""
        line = self._line(resource.logical_id, physical_id, resource.type_name, status, reason)
        self._stack.record(line)
        present = self._stack.resources.get(resource.logical_id)
        if (
            status.startswith("DELETE")
            and present is not None
            and present.physical_id != physical_id
        ):
            return  # a replaced one goes; the state is that of its successor
        self._stack.states[resource.logical_id] = ResourceState(
            resource.type_name, physical_id, status, reason, line.time_ms
        )

    def _fail(self, resource: Resource, status: str, failure: Exception) -> str:
        """Tell of a failure; returns its reason, which names type and resource."""
        reason = f"{resource.type_name} (resource {resource.logical_id}): {failure}"
        self._event(resource, status, reason)
        return reason

    def _line(
        self, logical_id: str, physical_id: str, type_name: str, status: str, reason: str | None
    ) -> Event:
        return Event(
            event_id=self._tools.ids.uuid(),
            time_ms=self._tools.clock.now_ms(),
            logical_id=logical_id,
            physical_id=physical_id,
            type_name=type_name,
            status=status,
            reason=reason,
        )


def _supported(kinds: plan.Kinds, type_name: str) -> Kind:
    kind = kinds.get(type_name)
    if kind is None:
        raise ResourceFailed("this resource type is not supported by the local engine")
    return kind


def _internal(failure: Exception) -> ResourceFailed:
    return ResourceFailed(f"the local engine failed: {type(failure).__name__}; see its log")


def _named(old: Resource | None, logical_id: str, type_name: str) -> Resource:
    return old or Resource(logical_id=logical_id, type_name=type_name, definition={})


def _failed_to(verb: str, logical_ids: list[str]) -> str:
    return f"The following resource(s) failed to {verb}: [{', '.join(logical_ids)}]."


def _retains(resource: Resource, member: str, *, is_rollback: bool = False) -> bool:
    policy = resource.definition.get(member, "Delete")
    return policy == "Retain" or (policy == "RetainExceptOnCreate" and not is_rollback)
