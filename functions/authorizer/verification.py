"""Decide whether a token is good. Needs PyJWT; knows nothing of Lambda or AWS.

The algorithms are pinned by where the key comes from, never by the token: a token signed with a
published public key as if it were a shared secret is refused, and so is ``none``.
"""

import math
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt

TOKEN_MAX_CHARACTERS: Final = 4096
"""A request URL may not be longer, so no honest token is."""
_USER_ID_MAX_CHARACTERS: Final = 256
_REQUIRED: Final = ("exp", "iss", "aud", "sub")
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is from another issuer"),
    (jwt.InvalidAlgorithmError, "the token is signed with an algorithm that is not allowed"),
    (jwt.InvalidSignatureError, "the signature is wrong"),
    (jwt.MissingRequiredClaimError, "the token lacks one of the claims exp, iss, aud, sub"),
    (jwt.DecodeError, "the token is not a JWT"),
)


class TokenRefusedError(Exception):
    """The token is not accepted; the text gives the reason and nothing of the token."""


class KeySource(Protocol):
    """Where verification keys come from, and the only algorithms that go with them."""

    algorithms: tuple[str, ...]

    def key_for(self, token: str) -> Any:
        """The key for this token; ``jwt.InvalidTokenError`` when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a good token says."""

    user_id: str
    expires_at_seconds: int
    scopes: frozenset[str]
    """The parts of the claim ``scope``, which are separated by spaces."""


def verify(token: str, keys: KeySource, *, issuer: str, audience: str) -> Claims:
    """Check signature, algorithm, issuer, audience, expiry and user of a token.

    Raises ``TokenRefusedError``; errors of fetching a key pass through.
    """
    if not token or len(token) > TOKEN_MAX_CHARACTERS:
        raise TokenRefusedError("the token is empty or too long")
    if not issuer or not audience:
        raise TokenRefusedError("no issuer or audience is configured")
    try:
        claims = jwt.decode(
            token,
            keys.key_for(token),
            algorithms=list(keys.algorithms),
            issuer=issuer,
            audience=audience,
            options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
        )
    except (jwt.InvalidTokenError, jwt.InvalidKeyError) as error:
        raise TokenRefusedError(_reason(error)) from None
    except (OverflowError, RecursionError):
        raise TokenRefusedError("the token is not a JWT") from None
    return _read(claims)


def _reason(error: Exception) -> str:
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return text
    return "the token is not valid"


def _read(claims: dict[str, Any]) -> Claims:
    user_id, expires_at, scope = claims["sub"], claims["exp"], claims.get("scope", "")
    if not isinstance(user_id, str) or not 0 < len(user_id) <= _USER_ID_MAX_CHARACTERS:
        raise TokenRefusedError("the claim sub is not a user id of 1 to 256 characters")
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        raise TokenRefusedError("the claim exp is not a number")
    if not math.isfinite(expires_at):
        raise TokenRefusedError("the claim exp is not a number")
    scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset[str]()
    return Claims(user_id=user_id, expires_at_seconds=int(expires_at), scopes=scopes)
