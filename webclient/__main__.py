"""``python -m webclient serve|up|down|where|token|ticket|tokens|push|kick|smoke``.

Exit codes: 0 done, 1 nobody was reached or the smoke test failed, 2 something the user can fix.
What talks to AWS stands in ``commands`` and is imported when such a command runs: ``up`` and
``down`` do without, as the server that they start and stop has all that itself.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from webclient import background
from webclient.errors import ConfigError
from webclient.output import say
from webclient.settings import Settings, from_environment

Command = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        settings = from_environment()
        parsed = _parser(settings).parse_args(arguments)
        command: Command = parsed.command
        return command(parsed, settings)
    except ConfigError as error:
        say(str(error), error=True)
    except KeyboardInterrupt:
        return 130
    return 2


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m webclient", description="The web client.")
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="serve in the foreground")
    serve.add_argument("--instance", default="", help=argparse.SUPPRESS)
    serve.set_defaults(command=_of_stack("serve"))
    up = commands.add_parser("up", help="serve in the background")
    up.add_argument(
        "--after-line",
        action="store_true",
        help="look for the stack after a line on the input, and not at all when that ends before",
    )
    up.set_defaults(command=_up)
    commands.add_parser("down", help="stop the background server").set_defaults(command=_down)
    commands.add_parser(
        "where", help="print where a page that runs is, and a token to connect with"
    ).set_defaults(command=_of_stack("where"))
    token = commands.add_parser("token", help="mint a token and print it")
    token.add_argument(
        "--user", default=settings.user_id, metavar="ID", help="who connects (USER_ID)"
    )
    token.add_argument(
        "--expires-in", type=int, metavar="SECONDS", help="negative: already expired"
    )
    token.add_argument("--scope", default="", help='rights, for example "push"')
    token.add_argument("--audience", help="another audience, to try a refusal")
    token.add_argument("--issuer", help="another issuer, to try a refusal")
    token.set_defaults(command=_of_stack("token"))
    _add_ticket(commands, settings)
    commands.add_parser(
        "tokens", help="print one good token and two that must be refused, as JSON"
    ).set_defaults(command=_of_stack("tokens"))
    push = commands.add_parser("push", help="send a message to clients")
    push.add_argument("--message", default=settings.message, help="text to send (MESSAGE)")
    push.add_argument("--to", default=settings.to, help="all, user:NAME or connection:ID (TO)")
    push.set_defaults(command=_of_stack("push"))
    kick = commands.add_parser("kick", help="close the connections of clients")
    kick.add_argument("--to", required=True, help="all, user:NAME or connection:ID")
    kick.set_defaults(command=_of_stack("kick"))
    commands.add_parser(
        "smoke", help="try refusals, an echo and a push on the deployed stack"
    ).set_defaults(command=_of_stack("smoke"))
    return parser


def _add_ticket(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", settings: Settings
) -> None:
    ticket = commands.add_parser("ticket", help="issue a one-time ticket and print it")
    ticket.add_argument(
        "--user", default=settings.user_id, metavar="ID", help="who connects (USER_ID)"
    )
    ticket.add_argument(
        "--expires-in", type=int, metavar="SECONDS", help="negative: already expired"
    )
    ticket.add_argument(
        "--session", type=int, metavar="SECONDS", help="until its connection must be closed"
    )
    ticket.set_defaults(command=_of_stack("ticket"))


def _of_stack(name: str) -> Command:
    """A command of ``commands``, by its name there."""

    def run(parsed: argparse.Namespace, settings: Settings) -> int:
        from webclient import commands  # noqa: PLC0415 - takes a third of a second

        return commands.run(name, parsed, settings)

    return run


def _up(parsed: argparse.Namespace, settings: Settings) -> int:
    if not parsed.after_line:
        say(background.up(settings))
    elif places := background.up(settings, is_wanted=lambda: bool(sys.stdin.readline())):
        say(places)
    return 0


def _down(_parsed: argparse.Namespace, settings: Settings) -> int:
    say("Web server stopped." if background.down(settings) else "No web server was running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
