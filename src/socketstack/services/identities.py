"""Who the account's principals are and what they may do, over the records of IAM and STS.

The credentials ``test`` with the secret ``test``, which local tools use, are the account's root.
Permissions are those of identity policies, permissions boundaries and session policies;
resource policies are looked at for functions only, elsewhere (``FunctionPermits``).

Rules: 3.26, 4.02, 4.04, 7.07, 7.31.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from socketstack.clock import Clock
from socketstack.core.canonical import SignedRequest
from socketstack.core.permissions import NamedPolicy, Permissions, decide
from socketstack.core.policy import APIGATEWAY, PolicyDecision
from socketstack.core.principals import (
    AccessKey,
    Caller,
    Principal,
    PrincipalKind,
    SignatureRefusal,
)
from socketstack.core.signatures import Signature, verify
from socketstack.core.trust import ASSUME_ROLE, names, trusts_principal, trusts_service
from socketstack.ids import Ids
from socketstack.runner.base import Credentials, Function
from socketstack.services import identity_records
from socketstack.services.aws_app import AwsApp
from socketstack.services.identity_records import Role
from socketstack.services.sessions import Sessions, repair_sts
from socketstack.services.sparse_imports import moto_module

ROOT_KEY: Final = "test"
ROOT_SECRET: Final = "test"  # noqa: S105 - the local default, public on purpose
LAMBDA: Final = "lambda.amazonaws.com"

_PASSES_CALLER: Final = re.compile(r"arn:[a-z-]+:iam::\*:user/\*")
_NO_FACTS: Final[Mapping[str, str]] = {}


class IdentityRecords(Protocol):
    """Where users, roles and keys are kept; see ``identity_records``."""

    def user_key(self, account_id: str, access_key_id: str) -> AccessKey | None:
        """The access key of a user, or None."""
        ...

    def session_key(self, account_id: str, access_key_id: str) -> AccessKey | None:
        """The key of a session that somebody made by assuming a role, or None."""
        ...

    def role(self, account_id: str, role_arn: str) -> Role | None:
        """The role with an ARN, or None."""
        ...

    def user_policies(self, account_id: str, user_name: str) -> tuple[NamedPolicy, ...] | None:
        """All policies of a user and of its groups; None when there is no such user."""
        ...


class Identities:
    """Keys, principals and their permissions.

    For the event loop's thread, except for what moto's STS asks in its own. Answers are kept until
    ``AwsApp.identity_generation`` changes.
    """

    def __init__(
        self,
        app: AwsApp,
        *,
        clock: Clock,
        ids: Ids,
        records: IdentityRecords = identity_records,
        inner_key: Callable[[str], AccessKey | None] = lambda _access_key_id: None,
    ) -> None:
        """Keep nothing yet; ``inner_key`` finds keys that the services use among themselves."""
        self._app = app
        self._records = records
        self._inner_key = inner_key
        self._clock = clock
        self._sessions = Sessions(clock=clock, ids=ids)
        self._function_keys: dict[tuple[str, str], AccessKey] = {}
        self._generation = -1
        self._keys: dict[str, AccessKey | None] = {}
        self._roles: dict[str, Role | None] = {}
        self._permissions: dict[str, Permissions] = {}
        root_arn = f"arn:aws:iam::{app.account_id}:root"
        self._root = AccessKey(
            access_key_id=ROOT_KEY,
            secret=ROOT_SECRET,
            principal=Principal(
                kind=PrincipalKind.ROOT,
                arn=root_arn,
                account_id=app.account_id,
                user_id=app.account_id,
            ),
        )
        app.before_service("sts", self._repair_sts)

    # Who signed

    def identify(
        self,
        request: SignedRequest,
        signature: Signature | SignatureRefusal,
        *,
        service: str,
        region: str | None,
    ) -> Caller | SignatureRefusal:
        """Who signed a request, as ``core.signatures.verify`` decides."""
        return verify(
            request,
            signature,
            service=service,
            region=region,
            now_ms=self._clock.now_ms(),
            find_key=self.find_key,
        )

    def knows(self, signature: Signature | SignatureRefusal) -> bool:
        """Whether a request names a key of this account, rightly signed or not."""
        return isinstance(signature, Signature) and (
            self.find_key(signature.access_key_id) is not None
        )

    def find_key(self, access_key_id: str) -> AccessKey | None:
        """An access key of a user, a session, a function's role or root; None for others."""
        self._forget_when_changed()
        if access_key_id not in self._keys:
            self._keys[access_key_id] = self._read_key(access_key_id)
        return self._keys[access_key_id]

    def is_function(self, access_key_id: str) -> bool:
        """Whether a key is of a function's execution role."""
        key = self._sessions.find(access_key_id)
        return key is not None and key.assumed_by == LAMBDA

    # What they may do

    def may(
        self, caller: Caller, action: str, resource: str, facts: Mapping[str, str] = _NO_FACTS
    ) -> PolicyDecision:
        """Decide whether a caller may do something; ``facts`` are further condition keys."""
        known = {**caller.principal.context, **self._facts(), **facts}
        if action == ASSUME_ROLE:
            return self._may_assume(caller, resource, known)
        return decide(self._permissions_of(caller.key), action, resource, known)

    def role_may(self, role_arn: str, service: str, action: str, resource: str) -> PolicyDecision:
        """Decide whether a service may assume a role and do something as this role."""
        role = self._role(role_arn)
        problem = _distrusts(role, role_arn, service)
        if role is None or problem is not None:
            return PolicyDecision(is_allowed=False, reason=problem or "")
        facts = {"aws:principalarn": role_arn, "aws:principalaccount": self._app.account_id}
        return decide(_role_permissions(role), action, resource, {**facts, **self._facts()})

    # Execution roles

    def for_function(self, function: Function) -> Credentials:
        """The session of a function's execution role; the same for all of its processes."""
        place = (function.role, function.name)
        key = self._function_keys.get(place)
        if key is None:
            key = self._sessions.make(self._execution(function), assumed_by=LAMBDA)
            self._function_keys[place] = key
            self._keys.pop(key.access_key_id, None)
        return Credentials(
            access_key_id=key.access_key_id,
            secret_access_key=key.secret,
            session_token=key.token or "",
        )

    def _execution(self, function: Function) -> Principal:
        role = self._records.role(self._app.account_id, function.role)
        partition = function.arn.split(":")[1]
        name = function.role.rpartition("/")[2]
        return Principal(
            kind=PrincipalKind.SESSION,
            arn=f"arn:{partition}:sts::{function.account_id}:assumed-role/{name}/{function.name}",
            account_id=function.account_id,
            user_id=f"{role.role_id if role else ''}:{function.name}",
            role_arn=function.role,
        )

    # Reading

    def _forget_when_changed(self) -> None:
        if self._generation != self._app.identity_generation:
            self._generation = self._app.identity_generation
            self._keys.clear()
            self._roles.clear()
            self._permissions.clear()

    def _read_key(self, access_key_id: str) -> AccessKey | None:
        if access_key_id == ROOT_KEY:
            return self._root
        account_id = self._app.account_id
        return (
            self._sessions.find(access_key_id)
            or self._records.user_key(account_id, access_key_id)
            or self._records.session_key(account_id, access_key_id)
            or self._inner_key(access_key_id)
        )

    def _role(self, role_arn: str) -> Role | None:
        self._forget_when_changed()
        if role_arn not in self._roles:
            self._roles[role_arn] = self._records.role(self._app.account_id, role_arn)
        return self._roles[role_arn]

    def _permissions_of(self, key: AccessKey) -> Permissions:
        self._forget_when_changed()
        found = self._permissions.get(key.access_key_id)
        if found is None:
            found = self._permissions[key.access_key_id] = self._read_permissions(key)
        return found

    def _read_permissions(self, key: AccessKey) -> Permissions:
        principal = key.principal
        if principal.role_arn is not None:
            found = self._session_permissions(key, principal.role_arn)
        elif principal.user_name:
            found = self._user_permissions(principal)
        else:
            found = Permissions(owner=principal.arn, is_root=True)
        if key.session_policy is not None:
            return _bounded(found, NamedPolicy("the session policy", key.session_policy))
        if principal.kind is PrincipalKind.FEDERATED:
            problem = f"{principal.arn} came without a session policy and so may do nothing"
            return Permissions(owner=principal.arn, problem=problem)
        return found

    def _user_permissions(self, principal: Principal) -> Permissions:
        policies = self._records.user_policies(self._app.account_id, principal.user_name)
        if policies is None:
            problem = f"there is no user {principal.user_name} any more"
            return Permissions(owner=principal.arn, problem=problem)
        return Permissions(owner=principal.arn, policies=policies)

    def _session_permissions(self, key: AccessKey, role_arn: str) -> Permissions:
        role = self._role(role_arn)
        problem = f"there is no role {role_arn}" if role is None else None
        if key.assumed_by:
            problem = _distrusts(role, role_arn, key.assumed_by)
        if role is None or problem is not None:
            return Permissions(owner=key.principal.arn, problem=problem)
        return _role_permissions(role)

    def _may_assume(
        self, caller: Caller, role_arn: str, facts: Mapping[str, str]
    ) -> PolicyDecision:
        role = self._role(role_arn)
        if role is None:
            return PolicyDecision(is_allowed=False, reason=f"there is no role {role_arn}")
        trusted = trusts_principal(role.trust_policy, caller.principal, role_arn, facts)
        if not trusted.is_allowed:
            return trusted
        own = decide(self._permissions_of(caller.key), ASSUME_ROLE, role_arn, facts)
        is_denied = not own.is_allowed and own.statement is not None
        if not is_denied and names(role.trust_policy, caller.principal):
            return trusted
        return own

    def _facts(self) -> dict[str, str]:
        # On AWS these addresses have TLS only, so a policy that asks for it holds here as well.
        return {
            "aws:securetransport": "true",
            "aws:epochtime": str(self._clock.now_ms() // 1000),
            "aws:currenttime": str(self._clock.now_ms() // 1000),
        }

    # In moto's thread

    def _repair_sts(self) -> None:
        def caller(access_key_id: str) -> AccessKey:
            return self._read_key(access_key_id) or self._root

        repair_sts(moto_module("sts.responses"), self._sessions, caller)


class IamRoles:
    """What roles may do for API Gateway; see ``dataplane.roles.Roles``. Rule 3.26."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def may(self, role_arn: str, action: str, resource: str) -> PolicyDecision:
        """Decide whether API Gateway may assume ``role_arn`` and then do ``action``."""
        if _PASSES_CALLER.fullmatch(role_arn):
            reason = (
                f"{role_arn} passes the caller's identity on, which the local engine cannot do. "
                "Name a role. [5.67]"
            )
            return PolicyDecision(is_allowed=False, reason=reason)
        return self._identities.role_may(role_arn, APIGATEWAY, action, resource)


def _distrusts(role: Role | None, role_arn: str, service: str) -> str | None:
    """Why a service cannot assume a role, or None when it can."""
    if role is None:
        return f"there is no role {role_arn}"
    decision = trusts_service(role.trust_policy, service, role_arn, _NO_FACTS)
    return None if decision.is_allowed else decision.reason


def _role_permissions(role: Role) -> Permissions:
    if role.boundary is not None and role.boundary_policy is None:
        problem = f"the permissions boundary {role.boundary} of {role.arn} cannot be read"
        return Permissions(owner=role.arn, problem=problem)
    bounds = () if role.boundary_policy is None else (role.boundary_policy,)
    return Permissions(owner=role.arn, policies=role.policies, bounds=bounds)


def _bounded(permissions: Permissions, policy: NamedPolicy) -> Permissions:
    return Permissions(
        owner=permissions.owner,
        policies=permissions.policies,
        bounds=(*permissions.bounds, policy),
        is_root=permissions.is_root,
        problem=permissions.problem,
    )
