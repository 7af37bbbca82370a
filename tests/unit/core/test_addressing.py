import pytest

from socketstack.core.addressing import (
    Location,
    ManagementTarget,
    authorizer_arn,
    explain_upgrade,
    function_of,
    host_name,
    is_management_path,
    locate_connection,
    locate_upgrade,
    route_arn,
)
from socketstack.core.model import CustomDomain

_LOCAL = "localhost:4566"
_AWS = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
_FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:echo"
_URI = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{}/invocations"


@pytest.mark.parametrize(
    ("host", "path", "rest", "domain_name"),
    [
        pytest.param(
            _LOCAL,
            "/_aws/execute-api/a1b2c3d4e5/prod",
            "",
            "a1b2c3d4e5.execute-api.localhost:4566",
            id="path-form",
        ),
        pytest.param(
            _LOCAL,
            "/_aws/execute-api/a1b2c3d4e5/prod/",
            "/",
            "a1b2c3d4e5.execute-api.localhost:4566",
            id="path-form-slash",
        ),
        pytest.param(
            "localhost",
            "/_aws/execute-api/a1b2c3d4e5/prod",
            "",
            "a1b2c3d4e5.execute-api.localhost",
            id="path-form-without-port",
        ),
        pytest.param(
            "[::1]:4510",
            "/_aws/execute-api/a1b2c3d4e5/prod",
            "",
            "a1b2c3d4e5.execute-api.localhost:4510",
            id="path-form-ipv6",
        ),
        pytest.param(
            "zzzzzzzzzz.execute-api.localhost:4566",
            "/_aws/execute-api/a1b2c3d4e5/prod",
            "",
            "a1b2c3d4e5.execute-api.localhost:4566",
            id="path-wins-over-host",
        ),
        pytest.param(_AWS, "/prod", "", _AWS, id="host-form"),
        pytest.param(_AWS, "/prod/", "/", _AWS, id="host-form-slash"),
        pytest.param(
            "a1b2c3d4e5.execute-api.localhost:4566",
            "/prod",
            "",
            "a1b2c3d4e5.execute-api.localhost:4566",
            id="host-form-with-port",
        ),
        pytest.param(
            "A1B2C3D4E5.Execute-API.localhost",
            "/prod",
            "",
            "A1B2C3D4E5.Execute-API.localhost",
            id="host-form-in-capitals",
        ),
    ],
)
def test_handshake_address_is_found(host: str, path: str, rest: str, domain_name: str) -> None:
    """Both forms of address lead to the API and its stage, with or without a last slash."""
    location = locate_upgrade(host, path)

    assert location == Location(
        api_id="a1b2c3d4e5",
        stage="prod",
        rest=rest,
        domain_name=domain_name,
        region="eu-west-1" if host == _AWS else None,
    )
    assert explain_upgrade(host, path) == ""


@pytest.mark.parametrize(
    ("host", "prefix", "region"),
    [
        pytest.param(_AWS, "", "eu-west-1", id="aws"),
        pytest.param(f"{_AWS.upper()}:443", "", "eu-west-1", id="capitals-and-port"),
        pytest.param(f"{_AWS}.", "", "eu-west-1", id="final-dot"),
        pytest.param(
            "a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn", "", "cn-north-1", id="china"
        ),
        pytest.param("a1b2c3d4e5.execute-api.localhost:4566", "", None, id="local"),
        pytest.param("a1b2c3d4e5.execute-api.eu-west-1.example.com", "", None, id="own-name"),
        pytest.param(_AWS, "/_aws/execute-api/a1b2c3d4e5", None, id="path-decides"),
    ],
)
def test_region_is_read_from_the_names_of_aws(host: str, prefix: str, region: str | None) -> None:
    """Only AWS's own host names say a Region, and only where they name the API."""
    location = locate_upgrade(host, f"{prefix}/prod")
    target = locate_connection(host, f"{prefix}/prod/@connections/abc=")

    assert location is not None
    assert target is not None
    assert (location.region, target.region) == (region, region)


@pytest.mark.parametrize(
    ("host", "path", "reason"),
    [
        pytest.param(_LOCAL, "/prod", "names an API", id="no-api"),
        pytest.param(_LOCAL, "/", "names an API", id="root"),
        pytest.param(_LOCAL, "/_aws/execute-api/", "names an API", id="path-form-without-api"),
        pytest.param("execute-api.localhost", "/prod", "names an API", id="host-without-api"),
        pytest.param("x.a1.execute-api.localhost", "/prod", "names an API", id="name-before"),
        pytest.param("a1.execute-api.", "/prod", "names an API", id="host-ends"),
        pytest.param("", "/prod", "names an API", id="no-host"),
        pytest.param(_AWS, "/", "address of a stage", id="no-stage"),
        pytest.param(_AWS, "", "address of a stage", id="empty-path"),
        pytest.param(_AWS, "/prod/x", "address of a stage", id="deeper"),
        pytest.param(_AWS, "/prod//", "address of a stage", id="two-slashes"),
        pytest.param(_AWS, "//prod", "address of a stage", id="slash-before"),
        pytest.param(_AWS, "/pr%6Fd", "address of a stage", id="encoded"),
        pytest.param(_AWS, "/prod\n", "address of a stage", id="line-end"),
        pytest.param(
            _LOCAL, "/_aws/execute-api/a1b2c3d4e5", "address of a stage", id="path-form-no-stage"
        ),
        pytest.param(
            _LOCAL, "/_aws/execute-api/a1b2c3d4e5/prod/x/y", "address of a stage", id="path-deep"
        ),
        pytest.param(_AWS, "/prod/@connections/abc=", "address of a stage", id="management"),
    ],
)
def test_other_address_is_refused_with_its_reason(host: str, path: str, reason: str) -> None:
    """An address that is not clearly a stage's leads nowhere, and the reason names the form."""
    location = locate_upgrade(host, path)

    assert location is None
    assert reason in explain_upgrade(host, path)


@pytest.mark.parametrize(
    ("host", "path", "api_id", "stage"),
    [
        pytest.param(_AWS, "/prod/@connections/{}", "a1b2c3d4e5", "prod", id="host-form"),
        pytest.param(_AWS, "/@connections/{}", "a1b2c3d4e5", None, id="host-form-no-stage"),
        pytest.param(
            _LOCAL,
            "/_aws/execute-api/a1b2c3d4e5/prod/@connections/{}",
            "a1b2c3d4e5",
            "prod",
            id="path-form",
        ),
        pytest.param(
            _LOCAL,
            "/_aws/execute-api/a1b2c3d4e5/@connections/{}",
            "a1b2c3d4e5",
            None,
            id="path-form-no-stage",
        ),
        pytest.param(_LOCAL, "/prod/@connections/{}", None, "prod", id="stage-only"),
        pytest.param(_LOCAL, "/@connections/{}", None, None, id="root"),
    ],
)
@pytest.mark.parametrize("sign", ["@", "%40"])
@pytest.mark.parametrize("connection_id", ["FDmBIeapIAMCIQg=", "FDmBIeapIAMCIQg%3D"])
def test_management_address_is_found(
    host: str, path: str, api_id: str | None, stage: str | None, *, sign: str, connection_id: str
) -> None:
    """All forms of @connections name the connection, encoded or not."""
    target = locate_connection(host, path.format(connection_id).replace("@", sign))

    assert target == ManagementTarget(
        api_id=api_id,
        stage=stage,
        connection_id="FDmBIeapIAMCIQg=",
        region="eu-west-1" if host == _AWS else None,
    )


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/prod/@connections", id="no-id"),
        pytest.param("/prod/@connections/", id="empty-id"),
        pytest.param("/prod/@connections/a/b", id="behind-the-id"),
        pytest.param("/x/prod/@connections/a", id="before-the-stage"),
        pytest.param("/prod/connections/a", id="no-at"),
        pytest.param("//@connections/a", id="empty-stage"),
        pytest.param("/prod", id="stage"),
    ],
)
def test_other_path_means_no_connection(path: str) -> None:
    """A path of another form means no connection."""
    assert locate_connection(_AWS, path) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/@connections/a", True, id="root"),
        pytest.param("/prod/%40connections/a", True, id="encoded"),
        pytest.param("/x/y/prod/@connections/a/b", True, id="anywhere"),
        pytest.param("/prod/@connections", False, id="no-slash-behind"),
        pytest.param("/prod@connections/a", False, id="no-slash-before"),
        pytest.param("/prod", False, id="stage"),
    ],
)
def test_management_paths_are_known(path: str, *, expected: bool) -> None:
    """A path with @connections between slashes belongs to the management API."""
    assert is_management_path(path) is expected


@pytest.mark.parametrize(
    ("uri", "arn"),
    [
        pytest.param(_URI.format(_FUNCTION), _FUNCTION, id="uri"),
        pytest.param(_URI.format(_FUNCTION + ":live"), _FUNCTION + ":live", id="alias"),
        pytest.param(_URI.format(_FUNCTION + ":$LATEST"), _FUNCTION + ":$LATEST", id="latest"),
        pytest.param(_FUNCTION, _FUNCTION, id="bare"),
        pytest.param(
            _URI.format(_FUNCTION.replace("echo", "${stageVariables.fn}")),
            _FUNCTION,
            id="stage-variable-name",
        ),
        pytest.param(
            _URI.format(_FUNCTION + ":${stageVariables.alias}"),
            _FUNCTION + ":live",
            id="stage-variable-alias",
        ),
        pytest.param(
            "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/"
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:f/invocations",
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:f",
            id="other-partition",
        ),
        pytest.param(_URI.format(_FUNCTION + "${stageVariables.no}"), None, id="variable-not-set"),
        pytest.param(_URI.format(_FUNCTION + "${stageVariables.bad}"), None, id="variable-breaks"),
        pytest.param(_URI.format("echo"), None, id="name-alone"),
        pytest.param(_URI.format(_FUNCTION) + "/x", None, id="something-behind"),
        pytest.param("https://example.com/", None, id="http"),
        pytest.param(
            "arn:aws:apigateway:eu-west-1:sqs:path/123456789012/queue", None, id="other-service"
        ),
        pytest.param("", None, id="empty"),
    ],
)
def test_function_of_an_integration_uri(uri: str, arn: str | None) -> None:
    """An integration URI gives the function's ARN, stage variables filled in, or nothing."""
    variables = {"fn": "echo", "alias": "live", "bad": "/../x"}

    assert function_of(uri, variables) == arn


def test_arns_of_routes_and_authorizers() -> None:
    """Route ARNs end in stage and route key, authorizer ARNs in the authorizer's id."""
    route = route_arn(
        region="eu-west-1",
        account_id="123456789012",
        api_id="a1b2c3d4e5",
        stage_name="prod",
        route_key="$connect",
    )
    authorizer = authorizer_arn(
        region="cn-north-1",
        account_id="123456789012",
        api_id="a1b2c3d4e5",
        authorizer_id="abc123",
        partition="aws-cn",
    )

    assert route == "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/$connect"
    assert authorizer == (
        "arn:aws-cn:execute-api:cn-north-1:123456789012:a1b2c3d4e5/authorizers/abc123"
    )


_DOMAIN = CustomDomain(
    name="api.example.com",
    mappings={"chat": ("a1b2c3d4e5", "prod"), "": ("zzzzzzzzzz", "dev"), "a$b": ("b1", "dev")},
)


@pytest.mark.parametrize(
    ("path", "api_id", "stage", "rest"),
    [
        pytest.param("/chat", "a1b2c3d4e5", "prod", "", id="key"),
        pytest.param("/chat/", "a1b2c3d4e5", "prod", "/", id="key-and-slash"),
        pytest.param("/", "zzzzzzzzzz", "dev", "", id="root"),
        pytest.param("", "zzzzzzzzzz", "dev", "", id="no-path"),
        pytest.param("/a%24b", "b1", "dev", "", id="encoded-key"),
    ],
)
def test_mapping_key_gives_api_and_stage(path: str, api_id: str, stage: str, rest: str) -> None:
    """Under a custom domain name the mapping key alone says where a handshake goes. 10.12."""
    host = "API.example.com:4566"

    location = locate_upgrade(host, path, _DOMAIN)

    assert location == Location(
        api_id=api_id, stage=stage, rest=rest, domain_name=host, is_custom_domain=True
    )
    assert explain_upgrade(host, path, _DOMAIN) == ""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/prod", id="the-stage"),
        pytest.param("/chat/prod", id="key-and-stage"),
        pytest.param("/Chat", id="other-case"),
        pytest.param("//", id="two-slashes"),
        pytest.param("/_aws/execute-api/a1b2c3d4e5/prod", id="path-form"),
    ],
)
def test_path_without_mapping_has_no_location(path: str) -> None:
    """Nothing else leads anywhere, and the reason lists the keys. 7.03, 10.12."""
    assert locate_upgrade("api.example.com", path, _DOMAIN) is None
    reason = explain_upgrade("api.example.com", path, _DOMAIN)
    assert "chat to a1b2c3d4e5/prod" in reason
    assert "(empty) to zzzzzzzzzz/dev" in reason


@pytest.mark.parametrize(
    ("path", "api_id", "stage"),
    [
        pytest.param("/chat/@connections/abc%3D", "a1b2c3d4e5", "prod", id="key"),
        pytest.param("/@connections/abc%3D", "zzzzzzzzzz", "dev", id="empty-key"),
        pytest.param("/a%24b/%40connections/abc%3D", "b1", "dev", id="encoded"),
    ],
)
def test_mapping_key_stands_in_the_stages_place(path: str, api_id: str, stage: str) -> None:
    """A callback names the key and not the stage. 7.02."""
    target = locate_connection("api.example.com", path, _DOMAIN)

    assert target == ManagementTarget(
        api_id=api_id, stage=stage, connection_id="abc=", is_custom_domain=True
    )


@pytest.mark.parametrize(
    "path",
    ["/prod/@connections/abc", "/_aws/execute-api/a1b2c3d4e5/prod/@connections/abc", "/chat/x"],
)
def test_callback_without_mapping_means_no_connection(path: str) -> None:
    """The stage, or the path form, means nothing under a custom domain name. 7.03."""
    assert locate_connection("api.example.com", path, _DOMAIN) is None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("API.Example.com:4566", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_host_header_becomes_a_name(host: str, name: str) -> None:
    """Port, case and a final dot make no other name."""
    assert host_name(host) == name
