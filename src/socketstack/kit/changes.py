"""What a change set would do, as people read it before they agree. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_SIGNS: Final[Mapping[str, str]] = {
    "Add": "+",
    "Modify": "~",
    "Replace": "±",
    "Remove": "-",
    "Import": ">",
}
_WORDS: Final[Mapping[str, str]] = {
    "Add": "to add",
    "Modify": "to change",
    "Replace": "to replace",
    "Remove": "to remove",
    "Import": "to import",
}
_KEPT: Final = frozenset({"Retain", "ReplaceAndRetain", "Snapshot", "ReplaceAndSnapshot"})
_HOLDING_DATA: Final = frozenset(
    {"AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::S3::Bucket", "AWS::SQS::Queue"}
)
"""Types whose contents nobody gets back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One resource that a change set touches."""

    action: str
    """Add, Modify, Replace, Remove or Import; a change whose effect CloudFormation does not know
    before it happens (``Dynamic``, or a conditional replacement) counts as Replace."""
    logical_id: str
    type: str
    properties: tuple[str, ...] = ()
    """The properties that differ, sorted; empty unless the resource stays."""
    is_kept: bool = False
    """A resource that leaves the stack and lives on, or leaves a snapshot."""

    @property
    def loses_data(self) -> bool:
        """Whether contents go with it."""
        is_leaving = self.action in {"Replace", "Remove"}
        return is_leaving and self.type in _HOLDING_DATA and not self.is_kept


def read(entries: Iterable[Mapping[str, Any]]) -> tuple[Change, ...]:
    """The changes of a change set, from the member ``Changes`` of DescribeChangeSet.

    In the order of the service; members of other kinds than resources (hooks) are left out.
    """
    return tuple(_change(entry["ResourceChange"]) for entry in entries if "ResourceChange" in entry)


def lines(changes: Sequence[Change]) -> Iterator[str]:
    """One line for each resource, then a sum; data that would be lost is named."""
    width = max((len(change.logical_id) for change in changes), default=0)
    for change in changes:
        notes = [", ".join(change.properties)] if change.properties else []
        if change.is_kept:
            notes.append("the old one is kept")
        if change.loses_data:
            notes.append("ITS CONTENTS ARE LOST")
        note = f"  ({'; '.join(notes)})" if notes else ""
        yield f"  {_SIGNS[change.action]} {change.logical_id:<{width}}  {change.type}{note}"
    yield summary(changes)


def summary(changes: Sequence[Change]) -> str:
    """How many resources are added, changed, replaced and removed; ``outputs only`` for none."""
    counts = Counter(change.action for change in changes)
    told = [f"{counts[action]} {words}" for action, words in _WORDS.items() if counts[action]]
    return ", ".join(told) or "only outputs or settings of the stack itself change"


def holding_data(resources: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Of type and physical id by logical id, those whose contents go with the stack, as text."""
    for logical_id, (kind, physical_id) in resources.items():
        if kind in _HOLDING_DATA:
            yield f"{logical_id}  {kind}  {physical_id}"


def _change(entry: Mapping[str, Any]) -> Change:
    action = entry["Action"]
    is_staying = action == "Modify" and entry.get("Replacement", "False") == "False"
    if action == "Dynamic" or (action == "Modify" and not is_staying):
        action = "Replace"
    names = {
        detail["Target"]["Name"]
        for detail in entry.get("Details", ())
        if detail.get("Target", {}).get("Name")
    }
    return Change(
        action=action,
        logical_id=entry["LogicalResourceId"],
        type=entry["ResourceType"],
        properties=tuple(sorted(names)) if action in {"Modify", "Replace"} else (),
        is_kept=entry.get("PolicyAction") in _KEPT,
    )
