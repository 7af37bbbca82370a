"""Integration URIs of AWS services, and the calls that are made of them."""

import pytest

from socketstack.core.service_calls import ServiceCall, ServiceTarget, parse_service_uri

ARN = "arn:aws:apigateway:eu-west-1:"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param(
            f"{ARN}sqs:path/000000000000/jobs",
            ServiceTarget(service="sqs", region="eu-west-1", path="/000000000000/jobs"),
            id="path",
        ),
        pytest.param(
            f"{ARN}events:path//",
            ServiceTarget(service="events", region="eu-west-1", path="/"),
            id="empty-path",
        ),
        pytest.param(
            f"{ARN}dynamodb:action/PutItem",
            ServiceTarget(service="dynamodb", region="eu-west-1", action="PutItem"),
            id="action",
        ),
        pytest.param(
            "arn:aws-cn:apigateway:cn-north-1:sns:action/Publish",
            ServiceTarget(service="sns", region="cn-north-1", action="Publish", partition="aws-cn"),
            id="partition",
        ),
    ],
)
def test_uri_names_a_service_call(uri: str, expected: ServiceTarget) -> None:
    """Actions and paths of services are told apart. 5.66."""
    assert parse_service_uri(uri) == expected


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param("", "names no service", id="empty"),
        pytest.param("https://example.com", "names no service", id="url"),
        pytest.param(f"{ARN}sqs:queue/x", "names no service", id="other-form"),
        pytest.param(f"{ARN}sqs:action/", "no action", id="no-action"),
        pytest.param(f"{ARN}sns:action/Publish&TopicArn=x", "no action", id="more-than-an-action"),
        pytest.param(f"{ARN}abc.execute-api:path/x", "subdomain", id="subdomain"),
    ],
)
def test_what_names_no_call_says_why(uri: str, why: str) -> None:
    """Everything else has a reason for people. 5.66."""
    found = parse_service_uri(uri)

    assert isinstance(found, str)
    assert why in found


def test_header_is_found_in_any_case() -> None:
    """The last of several headers counts."""
    call = ServiceCall(
        target=ServiceTarget(service="s", region="r"),
        role_arn="a",
        method="POST",
        account_id="0",
        headers=(("A", "1"), ("a", "2")),
    )

    assert call.header("A") == "2"
    assert call.header("b") is None
