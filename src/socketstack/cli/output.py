"""What commands print and ask."""

# ruff: noqa: PLC0415 - the terminal is loaded when something is shown

import sys
from typing import TYPE_CHECKING, Final

from socketstack.errors import GatewayError
from socketstack.settings import is_agreed

if TYPE_CHECKING:
    from socketstack.trace import TraceEvent

FAILED: Final = 1
"""The exit code of what went wrong without the user's fault."""


def complain(error: GatewayError) -> None:
    """Print an error."""
    print(f"socketstack: {error}", file=sys.stderr)


def say(line: str) -> None:
    """Print a line. The work goes on when nobody reads about it any more (``up | head``)."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        from socketstack.kit.terminal import drop_output

        drop_output()


def show_step(event: "TraceEvent") -> None:
    """Print one step of the engine."""
    from socketstack.kit.terminal import drop_output, print_event

    try:
        print_event(event.as_json())
    except BrokenPipeError:
        drop_output()


def ask(question: str) -> bool:
    """Have something agreed to: ``YES=1``, or a person at the terminal."""
    if is_agreed():
        say(f"{question} YES=1")
        return True
    if not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
