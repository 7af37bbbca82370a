"""Moving API Gateway's time: ``skip``."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import argparse

from socketstack.cli.arguments import Commands, port_argument
from socketstack.cli.output import say
from socketstack.settings import Settings


def add(commands: Commands) -> None:
    """Say what the command takes."""
    skip = commands.add_parser("skip", help="move API Gateway's time forward, to meet its limits")
    skip.add_argument("amount", nargs="?", help="how far, for example 10m, 1h30m or 90s")
    skip.add_argument(
        "--to",
        choices=("idle", "lifetime"),
        help="stop just before ten minutes of silence, or before two hours in all",
    )
    skip.add_argument("--before", metavar="TIME", help="how long before that limit (1s)")
    skip.add_argument(
        "--connection", metavar="ID", help="whose limit (the connection that meets it first)"
    )
    skip.set_defaults(run=_skip)
    port_argument(skip)


def _skip(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.skip import skip

    done = skip(
        settings,
        amount=options.amount,
        to=options.to,
        before=options.before,
        connection_id=options.connection,
    )
    say(f"Skipped {done.moved_seconds:g} s. For API Gateway it is now {done.now}.")
    say(f"Connections that this closes: {done.ending}. Functions and tokens keep real time.")
    if done.next_to_end is not None:
        connection_id, ends_in, limit = done.next_to_end
        say(f"Next: {connection_id} closes in {ends_in:g} s ({limit}).")
    return 0
