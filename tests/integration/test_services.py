import asyncio
import base64
import gc
import json
import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError
from services_world import ACCOUNT, REGION, TRUST, ServicesWorld, services_world, signed

from socketstack.services.http import AwsRequest, AwsResponse

_NO_STACKS = (
    b"<DescribeStacksResponse><DescribeStacksResult><Stacks/></DescribeStacksResult>"
    b"</DescribeStacksResponse>"
)
BINARY = bytes(range(256)) * 1200


@pytest.fixture
async def world() -> AsyncIterator[ServicesWorld]:
    """Services behind a real server."""
    async with services_world() as world:
        yield world


def _code(refusal: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


async def _bucket(world: ServicesWorld, name: str = "files") -> None:
    await world.call(
        "s3",
        "create_bucket",
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )


def _fetch(request: Request) -> tuple[int, dict[str, str], bytes]:
    with urlopen(request, timeout=20) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, headers, response.read()


class TestAccount:
    """Whose services these are."""

    async def test_any_credentials_mean_the_engines_account(self, world: ServicesWorld) -> None:
        """Callers with any keys are in the engine's account, also in ARNs of new things."""
        identity = await world.call("sts", "get_caller_identity")
        client = world.client("sns", aws_access_key_id="AKIA0000000000000001")
        topic = await asyncio.to_thread(client.create_topic, Name="news")

        assert identity["Account"] == ACCOUNT
        assert topic["TopicArn"] == f"arn:aws:sns:{REGION}:{ACCOUNT}:news"

    async def test_regions_are_separate(self, world: ServicesWorld) -> None:
        """What is made in one region is not there in another."""
        await world.call("ssm", "put_parameter", Name="/a", Value="1", Type="String")

        elsewhere = world.client("ssm", region_name="ap-southeast-2")

        with pytest.raises(ClientError) as refusal:
            await asyncio.to_thread(elsewhere.get_parameter, Name="/a")
        assert _code(refusal) == ("ParameterNotFound", 400)

    async def test_a_stopped_engine_leaves_nothing_for_the_next(self) -> None:
        """State ends with the engine it belongs to."""
        async with services_world() as first:
            await _bucket(first)
            await first.call("s3", "put_object", Bucket="files", Key="a", Body=BINARY)

        async with services_world() as second:
            buckets = await second.call("s3", "list_buckets")

        assert buckets["Buckets"] == []

    async def test_what_is_gone_is_forgotten(self, world: ServicesWorld) -> None:
        """A long-lived engine keeps no record of objects and items that were replaced."""
        await _bucket(world)
        for _ in range(20):
            await world.call("s3", "put_object", Bucket="files", Key="k", Body=b"x")

        def count() -> int:
            from moto.s3.models import FakeKey

            gc.collect()
            return sum(isinstance(each, FakeKey) for each in gc.get_objects())

        kept = await world.app.run(count)

        assert kept == 1

    async def test_calls_after_stop_are_refused(self) -> None:
        """An engine that has stopped takes no call."""
        async with services_world() as world:
            await world.call("sts", "get_caller_identity")

        answer = await world.app.handle(AwsRequest(method="GET", host="localhost", path="/"))

        assert answer.status == 503


class TestIdentity:
    """IAM as templates use it."""

    async def test_policies_of_aws_can_be_attached(self, world: ServicesWorld) -> None:
        """A managed policy of AWS can be attached and read back."""
        arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        await world.make_role()

        await world.call("iam", "attach_role_policy", RoleName="functions", PolicyArn=arn)

        attached = await world.call("iam", "list_attached_role_policies", RoleName="functions")
        version = await world.call("iam", "get_policy_version", PolicyArn=arn, VersionId="v1")
        assert [each["PolicyArn"] for each in attached["AttachedPolicies"]] == [arn]
        actions = version["PolicyVersion"]["Document"]["Statement"][0]["Action"]
        assert "logs:CreateLogStream" in actions

    async def test_a_policy_of_aws_that_does_not_exist_is_refused(
        self, world: ServicesWorld
    ) -> None:
        """A misspelt managed policy is refused and not attached."""
        await world.make_role()

        with pytest.raises(ClientError) as refusal:
            await world.call(
                "iam",
                "attach_role_policy",
                RoleName="functions",
                PolicyArn="arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRoll",
            )

        attached = await world.call("iam", "list_attached_role_policies", RoleName="functions")
        assert _code(refusal) == ("NoSuchEntity", 404)
        assert attached["AttachedPolicies"] == []

    async def test_all_policies_of_aws_are_listed(self, world: ServicesWorld) -> None:
        """Listing knows every managed policy, attached or not."""
        page = await world.call("iam", "list_policies", Scope="AWS", MaxItems=5)

        assert len(page["Policies"]) == 5
        assert page["IsTruncated"]

    @pytest.mark.parametrize("version", [None, "2008-10-17", "2012-10-17"])
    async def test_inline_policies_need_no_version(
        self, world: ServicesWorld, version: str | None
    ) -> None:
        """An inline policy is kept as it is, without Version too, as SAM makes them."""
        await world.make_role()
        document: dict[str, Any] = {
            "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]
        }
        if version:
            document["Version"] = version

        await world.call(
            "iam",
            "put_role_policy",
            RoleName="functions",
            PolicyName="p",
            PolicyDocument=json.dumps(document),
        )

        kept = await world.call("iam", "get_role_policy", RoleName="functions", PolicyName="p")
        assert kept["PolicyDocument"] == document

    async def test_a_broken_policy_is_refused(self, world: ServicesWorld) -> None:
        """A version that IAM does not know is refused, and nothing is kept."""
        await world.make_role()
        document = {"Version": "2020-01-01", "Statement": TRUST["Statement"]}

        with pytest.raises(ClientError) as refusal:
            await world.call(
                "iam",
                "put_role_policy",
                RoleName="functions",
                PolicyName="p",
                PolicyDocument=json.dumps(document),
            )

        kept = await world.call("iam", "list_role_policies", RoleName="functions")
        assert _code(refusal) == ("MalformedPolicyDocument", 400)
        assert kept["PolicyNames"] == []


class TestObjects:
    """S3, byte for byte."""

    async def test_large_object_is_kept_in_a_file(self, world: ServicesWorld) -> None:
        """Packages of functions are no memory of the engine; small objects are no open files."""
        await _bucket(world)
        large, small = b"x" * 1_100_000, b"y" * 900_000
        for key, body in (("large", large), ("small", small)):
            await world.call("s3", "put_object", Bucket="files", Key=key, Body=body)

        from moto.s3.models import s3_backends

        keys = s3_backends[ACCOUNT]["aws"].buckets["files"].keys
        assert {key: keys[key]._value_buffer._rolled for key in ("large", "small")} == {
            "large": True,
            "small": False,
        }
        found = await world.call("s3", "get_object", Bucket="files", Key="large")
        assert await asyncio.to_thread(found["Body"].read) == large

    @pytest.mark.parametrize("key", ["plain.bin", "a/b c+d%é.bin", "double//slash", "..dots"])
    async def test_objects_come_back_as_they_were_put(self, world: ServicesWorld, key: str) -> None:
        """Keys of any kind, binary bodies, types and metadata survive."""
        await _bucket(world)

        await world.call(
            "s3",
            "put_object",
            Bucket="files",
            Key=key,
            Body=BINARY,
            ContentType="image/png",
            Metadata={"owner": "me", "with_underscore": "1"},
        )

        found = await world.call("s3", "get_object", Bucket="files", Key=key)
        listed = await world.call("s3", "list_objects_v2", Bucket="files")
        assert await asyncio.to_thread(found["Body"].read) == BINARY
        assert found["ContentType"] == "image/png"
        assert found["ContentLength"] == len(BINARY)
        assert found["Metadata"] == {"owner": "me", "with_underscore": "1"}
        assert [each["Key"] for each in listed["Contents"]] == [key]

    @pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
    async def test_uploads_in_chunks_are_decoded(
        self, world: ServicesWorld, algorithm: str
    ) -> None:
        """A streamed upload with its checksum at the end is stored without its chunks."""
        await _bucket(world)

        stored = await world.call(
            "s3",
            "put_object",
            Bucket="files",
            Key="k",
            Body=BytesIO(BINARY),
            ChecksumAlgorithm=algorithm,
            ContentEncoding="identity",
        )

        found = await world.call(
            "s3", "get_object", Bucket="files", Key="k", ChecksumMode="ENABLED"
        )
        assert await asyncio.to_thread(found["Body"].read) == BINARY
        assert found[f"Checksum{algorithm}"] == stored[f"Checksum{algorithm}"]
        assert "aws-chunked" not in found.get("ContentEncoding", "")

    async def test_a_trailing_checksum_is_kept(self, world: ServicesWorld) -> None:
        """What SDKs send over TLS: chunks, then the checksum; neither is part of the object."""
        await _bucket(world)
        checksum = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4)).decode()
        headers = (
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "11"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("Content-Encoding", "gzip, aws-chunked"),
        )
        body = b"6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:" + checksum.encode()

        stored = await world.app.handle(
            signed("s3", "PUT", "/files/k", headers=headers, body=body + b"\r\n\r\n")
        )

        found = await world.call(
            "s3", "get_object", Bucket="files", Key="k", ChecksumMode="ENABLED"
        )
        assert stored.status == 200
        assert await asyncio.to_thread(found["Body"].read) == b"hello world"
        assert (found["ContentLength"], found["ContentEncoding"]) == (11, "gzip")
        assert found["ChecksumCRC32"] == checksum

    async def test_broken_chunks_are_refused_and_nothing_is_stored(
        self, world: ServicesWorld
    ) -> None:
        """A streamed upload that ends too early is a 400, not an object."""
        await _bucket(world)
        chunked = ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        body = b"ffff\r\nshort\r\n0\r\n\r\n"

        answer = await world.app.handle(
            signed("s3", "PUT", "/files/k", headers=(chunked,), body=body)
        )

        listed = await world.call("s3", "list_objects_v2", Bucket="files")
        assert answer.status == 400
        assert b"<Code>IncompleteBody</Code>" in answer.body
        assert listed["KeyCount"] == 0

    async def test_multipart_upload_copy_and_delete(self, world: ServicesWorld) -> None:
        """An object made of parts can be copied, and deleted."""
        await _bucket(world)
        parts = [BINARY * 20, b"end"]
        where = {"Bucket": "files", "Key": "big"}
        upload = await world.call("s3", "create_multipart_upload", **where)
        where_id = {**where, "UploadId": upload["UploadId"]}
        done = [
            await world.call("s3", "upload_part", **where_id, PartNumber=number, Body=part)
            for number, part in enumerate(parts, start=1)
        ]
        tags = [{"PartNumber": n, "ETag": each["ETag"]} for n, each in enumerate(done, start=1)]
        await world.call(
            "s3", "complete_multipart_upload", **where_id, MultipartUpload={"Parts": tags}
        )

        await world.call("s3", "copy_object", Bucket="files", Key="copy", CopySource=where)
        await world.call("s3", "delete_object", **where)

        copied = await world.call("s3", "get_object", Bucket="files", Key="copy")
        listed = await world.call("s3", "list_objects_v2", Bucket="files")
        assert await asyncio.to_thread(copied["Body"].read) == b"".join(parts)
        assert [each["Key"] for each in listed["Contents"]] == ["copy"]

    async def test_head_has_the_length_and_no_body(self, world: ServicesWorld) -> None:
        """HEAD tells what GET would give, and a missing object is 404 without a body."""
        await _bucket(world)
        await world.call("s3", "put_object", Bucket="files", Key="k", Body=BINARY)

        head = await world.call("s3", "head_object", Bucket="files", Key="k")
        with pytest.raises(ClientError) as refusal:
            await world.call("s3", "head_object", Bucket="files", Key="missing")
        bare = await world.app.handle(signed("s3", "HEAD", "/files/k"))

        assert head["ContentLength"] == len(BINARY)
        assert _code(refusal) == ("404", 404)
        assert bare.body == b""
        assert bare.header("Content-Length") == str(len(BINARY))

    async def test_presigned_address_gives_the_object(self, world: ServicesWorld) -> None:
        """A presigned GET works without an Authorization header."""
        await _bucket(world)
        await world.call("s3", "put_object", Bucket="files", Key="k", Body=BINARY)
        url = world.client("s3").generate_presigned_url(
            "get_object", Params={"Bucket": "files", "Key": "k"}
        )

        status, headers, body = await asyncio.to_thread(_fetch, Request(url))

        assert (status, body) == (200, BINARY)
        assert headers["content-length"] == str(len(BINARY))

    @pytest.mark.parametrize(
        "host",
        [
            "my.files.s3.localhost:4566",
            "my.files.localhost:4566",
            f"my.files.s3.{REGION}.localhost.localstack.cloud:4566",
            "my.files.s3.amazonaws.com",
        ],
    )
    async def test_buckets_in_the_host_are_found(self, world: ServicesWorld, host: str) -> None:
        """Virtual-hosted addresses mean the same objects as paths."""
        await _bucket(world, "my.files")

        answer = await world.app.handle(signed("s3", "PUT", "/a/b", host=host, body=BINARY))

        found = await world.call("s3", "get_object", Bucket="my.files", Key="a/b")
        assert answer.status == 200
        assert await asyncio.to_thread(found["Body"].read) == BINARY

    async def test_every_answer_has_one_length(self, world: ServicesWorld) -> None:
        """No header that frames the answer comes twice."""
        await _bucket(world)
        await world.call("s3", "put_object", Bucket="files", Key="k", Body=b"12345")

        answer = await world.app.handle(
            signed("s3", "GET", "/files/k", headers=(("Range", "bytes=1-2"),))
        )

        names = [name.lower() for name, _ in answer.headers]
        assert (answer.status, answer.body) == (206, b"23")
        assert names.count("content-length") == 1
        assert "status" not in names

    async def test_deleting_answers_204_without_length(self, world: ServicesWorld) -> None:
        """An answer without content names no length."""
        await _bucket(world)

        answer = await world.app.handle(signed("s3", "DELETE", "/files/k"))

        assert (answer.status, answer.body) == (204, b"")
        assert answer.header("Content-Length") is None


class TestOtherServices:
    """The services that a WebSocket system uses, each by a round trip."""

    async def test_table_items(self, world: ServicesWorld) -> None:
        """DynamoDB keeps items."""
        await world.call(
            "dynamodb",
            "create_table",
            TableName="t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        item = {"k": {"S": "1"}, "blob": {"B": b"\x00\xff"}}

        await world.call("dynamodb", "put_item", TableName="t", Item=item)

        found = await world.call("dynamodb", "get_item", TableName="t", Key={"k": {"S": "1"}})
        assert found["Item"] == item

    async def test_secrets(self, world: ServicesWorld) -> None:
        """Secrets Manager keeps a secret in the engine's account."""
        made = await world.call(
            "secretsmanager", "create_secret", Name="key", SecretString="s3cret"
        )

        found = await world.call("secretsmanager", "get_secret_value", SecretId=made["ARN"])

        assert found["SecretString"] == "s3cret"
        assert f":{REGION}:{ACCOUNT}:secret:key-" in made["ARN"]

    async def test_alarms(self, world: ServicesWorld) -> None:
        """CloudWatch keeps an alarm with its dimensions."""
        await world.call(
            "cloudwatch",
            "put_metric_alarm",
            AlarmName="errors",
            MetricName="Errors",
            Namespace="AWS/Lambda",
            Dimensions=[{"Name": "FunctionName", "Value": "echo"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )

        alarm = (await world.call("cloudwatch", "describe_alarms"))["MetricAlarms"][0]

        assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": "echo"}]

    async def test_queue_addresses_lead_to_the_engine(self, world: ServicesWorld) -> None:
        """A queue's URL is one that can be called here."""
        url = (await world.call("sqs", "create_queue", QueueName="q"))["QueueUrl"]

        await world.call("sqs", "send_message", QueueUrl=url, MessageBody="hello")

        received = await world.call("sqs", "receive_message", QueueUrl=url)
        assert url == f"{world.url}/{ACCOUNT}/q"
        assert [each["Body"] for each in received["Messages"]] == ["hello"]

    async def test_a_long_poll_holds_up_nobody(self, world: ServicesWorld) -> None:
        """While a client waits for a message, other calls are answered; the message ends it."""
        url = (await world.call("sqs", "create_queue", QueueName="q"))["QueueUrl"]
        other = world.client("sqs", aws_access_key_id="other")
        waiting = asyncio.create_task(
            world.call("sqs", "receive_message", QueueUrl=url, WaitTimeSeconds=15)
        )

        identity = await world.call("sts", "get_caller_identity")
        was_waiting = not waiting.done()
        await asyncio.to_thread(other.send_message, QueueUrl=url, MessageBody="late")
        received = await waiting

        assert identity["Account"] == ACCOUNT
        assert was_waiting
        assert [each["Body"] for each in received["Messages"]] == ["late"]

    async def test_unsigned_calls_are_understood(self, world: ServicesWorld) -> None:
        """A call in the query protocol without signature names its service by its version."""
        request = AwsRequest(
            method="POST",
            host="localhost",
            path="/",
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
            body=b"Action=GetCallerIdentity&Version=2011-06-15",
        )

        answer = await world.app.handle(request)

        assert answer.status == 200
        assert f"<Account>{ACCOUNT}</Account>".encode() in answer.body


class TestBorder:
    """What moto lacks, and what goes wrong in it."""

    async def test_unknown_service_is_a_501_that_names_it(self, world: ServicesWorld) -> None:
        """A service that moto does not have is refused by name."""
        with pytest.raises(ClientError) as refusal:
            await world.call("braket", "search_devices", filters=[])

        assert _code(refusal) == ("NotImplemented", 501)
        assert "braket" in str(refusal.value)

    @pytest.mark.parametrize(
        ("service", "operation", "parameters", "named"),
        [
            pytest.param("lambda", "list_code_signing_configs", {}, "code-signing", id="rest"),
            pytest.param(
                "ssm", "get_calendar_state", {"CalendarNames": ["a"]}, "get_calendar", id="json"
            ),
            pytest.param(
                "iam", "list_policies_granting_service_access",
                {"Arn": "arn:aws:iam::000000000000:role/x", "ServiceNamespaces": ["s3"]},
                "list_policies_granting", id="query",
            ),
        ],
    )  # fmt: skip
    async def test_unknown_operation_is_a_501_that_names_it(
        self,
        world: ServicesWorld,
        service: str,
        operation: str,
        parameters: dict[str, Any],
        named: str,
    ) -> None:
        """An operation that moto lacks is refused by name, in the service's protocol."""
        with pytest.raises(ClientError) as refusal:
            await world.call(service, operation, **parameters)

        assert _code(refusal) == ("NotImplemented", 501)
        assert named in str(refusal.value)

    async def test_unexpected_failure_is_logged_once_and_answered(
        self, world: ServicesWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A bug behind the border is a 500 without details, and one traceback in the log."""

        def fail(_request: AwsRequest) -> None:
            raise ZeroDivisionError("secret detail")

        world.app.before_calls("sts", fail)

        with pytest.raises(ClientError) as refusal:
            await world.call("sts", "get_caller_identity")

        assert _code(refusal) == ("InternalFailure", 500)
        assert "secret detail" not in str(refusal.value)
        assert [record.exc_info is not None for record in caplog.records] == [True]

    async def test_requests_that_make_no_sense_get_an_answer(self, world: ServicesWorld) -> None:
        """Garbage is answered, never raised."""
        for headers, body in (
            ((("X-Amz-Target", "Nobody_20000101.Nothing"),), b"{"),
            ((("Authorization", "AWS4-HMAC-SHA256 Credential=/,"),), b"\xff"),
            ((("X-Amz-Target", "DynamoDB_20120810.PutItem"),), b"\xff\xfe"),
        ):
            request = AwsRequest(
                method="POST", host="localhost", path="/", headers=headers, body=body
            )

            answer = await world.app.handle(request)

            assert answer.header("Content-Length") == str(len(answer.body))

    async def test_a_service_can_be_answered_by_something_else(self, world: ServicesWorld) -> None:
        """Calls of a replaced service do not reach moto; others do."""
        seen: list[str] = []

        async def handle(request: AwsRequest) -> AwsResponse:
            seen.append(request.path)
            return AwsResponse(status=200, body=_NO_STACKS)

        world.app.replace_service("cloudformation", handle)

        await world.call("cloudformation", "describe_stacks")
        await world.call("sts", "get_caller_identity")

        assert seen == ["/"]

    async def test_preparations_run_once_their_service_is_there(self, world: ServicesWorld) -> None:
        """What is to be replaced inside a service is replaced once, before its first call."""
        prepared: list[str] = []  # no other test may use polly: modules stay for the whole run
        world.app.before_service("polly", lambda: prepared.append("polly"))

        await world.call("sts", "get_caller_identity")
        before = list(prepared)
        await world.call("polly", "describe_voices")
        await world.call("polly", "describe_voices")

        assert (before, prepared) == ([], ["polly"])
