"""The throttling members of stage settings as limits of token buckets.

Rules: 1.98, 1.100, 6.18.
"""

from collections.abc import Mapping
from typing import Final, cast

from socketstack.controlplane.members import mapping
from socketstack.core.model import Record, Throttle
from socketstack.core.throttle import ACCOUNT_REQUESTS

_RATE: Final = "ThrottlingRateLimit"
_BURST: Final = "ThrottlingBurstLimit"


def stage_throttles(stage: Record) -> dict[str, Throttle | None]:
    """The limits of a stage by route key, ``""`` for all others; None has no limit of its own.

    A member that is left out beside the other one has the account's value, which limits anyway.
    """
    settings = {"": mapping(stage, "DefaultRouteSettings"), **mapping(stage, "RouteSettings")}
    return {
        key: _throttle(cast("Mapping[str, float]", entry))
        for key, entry in settings.items()
        if isinstance(entry, Mapping)
    }


def _throttle(settings: Mapping[str, float]) -> Throttle | None:
    rate, burst = settings.get(_RATE), settings.get(_BURST)
    if rate is None and burst is None:
        return None
    return Throttle(
        rate_per_second=ACCOUNT_REQUESTS.rate_per_second if rate is None else float(rate),
        burst=ACCOUNT_REQUESTS.burst if burst is None else int(burst),
    )
