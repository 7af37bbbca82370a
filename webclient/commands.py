"""The commands that talk to the stack: all but ``up`` and ``down``."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from shlex import quote as quote_word
from typing import Final
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from functions.push.push import MessageTooLargeError, TargetError, encode, parse_target
from webclient import background, server
from webclient.backend import Backend
from webclient.errors import ConfigError
from webclient.output import say
from webclient.settings import Settings
from webclient.smoke import SmokeTestError, smoke
from webclient.stack import read_stack

_EXPIRED_FOR_SECONDS: Final = 3600


def run(name: str, parsed: argparse.Namespace, settings: Settings) -> int:
    """Run the command of this name; returns its exit code.

    Raises ``ConfigError`` for what the user can mend, failed AWS calls included.
    """
    try:
        return _COMMANDS[name](parsed, settings)
    except (TargetError, MessageTooLargeError) as error:
        raise ConfigError(f"Nothing was done: {error}") from error
    except (ClientError, BotoCoreError) as error:
        message = f"An AWS call failed: {error}. Is the stack deployed? (make local-up)"
        raise ConfigError(message) from error


def _serve(parsed: argparse.Namespace, settings: Settings) -> int:
    if not parsed.instance:
        asyncio.run(server.serve(settings))
        return 0

    def prepare() -> None:
        background.down(settings)

    def tell(backend: Backend, port: int) -> None:
        places = _places(backend, port)
        background.note(settings, port=port, instance=parsed.instance)
        background.tell(places)

    if background.may_go():
        asyncio.run(server.serve(settings, prepare=prepare, tell=tell))
    return 0


def _where(_parsed: argparse.Namespace, settings: Settings) -> int:
    say(_places(_backend(settings), settings.port))
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


def _token(parsed: argparse.Namespace, settings: Settings) -> int:
    made = _backend(settings).mint(
        parsed.user,
        lives_seconds=parsed.expires_in,
        scope=parsed.scope,
        issuer=parsed.issuer,
        audience=parsed.audience,
    )
    say(made.text)
    return 0


def _ticket(parsed: argparse.Namespace, settings: Settings) -> int:
    issued = _backend(settings).issue(
        parsed.user, lives_seconds=parsed.expires_in, session_seconds=parsed.session
    )
    say(issued.text)
    return 0


def _tokens(_parsed: argparse.Namespace, settings: Settings) -> int:
    backend = _backend(settings)
    if backend.stack.ticket_table_name:
        # No good one: a ticket stands one handshake, and the doctor makes several.
        expired = backend.issue(settings.user_id, lives_seconds=-_EXPIRED_FOR_SECONDS)
        say(json.dumps({"expired": expired.text}))
        return 0
    tokens = {
        "good": backend.mint(settings.user_id),
        "expired": backend.mint(settings.user_id, lives_seconds=-_EXPIRED_FOR_SECONDS),
        "foreign": backend.mint(settings.user_id, audience="somebody-else"),
    }
    say(json.dumps({name: token.text for name, token in tokens.items()}))
    return 0


def _push(parsed: argparse.Namespace, settings: Settings) -> int:
    if not parsed.message:
        raise ConfigError('There is nothing to send: give --message, or set MESSAGE="hello".')
    target, data = parse_target(parsed.to), encode(parsed.message)
    counts = _backend(settings).push(target, data)
    say(", ".join(f"{name} {count}" for name, count in asdict(counts).items()))
    if counts.sent:
        return 0
    say(f"Nobody received it: there is no open connection for {parsed.to}.", error=True)
    return 1


def _kick(parsed: argparse.Namespace, settings: Settings) -> int:
    kicked = _backend(settings).kick(parse_target(parsed.to))
    say(", ".join(f"{name} {count}" for name, count in asdict(kicked).items()))
    if kicked.failed:
        say("Some are still open: the management API refused or was not reached.", error=True)
        return 1
    return 0


def _smoke(_parsed: argparse.Namespace, settings: Settings) -> int:
    backend = _backend(settings)
    say(f"Smoke test of {backend.stack.websocket_url}")

    async def run() -> None:
        async for line in smoke(backend, token=settings.smoke_token):
            say(f"  ok  {line}")

    try:
        asyncio.run(run())
    except SmokeTestError as error:
        say(f"The smoke test failed: {error}", error=True)
        return 1
    return 0


def _backend(settings: Settings) -> Backend:
    return Backend(read_stack(settings), settings)


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace, Settings], int]]] = {
    "serve": _serve,
    "where": _where,
    "token": _token,
    "ticket": _ticket,
    "tokens": _tokens,
    "push": _push,
    "kick": _kick,
    "smoke": _smoke,
}
