"""The policies that AWS manages, made one by one when somebody names them.

Attaching ``AWSLambdaBasicExecutionRole`` must work, so IAM has to know AWS's 1,400 policies. As
the objects that ``MOTO_IAM_LOAD_MANAGED_POLICIES`` makes of them they cost many megabytes and
half a second; a stack attaches two. Here they stay packed, and a policy is made when a call names
its ARN; ``ListPolicies`` makes them all.
"""

import functools
import json
import zlib
from collections.abc import Callable
from typing import Any, Final

from socketstack.services.sparse_imports import moto_module

_NAMING: Final = ("attach_role_policy", "attach_user_policy", "attach_group_policy", "get_policy")
"""Methods of moto's IAM that are given a policy's ARN first or by keyword."""
_LEVEL: Final = 3
"""Takes 0.05 s less than the usual 6, of every deployment, for 130 KB more of 4.7 MB."""


class PackedPolicies:
    """AWS's records by policy name, compressed.

    ``text`` is a JSON object, indented by one space: name to record, with ``Document``, ``Path``,
    ``DefaultVersionId``, ``CreateDate`` and ``UpdateDate``.
    """

    def __init__(self, text: str) -> None:
        self._packed = zlib.compress(text.encode(), _LEVEL)

    def text(self) -> str:
        """What was packed."""
        return zlib.decompress(self._packed).decode()

    def named(self, name: str) -> dict[str, Any] | None:
        """One policy's record, or None; reads no other record."""
        text = self.text()
        start = text.find(f'\n "{name}":')
        if start < 0:
            return None
        record: dict[str, Any] = json.JSONDecoder().raw_decode(text, text.index("{", start))[0]
        return record


def repair() -> None:
    """Put the packed policies into ``moto.iam``; once, in moto's thread."""
    source = moto_module("iam.aws_managed_policies")
    models = moto_module("iam.models")
    packed = PackedPolicies(source.aws_managed_policies_data)
    del source.aws_managed_policies_data, models.aws_managed_policies_data
    # For the one service that reads it too, when it is imported.
    source.__getattr__ = functools.partial(_text, packed)
    backend = models.IAMBackend
    for name in _NAMING:
        setattr(backend, name, _naming(packed, getattr(backend, name)))
    backend.list_policies = _listing(packed, backend.list_policies)


def _naming(packed: PackedPolicies, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        arn = str(kwargs.get("policy_arn") or (args[0] if args else ""))
        if ":iam::aws:policy/" in arn and arn not in self.managed_policies:
            name = arn.rsplit("/", maxsplit=1)[-1]
            record = packed.named(name)
            if record is not None:
                _add(self, name, record)
        return original(self, *args, **kwargs)

    return method


def _listing(packed: PackedPolicies, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        for name, record in json.loads(packed.text()).items():
            _add(self, name, record)
        return original(self, *args, **kwargs)

    return method


def _add(backend: Any, name: str, record: dict[str, Any]) -> None:
    policy = moto_module("iam.models").AWSManagedPolicy.from_data(
        name, backend.account_id, backend.region_name, record
    )
    if policy.arn not in backend.managed_policies:
        backend.managed_policies[policy.arn] = policy
        backend.aws_managed_policies.append(policy)


def _text(packed: PackedPolicies, name: str) -> str:
    if name != "aws_managed_policies_data":
        raise AttributeError(name)
    return packed.text()
