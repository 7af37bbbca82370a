"""Who signs requests: principals of IAM, their access keys, and what a policy can ask of them.

Rules: 4.05, 7.31.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PrincipalKind(StrEnum):
    """The kinds of caller, in the words of ``aws:PrincipalType``."""

    ROOT = "Account"
    USER = "User"
    SESSION = "AssumedRole"
    FEDERATED = "FederatedUser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request comes from.

    ``arn`` is what ``GetCallerIdentity`` tells; ``role_arn`` the role of a session, whose ARN
    has another form; ``user_name`` the user whose permissions count, empty for others.
    ``user_id`` is ``AIDA…`` of a user, ``AROA…:{session}`` of a session, the account of its root.
    """

    kind: PrincipalKind
    arn: str
    account_id: str
    user_id: str
    user_name: str = ""
    role_arn: str | None = None

    @property
    def identity(self) -> dict[str, str]:
        """Its members in the ``identity`` of a request context. Rule 4.05."""
        return {
            "accountId": self.account_id,
            "caller": self.user_id,
            "user": self.user_id,
            "userArn": self.arn,
        }

    @property
    def context(self) -> dict[str, str]:
        """Condition keys that are facts about the caller, in lower case."""
        facts = {
            "aws:principalarn": self.role_arn or self.arn,
            "aws:principalaccount": self.account_id,
            "aws:principaltype": str(self.kind),
            "aws:userid": self.user_id,
        }
        if self.kind is PrincipalKind.USER:
            facts["aws:username"] = self.user_name
        return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A pair of keys as the account knows it; with a token it belongs to a session.

    ``expires_at_ms`` is None for keys that last. ``session_policy`` is the JSON text of the
    policy that bounds a session, None for a session without one. ``assumed_by`` is the service
    that assumed the session's role, for example ``lambda.amazonaws.com``; empty for others.
    ``is_inner`` marks the key that the services of this process sign with among themselves, which
    nobody else has: what they do in their own name is not asked about.
    """

    access_key_id: str
    secret: str = field(repr=False)
    principal: Principal
    token: str | None = field(default=None, repr=False)
    expires_at_ms: int | None = None
    is_active: bool = True
    session_policy: str | None = None
    assumed_by: str = ""
    is_inner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A principal whose signature was right, by the key it signed with."""

    key: AccessKey

    @property
    def principal(self) -> Principal:
        """Who it is."""
        return self.key.principal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRefusal:
    """Why a request counts as not signed by anybody.

    ``code`` and ``message`` are what AWS answers; ``reason`` is for people at this machine and
    holds no secret.
    """

    code: str
    message: str
    reason: str


Facts = Mapping[str, str]
"""Condition keys in lower case to values: what is known of a request."""
