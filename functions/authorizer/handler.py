"""The Lambda authorizer of ``$connect``: no good token, no connection.

Raising exactly ``Unauthorized`` makes API Gateway answer 401 (2.15); a Deny policy 403 (2.14);
any other error 500 (2.16). All three refuse. The token never reaches a log.
"""

import functools
import logging
import os
from collections.abc import Mapping
from typing import Any

import boto3
from decision import is_origin_allowed, policy, token_of
from keys import PublishedKeys, SharedSecret
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


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Allow the handshake of a good token, for exactly its ``methodArn``."""
    try:
        claims = verify(
            token_of(event),
            _keys(),
            issuer=os.environ["TOKEN_ISSUER"],
            audience=os.environ["TOKEN_AUDIENCE"],
        )
    except TokenRefusedError as refused:
        _logger.warning("Refused: %s.", refused)
        raise Exception("Unauthorized") from None  # noqa: TRY002 - the text is the protocol
    if not is_origin_allowed(event, _allowed_origins()):
        _logger.warning("Refused: the Origin is not in ALLOWED_ORIGINS.")
        return policy("Deny", event, claims.user_id, {})
    context: dict[str, str | int] = {
        "userId": claims.user_id,
        "expiresAt": claims.expires_at_seconds,
        "scope": " ".join(sorted(claims.scopes)),
    }
    if os.environ.get("ENFORCE_TOKEN_EXPIRY") == "true":
        context["sessionEndsAt"] = claims.expires_at_seconds
    return policy("Allow", event, claims.user_id, context)
