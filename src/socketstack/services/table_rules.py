"""DynamoDB's rules over moto's tables: what UpdateTable forgets or refuses too early.

``repair`` makes UpdateTable keep ``SSESpecification``, and lets a stream that was switched off be
switched on again, with another view type for example.
"""

from collections.abc import Callable
from typing import Any

from socketstack.services.sparse_imports import moto_module


def repair() -> None:
    """Put these rules into ``moto.dynamodb``; once, in moto's thread."""
    backend = moto_module("dynamodb.models").DynamoDBBackend
    backend.update_table_streams = _update_streams(backend.update_table_streams)
    handler = moto_module("dynamodb.responses").DynamoHandler
    handler.update_table = _update_table(handler.update_table)


def _update_streams(original: Callable[..., None]) -> Callable[..., None]:
    def update_table_streams(self: Any, table: Any, specification: dict[str, Any]) -> None:
        if not (table.stream_specification or {}).get("StreamEnabled"):
            table.latest_stream_label = None  # of a stream that is off
        original(self, table, specification)

    return update_table_streams


def _update_table(original: Callable[..., Any]) -> Callable[..., Any]:
    def update_table(self: Any) -> Any:
        asked = self.body.get("SSESpecification")
        if asked is not None:
            table = self.dynamodb_backend.get_table(self.body["TableName"])
            key = asked.get("KMSMasterKeyId") or table._get_default_encryption_key(  # noqa: SLF001
                table.account_id, table.region_name
            )
            table.sse_specification = {**asked, "KMSMasterKeyId": key}
        return original(self)

    return update_table
