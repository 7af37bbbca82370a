"""Events as people read them: one line per step, in colour where there is a terminal."""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from rich.console import Console
from rich.control import strip_control_codes
from rich.text import Text

_COLOURS: Final = {
    "refused": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "connected": "green",
    "decision": "cyan",
    "log": "dim",
    "control": "dim",
    "push": "magenta",
}
_STEP_WIDTH: Final = 10
_ID_CHARACTERS: Final = 6
_MS: Final = 1000
_REPLY: Final = "reply"
"""Silence has a cause as well, and is what most routes are meant to give."""
_INDENT: Final = len("00:00:00.000 ") + _STEP_WIDTH + 1 + _ID_CHARACTERS + 1


def print_event(event: Mapping[str, Any], console: Console | None = None) -> None:
    """Print one event, as ``TraceEvent.as_json`` and the stream of events have it.

    Raises ``BrokenPipeError`` when the output's reader has left; see ``drop_output``.
    """
    target = console or _terminal()
    if _is_terminal(target):
        target.print(event_line(event), soft_wrap=True)
    else:
        # A log file: what rich would do for colours and widths costs more than the step did.
        target.file.write(_plain_line(event))
        target.file.flush()


@lru_cache(maxsize=4)  # rich asks the system, and three variables, every time
def _is_terminal(console: Console) -> bool:
    return console.is_terminal


def event_line(event: Mapping[str, Any]) -> Text:
    """One event as a line: time, step, whose connection, what happened."""
    return Text.assemble(*_parts(event))


def _plain_line(event: Mapping[str, Any]) -> str:
    text = "".join(part for part, _style in _parts(event))
    # As rich's own texts: what a client sent must not steer the reader's terminal.
    return strip_control_codes(text) + "\n"


def _parts(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A line's texts, each with its style."""
    if "step" not in event:
        lost = event.get("lostEvents", "?")
        return [(f"{lost} events came too fast to be shown", "yellow")]
    step = str(event["step"])
    seconds, milliseconds = divmod(event["time"], _MS)
    connection = str(event.get("connectionId", ""))[:_ID_CHARACTERS]
    return [
        (f"{_local_time(seconds)}.{milliseconds:03d} ", "dim"),
        (f"{step:<{_STEP_WIDTH}} ", _COLOURS.get(step, "")),
        (f"{connection:<{_ID_CHARACTERS}} ", "dim"),
        (str(event["summary"]), ""),
        *_refusal_lines(event),
    ]


@lru_cache(maxsize=4)  # a busy engine prints a thousand lines in a second
def _local_time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=UTC).astimezone():%H:%M:%S}"


def _refusal_lines(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why, and what helps, below the step itself: code, fix, and how to see the whole trace."""
    cause = event.get("cause")
    if not cause or event["step"] == _REPLY:
        return []
    indent = "\n" + " " * _INDENT
    lines = [(f"{indent}{cause['code']}  {cause['fix']}", "yellow")]
    if event.get("requestId"):
        lines.append((f"{indent}socketstack trace {event['requestId']}", "dim"))
    return lines


def drop_output() -> None:
    """Let go of standard output, whose reader has left as ``head`` does: what comes is lost.

    Otherwise the interpreter would complain at its end about what it could not write.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


_consoles: list[Console] = []


def _terminal() -> Console:
    if not _consoles:
        _consoles.append(Console(highlight=False, emoji=False, markup=False))
    return _consoles[0]
