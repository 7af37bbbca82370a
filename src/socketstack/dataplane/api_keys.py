"""The API key of a handshake: is there one, does it open this stage, is anything left of its plan.

The key comes from the ``x-api-key`` header, or from what the authorizer returned; the API's
selection expression says which, and the other one is not looked at. A key that is not clearly
good is a 403, a plan that is used up a 429; in both cases nothing further is called.

Rules: 1.19, 3.29, 4.08 to 4.11, 4.13.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from socketstack.clock import Clock
from socketstack.core import usage
from socketstack.core.causes import Cause
from socketstack.core.usage import KeyAccepted, KeyRefused, Quota
from socketstack.dataplane.authorization import Authorized
from socketstack.dataplane.handshake import Refused
from socketstack.dataplane.throttling import THROTTLED, Throttling
from socketstack.store import Store

_HEADER: Final = "x-api-key"
_FROM_HEADER: Final = "$request.header.x-api-key"
_FROM_AUTHORIZER: Final = "$context.authorizer.usageIdentifierKey"
_INVALID: Final = "INVALID_API_KEY"
_EXCEEDED: Final = "QUOTA_EXCEEDED"


class ApiKeys:
    """Checks keys, and counts what they use."""

    def __init__(self, *, store: Store, clock: Clock, throttling: Throttling) -> None:
        self._store = store
        self._clock = clock
        self._throttling = throttling

    def check(self, authorized: Authorized) -> Authorized | Refused:
        """Let a handshake pass on a route that needs a key; its events then name the key (4.13)."""
        stage = authorized.handshake.stage
        snapshot, stage_name = stage.snapshot, stage.settings.stage_name
        value = _value(authorized)
        if isinstance(value, Refused):
            return value
        plans = self._store.usage_plans(snapshot.region)
        found = usage.check_key(plans, value, snapshot.api_id, stage_name)
        if isinstance(found, KeyRefused):
            return _forbidden(found.reason, found.cause)
        exhausted = self._exhausted(found)
        if exhausted is not None:
            return exhausted
        connection = authorized.handshake.connection
        # The whole key, as on AWS; events are not told to the trace.
        identity = {"apiKey": found.key.value, "apiKeyId": found.key.key_id}
        named = replace(connection, identity={**connection.identity, **identity})
        return replace(authorized, handshake=replace(authorized.handshake, connection=named))

    def _exhausted(self, found: KeyAccepted) -> Refused | None:
        """Count one request of a key against its plan, unless nothing is left. Rule 4.11."""
        plan, key = found.plan, found.key
        today = usage.day_number(self._clock.now_ms())
        used = self._store.usage(plan.plan_id, key.key_id)
        if plan.quota is not None:
            count = usage.used_in_period(plan.quota, used, today)
            if count >= plan.quota.limit:
                return _quota_exceeded(found, plan.quota, today)
        if plan.throttle is not None:
            throttled = self._throttling.plan(plan.plan_id, key.key_id, plan.throttle)
            if throttled is not None:
                return Refused(
                    status=HTTPStatus.TOO_MANY_REQUESTS,
                    reason=throttled.reason,
                    cause=throttled.cause,
                    response_type=THROTTLED,
                )
        self._store.count_usage(plan.plan_id, key.key_id, today)
        return None


def _value(authorized: Authorized) -> str | Refused:
    """What was sent as key, from the one place where the API looks for it."""
    handshake = authorized.handshake
    source = handshake.stage.snapshot.api_key_selection_expression
    if source == _FROM_HEADER:
        value = handshake.upgrade.header(_HEADER)
        missing = (
            f"The route needs an API key in the header {_HEADER}, and there is none. Browsers "
            "cannot send it on a handshake. [4.08, 4.09, 4.12]"
        )
    elif source == _FROM_AUTHORIZER:
        value = authorized.usage_identifier_key
        missing = (
            "The API reads its key from the authorizer, and that returned no usageIdentifierKey. "
            "Return one of the usage plan's keys there. [3.29, 4.09]"
        )
    else:
        value = None
        missing = f"The API's key selection expression {source!r} names no place of a key. [1.19]"
    return value or _forbidden(missing, Cause.API_KEY_MISSING)


def _forbidden(reason: str, cause: Cause) -> Refused:
    return Refused(status=HTTPStatus.FORBIDDEN, reason=reason, cause=cause, response_type=_INVALID)


def _quota_exceeded(found: KeyAccepted, quota: Quota, today: int) -> Refused:
    return Refused(
        status=HTTPStatus.TOO_MANY_REQUESTS,
        reason=f"The API key {found.key.key_id} has used its {quota.limit} requests a "
        f"{quota.period.lower()} of the usage plan {found.plan.name}. The next period starts at "
        f"{usage.period_end_text(quota, today)}; the plan's quota can be raised. [4.11]",
        cause=Cause.QUOTA_EXCEEDED,
        response_type=_EXCEEDED,
        message="Limit Exceeded",
    )
