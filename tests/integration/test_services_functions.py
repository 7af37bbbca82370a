import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from services_world import ACCOUNT, REGION, ROLE, ServicesWorld, services_world, zipped

from socketstack.core.model import InvokeResult
from socketstack.errors import FunctionNotFound
from socketstack.runner.base import Function, LogLine

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:echo"
CODE = zipped({"handler.py": "def handle(event, context): return event"})
OTHER_CODE = zipped({"handler.py": "def handle(event, context): return 2"})
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
_NOTHING = InvokeResult(payload=b"null")
SOURCE = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:abcdef1234/prod/$connect"


@pytest.fixture
async def world() -> AsyncIterator[ServicesWorld]:
    """Services with the role of functions."""
    async with services_world() as world:
        await world.make_role()
        yield world


def _code(refusal: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


async def _wait(world: ServicesWorld, waiter: str) -> None:
    client = world.client("lambda")
    await asyncio.to_thread(client.get_waiter(waiter).wait, FunctionName="echo")


async def _statement(world: ServicesWorld, **parameters: str) -> Any:
    members = {
        "FunctionName": "echo",
        "StatementId": "gateway",
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": SOURCE,
        **parameters,
    }
    return await world.call("lambda", "add_permission", **members)


class TestCreate:
    """CreateFunction, and what the catalog makes of it."""

    async def test_a_new_function_is_ready_to_run(self, world: ServicesWorld) -> None:
        """Everything the runner needs comes from the function's configuration."""
        await world.make_function(
            Environment={"Variables": {"TABLE": "t", "LEVEL": "1"}},
            Timeout=29,
            MemorySize=256,
            LoggingConfig={
                "LogGroup": "/own/group",
                "LogFormat": "JSON",
                "ApplicationLogLevel": "WARN",
            },
        )

        function = world.functions.find("echo")

        assert function.code.read() == CODE
        assert function.code.digest == hashlib.sha256(CODE).hexdigest()
        assert (function.name, function.arn, function.version) == ("echo", ARN, "$LATEST")
        assert (function.handler, function.runtime) == ("handler.handle", "python3.13")
        assert (function.role, function.region, function.account_id) == (ROLE, REGION, ACCOUNT)
        assert function.environment == {"TABLE": "t", "LEVEL": "1"}
        assert (function.timeout_ms, function.memory_mb) == (29_000, 256)
        assert function.log_group == "/own/group"
        assert (function.log_format, function.log_level) == ("JSON", "WARN")
        assert function.policy is None

    async def test_waiters_finish_and_the_hash_is_right(self, world: ServicesWorld) -> None:
        """Deployment tools see the function active, and the hash of what they sent."""
        made = await world.make_function()

        await _wait(world, "function_active_v2")
        await _wait(world, "function_updated_v2")

        found = await world.call("lambda", "get_function", FunctionName="echo")
        digest = base64.b64encode(hashlib.sha256(CODE).digest()).decode()
        assert made["CodeSha256"] == found["Configuration"]["CodeSha256"] == digest
        assert found["Configuration"]["LoggingConfig"]["LogGroup"] == "/aws/lambda/echo"
        assert found["Configuration"]["RevisionId"]

    async def test_code_may_come_from_a_bucket(self, world: ServicesWorld) -> None:
        """A zip in S3, and a version of it, become the function's code."""
        where = {"Bucket": "code", "Key": "f.zip"}
        await world.call(
            "s3",
            "create_bucket",
            Bucket="code",
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        await world.call(
            "s3",
            "put_bucket_versioning",
            Bucket="code",
            VersioningConfiguration={"Status": "Enabled"},
        )
        old = await world.call("s3", "put_object", **where, Body=CODE)
        await world.call("s3", "put_object", **where, Body=OTHER_CODE)
        place = {"S3Bucket": "code", "S3Key": "f.zip"}

        await world.make_function(Code=place)
        await world.make_function("old", Code={**place, "S3ObjectVersion": old["VersionId"]})

        assert world.functions.find("echo").code.read() == OTHER_CODE
        assert world.functions.find("old").code.read() == CODE

    async def test_a_name_may_be_an_arn(self, world: ServicesWorld) -> None:
        """A function that is named by its ARN has the ARN's last part as name."""
        made = await world.make_function(ARN)

        assert made["FunctionName"] == "echo"
        assert world.functions.find(ARN).name == "echo"

    @pytest.mark.parametrize(
        ("parameters", "code", "part"),
        [
            pytest.param({"Role": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
                         "InvalidParameterValueException", "cannot be assumed", id="no-role"),
            pytest.param({"Role": f"arn:aws:iam::{ACCOUNT}:role/other"},
                         "InvalidParameterValueException", "cannot be assumed", id="no-trust"),
            pytest.param({"Timeout": 901}, "ValidationException", "900", id="timeout"),
            pytest.param({"MemorySize": 10_241}, "ValidationException", "10240", id="memory"),
            pytest.param({"Runtime": "python4"}, "ValidationException", "runtime", id="runtime"),
            pytest.param({"Code": {"ZipFile": b"no zip"}},
                         "InvalidParameterValueException", "unzip", id="no-zip"),
            pytest.param({"Code": {"S3Bucket": "nobucket", "S3Key": "k"}},
                         "InvalidParameterValueException", "NoSuchBucket", id="no-bucket"),
            pytest.param({"Environment": {"Variables": {"AWS_REGION": "x"}}},
                         "InvalidParameterValueException", "AWS_REGION", id="reserved"),
            pytest.param({"Environment": {"Variables": {"BIG": "x" * 4096}}},
                         "InvalidParameterValueException", "4KB", id="environment-size"),
            pytest.param({"Layers": [f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:none:1"]},
                         "ResourceNotFoundException", "LayerVersion", id="no-layer"),
        ],
    )  # fmt: skip
    async def test_what_lambda_refuses_is_refused_and_not_made(
        self, world: ServicesWorld, parameters: dict[str, Any], code: str, part: str
    ) -> None:
        """A configuration that fails on AWS fails here, and leaves no function."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "ec2.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        await world.call(
            "iam", "create_role", RoleName="other", AssumeRolePolicyDocument=json.dumps(trust)
        )

        with pytest.raises(ClientError) as refusal:
            await world.make_function(**parameters)

        listed = await world.call("lambda", "list_functions")
        assert _code(refusal)[0] == code
        assert part in str(refusal.value)
        assert listed["Functions"] == []
        with pytest.raises(FunctionNotFound):
            world.functions.find("echo")

    async def test_a_missing_object_is_refused(self, world: ServicesWorld) -> None:
        """A zip that is not in the bucket is refused; moto would take it as empty."""
        await world.call(
            "s3",
            "create_bucket",
            Bucket="code",
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )

        with pytest.raises(ClientError) as refusal:
            await world.make_function(Code={"S3Bucket": "code", "S3Key": "missing.zip"})

        assert _code(refusal) == ("InvalidParameterValueException", 400)
        assert "NoSuchKey" in str(refusal.value)

    async def test_a_second_function_of_the_same_name_is_refused(
        self, world: ServicesWorld
    ) -> None:
        """The name is taken, and the first function stays as it is."""
        await world.make_function()

        with pytest.raises(ClientError) as refusal:
            await world.make_function(Code={"ZipFile": OTHER_CODE})

        assert _code(refusal) == ("ResourceConflictException", 409)
        assert world.functions.find("echo").code.read() == CODE


class TestUpdate:
    """Changes of code and configuration."""

    async def test_new_code_is_found_at_once(self, world: ServicesWorld) -> None:
        """After the answer to UpdateFunctionCode the catalog gives the new code."""
        await world.make_function()
        before = world.functions.find("echo")

        await world.call("lambda", "update_function_code", FunctionName="echo", ZipFile=OTHER_CODE)

        after = world.functions.find("echo")
        await _wait(world, "function_updated_v2")
        assert (before.code.read(), after.code.read()) == (CODE, OTHER_CODE)
        assert before.configuration_digest != after.configuration_digest

    async def test_a_dry_run_changes_nothing(self, world: ServicesWorld) -> None:
        """DryRun checks the code and keeps the old one."""
        await world.make_function()

        await world.call(
            "lambda", "update_function_code", FunctionName="echo", ZipFile=OTHER_CODE, DryRun=True
        )

        assert world.functions.find("echo").code.read() == CODE

    async def test_new_configuration_is_found_at_once(self, world: ServicesWorld) -> None:
        """After the answer to UpdateFunctionConfiguration the catalog gives the new one."""
        await world.make_function(Environment={"Variables": {"MODE": "1"}})
        before = world.functions.find("echo")

        await world.call(
            "lambda",
            "update_function_configuration",
            FunctionName="echo",
            Timeout=7,
            Handler="other.handle",
            Environment={"Variables": {"OTHER": "2"}},
            LoggingConfig={"LogGroup": "/g"},
            EphemeralStorage={"Size": 1024},
            TracingConfig={"Mode": "Active"},
            KMSKeyArn=KEY,
        )

        after = world.functions.find("echo")
        shown = await world.call("lambda", "get_function_configuration", FunctionName="echo")
        assert (after.timeout_ms, after.handler) == (7000, "other.handle")
        assert after.environment == {"OTHER": "2"}
        assert after.log_group == "/g"
        assert shown["EphemeralStorage"] == {"Size": 1024}
        assert (shown["TracingConfig"], shown["KMSKeyArn"]) == ({"Mode": "Active"}, KEY)
        assert before.configuration_digest != after.configuration_digest
        assert before.environment == {"MODE": "1"}

    async def test_the_architecture_follows_the_code(self, world: ServicesWorld) -> None:
        """UpdateFunctionCode may change the architecture."""
        await world.make_function()

        await world.call(
            "lambda",
            "update_function_code",
            FunctionName="echo",
            ZipFile=CODE,
            Architectures=["arm64"],
        )

        shown = await world.call("lambda", "get_function_configuration", FunctionName="echo")
        assert shown["Architectures"] == ["arm64"]

    async def test_the_last_event_configuration_counts(self, world: ServicesWorld) -> None:
        """PutFunctionEventInvokeConfig replaces what was there."""
        await world.make_function()

        for attempts in (2, 1):
            await world.call(
                "lambda",
                "put_function_event_invoke_config",
                FunctionName="echo",
                MaximumRetryAttempts=attempts,
            )

        shown = await world.call("lambda", "get_function_event_invoke_config", FunctionName="echo")
        assert shown["MaximumRetryAttempts"] == 1

    async def test_an_empty_environment_clears_it(self, world: ServicesWorld) -> None:
        """``Environment={}`` takes all variables away."""
        await world.make_function(Environment={"Variables": {"MODE": "1"}})

        await world.call(
            "lambda", "update_function_configuration", FunctionName="echo", Environment={}
        )

        assert world.functions.find("echo").environment == {}

    async def test_a_refused_update_changes_nothing(self, world: ServicesWorld) -> None:
        """What Lambda refuses leaves the function as it was."""
        await world.make_function()

        with pytest.raises(ClientError) as refusal:
            await world.call(
                "lambda",
                "update_function_configuration",
                FunctionName="echo",
                Handler="other.handle",
                Role=f"arn:aws:iam::{ACCOUNT}:role/nobody",
            )

        assert _code(refusal) == ("InvalidParameterValueException", 400)
        assert world.functions.find("echo").handler == "handler.handle"

    async def test_who_may_call_is_no_reason_for_new_processes(self, world: ServicesWorld) -> None:
        """A permission changes the policy, not the configuration's digest."""
        await world.make_function()
        before = world.functions.find("echo")

        await _statement(world)

        after = world.functions.find("echo")
        assert before.policy is None
        assert after.policy is not None
        assert before.configuration_digest == after.configuration_digest

    async def test_a_deleted_function_is_not_found(self, world: ServicesWorld) -> None:
        """After DeleteFunction nothing runs any more."""
        await world.make_function()
        world.functions.find("echo")

        await world.call("lambda", "delete_function", FunctionName="echo")

        with pytest.raises(FunctionNotFound) as missing:
            world.functions.find("echo")
        assert str(missing.value) == f"Function not found: {ARN}"


class TestVersions:
    """Versions and aliases."""

    async def test_published_versions_never_change(self, world: ServicesWorld) -> None:
        """Code, configuration and what is shown of a version stay when $LATEST goes on."""
        await world.make_function(Environment={"Variables": {"MODE": "1"}})
        await world.call("lambda", "publish_version", FunctionName="echo")
        shown = await world.call("lambda", "get_function", FunctionName="echo", Qualifier="1")

        await world.call("lambda", "update_function_code", FunctionName="echo", ZipFile=OTHER_CODE)
        await world.call(
            "lambda",
            "update_function_configuration",
            FunctionName="echo",
            Environment={"Variables": {"MODE": "2"}},
            Timeout=9,
        )

        kept = world.functions.find(f"{ARN}:1")
        latest = world.functions.find(f"{ARN}:$LATEST")
        again = await world.call("lambda", "get_function", FunctionName="echo", Qualifier="1")
        assert (kept.version, kept.arn, kept.invoked_arn) == ("1", ARN, f"{ARN}:1")
        assert (kept.code.read(), kept.environment, kept.timeout_ms) == (CODE, {"MODE": "1"}, 3000)
        assert (latest.code.read(), latest.environment) == (OTHER_CODE, {"MODE": "2"})
        assert shown["Configuration"] == again["Configuration"]
        assert again["Configuration"]["FunctionArn"] == f"{ARN}:1"

    async def test_publishing_without_a_change_gives_the_last_version(
        self, world: ServicesWorld
    ) -> None:
        """Only a change makes a new version; numbers go up and are not used again."""
        await world.make_function()
        publish = [await world.call("lambda", "publish_version", FunctionName="echo")]
        publish.append(await world.call("lambda", "publish_version", FunctionName="echo"))
        await world.call("lambda", "update_function_configuration", FunctionName="echo", Timeout=4)
        publish.append(await world.call("lambda", "publish_version", FunctionName="echo"))
        await world.call("lambda", "delete_function", FunctionName="echo", Qualifier="2")
        await world.call("lambda", "update_function_configuration", FunctionName="echo", Timeout=5)
        publish.append(await world.call("lambda", "publish_version", FunctionName="echo"))

        versions = await world.call("lambda", "list_versions_by_function", FunctionName=ARN)

        assert [each["Version"] for each in publish] == ["1", "1", "2", "3"]
        assert [each["Version"] for each in versions["Versions"]] == ["$LATEST", "1", "3"]

    async def test_create_and_update_can_publish(self, world: ServicesWorld) -> None:
        """``Publish`` makes a version along with the change."""
        made = await world.make_function(Publish=True)
        updated = await world.call(
            "lambda", "update_function_code", FunctionName="echo", ZipFile=OTHER_CODE, Publish=True
        )

        assert (made["Version"], updated["Version"]) == ("1", "2")
        assert world.functions.find("echo:1").code.read() == CODE
        assert world.functions.find("echo:2").code.read() == OTHER_CODE

    async def test_an_alias_leads_to_its_version(self, world: ServicesWorld) -> None:
        """The catalog follows an alias, also after it was moved; weights do not matter."""
        await world.make_function(Publish=True)
        await world.call(
            "lambda", "update_function_code", FunctionName="echo", ZipFile=OTHER_CODE, Publish=True
        )
        await world.call(
            "lambda",
            "create_alias",
            FunctionName="echo",
            Name="live",
            FunctionVersion="1",
            RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
        )
        first = world.functions.find(f"{ARN}:live")

        await world.call(
            "lambda", "update_alias", FunctionName="echo", Name="live", FunctionVersion="2"
        )

        second = world.functions.find(f"{ARN}:live")
        assert (first.version, first.invoked_arn, first.arn) == ("1", f"{ARN}:live", ARN)
        assert (first.code.read(), second.code.read()) == (CODE, OTHER_CODE)

    @pytest.mark.parametrize("name", ["echo:9", "echo:nobody", f"{ARN}:dead", "unknown", "a b"])
    async def test_what_does_not_exist_is_not_found(self, world: ServicesWorld, name: str) -> None:
        """Unknown functions, versions and aliases are not found."""
        await world.make_function()

        with pytest.raises(FunctionNotFound):
            world.functions.find(name)

    @pytest.mark.parametrize(
        "name",
        [
            "echo",
            "function:echo",
            f"{ACCOUNT}:function:echo",
            ARN,
            "echo:$LATEST",
            f"{REGION}:{ACCOUNT}:function:echo",
        ],
    )
    async def test_all_forms_of_a_name_are_understood(
        self, world: ServicesWorld, name: str
    ) -> None:
        """Name, partial ARN and ARN mean the same function."""
        await world.make_function()

        assert world.functions.find(name).arn == ARN

    @pytest.mark.parametrize(
        "arn",
        [
            f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:echo",
            f"arn:aws:lambda:{REGION}:111111111111:function:echo",
        ],
    )
    async def test_other_regions_and_accounts_have_no_such_function(
        self, world: ServicesWorld, arn: str
    ) -> None:
        """A function is found only where it is."""
        await world.make_function()

        with pytest.raises(FunctionNotFound):
            world.functions.find(arn)

    async def test_a_version_with_an_alias_cannot_be_deleted(self, world: ServicesWorld) -> None:
        """A version that an alias needs stays, and so does $LATEST."""
        await world.make_function(Publish=True)
        await world.call(
            "lambda", "create_alias", FunctionName="echo", Name="live", FunctionVersion="1"
        )

        with pytest.raises(ClientError) as in_use:
            await world.call("lambda", "delete_function", FunctionName="echo", Qualifier="1")
        with pytest.raises(ClientError) as latest:
            await world.call("lambda", "delete_function", FunctionName="echo:$LATEST")

        assert _code(in_use) == ("ResourceConflictException", 409)
        assert _code(latest) == ("InvalidParameterValueException", 400)
        assert world.functions.find("echo:live").code.read() == CODE


class TestLayers:
    """Layers of functions."""

    async def test_layers_come_in_their_order(self, world: ServicesWorld) -> None:
        """The catalog gives a function's layers, and a deleted one stays with the function."""
        arns = []
        for name in ("one", "two"):
            layer = await world.call(
                "lambda",
                "publish_layer_version",
                LayerName=name,
                Content={"ZipFile": zipped({f"python/{name}.py": ""})},
            )
            arns.append(layer["LayerVersionArn"])
        await world.make_function(Layers=arns)

        await world.call("lambda", "delete_layer_version", LayerName="one", VersionNumber=1)

        layers = world.functions.find("echo").layers
        shown = await world.call("lambda", "get_function_configuration", FunctionName="echo")
        assert [layer.read() for layer in layers] == [
            zipped({"python/one.py": ""}),
            zipped({"python/two.py": ""}),
        ]
        assert [each["Arn"] for each in shown["Layers"]] == arns

    async def test_a_layer_that_is_no_zip_is_refused(self, world: ServicesWorld) -> None:
        """A layer has to be a zip, and no version is made of anything else."""
        with pytest.raises(ClientError) as refusal:
            await world.call(
                "lambda", "publish_layer_version", LayerName="l", Content={"ZipFile": b"text"}
            )

        listed = await world.call("lambda", "list_layers")
        assert _code(refusal) == ("InvalidParameterValueException", 400)
        assert listed["Layers"] == []


class TestPermissions:
    """Resource policies, and what they let API Gateway do. Rules 3.27, 5.33."""

    async def test_nobody_may_call_a_new_function(self, world: ServicesWorld) -> None:
        """Without a statement API Gateway may not call."""
        await world.make_function()

        decision = world.permits.allows(ARN, SOURCE)

        assert not decision.is_allowed

    async def test_a_function_that_is_missing_is_a_refusal(self, world: ServicesWorld) -> None:
        """A permission cannot be given by something that does not exist."""
        decision = world.permits.allows(ARN, SOURCE)

        assert not decision.is_allowed
        assert ARN in decision.reason

    async def test_a_permission_holds_for_its_source_only(self, world: ServicesWorld) -> None:
        """The statement's source decides, until the statement is removed."""
        await world.make_function()
        await _statement(world, SourceArn=f"{SOURCE.rpartition('/')[0]}/*")

        allowed = world.permits.allows(ARN, SOURCE)
        other = world.permits.allows(ARN, SOURCE.replace("abcdef1234", "other12345"))
        await world.call("lambda", "remove_permission", FunctionName="echo", StatementId="gateway")
        removed = world.permits.allows(ARN, SOURCE)

        assert (allowed.is_allowed, other.is_allowed, removed.is_allowed) == (True, False, False)

    async def test_a_permission_of_an_alias_is_not_one_of_the_function(
        self, world: ServicesWorld
    ) -> None:
        """Each qualifier has statements of its own, given by parameter or in the name."""
        await world.make_function(Publish=True)
        for alias in ("live", "test"):
            await world.call(
                "lambda", "create_alias", FunctionName="echo", Name=alias, FunctionVersion="1"
            )
        await _statement(world, Qualifier="live")
        await _statement(world, FunctionName=f"{ARN}:test")

        policy = await world.call("lambda", "get_policy", FunctionName="echo", Qualifier="live")
        with pytest.raises(ClientError) as refusal:
            await world.call("lambda", "get_policy", FunctionName="echo")

        resources = [each["Resource"] for each in json.loads(policy["Policy"])["Statement"]]
        assert resources == [f"{ARN}:live"]
        assert _code(refusal) == ("ResourceNotFoundException", 404)
        assert world.permits.allows(f"{ARN}:live", SOURCE).is_allowed
        assert world.permits.allows(f"{ARN}:test", SOURCE).is_allowed
        assert not world.permits.allows(ARN, SOURCE).is_allowed
        assert not world.permits.allows(f"{ARN}:1", SOURCE).is_allowed

    async def test_a_statement_id_is_used_once(self, world: ServicesWorld) -> None:
        """The same id again is a conflict, and the policy stays as it was."""
        await world.make_function()
        await _statement(world)

        with pytest.raises(ClientError) as refusal:
            await _statement(world, SourceArn="arn:aws:execute-api:*")

        policy = json.loads(
            (await world.call("lambda", "get_policy", FunctionName="echo"))["Policy"]
        )
        assert _code(refusal) == ("ResourceConflictException", 409)
        assert len(policy["Statement"]) == 1

    async def test_function_urls_and_layers_have_statements_too(self, world: ServicesWorld) -> None:
        """A function URL's kind of login is a condition; a layer's policy is its own."""
        await world.make_function()
        await world.call(
            "lambda",
            "publish_layer_version",
            LayerName="l",
            Content={"ZipFile": zipped({"python/l.py": ""})},
        )

        await world.call(
            "lambda",
            "add_permission",
            FunctionName="echo",
            StatementId="url",
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
        )
        await world.call(
            "lambda",
            "add_layer_version_permission",
            LayerName="l",
            VersionNumber=1,
            StatementId="all",
            Action="lambda:GetLayerVersion",
            Principal="arn:aws:iam::123456789012:root",
        )

        function = await world.call("lambda", "get_policy", FunctionName="echo")
        layer = await world.call(
            "lambda", "get_layer_version_policy", LayerName="l", VersionNumber=1
        )
        statement = json.loads(function["Policy"])["Statement"][0]
        assert statement["Principal"] == "*"
        assert statement["Condition"] == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
        allowed = json.loads(layer["Policy"])["Statement"][0]["Principal"]
        assert allowed == {"AWS": "arn:aws:iam::123456789012:root"}

    async def test_statements_look_as_on_aws(self, world: ServicesWorld) -> None:
        """Principal and condition have AWS's shapes."""
        await world.make_function()
        await _statement(world, SourceAccount=ACCOUNT)
        await _statement(world, StatementId="account", Principal="123456789012")

        policy = json.loads(
            (await world.call("lambda", "get_policy", FunctionName="echo"))["Policy"]
        )

        gateway, account = policy["Statement"]
        assert gateway["Principal"] == {"Service": "apigateway.amazonaws.com"}
        assert gateway["Condition"] == {
            "ArnLike": {"AWS:SourceArn": SOURCE},
            "StringEquals": {"AWS:SourceAccount": ACCOUNT},
        }
        assert gateway["Resource"] == ARN
        assert account["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}


class TestLogs:
    """Functions' lines in CloudWatch Logs."""

    async def test_lines_are_there_as_soon_as_somebody_looks(self, world: ServicesWorld) -> None:
        """Lines appear under the function's group and stream, in order, with their times."""
        await world.make_function()
        function = world.functions.find("echo")
        now = 1_700_000_000_000
        world.functions.write(function, "s1", [LogLine(time_ms=now, text="first")])
        world.functions.write(function, "s1", [LogLine(time_ms=now + 5, text="second")])

        found = await world.call("logs", "filter_log_events", logGroupName="/aws/lambda/echo")
        read = await world.call(
            "logs", "get_log_events", logGroupName="/aws/lambda/echo", logStreamName="s1"
        )

        events = [(each["timestamp"], each["message"]) for each in found["events"]]
        assert events == [(now, "first"), (now + 5, "second")]
        assert [each["message"] for each in read["events"]] == ["first", "second"]

    async def test_the_configured_group_is_used(self, world: ServicesWorld) -> None:
        """A function with a logging configuration writes there and nowhere else."""
        await world.make_function(LoggingConfig={"LogGroup": "/shared"})
        function = world.functions.find("echo")
        world.functions.write(function, "s", [LogLine(time_ms=1, text="hello")])

        groups = await world.call("logs", "describe_log_groups")

        assert [each["logGroupName"] for each in groups["logGroups"]] == ["/shared"]

    async def test_only_the_newest_lines_wait(self, world: ServicesWorld) -> None:
        """What nobody reads is bounded: the oldest lines go first."""
        await world.make_function()
        function = world.functions.find("echo")
        for batch in range(30):
            lines = [LogLine(time_ms=batch, text=f"{batch}") for _ in range(1000)]
            world.functions.write(function, "s", lines)

        read = await world.call(
            "logs",
            "get_log_events",
            logGroupName="/aws/lambda/echo",
            logStreamName="s",
            startFromHead=True,
            limit=10_000,
        )

        texts = [each["message"] for each in read["events"]]
        assert (texts[0], texts[-1], len(texts)) == ("20", "29", 10_000)

    async def test_a_subscription_gets_lines_at_once(self, world: ServicesWorld) -> None:
        """With a subscription filter, lines reach the subscriber without anybody looking."""
        await world.make_function()
        await world.make_function("watcher")
        await world.call("logs", "create_log_group", logGroupName="/aws/lambda/echo")
        await world.call(
            "logs",
            "put_subscription_filter",
            logGroupName="/aws/lambda/echo",
            filterName="all",
            filterPattern="",
            destinationArn=ARN.replace("echo", "watcher"),
        )
        called = asyncio.Event()

        def watch(_payload: bytes) -> Any:
            called.set()
            return _NOTHING

        world.fake_runner.answers["watcher"] = watch
        function: Function = world.functions.find("echo")

        world.functions.write(function, "s", [LogLine(time_ms=1, text="hello")])

        async with asyncio.timeout(20):
            await called.wait()
        await world.invoke_api.events.idle()
