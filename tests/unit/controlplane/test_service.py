import re
from urllib.parse import quote

import pytest

from socketstack.controlplane import service

SERVICE = service.load()


def test_model_names_all_operations() -> None:
    """The model that botocore ships has at least the 103 operations known today."""
    assert len(SERVICE.names) >= 103


@pytest.mark.parametrize("name", sorted(SERVICE.names))
def test_own_request_line_leads_to_the_operation(name: str) -> None:
    """A request line made from an operation's template means that operation."""
    operation = SERVICE.operation(name)
    assert operation is not None
    labels = re.findall(r"\{([^}]+)\}", operation.http["requestUri"])
    path = re.sub(r"\{([^}]+)\}", r"x-\1", operation.http["requestUri"])

    match = SERVICE.match(operation.http["method"], path)

    assert match is not None
    assert match.operation.name == name
    assert match.labels == {label: f"x-{label}" for label in labels}


@pytest.mark.parametrize(
    ("path", "label", "value"),
    [
        pytest.param(
            "/v2/tags/" + quote("arn:aws:apigateway:eu-west-1::/apis/a1", safe=""),
            "resource-arn",
            "arn:aws:apigateway:eu-west-1::/apis/a1",
            id="encoded-arn",
        ),
        pytest.param(
            "/v2/tags/arn:aws:apigateway:eu-west-1::/apis/a1/stages/dev",
            "resource-arn",
            "arn:aws:apigateway:eu-west-1::/apis/a1/stages/dev",
            id="plain-arn",
        ),
    ],
)
def test_arn_in_a_path_keeps_its_slashes(path: str, label: str, value: str) -> None:
    """An ARN label is read whole, whether or not the client encodes its slashes."""
    match = SERVICE.match("GET", path)

    assert match is not None
    assert match.operation.name == "GetTags"
    assert match.labels[label] == value


def test_encoded_slash_stays_inside_one_label() -> None:
    """A route key with an encoded slash does not break the path apart."""
    match = SERVICE.match("DELETE", "/v2/apis/a1/stages/dev/routesettings/a%2Fb")

    assert match is not None
    assert match.operation.name == "DeleteRouteSettings"
    assert match.labels["routeKey"] == "a/b"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/v2/nothing", id="unknown-path"),
        pytest.param("PUT", "/v2/apis/a1/routes", id="unknown-method"),
        pytest.param("GET", "/v2/apis//routes", id="empty-label"),
        pytest.param("GET", "/v2/apis/a1/routes/r1/more", id="too-deep"),
    ],
)
def test_unknown_request_line_means_nothing(method: str, path: str) -> None:
    """A request line outside the model matches no operation."""
    assert SERVICE.match(method, path) is None
