"""What moto's IAM and STS keep of users, roles and their keys, as values of ours.

Read without moto's thread, like functions (``functions``): every list and dictionary is copied in
one step before it is walked, and whoever keeps an answer forgets it with the next call that may
have changed it (``MotoApp.identity_generation``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from socketstack.core.permissions import NamedPolicy
from socketstack.core.principals import AccessKey, Principal, PrincipalKind
from socketstack.services.sparse_imports import is_loaded, moto_module

_ACTIVE: Final = "Active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role: its trust policy as JSON text, and what it may do.

    ``boundary`` is the ARN of its permissions boundary; ``boundary_policy`` is None when it has
    none, or when there is no such policy.
    """

    arn: str
    name: str
    role_id: str
    trust_policy: str
    policies: tuple[NamedPolicy, ...]
    boundary: str | None = None
    boundary_policy: NamedPolicy | None = None


def user_key(account_id: str, access_key_id: str) -> AccessKey | None:
    """The access key of a user, or None."""
    for backend in _backends("iam", account_id):
        for user in tuple(backend.users.values()):
            for key in tuple(user.access_keys):
                if key.access_key_id == access_key_id:
                    return _user_key(user, key)
    return None


def session_key(account_id: str, access_key_id: str) -> AccessKey | None:
    """The key of a session that somebody made by assuming a role, or None."""
    for backend in _backends("sts", account_id):
        for session in tuple(backend.assumed_roles):
            if session.access_key_id == access_key_id:
                return _session_key(account_id, session)
    return None


def role(account_id: str, role_arn: str) -> Role | None:
    """The role with an ARN, or None."""
    for backend in _backends("iam", account_id):
        for found in tuple(backend.roles.values()):
            if found.arn == role_arn:
                boundary = found.permissions_boundary_arn or None
                policy = backend.managed_policies.get(boundary) if boundary else None
                return Role(
                    arn=role_arn,
                    name=found.name,
                    role_id=found.id,
                    trust_policy=found.assume_role_policy_document or "",
                    policies=tuple(_policies(found)),
                    boundary=boundary,
                    boundary_policy=None if policy is None else _managed(policy),
                )
    return None


def user_policies(account_id: str, user_name: str) -> tuple[NamedPolicy, ...] | None:
    """All policies of a user and of its groups; None when there is no such user."""
    for backend in _backends("iam", account_id):
        user = backend.users.get(user_name)
        if user is None:
            continue
        groups = [group for group in tuple(backend.groups.values()) if user in group.users]
        return tuple(policy for owner in (user, *groups) for policy in _policies(owner))
    return None


def _backends(service: str, account_id: str) -> list[Any]:
    """Moto's stores of an account, one per partition; none where nobody has called the service."""
    if not is_loaded(service):
        return []
    accounts: dict[str, Any] = getattr(moto_module(f"{service}.models"), f"{service}_backends")
    # dict.get: the item access of these dictionaries makes what is missing.
    return list((accounts.get(account_id) or {}).values())


def _user_key(user: Any, key: Any) -> AccessKey:
    principal = Principal(
        kind=PrincipalKind.USER,
        arn=user.arn,
        account_id=user.account_id,
        user_id=user.id,
        user_name=user.name,
    )
    return AccessKey(
        access_key_id=key.access_key_id,
        secret=key.secret_access_key,
        principal=principal,
        is_active=key.status == _ACTIVE,
    )


def _session_key(account_id: str, session: Any) -> AccessKey:
    found = role(account_id, session.role_arn)
    principal = Principal(
        kind=PrincipalKind.SESSION,
        arn=session.arn,
        account_id=session.account_id,
        user_id=f"{found.role_id if found else ''}:{session.session_name}",
        role_arn=session.role_arn,
    )
    return AccessKey(
        access_key_id=session.access_key_id,
        secret=session.secret_access_key,
        principal=principal,
        token=session.session_token,
        expires_at_ms=int(session.expiration.timestamp() * 1000),
        session_policy=session.policy or None,
    )


def _policies(owner: Any) -> Iterator[NamedPolicy]:
    """Inline and attached policies of a user, a group or a role."""
    for name, text in tuple(owner.policies.items()):
        yield NamedPolicy(f"the policy {name} of {owner.name}", text)
    for policy in tuple(owner.managed_policies.values()):
        yield _managed(policy)


def _managed(policy: Any) -> NamedPolicy:
    versions = tuple(policy.versions)
    version = next(each for each in versions if each.version_id == policy.default_version_id)
    return NamedPolicy(f"the policy {policy.arn}", version.document)
