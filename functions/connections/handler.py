"""``$connect`` and ``$disconnect``: keep the connection table.

The socket is not open until ``$connect`` has answered, so nothing is sent to it here (2.30).
"""

import functools
import logging
import os
from collections.abc import Mapping
from typing import Any

import boto3
from push import ConnectionTable
from rows import NotAuthorizedError, connection_of

_logger = logging.getLogger(__name__)
_logger.setLevel(logging.INFO)


@functools.cache
def _table() -> ConnectionTable:
    return ConnectionTable(boto3.client("dynamodb"), os.environ["TABLE_NAME"])


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Store the row on ``$connect``, remove it on ``$disconnect``."""
    route_key = event["requestContext"]["routeKey"]
    if route_key == "$connect":
        return _connect(event)
    if route_key == "$disconnect":
        _table().remove(event["requestContext"]["connectionId"])
        return {"statusCode": 200}
    raise ValueError(f"This function serves $connect and $disconnect, not {route_key!r}.")


def _connect(event: Mapping[str, Any]) -> dict[str, Any]:
    try:
        connection = connection_of(event)
    except NotAuthorizedError:
        _logger.warning(
            "Refused: no user, or no readable sessionEndsAt, in the authorizer context. "
            "Is $connect authorized, and by our authorizer?"
        )
        return {"statusCode": 403}
    _table().put(connection)
    return {"statusCode": 200}
