"""Token buckets: how many requests may pass, decided from a time that the caller gives.

A bucket holds as many tokens as its burst limit, each request takes one, and they come back at the
rate limit. Nothing here reads a clock; times are seconds of any clock that only grows.

Rules: 1.98, 6.15, 6.16, 6.18.
"""

from collections.abc import Sequence
from typing import Final

from socketstack.core.model import Throttle

ACCOUNT_REQUESTS: Final = Throttle(rate_per_second=10_000.0, burst=5_000)
"""What an account may do in one Region, all APIs together. Rule 6.16."""
NEW_CONNECTIONS: Final = Throttle(rate_per_second=500.0, burst=500)
"""How many connections an account may open in one Region. Rule 6.15."""


class Bucket:
    """One bucket; full at first.

    Args:
        throttle: Its size and rate; a rate or burst of 0 lets nothing pass (1.98).
        now_seconds: The present.
        reason: What to tell people when it refuses: whose limit it is, and what to do.
    """

    __slots__ = ("_burst", "_filled_at", "_level", "_rate", "reason", "throttle")

    def __init__(self, throttle: Throttle, now_seconds: float, reason: str = "") -> None:
        self.throttle = throttle
        self.reason = reason
        # Read for every message: once more, and as floats.
        self._rate = float(throttle.rate_per_second)
        self._burst = float(throttle.burst) if throttle.rate_per_second > 0 else 0.0
        self._level = self._burst
        self._filled_at = now_seconds

    def has_token(self, now_seconds: float) -> bool:
        """Whether one request may pass now; takes nothing."""
        passed = now_seconds - self._filled_at
        if passed > 0:
            level = self._level + passed * self._rate
            # min() would take as long as all the rest, for every message.
            self._level = level if level < self._burst else self._burst  # noqa: FURB136
            self._filled_at = now_seconds
        return self._level >= 1

    def take(self) -> None:
        """Take one token; ``has_token`` said that there is one."""
        self._level -= 1

    def is_full(self, now_seconds: float) -> bool:
        """Whether it is as a new one would be, so that nothing is lost if it is forgotten."""
        self.has_token(now_seconds)
        return self._level >= self._burst


def pass_all(buckets: Sequence[Bucket], now_seconds: float) -> Bucket | None:
    """Let one request through all buckets: None, and each has one token less.

    Returns:
        The first bucket that refuses; then none has lost a token.
    """
    for bucket in buckets:
        if not bucket.has_token(now_seconds):
            return bucket
    for bucket in buckets:
        bucket.take()
    return None
