"""``python -m webclient serve|up|down|where|token|ticket|tokens|push|kick|smoke``.

Exit codes: 0 done, 1 nobody was reached or the smoke test failed, 2 something the user can fix.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from shlex import quote as quote_word
from typing import Final
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from functions.push.push import MessageTooLargeError, TargetError, encode, parse_target
from webclient import background, server
from webclient.backend import Backend
from webclient.errors import ConfigError
from webclient.settings import Settings, from_environment
from webclient.smoke import SmokeTestError, smoke
from webclient.stack import read_stack

_EXPIRED_FOR_SECONDS: Final = 3600

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
        _say(str(error), error=True)
    except (TargetError, MessageTooLargeError) as error:
        _say(f"Nothing was done: {error}", error=True)
    except (ClientError, BotoCoreError) as error:
        _say(f"An AWS call failed: {error}. Is the stack deployed? (make local-up)", error=True)
    except KeyboardInterrupt:
        return 130
    return 2


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m webclient", description="The web client.")
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="serve in the foreground")
    serve.add_argument("--instance", default="", help=argparse.SUPPRESS)
    serve.set_defaults(command=_serve)
    commands.add_parser("up", help="serve in the background").set_defaults(command=_up)
    commands.add_parser("down", help="stop the background server").set_defaults(command=_down)
    commands.add_parser(
        "where", help="print where a page that runs is, and a token to connect with"
    ).set_defaults(command=_where)
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
    token.set_defaults(command=_token)
    _add_ticket(commands, settings)
    commands.add_parser(
        "tokens", help="print one good token and two that must be refused, as JSON"
    ).set_defaults(command=_tokens)
    push = commands.add_parser("push", help="send a message to clients")
    push.add_argument("--message", default=settings.message, help="text to send (MESSAGE)")
    push.add_argument("--to", default=settings.to, help="all, user:NAME or connection:ID (TO)")
    push.set_defaults(command=_push)
    kick = commands.add_parser("kick", help="close the connections of clients")
    kick.add_argument("--to", required=True, help="all, user:NAME or connection:ID")
    kick.set_defaults(command=_kick)
    commands.add_parser(
        "smoke", help="try refusals, an echo and a push on the deployed stack"
    ).set_defaults(command=_smoke)
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
    ticket.set_defaults(command=_ticket)


def _serve(parsed: argparse.Namespace, settings: Settings) -> int:
    ready_file = background.state_file(settings) if parsed.instance else None
    asyncio.run(server.serve(settings, ready_file=ready_file, instance=parsed.instance))
    return 0


def _up(_parsed: argparse.Namespace, settings: Settings) -> int:
    backend = _backend(settings)  # before starting: the clearest place for "there is no stack"
    running = background.up(settings)
    _say(_places(backend, running.port))
    return 0


def _where(_parsed: argparse.Namespace, settings: Settings) -> int:
    _say(_places(_backend(settings), settings.port))
    return 0


def _places(backend: Backend, port: int) -> str:
    url = backend.stack.websocket_url
    lines = [f"Page       http://localhost:{port}", f"WebSocket  {url}"]
    if backend.stack.is_local and backend.can_admit:
        again = "make ticket" if backend.stack.ticket_table_name else "make token"
        made = backend.admission("demo", lives_seconds=_PASTE_SECONDS)
        address = f"{url}?token={quote(made.text)}"
        lines += [
            f"Token      {made.text}",
            f"Connect    {quote_word(sys.executable)} -m websockets '{address}'",
            f"       or  npx wscat -c '{address}'",
            f"           (user demo, {made.lives_seconds // 60} minutes; then: {again})",
        ]
    else:
        lines.append("Token      python -m webclient token, or your token issuer")
    return "\n".join(lines)


_PASTE_SECONDS: Final = 15 * 60
"""Tokens on the terminal wait for a person to paste them; those of the page live a minute."""


def _down(_parsed: argparse.Namespace, settings: Settings) -> int:
    _say("Web server stopped." if background.down(settings) else "No web server was running.")
    return 0


def _token(parsed: argparse.Namespace, settings: Settings) -> int:
    made = _backend(settings).mint(
        parsed.user,
        lives_seconds=parsed.expires_in,
        scope=parsed.scope,
        issuer=parsed.issuer,
        audience=parsed.audience,
    )
    _say(made.text)
    return 0


def _ticket(parsed: argparse.Namespace, settings: Settings) -> int:
    issued = _backend(settings).issue(
        parsed.user, lives_seconds=parsed.expires_in, session_seconds=parsed.session
    )
    _say(issued.text)
    return 0


def _tokens(_parsed: argparse.Namespace, settings: Settings) -> int:
    backend = _backend(settings)
    if backend.stack.ticket_table_name:
        # No good one: a ticket stands one handshake, and the doctor makes several.
        expired = backend.issue(settings.user_id, lives_seconds=-_EXPIRED_FOR_SECONDS)
        _say(json.dumps({"expired": expired.text}))
        return 0
    tokens = {
        "good": backend.mint(settings.user_id),
        "expired": backend.mint(settings.user_id, lives_seconds=-_EXPIRED_FOR_SECONDS),
        "foreign": backend.mint(settings.user_id, audience="somebody-else"),
    }
    _say(json.dumps({name: token.text for name, token in tokens.items()}))
    return 0


def _push(parsed: argparse.Namespace, settings: Settings) -> int:
    if not parsed.message:
        raise ConfigError('There is nothing to send: give --message, or set MESSAGE="hello".')
    target, data = parse_target(parsed.to), encode(parsed.message)
    counts = _backend(settings).push(target, data)
    _say(", ".join(f"{name} {count}" for name, count in asdict(counts).items()))
    if counts.sent:
        return 0
    _say(f"Nobody received it: there is no open connection for {parsed.to}.", error=True)
    return 1


def _kick(parsed: argparse.Namespace, settings: Settings) -> int:
    kicked = _backend(settings).kick(parse_target(parsed.to))
    _say(", ".join(f"{name} {count}" for name, count in asdict(kicked).items()))
    if kicked.failed:
        _say("Some are still open: the management API refused or was not reached.", error=True)
        return 1
    return 0


def _smoke(_parsed: argparse.Namespace, settings: Settings) -> int:
    backend = _backend(settings)
    _say(f"Smoke test of {backend.stack.websocket_url}")

    async def run() -> None:
        async for line in smoke(backend, token=settings.smoke_token):
            _say(f"  ok  {line}")

    try:
        asyncio.run(run())
    except SmokeTestError as error:
        _say(f"The smoke test failed: {error}", error=True)
        return 1
    return 0


def _backend(settings: Settings) -> Backend:
    return Backend(read_stack(settings), settings)


def _say(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        # Whoever read it has left, as `head` does. What is done is done all the same.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
