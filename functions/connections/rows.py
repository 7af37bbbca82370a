"""From a ``$connect`` event to a row of the connection table. Pure."""

from collections.abc import Mapping
from typing import Any

from push import Connection


class NotAuthorizedError(Exception):
    """The event carries no user, or an end of the session that is none.

    ``$connect`` has no authorizer, or one that is not ours.
    """


def connection_of(event: Mapping[str, Any]) -> Connection:
    """The row for the connection that is being opened.

    Raises ``NotAuthorizedError`` without ``requestContext.authorizer.userId``: a ``$connect``
    route that lost its authorizer must not let everyone in. The optional member
    ``sessionEndsAt`` is in seconds since the epoch; what is not a number there is refused, since
    the session would never end.
    """
    context = event["requestContext"]
    authorizer = context.get("authorizer") or {}
    user_id = authorizer.get("userId")
    if not isinstance(user_id, str) or not user_id:
        raise NotAuthorizedError
    return Connection(
        connection_id=context["connectionId"],
        user_id=user_id,
        domain_name=context["domainName"],
        stage=context["stage"],
        connected_at_ms=int(context["connectedAt"]),
        session_ends_at_seconds=_session_end(authorizer),
    )


def _session_end(authorizer: Mapping[str, Any]) -> int | None:
    if "sessionEndsAt" not in authorizer:
        return None
    try:
        return int(
            str(authorizer["sessionEndsAt"])
        )  # API Gateway passes numbers of the context on as texts
    except ValueError:
        raise NotAuthorizedError from None
