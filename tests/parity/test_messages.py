"""What the client receives: replies, silence, error frames."""

import json
import re
import time
from typing import Any

import pytest
from parity.account import Account, Event, Function, Stage
from parity.apis import ApiBuilder, Route
from parity.cases import case
from parity.sockets import TEXT, Client, RawClient, connect, error_frame, frame

rule = pytest.mark.rule
DEFAULT = "$default"


def carrying(word: str) -> Any:
    """Tells message events that carry a word."""

    def matches(event: Event) -> bool:
        return word in str(event.get("body"))

    return matches


def message(action: str, wish: Any = None, word: str = "") -> str:
    """A message with a wish for its function."""
    return json.dumps({"action": action, "word": word, "wish": wish})


def returning(status: int, body: object) -> dict[str, Any]:
    """The wish for a proxy response."""
    return {"return": {"statusCode": status, "body": body}}


def is_still_open(client: Client) -> bool:
    """Whether the next message is answered as if nothing had happened."""
    event = client.event("and now?")
    return bool(event["body"] == "and now?")


# Replies


@rule("5.28")
def test_two_way_route_sends_the_body(account: Account, chat: Stage) -> None:
    """The returned body is one text message."""
    with connect(account, chat) as client:
        answer = client.ask(message("echo", returning(200, "ciao")))

    assert answer == "ciao"


@rule("5.31")
@pytest.mark.parametrize("status", [201, 302, 404, 500])
def test_two_way_route_sends_the_body_whatever_the_status(
    account: Account, chat: Stage, status: int
) -> None:
    """A bad status is the client's to read."""
    with connect(account, chat) as client:
        answer = client.ask(message("echo", returning(status, "ciao")))

    assert answer == "ciao"


@rule("5.26", "5.30", "10.03")
@pytest.mark.parametrize("status", [200, 500])
def test_one_way_route_sends_nothing(
    account: Account, chat: Stage, worker: Function, status: int
) -> None:
    """Without a route response nothing of the result reaches the client, and it stays."""
    word = f"quiet-{status}"
    with connect(account, chat) as client:
        client.send(message("quiet", returning(status, "not for you"), word))
        account.events(worker, carrying(word))

        assert is_still_open(client)


@rule("5.27", "10.09")
def test_route_response_makes_a_route_two_way(account: Account, worker: Function) -> None:
    """The response selection expression alone does not; a ``$default`` route response does."""
    selecting = {"RouteResponseSelectionExpression": DEFAULT}
    stage = (
        ApiBuilder(account, "two-way")
        .add(
            Route(key="selecting", function=worker, members=selecting),
            Route(key="responding", function=worker, is_two_way=True),
        )
        .deploy()
    )

    with connect(account, stage) as client:
        client.send(message("selecting", word="selected"))
        account.events(worker, carrying("selected"))
        event = client.event(action="responding")

    assert event["requestContext"]["routeKey"] == "responding"


@rule("1.50")
def test_models_of_a_route_response_have_no_effect(account: Account, worker: Function) -> None:
    """A reply that does not fit the response's model is sent all the same."""
    builder = ApiBuilder(account, "response-models").add(Route(key=DEFAULT, function=worker))
    gateway, place = account.gateway, {"ApiId": builder.api_id}
    gateway.create_model(
        **place,
        Name="Number",
        ContentType="application/json",
        Schema='{"$schema": "http://json-schema.org/draft-04/schema#", "type": "number"}',
    )
    (route,) = gateway.get_routes(**place)["Items"]
    gateway.create_route_response(
        **place,
        RouteId=route["RouteId"],
        RouteResponseKey=DEFAULT,
        ResponseModels={DEFAULT: "Number"},
        ModelSelectionExpression=DEFAULT,
    )
    stage = builder.deploy()

    with connect(account, stage) as client:
        answer = client.ask(message("x", returning(200, "no number")))

    assert answer == "no number"


@rule("5.19")
def test_messages_of_one_connection_overlap(account: Account, chat: Stage) -> None:
    """A quick answer passes a slow one."""
    with connect(account, chat) as client:
        client.send(message("echo", {"sleep": 2}, "slow"))
        client.send(message("echo", word="quick"))
        first, second = client.receive(), client.receive()

    assert "quick" in json.loads(first)["body"]
    assert "slow" in json.loads(second)["body"]


@rule("6.06")
def test_large_reply_travels_in_frames_of_32_kb(account: Account, chat: Stage) -> None:
    """No frame to the client is larger than 32768 bytes."""
    with RawClient.connect(account, chat) as client:
        client.send(frame(TEXT, message("echo", {"body_of": 100_000}).encode()))
        frames = [client.receive()]
        while not frames[-1].is_final:
            frames.append(client.receive())

    assert b"".join(each.payload for each in frames) == b"x" * 100_000
    assert max(len(each.payload) for each in frames) <= 32_768


# Failures


@pytest.mark.parametrize("action", ["echo", "quiet"])
@pytest.mark.parametrize(
    "wish",
    [
        case("5.32 10.04", "raises", {"raise": "the reason"}),
        case("5.32", "dies", {"exit": 3}),
        case("5.34", "text", {"return": "the reason"}),
        case("5.34", "body-no-text", returning(200, 1)),
    ],
)
def test_failing_function_gives_the_error_frame(
    account: Account, chat: Stage, action: str, wish: dict[str, Any]
) -> None:
    """Also on a one-way route; it tells no reason, and the socket stays."""
    with connect(account, chat) as client:
        answer = client.ask(message(action, wish))
        is_open = is_still_open(client)
        connection_id = client.connection_id

    pattern = error_frame("Internal server error", connection_id)
    assert re.fullmatch(pattern, answer), answer
    assert is_open


@rule("5.33")
def test_function_that_may_not_be_called_gives_the_error_frame(
    account: Account, worker: Function, hidden: Function
) -> None:
    """Without the permission the function does not run, and the client is told."""
    stage = (
        ApiBuilder(account, "forbidden-route")
        .add(
            Route(key="hidden", function=hidden),
            Route(key=DEFAULT, function=worker, is_two_way=True),
        )
        .deploy()
    )

    with connect(account, stage) as client:
        answer = client.ask(message("hidden", word="may-not"))
        is_open = is_still_open(client)

    assert re.fullmatch(error_frame("Internal server error"), answer), answer
    assert is_open
    assert not account.was_called(hidden, carrying("may-not"))


@rule("5.68")
def test_permission_may_name_one_route(account: Account, worker: Function) -> None:
    """A source ARN that ends in stage and route key permits that route and no other."""
    limited = account.make_function("limited", is_permitted=False)
    builder = ApiBuilder(account, "limited").add(
        Route(key="allowed", function=limited, is_two_way=True),
        Route(key="other", function=limited, is_two_way=True),
    )
    number = limited.arn.split(":")[4]
    account.permit(
        limited,
        f"arn:aws:execute-api:{account.target.region}:{number}:{builder.api_id}/dev/allowed",
    )
    stage = builder.deploy()

    with connect(account, stage) as client:
        refused = client.ask(message("other", word="other-route"))
        allowed = client.event(action="allowed")

    assert json.loads(refused).get("message") == "Internal server error"
    assert allowed["requestContext"]["routeKey"] == "allowed"
    assert not account.was_called(limited, carrying("other-route"))


@rule("5.35")
def test_slow_function_gives_the_timeout_frame(account: Account, worker: Function) -> None:
    """When the integration's time is over the client is told at once, and the socket stays."""
    stage = (
        ApiBuilder(account, "impatient")
        .add(
            Route(key="slow", function=worker, timeout_ms=500),
            Route(key=DEFAULT, function=worker, is_two_way=True),
        )
        .deploy()
    )

    with connect(account, stage) as client:
        began = time.monotonic()
        answer = client.ask(message("slow", {"sleep": 4}))
        took = time.monotonic() - began
        is_open = is_still_open(client)

    assert re.fullmatch(error_frame("Endpoint request timed out"), answer), answer
    assert took < 4
    assert is_open


# Stage variables


@rule("1.79")
def test_stage_variables_act_at_once(account: Account, worker: Function) -> None:
    """A changed variable is in the next message's event, without a deployment."""
    builder = ApiBuilder(account, "variables").add(
        Route(key=DEFAULT, function=worker, is_two_way=True)
    )
    stage = builder.deploy(variables={"colour": "red"})

    with connect(account, stage) as client:
        before = client.event("one")
        account.gateway.update_stage(
            ApiId=builder.api_id, StageName=stage.name, StageVariables={"colour": "blue"}
        )

        def changed() -> bool | None:
            return True if client.event("two")["stageVariables"]["colour"] == "blue" else None

        account.eventually(changed, "changed stage variable")

    assert before["stageVariables"] == {"colour": "red"}
