"""Token buckets under any sequence of requests and pauses."""

from hypothesis import given
from hypothesis import strategies as st

from socketstack.core.model import Throttle
from socketstack.core.throttle import Bucket, pass_all

RATES = st.floats(min_value=0.01, max_value=20_000)
BURSTS = st.integers(min_value=1, max_value=10_000)
PAUSES = st.lists(st.floats(min_value=0, max_value=5), min_size=1, max_size=200)
ROUNDING = 1e-6


@given(rate=RATES, burst=BURSTS, pauses=PAUSES)
def test_no_more_than_burst_and_rate_ever_pass(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """From any moment on, no more pass than the burst and what the rate gave since."""
    bucket = Bucket(Throttle(rate_per_second=rate, burst=burst), 0.0)
    now, moments = 0.0, []

    for pause in pauses:
        now += pause
        if pass_all((bucket,), now) is None:
            moments.append(now)

    for first, start in enumerate(moments):
        count = len(moments) - first
        assert count <= burst + rate * (moments[-1] - start) + 1 + ROUNDING


@given(rate=RATES, burst=BURSTS, pauses=PAUSES)
def test_requests_slower_than_the_rate_always_pass(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """Who waits at least one period between requests is never refused."""
    bucket = Bucket(Throttle(rate_per_second=rate, burst=burst), 0.0)
    now = 0.0

    for pause in pauses:
        now += (1 / rate) * (1 + ROUNDING) + pause
        assert pass_all((bucket,), now) is None


@given(
    sizes=st.lists(st.tuples(RATES, BURSTS), min_size=1, max_size=4),
    pauses=st.lists(st.floats(min_value=0, max_value=2), min_size=1, max_size=100),
)
def test_several_buckets_pass_what_the_tightest_would(
    sizes: list[tuple[float, int]], pauses: list[float]
) -> None:
    """Together, buckets never let pass what one of them alone would refuse."""
    together = [Bucket(Throttle(rate_per_second=r, burst=b), 0.0) for r, b in sizes]
    alone = [Bucket(Throttle(rate_per_second=r, burst=b), 0.0) for r, b in sizes]
    now = 0.0

    for pause in pauses:
        now += pause
        has_passed = pass_all(together, now) is None
        if has_passed:
            assert all(pass_all((bucket,), now) is None for bucket in alone)
        else:
            assert any(not bucket.has_token(now) for bucket in alone)
