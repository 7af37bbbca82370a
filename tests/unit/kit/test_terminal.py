import io

from rich.console import Console

from socketstack.kit.terminal import event_line, print_event

_EVENT = {
    "time": 1_700_000_000_123,
    "step": "refused",
    "summary": "401: [bold]token[/bold] is missing",
    "connectionId": "abcdefghijklmno=",
}


def test_event_is_one_line_with_step_and_connection() -> None:
    """A line has the milliseconds, the step, the start of the connection id and the summary."""
    line = event_line(_EVENT).plain

    assert line.endswith(".123 refused    abcdef 401: [bold]token[/bold] is missing")


def test_long_event_is_not_cut_or_wrapped() -> None:
    """A line stays whole in a narrow terminal, and what looks like markup is text."""
    written = io.StringIO()
    console = Console(file=written, width=40, markup=False)

    print_event({**_EVENT, "summary": "x" * 200}, console)

    assert written.getvalue().count("\n") == 1
    assert "x" * 200 in written.getvalue()


def test_lost_events_are_counted() -> None:
    """A reader that is too slow learns how much it missed."""
    assert event_line({"lostEvents": 7}).plain == "7 events came too fast to be shown"
