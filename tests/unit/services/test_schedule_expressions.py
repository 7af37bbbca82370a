from datetime import UTC, datetime

import pytest

from socketstack.services.schedule_expressions import (
    Cron,
    InvalidScheduleError,
    Rate,
    read_schedule,
)

MINUTE_MS = 60_000


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("expression", "period_ms"),
    [
        ("rate(1 minute)", MINUTE_MS),
        ("rate(5 minutes)", 5 * MINUTE_MS),
        ("rate(1 hour)", 60 * MINUTE_MS),
        ("rate(12 hours)", 720 * MINUTE_MS),
        ("rate(1 day)", 1440 * MINUTE_MS),
        ("rate(30 days)", 43_200 * MINUTE_MS),
    ],
)
def test_rates_are_periods(expression: str, period_ms: int) -> None:
    """Minutes, hours and days, one or several."""
    assert read_schedule(expression) == Rate(period_ms)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(01 minute)",
        "rate(-1 minutes)",
        "rate(1.5 hours)",
        "rate(30 seconds)",
        "rate(5minutes)",
        "rate( minutes)",
        "rate(9999999999 days)",
        "Rate(1 minute)",
        "rate(1 minute) ",
        "at(2026-01-01T00:00:00)",
        "cron()",
        "cron(0 20 * * *)",
        "cron(0 20 * * ? * *)",
        "cron(0 20 * * * *)",
        "cron(0 20 ? * ? *)",
        "cron(60 20 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 20 32 * ? *)",
        "cron(0 20 * 13 ? *)",
        "cron(0 20 ? * 8 *)",
        "cron(0 20 * * ? 1969)",
        "cron(0/0 20 * * ? *)",
    ],
)
def test_what_aws_refuses_is_refused(expression: str) -> None:
    """Singular and plural must fit, and a cron expression has six good fields."""
    with pytest.raises(InvalidScheduleError, match="ScheduleExpression is not valid"):
        read_schedule(expression)


def test_a_rate_counts_from_its_start() -> None:
    """The next moment is later than now, however many were missed, and drifts never."""
    rate = Rate(MINUTE_MS)

    assert rate.next_ms(1_000, 1_000) == 61_000
    assert rate.next_ms(1_000, 60_999) == 61_000
    assert rate.next_ms(1_000, 61_000) == 121_000
    assert rate.next_ms(1_000, 1_000_000) == 1_021_000


@pytest.mark.parametrize(
    ("fields", "after", "due"),
    [
        ("0 20 * * ? *", "2026-03-01T19:59:59", "2026-03-01T20:00:00"),
        ("0 20 * * ? *", "2026-03-01T20:00:00", "2026-03-02T20:00:00"),
        ("*/15 * * * ? *", "2026-03-01T20:50:10", "2026-03-01T21:00:00"),
        ("0 8 ? * MON-FRI *", "2026-02-27T08:00:00", "2026-03-02T08:00:00"),
        ("0 8 ? * 1 *", "2026-03-02T00:00:00", "2026-03-08T08:00:00"),
        ("0 9 ? * 2#1 *", "2026-03-03T00:00:00", "2026-04-06T09:00:00"),
        ("0 0 L * ? *", "2026-02-01T00:00:00", "2026-02-28T00:00:00"),
        ("0 0 29 2 ? *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_cron_names_moments_in_utc(fields: str, after: str, due: str) -> None:
    """Six fields of AWS's kind; Sunday is 1."""
    schedule = read_schedule(f"cron({fields})")

    assert schedule == Cron(fields)
    assert schedule.next_ms(0, _ms(after)) == _ms(due)


def test_a_year_that_is_over_is_never_due() -> None:
    """Nothing comes after the last year that is named."""
    assert read_schedule("cron(0 0 1 1 ? 2020)").next_ms(0, _ms("2026-01-01T00:00:00")) is None
