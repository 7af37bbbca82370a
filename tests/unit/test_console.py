"""The terminal prints every step it can and counts the rest."""

from fakes import FakeClock

from socketstack.console import StepPrinter
from socketstack.trace import Step, Trace


async def test_steps_that_come_too_fast_are_counted_not_lost_silently() -> None:
    """A batch has a hundred lines; what is beyond is told as a number."""
    printed: list[str] = []
    trace = Trace(FakeClock())
    printer = StepPrinter(lambda event: printed.append(event.summary), printed.append)
    trace.subscribe(printer.take)

    for number in range(130):
        trace.emit(Step.MESSAGE, str(number))
    printer.flush()
    trace.emit(Step.MESSAGE, "later")
    printer.flush()

    assert printed[:100] == [str(number) for number in range(100)]
    assert printed[100:] == ["… and 30 more steps", "later"]
