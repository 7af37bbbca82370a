"""From a ``$connect`` event to a row of the connection table. Pure."""

from collections.abc import Mapping
from typing import Any

from push import Connection


class NotAuthorizedError(Exception):
    """The event carries no user: ``$connect`` has no authorizer, or it named nobody."""


def connection_of(event: Mapping[str, Any]) -> Connection:
    """The row for the connection that is being opened.

    Raises ``NotAuthorizedError`` without ``requestContext.authorizer.userId``: a ``$connect``
    route that lost its authorizer must not let everyone in.
    """
    context = event["requestContext"]
    user_id = (context.get("authorizer") or {}).get("userId")
    if not isinstance(user_id, str) or not user_id:
        raise NotAuthorizedError
    return Connection(
        connection_id=context["connectionId"],
        user_id=user_id,
        domain_name=context["domainName"],
        stage=context["stage"],
        connected_at_ms=int(context["connectedAt"]),
    )
