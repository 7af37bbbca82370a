"""The environment of a function's process: an allow-list, never the engine's own.

Three layers, later ones win: what AWS sets and a function may change, the function's own
variables, and AWS's reserved variables, which nothing may change.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.runner.base import Credentials, Function

TASK_ROOT: Final = "LAMBDA_TASK_ROOT"
RESERVED: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
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
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        TASK_ROOT,
    }
)
"""Names that Lambda does not let a function's configuration set."""

_CA_VARIABLES: Final = (
    "AWS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the folders are that have fixed names on AWS."""

    task: Path
    """``/var/task``: the function's own package."""
    layers: Path
    """``/opt``: its layers, merged."""
    runtime: Path
    """``/var/runtime``: what AWS adds."""
    python: Path
    """``/var/lang``: holds ``bin/python3``."""
    home: Path
    """An empty folder, so that no process reads the settings of the engine's user."""


def log_stream(date: str, version: str, unique: str) -> str:
    """The log stream of one process: ``YYYY/MM/DD/[version]`` and 32 hexadecimal digits.

    Args:
        date: ``YYYY-MM-DD``.
        version: The function's version.
        unique: A UUID.
    """
    return f"{date.replace('-', '/')}/[{version}]{unique.replace('-', '')}"


def process_environment(
    function: Function,
    *,
    places: Places,
    stream: str,
    endpoint: str,
    socket_endpoint: str,
    ca_bundle: Path | None,
    region: str,
    credentials: Credentials,
) -> dict[str, str]:
    """All variables of one process of ``function``.

    Args:
        function: Its configuration; reserved names among its variables have no effect.
        places: The folders of this process.
        stream: Its log stream.
        endpoint: Where AWS calls go, as URL.
        socket_endpoint: Start of every ``ApiEndpoint``, such as ``ws://localhost:4566/``; empty
            for none. In the function's variables its scheme becomes ``wss``, as on AWS: functions
            put ``https`` in its place to call back, and trust the engine's certificates (1.16).
        ca_bundle: Certificate authorities to trust, None for those of the machine.
        region: The region when the function names none.
        credentials: The session of its execution role.
    """
    own = {
        name: value.replace(socket_endpoint, socket_endpoint.replace("ws://", "wss://", 1))
        for name, value in function.environment.items()
        if name not in RESERVED
    }
    if "PYTHONPATH" in own:
        own["PYTHONPATH"] = _in_places(own["PYTHONPATH"], places)
    return {
        **_defaults(function, places, endpoint, ca_bundle),
        **own,
        **_reserved(function, places, stream, function.region or region),
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
    }


def common_environment(places: Places) -> dict[str, str]:
    """What all processes of functions start with, so also the parent that they are forked from."""
    return {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": f"{places.python}/bin:/usr/local/bin:/usr/bin:/bin:{places.layers}/bin",
        "LD_LIBRARY_PATH": f"{places.task}:{places.task}/lib:{places.layers}/lib",
        "HOME": str(places.home),
        TASK_ROOT: str(places.task),
    }


def _defaults(
    function: Function, places: Places, endpoint: str, ca_bundle: Path | None
) -> dict[str, str]:
    values = {
        **common_environment(places),
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_ENDPOINT_URL": endpoint,
    }
    if ca_bundle is not None:
        values.update(dict.fromkeys(_CA_VARIABLES, str(ca_bundle)))
    if function.log_format.upper() == "JSON":
        values["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
    if function.log_level:
        values["AWS_LAMBDA_LOG_LEVEL"] = function.log_level
    return values


def _reserved(function: Function, places: Places, stream: str, region: str) -> dict[str, str]:
    return {
        "_HANDLER": function.handler,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group or f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "LAMBDA_RUNTIME_DIR": str(places.runtime),
        TASK_ROOT: str(places.task),
    }


def _in_places(paths: str, places: Places) -> str:
    """Search paths written for AWS's folders, in the folders of this process."""
    moved = {
        "/var/task": places.task,
        "/opt": places.layers,
        "/var/runtime": places.runtime,
    }
    return ":".join(_moved(path, moved) for path in paths.split(":"))


def _moved(path: str, moved: dict[str, Path]) -> str:
    for root, place in moved.items():
        if path == root or path.startswith(root + "/"):
            return f"{place}{path[len(root) :]}"
    return path
