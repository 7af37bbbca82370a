"""The Lambda authorizer: who gets in, who does not and with which status, what later events see."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from parity.account import Account, Event, Function, Stage
from parity.apis import ApiBuilder, Guard, Route
from parity.cases import case
from parity.sockets import connect, connected_as, disconnect_event, refused

rule = pytest.mark.rule
TOKEN = {"X-Token": "secret-1"}
INVOKE = "execute-api:Invoke"


def guarded(account: Account, name: str, worker: Function, guard: Guard) -> ApiBuilder:
    """An API whose ``$connect`` is protected."""
    return ApiBuilder(account, name).add(
        Route(key="$connect", function=worker),
        Route(key="$disconnect", function=worker),
        Route(key="$default", function=worker, is_two_way=True),
        guard=guard,
    )


@pytest.fixture(scope="module")
def stage(account: Account, worker: Function, guard: Function) -> Stage:
    """A stage that wants a header."""
    sources = ("route.request.header.X-Token",)
    return guarded(account, "guarded", worker, Guard(function=guard, sources=sources)).deploy()


@pytest.fixture(scope="module")
def open_stage(account: Account, worker: Function, guard: Function) -> Stage:
    """A stage whose authorizer has no identity source."""
    return guarded(account, "sourceless", worker, Guard(function=guard)).deploy()


def policy(*statements: tuple[str, str, str], **members: Any) -> dict[str, Any]:
    """A result with effect, action and resource of each statement."""
    written = [
        {"Effect": effect, "Action": action, "Resource": resource}
        for effect, action, resource in statements
    ]
    document = {"Version": "2012-10-17", "Statement": written}
    return {"principalId": "alice", "policyDocument": document, **members}


@dataclass(frozen=True)
class Asked:
    """The two events of one handshake, and the connection's id."""

    authorizing: Event
    connecting: Event
    connection_id: str


ALLOW = policy(("Allow", INVOKE, "$METHOD"))
REFUSED = [
    case("2.14 3.13", "deny", {"return": policy(("Deny", INVOKE, "$METHOD"))}, 403),
    case("2.14 3.13", "other-stage", {"return": policy(("Allow", INVOKE, "$STAGE-2/*"))}, 403),
    case(
        "3.13",
        "deny-beats-allow",
        {"return": policy(("Allow", INVOKE, "*"), ("Deny", INVOKE, "$METHOD"))},
        403,
    ),
    case(
        "3.13",
        "deny-beats-a-later-allow",
        {"return": policy(("Deny", INVOKE, "$STAGE/*"), ("Allow", INVOKE, "$METHOD"))},
        403,
    ),
    case("3.13", "other-action", {"return": policy(("Allow", "lambda:*", "$METHOD"))}, 403),
    case("3.13", "other-route", {"return": policy(("Allow", INVOKE, "$STAGE/echo"))}, 403),
    case("3.14 10.13", "rest-shape", {"return": policy(("Allow", INVOKE, "$STAGE/*/*"))}, 403),
    case("2.15", "unauthorized", {"raise": "Unauthorized"}, 401),
    case("2.16", "unauthorized-in-small", {"raise": "unauthorized"}, 500),
    case("2.16", "raises", {"raise": "boom"}, 500),
    case("2.16", "dies", {"exit": 3}, 500),
    case("3.12", "no-principal", {"return": {"policyDocument": ALLOW["policyDocument"]}}, 500),
    case("3.10 3.12", "no-policy", {"return": {"principalId": "alice"}}, 500),
    case("3.12", "policy-no-object", {"return": {**ALLOW, "policyDocument": "Allow"}}, 500),
    case("3.12", "nothing", {"return": None}, 500),
    case("3.16", "simple-answer", {"return": {"isAuthorized": True}}, 500),
    case("3.17", "context-object", {"return": {**ALLOW, "context": {"a": {"b": "c"}}}}, 500),
    case("3.17", "context-list", {"return": {**ALLOW, "context": {"a": ["b"]}}}, 500),
    case("3.24", "too-big", {"result_of": 8600}, 500),
    case(
        "3.25",
        "long-resource",
        {"return": policy(("Allow", INVOKE, "*"), ("Allow", INVOKE, "$STAGE/" + "x" * 600))},
        500,
    ),
]


@pytest.mark.parametrize(("wish", "status"), REFUSED)
def test_authorizer_that_does_not_clearly_allow_refuses(
    account: Account,
    stage: Stage,
    worker: Function,
    wish: dict[str, Any],
    status: int,
    *,
    request: pytest.FixtureRequest,
) -> None:
    """The client gets the status, and the ``$connect`` function does not run."""
    mark = request.node.callspec.id

    answer = refused(account, stage, wishes={"authorizer": wish}, headers={**TOKEN, "X-Mark": mark})

    assert answer.status == status
    assert not account.was_called(worker, connected_as(mark))


@rule("2.13", "3.07")
@pytest.mark.parametrize("headers", [{}, {"X-Token": ""}], ids=["missing", "empty"])
def test_missing_identity_source_refuses_without_a_call(
    account: Account,
    stage: Stage,
    guard: Function,
    worker: Function,
    headers: dict[str, str],
) -> None:
    """The answer is 401, and neither authorizer nor ``$connect`` run."""
    mark = f"no-token-{len(headers)}"

    answer = refused(account, stage, headers={**headers, "X-Mark": mark})

    assert answer.status == 401
    assert not account.was_called(guard, connected_as(mark))
    assert not account.was_called(worker, connected_as(mark))


@pytest.mark.parametrize(
    "wish",
    [
        case("3.13", "method", {"return": ALLOW}),
        case("3.15", "stage", {"return": policy(("Allow", INVOKE, "$STAGE/*"))}),
        case("3.15", "everything", {"return": policy(("Allow", INVOKE, "*"))}),
        case("3.15", "all-actions", {"return": policy(("Allow", "execute-api:*", "$METHOD"))}),
        case("3.11", "no-context", {"return": policy(("Allow", INVOKE, "$METHOD"))}),
        case("3.24", "nearly-8-kb", {"result_of": 7900}),
    ],
)
def test_authorizer_that_allows_lets_in(
    account: Account, stage: Stage, wish: dict[str, Any]
) -> None:
    """A policy that allows the method opens the socket."""
    with connect(account, stage, wishes={"authorizer": wish}, headers=TOKEN) as client:
        assert client.event("hello")["body"] == "hello"


@rule("3.09")
def test_header_names_of_identity_sources_have_any_case(account: Account, stage: Stage) -> None:
    """``x-token`` is ``X-Token``."""
    with connect(account, stage, headers={"x-token": "secret-1"}) as client:
        assert client.event("hello")["body"] == "hello"


@rule("3.07", "3.09")
def test_parameter_names_of_identity_sources_are_exact(
    account: Account, worker: Function, guard: Function
) -> None:
    """``?token=`` is there, ``?Token=`` is not, and every source is needed."""
    sources = ("route.request.querystring.token", "route.request.header.X-Token")
    stage = guarded(account, "two-sources", worker, Guard(function=guard, sources=sources)).deploy()

    with connect(account, stage, below="?token=t", headers=TOKEN) as client:
        assert client.event("hello")["body"] == "hello"
    assert refused(account, stage, below="?Token=t", headers=TOKEN).status == 401
    assert refused(account, stage, below="?token=t").status == 401


@rule("3.08")
def test_authorizer_without_identity_source_is_always_called(
    account: Account, open_stage: Stage, guard: Function
) -> None:
    """Whoever comes, the authorizer decides."""
    with connect(account, open_stage) as client:
        account.events(guard, connected_as(client.mark))

    deny = {"authorizer": {"return": policy(("Deny", INVOKE, "*"))}}
    assert refused(account, open_stage, wishes=deny).status == 403


@pytest.fixture(scope="module")
def asked(account: Account, stage: Stage, guard: Function, worker: Function) -> Asked:
    """What authorizer and ``$connect`` are told of one handshake without a query."""
    with connect(account, stage, headers=TOKEN) as client:
        (authorizing,) = account.events(guard, connected_as(client.mark))
        (connecting,) = account.events(worker, connected_as(client.mark))
        return Asked(authorizing, connecting, client.connection_id)


@rule("3.03")
def test_authorizer_event_has_exactly_its_members(asked: Asked) -> None:
    """Eight members; no body and no version."""
    assert set(asked.authorizing) == {
        "type",
        "methodArn",
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
        "requestContext",
    }
    assert asked.authorizing["type"] == "REQUEST"


@rule("3.04")
def test_method_arn_ends_in_stage_and_connect(account: Account, stage: Stage, asked: Asked) -> None:
    """It names Region, API and stage."""
    arn = asked.authorizing["methodArn"]

    assert arn.startswith(f"arn:aws:execute-api:{account.target.region}:")
    assert arn.endswith(f":{stage.api_id}/{stage.name}/$connect")


@rule("3.05", "10.06")
def test_authorizer_event_has_empty_maps(asked: Asked) -> None:
    """Without query and stage variables the members are there, and empty."""
    names = ("queryStringParameters", "multiValueQueryStringParameters", "stageVariables")

    assert [asked.authorizing[name] for name in names] == [{}, {}, {}]


@rule("2.32")
def test_authorizer_event_has_all_headers(asked: Asked) -> None:
    """Those of the upgrade too."""
    names = {name.lower() for name in asked.authorizing["headers"]}

    assert {"connection", "upgrade", "x-token"} <= names


@rule("3.06")
def test_authorizer_is_told_the_id_that_connect_will_see(asked: Asked) -> None:
    """Authorizer, ``$connect`` and messages see one connection id."""
    events = (asked.authorizing, asked.connecting)

    ids = [event["requestContext"]["connectionId"] for event in events]
    assert ids == [asked.connection_id] * 2


@rule("3.01")
def test_authorizer_runs_once_per_connection(
    account: Account, stage: Stage, guard: Function
) -> None:
    """Messages are not asked about again."""
    with connect(account, stage, headers=TOKEN) as client:
        for number in range(3):
            client.event(str(number))
        mark = client.mark

    assert len(account.calls_so_far(guard, connected_as(mark))) == 1


@rule("3.23")
def test_results_are_not_cached(account: Account, stage: Stage, guard: Function) -> None:
    """Two connections with one token are two calls, and the second can be refused."""
    with connect(account, stage, headers=TOKEN) as first:
        account.events(guard, connected_as(first.mark))

    deny = {"authorizer": {"return": policy(("Deny", INVOKE, "*"))}}
    answer = refused(account, stage, headers={**TOKEN, "X-Mark": "second"}, wishes=deny)

    assert answer.status == 403
    assert len(account.events(guard, connected_as("second"))) == 1


@rule("3.19", "3.20", "8.17")
def test_context_is_in_every_later_event(account: Account, stage: Stage, worker: Function) -> None:
    """CONNECT, MESSAGE and DISCONNECT carry context and principal."""
    result = {**ALLOW, "context": {"role": "admin"}}
    wishes = {"authorizer": {"return": result}}
    with connect(account, stage, headers=TOKEN, wishes=wishes) as client:
        message = client.event("hello")
        (connecting,) = account.events(worker, connected_as(client.mark))
        connection_id = client.connection_id
    leaving = disconnect_event(account, worker, connection_id)

    for event in (connecting, message, leaving):
        told = event["requestContext"]["authorizer"]
        assert (told["principalId"], told["role"]) == ("alice", "admin")


@rule("3.22")
def test_connect_event_has_the_latency_of_the_authorizer(
    account: Account, stage: Stage, worker: Function
) -> None:
    """``integrationLatency`` stands beside the context."""
    with connect(account, stage, headers=TOKEN) as client:
        (event,) = account.events(worker, connected_as(client.mark))

    assert int(event["requestContext"]["authorizer"]["integrationLatency"]) >= 0


@rule("3.02", "10.16")
def test_removed_authorizer_does_not_touch_open_connections(
    account: Account, worker: Function, guard: Function
) -> None:
    """An open socket keeps its context; a new one meets the open route."""
    builder = guarded(account, "opened-up", worker, Guard(function=guard))
    stage = builder.deploy()
    (route,) = [
        route
        for route in account.gateway.get_routes(ApiId=builder.api_id)["Items"]
        if route["RouteKey"] == "$connect"
    ]

    with connect(account, stage) as client:
        client.event("before")
        account.gateway.update_route(
            ApiId=builder.api_id, RouteId=route["RouteId"], AuthorizationType="NONE"
        )
        builder.redeploy()
        after = client.event("after")

    assert after["requestContext"]["authorizer"]["principalId"] == "parity"

    def is_open() -> bool | None:
        with connect(account, stage) as newcomer:
            return True if "authorizer" not in newcomer.event("x")["requestContext"] else None

    assert account.eventually(is_open, "handshake without authorizer")


@rule("3.27")
def test_authorizer_that_may_not_be_called_refuses(
    account: Account, worker: Function, hidden: Function
) -> None:
    """The answer is 500; neither authorizer nor ``$connect`` run."""
    guard = Guard(function=hidden)
    stage = guarded(account, "hidden-guard", worker, guard).deploy()

    answer = refused(account, stage, headers={"X-Mark": "hidden-guard"})

    assert answer.status == 500
    assert not account.was_called(hidden, connected_as("hidden-guard"))
    assert not account.was_called(worker, connected_as("hidden-guard"))


@rule("3.19")
def test_context_arrives_as_text(account: Account, stage: Stage) -> None:
    """Numbers and booleans are accepted in a context."""
    result = {**ALLOW, "context": {"level": 7, "is_new": True}}

    with connect(
        account, stage, headers=TOKEN, wishes={"authorizer": {"return": result}}
    ) as client:
        told = client.event("hello")["requestContext"]["authorizer"]

    assert {json.dumps(told["level"]).strip('"'), json.dumps(told["is_new"]).strip('"')} == {
        "7",
        "true",
    }
