"""Post a message to connections: concurrently, with stale rows removed on the way.

Direct posts suit up to about a thousand connections; above that, spread the work over SQS.
Retries are botocore's: ``standard`` mode repeats LimitExceededException (429) and transient
faults with jittered back-off, and never GoneException (410).
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
    """Not connected any more; their rows are removed."""
    failed: int = 0
    """Refused or not reached, also after the retries; their rows stay."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            sent=self.sent + other.sent,
            gone=self.gone + other.gone,
            failed=self.failed + other.failed,
        )


ClientFactory = Callable[[str], "ApiGatewayManagementApiClient"]


def management_client(
    endpoint_url: str, session: boto3.Session | None = None
) -> "ApiGatewayManagementApiClient":
    """A client of the management API at one address, with retries and short timeouts."""
    return (session or boto3.Session()).client(
        "apigatewaymanagementapi",
        endpoint_url=endpoint_url,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
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
    ) -> None:
        """Push through the address of each row, or through ``callback_url`` where it is set."""
        self._table = table
        self._callback_url = callback_url
        self._client_for = client_for
        self._clients: dict[str, ApiGatewayManagementApiClient] = {}

    def push(self, target: Target, data: bytes) -> Counts:
        """Send to everyone the target names, and wait for all of them.

        A connection that the table does not know counts as gone; a user without connections
        gives zeros. Only reading the table can raise.
        """
        total = Counts()
        for page in self._table.find(target):
            total += self._push_page(page, data)
        if isinstance(target, OneConnection) and total == Counts():
            return Counts(gone=1)
        return total

    def _push_page(self, page: list[Connection], data: bytes) -> Counts:
        for connection in page:  # before the threads start: creating clients is not thread-safe
            self._client(connection)
        if len(page) <= 1:
            return sum((self._post(one, data) for one in page), Counts())
        with ThreadPoolExecutor(min(CONCURRENT_POSTS, len(page))) as threads:
            return sum(threads.map(lambda one: self._post(one, data), page), Counts())

    def _post(self, connection: Connection, data: bytes) -> Counts:
        try:
            self._client(connection).post_to_connection(
                ConnectionId=connection.connection_id, Data=data
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.GONE:
                self._forget(connection)
                return Counts(gone=1)
            _logger.warning(
                "Post to %s failed: %s", connection.connection_id, error.response["Error"]["Code"]
            )
            return Counts(failed=1)
        except BotoCoreError as error:
            _logger.warning("Post to %s failed: %s", connection.connection_id, error)
            return Counts(failed=1)
        return Counts(sent=1)

    def _forget(self, connection: Connection) -> None:
        try:
            self._table.remove_stale(connection)
        except (ClientError, BotoCoreError) as error:
            # The time to live removes the row; the push itself did what it could.
            _logger.warning("Row of %s not removed: %s", connection.connection_id, error)

    def _client(self, connection: Connection) -> "ApiGatewayManagementApiClient":
        url = self._callback_url or connection.callback_url
        if url not in self._clients:
            self._clients[url] = self._client_for(url)
        return self._clients[url]
