"""Which endpoint the parity suite runs against."""

import pytest
from parity.target import Target, TargetError, management_url, started_here, target_from

LOCAL = "http://localhost:4566"


def test_nothing_set_means_an_engine_of_our_own() -> None:
    """Without variables an engine is started for the run."""
    assert target_from({}) is None
    assert target_from({"PARITY_TARGET": "embedded"}) is None
    assert target_from({"PARITY_TARGET": "localstack-host"}) is None


def test_endpoint_is_taken_as_it_is_named() -> None:
    """Address, name, region and patience come from the variables."""
    target = target_from(
        {
            "PARITY_TARGET": "endpoint",
            "PARITY_ENDPOINT": f"{LOCAL}/",
            "PARITY_NAME": "other",
            "PARITY_PATIENCE": "2.5",
            "AWS_REGION": "eu-west-1",
        }
    )

    assert target == Target(name="other", endpoint=LOCAL, region="eu-west-1", patience_seconds=2.5)


def test_stand_in_for_aws_is_no_aws_and_takes_the_callers_credentials() -> None:
    """AWS_ENDPOINT_URL counts for aws only, and the report does not bear AWS's name."""
    environ = {"AWS_ENDPOINT_URL": f"{LOCAL}/", "AWS_REGION": "eu-west-1"}

    stand_in = target_from({**environ, "PARITY_TARGET": "aws"})
    real = target_from({"PARITY_TARGET": "aws", "AWS_REGION": "eu-west-1"})

    assert stand_in is not None
    assert real is not None
    assert (stand_in.name, stand_in.endpoint, stand_in.is_aws) == ("aws-stand-in", LOCAL, False)
    assert (real.name, real.endpoint, real.is_aws) == ("aws", None, True)
    assert "aws_access_key_id" not in stand_in.client_options()
    assert target_from({**environ, "PARITY_TARGET": "embedded"}) is None


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        pytest.param({"PARITY_TARGET": "moon"}, "moon is unknown", id="unknown"),
        pytest.param({"PARITY_TARGET": "endpoint"}, "needs PARITY_ENDPOINT", id="no-address"),
        pytest.param(
            {"PARITY_TARGET": "aws", "PARITY_ENDPOINT": LOCAL}, "does not go with", id="two"
        ),
        pytest.param(
            {"PARITY_TARGET": "aws", "AWS_ENDPOINT_URL": "localhost:4566"},
            "AWS_ENDPOINT_URL=localhost:4566 is no address",
            id="stand-in",
        ),
        pytest.param({"PARITY_ENDPOINT": "localhost:4566"}, "is no address", id="no-scheme"),
        pytest.param({"PARITY_ENDPOINT": f"{LOCAL}/x"}, "is no address", id="path"),
    ],
)
def test_variables_that_name_no_target_are_refused(environ: dict[str, str], told: str) -> None:
    """The message says which variable is wrong."""
    with pytest.raises(TargetError, match=told):
        target_from(environ)


@pytest.mark.parametrize(
    ("target", "api_endpoint", "expected"),
    [
        pytest.param(
            Target(name="aws", endpoint=None, region="eu-west-1"),
            "wss://abc.execute-api.eu-west-1.amazonaws.com",
            "wss://abc.execute-api.eu-west-1.amazonaws.com/dev",
            id="aws",
        ),
        pytest.param(
            started_here(4566),
            "ws://localhost:4566/_aws/execute-api/abc",
            "ws://localhost:4566/_aws/execute-api/abc/dev",
            id="as-it-reads-back",
        ),
        pytest.param(
            Target(name="x", endpoint="https://localhost:4566"),
            "http://abc.execute-api.localhost:4566",
            "wss://localhost:4566/_aws/execute-api/abc/dev",
            id="path-form",
        ),
        pytest.param(
            Target(name="x", endpoint=LOCAL, socket_form="ws://h:1/{api}-{stage}"),
            "ws://localhost:4566/whatever",
            "ws://h:1/abc-dev",
            id="own-form",
        ),
    ],
)
def test_socket_address_fits_the_target(target: Target, api_endpoint: str, expected: str) -> None:
    """AWS has its own form, local tools that of the API or the path form."""
    assert target.socket_url("abc", "dev", api_endpoint) == expected


@pytest.mark.parametrize(
    ("socket_url", "expected"),
    [
        ("ws://localhost:1/a/dev", "http://localhost:1/a/dev"),
        ("wss://a.example/dev", "https://a.example/dev"),
    ],
)
def test_management_address_is_the_socket_s_with_http(socket_url: str, expected: str) -> None:
    """``@connections`` stands below the stage's own address."""
    assert management_url(socket_url) == expected


def test_local_clients_get_no_real_credentials() -> None:
    """What is sent to a local tool is never somebody's key; AWS gets the user's own."""
    local = started_here(4566).client_options()
    aws = Target(name="aws", endpoint=None).client_options()

    assert (local["aws_access_key_id"], local["aws_secret_access_key"]) == ("test", "test")
    assert {"aws_access_key_id", "endpoint_url"} & aws.keys() == set()
