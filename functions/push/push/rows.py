"""One row of the connection table, and its shape in DynamoDB. Pure.

Attributes: ``connectionId`` (key), ``userId`` (key of the index by user), ``domainName``,
``stage``, ``connectedAt`` (epoch ms), ``expiresAt`` (epoch seconds: DynamoDB's time to live). Where
the session ends before API Gateway ends it, also ``sessionEndsAt`` (epoch seconds) and
``sessionShard``, the keys of the index by end: rows without them are not in that index at all.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

CONNECTION_MAX_SECONDS: Final = 2 * 60 * 60
"""API Gateway closes every connection after two hours (6.10)."""
SLACK_SECONDS: Final = 10 * 60
SESSION_SHARDS: Final = 8
"""How many partitions the index by end has at least. One takes a thousand writes a second, and an
account 500 handshakes, each of which writes there twice: eight leave room for larger quotas. With
fewer, rows of the shards that went would not be found until they expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open connection, as far as the table knows."""

    connection_id: str
    user_id: str
    domain_name: str
    stage: str
    connected_at_ms: int
    session_ends_at_seconds: int | None = None
    """When the connection must be closed; None for API Gateway's own limit only."""

    def has_ended(self, now_seconds: float) -> bool:
        """Whether nothing may be sent to it any more."""
        return self.session_ends_at_seconds is not None and (
            now_seconds >= self.session_ends_at_seconds
        )

    @property
    def callback_url(self) -> str:
        """Where the management API of this connection answers (7.01)."""
        return f"https://{self.domain_name}/{self.stage}"


def session_shard(connection_id: str) -> int:
    """Which part of the index by end a connection is in."""
    return zlib.crc32(connection_id.encode()) % SESSION_SHARDS


def expires_at_seconds(connection: Connection) -> int:
    """When the row may go although nobody removed it.

    Not when the session ends: whoever closes the connection then needs the row. It outlives the
    connection, whatever becomes of that, so a row that DynamoDB removes has nothing left to close.
    """
    return connection.connected_at_ms // 1000 + CONNECTION_MAX_SECONDS + SLACK_SECONDS


def to_item(connection: Connection) -> dict[str, "AttributeValueTypeDef"]:
    """The row as DynamoDB keeps it."""
    item: dict[str, AttributeValueTypeDef] = {
        "connectionId": {"S": connection.connection_id},
        "userId": {"S": connection.user_id},
        "domainName": {"S": connection.domain_name},
        "stage": {"S": connection.stage},
        "connectedAt": {"N": str(connection.connected_at_ms)},
        "expiresAt": {"N": str(expires_at_seconds(connection))},
    }
    if connection.session_ends_at_seconds is not None:
        item["sessionEndsAt"] = {"N": str(connection.session_ends_at_seconds)}
        item["sessionShard"] = {"N": str(session_shard(connection.connection_id))}
    return item


def from_item(item: Mapping[str, "AttributeValueTypeDef"]) -> Connection:
    """The row as ``to_item`` wrote it; KeyError when an attribute is missing."""
    ends_at = item.get("sessionEndsAt")
    return Connection(
        connection_id=item["connectionId"]["S"],
        user_id=item["userId"]["S"],
        domain_name=item["domainName"]["S"],
        stage=item["stage"]["S"],
        connected_at_ms=int(item["connectedAt"]["N"]),
        session_ends_at_seconds=None if ends_at is None else int(ends_at["N"]),
    )
