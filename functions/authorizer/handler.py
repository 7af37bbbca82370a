"""The Lambda authorizer of ``$connect``: no good token, no connection.

The parameter ``token`` carries a JWT or, where ``TICKET_TABLE_NAME`` is set, a one-time ticket and
nothing else: a JWT, which is good more than once, is refused there.

Raising exactly ``Unauthorized`` makes API Gateway answer 401 (2.15); a Deny policy 403 (2.14);
any other error 500 (2.16). All three refuse. API Gateway keeps no decision of a WebSocket API's
authorizer, so each handshake asks (3.23). Neither token nor ticket reaches a log.
"""

import functools
import logging
import os
from collections.abc import Mapping
from typing import Any

import boto3
from decision import is_origin_allowed, policy, token_of
from keys import PublishedKeys, SharedSecret
from tickets import TicketRefusedError, TicketTable
from verification import KeySource, TokenRefusedError, verify

_logger = logging.getLogger(__name__)
_logger.setLevel(logging.INFO)


@functools.cache
def _keys() -> KeySource:
    url = os.environ.get("JWKS_URL", "")
    if url:
        return PublishedKeys(url)
    return SharedSecret(boto3.client("secretsmanager"), os.environ["TOKEN_SECRET_ARN"])


@functools.cache
def _allowed_origins() -> frozenset[str]:
    listed = os.environ.get("ALLOWED_ORIGINS", "").split(",")
    return frozenset(origin.strip() for origin in listed if origin.strip())


@functools.cache
def _tickets(table_name: str) -> TicketTable:
    return TicketTable(boto3.client("dynamodb"), table_name)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Allow the handshake of a good token or ticket, for exactly its ``methodArn``."""
    table_name = os.environ.get("TICKET_TABLE_NAME", "")
    try:
        context = _by_ticket(event, table_name) if table_name else _by_token(event)
    except (TokenRefusedError, TicketRefusedError) as refused:
        _logger.warning("Refused: %s.", refused)
        raise Exception("Unauthorized") from None  # noqa: TRY002 - the text is the protocol
    user_id = str(context["userId"])
    if not is_origin_allowed(event, _allowed_origins()):
        _logger.warning("Refused: the Origin is not in ALLOWED_ORIGINS.")
        return policy("Deny", event, user_id, {})
    return policy("Allow", event, user_id, context)


def _by_ticket(event: Mapping[str, Any], table_name: str) -> dict[str, str | int]:
    ticket = _tickets(table_name).redeem(token_of(event))
    context: dict[str, str | int] = {
        "userId": ticket.user_id,
        "expiresAt": ticket.expires_at_seconds,
    }
    if ticket.session_ends_at_seconds is not None:
        context["sessionEndsAt"] = ticket.session_ends_at_seconds
    return context


def _by_token(event: Mapping[str, Any]) -> dict[str, str | int]:
    claims = verify(
        token_of(event),
        _keys(),
        issuer=os.environ["TOKEN_ISSUER"],
        audience=os.environ["TOKEN_AUDIENCE"],
    )
    context: dict[str, str | int] = {
        "userId": claims.user_id,
        "expiresAt": claims.expires_at_seconds,
        "scope": " ".join(sorted(claims.scopes)),
    }
    if os.environ.get("ENFORCE_TOKEN_EXPIRY") == "true":
        context["sessionEndsAt"] = claims.expires_at_seconds
    return context
