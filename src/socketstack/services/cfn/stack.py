"""What a stack is: its template, resources, events and change sets, and the stacks of a region."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from socketstack.services.cfn.errors import ChangeSetNotFound, InvalidTemplate
from socketstack.services.cfn.template import Document

STACK_TYPE: Final = "AWS::CloudFormation::Stack"
_KEPT_DELETED: Final = 20
_KEPT_EVENTS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template as it was given, and as it is after transforms."""

    text: str
    document: Document
    """Processed: without transforms."""
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a stack is to become."""

    template: Template
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    capabilities: tuple[str, ...] = ()
    role_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource that exists, or is being made.

    ``properties`` are resolved but for dynamic references, so that no secret is kept here.
    """

    logical_id: str
    type_name: str
    definition: Document
    properties: dict[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    """The stack's tags when it was last changed."""
    physical_id: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    """Logical ids that it was made after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a stack's history."""

    event_id: str
    time_ms: int
    logical_id: str
    physical_id: str
    type_name: str
    status: str
    reason: str | None


@dataclass(slots=True)
class ResourceState:
    """Status of one logical id, which outlives the resource."""

    type_name: str
    physical_id: str
    status: str
    reason: str | None
    time_ms: int


@dataclass(slots=True, kw_only=True)
class Output:
    """One output of a stack."""

    key: str
    value: str
    description: str | None = None
    export_name: str | None = None


@dataclass(slots=True, kw_only=True)
class Stack:
    """One stack; changed by ``deploy`` and ``api`` only."""

    stack_id: str
    name: str
    region: str
    created_ms: int
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    updated_ms: int | None = None
    deleted_ms: int | None = None
    target: Target | None = None
    resources: dict[str, Resource] = field(default_factory=dict)
    states: dict[str, ResourceState] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    imports: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list)
    disable_rollback: bool = False
    on_failure: str = "ROLLBACK"
    timeout_minutes: int | None = None
    termination_protection: bool = False
    change_set_id: str | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an operation is under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def document(self) -> Document:
        """The processed template; empty for a stack in review."""
        return {} if self.target is None else self.target.template.document

    def record(self, event: Event) -> None:
        """Keep an event, newest last."""
        self.events.append(event)
        del self.events[:-_KEPT_EVENTS]


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyChange:
    """One changed property, and whether it replaces the resource."""

    name: str
    is_replacing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """One line of a change set. ``action`` is Add, Modify or Remove."""

    action: str
    logical_id: str
    type_name: str
    physical_id: str | None = None
    properties: tuple[PropertyChange, ...] = ()
    scope: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether the resource is made anew."""
        return any(change.is_replacing for change in self.properties)


@dataclass(slots=True, kw_only=True)
class ChangeSet:
    """A change set of a stack."""

    change_set_id: str
    name: str
    stack: Stack
    is_create: bool
    created_ms: int
    description: str | None
    target: Target
    changes: tuple[ResourceChange, ...] = ()
    status: str = "CREATE_COMPLETE"
    execution_status: str = "AVAILABLE"
    reason: str | None = None
    on_failure: str | None = None


class Stacks:
    """All stacks and change sets of one region."""

    def __init__(self) -> None:
        self._live: dict[str, Stack] = {}
        self._deleted: dict[str, Stack] = {}
        self._change_sets: dict[str, ChangeSet] = {}

    def add(self, stack: Stack) -> None:
        """Keep a new stack under its name."""
        self._live[stack.name] = stack

    def find(self, name_or_id: str) -> Stack | None:
        """A live stack by name or id, a deleted one by id only."""
        live = self._live.get(name_or_id) or next(
            (stack for stack in self._live.values() if stack.stack_id == name_or_id), None
        )
        return live or self._deleted.get(name_or_id)

    def get(self, name_or_id: str) -> Stack:
        """The stack; raises ``InvalidTemplate`` in the words that the CLI looks for."""
        stack = self.find(name_or_id)
        if stack is None:
            raise InvalidTemplate(f"Stack with id {name_or_id} does not exist")
        return stack

    def live(self) -> list[Stack]:
        """Stacks that are not deleted."""
        return list(self._live.values())

    def all(self) -> list[Stack]:
        """Live and deleted stacks."""
        return [*self._live.values(), *self._deleted.values()]

    def retire(self, stack: Stack) -> None:
        """Move a deleted stack away from its name; the last twenty can still be described."""
        if self._live.get(stack.name) is stack:
            del self._live[stack.name]
        self._deleted[stack.stack_id] = stack
        for stack_id in list(self._deleted)[:-_KEPT_DELETED]:
            del self._deleted[stack_id]
        for change_set in self.change_sets(stack):
            del self._change_sets[change_set.change_set_id]

    def exports(self) -> Iterator[tuple[Stack, Output]]:
        """Outputs that live stacks export."""
        for stack in self._live.values():
            for output in stack.outputs:
                if output.export_name is not None:
                    yield stack, output

    def importers(self, export_name: str) -> list[Stack]:
        """Live stacks that import a name."""
        return [stack for stack in self._live.values() if export_name in stack.imports]

    def add_change_set(self, change_set: ChangeSet) -> None:
        """Keep a change set."""
        self._change_sets[change_set.change_set_id] = change_set

    def change_sets(self, stack: Stack) -> list[ChangeSet]:
        """The change sets of a stack, oldest first."""
        return [one for one in self._change_sets.values() if one.stack is stack]

    def find_change_set(self, name_or_id: str, stack_name: str | None) -> ChangeSet | None:
        """By ARN, or by name within a stack."""
        if name_or_id in self._change_sets:
            return self._change_sets[name_or_id]
        if stack_name is None:
            return None
        stack = self.get(stack_name)
        return next((one for one in self.change_sets(stack) if one.name == name_or_id), None)

    def get_change_set(self, name_or_id: str, stack_name: str | None) -> ChangeSet:
        """The same, or ``ChangeSetNotFound``."""
        found = self.find_change_set(name_or_id, stack_name)
        if found is None:
            raise ChangeSetNotFound(f"ChangeSet [{name_or_id}] does not exist")
        return found

    def remove_change_set(self, change_set: ChangeSet) -> None:
        """Forget a change set."""
        self._change_sets.pop(change_set.change_set_id, None)
