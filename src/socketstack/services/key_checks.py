"""What API Gateway refuses about API keys and usage plans, and how patches change them.

Records have the members of the service model's output in its own spelling (``apiStages``,
``keyType``). Where AWS's wording is known it is used word for word.
Rules: 1.98, 4.10, 4.11.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, Final

from socketstack.core.model import Record
from socketstack.core.usage import Period
from socketstack.errors import BadRequest, NotFound, NotImplementedYet

Members = dict[str, Any]
"""A record's members: the JSON border of this API."""

VALUE_MIN_CHARACTERS: Final = 20
VALUE_MAX_CHARACTERS: Final = 128

_OFFSETS: Final = {Period.DAY: 0, Period.WEEK: 6, Period.MONTH: 27}
"""The last day on which a period may start, counted from 0."""
_KEY_PATHS: Final = ("/customerId", "/description", "/enabled", "/name")
_QUOTA: Final = {"limit": int, "offset": int, "period": str}
_THROTTLE: Final = {"burstLimit": int, "rateLimit": float}
_PLAN_REPLACES: Final = (
    *("/name", "/description", "/productCode"),
    *(f"/quota/{name}" for name in _QUOTA),
    *(f"/throttle/{name}" for name in _THROTTLE),
)
_PLAN_REMOVES: Final = ("/apiStages", "/description", "/productCode", "/quota", "/throttle")


def verify_value(value: str) -> None:
    """Refuse a key's value of the wrong length."""
    if len(value) < VALUE_MIN_CHARACTERS:
        raise BadRequest(f"API Key value should be at least {VALUE_MIN_CHARACTERS} characters")
    if len(value) > VALUE_MAX_CHARACTERS:
        raise BadRequest(f"API Key value exceeds maximum size of {VALUE_MAX_CHARACTERS} characters")


def verify_plan(plan: Members, has_stage: Callable[[str, str], bool]) -> None:
    """Refuse a usage plan that API Gateway would refuse.

    Args:
        plan: As it would be stored.
        has_stage: Whether there is such an API with such a stage.
    """
    if not plan.get("name"):
        raise BadRequest("Usage Plan name must not be empty")
    seen: set[tuple[str, str]] = set()
    for entry in plan["apiStages"]:
        api_id, stage = str(entry.get("apiId") or ""), str(entry.get("stage") or "")
        if not api_id or not stage:
            raise BadRequest(
                f"Invalid API Stage {{api: {api_id}, stage: {stage}}} specified for usageplan "
                f"{plan['name']}"
            )
        if entry.get("throttle"):
            raise NotImplementedYet(
                "Throttling of single methods in a usage plan is not served: it belongs to REST "
                "APIs. Use the plan's own throttle."
            )
        if (api_id, stage) in seen:
            raise BadRequest(f"API Stage {api_id}:{stage} is specified more than once")
        if not has_stage(api_id, stage):
            raise NotFound(f"API Stage not found: {api_id}:{stage}")
        seen.add((api_id, stage))
    if "throttle" in plan:
        _verify_throttle(plan["throttle"])
    if "quota" in plan:
        _verify_quota(plan["quota"])


def _verify_throttle(throttle: Mapping[str, Any]) -> None:
    for member in _THROTTLE:
        if throttle.get(member, 0) < 0:
            raise BadRequest(f"Usage Plan throttle {member} must not be negative")


def _verify_quota(quota: Mapping[str, Any]) -> None:
    period = quota.get("period")
    if period not in frozenset(Period):
        raise BadRequest(f"Usage Plan quota period must be one of {', '.join(Period)}")
    if quota.get("limit", 0) <= 0:
        raise BadRequest("Usage Plan quota limit must be greater than zero")
    last, offset = _OFFSETS[Period(period)], quota.get("offset", 0)
    if last == 0 and offset != 0:
        raise BadRequest(f"Usage Plan quota offset must be zero in the {period} period")
    if not 0 <= offset <= last:
        raise BadRequest(
            f"Usage Plan quota offset must be between 0 and {last} inclusive in the {period} period"
        )


def patched_key(key: Members, operations: Iterable[Record]) -> Members:
    """An API key after patch operations, which can replace four members."""
    result = deepcopy(key)
    for operation in operations:
        verb, path, value = _parts(operation)
        if verb != "replace" or path not in _KEY_PATHS:
            raise _bad_path(path, verb, _KEY_PATHS if verb == "replace" else ())
        result[path[1:]] = _boolean(value) if path == "/enabled" else value
    return result


def patched_plan(plan: Members, operations: Iterable[Record]) -> Members:
    """A usage plan after patch operations; the result is still to be verified."""
    result = deepcopy(plan)
    for operation in operations:
        verb, path, value = _parts(operation)
        if verb == "remove":
            _remove(result, path, value)
        elif verb == "add" and path == "/apiStages":
            result["apiStages"].append(_api_stage(value))
        elif verb in {"add", "replace"} and path in _PLAN_REPLACES:
            _replace(result, path, value)
        else:
            allowed = {"add": ("/apiStages", *_PLAN_REPLACES), "replace": _PLAN_REPLACES}
            raise _bad_path(path, verb, allowed.get(verb, ()))
    return result


def _remove(plan: Members, path: str, value: str) -> None:
    if path not in _PLAN_REMOVES:
        raise _bad_path(path, "remove", _PLAN_REMOVES)
    if path != "/apiStages":
        plan.pop(path[1:], None)
        return
    wanted = _api_stage(value)
    kept = [
        entry
        for entry in plan["apiStages"]
        if (entry["apiId"], entry["stage"]) != (wanted["apiId"], wanted["stage"])
    ]
    if len(kept) == len(plan["apiStages"]):
        raise BadRequest("Invalid API Stage specified")
    plan["apiStages"] = kept


def _replace(plan: Members, path: str, value: str) -> None:
    group, _, member = path[1:].partition("/")
    if not member:
        plan[group] = value
        return
    kind = (_QUOTA if group == "quota" else _THROTTLE)[member]
    try:
        plan.setdefault(group, {})[member] = kind(value)
    except ValueError:
        raise BadRequest(f"Invalid patch value {value!r} for {path}: expected a number") from None


def _api_stage(value: str) -> Members:
    api_id, colon, stage = value.partition(":")
    if not (api_id and colon and stage):
        raise BadRequest("Invalid API Stage specified")
    return {"apiId": api_id, "stage": stage}


def _parts(operation: Record) -> tuple[str, str, str]:
    return tuple(str(operation.get(name) or "") for name in ("op", "path", "value"))  # type: ignore[return-value]


def _boolean(value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise BadRequest(f"Invalid patch value {value!r} for /enabled: expected true or false")
    return value.lower() == "true"


def _bad_path(path: str, verb: str, allowed: Iterable[str]) -> BadRequest:
    return BadRequest(
        f"Invalid patch path  '{path}' specified for op '{verb}'. Must be one of: "
        f"[{', '.join(allowed)}]"
    )
