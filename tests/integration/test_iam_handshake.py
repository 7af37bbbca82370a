"""AWS_IAM on ``$connect``: signatures and identities, against moto's IAM and real sockets."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.credentials import Credentials
from iam_world import (
    ACCOUNT,
    API,
    CONNECT_ARN,
    REGION,
    ROOT,
    STAGE,
    STRANGER,
    IamWorld,
    credentials_of,
    iam_world,
    policy,
    role_arn,
    route,
    signed_connect,
    soon,
    trust,
)

from socketstack.core.model import Json
from socketstack.trace import Step

ALLOWED = policy("execute-api:Invoke", CONNECT_ARN)


@pytest.fixture
async def world() -> AsyncIterator[IamWorld]:
    """An engine with an API whose ``$connect`` needs a signature and whose ``$default`` echoes."""
    async with iam_world() as running:
        await running.make_role("functions", trust("lambda.amazonaws.com"))
        await running.make_function("echo")
        running.deploy(
            signed_connect("echo"), route("$default", "echo"), route("$disconnect", "echo")
        )
        yield running


def assert_refused_in_silence(world: IamWorld, answer: tuple[int, Any], reason: str) -> None:
    """A 403 that tells nothing, a trace that tells the reason, and nothing that ran."""
    assert answer == (403, {"message": "Forbidden"})
    assert reason in world.told(Step.REFUSED)[-1]
    assert world.told(Step.INVOKED) == []
    assert world.told(Step.FUNCTION) == []
    assert world.engine.store.connection_count() == 0


@pytest.mark.parametrize("form", ["header", "presigned"])
async def test_signed_handshake_opens_the_socket(world: IamWorld, form: str) -> None:
    """A user whose policy allows it connects, by headers and by a presigned address (4.01)."""
    alice = await world.make_user("alice", ALLOWED)
    url = world.presigned(alice) if form == "presigned" else ""
    headers = world.signed_headers(alice) if form == "header" else {}

    async with world.connect(url, additional_headers=headers) as client:
        await client.send("{}")
        answer = json.loads(await soon(client.recv()))

    assert answer["userArn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert world.told(Step.REFUSED) == []


async def test_identity_stays_in_the_connection(world: IamWorld) -> None:
    """Message and disconnect events name the signer for the connection's life (4.05)."""
    alice = await world.make_user("alice", ALLOWED)
    user = await world.call("iam", "get_user", UserName="alice")

    async with world.connect(world.presigned(alice), user_agent_header="tests") as client:
        await client.send("{}")
        identity = json.loads(await soon(client.recv()))

    assert identity == {
        "userArn": user["User"]["Arn"],
        "userAgent": "tests",
        "accountId": ACCOUNT,
        "caller": user["User"]["UserId"],
        "sourceIp": "127.0.0.1",
        "user": user["User"]["UserId"],
    }


@pytest.mark.parametrize("who", ["role", "session-token", "root"])
async def test_every_kind_of_principal_may_sign(world: IamWorld, who: str) -> None:
    """Sessions of roles, sessions of users and the account's root sign as themselves."""
    alice = await world.make_user("alice", ALLOWED)
    await world.make_role("visitors", trust(AWS=ACCOUNT), ALLOWED)
    signers = {
        "role": (await world.assume("visitors"), "sts", "assumed-role/visitors/s1"),
        "session-token": (
            credentials_of(await world.call("sts", "get_session_token", alice)),
            "iam",
            "user/alice",
        ),
        "root": (ROOT, "iam", "root"),
    }
    signer, service, name = signers[who]

    async with world.connect(world.presigned(signer)) as client:
        await client.send("{}")
        identity = json.loads(await soon(client.recv()))

    assert identity["userArn"] == f"arn:aws:{service}::{ACCOUNT}:{name}"


async def test_unsigned_handshake_is_forbidden(world: IamWorld) -> None:
    """Without a signature nobody connects to such a route (4.03)."""
    answer = await world.refused()

    assert_refused_in_silence(world, answer, "[4.03]")


@pytest.mark.parametrize(
    ("signer", "reason"),
    [
        pytest.param(STRANGER, "No access key AKIASTRANGER00000000 is known", id="unknown-key"),
        pytest.param(Credentials("test", "wrong"), "compare with the canonical", id="secret"),
        pytest.param(Credentials("test", "test", "t"), "token it does not have", id="token"),
    ],
)
@pytest.mark.parametrize("form", ["header", "presigned"])
async def test_bad_signature_is_forbidden(
    world: IamWorld, signer: Credentials, reason: str, form: str
) -> None:
    """Unknown keys, wrong secrets and wrong tokens are refused; the trace says why (4.04)."""
    url = world.presigned(signer) if form == "presigned" else ""
    headers = world.signed_headers(signer) if form == "header" else {}

    answer = await world.refused(url, additional_headers=headers)

    assert_refused_in_silence(world, answer, reason)
    assert "[4.04]" in world.told(Step.REFUSED)[-1]


async def test_changed_query_breaks_a_presigned_address(world: IamWorld) -> None:
    """Whatever is added to a presigned address was not signed, and its values are not told."""
    answer = await world.refused(world.presigned(ROOT) + "&token=very-secret-token")

    assert_refused_in_silence(world, answer, "canonical request")
    assert "very-secret-token" not in world.everything_told()


async def test_signature_for_another_region_is_forbidden(world: IamWorld) -> None:
    """The scope must name the API's own region; the trace names it."""
    answer = await world.refused(additional_headers=world.signed_headers(ROOT, region="eu-west-1"))

    assert_refused_in_silence(world, answer, f"The region here is '{REGION}'")


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        pytest.param([], "none of the 0 policies", id="no-policy"),
        pytest.param([policy("execute-api:ManageConnections")], "none of the 1", id="action"),
        pytest.param(
            [policy("execute-api:Invoke", CONNECT_ARN.replace("/dev/", "/prod/"))],
            "none of the 1",
            id="stage",
        ),
        pytest.param(
            [policy("execute-api:Invoke", f"arn:aws:execute-api:*:*:{API}/{STAGE}/*/*")],
            "none of the 1",
            id="written-for-rest",
        ),
        pytest.param(
            [ALLOWED, policy("*", "*", "Deny")], "Statement[0] denies", id="explicit-deny"
        ),
        pytest.param(
            [policy("execute-api:Invoke", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})],
            "none of the 1",
            id="address",
        ),
    ],
)
async def test_caller_without_permission_is_forbidden(
    world: IamWorld, documents: list[Json], reason: str
) -> None:
    """A right signature is not enough: the caller's policies must allow it (4.02)."""
    alice = await world.make_user("alice", *documents)

    answer = await world.refused(world.presigned(alice))

    assert_refused_in_silence(world, answer, reason)
    assert "[4.02]" in world.told(Step.REFUSED)[-1]
    assert CONNECT_ARN in world.told(Step.REFUSED)[-1]


async def test_condition_on_the_callers_address_holds(world: IamWorld) -> None:
    """Policies may ask for an address and for the caller's own name."""
    resource = CONNECT_ARN.replace("$connect", "*")
    conditions: Json = {
        "IpAddress": {"aws:SourceIp": "127.0.0.0/8"},
        "StringEquals": {"aws:username": "alice"},
        "Bool": {"aws:SecureTransport": "true"},
    }
    alice = await world.make_user("alice", policy("execute-api:*", resource, Condition=conditions))

    async with world.connect(world.presigned(alice)):
        count = world.engine.store.connection_count()

    assert count == 1


async def test_taken_permission_refuses_the_next_handshake_only(world: IamWorld) -> None:
    """Policies count at the next handshake; messages of an open socket ask nobody (4.07)."""
    alice = await world.make_user("alice", ALLOWED)

    async with world.connect(world.presigned(alice)) as client:
        denial = policy("execute-api:Invoke", "*", "Deny")
        await world.call(
            "iam",
            "put_user_policy",
            UserName="alice",
            PolicyName="p9",
            PolicyDocument=json.dumps(denial),
        )
        await client.send("{}")
        answer = json.loads(await soon(client.recv()))
        refused = await world.refused(world.presigned(alice))

    assert answer["userArn"].endswith("user/alice")
    assert refused == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("end", ["deleted", "inactive"])
async def test_key_that_was_taken_away_signs_nothing(world: IamWorld, end: str) -> None:
    """Deleted and inactive keys are refused at once."""
    alice = await world.make_user("alice", ALLOWED)
    key = {"UserName": "alice", "AccessKeyId": alice.access_key}
    async with world.connect(world.presigned(alice)):
        pass
    if end == "deleted":
        await world.call("iam", "delete_access_key", **key)
    else:
        await world.call("iam", "update_access_key", **key, Status="Inactive")

    status, _ = await world.refused(world.presigned(alice))

    assert status == 403
    assert alice.access_key in world.told(Step.REFUSED)[-1]


async def test_permissions_boundary_and_session_policy_bound(world: IamWorld) -> None:
    """A role's permissions are those that its boundary and the session's policy allow too."""
    boundary = await world.call(
        "iam",
        "create_policy",
        PolicyName="boundary",
        PolicyDocument=json.dumps(policy("execute-api:*")),
    )
    await world.make_role("visitors", trust(AWS=ACCOUNT), policy("*"))
    unbounded = await world.assume("visitors", Policy=json.dumps(policy("s3:*")))
    bounded = await world.assume("visitors", Policy=json.dumps(ALLOWED))
    await world.call(
        "iam",
        "put_role_permissions_boundary",
        RoleName="visitors",
        PermissionsBoundary=boundary["Policy"]["Arn"],
    )

    async with world.connect(world.presigned(bounded)):
        open_now = world.engine.store.connection_count()
    status, _ = await world.refused(world.presigned(unbounded))

    assert open_now == 1
    assert status == 403
    assert "the session policy" in world.told(Step.REFUSED)[-1]


async def test_boundary_that_nobody_can_read_refuses(world: IamWorld) -> None:
    """What a boundary would allow is unknown when there is no such policy."""
    await world.make_role("visitors", trust(AWS=ACCOUNT), policy("*"))
    session = await world.assume("visitors")
    await world.call(
        "iam",
        "put_role_permissions_boundary",
        RoleName="visitors",
        PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/none",
    )

    status, _ = await world.refused(world.presigned(session))

    assert status == 403
    assert "cannot be read" in world.told(Step.REFUSED)[-1]


async def test_session_of_a_removed_role_is_forbidden(world: IamWorld) -> None:
    """A session lives on when its role is removed, and may do nothing any more."""
    await world.make_role("visitors", trust(AWS=ACCOUNT))
    session = await world.assume("visitors")
    await world.call("iam", "delete_role", RoleName="visitors")

    status, _ = await world.refused(world.presigned(session))

    assert status == 403
    assert f"there is no role {role_arn('visitors')}" in world.told(Step.REFUSED)[-1]


async def test_policies_of_groups_and_managed_policies_count(world: IamWorld) -> None:
    """A user has its groups' policies too, inline and attached."""
    alice = await world.make_user("alice")
    made = await world.call(
        "iam", "create_policy", PolicyName="connect", PolicyDocument=json.dumps(ALLOWED)
    )
    await world.call("iam", "create_group", GroupName="chatters")
    await world.call(
        "iam", "attach_group_policy", GroupName="chatters", PolicyArn=made["Policy"]["Arn"]
    )
    before, _ = await world.refused(world.presigned(alice))
    await world.call("iam", "add_user_to_group", GroupName="chatters", UserName="alice")

    async with world.connect(world.presigned(alice)):
        open_now = world.engine.store.connection_count()

    assert (before, open_now) == (403, 1)
