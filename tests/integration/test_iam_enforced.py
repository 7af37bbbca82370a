"""``SOCKETSTACK_IAM=enforce``: every AWS call needs a right signature and permission."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from iam_world import (
    ACCOUNT,
    REGION,
    ROOT,
    STRANGER,
    IamWorld,
    credentials_of,
    iam_world,
    policy,
    role_arn,
    trust,
)

from socketstack.core.model import Json
from socketstack.trace import Step

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/rows"
Call = tuple[str, str, dict[str, Any]]


@pytest.fixture
async def world() -> AsyncIterator[IamWorld]:
    """An engine that enforces IAM."""
    async with iam_world(is_enforced=True) as running:
        yield running


async def prepare(world: IamWorld) -> None:
    """A few resources, made by root."""
    await world.call(
        "dynamodb",
        "create_table",
        TableName="rows",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    await world.call("sqs", "create_queue", QueueName="jobs")
    await world.call("sns", "create_topic", Name="news")
    await world.call("s3", "create_bucket", Bucket="files")
    await world.call("s3", "put_object", Bucket="files", Key="a b/c", Body=b"x")
    await world.call("secretsmanager", "create_secret", Name="key", SecretString="s")
    await world.call("ssm", "put_parameter", Name="/app/x", Value="v", Type="String")
    await world.call("logs", "create_log_group", logGroupName="/app")
    await world.make_role("functions", trust("lambda.amazonaws.com"))
    await world.make_function("echo")


def code_of(refusal: "pytest.ExceptionInfo[ClientError]") -> tuple[str, int]:
    """AWS's name of an error, and the HTTP status."""
    response = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def queue_url(world: IamWorld) -> str:
    """The queue's address."""
    return f"{world.engine.endpoint}/{ACCOUNT}/jobs"


def item(identity: str) -> dict[str, Any]:
    """A row's key."""
    return {"id": {"S": identity}}


CALLS: dict[str, tuple[Call, str, str]] = {
    # what is called, and the action and resource that the caller needs
    "dynamodb": (
        ("dynamodb", "put_item", {"TableName": "rows", "Item": item("1")}),
        "dynamodb:PutItem",
        TABLE,
    ),
    "transaction": (
        (
            "dynamodb",
            "transact_write_items",
            {"TransactItems": [{"Put": {"TableName": "rows", "Item": item("1")}}]},
        ),
        "dynamodb:PutItem",
        TABLE,
    ),
    "batch": (
        ("dynamodb", "batch_get_item", {"RequestItems": {"rows": {"Keys": [item("1")]}}}),
        "dynamodb:BatchGetItem",
        TABLE,
    ),
    "sqs": (
        ("sqs", "send_message", {"QueueUrl": "jobs", "MessageBody": "x"}),
        "sqs:SendMessage",
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs",
    ),
    "sns": (
        ("sns", "publish", {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:news", "Message": "x"}),
        "sns:Publish",
        f"arn:aws:sns:{REGION}:{ACCOUNT}:news",
    ),
    "s3-get": (
        ("s3", "get_object", {"Bucket": "files", "Key": "a b/c"}),
        "s3:GetObject",
        "arn:aws:s3:::files/a b/*",
    ),
    "s3-put": (
        ("s3", "put_object", {"Bucket": "files", "Key": "new", "Body": b"x"}),
        "s3:PutObject",
        "arn:aws:s3:::files/*",
    ),
    "s3-list": (
        ("s3", "list_objects_v2", {"Bucket": "files"}),
        "s3:ListBucket",
        "arn:aws:s3:::files",
    ),
    "secret": (
        ("secretsmanager", "get_secret_value", {"SecretId": "key"}),
        "secretsmanager:GetSecretValue",
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:key-??????",
    ),
    "parameter": (
        ("ssm", "get_parameter", {"Name": "/app/x"}),
        "ssm:GetParameter",
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/app/x",
    ),
    "logs": (
        ("logs", "create_log_stream", {"logGroupName": "/app", "logStreamName": "s"}),
        "logs:CreateLogStream",
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/app:*",
    ),
    "lambda": (
        ("lambda", "get_function", {"FunctionName": "echo"}),
        "lambda:GetFunction",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:echo",
    ),
    "invoke": (
        (
            "lambda",
            "invoke",
            {"FunctionName": "echo", "Payload": b'{"requestContext": {"identity": 1}}'},
        ),
        "lambda:InvokeFunction",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:echo",
    ),
    "iam": (("iam", "get_role", {"RoleName": "functions"}), "iam:GetRole", role_arn("functions")),
    "gateway": (
        ("apigatewayv2", "get_apis", {}),
        "apigateway:GET",
        f"arn:aws:apigateway:{REGION}::/apis",
    ),
    "list": (("dynamodb", "list_tables", {}), "dynamodb:ListTables", "*"),
    "stacks": (("cloudformation", "describe_stacks", {}), "cloudformation:DescribeStacks", "*"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_call_needs_its_own_permission(world: IamWorld, name: str) -> None:
    """Each call passes with a policy for its action and resource, and with nothing less."""
    (service, operation, parameters), action, resource = CALLS[name]
    await prepare(world)
    if "QueueUrl" in parameters:
        parameters = {**parameters, "QueueUrl": queue_url(world)}
    other = f"{action}X" if action.startswith("apigateway") else f"{action.split(':')[0]}:Other*"
    alice = await world.make_user("alice", policy(action, resource))
    bob = await world.make_user("bob", policy(other, "*"), policy(action, "arn:aws:s3:::elsewhere"))

    await world.call(service, operation, alice, **parameters)
    with pytest.raises(ClientError) as refusal:
        await world.call(service, operation, bob, **parameters)

    assert code_of(refusal)[0] in {"AccessDeniedException", "AccessDenied"}
    assert f"is not authorized to perform: {action} on resource: " in str(refusal.value)
    assert "user/bob may not" in world.told(Step.REFUSED)[-1]


@pytest.mark.parametrize(
    ("service", "operation", "codes"),
    [
        pytest.param(
            "dynamodb",
            "list_tables",
            ["UnrecognizedClientException", "InvalidSignatureException"],
            id="json",
        ),
        pytest.param(
            "iam", "list_roles", ["InvalidClientTokenId", "SignatureDoesNotMatch"], id="query"
        ),
        pytest.param(
            "s3", "list_buckets", ["InvalidAccessKeyId", "SignatureDoesNotMatch"], id="s3"
        ),
        pytest.param(
            "apigatewayv2",
            "get_apis",
            ["UnrecognizedClientException", "InvalidSignatureException"],
            id="rest-json",
        ),
        pytest.param(
            "lambda",
            "list_functions",
            ["UnrecognizedClientException", "InvalidSignatureException"],
            id="lambda",
        ),
    ],
)
async def test_bad_signature_has_the_name_of_its_protocol(
    world: IamWorld, service: str, operation: str, codes: list[str]
) -> None:
    """Unknown keys and wrong secrets are refused by every service, as AWS names it (1.01)."""
    found = []
    for credentials in (STRANGER, Credentials("test", "wrong")):
        with pytest.raises(ClientError) as refusal:
            await world.call(service, operation, credentials)
        found.append(code_of(refusal)[0])

    assert found == codes


@pytest.mark.parametrize("service", ["dynamodb", "iam", "s3", "apigatewayv2"])
async def test_unsigned_call_is_refused(world: IamWorld, service: str) -> None:
    """Nobody is the account's owner without a signature."""
    operations = {
        "dynamodb": "list_tables",
        "iam": "list_roles",
        "s3": "list_buckets",
        "apigatewayv2": "get_apis",
    }
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={})
    client = world.client(service, ROOT, config=config)

    with pytest.raises(ClientError) as refusal:
        await asyncio.to_thread(getattr(client, operations[service]))

    assert code_of(refusal)[1] in {400, 403}
    assert "not signed" in world.told(Step.REFUSED)[-1]


async def test_refused_call_changes_nothing(world: IamWorld) -> None:
    """What is refused has not been done."""
    alice = await world.make_user("alice")

    with pytest.raises(ClientError):
        await world.call("s3", "create_bucket", alice, Bucket="mine")
    with pytest.raises(ClientError):
        await world.call(
            "apigatewayv2",
            "create_api",
            alice,
            Name="x",
            ProtocolType="WEBSOCKET",
            RouteSelectionExpression="$request.body.action",
        )

    assert (await world.call("s3", "list_buckets"))["Buckets"] == []
    assert (await world.call("apigatewayv2", "get_apis"))["Items"] == []


async def test_api_is_managed_by_path_and_method(world: IamWorld) -> None:
    """The control plane's permission is the HTTP method on the path of what is changed."""
    made = await world.call(
        "apigatewayv2",
        "create_api",
        Name="chat",
        ProtocolType="WEBSOCKET",
        RouteSelectionExpression="$request.body.action",
    )
    path = f"arn:aws:apigateway:{REGION}::/apis/{made['ApiId']}"
    alice = await world.make_user("alice", policy("apigateway:POST", f"{path}/routes"))

    route = await world.call(
        "apigatewayv2", "create_route", alice, ApiId=made["ApiId"], RouteKey="x"
    )
    with pytest.raises(ClientError) as refusal:
        await world.call(
            "apigatewayv2", "delete_route", alice, ApiId=made["ApiId"], RouteId=route["RouteId"]
        )

    assert code_of(refusal) == ("AccessDeniedException", 403)
    assert f"apigateway:DELETE on resource: {path}/routes/{route['RouteId']}" in str(refusal.value)


async def test_anybody_may_ask_who_he_is(world: IamWorld) -> None:
    """``GetCallerIdentity`` needs no permission, and no Deny takes it away."""
    alice = await world.make_user("alice", policy("*", "*", "Deny"))

    identity = await world.call("sts", "get_caller_identity", alice)

    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"


@pytest.mark.parametrize(
    ("trusted", "documents", "is_assumed"),
    [
        pytest.param(trust(AWS=ACCOUNT), [policy("sts:AssumeRole")], True, id="account-and-policy"),
        pytest.param(trust(AWS=ACCOUNT), [], False, id="account-without-policy"),
        pytest.param(
            trust(AWS=f"arn:aws:iam::{ACCOUNT}:user/alice"), [], True, id="named-in-the-trust"
        ),
        pytest.param(
            trust(AWS=f"arn:aws:iam::{ACCOUNT}:user/alice"),
            [policy("sts:*", "*", "Deny")],
            False,
            id="named-and-denied",
        ),
        pytest.param(
            trust(AWS=f"arn:aws:iam::{ACCOUNT}:user/bob"),
            [policy("sts:AssumeRole")],
            False,
            id="somebody-else",
        ),
        pytest.param(
            trust("lambda.amazonaws.com"), [policy("sts:AssumeRole")], False, id="service"
        ),
    ],
)
async def test_role_is_assumed_where_both_sides_agree(
    world: IamWorld, trusted: Json, documents: list[Json], *, is_assumed: bool
) -> None:
    """A session needs the role's trust, and the caller's policy unless the trust names it."""
    alice = await world.make_user("alice", *documents)
    await world.make_role("visitors", trusted)
    parameters = {"RoleArn": role_arn("visitors"), "RoleSessionName": "s1"}

    try:
        await world.call("sts", "assume_role", alice, **parameters)
        outcome = "assumed"
    except ClientError as refusal:
        outcome = refusal.response["Error"]["Code"]

    assert outcome == ("assumed" if is_assumed else "AccessDenied")


async def test_session_signs_with_its_token_only(world: IamWorld) -> None:
    """A session's keys without its token are nobody's."""
    await world.make_role("visitors", trust(AWS=ACCOUNT), policy("dynamodb:*"))
    session = await world.assume("visitors")

    await world.call("dynamodb", "list_tables", session)
    with pytest.raises(ClientError) as refusal:
        await world.call(
            "dynamodb", "list_tables", Credentials(session.access_key, session.secret_key)
        )

    assert code_of(refusal)[0] == "UnrecognizedClientException"


async def test_federated_user_has_what_both_policies_allow(world: IamWorld) -> None:
    """A federated user's permissions are bounded by the policy it was made with."""
    alice = await world.make_user("alice", policy("sts:*"), policy("dynamodb:*"))
    made = await world.call(
        "sts",
        "get_federation_token",
        alice,
        Name="guest",
        Policy=json.dumps(policy(["dynamodb:ListTables", "s3:*"])),
    )
    guest = credentials_of(made)

    identity = await world.call("sts", "get_caller_identity", guest)
    await world.call("dynamodb", "list_tables", guest)
    with pytest.raises(ClientError):
        await world.call("s3", "list_buckets", guest)
    with pytest.raises(ClientError):
        await world.call("dynamodb", "describe_limits", guest)

    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:federated-user/guest"


async def test_role_is_passed_with_permission_only(world: IamWorld) -> None:
    """Whoever makes a function needs ``iam:PassRole`` on its role."""
    role = await world.make_role("functions", trust("lambda.amazonaws.com"))
    alice = await world.make_user("alice", policy("lambda:*"))
    parameters = {
        "FunctionName": "echo",
        "Runtime": "python3.13",
        "Handler": "handler.handle",
        "Role": role,
        "Code": {"ZipFile": b"PK\x05\x06" + bytes(18)},
    }

    with pytest.raises(ClientError) as refusal:
        await world.call("lambda", "create_function", alice, **parameters)

    assert f"iam:PassRole on resource: {role}" in str(refusal.value)
    assert (await world.call("lambda", "list_functions"))["Functions"] == []


async def test_own_addresses_stay_open(world: IamWorld) -> None:
    """Health and events of the engine itself need no signature."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def health() -> Any:
        with opener.open(f"{world.engine.endpoint}/_socketstack/health") as answer:
            return json.load(answer)

    assert (await asyncio.to_thread(health))["status"] == "ok"
