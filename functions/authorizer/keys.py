"""Where verification keys come from: a secret of this stack, or a published key set (JWKS)."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import jwt

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

SECRET_TTL_SECONDS: Final = 300
KEY_SET_TTL_SECONDS: Final = 3600
UNKNOWN_KEY_COOLDOWN_SECONDS: Final = 60
"""Tokens that name unknown keys cause at most one fetch in this time."""
_FETCH_TIMEOUT_SECONDS: Final = 5
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SharedSecret:
    """HS256 with a key from Secrets Manager, read again when its time to live is over."""

    algorithms: tuple[str, ...] = ("HS256",)

    def __init__(
        self,
        client: "SecretsManagerClient",
        arn: str,
        *,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._arn = arn
        self._monotonic_seconds = monotonic_seconds
        self._cached: tuple[float, str] | None = None

    def key_for(self, token: str) -> str:  # noqa: ARG002 - one key for every token
        """The key; boto3's errors pass through."""
        now = self._monotonic_seconds()
        if self._cached is None or now - self._cached[0] >= SECRET_TTL_SECONDS:
            secret = self._client.get_secret_value(SecretId=self._arn)["SecretString"]
            self._cached = (now, secret)
        return self._cached[1]


class PublishedKeys:
    """RS256 or ES256 with the key that the token names, from a JWKS address."""

    algorithms: tuple[str, ...] = ("RS256", "ES256")

    def __init__(self, url: str, *, cooldown_seconds: float = UNKNOWN_KEY_COOLDOWN_SECONDS) -> None:
        """Raises ValueError for an address that is neither https nor on this machine."""
        parts = urlsplit(url)
        if parts.scheme != "https" and (parts.scheme, parts.hostname in _LOOPBACK) != (
            "http",
            True,
        ):
            raise ValueError("JWKS_URL must be an https address (http only on this machine).")
        self._client = jwt.PyJWKClient(
            url,
            lifespan=KEY_SET_TTL_SECONDS,
            timeout=_FETCH_TIMEOUT_SECONDS,
            cooldown_duration=cooldown_seconds,
        )

    def key_for(self, token: str) -> jwt.PyJWK:
        """The published key the token's header names.

        Raises ``jwt.InvalidTokenError`` when the header names none or an unknown one, and
        ``jwt.PyJWKClientConnectionError`` when the key set cannot be fetched.
        """
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in self.algorithms:  # before anything is fetched for it
            raise jwt.InvalidAlgorithmError
        key_id = header.get("kid")
        if not isinstance(key_id, str) or not key_id:
            raise jwt.InvalidTokenError("no kid")
        try:
            return self._client.get_signing_key(key_id)
        except jwt.PyJWKClientConnectionError:
            raise
        except jwt.PyJWKClientError:
            raise jwt.InvalidTokenError("unknown kid") from None
