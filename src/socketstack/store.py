"""The Store: all mutable state of the engine, behind synchronous methods.

No method awaits, so each is atomic on the event loop; it may be used from that loop's thread
only. Two halves: records, which the control plane writes, and connections, which the data
plane writes. They meet in ``deployed_stage``, which answers what a client can reach.

Records are addressed by a path of alternating kind and id, for example
``("Api", "a1b2c3d4e5", "Route", "abc1234")``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from socketstack.core.model import (
    ApiSnapshot,
    Connection,
    CustomDomain,
    DeployedStage,
    Record,
    StageSettings,
)
from socketstack.core.usage import NO_USAGE_PLANS, UsagePlans

Path = tuple[str, ...]


class Peer(Protocol):
    """A socket seen through three methods."""

    def send(self, data: bytes) -> None:
        """Send one message.

        Raises ``Gone`` when the socket is closed, ``LimitExceeded`` when the client does not
        read fast enough (7.17).
        """
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the socket; what then runs for it is not waited for."""
        ...

    def describe(self) -> str:
        """The other side, for logs."""
        ...


@dataclass(slots=True)
class OpenConnection:
    """A registered connection: its record, its socket and when it was last active."""

    connection: Connection
    peer: Peer
    last_active_ms: int


class Store:
    """All state. Use from the event loop's thread only."""

    def __init__(self) -> None:
        self._records: dict[Path, Record] = {}
        self._children: dict[tuple[Path, str], dict[str, Path]] = {}
        self._snapshots: dict[tuple[str, str], ApiSnapshot] = {}
        self._stages: dict[tuple[str, str], StageSettings] = {}
        self._deployed: dict[tuple[str, str], DeployedStage] = {}
        """What ``deployed_stage`` found, until snapshots or stages change."""
        self._domains: dict[str, CustomDomain] = {}
        self._usage_plans: dict[str, UsagePlans] = {}
        self._usage: dict[tuple[str, str], dict[int, int]] = {}
        self._connections: dict[str, OpenConnection] = {}

    # Records

    def put(self, path: Path, record: Record) -> None:
        """Create or replace one record; children stay. The Store keeps its own copy."""
        self._records[path] = dict(record)
        self._children.setdefault((path[:-2], path[-2]), {})[path[-1]] = path

    def get(self, path: Path) -> Record | None:
        """A copy of one record, or None."""
        record = self._records.get(path)
        return None if record is None else dict(record)

    def children(self, parent: Path, kind: str) -> list[tuple[Path, Record]]:
        """Paths and copies of a parent's records of one kind, in order of creation."""
        paths = self._children.get((parent, kind), {}).values()
        return [(path, dict(self._records[path])) for path in paths]

    def remove(self, path: Path) -> list[Path]:
        """Remove a record with everything below it; returns the removed paths, deepest first."""
        if path not in self._records:
            return []
        removed = [p for child in list(self._below(path)) for p in self.remove(child)]
        del self._records[path]
        del self._children[(path[:-2], path[-2])][path[-1]]
        return [*removed, path]

    def _below(self, parent: Path) -> Iterator[Path]:
        for (owner, _kind), paths in self._children.items():
            if owner == parent:
                yield from paths.values()

    # What clients can reach

    def publish(self, snapshot: ApiSnapshot) -> None:
        """Keep what a deployment froze. Rule 1.78."""
        self._snapshots[(snapshot.api_id, snapshot.deployment_id)] = snapshot
        self._deployed.clear()

    def unpublish(self, api_id: str, deployment_id: str) -> None:
        """Forget a deployment's snapshot."""
        self._snapshots.pop((api_id, deployment_id), None)
        self._deployed.clear()

    def set_stage(self, api_id: str, settings: StageSettings) -> None:
        """Put a stage's settings into force, at once. Rule 1.79."""
        self._stages[(api_id, settings.stage_name)] = settings
        self._deployed.clear()

    def point_stage(self, api_id: str, stage_name: str, deployment_id: str | None) -> None:
        """Let an existing stage serve another deployment. Rule 1.81."""
        key = (api_id, stage_name)
        self._stages[key] = replace(self._stages[key], deployment_id=deployment_id)
        self._deployed.clear()

    def remove_stage(self, api_id: str, stage_name: str) -> None:
        """Take a stage out of service; open connections are the caller's to close."""
        self._stages.pop((api_id, stage_name), None)
        self._deployed.clear()

    def deployed_stage(self, api_id: str, stage_name: str) -> DeployedStage | None:
        """What a client meets at this stage; None when nothing is deployed there (1.80, 2.17)."""
        key = (api_id, stage_name)
        known = self._deployed.get(key)
        return known if known is not None else self._look_up(key)

    def _look_up(self, key: tuple[str, str]) -> DeployedStage | None:
        settings = self._stages.get(key)
        if settings is None or settings.deployment_id is None:
            return None
        snapshot = self._snapshots.get((key[0], settings.deployment_id))
        if snapshot is None:
            return None
        found = self._deployed[key] = DeployedStage(settings=settings, snapshot=snapshot)
        return found

    def has_stage(self, api_id: str, stage_name: str) -> bool:
        """Whether the stage exists, deployed or not."""
        return (api_id, stage_name) in self._stages

    def has_api(self, api_id: str) -> bool:
        """Whether the API exists."""
        return ("Api", api_id) in self._records

    def set_domain(self, domain: CustomDomain) -> None:
        """Put a custom domain name into force, at once, with all its mappings."""
        self._domains[domain.name] = domain

    def domain_names(self) -> tuple[str, ...]:
        """All custom domain names; some may start with ``*.``."""
        return tuple(self._domains)

    def remove_domain(self, name: str) -> None:
        """Take a custom domain name out of service; its sockets stay open."""
        self._domains.pop(name, None)

    def domain(self, host_name: str) -> CustomDomain | None:
        """The custom domain name that a host name is, or lies in as its ``*`` says."""
        if not self._domains:
            return None
        parent = host_name.partition(".")[2]
        return self._domains.get(host_name) or self._domains.get(f"*.{parent}")

    def set_usage_plans(self, region: str, plans: UsagePlans) -> None:
        """Put a Region's API keys and usage plans into force, at once. Rule 4.10."""
        self._usage_plans[region] = plans

    def usage_plans(self, region: str) -> UsagePlans:
        """A Region's API keys and usage plans."""
        return self._usage_plans.get(region, NO_USAGE_PLANS)

    def count_usage(self, plan_id: str, key_id: str, day: int) -> None:
        """Count one request of a key under a plan; ``day`` is days since 1970. Rule 4.11."""
        days = self._usage.setdefault((plan_id, key_id), {})
        days[day] = days.get(day, 0) + 1

    def usage(self, plan_id: str, key_id: str) -> Mapping[int, int]:
        """How many requests of a key counted under a plan, by day."""
        return self._usage.get((plan_id, key_id), {})

    def forget_usage(self, plan_id: str, key_id: str) -> None:
        """Forget what a key used of a plan, because it left the plan."""
        self._usage.pop((plan_id, key_id), None)

    # Connections

    def add_connection(self, connection: Connection, peer: Peer) -> None:
        """Register an opened socket; from now on ``@connections`` reaches it. Rule 2.30."""
        self._connections[connection.connection_id] = OpenConnection(
            connection, peer, connection.connected_at_ms
        )

    def touch(self, connection_id: str, now_ms: int) -> None:
        """Note traffic on a connection: it is the idle timer's and ``lastActiveAt``'s base."""
        entry = self._connections.get(connection_id)
        if entry is not None:
            entry.last_active_ms = now_ms

    def connection(self, connection_id: str) -> OpenConnection | None:
        """The registered connection, or None when it is closed or never was."""
        return self._connections.get(connection_id)

    def connections(self, api_id: str | None = None) -> list[OpenConnection]:
        """All open connections, or those of one API."""
        return [
            entry
            for entry in self._connections.values()
            if api_id is None or entry.connection.api_id == api_id
        ]

    def remove_connection(self, connection_id: str) -> bool:
        """Forget a connection; False when that had happened before."""
        return self._connections.pop(connection_id, None) is not None

    def connection_count(self) -> int:
        """How many sockets are open."""
        return len(self._connections)
