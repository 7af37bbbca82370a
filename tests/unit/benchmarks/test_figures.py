import pytest

from benchmarks.figures import Figure, Verdict, at_least, at_most, number, percentile, ratios


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        pytest.param(50, 5, id="median-of-ten-is-the-fifth"),
        pytest.param(99, 10, id="p99-of-ten-is-the-last"),
        pytest.param(90, 9, id="exact-rank"),
        pytest.param(91, 10, id="rank-is-rounded-up"),
        pytest.param(0, 1, id="least"),
        pytest.param(100, 10, id="greatest"),
    ],
)
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    """The value at the rank that covers so many percent, never one between two."""
    assert percentile(range(1, 11), percent) == expected


def test_percentile_of_nothing_is_an_error() -> None:
    """Nothing has no percentile: a zero would look like a very good one."""
    with pytest.raises(ValueError, match="there are no values"):
        percentile([], 99)


@pytest.mark.parametrize(
    ("goal", "values", "verdict"),
    [
        pytest.param(at_least(2), (2.0,), Verdict.MET, id="least-bound-itself"),
        pytest.param(at_least(2), (1.9,), Verdict.MISSED, id="below-least"),
        pytest.param(at_most(2), (2.0,), Verdict.MET, id="most-bound-itself"),
        pytest.param(at_most(2), (2.1,), Verdict.MISSED, id="above-most"),
        pytest.param(at_most(2), (1.0, 1.5, 90.0), Verdict.MET, id="median-decides"),
        pytest.param(None, (1.0,), Verdict.NONE, id="no-goal"),
    ],
)
def test_median_is_held_against_the_goal(
    goal: object, values: tuple[float, ...], verdict: Verdict
) -> None:
    """One bad run on a shared machine decides nothing."""
    figure = Figure("echo", "rate", "/s", values, goal)  # type: ignore[arg-type]
    assert figure.verdict is verdict
    assert figure.as_json()["verdict"] == str(verdict)


def test_figure_without_values_is_refused() -> None:
    """What was not measured is no figure."""
    with pytest.raises(ValueError, match="echo: rate has no values"):
        Figure("echo", "rate", "/s", ())


def test_spread_tells_least_greatest_and_number() -> None:
    """A reader sees how much runs differ."""
    assert Figure("echo", "rate", "/s", (3_000.4, 1.0, 2.0)).spread == "1 to 3,000, n=3"
    assert Figure("echo", "rate", "/s", (3.0,)).spread == "n=1"


def test_ratios_pair_what_was_measured_together() -> None:
    """Run by run; a different number of runs is an error, not a shorter answer."""
    assert ratios([2.0, 9.0], [1.0, 3.0]) == (2.0, 3.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [(12_345.6, "12,346"), (12.34, "12.3"), (0.1234, "0.123"), (0.0, "0"), (3.0, "3")],
)
def test_number_shows_three_digits(value: float, text: str) -> None:
    """Digits that only noise fills are left out."""
    assert number(value) == text
