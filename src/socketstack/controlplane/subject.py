"""What ``checks`` and ``stage_checks`` look at: one record and its surroundings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from socketstack.controlplane.kinds import Kind
from socketstack.core.model import Record
from socketstack.store import Path, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A record under judgement, with the way to what surrounds it."""

    kind: Kind
    parent: Path
    record: Record
    """As it would be stored; on Create still without its id."""
    sent: Record
    """What the caller sent."""
    own_id: str
    """Empty on Create."""
    store: Store
    account_id: str
    region: str
    can_log: bool
    """Whether the account has a CloudWatch Logs role. Rule 1.96."""
    has_certificate: Callable[[str], bool]
    """Whether there is a certificate of an ARN. Rule 1.110."""

    @property
    def api(self) -> Path:
        """The Store path of the API it belongs to."""
        return self.parent[:2]

    def of_api(self, kind: Kind) -> Iterator[Record]:
        """The API's records of a kind."""
        return (record for _path, record in self.store.children(self.api, kind.name))

    def others(self) -> Iterator[Record]:
        """Its siblings: same parent, same kind, not itself."""
        siblings = self.store.children(self.parent, self.kind.name)
        return (record for path, record in siblings if path[-1] != self.own_id)

    def is_taken(self, member: str) -> bool:
        """Whether a sibling has the same value of a member."""
        return any(other.get(member) == self.record.get(member) for other in self.others())
