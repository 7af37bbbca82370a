import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from services_world import (
    ACCOUNT,
    REGION,
    ServicesWorld,
    services_world,
    signed,
    ticking,
    until,
)

from socketstack.core.model import FailureKind, InvokeResult
from socketstack.errors import FunctionThrottled, FunctionUnavailable

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:echo"
TWO_QUALIFIERS = (
    "The derived qualifier from the function name does not match the specified qualifier."
)
DONE = InvokeResult(payload=b'"done"')
FAILED = InvokeResult(payload=b'{"errorMessage":"no"}', failure=FailureKind.HANDLED)


@pytest.fixture
async def world() -> AsyncIterator[ServicesWorld]:
    """Services with one function, ``echo``, that answers ``"done"``."""
    async with services_world() as world:
        await world.make_role()
        await world.make_function()
        world.fake_runner.answers["echo"] = DONE
        yield world


def _error(refusal: pytest.ExceptionInfo[ClientError]) -> tuple[str, int, str]:
    response: Any = refusal.value.response
    error = response["Error"]
    return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]


async def _invoke(world: ServicesWorld, **parameters: Any) -> Any:
    return await world.call("lambda", "invoke", **{"FunctionName": "echo", **parameters})


async def _body(answer: Any) -> Any:
    return json.loads(await asyncio.to_thread(answer["Payload"].read))


class TestRequestResponse:
    """Calls that wait for their answer."""

    async def test_throttled_call_is_429_with_lambda_s_words(self, world: ServicesWorld) -> None:
        """A call that the runner throttles is answered as on AWS."""

        def throttled(_payload: bytes) -> InvokeResult:
            raise FunctionThrottled("busy")

        world.fake_runner.answers["echo"] = throttled

        with pytest.raises(ClientError) as refusal:
            await _invoke(world)

        assert _error(refusal) == ("TooManyRequestsException", 429, "Rate Exceeded.")

    async def test_reserved_concurrency_reaches_the_runner(self, world: ServicesWorld) -> None:
        """What is reserved holds for all versions, at once, until it is taken away."""
        await world.call("lambda", "publish_version", FunctionName="echo")

        await world.call(
            "lambda",
            "put_function_concurrency",
            FunctionName="echo",
            ReservedConcurrentExecutions=0,
        )
        reserved = [world.functions.find(ARN), world.functions.find(f"{ARN}:1")]
        await world.call("lambda", "delete_function_concurrency", FunctionName="echo")

        assert [function.reserved_concurrency for function in reserved] == [0, 0]
        assert world.functions.find(ARN).reserved_concurrency is None

    async def test_payload_goes_in_and_the_answer_comes_out(self, world: ServicesWorld) -> None:
        """A caller gets what the function gave, and which version ran."""
        answer = await _invoke(world, Payload=b'{"a": 1}')

        assert await _body(answer) == "done"
        assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
        assert "FunctionError" not in answer
        assert "LogResult" not in answer
        assert world.fake_runner.calls == [(ARN, b'{"a": 1}')]

    async def test_no_payload_is_an_empty_object(self, world: ServicesWorld) -> None:
        """A call without payload gives the function an empty object."""
        await _invoke(world)

        assert world.fake_runner.calls == [(ARN, b"{}")]

    @pytest.mark.parametrize(
        ("parameters", "called"),
        [
            pytest.param({"FunctionName": ARN}, ARN, id="arn"),
            pytest.param({"FunctionName": f"{ACCOUNT}:function:echo"}, ARN, id="partial-arn"),
            pytest.param({"FunctionName": "echo:live"}, f"{ARN}:live", id="name-with-alias"),
            pytest.param({"FunctionName": f"{ARN}:1"}, f"{ARN}:1", id="arn-with-version"),
            pytest.param({"Qualifier": "live"}, f"{ARN}:live", id="qualifier"),
            pytest.param(
                {"FunctionName": "echo:live", "Qualifier": "live"}, f"{ARN}:live", id="both"
            ),
        ],
    )
    async def test_functions_are_named_in_any_form(
        self, world: ServicesWorld, parameters: dict[str, str], called: str
    ) -> None:
        """Name, ARN, version and alias reach the runner as one full ARN."""
        await world.call("lambda", "publish_version", FunctionName="echo")
        await world.call(
            "lambda", "create_alias", FunctionName="echo", Name="live", FunctionVersion="1"
        )
        for tail in ("echo:live", "echo:1"):
            world.fake_runner.answers[tail] = InvokeResult(payload=b"1", executed_version="1")

        await _invoke(world, **parameters)

        assert [function for function, _ in world.fake_runner.calls] == [called]

    async def test_a_failure_is_told_by_the_header(self, world: ServicesWorld) -> None:
        """A function that raised answers 200 with the error object and the error header."""
        world.fake_runner.answers["echo"] = FAILED

        answer = await _invoke(world)

        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
        assert await _body(answer) == {"errorMessage": "no"}

    async def test_the_log_tail_is_four_kilobytes(self, world: ServicesWorld) -> None:
        """With LogType Tail the end of the log comes along."""
        lines = ("x" * 5000, "y" * 2000 + "END")
        world.fake_runner.answers["echo"] = InvokeResult(payload=b"1", log_lines=lines)

        answer = await _invoke(world, LogType="Tail")

        tail = base64.b64decode(answer["LogResult"])
        assert (len(tail), tail[:1], tail[-5:]) == (4096, b"x", b"yEND\n")

    async def test_an_answer_above_six_megabytes_is_a_failure(self, world: ServicesWorld) -> None:
        """A response that Lambda would not carry becomes its error."""
        world.fake_runner.answers["echo"] = InvokeResult(payload=b'"' + b"x" * 6_291_556 + b'"')

        answer = await _invoke(world)

        assert answer["FunctionError"] == "Unhandled"
        assert (await _body(answer))["errorType"] == "Function.ResponseSizeTooLarge"


class TestRefusals:
    """Calls that never reach a function."""

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            pytest.param(
                {"FunctionName": "nobody"},
                ("ResourceNotFoundException", 404,
                 f"Function not found: {ARN.replace('echo', 'nobody')}"),
                id="unknown-function",
            ),
            pytest.param(
                {"Qualifier": "7"},
                ("ResourceNotFoundException", 404, f"Function not found: {ARN}:7"),
                id="unknown-version",
            ),
            pytest.param(
                {"FunctionName": "nobody", "InvocationType": "Event"},
                ("ResourceNotFoundException", 404,
                 f"Function not found: {ARN.replace('echo', 'nobody')}"),
                id="unknown-function-event",
            ),
            pytest.param(
                {"FunctionName": "echo:1", "Qualifier": "2"},
                ("InvalidParameterValueException", 400,
                 TWO_QUALIFIERS),
                id="two-qualifiers",
            ),
            pytest.param(
                {"Payload": b'"' + b"x" * 6_291_556},
                ("RequestTooLargeException", 413,
                 "Request must be smaller than 6291556 bytes for the InvokeFunction operation"),
                id="large",
            ),
            pytest.param(
                {"Payload": b'"' + b"x" * 1_048_575 + b'"', "InvocationType": "Event"},
                ("RequestTooLargeException", 413,
                 "Request must be smaller than 1048576 bytes for the InvokeFunction operation"),
                id="large-event",
            ),
        ],
    )  # fmt: skip
    async def test_refused_calls_run_nothing(
        self, world: ServicesWorld, parameters: dict[str, Any], expected: tuple[str, int, str]
    ) -> None:
        """Lambda's error, its status and its words; no function is called."""
        with pytest.raises(ClientError) as refusal:
            await _invoke(world, **parameters)

        assert _error(refusal) == expected
        assert world.fake_runner.calls == []

    @pytest.mark.parametrize("payload", [b"{", b"hello", b"\xff\xfe\x00", b'{"a": 1} trailing'])
    async def test_a_payload_that_is_not_json_is_refused(
        self, world: ServicesWorld, payload: bytes
    ) -> None:
        """Only JSON reaches a function."""
        with pytest.raises(ClientError) as refusal:
            await _invoke(world, Payload=payload)

        code, status, message = _error(refusal)
        assert (code, status) == ("InvalidRequestContentException", 400)
        assert message.startswith("Could not parse request body into json")
        assert world.fake_runner.calls == []

    async def test_what_cannot_run_here_says_why(self, world: ServicesWorld) -> None:
        """A function the runner cannot start is refused with the runner's reason."""

        def unavailable(_payload: bytes) -> InvokeResult:
            raise FunctionUnavailable("echo needs nodejs22.x, which is not installed.")

        world.fake_runner.answers["echo"] = unavailable

        with pytest.raises(ClientError) as refusal:
            await _invoke(world)

        code, status, message = _error(refusal)
        assert (code, status) == ("InvalidRuntimeException", 400)
        assert "nodejs22.x" in message

    async def test_a_bug_of_the_runner_is_a_500(
        self, world: ServicesWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An unexpected failure is logged and answered without its details."""

        def fail(_payload: bytes) -> InvokeResult:
            raise ZeroDivisionError("secret detail")

        world.fake_runner.answers["echo"] = fail

        with pytest.raises(ClientError) as refusal:
            await _invoke(world)

        assert _error(refusal)[:2] == ("ServiceException", 500)
        assert "secret detail" not in str(refusal.value)
        assert any(record.exc_info for record in caplog.records)

    async def test_an_unknown_invocation_type_is_refused(self, world: ServicesWorld) -> None:
        """Only the three types of Lambda exist."""
        path = "/2015-03-31/functions/echo/invocations"
        request = signed("lambda", "POST", path, headers=(("X-Amz-Invocation-Type", "Maybe"),))

        answer = await world.invoke_api.handle(request)

        assert answer.status == 400
        assert answer.header("x-amzn-ErrorType") == "InvalidParameterValueException"
        assert world.fake_runner.calls == []


class TestEvents:
    """Calls nobody waits for."""

    async def test_an_event_is_accepted_and_runs(self, world: ServicesWorld) -> None:
        """The caller gets 202 at once, the function the payload."""
        answer = await _invoke(world, InvocationType="Event", Payload=b'{"a": 1}')

        await world.invoke_api.events.idle()
        assert answer["StatusCode"] == 202
        assert world.fake_runner.calls == [(ARN, b'{"a": 1}')]

    async def test_a_dry_run_runs_nothing(self, world: ServicesWorld) -> None:
        """DryRun answers 204 for a function that exists."""
        answer = await _invoke(world, InvocationType="DryRun")

        assert answer["StatusCode"] == 204
        assert world.fake_runner.calls == []

    async def test_a_failing_event_runs_three_times(
        self, world: ServicesWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Two more attempts follow a failure; then the event is given up, and the log says so."""
        world.fake_runner.answers["echo"] = FAILED
        await _invoke(world, InvocationType="Event")

        await ticking(world.clock, lambda: len(world.fake_runner.calls) == 3)
        await world.invoke_api.events.idle()

        assert len(world.fake_runner.calls) == 3
        assert any("given up" in record.getMessage() for record in caplog.records)

    async def test_an_event_that_succeeds_later_runs_no_more(self, world: ServicesWorld) -> None:
        """A second attempt that succeeds is the last."""
        outcomes = iter([FAILED, DONE])
        world.fake_runner.answers["echo"] = lambda _payload: next(outcomes)
        await _invoke(world, InvocationType="Event")

        await ticking(world.clock, lambda: len(world.fake_runner.calls) == 2)
        await world.invoke_api.events.idle()

        assert len(world.fake_runner.calls) == 2

    async def test_stopping_ends_waiting_events(self, world: ServicesWorld) -> None:
        """An engine that stops does not wait for functions that nobody waits for."""
        started = asyncio.Event()

        async def forever(_payload: bytes) -> InvokeResult:
            started.set()
            await asyncio.Event().wait()
            return DONE

        world.fake_runner.answers["echo"] = forever
        await _invoke(world, InvocationType="Event")
        await started.wait()

        await world.invoke_api.stop()

        await world.invoke_api.events.idle()


class TestInnerCalls:
    """Functions that other services call, and that call services again."""

    async def test_a_topic_calls_its_function(self, world: ServicesWorld) -> None:
        """A published message reaches the subscribed function as SNS's event."""
        topic = (await world.call("sns", "create_topic", Name="news"))["TopicArn"]
        await world.call("sns", "subscribe", TopicArn=topic, Protocol="lambda", Endpoint=ARN)

        await world.call("sns", "publish", TopicArn=topic, Message="hello")

        await until(lambda: len(world.fake_runner.calls) == 1)
        await world.invoke_api.events.idle()
        function, payload = world.fake_runner.calls[0]
        assert function == ARN
        assert json.loads(payload)["Records"][0]["Sns"]["Message"] == "hello"

    async def test_a_bus_and_a_bucket_call_their_function(self, world: ServicesWorld) -> None:
        """EventBridge's and S3's events reach the function, each in its shape."""
        await world.call(
            "lambda",
            "add_permission",
            FunctionName="echo",
            StatementId="events",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:rule/all",
        )
        await world.call(
            "events", "put_rule", Name="all", EventPattern=json.dumps({"source": ["app"]})
        )
        fixed = {"Id": "2", "Arn": ARN, "Input": '{"fixed": true}'}
        await world.call(
            "events", "put_targets", Rule="all", Targets=[{"Id": "1", "Arn": ARN}, fixed]
        )
        await world.call(
            "s3",
            "create_bucket",
            Bucket="files",
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        to_function = {"LambdaFunctionArn": ARN, "Events": ["s3:ObjectCreated:*"]}
        await world.call(
            "s3",
            "put_bucket_notification_configuration",
            Bucket="files",
            NotificationConfiguration={"LambdaFunctionConfigurations": [to_function]},
        )
        entry = {"Source": "app", "DetailType": "t", "Detail": json.dumps({"n": 1})}

        await world.call("events", "put_events", Entries=[entry, {**entry, "Source": "other"}])
        await world.call("s3", "put_object", Bucket="files", Key="k", Body=b"x")

        await until(lambda: len(world.fake_runner.calls) == 3)
        await world.invoke_api.events.idle()
        bus, fixed_input, bucket = (json.loads(payload) for _, payload in world.fake_runner.calls)
        assert (bus["source"], bus["detail"]) == ("app", {"n": 1})
        assert bus["time"].endswith("Z")
        assert fixed_input == {"fixed": True}
        assert bucket["Records"][0]["s3"]["object"]["key"] == "k"

    async def test_the_old_asynchronous_call_is_an_event(self, world: ServicesWorld) -> None:
        """InvokeAsync answers 202 and calls the function once."""
        answer = await world.call(
            "lambda", "invoke_async", FunctionName="echo", InvokeArgs=b'{"a": 1}'
        )

        await until(lambda: len(world.fake_runner.calls) == 1)
        await world.invoke_api.events.idle()
        assert answer["Status"] == 202
        assert world.fake_runner.calls == [(ARN, b'{"a": 1}')]

    async def test_a_function_that_cannot_start_fails_what_waits_for_it(
        self, world: ServicesWorld
    ) -> None:
        """Rotation with a function that cannot run is refused with the reason."""
        secret = await world.call("secretsmanager", "create_secret", Name="s", SecretString="old")

        def unavailable(_payload: bytes) -> InvokeResult:
            raise FunctionUnavailable("no such runtime here")

        world.fake_runner.answers["echo"] = unavailable

        with pytest.raises(ClientError) as refusal:
            await world.call(
                "secretsmanager",
                "rotate_secret",
                SecretId=secret["ARN"],
                RotationLambdaARN=ARN,
                RotationRules={"AutomaticallyAfterDays": 30},
            )

        assert "no such runtime here" in str(refusal.value)

    async def test_publishing_does_not_wait_for_the_function(self, world: ServicesWorld) -> None:
        """A slow subscriber holds up nobody."""
        release = asyncio.Event()

        async def slow(_payload: bytes) -> InvokeResult:
            await release.wait()
            return DONE

        world.fake_runner.answers["echo"] = slow
        topic = (await world.call("sns", "create_topic", Name="news"))["TopicArn"]
        await world.call("sns", "subscribe", TopicArn=topic, Protocol="lambda", Endpoint=ARN)

        await world.call("sns", "publish", TopicArn=topic, Message="hello")

        await until(lambda: len(world.fake_runner.calls) == 1)
        release.set()
        await world.invoke_api.events.idle()

    async def test_a_function_that_moto_waits_for_may_call_aws(self, world: ServicesWorld) -> None:
        """Rotation waits for its function, which stores the secret: no deadlock, in order."""
        steps: list[str] = []
        made = await world.call("secretsmanager", "create_secret", Name="s", SecretString="old")

        async def rotate(payload: bytes) -> InvokeResult:
            event = json.loads(payload)
            steps.append(event["Step"])
            if event["Step"] == "createSecret":
                await world.call(
                    "secretsmanager",
                    "put_secret_value",
                    SecretId=made["ARN"],
                    ClientRequestToken=event["ClientRequestToken"],
                    SecretString="new",
                    VersionStages=["AWSPENDING"],
                )
            await world.call("sts", "get_caller_identity")
            return DONE

        world.fake_runner.answers["echo"] = rotate
        other = world.client("secretsmanager", aws_access_key_id="other")

        await asyncio.wait_for(
            asyncio.to_thread(
                other.rotate_secret,
                SecretId=made["ARN"],
                RotationLambdaARN=ARN,
                RotationRules={"AutomaticallyAfterDays": 30},
            ),
            timeout=20,
        )

        assert steps == ["createSecret", "setSecret", "testSecret", "finishSecret"]
        versions = await world.call(
            "secretsmanager", "list_secret_version_ids", SecretId=made["ARN"]
        )
        assert len(versions["Versions"]) == 2

    async def test_messages_of_a_queue_reach_its_function_and_go(
        self, world: ServicesWorld
    ) -> None:
        """A message that the function took is deleted."""
        url = await self._queue(world)

        await world.call("sqs", "send_message", QueueUrl=url, MessageBody="hello")

        await until(lambda: len(world.fake_runner.calls) == 1)
        record = json.loads(world.fake_runner.calls[0][1])["Records"][0]
        assert (record["body"], record["eventSource"]) == ("hello", "aws:sqs")
        assert record["eventSourceARN"].endswith(":jobs")
        await self._until_empty(world, url)

    async def test_messages_that_fail_come_back(self, world: ServicesWorld) -> None:
        """A message that the function did not take stays, and is tried again later."""
        outcomes = iter([FAILED, DONE])
        world.fake_runner.answers["echo"] = lambda _payload: next(outcomes)
        url = await self._queue(world, VisibilityTimeout="0")

        await world.call("sqs", "send_message", QueueUrl=url, MessageBody="hello")

        await until(lambda: len(world.fake_runner.calls) == 2)
        await self._until_empty(world, url)

    async def test_single_messages_can_be_given_back(self, world: ServicesWorld) -> None:
        """With ReportBatchItemFailures only the messages that the function names stay."""
        seen: list[list[str]] = []

        def take_some(payload: bytes) -> InvokeResult:
            records = json.loads(payload)["Records"]
            seen.append(sorted(record["body"] for record in records))
            bad = [record for record in records if record["body"] == "bad" and len(seen) == 1]
            failures = [{"itemIdentifier": record["messageId"]} for record in bad]
            return InvokeResult(payload=json.dumps({"batchItemFailures": failures}).encode())

        url = await self._queue(world, VisibilityTimeout="0", enabled=False)
        for body in ("good", "bad"):
            await world.call("sqs", "send_message", QueueUrl=url, MessageBody=body)
        world.fake_runner.answers["echo"] = take_some
        await self._enable(world)

        await world.call("sqs", "send_message", QueueUrl=url, MessageBody="last")

        await self._until_empty(world, url)
        assert seen[0] == ["bad", "good", "last"]
        assert seen[1:] == [["bad"]]

    async def test_stream_records_reach_their_function_in_order(self, world: ServicesWorld) -> None:
        """Changes of a table are delivered one after another."""
        await self._table(world)

        for number in range(5):
            await world.call("dynamodb", "put_item", TableName="t", Item={"k": {"S": f"{number}"}})

        await until(lambda: len(world.fake_runner.calls) == 5)
        await world.invoke_api.events.idle()
        keys = [
            [record["dynamodb"]["Keys"]["k"]["S"] for record in json.loads(payload)["Records"]]
            for _, payload in world.fake_runner.calls
        ]
        assert keys == [["0"], ["1"], ["2"], ["3"], ["4"]]

    async def _queue(self, world: ServicesWorld, *, enabled: bool = True, **attributes: str) -> str:
        made = await world.call("sqs", "create_queue", QueueName="jobs", Attributes=attributes)
        url: str = made["QueueUrl"]
        mapping = await world.call(
            "lambda",
            "create_event_source_mapping",
            FunctionName="echo",
            EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs",
            FunctionResponseTypes=["ReportBatchItemFailures"] if not enabled else [],
            Enabled=enabled,
        )
        self.mapping = mapping["UUID"]
        return url

    async def _enable(self, world: ServicesWorld) -> None:
        await world.call("lambda", "update_event_source_mapping", UUID=self.mapping, Enabled=True)

    async def _until_empty(self, world: ServicesWorld, url: str) -> None:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        async with asyncio.timeout(20):
            while True:
                world.clock.advance(1)
                found = await world.call(
                    "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=names
                )
                if {found["Attributes"][name] for name in names} == {"0"}:
                    return

    async def _table(self, world: ServicesWorld) -> None:
        table = await world.call(
            "dynamodb",
            "create_table",
            TableName="t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )
        await world.call(
            "lambda",
            "create_event_source_mapping",
            FunctionName="echo",
            EventSourceArn=table["TableDescription"]["LatestStreamArn"],
            StartingPosition="TRIM_HORIZON",
        )
