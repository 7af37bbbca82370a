"""What the web server does through AWS: push, list, mint, verify. Blocking; run it in threads."""

import functools
import itertools
import time
from dataclasses import dataclass
from typing import Any, Final

import boto3

from functions.authorizer.keys import PublishedKeys, SharedSecret
from functions.authorizer.tickets import Ticket, TicketTable
from functions.authorizer.verification import Claims, verify
from functions.push.push import (
    Connection,
    ConnectionTable,
    Counts,
    Everybody,
    Kicked,
    Pusher,
    Target,
    management_client,
)
from webclient import stack as stacks
from webclient.errors import ConfigError
from webclient.refusals import Refusals
from webclient.settings import Settings
from webclient.stack import Stack
from webclient.tokens import mint

LISTED_CONNECTIONS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just minted. ``text`` is a secret: show it, never log it."""

    text: str
    lives_seconds: int


class Backend:
    """One stack, seen through boto3."""

    def __init__(self, stack: Stack, settings: Settings) -> None:
        self.stack = stack
        self._settings = settings
        session = stacks.session(settings)
        endpoint_url = settings.endpoint_url or None
        tables = session.client("dynamodb", endpoint_url=endpoint_url)
        self._table = ConnectionTable(tables, stack.table_name)
        self._tickets = TicketTable(tables, stack.ticket_table_name)
        self._secret = SharedSecret(
            session.client("secretsmanager", endpoint_url=endpoint_url), stack.token_secret_arn
        )
        self._keys = PublishedKeys(stack.jwks_url) if stack.jwks_url else self._secret
        self._pusher = _pusher(self._table, stack.management_url, session)
        self._refusals = Refusals(settings.endpoint_url, session) if stack.is_local else None

    @property
    def can_mint(self) -> bool:
        """Whether tokens signed with the stack's own secret are accepted by it."""
        return not self.stack.jwks_url

    def push(self, target: Target, data: bytes) -> Counts:
        """Send to a target; see ``Pusher.push``."""
        return self._pusher.push(target, data)

    def refusal(self, since_ms: int) -> dict[str, Any] | None:
        """Why the newest handshake since a time was refused; None where nobody can tell."""
        if self._refusals is None:
            return None
        return self._refusals.newest(self.stack.api_id, since_ms)

    def kick(self, target: Target) -> Kicked:
        """Close the connections of a target; see ``Pusher.kick``."""
        return self._pusher.kick(target)

    def connections(self) -> list[Connection]:
        """Who is connected, at most ``LISTED_CONNECTIONS`` of them, in no order."""
        everyone = itertools.chain.from_iterable(self._table.find(Everybody()))
        return list(itertools.islice(everyone, LISTED_CONNECTIONS))

    def mint(
        self,
        user_id: str,
        *,
        lives_seconds: int | None = None,
        scope: str = "",
        issuer: str | None = None,
        audience: str | None = None,
    ) -> NewToken:
        """A token for a user. Raises ``ConfigError`` when the stack has an outside issuer."""
        if not self.can_mint:
            raise ConfigError(
                f"{self.stack.name} takes tokens that {self.stack.jwks_url} vouches for. Get one "
                "from that issuer, or deploy the stack without JwksUrl."
            )
        seconds = self._settings.token_ttl_seconds if lives_seconds is None else lives_seconds
        text = mint(
            key=self._secret.key_for(""),
            issuer=self.stack.token_issuer if issuer is None else issuer,
            audience=self.stack.token_audience if audience is None else audience,
            user_id=user_id,
            issued_at_seconds=int(time.time()),
            lives_seconds=seconds,
            scope=scope,
        )
        return NewToken(text=text, lives_seconds=seconds)

    @property
    def can_admit(self) -> bool:
        """Whether ``admission`` can let somebody in: by a ticket, or by a token of our own."""
        return bool(self.stack.ticket_table_name) or self.can_mint

    def admission(self, user_id: str, *, lives_seconds: int | None = None) -> NewToken:
        """What opens a connection at this stack: a one-time ticket where it takes those.

        Raises ``ConfigError`` when tokens of an outside issuer are needed.
        """
        if self.stack.ticket_table_name:
            return self.issue(user_id, lives_seconds=lives_seconds)
        return self.mint(user_id, lives_seconds=lives_seconds)

    def issue(
        self, user_id: str, *, lives_seconds: int | None = None, session_seconds: int | None = None
    ) -> NewToken:
        """A one-time ticket for a user. Raises ``ConfigError`` when the stack takes none.

        Args:
            user_id: Who connects.
            lives_seconds: Until it is too late to connect; zero or less gives an expired ticket.
            session_seconds: Until the connection must be closed; None for no end of its own.
        """
        if not self.stack.ticket_table_name:
            raise ConfigError(
                f"{self.stack.name} takes no tickets. Deploy it with ConnectTickets=true, or "
                "connect with a token (python -m webclient token)."
            )
        seconds = self._settings.token_ttl_seconds if lives_seconds is None else lives_seconds
        now = int(time.time())
        text = self._tickets.issue(
            Ticket(
                user_id=user_id,
                expires_at_seconds=now + seconds,
                session_ends_at_seconds=None if session_seconds is None else now + session_seconds,
            )
        )
        return NewToken(text=text, lives_seconds=seconds)

    def verify(self, token: str) -> Claims:
        """Check a token as the authorizer does. Raises ``TokenRefusedError``."""
        return verify(
            token,
            self._keys,
            issuer=self.stack.token_issuer,
            audience=self.stack.token_audience,
        )


def _pusher(table: ConnectionTable, management_url: str, session: boto3.Session) -> Pusher:
    client_for = functools.partial(management_client, session=session)
    return Pusher(table, callback_url=management_url, client_for=client_for)
