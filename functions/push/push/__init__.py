"""Push to connected clients: who is connected, and how a message reaches them.

Ships as a Lambda layer (``import push``) and is used by the web client's server from the same
sources (``functions.push.push``). Needs boto3 and nothing else.
"""

from .delivery import (
    Counts,
    Kicked,
    MessageTooLargeError,
    Pusher,
    Swept,
    encode,
    management_client,
)
from .rows import Connection, expires_at_seconds
from .table import ConnectionTable
from .targets import Everybody, OneConnection, Target, TargetError, User, parse_target

__all__ = [
    "Connection",
    "ConnectionTable",
    "Counts",
    "Everybody",
    "Kicked",
    "MessageTooLargeError",
    "OneConnection",
    "Pusher",
    "Swept",
    "Target",
    "TargetError",
    "User",
    "encode",
    "expires_at_seconds",
    "management_client",
    "parse_target",
]
