"""Minted tokens, read by the authorizer's own verification."""

import time
from typing import Any

import jwt
import pytest

from functions.authorizer.verification import TokenRefusedError, verify
from webclient.tokens import mint

KEY = "k" * 64


class _Keys:
    algorithms: tuple[str, ...] = ("HS256",)

    def key_for(self, token: str) -> str:
        """The one key."""
        return KEY


def minted(**changes: Any) -> str:
    """A token, with some arguments changed."""
    facts = {
        "key": KEY,
        "issuer": "me",
        "audience": "chat",
        "user_id": "alice",
        "issued_at_seconds": int(time.time()),
        "lives_seconds": 60,
    }
    return mint(**{**facts, **changes})


def test_minted_token_is_accepted_by_the_authorizer() -> None:
    """User, expiry and rights arrive."""
    now = int(time.time())

    claims = verify(
        minted(issued_at_seconds=now, scope="push"), _Keys(), issuer="me", audience="chat"
    )

    assert claims.user_id == "alice"
    assert claims.expires_at_seconds == now + 60
    assert claims.scopes == {"push"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lives_seconds": 0}, "expired"),
        ({"lives_seconds": -5}, "expired"),
        ({"issuer": "other"}, "issuer"),
        ({"audience": "other"}, "audience"),
        ({"key": "o" * 64}, "signature"),
    ],
)
def test_token_minted_to_be_refused_is_refused(changes: dict[str, Any], reason: str) -> None:
    """The options for trying refusals make tokens that fail for that very reason."""
    with pytest.raises(TokenRefusedError, match=reason):
        verify(minted(**changes), _Keys(), issuer="me", audience="chat")


def test_token_without_rights_has_no_scope() -> None:
    """The claim is left out, not empty."""
    assert "scope" not in jwt.decode(minted(), options={"verify_signature": False})
