"""Who comes too often: the account's limits, those of stages and routes, those of usage plans.

Handshakes, messages and ``@connections`` calls each take a token of every bucket they pass; one
empty bucket refuses, and then the others lose nothing. ``$disconnect`` is no request and passes.
Settings of a stage act at once (1.79). A bucket is kept as long as its own limits stay as they are;
with new limits it starts full.

Rules: 1.98, 2.20, 4.11, 5.38, 6.15, 6.16, 6.18, 7.17.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from socketstack.clock import Clock
from socketstack.core.causes import Cause
from socketstack.core.model import DeployedStage, StageSettings, Throttle
from socketstack.core.routing import CONNECT
from socketstack.core.throttle import ACCOUNT_REQUESTS, NEW_CONNECTIONS, Bucket, pass_all

_KEPT_ROUTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountThrottles:
    """What an account may do in one Region; None is no limit, which AWS does not know."""

    requests: Throttle | None = ACCOUNT_REQUESTS
    connections: Throttle | None = NEW_CONNECTIONS


AWS_ACCOUNT: Final = AccountThrottles()
THROTTLED: Final = "THROTTLED"
"""What logs call a request that came too often (``$context.error.responseType``)."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """What an empty bucket says: whose limit it is, and what to do."""

    reason: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class _RouteBuckets:
    """The buckets of one route at one stage, made from one version of the stage's settings."""

    settings: StageSettings
    own: Bucket | None
    all: tuple[Bucket, ...]


class Throttling:
    """Lets requests pass, or says why one does not."""

    def __init__(self, *, clock: Clock, account: AccountThrottles = AWS_ACCOUNT) -> None:
        self._clock = clock
        self._account = account
        self._routes: dict[tuple[str, str, str], _RouteBuckets] = {}
        self._others: dict[Hashable, Bucket] = {}

    def handshake(self, stage: DeployedStage) -> TooMany | None:
        """Let a new connection pass: None, or the reason for a 429 (2.20)."""
        buckets = self._of_route(stage, CONNECT)
        if self._account.connections is not None:
            place = (stage.snapshot.account_id, stage.snapshot.region)
            opening = self._other(
                ("connections", *place),
                self._account.connections,
                f"The account opens more than {_shown(self._account.connections, 'connections')} "
                f"in {place[1]}. Connect more slowly, or set SOCKETSTACK_CONNECTION_THROTTLE=off "
                "for this engine. [2.20, 6.15]",
            )
            buckets = (*buckets, opening)
        return self._pass(buckets)

    def message(self, stage: DeployedStage, route_key: str) -> TooMany | None:
        """Let a message pass to its route: None, or the reason for an error frame (5.38)."""
        buckets = self._of_route(stage, route_key)
        if not buckets:
            return None
        return self._pass(buckets)

    def call(self, account_id: str, region: str) -> TooMany | None:
        """Let an ``@connections`` call pass: None, or the reason for a 429 (6.16, 7.17)."""
        return self._pass(self._of_account(account_id, region))

    def plan(self, plan_id: str, key_id: str, throttle: Throttle) -> TooMany | None:
        """Let a request of an API key pass its usage plan: None, or the reason (4.11)."""
        bucket = self._other(
            ("plan", plan_id, key_id),
            throttle,
            f"The usage plan {plan_id} allows its API key {key_id} "
            f"{_shown(throttle, 'requests')}. [4.11]",
        )
        refused = self._pass((bucket,))
        return None if refused is None else TooMany(refused.reason, Cause.PLAN_THROTTLED)

    def _pass(self, buckets: tuple[Bucket, ...]) -> TooMany | None:
        refusing = pass_all(buckets, self._clock.monotonic_seconds())
        if refusing is None:
            return None
        is_closed = refusing.throttle.is_closed
        return TooMany(refusing.reason, Cause.THROTTLING_ZERO if is_closed else Cause.THROTTLED)

    def _of_route(self, stage: DeployedStage, route_key: str) -> tuple[Bucket, ...]:
        key = (stage.snapshot.api_id, stage.settings.stage_name, route_key)
        known = self._routes.get(key)
        if known is not None and known.settings is stage.settings:
            return known.all
        return self._renew(key, known, stage)

    def _renew(
        self, key: tuple[str, str, str], known: _RouteBuckets | None, stage: DeployedStage
    ) -> tuple[Bucket, ...]:
        if len(self._routes) >= _KEPT_ROUTES:
            self._forget_idle()
        _api_id, stage_name, route_key = key
        throttle = stage.settings.throttle_of(route_key)
        own = known.own if known else None
        if throttle is None:
            own = None
        elif own is None or own.throttle != throttle:
            reason = _reason(throttle, f"{route_key} at the stage {stage_name}")
            own = Bucket(throttle, self._clock.monotonic_seconds(), reason)
        of_account = self._of_account(stage.snapshot.account_id, stage.snapshot.region)
        buckets = of_account if own is None else (own, *of_account)
        self._routes[key] = _RouteBuckets(stage.settings, own, buckets)
        return buckets

    def _of_account(self, account_id: str, region: str) -> tuple[Bucket, ...]:
        throttle = self._account.requests
        if throttle is None:
            return ()
        bucket = self._other(
            ("account", account_id, region),
            throttle,
            f"The account sends more than {_shown(throttle, 'requests')} in {region}, all APIs "
            "together. Send less, or set SOCKETSTACK_ACCOUNT_THROTTLE=off for this engine. "
            "[5.38, 6.16]",
        )
        return (bucket,)

    def _other(self, key: Hashable, throttle: Throttle, reason: str) -> Bucket:
        bucket = self._others.get(key)
        if bucket is None or bucket.throttle != throttle:
            bucket = Bucket(throttle, self._clock.monotonic_seconds(), reason)
            self._others[key] = bucket
        return bucket

    def _forget_idle(self) -> None:
        """Forget routes whose bucket is as good as new: an engine may see thousands of APIs."""
        now_seconds = self._clock.monotonic_seconds()
        self._routes = {
            key: known
            for key, known in self._routes.items()
            if known.own is not None and not known.own.is_full(now_seconds)
        }


def _reason(throttle: Throttle, where: str) -> str:
    if throttle.is_closed:
        return (
            f"The throttling is 0 for {where}, which lets nothing pass. Leave the members out for "
            "no throttling. [1.98]"
        )
    return (
        f"More than {_shown(throttle, 'requests')} for {where}. Send less, or raise the stage's "
        "ThrottlingRateLimit and ThrottlingBurstLimit. [6.18]"
    )


def _shown(throttle: Throttle, what: str) -> str:
    return f"{throttle.rate_per_second:g} {what} a second and {throttle.burst} at once"
