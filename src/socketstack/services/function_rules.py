"""Lambda's rules over moto's records: what moto takes too easily, forgets or mixes up.

``repair`` replaces methods of ``moto.awslambda`` so that, as on AWS,

- configuration and code that Lambda refuses are refused, with its words (``function_checks``);
- a role must exist and must let Lambda assume it;
- a published version never changes, versions are numbered once and for all, and publishing
  without a change since the last version gives that version again;
- a layer that is deleted stays with the functions that use it;
- ``LoggingConfig``, ``RevisionId`` and what UpdateFunctionConfiguration forgot are kept.

Function records carry additional attributes: ``logging_config``, ``revision_id`` and
``layer_versions`` (moto's layer versions, in order).
"""

# ruff: noqa: SLF001 - moto is mended from inside, its private methods included

import base64
import binascii
import copy
import functools
import hashlib
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from socketstack.ids import RandomIds
from socketstack.services import function_checks
from socketstack.services.event_settings import destination_problem
from socketstack.services.function_checks import Refusal, as_text
from socketstack.services.sparse_imports import moto_module

_FINGERPRINT: Final = (
    *("code_sha_256", "handler", "run_time", "role", "timeout", "memory_size", "environment_vars"),
    *("layers", "description", "architectures", "ephemeral_storage", "tracing_config"),
    *("kms_key_arn", "logging_config", "_vpc_config"),
)
"""What makes a version differ from the one before it."""
_IDS: Final = RandomIds()


def repair() -> None:
    """Put Lambda's rules into ``moto.awslambda``; once, in moto's thread."""
    models = moto_module("awslambda.models")
    function = models.LambdaFunction
    function.__init__ = _initialize(function.__init__)
    function.__deepcopy__ = lambda self, _memo: _frozen_copy(self)
    function.get_configuration = _get_configuration(function.get_configuration)
    function.update_configuration = _update_configuration(function.update_configuration)
    function._set_function_code = _set_function_code(function._set_function_code)
    function._get_layers_data = _get_layers_data(function._get_layers_data)
    version = models.LayerVersion
    version.__init__ = _check_layer(version.__init__)
    storage = models.LambdaStorage
    storage.put_function = _put_function(storage.put_function)
    storage.publish_version = _publish_version
    storage.del_function = _del_function(storage.del_function)
    storage.list_versions_by_function = _list_versions(storage.list_versions_by_function)
    backend = models.LambdaBackend
    backend.create_function = _create_function(backend.create_function)
    backend.update_function_code = _update_function_code
    backend.put_function_event_invoke_config = _replace_invoke_config(
        backend.put_function_event_invoke_config
    )


def qualifier_of(name_or_arn: str) -> str | None:
    """The version or alias at the end of a function's name or ARN, if there is one."""
    tail = name_or_arn.rsplit(":function:", maxsplit=1)[-1]
    return tail.partition(":")[2] or None


def refusing(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a ``Refusal`` inside ``method`` into Lambda's error."""

    @functools.wraps(method)
    def refusing(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Refusal as refusal:
            error = moto_module("awslambda.exceptions").LambdaClientError(
                refusal.code, refusal.message
            )
            error.code = refusal.status
            raise error from None

    return refusing


# Functions


def _initialize(original: Callable[..., None]) -> Callable[..., None]:
    @refusing
    def __init__(  # noqa: N807 - it replaces moto's
        self: Any, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1
    ) -> None:
        function_checks.check_new(spec)
        original(self, account_id, _as_numbers(spec), region, version)
        self.environment_vars = _texts(self.environment_vars)
        self.revision_id = _IDS.uuid()
        self.logging_config = None
        _set_logging(self, spec.get("LoggingConfig") or {})

    return __init__


def _create_function(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_function(self: Any, spec: dict[str, Any]) -> Any:
        # A name may be given as ARN; moto would take the ARN as the name.
        name = str(spec.get("FunctionName") or "").rsplit(":", maxsplit=1)[-1]
        return original(self, {**spec, "FunctionName": name})

    return create_function


def _get_configuration(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def get_configuration(self: Any, *, on_create: bool = False) -> dict[str, Any]:
        configuration = original(self, on_create=on_create)
        configuration["RevisionId"] = self.revision_id
        configuration["LoggingConfig"] = {
            "LogFormat": "Text",
            **(self.logging_config or {}),
            "LogGroup": self.logs_group_name,
        }
        return configuration

    return get_configuration


def _update_configuration(original: Callable[..., Any]) -> Callable[..., Any]:
    @refusing
    def update_configuration(self: Any, updates: dict[str, Any]) -> Any:
        function_checks.check_configuration(updates)
        updates = _as_numbers(updates)
        if "Role" in updates:
            _check_role(self.account_id, self.partition, updates["Role"])
        if "Environment" in updates:
            variables = (updates["Environment"] or {}).get("Variables") or {}
            updates["Environment"] = {"Variables": _texts(variables)}
        if "EphemeralStorage" in updates:
            self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
        if "TracingConfig" in updates:
            self.tracing_config = updates["TracingConfig"]
        if "KMSKeyArn" in updates:
            self.kms_key_arn = updates["KMSKeyArn"] or None
        _set_logging(self, updates.get("LoggingConfig") or {})
        original(self, updates)
        _touch(self)
        return self.get_configuration()

    return update_configuration


def _set_function_code(original: Callable[..., None]) -> Callable[..., None]:
    @refusing
    def set_function_code(self: Any, spec: dict[str, Any]) -> None:
        is_update = spec is not self.code
        if "ImageUri" in spec:
            original(self, spec)
            return
        code = _code_bytes(self.account_id, self.partition, spec)
        function_checks.check_zip(code)
        if is_update and spec.get("DryRun"):
            return
        digest = hashlib.sha256(code)
        self.code_bytes = code
        self.code_size = len(code)
        self.code_sha_256 = base64.b64encode(digest.digest()).decode()
        self.code_digest = digest.hexdigest()
        # A dictionary of its own: published versions keep theirs.
        self.code = {"S3Key": spec.get("S3Key") or f"{self.function_name}-{_IDS.uuid()}"}

    return set_function_code


def _code_bytes(account_id: str, partition: str, spec: dict[str, Any]) -> bytes:
    if spec.get("ZipFile"):
        try:
            return base64.b64decode(spec["ZipFile"], validate=True)
        except binascii.Error:
            raise Refusal("Uploaded file must be a non-empty zip") from None
    if not (spec.get("S3Bucket") and spec.get("S3Key")):
        raise Refusal("Please provide a source for function code.")
    s3 = moto_module("s3.models").s3_backends[account_id][partition]
    where = "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}"
    if spec["S3Bucket"] not in s3.buckets:
        raise Refusal(where.format("NoSuchBucket", "The specified bucket does not exist"))
    key = s3.get_object(spec["S3Bucket"], spec["S3Key"], version_id=spec.get("S3ObjectVersion"))
    if key is None:
        raise Refusal(where.format("NoSuchKey", "The specified key does not exist."))
    value = key.value
    assert isinstance(value, bytes)
    return value


def _get_layers_data(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_layers_data(self: Any, arns: list[str]) -> Any:
        data = original(self, arns)
        backend = moto_module("awslambda.utils").get_backend(self.account_id, self.region)
        self.layer_versions = tuple(backend.layers_versions_by_arn(arn) for arn in arns)
        return data

    return get_layers_data


def _check_layer(original: Callable[..., None]) -> Callable[..., None]:
    @refusing
    def __init__(  # noqa: N807 - it replaces moto's
        self: Any, spec: dict[str, Any], account_id: str, region: str
    ) -> None:
        original(self, spec, account_id, region)
        function_checks.check_zip(self.code_bytes)

    return __init__


def _update_function_code(
    self: Any, function_name: str, _qualifier: str | None, body: dict[str, Any]
) -> Any:
    function = self._lambdas.get_function_by_name_or_arn_forbid_qualifier(function_name)
    function._set_function_code(body)
    if not body.get("DryRun"):
        if body.get("Architectures"):
            function.architectures = body["Architectures"]
        _touch(function)
        if body.get("Publish"):
            function = self.publish_version(function_name)
    return function.get_configuration()


def _set_logging(function: Any, config: dict[str, Any]) -> None:
    if config:
        function.logging_config = {**(function.logging_config or {}), **config}
        function.logs_group_name = config.get("LogGroup") or function.logs_group_name


def _touch(function: Any) -> None:
    function.revision_id = _IDS.uuid()
    function.last_modified = moto_module("core.utils").iso_8601_datetime_with_nanoseconds()


def _texts(variables: dict[str, Any]) -> dict[str, str]:
    return {str(name): as_text(value) for name, value in (variables or {}).items()}


def _as_numbers(spec: dict[str, Any]) -> dict[str, Any]:
    numbers = {
        name: int(spec[name]) for name in ("Timeout", "MemorySize") if spec.get(name) is not None
    }
    return {**spec, **numbers}


# Roles


def _put_function(original: Callable[..., None]) -> Callable[..., None]:
    @refusing
    def put_function(self: Any, function: Any) -> None:
        if re.fullmatch(_role_pattern(), str(function.role)):
            _check_role(self.account_id, self.partition, function.role)
        original(self, function)

    return put_function


def _role_pattern() -> str:
    return str(moto_module("awslambda.exceptions").InvalidRoleFormat.pattern)


def _check_role(account_id: str, partition: str, role_arn: str) -> None:
    if role_arn.split(":")[4] != account_id:
        raise Refusal("Cross-account pass role is not allowed.", "AccessDeniedException")
    roles = moto_module("iam.models").iam_backends[account_id][partition].get_roles()
    role = next((role for role in roles if role.arn == role_arn), None)
    if role is None or not function_checks.may_be_assumed_by_lambda(
        role.assume_role_policy_document
    ):
        raise Refusal("The role defined for the function cannot be assumed by Lambda.")


# Versions


def _frozen_copy(function: Any) -> Any:
    """A copy that no later change of the function reaches; the policy stays shared."""
    twin = copy.copy(function)
    twin.code = dict(function.code)
    twin.environment_vars = dict(function.environment_vars)
    twin.layers = list(function.layers)
    twin.tags = dict(function.tags)
    return twin


def _publish_version(self: Any, name_or_arn: str, description: str = "") -> Any:
    latest = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
    group = self._functions[latest.function_name]
    if group["versions"]:
        last = group["versions"][-1]
        if _fingerprint(last) == {**_fingerprint(latest), "description": last.description}:
            return last
    # Numbers of deleted versions are not given again.
    group["last_version"] = group.get("last_version", 0) + 1
    version = _frozen_copy(latest)
    version.set_version(group["last_version"])
    version.revision_id = _IDS.uuid()
    version.description = description or latest.description
    group["versions"].append(version)
    self._arns[version.function_arn] = version
    return version


def _fingerprint(function: Any) -> dict[str, Any]:
    return {name: getattr(function, name, None) for name in _FINGERPRINT}


def _del_function(original: Callable[..., None]) -> Callable[..., None]:
    @refusing
    def del_function(self: Any, name_or_arn: str, qualifier: str | None = None) -> None:
        qualifier = qualifier_of(name_or_arn) or qualifier
        if qualifier == "$LATEST":
            raise Refusal("$LATEST version cannot be deleted without deleting the function.")
        if qualifier is not None:
            users = [
                alias.arn
                for alias in self.list_aliases(name_or_arn)
                if alias.function_version == qualifier
            ]
            if users:
                raise Refusal(
                    f"Version {qualifier} is referenced by alias: {', '.join(users)}",
                    "ResourceConflictException",
                )
        original(self, name_or_arn, qualifier)

    return del_function


def _list_versions(original: Callable[..., Any]) -> Callable[..., Any]:
    def list_versions_by_function(self: Any, name: str) -> Any:
        # moto takes the name as it stands in the path, and nothing for unknown ones.
        function = self.get_function_by_name_or_arn_with_qualifier(unquote(name))
        return original(self, function.function_name)

    return list_versions_by_function


def _replace_invoke_config(original: Callable[..., Any]) -> Callable[..., Any]:
    @refusing
    def put_function_event_invoke_config(
        self: Any, function_name: str, config: dict[str, Any]
    ) -> Any:
        for destination in (config.get("DestinationConfig") or {}).values():
            arn = str((destination or {}).get("Destination") or "")
            if arn and (problem := destination_problem(arn)):
                raise Refusal(problem)
        # moto keeps every configuration ever put and shows the first.
        self.get_function(function_name).event_invoke_config = []
        return original(self, function_name, config)

    return put_function_event_invoke_config
