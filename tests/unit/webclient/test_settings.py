"""Settings of the web client, and what it makes of a stack's outputs."""

from pathlib import Path

import pytest

from webclient.errors import ConfigError
from webclient.settings import Settings, from_environment
from webclient.stack import session, stack_of

OUTPUTS = {
    "WebSocketUrl": "ws://localhost:4566/_aws/execute-api/abc123/dev",
    "ConnectionsUrl": "https://abc123.execute-api.eu-west-1.amazonaws.com/dev",
    "TableName": "table",
    "TokenSecretArn": "arn",
    "TokenIssuer": "me",
    "TokenAudience": "chat",
}


def test_empty_environment_gives_the_defaults() -> None:
    """Nothing has to be set."""
    assert from_environment({}) == Settings()
    assert Settings().host == "127.0.0.1"


def test_region_is_that_of_the_profile_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack is looked for where it was deployed; locally nothing of a profile is read."""
    config = tmp_path / "config"
    config.write_text("[profile mine]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    mine = {"AWS_PROFILE": "mine"}

    regions = [
        session(from_environment(environ)).region_name
        for environ in (
            mine,
            {**mine, "AWS_REGION": "eu-west-1"},
            {**mine, "AWS_ENDPOINT_URL": "http://localhost:4566"},
        )
    ]

    assert regions == ["eu-north-1", "eu-west-1", "us-east-1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_PORT", "http"),
        ("WEB_PORT", "65536"),
        ("WEB_PORT", "-1"),
        ("WEB_PORT", "²"),
        ("TOKEN_TTL_SECONDS", "0"),
        ("TOKEN_TTL_SECONDS", "1e3"),
    ],
)
def test_unreadable_number_names_its_variable(name: str, value: str) -> None:
    """The message says which variable is wrong and what it may be."""
    with pytest.raises(ConfigError, match=f"{name} is .* whole number"):
        from_environment({name: value})


@pytest.mark.parametrize(
    "endpoint_url",
    [
        pytest.param("", id="aws"),
        pytest.param("https://dynamodb.eu-west-1.amazonaws.com", id="aws-by-address"),
        pytest.param("https://dynamodb.cn-north-1.amazonaws.com.cn", id="aws-china"),
        pytest.param("nonsense", id="no-address"),
    ],
)
def test_aws_by_any_address_is_not_local(endpoint_url: str) -> None:
    """What may only happen locally, such as minting, hangs on this."""
    assert not Settings(endpoint_url=endpoint_url).is_local


@pytest.mark.parametrize("endpoint_url", ["http://localhost:4566", "http://engine:4566"])
def test_other_endpoint_is_local(endpoint_url: str) -> None:
    """An engine on this machine or in a container beside is local."""
    assert Settings(endpoint_url=endpoint_url).is_local


@pytest.mark.parametrize(
    ("websocket_url", "expected"),
    [
        (OUTPUTS["WebSocketUrl"], "http://localhost:4566/_aws/execute-api/abc123/dev"),
        ("wss://localhost:4566/x/dev", "https://localhost:4566/x/dev"),
    ],
)
def test_local_management_address_follows_the_socket_address(
    websocket_url: str, expected: str
) -> None:
    """Locally, posts go where sockets go, over HTTP."""
    settings = Settings(endpoint_url="http://localhost:4566")

    stack = stack_of({**OUTPUTS, "WebSocketUrl": websocket_url}, settings)

    assert stack.management_url == expected
    assert stack.is_local


@pytest.mark.parametrize(
    ("endpoint_url", "websocket_url", "expected"),
    [
        pytest.param(
            "http://engine:4566",
            "ws://localhost:4566/_aws/execute-api/a/dev",
            "http://engine:4566/_aws/execute-api/a/dev",
            id="by-service-name",
        ),
        pytest.param(
            "http://host.docker.internal:80",
            "wss://localhost:4510/dev",
            "https://host.docker.internal:4510/dev",
            id="port-of-the-socket",
        ),
        pytest.param(
            "http://[fd00::1]:4566",
            "ws://localhost:4566/a",
            "http://[fd00::1]:4566/a",
            id="ipv6",
        ),
        pytest.param(
            "http://127.0.0.1:4566",
            "ws://localhost:4566/a",
            "http://localhost:4566/a",
            id="same-machine",
        ),
        pytest.param(
            "http://engine:4566",
            "ws://a.execute-api.example:4566/dev",
            "http://a.execute-api.example:4566/dev",
            id="name-of-its-own",
        ),
    ],
)
def test_management_address_is_where_the_engine_is_for_this_server(
    endpoint_url: str, websocket_url: str, expected: str
) -> None:
    """A browser's localhost is the engine's service name for a server in another container."""
    settings = Settings(endpoint_url=endpoint_url)

    stack = stack_of({**OUTPUTS, "WebSocketUrl": websocket_url}, settings)

    assert stack.management_url == expected
    assert stack.websocket_url == websocket_url


def test_management_address_on_aws_is_the_output() -> None:
    """On AWS the stack says where its management API is."""
    stack = stack_of(OUTPUTS, Settings())

    assert stack.management_url == OUTPUTS["ConnectionsUrl"]
    assert not stack.is_local


def test_management_address_can_be_set() -> None:
    """A container names the engine by another host than the stack does."""
    settings = Settings(endpoint_url="http://engine:4566", connections_url="http://engine:4566/x")

    assert stack_of(OUTPUTS, settings).management_url == "http://engine:4566/x"


def test_missing_output_is_named() -> None:
    """A stack of another template is refused with the name of what it lacks."""
    outputs = {name: value for name, value in OUTPUTS.items() if name != "TableName"}

    with pytest.raises(ConfigError, match="'TableName'"):
        stack_of(outputs, Settings())


def test_local_session_ignores_the_profile_and_real_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real credentials are never sent to a local engine; a missing profile does not matter."""
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    local = session(Settings(endpoint_url="http://localhost:4566"))

    credentials = local.get_credentials()
    client = local.client("sts", endpoint_url="http://localhost:4566")

    assert credentials is not None
    assert credentials.access_key == "test"
    assert client.meta.endpoint_url == "http://localhost:4566"
