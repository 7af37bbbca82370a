"""Mint connection tokens (HS256). Verification is the authorizer's own code, not a copy."""

from typing import Final

import jwt

PUSH_SCOPE: Final = "push"
"""The right to push through the web server of a stack on AWS."""


def mint(
    *,
    key: str,
    issuer: str,
    audience: str,
    user_id: str,
    issued_at_seconds: int,
    lives_seconds: int,
    scope: str = "",
) -> str:
    """A signed token.

    Args:
        key: The stack's secret.
        issuer: Claim ``iss``.
        audience: Claim ``aud``.
        user_id: Claim ``sub``: who connects.
        issued_at_seconds: Claim ``iat``, seconds since the epoch.
        lives_seconds: Until ``exp``; zero or less gives an expired token, for trying refusals.
        scope: Claim ``scope``, rights separated by spaces; left out when empty.
    """
    claims: dict[str, str | int] = {
        "iss": issuer,
        "aud": audience,
        "sub": user_id,
        "iat": min(issued_at_seconds, issued_at_seconds + lives_seconds),
        "exp": issued_at_seconds + lives_seconds,
    }
    if scope:
        claims["scope"] = scope
    return jwt.encode(claims, key, algorithm="HS256")
