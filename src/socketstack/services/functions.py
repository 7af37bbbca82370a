"""Functions as the runner sees them: moto's Lambda records behind the catalog's protocol.

Also who may call them (``FunctionPermits``) and where their logs go (``function_logs``).
``InvokeApi`` lives in ``invocations``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from socketstack.core.policy import PolicyDecision, permits_service
from socketstack.errors import FunctionNotFound
from socketstack.runner.base import Function, FunctionCatalog, LogLine, LogSink, Package
from socketstack.services.event_settings import EventSettings, event_settings
from socketstack.services.function_logs import FunctionLogs
from socketstack.services.invocations import InvokeApi
from socketstack.services.moto_app import MotoApp
from socketstack.services.references import FunctionReference, read_reference
from socketstack.services.sparse_imports import is_loaded, moto_module

__all__ = ["FunctionPermits", "InvokeApi", "MotoFunctions"]

_LATEST = "$LATEST"
_KEPT_DECISIONS = 1024


class MotoFunctions(FunctionCatalog, LogSink):
    """The catalog over moto's records, for the event loop's thread.

    Records are read without moto's thread: what was found is kept until ``MotoApp.generation``
    changes, which is after every call that may change a function, so a record read in the middle
    of such a call is not used for longer than that call takes.
    """

    def __init__(self, app: MotoApp) -> None:
        self._app = app
        self._logs = FunctionLogs(app)
        self._generation = -1
        self._found: dict[str, Function] = {}

    def find(self, name_or_arn: str) -> Function:
        """The function that a name, ARN, or ARN with version or alias means.

        Names without region belong to the engine's own; a weighted alias means its main version.
        Raises ``FunctionNotFound`` with Lambda's words.
        """
        if self._generation != self._app.generation:
            self._generation = self._app.generation
            self._found.clear()
        found = self._found.get(name_or_arn)
        if found is None:
            found = self._found[name_or_arn] = self._read(name_or_arn)
        return found

    def event_settings(self, name_or_arn: str) -> EventSettings:
        """How events of a function are tried; the defaults for one that does not exist."""
        reference = read_reference(
            name_or_arn, region=self._app.region, account_id=self._app.account_id
        )
        versions = None if reference is None else _versions(reference)
        if versions is None:
            return EventSettings()
        latest = versions.group["latest"]
        kept = latest.event_invoke_config
        return event_settings(kept[0].config if kept else {}, str(latest.role))

    def write(self, function: Function, stream: str, lines: Sequence[LogLine]) -> None:
        """Take lines of one log stream, in order; never waits."""
        self._logs.write(function, stream, lines)

    def _read(self, name_or_arn: str) -> Function:
        reference = read_reference(
            name_or_arn, region=self._app.region, account_id=self._app.account_id
        )
        if reference is None:
            raise FunctionNotFound(f"Function not found: {name_or_arn}")
        versions = _versions(reference)
        record = None if versions is None else _record(versions, reference)
        if versions is None or record is None:
            raise FunctionNotFound(f"Function not found: {reference.arn}")
        # Reserved for all versions together; moto keeps it with $LATEST.
        reserved = versions.group["latest"].reserved_concurrency
        return _function(record, reference, None if reserved is None else int(reserved))


class FunctionPermits:
    """May API Gateway call this function? Rules 3.27, 5.33: the function's policy decides."""

    def __init__(self, functions: FunctionCatalog) -> None:
        self._functions = functions

    def allows(self, function: str, source_arn: str) -> PolicyDecision:
        """Decide about ``function`` (name or ARN) on behalf of ``source_arn``, an API's route.

        A function that does not exist is a refusal.
        """
        try:
            found = self._functions.find(function)
        except FunctionNotFound as missing:
            return PolicyDecision(is_allowed=False, reason=str(missing))
        return _permits(found.policy, found.invoked_arn, source_arn)


@lru_cache(maxsize=_KEPT_DECISIONS)
def _permits(policy: str | None, function_arn: str, source_arn: str) -> PolicyDecision:
    # Asked for every message; the answer changes only when the policy's text does.
    account = source_arn.split(":")[4] if source_arn.count(":") > 4 else ""  # noqa: PLR2004
    return permits_service(
        policy, function_arn=function_arn, source_arn=source_arn, account=account
    )


@dataclass(frozen=True, slots=True)
class _Versions:
    """Moto's records of one function."""

    group: dict[str, Any]
    aliases: dict[str, Any]


def _versions(reference: FunctionReference) -> _Versions | None:
    """Moto's records of a function, or None. Makes no backend where there is none."""
    if not is_loaded("awslambda"):
        return None
    # dict.get: the item access of these dictionaries makes what is missing.
    accounts: dict[str, Any] = moto_module("awslambda.models").lambda_backends
    backend = (accounts.get(reference.account_id) or {}).get(reference.region)
    if backend is None:
        return None
    storage = backend._lambdas  # noqa: SLF001 - without it, a look-up would need moto's thread
    group = storage._functions.get(reference.name)  # noqa: SLF001
    if group is None:
        return None
    return _Versions(group, storage._aliases.get(reference.unqualified_arn, {}))  # noqa: SLF001


def _record(versions: _Versions, reference: FunctionReference) -> Any:
    """Moto's record of the version that a reference means, or None."""
    group, qualifier = versions.group, reference.qualifier
    if qualifier in versions.aliases:
        qualifier = versions.aliases[qualifier].function_version
    if qualifier in {None, _LATEST}:
        return group["latest"]
    return next((each for each in group["versions"] if str(each.version) == qualifier), None)


def _function(record: Any, reference: FunctionReference, reserved: int | None) -> Function:
    code = _package(record)
    layers = tuple(_package(layer) for layer in record.layer_versions)
    logging = record.logging_config or {}
    configuration = {
        "name": record.function_name,
        "arn": reference.unqualified_arn,
        "version": str(record.version),
        "handler": record.handler or "",
        # Container images have no runtime; the runner says by this name that it cannot run them.
        "runtime": record.run_time or "container image",
        "role": record.role,
        "region": reference.region,
        "account_id": reference.account_id,
        "environment": dict(record.environment_vars),
        "timeout_ms": int(record.timeout) * 1000,
        "memory_mb": int(record.memory_size),
        "log_group": record.logs_group_name,
        "log_format": str(logging.get("LogFormat", "Text")),
        "log_level": str(logging.get("ApplicationLogLevel", "")),
    }
    digests = [code.digest, *(layer.digest for layer in layers)]
    return Function(
        **configuration,
        invoked_arn=reference.arn,
        code=code,
        layers=layers,
        policy=_policy(record),
        reserved_concurrency=reserved,
        # Who may call and by which name it was called are no reasons for a new process.
        configuration_digest=hashlib.sha256(
            json.dumps([configuration, digests], sort_keys=True).encode()
        ).hexdigest(),
    )


def _package(record: Any) -> Package:
    # The bytes as they are now: a later update of $LATEST gives the record others.
    data: bytes = getattr(record, "code_bytes", b"")
    digest = getattr(record, "code_digest", "") or hashlib.sha256(data).hexdigest()
    return Package(digest=digest, read=lambda: data)


def _policy(record: Any) -> str | None:
    statements = record.policy.statements
    if not statements:
        return None
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": list(statements)})
