"""API keys and usage plans: which key a value is, what it may use, how much is left.

A key opens a stage only through a usage plan that holds both; everything else is a refusal with
the reason. Quotas count days in UTC, given as day numbers since 1970-01-01.

Rules: 4.09, 4.10, 4.11.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from socketstack.core.causes import Cause
from socketstack.core.model import Throttle

_EPOCH: Final = date(1970, 1, 1)
_DAY_MS: Final = 24 * 60 * 60 * 1000
_WEEK_DAYS: Final = 7


class Period(StrEnum):
    """How long a quota lasts."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many requests a key has in one period."""

    limit: int
    period: Period
    offset: int = 0
    """The day on which a period starts: 0 is Sunday, or the first of a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key; ``value`` is the secret that clients send."""

    key_id: str
    value: str = field(repr=False)
    is_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePlan:
    """Which keys may use which stages, and how much each of the keys."""

    plan_id: str
    name: str
    stages: frozenset[tuple[str, str]]
    """API id and stage name."""
    key_ids: frozenset[str]
    throttle: Throttle | None = None
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class UsagePlans:
    """All API keys and usage plans of one Region."""

    keys: tuple[ApiKey, ...] = ()
    plans: tuple[UsagePlan, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyAccepted:
    """The key is good for the stage, by this plan."""

    key: ApiKey
    plan: UsagePlan


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The key is not good here. ``reason`` never holds the value."""

    reason: str
    cause: Cause


NO_USAGE_PLANS: Final = UsagePlans()


def check_key(
    plans: UsagePlans, value: str, api_id: str, stage_name: str
) -> KeyAccepted | KeyRefused:
    """Whether a value is an API key that opens a stage, and by which plan.

    Every key is compared, each in constant time, so that the time tells nothing about them.
    """
    sent = value.encode("utf-8", "surrogateescape")
    matching = [key for key in plans.keys if hmac.compare_digest(key.value.encode(), sent)]
    if not matching:
        return KeyRefused(
            f"No API key of this Region has the value that was sent; there are {len(plans.keys)}. "
            "Create one, or send the right one. [4.09]",
            Cause.API_KEY_UNKNOWN,
        )
    key = matching[0]
    if not key.is_enabled:
        return KeyRefused(
            f"The API key {key.key_id} is disabled. Enable it. [4.09]", Cause.API_KEY_UNKNOWN
        )
    holding = [plan for plan in plans.plans if key.key_id in plan.key_ids]
    if not holding:
        return KeyRefused(
            f"The API key {key.key_id} is in no usage plan. Add it to one that holds the stage "
            f"{api_id}/{stage_name}. [4.10]",
            Cause.API_KEY_IN_NO_PLAN,
        )
    for plan in holding:
        if (api_id, stage_name) in plan.stages:
            return KeyAccepted(key, plan)
    return KeyRefused(
        _wrong_stage(key, holding, f"{api_id}/{stage_name}"), Cause.API_KEY_IN_NO_PLAN
    )


def _wrong_stage(key: ApiKey, holding: list[UsagePlan], wanted: str) -> str:
    shown = "; ".join(
        f"{plan.name} ({plan.plan_id}) holds "
        + (", ".join(sorted(f"{api}/{stage}" for api, stage in plan.stages)) or "no stage")
        for plan in holding
    )
    return (
        f"No usage plan of the API key {key.key_id} holds the stage {wanted}: {shown}. Add the "
        "stage to one of them. [4.10]"
    )


def day_number(time_ms: int) -> int:
    """The day of a time, in days since 1970-01-01 UTC."""
    return time_ms // _DAY_MS


def day_text(day: int) -> str:
    """A day as ``YYYY-MM-DD``."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def period_start(quota: Quota, day: int) -> int:
    """The first day of the period that a day lies in."""
    today = _EPOCH + timedelta(days=day)
    match quota.period:
        case Period.DAY:
            return day
        case Period.WEEK:
            # isoweekday: Monday is 1, Sunday 7; API Gateway's offset 0 is Sunday.
            return day - (today.isoweekday() - quota.offset) % _WEEK_DAYS
        case Period.MONTH:
            first = quota.offset + 1
            if today.day >= first:
                return day - (today.day - first)
            last_month = today.replace(day=1) - timedelta(days=1)
            return (last_month.replace(day=first) - _EPOCH).days


def used_in_period(quota: Quota, used: Mapping[int, int], day: int) -> int:
    """How many requests of the period that a day lies in are used, up to that day.

    ``used`` has the requests of each day.
    """
    start = period_start(quota, day)
    return sum(count for on, count in used.items() if start <= on <= day)


def period_end_text(quota: Quota, day: int) -> str:
    """When the next period starts, for people."""
    start = day
    while period_start(quota, start) == period_start(quota, day):
        start += 1
    return datetime.combine(_EPOCH + timedelta(days=start), datetime.min.time(), UTC).isoformat()
