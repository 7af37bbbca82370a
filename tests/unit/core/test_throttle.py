import pytest

from socketstack.core.model import Throttle
from socketstack.core.throttle import Bucket, pass_all


def limits(rate: float, burst: int) -> Throttle:
    """A bucket's size."""
    return Throttle(rate_per_second=rate, burst=burst)


def passed(bucket: Bucket, now_seconds: float, tries: int) -> int:
    """How many of some requests at one moment pass."""
    return sum(pass_all((bucket,), now_seconds) is None for _ in range(tries))


def test_burst_passes_at_once_and_no_more() -> None:
    """A full bucket lets exactly its burst through in one moment. 6.18."""
    bucket = Bucket(limits(1, 3), 100.0)

    assert passed(bucket, 100.0, 5) == 3


def test_tokens_come_back_at_the_rate() -> None:
    """An empty bucket has one token after one period of its rate, and half a one is none. 6.18."""
    bucket = Bucket(limits(2, 3), 0.0)
    passed(bucket, 0.0, 3)

    assert passed(bucket, 0.25, 1) == 0
    assert passed(bucket, 0.5, 2) == 1
    assert passed(bucket, 1.75, 5) == 2


def test_tokens_never_exceed_the_burst() -> None:
    """A long silence saves up no more than the burst. 6.18."""
    bucket = Bucket(limits(100, 4), 0.0)

    assert passed(bucket, 3600.0, 10) == 4


def test_rate_below_one_a_second_is_kept() -> None:
    """A rate of one in four seconds lets one request through every four seconds."""
    bucket = Bucket(limits(0.25, 1), 0.0)
    passed(bucket, 0.0, 1)

    assert [passed(bucket, float(second), 1) for second in range(1, 9)] == [0, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("rate", "burst"),
    [
        pytest.param(0, 5, id="no-rate"),
        pytest.param(5, 0, id="no-burst"),
        pytest.param(0, 0, id="neither"),
    ],
)
def test_zero_lets_nothing_pass(rate: float, burst: int) -> None:
    """A limit of zero is closed from the start and stays so. 1.98."""
    bucket = Bucket(limits(rate, burst), 0.0)

    assert limits(rate, burst).is_closed
    assert passed(bucket, 0.0, 3) == 0
    assert passed(bucket, 1000.0, 3) == 0


def test_time_that_stands_still_or_goes_back_gives_no_tokens() -> None:
    """Only time that passes fills a bucket."""
    bucket = Bucket(limits(10, 1), 50.0)
    passed(bucket, 50.0, 1)

    assert passed(bucket, 50.0, 1) == 0
    assert passed(bucket, 10.0, 1) == 0
    assert passed(bucket, 50.1, 1) == 1


def test_refused_request_takes_no_token_elsewhere() -> None:
    """When one of several buckets is empty, the others lose nothing; the empty one is named."""
    wide, narrow = Bucket(limits(1, 10), 0.0, "wide"), Bucket(limits(1, 1), 0.0, "narrow")

    refusals = [pass_all((wide, narrow), 0.0) for _ in range(5)]

    assert [refusal and refusal.reason for refusal in refusals] == [None, *["narrow"] * 4]
    assert passed(wide, 0.0, 20) == 9


def test_bucket_is_full_again_after_a_rest() -> None:
    """A bucket that has refilled is as good as a new one."""
    bucket = Bucket(limits(1, 2), 0.0)
    passed(bucket, 0.0, 1)

    assert not bucket.is_full(0.5)
    assert bucket.is_full(1.0)
