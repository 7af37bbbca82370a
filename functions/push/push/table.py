"""The connection table: who is connected right now.

``$disconnect`` is best effort and DynamoDB removes expired rows late, up to days, so every read
leaves out rows whose time is over. The index by user is eventually consistent: a push right
after a connect can miss it.
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, assert_never

from .rows import SESSION_SHARDS, Connection, from_item, to_item
from .targets import Everybody, OneConnection, Target, User

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

INDEX_BY_USER: Final = "byUser"
INDEX_BY_END: Final = "bySessionEnd"
ENDED_PAGE_ROWS: Final = 256
_NOT_EXPIRED: Final = "expiresAt > :now"


class ConnectionTable:
    """Reads and writes connection rows; boto3's errors pass through."""

    def __init__(
        self, client: "DynamoDBClient", name: str, *, now_seconds: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._name = name
        self._now_seconds = now_seconds

    def put(self, connection: Connection) -> None:
        """Remember a connection."""
        self._client.put_item(TableName=self._name, Item=to_item(connection))

    def remove(self, connection_id: str) -> None:
        """Forget a connection; nothing happens when it is not known."""
        self._client.delete_item(TableName=self._name, Key={"connectionId": {"S": connection_id}})

    def remove_stale(self, connection: Connection) -> None:
        """Forget a connection that is gone, but only the very row that was read before."""
        try:
            self._client.delete_item(
                TableName=self._name,
                Key={"connectionId": {"S": connection.connection_id}},
                ConditionExpression="connectedAt = :seen",
                ExpressionAttributeValues={":seen": {"N": str(connection.connected_at_ms)}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def find(self, target: Target) -> Iterator[list[Connection]]:
        """The connections of a target, page by page; a page can be empty."""
        match target:
            case OneConnection(connection_id):
                yield self._one(connection_id)
            case User(user_id):
                pages = self._client.get_paginator("query").paginate(
                    TableName=self._name,
                    IndexName=INDEX_BY_USER,
                    KeyConditionExpression="userId = :user",
                    FilterExpression=_NOT_EXPIRED,
                    ExpressionAttributeValues={":user": {"S": user_id}, **self._now()},
                )
                yield from ([from_item(item) for item in page["Items"]] for page in pages)
            case Everybody():
                scanned = self._client.get_paginator("scan").paginate(
                    TableName=self._name,
                    FilterExpression=_NOT_EXPIRED,
                    ExpressionAttributeValues=self._now(),
                )
                yield from ([from_item(item) for item in page["Items"]] for page in scanned)
            case _:
                assert_never(target)

    def ended(self) -> Iterator[list[Connection]]:
        """Connections whose session has ended, page by page; a page can be empty.

        Each part of the index is read from its oldest end, and no live row with it. Which part
        comes first changes by the minute, so that none waits for ever when time is short. Expired
        rows count too: their connections are gone, and they may as well be removed.
        """
        now_seconds = int(self._now_seconds())
        for offset in range(SESSION_SHARDS):
            shard = (now_seconds // 60 + offset) % SESSION_SHARDS
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                IndexName=INDEX_BY_END,
                KeyConditionExpression="sessionShard = :shard AND sessionEndsAt <= :now",
                ExpressionAttributeValues={":shard": {"N": str(shard)}, **self._now()},
                PaginationConfig={"PageSize": ENDED_PAGE_ROWS},
            )
            yield from ([from_item(item) for item in page["Items"]] for page in pages)

    def _one(self, connection_id: str) -> list[Connection]:
        answer = self._client.get_item(
            TableName=self._name, Key={"connectionId": {"S": connection_id}}, ConsistentRead=True
        )
        item = answer.get("Item")
        if item is None or int(item["expiresAt"]["N"]) <= self._now_seconds():
            return []
        return [from_item(item)]

    def _now(self) -> dict[str, "AttributeValueTypeDef"]:
        return {":now": {"N": str(int(self._now_seconds()))}}
