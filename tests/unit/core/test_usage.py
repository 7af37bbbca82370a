from datetime import date

import pytest

from socketstack.core.usage import (
    NO_USAGE_PLANS,
    ApiKey,
    KeyAccepted,
    KeyRefused,
    Period,
    Quota,
    UsagePlan,
    UsagePlans,
    check_key,
    day_number,
    day_text,
    period_end_text,
    period_start,
    used_in_period,
)

VALUE = "a-secret-key-of-thirty-characters"
KEY = ApiKey(key_id="k1", value=VALUE, is_enabled=True)
HELD = frozenset({"k1"})


def plan(plan_id: str, *stages: tuple[str, str], keys: frozenset[str] = HELD) -> UsagePlan:
    """A usage plan for these stages."""
    return UsagePlan(plan_id=plan_id, name="basic", stages=frozenset(stages), key_ids=keys)


def day(text: str) -> int:
    """A day's number."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def test_plan_that_holds_key_and_stage_accepts() -> None:
    """Of several plans the one that holds the stage counts. 4.10."""
    right = plan("p2", ("a1", "dev"))
    plans = UsagePlans((KEY,), (plan("p1", ("a1", "prod")), right))

    assert check_key(plans, VALUE, "a1", "dev") == KeyAccepted(KEY, right)


@pytest.mark.parametrize(
    ("plans", "value", "reason"),
    [
        pytest.param(NO_USAGE_PLANS, VALUE, "there are 0", id="no-keys"),
        pytest.param(UsagePlans((KEY,)), "other", "has the value that was sent", id="wrong-value"),
        pytest.param(UsagePlans((KEY,)), "", "has the value that was sent", id="empty-value"),
        pytest.param(UsagePlans((KEY,)), "\udcff", "has the value that was sent", id="no-text"),
        pytest.param(
            UsagePlans((ApiKey(key_id="k1", value=VALUE, is_enabled=False),)),
            VALUE,
            "k1 is disabled",
            id="disabled",
        ),
        pytest.param(UsagePlans((KEY,)), VALUE, "in no usage plan", id="no-plan"),
        pytest.param(
            UsagePlans((KEY,), (plan("p1", ("a1", "dev"), keys=frozenset()),)),
            VALUE,
            "in no usage plan",
            id="plan-of-others",
        ),
        pytest.param(
            UsagePlans((KEY,), (plan("p1", ("a1", "prod"), ("b1", "dev")),)),
            VALUE,
            "basic (p1) holds a1/prod, b1/dev",
            id="other-stages",
        ),
        pytest.param(
            UsagePlans((KEY,), (plan("p1"),)), VALUE, "basic (p1) holds no stage", id="no-stage"
        ),
    ],
)
def test_what_is_not_clearly_good_is_refused(plans: UsagePlans, value: str, reason: str) -> None:
    """Each refusal says what is missing and never shows the key's value. 4.09, 4.10."""
    outcome = check_key(plans, value, "a1", "dev")

    assert isinstance(outcome, KeyRefused)
    assert reason in outcome.reason
    assert VALUE not in outcome.reason


def test_key_hides_its_value_when_it_is_shown() -> None:
    """A key in a message or a traceback does not give its value away."""
    assert VALUE not in repr(KEY)


@pytest.mark.parametrize(
    ("period", "offset", "today", "start"),
    [
        pytest.param(Period.DAY, 0, "2023-11-22", "2023-11-22", id="day"),
        pytest.param(Period.WEEK, 0, "2023-11-22", "2023-11-19", id="week-from-sunday"),
        pytest.param(Period.WEEK, 0, "2023-11-19", "2023-11-19", id="sunday-itself"),
        pytest.param(Period.WEEK, 1, "2023-11-19", "2023-11-13", id="week-from-monday"),
        pytest.param(Period.WEEK, 6, "2023-11-22", "2023-11-18", id="week-from-saturday"),
        pytest.param(Period.MONTH, 0, "2023-11-22", "2023-11-01", id="month-from-the-first"),
        pytest.param(Period.MONTH, 27, "2023-03-27", "2023-02-28", id="month-from-the-28th"),
        pytest.param(Period.MONTH, 27, "2024-02-28", "2024-02-28", id="the-28th-itself"),
        pytest.param(Period.MONTH, 14, "2024-01-01", "2023-12-15", id="over-new-year"),
    ],
)
def test_period_starts_on_its_day(period: Period, offset: int, today: str, start: str) -> None:
    """The offset is the day on which weeks or months begin."""
    quota = Quota(limit=1, period=period, offset=offset)

    assert day_text(period_start(quota, day(today))) == start


def test_only_the_present_period_counts() -> None:
    """What was used before it, and what a moved clock left behind it, does not."""
    quota = Quota(limit=10, period=Period.WEEK)
    used = {day("2023-11-18"): 1, day("2023-11-19"): 2, day("2023-11-22"): 4, day("2023-11-23"): 8}

    assert used_in_period(quota, used, day("2023-11-22")) == 6


def test_end_of_a_period_is_told_in_utc() -> None:
    """People are told when the next period starts."""
    quota = Quota(limit=1, period=Period.MONTH)

    assert period_end_text(quota, day("2024-02-10")) == "2024-03-01T00:00:00+00:00"


def test_day_changes_at_midnight_utc() -> None:
    """Milliseconds become days of UTC."""
    midnight = day("2023-11-22") * 86_400_000

    assert day_text(day_number(midnight)) == "2023-11-22"
    assert day_text(day_number(midnight - 1)) == "2023-11-21"
