"""What was decided, and what it means: ``trace``, ``explain``."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import argparse

from socketstack.cli.arguments import Commands, port_argument
from socketstack.cli.output import say
from socketstack.errors import ConfigError
from socketstack.settings import Settings


def add(commands: Commands) -> None:
    """Say what these commands take."""
    trace = commands.add_parser("trace", help="what was decided, and why, step by step")
    trace.add_argument(
        "id",
        nargs="?",
        type=str.strip,
        help="request id or connection id; without one, the newest are listed",
    )
    trace.add_argument("--all", action="store_true", help="list what went well too")
    trace.add_argument("--limit", type=int, default=20, help="how many to list (20)")
    trace.add_argument("--json", action="store_true", help="print JSON")
    trace.set_defaults(run=_trace)

    explain = commands.add_parser("explain", help="what an error code (SS-…) means, and what helps")
    explain.add_argument("code", help="for example SS-201")
    explain.set_defaults(run=_explain)
    port_argument(trace)


def _trace(options: argparse.Namespace, settings: Settings) -> int:
    import json

    from socketstack.kit.traces import list_line, read_trace, read_traces, trace_lines

    if options.id is not None:
        trace = read_trace(settings, options.id)
        lines = [json.dumps(trace, indent=2)] if options.json else trace_lines(trace)
    else:
        traces = read_traces(settings, only_refused=not options.all, limit=options.limit)
        nothing = "Nothing was refused." if not options.all else "Nothing happened yet."
        lines = [list_line(trace) for trace in reversed(traces)] or [nothing]
        if options.json:
            lines = [json.dumps({"traces": traces}, indent=2)]
    for line in lines:
        say(line)
    return 0


def _explain(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.core.causes import BY_CODE

    cause = BY_CODE.get(options.code.upper())
    if cause is None:
        message = f"There is no code {options.code!r}: {min(BY_CODE)} to {max(BY_CODE)} exist."
        raise ConfigError(message)
    say(f"{cause.code}  {cause.means}")
    say(f"Fix     {cause.fix}")
    if cause.rules:
        say(f"Rules   {', '.join(cause.rules)} (docs/parity.md)")
    say(f"More    {cause.page}")
    return 0
