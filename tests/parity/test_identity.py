"""Who may connect by a signature or an API key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from parity.account import Account, Event, Function, Stage
from parity.apis import ApiBuilder, Guard, Route
from parity.sockets import UnopenedError, connect, connected_as, refused

rule = pytest.mark.rule
_EXPIRES_SECONDS = 60


def opened(account: Account, stage: Stage, **options: Any) -> bool | None:
    """True when a socket opens now; what was made a moment ago may need a while on AWS."""
    try:
        with connect(account, stage, **options):
            return True
    except UnopenedError:
        return None


# Signatures


@dataclass(frozen=True)
class User:
    """An IAM user with an access key, who may connect as its policy says."""

    account: Account
    name: str
    arn: str
    credentials: Credentials

    def allow(self, *statements: Mapping[str, str]) -> None:
        """Replace the policy."""
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        self.account.client("iam").put_user_policy(
            UserName=self.name, PolicyName="connect", PolicyDocument=json.dumps(document)
        )


@pytest.fixture(scope="module")
def user(account: Account) -> User:
    """A user without permissions yet."""
    iam, name = account.client("iam"), f"{account.prefix}-user"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    account.on_close(name, lambda: iam.delete_user(UserName=name))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    key_id = key["AccessKeyId"]
    account.on_close(
        f"key of {name}", lambda: iam.delete_access_key(UserName=name, AccessKeyId=key_id)
    )
    iam.put_user_policy(
        UserName=name, PolicyName="connect", PolicyDocument=json.dumps(_document(allowing("*")))
    )
    account.on_close(
        f"policy of {name}",
        lambda: iam.delete_user_policy(UserName=name, PolicyName="connect"),
    )
    return User(account, name, arn, Credentials(key_id, key["SecretAccessKey"]))


def _document(*statements: Mapping[str, str]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allowing(resource: str, effect: str = "Allow") -> dict[str, str]:
    """A statement about connecting."""
    return {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}


@pytest.fixture(scope="module")
def signed_stage(account: Account, worker: Function) -> Stage:
    """A stage whose clients must sign."""
    return (
        ApiBuilder(account, "signed")
        .add(
            Route(key="$connect", function=worker, members={"AuthorizationType": "AWS_IAM"}),
            Route(key="$default", function=worker, is_two_way=True),
        )
        .deploy()
    )


def route_arn(stage: Stage, user: User, route: str) -> str:
    """What policies name: the route, without an HTTP method."""
    region, owner = user.account.target.region, user.arn.split(":")[4]
    return f"arn:aws:execute-api:{region}:{owner}:{stage.api_id}/{stage.name}/{route}"


def signature(
    user: User, stage: Stage, *, service: str = "execute-api", secret: str = ""
) -> dict[str, str]:
    """The headers that sign a handshake."""
    credentials = Credentials(user.credentials.access_key, secret or user.credentials.secret_key)
    request = AWSRequest(method="GET", url=_http(stage.url))
    SigV4Auth(credentials, service, user.account.target.region).add_auth(request)
    return dict(request.headers.items())


def presigned(user: User, stage: Stage, *, seconds: int = _EXPIRES_SECONDS) -> str:
    """The query that signs a handshake, for browsers."""
    request = AWSRequest(method="GET", url=_http(stage.url))
    region = user.account.target.region
    SigV4QueryAuth(user.credentials, "execute-api", region, expires=seconds).add_auth(request)
    assert request.url is not None
    return f"?{request.url.partition('?')[2]}"


def _http(url: str) -> str:
    return f"http{url.removeprefix('ws')}"


def assert_kept_out(account: Account, stage: Stage, worker: Function, **options: Any) -> None:
    """The handshake gets 403 and no function runs."""
    mark = "kept-out"
    headers = {**options.pop("headers", {}), "X-Out": mark}

    answer = refused(account, stage, headers=headers, **options)

    assert answer.status == 403
    assert not account.was_called(worker, lambda event: mark in json.dumps(event))


@rule("4.01", "4.02", "4.06")
def test_signed_client_with_permission_gets_in(
    account: Account, signed_stage: Stage, user: User
) -> None:
    """A signature in headers or in the query opens, with permission for exactly the route."""
    user.allow(allowing(route_arn(signed_stage, user, "$connect")))

    assert account.eventually(
        lambda: opened(account, signed_stage, headers=signature(user, signed_stage))
    )
    assert account.eventually(
        lambda: opened(account, signed_stage, below=presigned(user, signed_stage))
    )


@rule("4.05")
def test_caller_is_in_every_event(
    account: Account, signed_stage: Stage, user: User, worker: Function
) -> None:
    """The events of a signed connection name the user."""
    user.allow(allowing("*"))
    account.eventually(lambda: opened(account, signed_stage, headers=signature(user, signed_stage)))

    with connect(account, signed_stage, headers=signature(user, signed_stage)) as client:
        (connecting,) = account.events(worker, connected_as(client.mark))
        message = client.event("hello")

    for event in (connecting, message):
        identity = event["requestContext"]["identity"]
        assert identity["userArn"] == user.arn
        assert identity["accountId"] == user.arn.split(":")[4]


@rule("4.07")
def test_permission_is_not_asked_again_for_messages(
    account: Account, signed_stage: Stage, user: User
) -> None:
    """A Deny for a message's route has no effect on who is connected."""
    user.allow(
        allowing(route_arn(signed_stage, user, "*")),
        allowing(route_arn(signed_stage, user, "$default"), "Deny"),
    )
    account.eventually(lambda: opened(account, signed_stage, headers=signature(user, signed_stage)))

    with connect(account, signed_stage, headers=signature(user, signed_stage)) as client:
        assert client.event("hello")["requestContext"]["routeKey"] == "$default"


@rule("4.03")
def test_unsigned_client_is_kept_out(
    account: Account, signed_stage: Stage, worker: Function
) -> None:
    """Without a signature, or with another kind of credentials, nobody gets in."""
    assert_kept_out(account, signed_stage, worker)
    assert_kept_out(account, signed_stage, worker, headers={"Authorization": "Bearer something"})


@rule("4.04")
@pytest.mark.parametrize("what", ["secret", "service", "changed", "expired"])
def test_wrong_signature_is_kept_out(
    account: Account, signed_stage: Stage, user: User, worker: Function, what: str
) -> None:
    """A wrong secret or service, a changed or an expired address: 403."""
    user.allow(allowing("*"))
    account.eventually(lambda: opened(account, signed_stage, headers=signature(user, signed_stage)))
    options: dict[str, dict[str, Any]] = {
        "secret": {"headers": signature(user, signed_stage, secret="wrong")},
        "service": {"headers": signature(user, signed_stage, service="lambda")},
        "changed": {"below": presigned(user, signed_stage) + "&more=1"},
        "expired": {"below": presigned(user, signed_stage, seconds=0)},
    }

    assert_kept_out(account, signed_stage, worker, **options[what])


@rule("4.02", "4.06")
@pytest.mark.parametrize("resource", ["other-route", "with-method", "deny"])
def test_signed_client_without_permission_is_kept_out(
    account: Account, signed_stage: Stage, user: User, worker: Function, resource: str
) -> None:
    """Permission for another route, in REST's form, or beside a Deny is none."""
    connecting = route_arn(signed_stage, user, "$connect")
    policies = {
        "other-route": [allowing(route_arn(signed_stage, user, "$default"))],
        "with-method": [allowing(route_arn(signed_stage, user, "GET/$connect"))],
        "deny": [allowing("*"), allowing(connecting, "Deny")],
    }
    user.allow(*policies[resource])
    headers = signature(user, signed_stage)

    account.eventually(lambda: opened(account, signed_stage, headers=headers) is None or None)

    assert_kept_out(account, signed_stage, worker, headers=headers)


# API keys


@dataclass(frozen=True)
class Key:
    """An API key."""

    id: str
    value: str


def make_key(account: Account, name: str) -> Key:
    """A key that is in no usage plan yet."""
    gateway = account.client("apigateway")
    made = gateway.create_api_key(name=f"{account.prefix}-{name}", enabled=True)
    account.on_close(f"key {name}", lambda: gateway.delete_api_key(apiKey=made["id"]))
    return Key(made["id"], made["value"])


def make_plan(account: Account, name: str, stages: list[Stage], *keys: Key, **limits: Any) -> None:
    """A usage plan for stages and keys."""
    gateway = account.client("apigateway")
    places = [{"apiId": stage.api_id, "stage": stage.name} for stage in stages]
    plan = gateway.create_usage_plan(name=f"{account.prefix}-{name}", apiStages=places, **limits)[
        "id"
    ]
    account.on_close(f"plan {name}", lambda: gateway.delete_usage_plan(usagePlanId=plan))
    for place in places:
        # AWS deletes no plan that still has stages.
        operation = {
            "op": "remove",
            "path": "/apiStages",
            "value": f"{place['apiId']}:{place['stage']}",
        }
        account.on_close(
            f"stage of plan {name}",
            lambda operation=operation: gateway.update_usage_plan(  # type: ignore[misc]
                usagePlanId=plan, patchOperations=[operation]
            ),
        )
    for key in keys:
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key.id, keyType="API_KEY")


@pytest.fixture(scope="module")
def key(account: Account) -> Key:
    """A key of the plan of ``metered``."""
    return make_key(account, "right")


@pytest.fixture(scope="module")
def metered(account: Account, worker: Function, key: Key) -> Stage:
    """A stage that wants an API key."""
    stage = _metered(account, "metered", worker)
    make_plan(account, "plan", [stage], key)
    return stage


def _metered(account: Account, name: str, worker: Function) -> Stage:
    return (
        ApiBuilder(account, name)
        .add(
            Route(key="$connect", function=worker, members={"ApiKeyRequired": True}),
            Route(key="$default", function=worker, is_two_way=True),
        )
        .deploy()
    )


@rule("4.08", "4.13")
def test_client_with_a_key_gets_in(
    account: Account, metered: Stage, worker: Function, key: Key
) -> None:
    """The key comes in ``x-api-key``, and events name it."""
    headers = {"x-api-key": key.value}
    account.eventually(lambda: opened(account, metered, headers=headers))

    with connect(account, metered, headers=headers) as client:
        connecting: Event = account.events(worker, connected_as(client.mark))[0]

    identity = connecting["requestContext"]["identity"]
    assert (identity["apiKey"], identity["apiKeyId"]) == (key.value, key.id)


@rule("4.09")
@pytest.mark.parametrize("sent", ["none", "empty", "wrong", "in-the-query"])
def test_client_without_the_key_is_kept_out(
    account: Account, metered: Stage, worker: Function, key: Key, sent: str
) -> None:
    """A missing or wrong key, or one in another place, is 403, and no function runs."""
    account.eventually(lambda: opened(account, metered, headers={"x-api-key": key.value}))
    options: dict[str, dict[str, Any]] = {
        "none": {},
        "empty": {"headers": {"x-api-key": ""}},
        "wrong": {"headers": {"x-api-key": key.value[:-1] + "-"}},
        "in-the-query": {"below": f"?x-api-key={key.value}"},
    }

    assert_kept_out(account, metered, worker, **options[sent])


@rule("4.10")
def test_key_of_no_plan_of_the_stage_is_kept_out(
    account: Account, metered: Stage, worker: Function, key: Key
) -> None:
    """A key opens only stages of its usage plans."""
    free, elsewhere = make_key(account, "free"), make_key(account, "elsewhere")
    other = _metered(account, "metered-too", worker)
    make_plan(account, "plan-elsewhere", [other], elsewhere)
    account.eventually(lambda: opened(account, other, headers={"x-api-key": elsewhere.value}))

    for refused_key in (free, elsewhere):
        assert_kept_out(account, metered, worker, headers={"x-api-key": refused_key.value})
    assert_kept_out(account, other, worker, headers={"x-api-key": key.value})


@rule("4.11")
def test_exhausted_plan_is_429(account: Account, worker: Function) -> None:
    """When the quota is used up the handshake gets 429."""
    stage = _metered(account, "quota", worker)
    key = make_key(account, "quota")
    make_plan(account, "plan-quota", [stage], key, quota={"limit": 2, "period": "MONTH"})
    headers = {"x-api-key": key.value}
    account.eventually(lambda: opened(account, stage, headers=headers))

    def status() -> int | None:
        # AWS counts a quota with some delay.
        if opened(account, stage, headers=headers):
            return None
        return refused(account, stage, headers=headers).status

    assert account.eventually(status) == 429


@rule("3.29")
def test_authorizer_may_give_the_key(
    account: Account, guard: Function, worker: Function, key: Key
) -> None:
    """With that key source the key that the authorizer returns is checked, and no header."""
    builder = ApiBuilder(account, "given-key").add(
        Route(key="$connect", function=worker, members={"ApiKeyRequired": True}),
        guard=Guard(function=guard),
    )
    account.gateway.update_api(
        ApiId=builder.api_id,
        ApiKeySelectionExpression="$context.authorizer.usageIdentifierKey",
    )
    stage = builder.deploy()
    make_plan(account, "plan-given", [stage], key)

    def giving(value: str) -> dict[str, Any]:
        policy = _document(allowing("$METHOD"))
        result = {"principalId": "a", "policyDocument": policy, "usageIdentifierKey": value}
        return {"authorizer": {"return": result}}

    account.eventually(lambda: opened(account, stage, wishes=giving(key.value)))

    assert_kept_out(account, stage, worker, wishes=giving("wrong"))
    assert_kept_out(account, stage, worker, headers={"x-api-key": key.value})
