"""Temporary keys that the engine makes itself: of function processes, and where moto has none.

moto answers ``GetSessionToken`` and ``GetFederationToken`` with the keys of AWS's examples, the
same for everybody; ``repair_sts`` gives each caller keys of its own.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from socketstack.clock import Clock
from socketstack.core.principals import AccessKey, Principal, PrincipalKind
from socketstack.ids import Ids

FindCaller = Callable[[str], AccessKey]
"""The key of whoever calls STS; the account's root for keys that nobody knows."""

_KEY_ID_CHARACTERS: Final = 16
_SECRET_CHARACTERS: Final = 40
_TOKEN_PARTS: Final = 8
_KEPT_EXPIRED_MS: Final = 3_600_000
"""How long an expired key is still told to be expired, and not unknown."""


class Sessions:
    """Keys of sessions, by id. Can be used from any thread."""

    def __init__(self, *, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._keys: dict[str, AccessKey] = {}

    def find(self, access_key_id: str) -> AccessKey | None:
        """A key that was made here, expired or not; None for others."""
        return self._keys.get(access_key_id)

    def make(
        self,
        principal: Principal,
        *,
        lasts_seconds: int | None = None,
        session_policy: str | None = None,
        assumed_by: str = "",
    ) -> AccessKey:
        """New keys for a principal; ``lasts_seconds`` is None for keys that last."""
        now_ms = self._clock.now_ms()
        for key in tuple(self._keys.values()):
            if key.expires_at_ms is not None and key.expires_at_ms < now_ms - _KEPT_EXPIRED_MS:
                self._keys.pop(key.access_key_id, None)
        key = AccessKey(
            access_key_id="ASIA" + self._ids.resource_id(_KEY_ID_CHARACTERS).upper(),
            secret=self._random(2)[:_SECRET_CHARACTERS],
            principal=principal,
            token=self._random(_TOKEN_PARTS),
            expires_at_ms=None if lasts_seconds is None else now_ms + lasts_seconds * 1000,
            session_policy=session_policy,
            assumed_by=assumed_by,
        )
        self._keys[key.access_key_id] = key
        return key

    def _random(self, parts: int) -> str:
        return "".join(self._ids.uuid().replace("-", "") for _ in range(parts))


def repair_sts(responses: Any, sessions: Sessions, find_caller: FindCaller) -> None:
    """Put these keys into moto's STS (``moto.sts.responses``); in moto's thread."""
    result = responses.ActionResult

    def keys(key: AccessKey) -> dict[str, Any]:
        return {
            "AccessKeyId": key.access_key_id,
            "SecretAccessKey": key.secret,
            "SessionToken": key.token,
            "Expiration": datetime.fromtimestamp((key.expires_at_ms or 0) / 1000, UTC),
        }

    def get_session_token(self: Any) -> Any:
        caller = find_caller(self.get_access_key())
        seconds = self._get_int_param("DurationSeconds", 43_200)
        made = sessions.make(caller.principal, lasts_seconds=seconds)
        return result({"Credentials": keys(made)})

    def get_federation_token(self: Any) -> Any:
        caller = find_caller(self.get_access_key()).principal
        answer = original_federation_token(self)
        user = answer.result["FederatedUser"]
        seconds = self._get_int_param("DurationSeconds", 43_200)
        principal = Principal(
            kind=PrincipalKind.FEDERATED,
            arn=user["Arn"],
            account_id=caller.account_id,
            user_id=user["FederatedUserId"],
            user_name=caller.user_name,
        )
        policy = self._get_param("Policy") or None
        made = sessions.make(principal, lasts_seconds=seconds, session_policy=policy)
        return result({**answer.result, "Credentials": keys(made)})

    def get_caller_identity(self: Any) -> Any:
        principal = find_caller(self.get_access_key()).principal
        return result(
            {"UserId": principal.user_id, "Account": principal.account_id, "Arn": principal.arn}
        )

    tokens = responses.TokenResponse
    federation = tokens.get_federation_token
    original_federation_token = getattr(federation, "__wrapped__", federation)
    get_federation_token.__wrapped__ = original_federation_token  # type: ignore[attr-defined]
    tokens.get_session_token = get_session_token
    tokens.get_federation_token = get_federation_token
    tokens.get_caller_identity = get_caller_identity
