"""What a resource type is to the engine: which properties it keeps, and four things it can do.

A ``Kind`` vouches for exactly the properties it lists; any other property fails the stack by
name before anything is made, because a stack that says CREATE_COMPLETE and has left something
out is worse than one that fails. The rows are in the ``kind_*`` modules, next to the service
they use.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from socketstack.core.model import Record
from socketstack.ids import Ids
from socketstack.services.cfn.calls import CallRefused, Services
from socketstack.services.cfn.errors import ResourceFailed
from socketstack.services.cfn.schemas import Schema, schema

Properties = dict[str, Any]
"""A resource's properties, resolved: the JSON border between templates and APIs."""

_SUFFIX_CHARACTERS: Final = 12


class ControlCall(Protocol):
    """The API Gateway control plane, one operation at a time (``ControlPlane.call``)."""

    def __call__(self, operation: str, parameters: Record) -> Record:
        """Records in and out, PascalCase; raises ``ServiceError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a kind may use to make one resource of one stack."""

    logical_id: str
    stack_name: str
    region: str
    account_id: str
    services: Services
    control: ControlCall
    ids: Ids
    stack_tags: Mapping[str, str]
    note: Callable[[str], None]
    """Say the physical id as soon as anything exists: what follows may fail, and the rollback
    removes what has been noted."""

    def name(self, given: object, *, limit: int = 64, is_lower: bool = False) -> str:
        """The given name, else one made of stack, logical id and a random part."""
        if given:
            return str(given)
        suffix = self.ids.resource_id(_SUFFIX_CHARACTERS)
        room = limit - len(suffix) - 1
        stem = f"{self.stack_name}-{self.logical_id}"
        if len(stem) > room:
            half = (room - 1) // 2
            stem = f"{self.stack_name[: room - 1 - half]}-{self.logical_id[:half]}"
        name = f"{stem}-{suffix if is_lower else suffix.upper()}"
        return name.lower() if is_lower else name

    def tags(self, properties: Mapping[str, Any]) -> dict[str, str]:
        """The resource's tags over those of the stack."""
        own = properties.get("Tags") or []
        pairs = own.items() if isinstance(own, dict) else ((t["Key"], t["Value"]) for t in own)
        return {**self.stack_tags, **{str(key): str(value) for key, value in pairs}}

    def tag_list(self, properties: Mapping[str, Any]) -> list[dict[str, str]] | None:
        """The same as a list of Key and Value; None when there are none."""
        tags = self.tags(properties)
        return [{"Key": key, "Value": value} for key, value in tags.items()] or None

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One resource before and after; ``old_tags`` and ``new_tags`` include the stack's."""

    physical_id: str
    old: Properties
    new: Properties
    old_tags: Mapping[str, str] = field(default_factory=dict)
    new_tags: Mapping[str, str] = field(default_factory=dict)

    def touches(self, *names: str) -> bool:
        """Whether one of these properties differs."""
        return any(self.old.get(name) != self.new.get(name) for name in names)

    @property
    def gone_tags(self) -> list[str]:
        """Keys of tags that are not wanted any more."""
        return sorted(set(self.old_tags) - set(self.new_tags))

    @property
    def set_tags(self) -> dict[str, str]:
        """Tags that are new or have another value."""
        return {k: v for k, v in self.new_tags.items() if self.old_tags.get(k) != v}


Create = Callable[[Work, Properties], Awaitable[str]]
Update = Callable[[Work, Change], Awaitable[None]]
Delete = Callable[[Work, str, Properties], Awaitable[None]]
Read = Callable[[Work, str, Properties], Awaitable[dict[str, Any]]]


async def no_attributes(work: Work, physical_id: str, properties: Properties) -> dict[str, Any]:
    """A kind without attributes."""
    del work, physical_id, properties
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One resource type.

    ``create`` returns the physical id, which ``Ref`` gives; ``read`` returns the attributes of
    ``Fn::GetAtt`` after every create and update. ``update`` is None when every change replaces.
    All of them may raise ``CallRefused``, ``ServiceError`` or ``ResourceFailed``.
    """

    type_name: str
    properties: frozenset[str]
    create: Create
    delete: Delete
    update: Update | None = None
    read: Read = no_attributes
    replaces: frozenset[str] = frozenset()
    """Properties whose change replaces, beyond those AWS's schema names."""

    @property
    def schema(self) -> Schema:
        """AWS's schema of the type."""
        found = schema(self.type_name)
        assert found is not None, self.type_name
        return found

    def replacing(self, old: Properties, new: Properties) -> list[str]:
        """The changed properties that force a replacement."""
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if self.update is None:
            return sorted(changed)
        return sorted(changed & (self.schema.create_only | self.replaces))

    def ignored(self, properties: Mapping[str, Any]) -> list[str]:
        """Properties that AWS knows and that would not be kept here."""
        return sorted(set(properties) & self.schema.properties - self.properties)


def only(*names: str) -> frozenset[str]:
    """A kind's property names."""
    return frozenset(names)


def without(members: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The members but for these."""
    return {name: value for name, value in members.items() if name not in names}


async def gone_is_fine(call: Awaitable[object]) -> None:
    """Wait for a deletion; what does not exist counts as deleted."""
    try:
        await call
    except CallRefused as refused:
        if not refused.is_missing:
            raise


def require_kept(asked: Any, kept: Any, where: str) -> None:
    """Check that a service's answer repeats what it was asked for.

    moto accepts some members and forgets them. Raises ``ResourceFailed`` naming the first that
    differs; further members of the answer are defaults and welcome.
    """
    if isinstance(asked, dict) and isinstance(kept, dict):
        for name, value in asked.items():
            require_kept(value, kept.get(name), f"{where}.{name}" if where else name)
    elif isinstance(asked, list) and isinstance(kept, list) and len(asked) == len(kept):
        for index, (value, found) in enumerate(zip(asked, kept, strict=True)):
            require_kept(value, found, f"{where}.{index}")
    elif asked != kept and asked not in ([], {}):
        raise ResourceFailed(f"property {where} is not kept by the local engine")
