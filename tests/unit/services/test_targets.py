import pytest

from socketstack.services.http import AwsRequest
from socketstack.services.targets import bucket_of_host, locate, service_name

SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=AKIA/20260101/{}/{}/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=00"
)
FORM = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")


def _request(
    *headers: tuple[str, str],
    method: str = "POST",
    host: str = "localhost:4566",
    path: str = "/",
    query_string: str = "",
    body: bytes = b"",
) -> AwsRequest:
    return AwsRequest(
        method=method,
        host=host,
        path=path,
        query_string=query_string,
        headers=headers,
        body=body,
    )


@pytest.mark.parametrize(
    ("signing_name", "service", "host"),
    [
        ("lambda", "awslambda", "lambda.eu-west-1.amazonaws.com"),
        ("dynamodb", "dynamodb", "dynamodb.eu-west-1.amazonaws.com"),
        ("monitoring", "cloudwatch", "monitoring.eu-west-1.amazonaws.com"),
        ("logs", "logs", "logs.eu-west-1.amazonaws.com"),
        ("sqs", "sqs", "sqs.eu-west-1.amazonaws.com"),
        ("events", "events", "events.eu-west-1.amazonaws.com"),
        ("states", "stepfunctions", "states.eu-west-1.amazonaws.com"),
        ("iam", "iam", "iam.eu-west-1.amazonaws.com"),
        ("sts", "sts", "sts.eu-west-1.amazonaws.com"),
        ("apigateway", "apigateway", "apigateway.eu-west-1.amazonaws.com"),
        ("cognito-idp", "cognitoidp", "cognito-idp.eu-west-1.amazonaws.com"),
        ("ses", "ses", "ses.eu-west-1.amazonaws.com"),
        ("sagemaker", "sagemaker", "api.sagemaker.eu-west-1.amazonaws.com"),
        ("mobiletargeting", "pinpoint", "pinpoint.eu-west-1.amazonaws.com"),
        ("braket", None, "braket.eu-west-1.amazonaws.com"),
    ],
)
def test_the_signature_names_service_and_region(
    signing_name: str, service: str | None, host: str
) -> None:
    """A signed request goes where its credential scope says."""
    request = _request(("authorization", SIGNATURE.format("eu-west-1", signing_name)))

    target = locate(request)

    assert (target.name, target.service, target.region) == (signing_name, service, "eu-west-1")
    assert target.url == f"https://{host}/"


@pytest.mark.parametrize(
    ("request_", "name", "region"),
    [
        pytest.param(
            _request(
                query_string="X-Amz-Credential=AKIA%2F20260101%2Fus-west-2%2Fs3%2Faws4_request"
            ),
            "s3",
            "us-west-2",
            id="presigned",
        ),
        pytest.param(
            _request(
                query_string="a=1&X-Amz-Credential=AKIA/20260101/us-west-2/sqs/aws4_request&b"
            ),
            "sqs",
            "us-west-2",
            id="presigned-plain",
        ),
        pytest.param(
            _request(("X-Amz-Target", "DynamoDB_20120810.GetItem")),
            "dynamodb",
            "eu-west-1",
            id="target",
        ),
        pytest.param(
            _request(("X-Amz-Target", "Logs_20140328.FilterLogEvents")),
            "logs",
            "eu-west-1",
            id="target-logs",
        ),
        pytest.param(
            _request(("X-Amz-Target", "GraniteServiceVersion20100801.ListMetrics")),
            "monitoring",
            "eu-west-1",
            id="target-monitoring",
        ),
        pytest.param(
            _request(path="/service/GraniteServiceVersion20100801/operation/ListMetrics"),
            "monitoring",
            "eu-west-1",
            id="rpc",
        ),
        pytest.param(
            _request(method="GET", path="/2015-03-31/functions"),
            "lambda",
            "eu-west-1",
            id="lambda-path",
        ),
        pytest.param(
            _request(FORM, body=b"Action=GetCallerIdentity&Version=2011-06-15"),
            "sts",
            "eu-west-1",
            id="query-body",
        ),
        pytest.param(
            _request(method="GET", query_string="Action=ListQueues&Version=2012-11-05"),
            "sqs",
            "eu-west-1",
            id="query-string",
        ),
        pytest.param(
            _request(path="/cloudformation_us-west-2/cfnresponse"),
            "cloudformation",
            "us-west-2",
            id="service-and-region-path",
        ),
        pytest.param(_request(method="GET", path="/bucket/key"), "s3", "eu-west-1", id="nothing"),
        pytest.param(
            _request(
                ("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=A/20260101/s3/aws4_request")
            ),
            "s3",
            "eu-west-1",
            id="without-region",
        ),
        pytest.param(
            _request(("Authorization", "AWS4-HMAC-SHA256 Credential=/")),
            "s3",
            "eu-west-1",
            id="broken-signature",
        ),
        pytest.param(
            _request(("Authorization", SIGNATURE.format("evil.example", "sts"))),
            "sts",
            "eu-west-1",
            id="no-region-name",
        ),
    ],
)
def test_other_places_name_the_service_too(request_: AwsRequest, name: str, region: str) -> None:
    """Presigned and unsigned requests are understood as far as they say anything."""
    target = locate(request_, "eu-west-1")

    assert (target.name, target.region) == (name, region)
    assert service_name(request_) == name


def test_streams_of_tables_are_a_service_of_their_own() -> None:
    """DynamoDB Streams shares its signing name with DynamoDB."""
    request = _request(
        ("Authorization", SIGNATURE.format("eu-west-1", "dynamodb")),
        ("X-Amz-Target", "DynamoDBStreams_20120810.GetRecords"),
    )

    assert locate(request).service == "dynamodbstreams"


def test_path_and_query_stay_as_they_were_sent() -> None:
    """What is percent-encoded stays so; the host alone changes."""
    request = _request(method="GET", path="/bucket/a%2Fb%20c+d", query_string="x=%20&y")

    target = locate(request, "eu-west-1")

    assert target.url == "https://s3.eu-west-1.amazonaws.com/bucket/a%2Fb%20c+d?x=%20&y"
    assert target.service == "s3"


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("localhost:4566", None),
        ("127.0.0.1:4566", None),
        ("[::1]:4566", None),
        ("engine:4566", None),
        ("host.docker.internal:4566", None),
        ("s3.localhost:4566", None),
        ("s3.eu-west-1.amazonaws.com", None),
        ("s3-eu-west-1.amazonaws.com", None),
        ("files.localhost:4566", "files"),
        ("my.files.localhost:4566", "my.files"),
        ("files.s3.localhost:4566", "files"),
        ("files.s3.eu-west-1.amazonaws.com", "files"),
        ("files.s3-eu-west-1.amazonaws.com", "files"),
        ("my.files.s3.amazonaws.com", "my.files"),
        ("files.s3.localhost.localstack.cloud:4566", "files"),
    ],
)
def test_buckets_are_read_from_hosts(host: str, bucket: str | None) -> None:
    """A bucket in the host is found, and no other host is taken for one."""
    assert bucket_of_host(host) == bucket


def test_a_bucket_in_the_host_becomes_part_of_the_path() -> None:
    """Both forms of an S3 address become one."""
    request = _request(method="GET", host="files.s3.localhost:4566", path="/a/b")

    assert locate(request, "eu-west-1").url == "https://s3.eu-west-1.amazonaws.com/files/a/b"
