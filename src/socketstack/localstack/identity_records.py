"""What LocalStack's IAM and STS keep of users, roles and their keys, as values of ours.

See ``services.identity_records``, which does the same for moto's. Documents are kept quoted there.
Sessions lose their session policies, so these are remembered when a session is made
(``keep_session_policy``); keys of ``GetSessionToken`` do not say whose they are, and are unknown
here.
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from localstack.services.iam.models import iam_stores
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.services.sts.models import sts_stores

from socketstack.core.permissions import NamedPolicy
from socketstack.core.principals import AccessKey, Principal, PrincipalKind
from socketstack.services.identity_records import Role

_ACTIVE: Final = "Active"
_ARN_PARTS: Final = 6
_NOTHING: Final = '{"Version": "2012-10-17", "Statement": []}'
"""A policy that allows nothing, for sessions bounded by what cannot be read."""


class LocalStackRecords:
    """Reads users, roles and keys; see ``services.identities.IdentityRecords``."""

    def __init__(self) -> None:
        self._session_policies: dict[str, str] = {}

    def keep_session_policy(self, request: Any, response: Any) -> None:
        """Remember the policy that bounds a session, from the call that made it."""
        policy, arns = (request or {}).get("Policy"), (request or {}).get("PolicyArns")
        credentials = (response or {}).get("Credentials") or {}
        key_id = credentials.get("AccessKeyId")
        if key_id and (policy or arns):
            # Bounds by ARN are not read: such a session may do nothing, rather than too much.
            self._session_policies[key_id] = _NOTHING if arns else str(policy)

    def user_key(self, account_id: str, access_key_id: str) -> AccessKey | None:
        """The access key of a user, or None."""
        store = _store(iam_stores, account_id)
        name = None if store is None else store.ACCESS_KEY_INDEX.get(access_key_id)
        user = None if name is None else store.USERS.get(name)
        key = None if user is None else user.access_keys.get(access_key_id)
        if user is None or key is None:
            return None
        principal = Principal(
            kind=PrincipalKind.USER,
            arn=user.user["Arn"],
            account_id=account_id,
            user_id=user.user["UserId"],
            user_name=user.user["UserName"],
        )
        return AccessKey(
            access_key_id=access_key_id,
            secret=key.access_key["SecretAccessKey"],
            principal=principal,
            is_active=key.access_key["Status"] == _ACTIVE,
        )

    def session_key(self, account_id: str, access_key_id: str) -> AccessKey | None:
        """The key of a session that somebody made, or None."""
        store = _store(sts_stores, account_id)
        session = None if store is None else store.credentials.get(access_key_id)
        principal = None if session is None else self._session_principal(session)
        if session is None or principal is None:
            return None
        return AccessKey(
            access_key_id=access_key_id,
            secret=session.secret_access_key,
            principal=principal,
            token=session.session_token,
            expires_at_ms=int(session.expiration.timestamp() * 1000),
            session_policy=self._session_policies.get(access_key_id),
        )

    def role(self, account_id: str, role_arn: str) -> Role | None:
        """The role with an ARN, or None."""
        store = _store(iam_stores, account_id)
        entity = None if store is None else store.ROLES.get(role_arn.rpartition("/")[2])
        if entity is None or entity.role["Arn"] != role_arn:
            return None
        boundary = (entity.role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        return Role(
            arn=role_arn,
            name=entity.role["RoleName"],
            role_id=entity.role["RoleId"],
            trust_policy=unquote(entity.role.get("AssumeRolePolicyDocument") or ""),
            policies=tuple(_policies(store, entity, entity.role["RoleName"])),
            boundary=boundary or None,
            boundary_policy=_managed(store, boundary) if boundary else None,
        )

    def user_policies(self, account_id: str, user_name: str) -> tuple[NamedPolicy, ...] | None:
        """All policies of a user and of its groups; None when there is no such user."""
        store = _store(iam_stores, account_id)
        user = None if store is None else store.USERS.get(user_name)
        if user is None:
            return None
        groups = [g for g in tuple(store.GROUPS.values()) if user_name in g.member_user_names]
        found = list(_policies(store, user, user_name))
        for group in groups:
            found += _policies(store, group, group.group["GroupName"])
        return tuple(found)

    def _session_principal(self, session: Any) -> Principal | None:
        parts = session.arn.split(":", _ARN_PARTS - 1)
        kind, _, name = parts[-1].partition("/")
        facts = {
            "arn": session.arn,
            "account_id": session.account_id,
            "user_id": session.user_id,
        }
        if kind == "federated-user":
            return Principal(kind=PrincipalKind.FEDERATED, **facts)
        if kind != "assumed-role":
            return None
        role = _role_named(session.account_id, name.partition("/")[0])
        arn = f"arn:{parts[1]}:iam::{session.account_id}:role/{name.partition('/')[0]}"
        return Principal(
            kind=PrincipalKind.SESSION,
            role_arn=arn if role is None else role.role["Arn"],
            **facts,
        )


def _store(stores: Any, account_id: str) -> Any:
    """A store of an account; None where nobody has called the service."""
    # dict.get: the item access of these dictionaries makes what is missing.
    regions = dict.get(stores, account_id)
    return None if not regions else next(iter(tuple(regions.values())), None)


def _role_named(account_id: str, name: str) -> Any:
    store = _store(iam_stores, account_id)
    return None if store is None else store.ROLES.get(name)


def _policies(store: Any, entity: Any, owner: str) -> Iterator[NamedPolicy]:
    """Inline and attached policies; an attached one that cannot be read allows nothing."""
    for name, quoted in tuple(entity.inline_policies.items()):
        yield NamedPolicy(f"the policy {name} of {owner}", unquote(quoted))
    for arn in tuple(entity.attached_policy_arns):
        yield _managed(store, arn) or NamedPolicy(f"the policy {arn}", "")


def _managed(store: Any, arn: str) -> NamedPolicy | None:
    """The default version of a managed policy, the account's or AWS's; None without it."""
    found = store.MANAGED_POLICIES.get(arn) or _of_aws(arn)
    version = None if found is None else found.versions.get(found.policy["DefaultVersionId"])
    return (
        None if version is None else NamedPolicy(f"the policy {arn}", unquote(version["Document"]))
    )


def _of_aws(arn: str) -> Any:
    service = SERVICE_PLUGINS.get_service("iam")
    provider = None if service is None else service._provider  # noqa: SLF001 - it alone has them
    known = getattr(provider, "_aws_managed_policy_cache", None) or {}
    return known.get(arn)
