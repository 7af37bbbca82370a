"""Identities over moto's records: keys, principals, permissions, and when they are read anew."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeClock
from services_world import ACCOUNT, REGION, TRUST, ServicesWorld, services_world

from socketstack.core.model import Json
from socketstack.core.principals import AccessKey, Caller, PrincipalKind
from socketstack.ids import RandomIds
from socketstack.runner.base import Function, Package
from socketstack.services.identities import IamRoles, Identities

GATEWAY: Json = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
EVERYTHING: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs"
FUNCTION = Function(
    name="chat",
    arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:chat",
    invoked_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:chat",
    version="$LATEST",
    handler="handler.handle",
    runtime="python3.13",
    role=f"arn:aws:iam::{ACCOUNT}:role/service/functions",
    region=REGION,
    account_id=ACCOUNT,
    code=Package(digest="x", read=lambda: b""),
)


class World:
    """Services with identities over them."""

    def __init__(self, services: ServicesWorld) -> None:
        self.services = services
        self.clock = FakeClock()
        self.identities = Identities(services.app, clock=self.clock, ids=RandomIds())

    async def call(self, service: str, operation: str, /, **parameters: Any) -> Any:
        """One call through boto3."""
        return await self.services.call(service, operation, **parameters)

    async def make_role(self, name: str, trust: Any, document: Json = None, **members: Any) -> str:
        """A role; returns its ARN."""
        made = await self.call(
            "iam",
            "create_role",
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(trust),
            **members,
        )
        if document is not None:
            await self.call(
                "iam",
                "put_role_policy",
                RoleName=name,
                PolicyName="p",
                PolicyDocument=json.dumps(document),
            )
        arn: str = made["Role"]["Arn"]
        return arn

    def found(self, access_key_id: str) -> AccessKey:
        """A key that must be known."""
        key = self.identities.find_key(access_key_id)
        assert key is not None
        return key

    def may(self, access_key_id: str, action: str = "sqs:SendMessage") -> bool:
        """Whether the owner of a key may do something to the queue."""
        return self.identities.may(Caller(key=self.found(access_key_id)), action, QUEUE).is_allowed


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Identities over an empty moto."""
    async with services_world() as services:
        yield World(services)


def test_only_root_is_known_before_anybody_calls_iam() -> None:
    """An engine that nobody has asked for IAM has its root and nobody else."""
    # Not the fixture's world: no service of moto is touched here.
    from socketstack.services.moto_app import MotoApp

    identities = Identities(
        MotoApp(account_id=ACCOUNT, region=REGION), clock=FakeClock(), ids=RandomIds()
    )

    root = identities.find_key("test")

    assert root is not None
    assert root.principal.kind is PrincipalKind.ROOT
    assert identities.find_key("AKIASOMEBODY") is None
    decision = IamRoles(identities).may("arn:aws:iam::000000000000:role/r", "a:b", QUEUE)
    assert not decision.is_allowed


async def test_key_of_a_user_is_found_and_forgotten(world: World) -> None:
    """A new key is known at once, and a deleted one is not any more."""
    await world.call("iam", "create_user", UserName="alice")
    made = (await world.call("iam", "create_access_key", UserName="alice"))["AccessKey"]

    key = world.found(made["AccessKeyId"])
    await world.call("iam", "delete_access_key", UserName="alice", AccessKeyId=made["AccessKeyId"])

    assert key.secret == made["SecretAccessKey"]
    assert key.principal.arn == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert world.identities.find_key(made["AccessKeyId"]) is None


async def test_reading_calls_keep_what_is_known(world: World) -> None:
    """Calls of IAM that only read do not make anything be read again."""
    await world.call("iam", "create_user", UserName="alice")
    before = world.services.app.identity_generation

    await world.call("iam", "list_users")
    await world.call("iam", "get_user", UserName="alice")

    assert world.services.app.identity_generation == before
    await world.call("iam", "delete_user", UserName="alice")
    assert world.services.app.identity_generation > before


async def test_session_ends_with_its_time(world: World) -> None:
    """A session's key carries its end and its session policy."""
    arn = await world.make_role("visitors", TRUST, EVERYTHING)
    made = await world.call(
        "sts",
        "assume_role",
        RoleArn=arn,
        RoleSessionName="s1",
        DurationSeconds=900,
        Policy=json.dumps(EVERYTHING).replace('"*"', '"sns:*"', 1),
    )
    keys = made["Credentials"]

    key = world.found(keys["AccessKeyId"])

    assert key.token == keys["SessionToken"]
    assert key.expires_at_ms == int(keys["Expiration"].timestamp() * 1000)
    assert key.principal.arn == made["AssumedRoleUser"]["Arn"]
    assert key.principal.user_id == made["AssumedRoleUser"]["AssumedRoleId"]
    assert not world.may(keys["AccessKeyId"])


async def test_session_tokens_are_ones_own(world: World) -> None:
    """``GetSessionToken`` gives keys that nobody else has."""
    first = (await world.call("sts", "get_session_token"))["Credentials"]
    second = (await world.call("sts", "get_session_token", DurationSeconds=900))["Credentials"]

    assert first["AccessKeyId"] != second["AccessKeyId"]
    assert world.found(first["AccessKeyId"]).token == first["SessionToken"]
    assert world.found(first["AccessKeyId"]).principal.kind is PrincipalKind.ROOT
    assert world.found(second["AccessKeyId"]).expires_at_ms == world.clock.now_ms() + 900_000


async def test_expired_sessions_are_dropped_after_a_while(world: World) -> None:
    """Keys of sessions that ended an hour ago are not kept."""
    made = (await world.call("sts", "get_session_token", DurationSeconds=900))["Credentials"]
    world.clock.advance(900 + 3_601)

    await world.call("sts", "get_session_token")

    assert world.identities.find_key(made["AccessKeyId"]) is None


async def test_federated_user_without_a_policy_may_nothing(world: World) -> None:
    """Without a session policy a federated user has no permission at all."""
    keys = (await world.call("sts", "get_federation_token", Name="guest"))["Credentials"]

    decision = world.identities.may(
        Caller(key=world.found(keys["AccessKeyId"])), "sqs:SendMessage", QUEUE
    )

    assert not decision.is_allowed
    assert "without a session policy" in decision.reason


async def test_function_has_one_session_for_its_role(world: World) -> None:
    """Every process of a function signs as the same session, another function as another."""
    role = await world.make_role("functions", TRUST, EVERYTHING, Path="/service/")
    credentials = world.identities.for_function(FUNCTION)

    again = world.identities.for_function(FUNCTION)
    other = world.identities.for_function(replace(FUNCTION, name="other"))

    principal = world.found(credentials.access_key_id).principal
    assert again == credentials
    assert other.access_key_id != credentials.access_key_id
    assert principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/functions/chat"
    assert principal.role_arn == role
    assert world.may(credentials.access_key_id)


async def test_function_whose_role_is_gone_may_nothing(world: World) -> None:
    """Policies are read when something is asked, so a removed role ends its functions' rights."""
    await world.make_role("functions", TRUST, EVERYTHING, Path="/service/")
    keys = world.identities.for_function(FUNCTION)
    before = world.may(keys.access_key_id)
    await world.call("iam", "delete_role_policy", RoleName="functions", PolicyName="p")
    without_policy = world.may(keys.access_key_id)
    await world.call("iam", "delete_role", RoleName="functions")

    assert (before, without_policy, world.may(keys.access_key_id)) == (True, False, False)


async def test_managed_policy_counts_in_its_default_version(world: World) -> None:
    """What an attached policy's default version says is what counts."""
    arn = await world.make_role("functions", TRUST, Path="/service/")
    made = await world.call(
        "iam", "create_policy", PolicyName="m", PolicyDocument=json.dumps(EVERYTHING)
    )
    policy_arn = made["Policy"]["Arn"]
    await world.call("iam", "attach_role_policy", RoleName="functions", PolicyArn=policy_arn)
    keys = world.identities.for_function(FUNCTION)
    before = world.may(keys.access_key_id)
    await world.call(
        "iam",
        "create_policy_version",
        PolicyArn=policy_arn,
        PolicyDocument=json.dumps(EVERYTHING).replace("Allow", "Deny"),
        SetAsDefault=True,
    )

    assert arn == FUNCTION.role
    assert (before, world.may(keys.access_key_id)) == (True, False)


async def test_policies_of_aws_count(world: World) -> None:
    """A policy that AWS manages counts like one's own."""
    await world.make_role("functions", TRUST, Path="/service/")
    await world.call(
        "iam",
        "attach_role_policy",
        RoleName="functions",
        PolicyArn="arn:aws:iam::aws:policy/AmazonSQSFullAccess",
    )
    keys = world.identities.for_function(FUNCTION)

    assert world.may(keys.access_key_id)
    assert not world.may(keys.access_key_id, "sns:Publish")


@pytest.mark.parametrize(
    ("trust", "document", "is_allowed", "reason"),
    [
        pytest.param(GATEWAY, EVERYTHING, True, "allows", id="may"),
        pytest.param(TRUST, EVERYTHING, False, "does not let apigateway", id="not-trusted"),
        pytest.param(GATEWAY, None, False, "none of the 0 policies", id="no-policy"),
    ],
)
async def test_role_needs_trust_and_permission(
    world: World, trust: Any, document: Json, reason: str, *, is_allowed: bool
) -> None:
    """A role that API Gateway shall use must trust it and be allowed the action (3.26)."""
    arn = await world.make_role("caller", trust, document)

    decision = IamRoles(world.identities).may(arn, "sqs:SendMessage", QUEUE)

    assert decision.is_allowed is is_allowed
    assert reason in decision.reason


async def test_passing_the_callers_identity_on_is_no_role(world: World) -> None:
    """``arn:aws:iam::*:user/*`` would call as the caller, which is refused here (5.67)."""
    decision = IamRoles(world.identities).may("arn:aws:iam::*:user/*", "sqs:SendMessage", QUEUE)

    assert not decision.is_allowed
    assert "caller's identity" in decision.reason
