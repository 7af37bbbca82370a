"""LocalStack's Lambda records behind the runner's catalog.

Records are read without LocalStack's threads: they are frozen values that a change replaces, so
an answer is kept for as long as the records that it was made of are still the same ones.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from localstack.services.lambda_.invocation.models import lambda_stores

from socketstack.errors import FunctionNotFound, FunctionUnavailable
from socketstack.localstack.packages import FetchedPackages
from socketstack.runner.base import Function
from socketstack.services.references import FunctionReference, read_reference

_LATEST: Final = "$LATEST"
_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class _Known:
    """A function, and the records that it was made of."""

    records: tuple[object, ...]
    function: Function

    def is_of(self, records: tuple[object, ...]) -> bool:
        return all(a is b for a, b in zip(self.records, records, strict=True))


class LocalStackFunctions:
    """The functions of all accounts and regions; see ``runner.base.FunctionCatalog``."""

    def __init__(self, packages: FetchedPackages, *, account_id: str, region: str) -> None:
        self._packages = packages
        self._account_id = account_id
        self._region = region
        self._found: dict[str, _Known] = {}

    def find(self, name_or_arn: str) -> Function:
        """The function that a name, ARN, or ARN with version or alias means.

        Names without region belong to the engine's own; a weighted alias means its main version.
        Raises ``FunctionNotFound`` with Lambda's words. One that is not ready is found: who may
        call it is known already.
        """
        reference = read_reference(name_or_arn, region=self._region, account_id=self._account_id)
        record = None if reference is None else _record(reference)
        if reference is None:
            raise FunctionNotFound(f"Function not found: {name_or_arn}")
        version = None if record is None else _version(record, reference.qualifier)
        if record is None or version is None:
            raise FunctionNotFound(f"Function not found: {reference.arn}")
        policy = record.permissions.get(reference.qualifier or _LATEST)
        reserved = record.reserved_concurrent_executions
        records = (version, policy, reserved)
        known = self._found.get(name_or_arn)
        if known is None or not known.is_of(records):
            if len(self._found) >= _KEPT:
                self._found.clear()
            function = self._function(reference, version, _policy(policy), reserved)
            known = self._found[name_or_arn] = _Known(records, function)
        return known.function

    def prepare(self, version: Any) -> None:
        """Fetch what a version (``FunctionVersion``) runs on; in LocalStack's thread.

        Raises ``FunctionUnavailable`` when it cannot run here.
        """
        settings = version.config
        if settings.code is None:
            raise FunctionUnavailable(
                "Container images need LAMBDA_RUNTIME_EXECUTOR=docker; the process executor runs "
                "zips."
            )
        for code in (settings.code, *(layer.code for layer in settings.layers)):
            self._packages.fetch(code)

    def _function(
        self, reference: FunctionReference, version: Any, policy: str | None, reserved: int | None
    ) -> Function:
        settings = version.config
        code = self._packages.package(settings.code)
        layers = tuple(self._packages.package(layer.code) for layer in settings.layers)
        logging = settings.logging_config or {}
        configuration = {
            "name": reference.name,
            "arn": reference.unqualified_arn,
            "version": str(version.id.qualifier),
            "handler": settings.handler or "",
            "runtime": str(settings.runtime or "container image"),
            "role": settings.role,
            "region": reference.region,
            "account_id": reference.account_id,
            "environment": dict(settings.environment or {}),
            "timeout_ms": int(settings.timeout) * 1000,
            "memory_mb": int(settings.memory_size),
            "log_group": str(logging.get("LogGroup") or ""),
            "log_format": str(logging.get("LogFormat") or "Text"),
            "log_level": str(logging.get("ApplicationLogLevel") or ""),
        }
        digests = [code.digest, *(layer.digest for layer in layers)]
        return Function(
            **configuration,
            invoked_arn=reference.arn,
            code=code,
            layers=layers,
            policy=policy,
            reserved_concurrency=reserved,
            # Who may call and by which name it was called are no reasons for a new process.
            configuration_digest=hashlib.sha256(
                json.dumps([configuration, digests], sort_keys=True).encode()
            ).hexdigest(),
        )


def _record(reference: FunctionReference) -> Any:
    """LocalStack's record of a function, or None. Makes no store where there is none."""
    account = dict.get(lambda_stores, reference.account_id)
    store = None if account is None else dict.get(account, reference.region)
    return None if store is None else store.functions.get(reference.name)


def _version(record: Any, qualifier: str | None) -> Any:
    """The version that a qualifier means, or None."""
    alias = record.aliases.get(qualifier)
    return record.versions.get(alias.function_version if alias else qualifier or _LATEST)


def _policy(found: Any) -> str | None:
    """A resource policy as JSON text; None when nobody was granted anything."""
    if found is None or not found.policy.Statement:
        return None
    policy = found.policy
    return json.dumps(
        {"Version": policy.Version, "Id": policy.Id, "Statement": list(policy.Statement)}
    )
