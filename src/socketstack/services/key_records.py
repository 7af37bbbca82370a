"""API keys, usage plans and which keys are in which plan, as records in the Store.

Each change is put into force at once: the data plane reads ``Store.usage_plans``. Everything
belongs to the Region that the call names.
Rules: 4.09 to 4.11.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from socketstack.clock import Clock
from socketstack.core import usage
from socketstack.core.model import Record, Throttle
from socketstack.core.throttle import ACCOUNT_REQUESTS
from socketstack.core.usage import ApiKey, Period, Quota, UsagePlan, UsagePlans
from socketstack.errors import BadRequest, Conflict, NotFound, NotImplementedYet
from socketstack.ids import Ids
from socketstack.services import key_checks
from socketstack.services.key_checks import Members
from socketstack.store import Path, Store

_KEY: Final = "ApiKey"
_PLAN: Final = "UsagePlan"
_PLAN_KEY: Final = "UsagePlanKey"
_ID_LENGTH: Final = 10
_PLAN_ID_LENGTH: Final = 6
_VALUE_LENGTH: Final = 40
_REGION: Final = "Region"


class KeyRecords:
    """The API keys and usage plans of one Region."""

    def __init__(self, *, store: Store, clock: Clock, ids: Ids, region: str) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._region = region

    # API keys

    def create_key(self, sent: Members) -> Members:
        """Make a key; a value that is not given is drawn."""
        if sent.get("stageKeys"):
            raise NotImplementedYet("StageKeys are not served: put the key into a usage plan.")
        value = sent.get("value") or self._ids.resource_id(_VALUE_LENGTH)
        key_checks.verify_value(value)
        if any(key["value"] == value for key in self._all(_KEY)):
            raise Conflict("API Key already exists")
        key_id = self._ids.resource_id(_ID_LENGTH)
        named = ("customerId", "description", "name")
        key: Members = {
            **{name: sent[name] for name in named if name in sent},
            "id": key_id,
            "value": value,
            "enabled": sent.get("enabled", False),
            "stageKeys": [],
            "tags": sent.get("tags", {}),
            "createdDate": self._now(),
            "lastUpdatedDate": self._now(),
        }
        self._put((_KEY, key_id), key)
        return key

    def key(self, key_id: str) -> Members:
        """One key, with its value. Raises ``NotFound``."""
        return self._find((_KEY, key_id), "Invalid API Key identifier specified")

    def all_keys(self) -> list[Members]:
        """All keys, with their values."""
        return list(self._all(_KEY))

    def update_key(self, key_id: str, operations: Iterable[Record]) -> Members:
        """Change a key by patch operations."""
        key = key_checks.patched_key(self.key(key_id), operations)
        key["lastUpdatedDate"] = self._now()
        self._put((_KEY, key_id), key)
        return key

    def delete_key(self, key_id: str) -> None:
        """Remove a key, from its usage plans too."""
        self.key(key_id)
        for plan in self._all(_PLAN):
            self._remove((_PLAN, plan["id"], _PLAN_KEY, key_id))
            self._store.forget_usage(plan["id"], key_id)
        self._remove((_KEY, key_id))

    # Usage plans

    def create_plan(self, sent: Members) -> Members:
        """Make a usage plan."""
        members = ("description", "name", "quota", "throttle")
        plan: Members = {
            **{name: sent[name] for name in members if sent.get(name)},
            "apiStages": sent.get("apiStages", []),
            "tags": sent.get("tags", {}),
        }
        key_checks.verify_plan(plan, self._has_stage)
        plan["id"] = self._ids.resource_id(_PLAN_ID_LENGTH)
        self._put((_PLAN, plan["id"]), plan)
        return plan

    def plan(self, plan_id: str) -> Members:
        """One plan. Raises ``NotFound``."""
        return self._find((_PLAN, plan_id), "Invalid Usage Plan ID specified")

    def plans(self, key_id: str | None = None) -> list[Members]:
        """All plans, or those that hold a key."""
        return [
            plan
            for plan in self._all(_PLAN)
            if key_id is None or self._store.get((_PLAN, plan["id"], _PLAN_KEY, key_id))
        ]

    def update_plan(self, plan_id: str, operations: Iterable[Record]) -> Members:
        """Change a plan by patch operations, all or none."""
        before = self.plan(plan_id)
        plan = key_checks.patched_plan(before, operations)
        old = _stages(before)
        # A stage that is gone may stay in a plan; only what is added must be there.
        key_checks.verify_plan(
            plan, lambda api, stage: (api, stage) in old or self._has_stage(api, stage)
        )
        for held in self.plan_keys(plan_id):
            self._refuse_second_plan(plan, held["id"])
        self._put((_PLAN, plan_id), plan)
        return plan

    def delete_plan(self, plan_id: str) -> None:
        """Remove a plan without stages; its keys stay."""
        plan = self.plan(plan_id)
        if plan["apiStages"]:
            first = plan["apiStages"][0]
            raise BadRequest(
                f"Cannot delete Usage Plan {plan_id} because there are API Stages associated with "
                f"it, including {first['apiId']}:{first['stage']}"
            )
        for held in self.plan_keys(plan_id):
            self._store.forget_usage(plan_id, held["id"])
        self._remove((_PLAN, plan_id))

    # Keys of plans

    def add_key(self, plan_id: str, key_id: str, key_type: str) -> Members:
        """Put a key into a plan."""
        plan, key = self.plan(plan_id), self.key(key_id)
        if key_type != "API_KEY":
            raise BadRequest(f"Invalid key type {key_type!r}: only API_KEY is supported")
        if self._store.get((_PLAN, plan_id, _PLAN_KEY, key_id)) is not None:
            raise Conflict(f"API Key {key_id} is already in the usage plan {plan_id}")
        self._refuse_second_plan(plan, key_id)
        self._put((_PLAN, plan_id, _PLAN_KEY, key_id), {"id": key_id, "type": key_type})
        return _plan_key(key)

    def plan_key(self, plan_id: str, key_id: str) -> Members:
        """A key in a plan. Raises ``NotFound``."""
        self.plan(plan_id)
        self._find((_PLAN, plan_id, _PLAN_KEY, key_id), "Invalid API Key identifier specified")
        return _plan_key(self.key(key_id))

    def plan_keys(self, plan_id: str) -> list[Members]:
        """All keys in a plan."""
        self.plan(plan_id)
        held = self._store.children((_PLAN, plan_id), _PLAN_KEY)
        return [_plan_key(self.key(path[-1])) for path, _record in held]

    def remove_key(self, plan_id: str, key_id: str) -> None:
        """Take a key out of a plan."""
        self.plan_key(plan_id, key_id)
        self._remove((_PLAN, plan_id, _PLAN_KEY, key_id))
        self._store.forget_usage(plan_id, key_id)

    def used(self, plan_id: str, key_id: str, days: range) -> list[list[int]]:
        """What a key used and had left on each of some days, in days since 1970."""
        quota = _quota(self.plan(plan_id))
        counted = self._store.usage(plan_id, key_id)
        return [
            [
                counted.get(day, 0),
                0 if quota is None else quota.limit - usage.used_in_period(quota, counted, day),
            ]
            for day in days
        ]

    # Tags

    def tags(self, kind: str, identifier: str) -> dict[str, str]:
        """The tags of a key (``apikeys``) or of a plan (``usageplans``)."""
        return dict(self._tagged(kind, identifier)["tags"])

    def set_tags(self, kind: str, identifier: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of a key or of a plan."""
        record = self._tagged(kind, identifier)
        place = _KEY if kind == "apikeys" else _PLAN
        self._put((place, identifier), {**record, "tags": dict(tags)})

    def _tagged(self, kind: str, identifier: str) -> Members:
        return self.key(identifier) if kind == "apikeys" else self.plan(identifier)

    # Below

    def _refuse_second_plan(self, plan: Members, key_id: str) -> None:
        """A key may have one plan for a stage: else nobody knows whose limits count."""
        for other in self.plans(key_id):
            if other["id"] == plan["id"]:
                continue
            for api_id, stage in sorted(_stages(other) & _stages(plan)):
                raise Conflict(
                    f"API Key {key_id} cannot reference multiple Usage Plans with the same API "
                    f"stage: {api_id}:{stage}, which {other['id']} has too"
                )

    def _has_stage(self, api_id: str, stage: str) -> bool:
        api = self._store.get(("Api", api_id))
        is_here = api is not None and api[_REGION] == self._region
        return is_here and self._store.get(("Api", api_id, "Stage", stage)) is not None

    def _all(self, kind: str) -> list[Members]:
        rows = self._store.children((), kind)
        return [_shown(record) for _path, record in rows if record[_REGION] == self._region]

    def _find(self, path: Path, missing: str) -> Members:
        record = self._store.get(path)
        if record is None or record[_REGION] != self._region:
            raise NotFound(missing)
        return _shown(record)

    def _put(self, path: Path, record: Members) -> None:
        self._store.put(path, {**record, _REGION: self._region})
        self._put_in_force()

    def _remove(self, path: Path) -> None:
        self._store.remove(path)
        self._put_in_force()

    def _put_in_force(self) -> None:
        keys = tuple(
            ApiKey(key_id=key["id"], value=key["value"], is_enabled=key["enabled"])
            for key in self._all(_KEY)
        )
        plans = tuple(self._compiled(plan) for plan in self._all(_PLAN))
        self._store.set_usage_plans(self._region, UsagePlans(keys, plans))

    def _compiled(self, plan: Members) -> UsagePlan:
        held = self._store.children((_PLAN, plan["id"]), _PLAN_KEY)
        return UsagePlan(
            plan_id=plan["id"],
            name=plan["name"],
            stages=frozenset(_stages(plan)),
            key_ids=frozenset(path[-1] for path, _record in held),
            throttle=_throttle(plan),
            quota=_quota(plan),
        )

    def _now(self) -> int:
        """Seconds, as this API's timestamps are."""
        return self._clock.now_ms() // 1000


def _shown(record: Record) -> Members:
    return {name: value for name, value in record.items() if name != _REGION}


def _plan_key(key: Members) -> Members:
    return {"id": key["id"], "type": "API_KEY", "value": key["value"], "name": key.get("name")}


def _stages(plan: Members) -> set[tuple[str, str]]:
    return {(entry["apiId"], entry["stage"]) for entry in plan["apiStages"]}


def _throttle(plan: Members) -> Throttle | None:
    given: dict[str, Any] = plan.get("throttle") or {}
    if not given:
        return None
    return Throttle(
        rate_per_second=given.get("rateLimit", ACCOUNT_REQUESTS.rate_per_second),
        burst=given.get("burstLimit", ACCOUNT_REQUESTS.burst),
    )


def _quota(plan: Members) -> Quota | None:
    given: dict[str, Any] = plan.get("quota") or {}
    if not given:
        return None
    return Quota(
        limit=given["limit"], period=Period(given["period"]), offset=given.get("offset", 0)
    )
