"""Create, get, list, update and delete, for any kind of the table.

Each method takes the parameters of the operation, checked by ``conform``, and gives the whole
record; ``plane`` cuts it down to what the operation shows. Consequences for clients (snapshots,
stages in force) are drawn in ``stages``. Rules: 1.07, 1.08, 1.09, 1.12, 1.15 to 1.17, 1.26.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from socketstack.clock import Clock
from socketstack.controlplane import checks, derived, domain_names
from socketstack.controlplane.caller import Caller
from socketstack.controlplane.kinds import API, DOMAIN_NAME, KINDS, Kind, parent_path
from socketstack.controlplane.members import text, words
from socketstack.controlplane.paging import page
from socketstack.controlplane.service import Service
from socketstack.controlplane.subject import Subject
from socketstack.core.model import Record
from socketstack.errors import BadRequest, NotFound
from socketstack.ids import Ids
from socketstack.store import Path, Store

_NOT_STORED: Final = frozenset({"MaxResults", "NextToken"})
_REGIONAL_NAME_LENGTH: Final = 10


class Crud:
    """The five verbs over the Store."""

    def __init__(
        self,
        *,
        service: Callable[[], Service],
        store: Store,
        clock: Clock,
        ids: Ids,
        endpoint: str,
        can_log: Callable[[Caller], bool],
        has_certificate: Callable[[str], bool],
    ) -> None:
        self._service = service
        self._store = store
        self._clock = clock
        self._ids = ids
        self._endpoint = endpoint
        self._can_log = can_log
        self._has_certificate = has_certificate

    def now(self) -> datetime:
        """The present in whole seconds, as ``createdDate`` shows it. Rule 1.11."""
        return datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)

    def parent(self, kind: Kind, parameters: Record, caller: Caller) -> Path:
        """The path that records of this kind lie below.

        Raises:
            NotFound: one of the parents is not there, or belongs to another region. 1.07, 1.08
        """
        path = parent_path(kind, parameters)
        for end in range(2, len(path) + 1, 2):
            self._existing(path[:end], caller)
        return path

    def find(self, kind: Kind, parameters: Record, caller: Caller) -> tuple[Path, Record]:
        """Path and record that the parameters name; raises ``NotFound``."""
        parent = self.parent(kind, parameters, caller)
        path = (*parent, kind.name, text(parameters, kind.id_member))
        return path, self._existing(path, caller)

    def judge(self, kind: Kind, parameters: Record, caller: Caller) -> Subject:
        """A record to be created, after all checks; nothing is stored yet."""
        parent = self.parent(kind, parameters, caller)
        sent = _without_place(kind, parameters)
        self._complete(kind, sent)
        record = derived.created(kind, sent)
        subject = self._subject(kind, parent, record, sent, caller)
        checks.verify_quota(subject)
        checks.verify(subject)
        return subject

    def create(self, kind: Kind, parameters: Record, caller: Caller) -> Record:
        """Store a new record and give it back."""
        subject = self.judge(kind, parameters, caller)
        record = subject.record
        if kind.id_length is not None:
            record[kind.id_member] = self._ids.resource_id(kind.id_length)
        if kind is API:
            record |= self._api_members(text(record, "ApiId"), caller)
        if kind is DOMAIN_NAME:
            record |= self._domain_members(text(record, "DomainName"), caller)
            record = derived.changed(kind, record, {})
        for member in (kind.created_member, kind.updated_member):
            if member is not None:
                record[member] = self.now()
        for name in kind.parents:
            record[KINDS[name].id_member] = parameters[KINDS[name].id_member]
        self._store.put((*subject.parent, kind.name, text(record, kind.id_member)), record)
        return record

    def get(self, kind: Kind, parameters: Record, caller: Caller) -> Record:
        """One record."""
        _path, record = self.find(kind, parameters, caller)
        return record

    def page_of(self, kind: Kind, parameters: Record, caller: Caller) -> Record:
        """One page of a parent's records: ``Items``, perhaps ``NextToken``. Rule 1.09."""
        parent = self.parent(kind, parameters, caller)
        rows = self._store.children(parent, kind.name)
        if not kind.parents:
            rows = [row for row in rows if row[1]["Region"] == caller.region]
        return page(rows, parameters, "/".join((*parent, kind.plural, caller.region)))

    def update(self, kind: Kind, parameters: Record, caller: Caller) -> Record:
        """Change the members sent, keep the others. Rule 1.12."""
        path, current = self.find(kind, parameters, caller)
        sent = _without_place(kind, parameters)
        sent.pop(kind.id_member, None)
        record = derived.changed(kind, current, sent)
        self._complete(kind, record)
        checks.verify(self._subject(kind, path[:-2], record, sent, caller, own_id=path[-1]))
        if kind.updated_member is not None:
            record[kind.updated_member] = self.now()
        self._store.put(path, record)
        return record

    def delete(self, kind: Kind, parameters: Record, caller: Caller) -> list[Path]:
        """Remove a record with everything below it; returns the removed paths. Rule 1.26."""
        path, record = self.find(kind, parameters, caller)
        checks.verify_removal(self._subject(kind, path[:-2], record, {}, caller, own_id=path[-1]))
        return self._store.remove(path)

    def _existing(self, path: Path, caller: Caller) -> Record:
        record = self._store.get(path)
        kind = KINDS[path[-2]]
        if not kind.parents and record is not None and record["Region"] != caller.region:
            record = None
        if record is None:
            raise _not_found(kind, path[-1], caller)
        return record

    def _complete(self, kind: Kind, record: Record) -> None:
        """An update may clear no member that Create requires."""
        model = self._service().operation(f"Create{kind.name}")
        required = (
            []
            if model is None or model.input_shape is None
            else (model.input_shape.required_members)
        )
        for member in required:
            is_placed = member in {KINDS[name].id_member for name in kind.parents}
            if not is_placed and member not in kind.defaults and record.get(member) in (None, ""):
                raise BadRequest(f"Invalid request input: {words(member)} must not be empty.")

    def _api_members(self, api_id: str, caller: Caller) -> Record:
        """What an API has beyond what was sent; region and account are shown nowhere."""
        return {
            "ApiEndpoint": f"{self._endpoint}/_aws/execute-api/{api_id}",  # 1.16, dialled as is
            "Region": caller.region,
            "AccountId": caller.account_id,
        }

    def _domain_members(self, name: str, caller: Caller) -> Record:
        unique = self._ids.resource_id(_REGIONAL_NAME_LENGTH)
        return domain_names.created_members(name, caller.account_id, caller.region, unique)

    def _subject(
        self,
        kind: Kind,
        parent: Path,
        record: Record,
        sent: Record,
        caller: Caller,
        *,
        own_id: str = "",
    ) -> Subject:
        return Subject(
            kind=kind,
            parent=parent,
            record=record,
            sent=sent,
            own_id=own_id,
            store=self._store,
            account_id=caller.account_id,
            region=caller.region,
            can_log=self._can_log(caller),
            has_certificate=self._has_certificate,
        )


def _without_place(kind: Kind, parameters: Record) -> Record:
    """What was sent about the record itself: without the ids of what it lies below."""
    placed = _NOT_STORED | {KINDS[name].id_member for name in kind.parents}
    return {member: value for member, value in parameters.items() if member not in placed}


def _not_found(kind: Kind, identifier: str, caller: Caller) -> NotFound:
    if kind is API:
        message = f"Invalid API identifier specified {caller.account_id}:{identifier}"  # 1.08
    elif kind is DOMAIN_NAME:
        message = "Invalid domain name identifier specified"
    else:
        message = f"Invalid {kind.name} identifier specified {identifier}"
    return NotFound(message, resourceType=kind.name)
