import io
import json
from collections.abc import Iterator

import pytest

from socketstack.services import replies
from socketstack.services.http import AwsRequest

GET = AwsRequest(method="GET", host="localhost", path="/")
HEAD = AwsRequest(method="HEAD", host="localhost", path="/")
QUERY = AwsRequest(method="GET", host="localhost", path="/", query_string="Action=X")
JSON = AwsRequest(
    method="POST",
    host="localhost",
    path="/",
    headers=(("Content-Type", "application/x-amz-json-1.1"),),
)


def _pieces() -> Iterator[str]:
    yield "ab"
    yield "c"


@pytest.mark.parametrize(
    "body", ["abc", b"abc", bytearray(b"abc"), io.BytesIO(b"abc"), _pieces(), ["a", b"bc"]]
)
def test_bodies_of_any_kind_become_bytes(body: object) -> None:
    """Whatever a service returns is sent as bytes with their length."""
    answer = replies.response(GET, 200, {}, body)

    assert answer.body == b"abc"
    assert answer.header("Content-Length") == "3"


def test_what_is_no_body_is_an_error() -> None:
    """A number is not silently sent as something."""
    with pytest.raises(TypeError):
        replies.response(GET, 200, {}, 5)


@pytest.mark.parametrize(
    ("request_", "body", "content_type"),
    [
        (GET, "<a/>", "text/xml"),
        (GET, "{}", "application/json"),
        (JSON, "{}", "application/x-amz-json-1.1"),
    ],
)
def test_a_missing_content_type_is_added(
    request_: AwsRequest, body: str, content_type: str
) -> None:
    """The type follows the body and the request's protocol."""
    assert replies.response(request_, 200, {}, body).header("content-type") == content_type


def test_headers_of_the_service_are_cleaned() -> None:
    """Framing is ours; markers and empty values are not headers."""
    headers = {"status": 200, "content-length": "99", "ETag": '"x"', "x-empty": None}

    answer = replies.response(GET, 200, headers, b"abc")

    names = [name.lower() for name, _ in answer.headers]
    assert sorted(names) == ["content-length", "content-type", "etag"]
    assert answer.header("content-length") == "3"


def test_head_keeps_the_length_of_the_body_it_does_not_send() -> None:
    """The named length wins over that of an empty body."""
    answer = replies.response(HEAD, 200, {"content-length": "99"}, b"")

    assert (answer.body, answer.header("Content-Length")) == (b"", "99")


def test_errors_follow_the_protocol() -> None:
    """S3 and the query protocol read XML, the others JSON; text is escaped."""
    facts = {"status": 501, "code": "NotImplemented", "message": "a <b>", "request_id": "r1"}

    s3 = replies.error(GET, service="s3", **facts)  # type: ignore[arg-type]
    query = replies.error(QUERY, service="iam", **facts)  # type: ignore[arg-type]
    other = replies.error(JSON, service="ssm", **facts)  # type: ignore[arg-type]

    assert s3.body == b"<Error><Code>NotImplemented</Code><Message>a &lt;b&gt;</Message></Error>"
    assert b"<ErrorResponse><Error><Type>Receiver</Type><Code>NotImplemented<" in query.body
    assert json.loads(other.body) == {"__type": "NotImplemented", "message": "a <b>"}
    assert other.header("x-amzn-ErrorType") == "NotImplemented"
    assert {answer.header("x-amzn-RequestId") for answer in (s3, query, other)} == {"r1"}
