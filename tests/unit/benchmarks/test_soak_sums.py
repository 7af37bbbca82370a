import pytest

from benchmarks.soak.ledger import Kind, Ledger, Outcome
from benchmarks.soak.slope import growth


def test_ledger_comes_out_even() -> None:
    """Whatever was sent has one end, of whichever kind."""
    ledger = Ledger()
    ledger.note(Kind.PUSH, Outcome.SENT, 6)
    ledger.note(Kind.PUSH, Outcome.RECEIVED, 3)
    ledger.note(Kind.PUSH, Outcome.REFUSED, 2)
    ledger.note(Kind.PUSH, Outcome.ABANDONED)
    assert list(ledger.problems()) == []
    assert "pushes: 6 sent, 3 received, 2 refused, 1 abandoned" in list(ledger.lines())


@pytest.mark.parametrize("received", [1, 3])
def test_ledger_names_what_is_lost_or_came_twice(received: int) -> None:
    """One missing or one too many is a problem of its kind, and only of that."""
    ledger = Ledger()
    ledger.note(Kind.MESSAGE, Outcome.SENT, 2)
    ledger.note(Kind.MESSAGE, Outcome.RECEIVED, received)
    assert list(ledger.problems()) == [
        f"messages: 2 sent are not {received} received + 0 refused + 0 abandoned"
    ]


def test_surprises_are_problems() -> None:
    """Even counts do not excuse what should never have happened."""
    ledger = Ledger()
    ledger.surprises.append("push 3 came twice or unasked")
    assert list(ledger.problems()) == ["push 3 came twice or unasked"]


def test_growth_is_that_of_the_second_half() -> None:
    """What fills in the first half is no leak; a steady rise in the second one is."""
    filling = [(float(second), 50.0 + second * 10) for second in range(10)]
    flat = [(float(second), 150.0) for second in range(10, 20)]
    rising = [(float(second), 150.0 + 2 * second) for second in range(10, 20)]

    assert growth(filling + flat).total == pytest.approx(0)
    assert growth(filling + rising).per_second == pytest.approx(2)
    assert growth(filling + rising).total == pytest.approx(18)


def test_growth_of_one_sample_is_an_error() -> None:
    """One sample would look perfectly flat."""
    with pytest.raises(ValueError, match="run longer"):
        growth([(0.0, 1.0)])
