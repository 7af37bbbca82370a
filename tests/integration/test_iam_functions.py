"""Functions sign as their execution role, and roles decide what API Gateway may call."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from iam_world import (
    ACCOUNT,
    CONNECTIONS,
    IamWorld,
    function_arn,
    guarded_connect,
    iam_world,
    policy,
    role_arn,
    route,
    soon,
    trust,
)

from socketstack.core.model import Json
from socketstack.trace import Step

WHO = """
    import boto3

    def handle(event, context):
        return boto3.client("sts").get_caller_identity()["Arn"]
"""
PUSHER = """
    import boto3

    def handle(event, context):
        at = event["requestContext"]
        url = f"http://localhost:{at['domainName'].rpartition(':')[2]}/_aws/execute-api/"
        client = boto3.client(
            "apigatewaymanagementapi", endpoint_url=f"{url}{at['apiId']}/{at['stage']}"
        )
        try:
            client.post_to_connection(ConnectionId=at["connectionId"], Data=b"pushed")
        except Exception as error:
            return {"statusCode": 200, "body": str(error)}
        return {"statusCode": 200, "body": "done"}
"""
ALLOWING = """
    def handle(event, context):
        statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "p", "policyDocument": policy}
"""
MANAGE = "execute-api:ManageConnections"
LAMBDA = trust("lambda.amazonaws.com")
GATEWAY = trust("apigateway.amazonaws.com")


@pytest.fixture
async def lax() -> AsyncIterator[IamWorld]:
    """An engine as it is by default."""
    async with iam_world() as running:
        yield running


@pytest.fixture
async def enforced() -> AsyncIterator[IamWorld]:
    """An engine that enforces IAM."""
    async with iam_world(is_enforced=True) as running:
        yield running


async def invoke(world: IamWorld, name: str) -> Any:
    """What a function returns when root calls it."""
    answer = await world.call("lambda", "invoke", FunctionName=name)
    payload = await asyncio.to_thread(answer["Payload"].read)
    return json.loads(payload)


@pytest.mark.parametrize("mode", ["lax", "enforced"])
async def test_function_is_a_session_of_its_role(mode: str) -> None:
    """``GetCallerIdentity`` inside a function names role and function, in both modes."""
    async with iam_world(is_enforced=mode == "enforced") as world:
        await world.make_role("chat", LAMBDA)
        await world.make_function("who", WHO, role="chat")

        arn = await invoke(world, "who")

    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/chat/who"


async def test_unknown_keys_are_told_to_be_root(lax: IamWorld) -> None:
    """By default any credentials are the account's owner, and ``GetCallerIdentity`` says so."""
    identity = await lax.call("sts", "get_caller_identity")

    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert (identity["UserId"], identity["Account"]) == (ACCOUNT, ACCOUNT)


@pytest.mark.parametrize(
    ("trusted", "documents", "answers"),
    [
        pytest.param(
            LAMBDA,
            [policy(MANAGE, f"{CONNECTIONS}/POST/@connections/*")],
            ["pushed", "done"],
            id="may",
        ),
        pytest.param(LAMBDA, [], ["AccessDeniedException"], id="no-permission"),
        pytest.param(
            LAMBDA, [policy(MANAGE, f"{CONNECTIONS}/GET/*")], ["AccessDeniedException"], id="get"
        ),
        pytest.param(GATEWAY, [policy("*")], ["AccessDeniedException"], id="trusts-no-lambda"),
    ],
)
async def test_function_pushes_as_its_role_may(
    enforced: IamWorld, trusted: Json, documents: list[Json], answers: list[str]
) -> None:
    """With enforcement the role of the function decides about its pushes (7.07)."""
    await enforced.make_role("chat", LAMBDA, *documents)
    await enforced.make_function("push", PUSHER, role="chat")
    await enforced.call(
        "iam",
        "update_assume_role_policy",
        RoleName="chat",
        PolicyDocument=json.dumps(trusted),
    )
    enforced.deploy(route("$default", "push"))

    async with enforced.connect() as client:
        await client.send("{}")
        got = [str(await soon(client.recv())) for _ in answers]

    assert [answer in text for answer, text in zip(answers, got, strict=True)] == [True] * len(got)
    assert ("pushed" in got) is ("pushed" in answers)


async def test_by_default_the_push_passes_with_a_warning(lax: IamWorld) -> None:
    """By default a role without the permission pushes, and the trace says what AWS would do."""
    await lax.make_role("chat", LAMBDA)
    await lax.make_function("push", PUSHER, role="chat")
    lax.deploy(route("$default", "push"))

    async with lax.connect() as client:
        await client.send("{}")
        got = [await soon(client.recv()), await soon(client.recv())]

    assert got == ["pushed", "done"]
    assert f"assumed-role/chat/push lacks {MANAGE}" in "".join(lax.told(Step.WARNING))


@pytest.mark.parametrize(
    ("trusted", "documents", "reason"),
    [
        pytest.param(GATEWAY, [policy("lambda:InvokeFunction")], None, id="may"),
        pytest.param(
            GATEWAY,
            [policy("lambda:InvokeFunction", function_arn("other"))],
            "none of the 1 policies",
            id="another-function",
        ),
        pytest.param(
            LAMBDA, [policy("lambda:InvokeFunction")], "does not let apigateway", id="trust"
        ),
        pytest.param(None, [], "there is no role", id="no-role"),
    ],
)
async def test_role_of_an_integration_decides(
    lax: IamWorld, trusted: Json, documents: list[Json], reason: str | None
) -> None:
    """``credentialsArn`` needs a role that API Gateway may assume and that may call (5.33)."""
    await lax.make_role("functions", LAMBDA)
    await lax.make_function("echo", is_open=False)
    if trusted is not None:
        await lax.make_role("caller", trusted, *documents)
    lax.deploy(route("$default", "echo", credentials_arn=role_arn("caller")))

    async with lax.connect() as client:
        await client.send("{}")
        answer = json.loads(await soon(client.recv()))

    assert ("sourceIp" in answer) is (reason is None)
    assert (answer.get("message") == "Internal server error") is (reason is not None)
    assert (reason or "") in "".join(lax.told(Step.ERROR))
    assert bool(lax.told(Step.INVOKED)) is (reason is None)


@pytest.mark.parametrize("is_trusted", [True, False], ids=["trusted", "not-trusted"])
async def test_role_of_an_authorizer_decides(lax: IamWorld, *, is_trusted: bool) -> None:
    """``AuthorizerCredentialsArn`` lets API Gateway call the authorizer, or 500 (3.26, 3.27)."""
    await lax.make_role("functions", LAMBDA)
    await lax.make_function("echo")
    await lax.make_function("authorizer", ALLOWING, is_open=False)
    trusted = GATEWAY if is_trusted else LAMBDA
    await lax.make_role("caller", trusted, policy("lambda:InvokeFunction"))
    lax.deploy(guarded_connect(role_arn("caller")), route("$default", "echo"))

    if is_trusted:
        async with lax.connect():
            outcome: Any = lax.engine.store.connection_count()
    else:
        outcome = await lax.refused()

    assert outcome == (1 if is_trusted else (500, {"message": "Internal server error"}))
    assert bool(lax.told(Step.AUTHORIZER)) is is_trusted
