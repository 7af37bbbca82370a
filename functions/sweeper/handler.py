"""Every minute: close the connections whose session has ended and that nobody has spoken to since.

A message or a push closes such a connection too; this finds the silent ones. What is not done when
the time is up is done a minute later, so nothing is tried for long. Two sweeps at once do no harm:
the second finds the connection gone.
"""

import functools
import logging
import os
from typing import Any, Protocol

import boto3
from botocore.config import Config
from push import ConnectionTable, Pusher, management_client

# A close and the removal of its row take fifteen seconds each at the very most, and what has begun
# is finished.
_MARGIN_MS = 30_000
_ATTEMPTS = 2

_logger = logging.getLogger(__name__)
_logger.setLevel(logging.INFO)


class _Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


class NotClosedError(Exception):
    """Connections whose session has ended are still open; the next sweep tries them again."""


@functools.cache
def _pusher() -> Pusher:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=2,
        read_timeout=5,
        max_pool_connections=64,
    )
    return Pusher(
        ConnectionTable(boto3.client("dynamodb", config=config), os.environ["TABLE_NAME"]),
        callback_url=os.environ.get("CALLBACK_URL", ""),
        client_for=functools.partial(management_client, attempts=_ATTEMPTS),
    )


def handler(_event: object, context: _Context) -> dict[str, Any]:
    """Sweep once; how many connections were closed, were gone already, and are left for later.

    Raises ``NotClosedError`` when some could not be closed, so that the alarm tells of it.
    """
    swept = _pusher().sweep(is_time_up=lambda: context.get_remaining_time_in_millis() < _MARGIN_MS)
    counts = {
        "closed": swept.closed,
        "gone": swept.gone,
        "failed": swept.failed,
        "isComplete": swept.is_complete,
    }
    if any((swept.closed, swept.gone, swept.failed, not swept.is_complete)):
        _logger.info("Swept: %s", counts)
    if swept.failed:
        raise NotClosedError(
            f"{swept.failed} connections with an ended session could not be closed; the lines "
            "above say why."
        )
    return counts
