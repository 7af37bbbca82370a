"""Post a message to connections, or close them: concurrently, with stale rows removed on the way.

Nothing is posted to a connection whose session has ended; it is closed instead.

Direct posts suit up to about a thousand connections; above that, spread the work over SQS.
Retries are botocore's: ``standard`` mode repeats LimitExceededException (429) and transient
faults with jittered back-off, and never GoneException (410).
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .rows import Connection
from .table import ConnectionTable
from .targets import OneConnection, Target

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi.client import ApiGatewayManagementApiClient

MESSAGE_MAX_BYTES: Final = 131_072
"""What one POST to a connection may carry (6.19)."""
CONCURRENT_POSTS: Final = 32
_ATTEMPTS: Final = 4

_logger = logging.getLogger(__name__)


class MessageTooLargeError(ValueError):
    """The message is larger than a connection accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of one push, in connections."""

    sent: int = 0
    gone: int = 0
    """Not connected any more, or closed because their session has ended; their rows are removed."""
    failed: int = 0
    """Refused or not reached, also after the retries; their rows stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kicked:
    """What became of closing connections."""

    closed: int = 0
    gone: int = 0
    """Not connected any more."""
    failed: int = 0
    """Still open: refused or not reached, also after the retries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept(Kicked):
    """What became of closing connections whose session has ended."""

    is_complete: bool = True
    """Whether there was time for all of them."""


class _Outcome(Enum):
    DONE = auto()
    GONE = auto()
    FAILED = auto()
    LEFT = auto()


ClientFactory = Callable[[str], "ApiGatewayManagementApiClient"]


def management_client(
    endpoint_url: str, session: boto3.Session | None = None, *, attempts: int = _ATTEMPTS
) -> "ApiGatewayManagementApiClient":
    """A client of the management API at one address, with retries and short timeouts."""
    return (session or boto3.Session()).client(
        "apigatewaymanagementapi",
        endpoint_url=endpoint_url,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=2,
            read_timeout=5,
            max_pool_connections=CONCURRENT_POSTS,
        ),
    )


def encode(message: object) -> bytes:
    """A message as it goes over the socket: text as it is, anything else as JSON.

    Raises ``MessageTooLargeError`` above ``MESSAGE_MAX_BYTES``, ``UnicodeEncodeError`` for text
    that is not valid Unicode, ``TypeError`` for what JSON cannot say.
    """
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    data = text.encode()
    if len(data) > MESSAGE_MAX_BYTES:
        raise MessageTooLargeError(
            f"The message has {len(data)} bytes; a connection takes at most {MESSAGE_MAX_BYTES}."
        )
    return data


class Pusher:
    """Sends to targets; keeps one client per address."""

    def __init__(
        self,
        table: ConnectionTable,
        *,
        callback_url: str = "",
        client_for: ClientFactory = management_client,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        """Push through the address of each row, or through ``callback_url`` where it is set."""
        self._now_seconds = now_seconds
        self._table = table
        self._callback_url = callback_url
        self._client_for = client_for
        self._clients: dict[str, ApiGatewayManagementApiClient] = {}

    def push(self, target: Target, data: bytes) -> Counts:
        """Send to everyone the target names, and wait for all of them.

        A connection that the table does not know counts as gone; a user without connections
        gives zeros. Only reading the table can raise.
        """
        tally = self._each(target, lambda connection: self._post(connection, data))
        return Counts(
            sent=tally[_Outcome.DONE], gone=tally[_Outcome.GONE], failed=tally[_Outcome.FAILED]
        )

    def kick(self, target: Target) -> Kicked:
        """Close every connection the target names, and wait for all of them.

        Whoever has a good token can connect again: let that expire, or take it away, first.
        Counts and raises as ``push`` does.
        """
        tally = self._each(target, self._close)
        return Kicked(
            closed=tally[_Outcome.DONE], gone=tally[_Outcome.GONE], failed=tally[_Outcome.FAILED]
        )

    def sweep(self, *, is_time_up: Callable[[], bool]) -> Swept:
        """Close every connection whose session has ended, and remove its row.

        Nothing is begun once ``is_time_up`` says so; it is asked from several threads. Counts and
        raises as ``push`` does.
        """

        def close(connection: Connection) -> _Outcome:
            return _Outcome.LEFT if is_time_up() else self._close(connection)

        tally: Counter[_Outcome] = Counter()
        for page in self._table.ended():
            tally.update(self._page(page, close))
            if is_time_up():
                tally[_Outcome.LEFT] += 1  # pages that were not looked at
                break
        return Swept(
            closed=tally[_Outcome.DONE],
            gone=tally[_Outcome.GONE],
            failed=tally[_Outcome.FAILED],
            is_complete=not tally[_Outcome.LEFT],
        )

    def _each(self, target: Target, act: Callable[[Connection], _Outcome]) -> Counter[_Outcome]:
        tally: Counter[_Outcome] = Counter()
        for page in self._table.find(target):
            tally.update(self._page(page, act))
        if isinstance(target, OneConnection) and not tally:
            tally[_Outcome.GONE] = 1
        return tally

    def _page(
        self, page: list[Connection], act: Callable[[Connection], _Outcome]
    ) -> list[_Outcome]:
        for connection in page:  # before the threads start: creating clients is not thread-safe
            self._client(connection)
        if len(page) <= 1:
            return [act(one) for one in page]
        with ThreadPoolExecutor(min(CONCURRENT_POSTS, len(page))) as threads:
            return list(threads.map(act, page))

    def _post(self, connection: Connection, data: bytes) -> _Outcome:
        if connection.has_ended(self._now_seconds()):
            outcome = self._close(connection)
            return outcome if outcome is _Outcome.FAILED else _Outcome.GONE
        client, connection_id = self._client(connection), connection.connection_id
        return self._call(
            "Post to",
            connection,
            lambda: client.post_to_connection(ConnectionId=connection_id, Data=data),
        )

    def _close(self, connection: Connection) -> _Outcome:
        client, connection_id = self._client(connection), connection.connection_id
        outcome = self._call(
            "Closing of", connection, lambda: client.delete_connection(ConnectionId=connection_id)
        )
        if outcome is _Outcome.DONE:
            self._forget(connection)  # $disconnect does too, when it comes
        return outcome

    def _call(self, what: str, connection: Connection, request: Callable[[], object]) -> _Outcome:
        try:
            request()
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.GONE:
                self._forget(connection)
                return _Outcome.GONE
            _logger.warning(
                "%s %s failed: %s", what, connection.connection_id, error.response["Error"]["Code"]
            )
            return _Outcome.FAILED
        except BotoCoreError as error:
            _logger.warning("%s %s failed: %s", what, connection.connection_id, error)
            return _Outcome.FAILED
        return _Outcome.DONE

    def _forget(self, connection: Connection) -> None:
        try:
            self._table.remove_stale(connection)
        except (ClientError, BotoCoreError) as error:
            # The time to live removes the row; the push or close itself did what it could.
            _logger.warning("Row of %s not removed: %s", connection.connection_id, error)

    def _client(self, connection: Connection) -> "ApiGatewayManagementApiClient":
        url = self._callback_url or connection.callback_url
        if url not in self._clients:
            self._clients[url] = self._client_for(url)
        return self._clients[url]
