from pathlib import Path
from typing import Any

import pytest

from socketstack.runner.base import Credentials, Function, Package
from socketstack.runner.environment import RESERVED, Places, log_stream, process_environment

CREDENTIALS = Credentials(
    access_key_id="ASIAFUNCTION", secret_access_key="secret", session_token="token"
)
PLACES = Places(
    task=Path("/pool/task"),
    layers=Path("/pool/layers"),
    runtime=Path("/pool/runtime"),
    python=Path("/pool/python"),
    home=Path("/pool/home"),
)


def function(**configuration: Any) -> Function:
    """A function with some of its configuration."""
    values: dict[str, Any] = {
        "name": "echo",
        "arn": "arn:aws:lambda:us-east-1:000000000000:function:echo",
        "invoked_arn": "arn:aws:lambda:us-east-1:000000000000:function:echo:live",
        "version": "7",
        "handler": "handler.handle",
        "runtime": "python3.13",
        "role": "arn:aws:iam::000000000000:role/echo",
        "region": "eu-west-1",
        "account_id": "000000000000",
        "code": Package(digest="x", read=lambda: b""),
    }
    return Function(**{**values, **configuration})


def environment_of(ca_bundle: Path | None = None, **configuration: Any) -> dict[str, str]:
    """The environment of a process of such a function."""
    return process_environment(
        function(**configuration),
        places=PLACES,
        stream="2026/01/31/[7]abc",
        endpoint="http://localhost:4566",
        socket_endpoint="ws://localhost:4566/",
        ca_bundle=ca_bundle,
        region="us-east-1",
        credentials=CREDENTIALS,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_HANDLER", "handler.handle"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_NAME", "echo"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/echo"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/31/[7]abc"),
        ("LAMBDA_RUNTIME_DIR", "/pool/runtime"),
        ("LAMBDA_TASK_ROOT", "/pool/task"),
        ("AWS_ENDPOINT_URL", "http://localhost:4566"),
        ("HOME", "/pool/home"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/pool/python/bin:/usr/local/bin:/usr/bin:/bin:/pool/layers/bin"),
    ],
)
def test_variable_is_what_aws_sets(name: str, value: str) -> None:
    """A process gets Lambda's variables with this function's values."""
    assert environment_of()[name] == value


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_name_in_the_configuration_has_no_effect(name: str) -> None:
    """A function cannot set what Lambda keeps for itself."""
    environment = environment_of(environment={name: "mine"})

    assert environment == environment_of()
    assert "mine" not in environment.values()


@pytest.mark.parametrize("name", ["LANG", "TZ", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "COLOUR"])
def test_functions_own_value_wins_over_a_default(name: str) -> None:
    """What Lambda lets a function change, its configuration changes."""
    environment = environment_of(ca_bundle=Path("/ca.pem"), environment={name: "mine"})

    assert environment[name] == "mine"


def test_own_log_group_is_named() -> None:
    """A function with a log group of its own is told that one."""
    assert environment_of(log_group="/mine")["AWS_LAMBDA_LOG_GROUP_NAME"] == "/mine"


def test_function_without_region_gets_the_engines() -> None:
    """The engine's region holds where the function names none."""
    assert environment_of(region="")["AWS_REGION"] == "us-east-1"


def test_json_logging_is_told_to_the_runtime() -> None:
    """The logging configuration becomes the variables that awslambdaric reads."""
    environment = environment_of(log_format="JSON", log_level="WARN")

    assert environment["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    assert environment["AWS_LAMBDA_LOG_LEVEL"] == "WARN"
    assert "AWS_LAMBDA_LOG_FORMAT" not in environment_of()


def test_certificate_bundle_is_named_only_when_given() -> None:
    """Without a bundle nothing overrides the machine's certificate authorities."""
    given = environment_of(ca_bundle=Path("/ca.pem"))

    assert {name for name, value in given.items() if value == "/ca.pem"} == {
        "AWS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
    }
    assert not any("CERT" in name or "CA_BUNDLE" in name for name in environment_of())


def test_search_path_for_aws_folders_leads_to_the_processes_own() -> None:
    """A PYTHONPATH with the folders of AWS names the same folders of this process."""
    environment = environment_of(
        environment={"PYTHONPATH": "/var/task/src:/opt:/var/runtime:/optional:/var/tasks"}
    )

    assert environment["PYTHONPATH"] == (
        "/pool/task/src:/pool/layers:/pool/runtime:/optional:/var/tasks"
    )


def test_log_stream_has_aws_form() -> None:
    """A log stream is named by date, version and 32 hexadecimal digits."""
    stream = log_stream("2026-01-31", "$LATEST", "00000000-0000-4000-8000-000000000001")

    assert stream == "2026/01/31/[$LATEST]00000000000040008000000000000001"


def test_credentials_are_those_of_the_execution_role() -> None:
    """AWS's SDKs in a function sign as the function's role, whatever its variables say."""
    own = {"AWS_ACCESS_KEY_ID": "mine", "AWS_SESSION_TOKEN": "mine"}

    environment = environment_of(environment=own)

    assert environment["AWS_ACCESS_KEY_ID"] == "ASIAFUNCTION"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert environment["AWS_SESSION_TOKEN"] == "token"


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        pytest.param("ws://localhost:4566/x/dev", "wss://localhost:4566/x/dev", id="own"),
        pytest.param("wss://localhost:4566/x", "wss://localhost:4566/x", id="wss-already"),
        pytest.param("ws://localhost:45660/x", "ws://localhost:45660/x", id="another-port"),
        pytest.param("ws://example.com/x", "ws://example.com/x", id="another-host"),
        pytest.param(
            '{"a":"ws://localhost:4566/x","b":"ws://localhost:4566/y"}',
            '{"a":"wss://localhost:4566/x","b":"wss://localhost:4566/y"}',
            id="within-a-text",
        ),
    ],
)
def test_functions_see_socket_addresses_as_on_aws(value: str, seen: str) -> None:
    """An API's endpoint in a variable begins with wss, so that https can take its place."""
    assert environment_of(environment={"API_ENDPOINT": value})["API_ENDPOINT"] == seen
