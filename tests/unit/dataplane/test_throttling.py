from collections.abc import Callable, Mapping

import pytest
from fakes import FakeClock

from socketstack.core.model import ApiSnapshot, DeployedStage, StageSettings, Throttle
from socketstack.dataplane.throttling import AWS_ACCOUNT, AccountThrottles, Throttling, TooMany

OFF = AccountThrottles(requests=None, connections=None)


def limits(rate: float, burst: int) -> Throttle:
    """A bucket's size."""
    return Throttle(rate_per_second=rate, burst=burst)


def stage(
    throttles: Mapping[str, Throttle | None] | None = None,
    *,
    api_id: str = "a1",
    region: str = "eu-west-1",
    variables: Mapping[str, str] | None = None,
) -> DeployedStage:
    """A deployed stage with these limits."""
    return DeployedStage(
        settings=StageSettings(
            stage_name="dev",
            deployment_id="d1",
            throttles=throttles or {},
            variables=variables or {},
        ),
        snapshot=ApiSnapshot(
            api_id=api_id,
            account_id="000000000000",
            region=region,
            deployment_id="d1",
            route_selection_expression="$request.body.action",
        ),
    )


def passed(ask: Callable[[], TooMany | None], tries: int) -> int:
    """How many of some requests pass."""
    return sum(ask() is None for _ in range(tries))


def test_stage_without_limits_lets_everything_pass() -> None:
    """Without limits of account and stage nobody is refused."""
    throttling = Throttling(clock=FakeClock(), account=OFF)
    open_stage = stage()

    assert passed(lambda: throttling.message(open_stage, "a"), 20_000) == 20_000
    assert passed(lambda: throttling.handshake(open_stage), 2_000) == 2_000


def test_limits_of_aws_are_the_default() -> None:
    """Unless told otherwise, 5,000 requests pass at once and 500 connections. 6.15, 6.16."""
    throttling = Throttling(clock=FakeClock())
    one = stage()

    assert passed(lambda: throttling.handshake(one), 600) == 500
    assert passed(lambda: throttling.message(one, "a"), 5_000) == 4_500
    assert AWS_ACCOUNT.requests == limits(10_000, 5_000)


def test_account_limit_is_shared_by_apis_routes_and_calls() -> None:
    """Messages of two APIs and calls of the management API empty one bucket. 6.16."""
    throttling = Throttling(
        clock=FakeClock(), account=AccountThrottles(requests=limits(1, 3), connections=None)
    )

    first = throttling.message(stage(), "a")
    second = throttling.message(stage(api_id="b2"), "b")
    third = throttling.call("000000000000", "eu-west-1")
    fourth = throttling.message(stage(), "a")

    assert (first, second, third) == (None, None, None)
    assert fourth is not None
    assert "SOCKETSTACK_ACCOUNT_THROTTLE" in fourth.reason


def test_regions_have_limits_of_their_own() -> None:
    """What one Region used up is not missing in another. 6.16."""
    throttling = Throttling(
        clock=FakeClock(), account=AccountThrottles(requests=limits(1, 1), connections=None)
    )
    throttling.message(stage(), "a")

    assert throttling.message(stage(), "a") is not None
    assert throttling.message(stage(region="us-east-1"), "a") is None


def test_each_route_has_a_bucket_of_the_stages_size() -> None:
    """The stage's limits hold for each route by itself. 6.18."""
    throttling = Throttling(clock=FakeClock(), account=OFF)
    tight = stage({"": limits(1, 2)})

    assert passed(lambda: throttling.message(tight, "a"), 5) == 2
    assert passed(lambda: throttling.message(tight, "b"), 5) == 2
    assert passed(lambda: throttling.handshake(tight), 5) == 2


def test_settings_of_a_route_stand_alone() -> None:
    """A route with settings of its own takes nothing from the stage's. 1.100."""
    throttling = Throttling(clock=FakeClock(), account=OFF)
    mixed = stage({"": limits(0, 0), "a": limits(1, 2), "b": None})

    assert passed(lambda: throttling.message(mixed, "a"), 5) == 2
    assert passed(lambda: throttling.message(mixed, "b"), 5) == 5
    assert passed(lambda: throttling.message(mixed, "c"), 5) == 0


def test_stage_cannot_raise_the_accounts_limit() -> None:
    """A stage's limit above the account's changes nothing. 6.18."""
    throttling = Throttling(
        clock=FakeClock(), account=AccountThrottles(requests=limits(1, 2), connections=None)
    )
    wide = stage({"": limits(100, 100)})

    assert passed(lambda: throttling.message(wide, "a"), 10) == 2


def test_level_is_kept_when_unrelated_settings_change() -> None:
    """New variables of a stage do not give its clients a full bucket. 1.79."""
    throttling = Throttling(clock=FakeClock(), account=OFF)
    passed(lambda: throttling.message(stage({"": limits(1, 2)}), "a"), 2)

    again = throttling.message(stage({"": limits(1, 2)}, variables={"x": "1"}), "a")

    assert again is not None


@pytest.mark.parametrize(
    ("then", "count"),
    [
        pytest.param({"": limits(1, 3)}, 3, id="raised"),
        pytest.param({"": limits(0, 0)}, 0, id="closed"),
        pytest.param({}, 9, id="removed"),
    ],
)
def test_new_limits_act_at_once(then: Mapping[str, Throttle | None], count: int) -> None:
    """A changed limit counts for the very next message. 1.79."""
    throttling = Throttling(clock=FakeClock(), account=OFF)
    passed(lambda: throttling.message(stage({"": limits(1, 2)}), "a"), 2)

    assert passed(lambda: throttling.message(stage(then), "a"), 9) == count


def test_time_fills_the_buckets_again() -> None:
    """Who waits gets through again."""
    clock = FakeClock()
    throttling = Throttling(clock=clock, account=OFF)
    tight = stage({"": limits(2, 1)})
    throttling.message(tight, "a")

    refused = throttling.message(tight, "a")
    clock.advance(0.5)

    assert refused is not None
    assert throttling.message(tight, "a") is None


def test_key_has_a_bucket_in_each_of_its_plans() -> None:
    """The limits of a usage plan hold for each key by itself. 4.11."""
    throttling = Throttling(clock=FakeClock())
    size = limits(1, 2)

    assert passed(lambda: throttling.plan("p1", "k1", size), 5) == 2
    assert passed(lambda: throttling.plan("p1", "k2", size), 5) == 2
    assert passed(lambda: throttling.plan("p2", "k1", size), 5) == 2


def test_thousands_of_routes_do_not_pile_up() -> None:
    """Routes whose buckets are full are forgotten, used ones are kept."""
    clock = FakeClock()
    throttling = Throttling(clock=clock, account=OFF)
    used = stage({"": limits(0.001, 1)}, api_id="used")
    throttling.message(used, "a")

    for number in range(10_000):
        throttling.message(stage(api_id=f"api{number}"), "a")

    assert len(throttling._routes) < 5_000
    assert throttling.message(used, "a") is not None
