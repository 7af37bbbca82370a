"""What Lambda refuses in a function's configuration and code, in its own words.

moto takes nearly everything. Pure functions over the members of CreateFunction and
UpdateFunctionConfiguration; the caller turns ``Refusal`` into Lambda's error. Limits are those of
Lambda's quotas page.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any, Final

NAME_PATTERN: Final = r"[a-zA-Z0-9-_]{1,64}"
TIMEOUT_MAX_SECONDS: Final = 900
MEMORY_MIN_MB: Final = 128
MEMORY_MAX_MB: Final = 10_240
ENVIRONMENT_MAX_BYTES: Final = 4096
LAYERS_MAX: Final = 5
UNZIPPED_MAX_BYTES: Final = 262_144_000

_RUNTIMES: Final = re.compile(
    r"(python3\.(?:[6-9]|1\d)|python2\.7|nodejs\d+(\.x)?|nodejs\d\.\d+|java\d+(\.al2)?"
    r"|dotnet\d+|dotnetcore\d\.\d|ruby\d\.\d|go1\.x|provided(\.al2|\.al2023)?)"
)
_VARIABLE_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_RESERVED_VARIABLES: Final = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
    }
)


class Refusal(Exception):  # noqa: N818 - a refusal of AWS, not a failure of ours
    """Lambda would answer with ``code``, ``status`` and the message."""

    def __init__(self, message: str, code: str = "InvalidParameterValueException") -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    @property
    def status(self) -> int:
        """The HTTP status that Lambda's model gives this error."""
        return {"ResourceConflictException": 409, "AccessDeniedException": 403}.get(self.code, 400)


def check_new(spec: Mapping[str, Any]) -> None:
    """Refuse what CreateFunction refuses; ``spec`` has its members. Raises ``Refusal``."""
    name = str(spec.get("FunctionName", ""))
    if not re.fullmatch(NAME_PATTERN, name):
        _fail(
            name, "functionName", f"Member must satisfy regular expression pattern: {NAME_PATTERN}"
        )
    if spec.get("PackageType", "Zip") == "Zip":
        for member in ("Runtime", "Handler"):
            if not spec.get(member):
                raise Refusal(
                    "Runtime and Handler are mandatory parameters for functions created with "
                    "deployment packages."
                )
    check_configuration(spec)


def check_configuration(spec: Mapping[str, Any]) -> None:
    """Refuse members that are there and out of bounds. Raises ``Refusal``."""
    _check_range(spec, "Timeout", 1, TIMEOUT_MAX_SECONDS)
    _check_range(spec, "MemorySize", MEMORY_MIN_MB, MEMORY_MAX_MB)
    runtime = spec.get("Runtime")
    if runtime and not _RUNTIMES.fullmatch(str(runtime)):
        _fail(str(runtime), "runtime", "Member must satisfy enum value set of Lambda's runtimes")
    if len(spec.get("Layers") or ()) > LAYERS_MAX:
        raise Refusal(f"Cannot reference more than {LAYERS_MAX} layers.")
    check_environment(_variables(spec))


def check_environment(variables: Mapping[str, str]) -> None:
    """Refuse names that Lambda keeps for itself, and more than 4 KB. Raises ``Refusal``."""
    wrong = "Lambda was unable to configure your environment variables because the environment "
    reserved = sorted(_RESERVED_VARIABLES & variables.keys())
    if reserved:
        raise Refusal(
            f"{wrong}variables you have provided contains reserved keys that are currently not "
            f"supported for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    for name in variables:
        if not _VARIABLE_NAME.fullmatch(name):
            _fail(
                name,
                "environment.variables",
                f"Map keys must satisfy constraint: [Member must satisfy regular expression "
                f"pattern: {_VARIABLE_NAME.pattern}]",
            )
    text = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > ENVIRONMENT_MAX_BYTES:
        raise Refusal(
            f"{wrong}variables you have provided exceeded the 4KB limit. "
            "String measured: the names and values as JSON."
        )


def check_zip(code: bytes) -> None:
    """Refuse what is no zip, or unpacks to more than 250 MB. Raises ``Refusal``."""
    if not code:
        raise Refusal("Uploaded file must be a non-empty zip")
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise Refusal(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        ) from None
    if size > UNZIPPED_MAX_BYTES:
        raise Refusal(f"Unzipped size must be smaller than {UNZIPPED_MAX_BYTES} bytes")


def may_be_assumed_by_lambda(trust_policy: str) -> bool:
    """Whether a role's trust policy lets Lambda take the role; unreadable ones do not."""
    try:
        document = json.loads(trust_policy)
        statements = document["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    statements = statements if isinstance(statements, list) else [statements]
    return any(_lets_lambda_in(statement) for statement in statements)


def _lets_lambda_in(statement: Any) -> bool:
    if not isinstance(statement, dict) or statement.get("Effect") != "Allow":
        return False
    actions = {action.lower() for action in _strings(statement.get("Action"))}
    principal = statement.get("Principal")
    services = _strings(principal.get("Service") if isinstance(principal, dict) else principal)
    return bool(actions & {"sts:assumerole", "sts:*", "*"}) and bool(
        set(services) & {"lambda.amazonaws.com", "*"}
    )


def _strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def _variables(spec: Mapping[str, Any]) -> dict[str, str]:
    variables = (spec.get("Environment") or {}).get("Variables") or {}
    return {str(name): as_text(value) for name, value in variables.items()}


def as_text(value: Any) -> str:
    """A template's value as the text that CloudFormation makes of it: true, 5, text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_range(spec: Mapping[str, Any], member: str, low: int, high: int) -> None:
    value = spec.get(member)
    if value is None:
        return
    name = member[0].lower() + member[1:]
    if not re.fullmatch(r"-?\d+", str(value)):
        _fail(str(value), name, "Member must be a whole number")
    if int(value) > high:
        _fail(str(value), name, f"Member must have value less than or equal to {high}")
    if int(value) < low:
        _fail(str(value), name, f"Member must have value greater than or equal to {low}")


def _fail(value: str, member: str, constraint: str) -> None:
    raise Refusal(
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy "
        f"constraint: {constraint}",
        "ValidationException",
    )
