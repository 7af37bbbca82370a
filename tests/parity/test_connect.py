"""The handshake: what opens, what is refused with which status, and what then did not run."""

import select
from typing import Any

import pytest
from parity.account import Account, Event, Function, Stage
from parity.apis import ApiBuilder, Route
from parity.cases import case
from parity.sockets import RawClient, UnopenedError, connect, connected_as, left, refused, wished

rule = pytest.mark.rule
CHAT = {"Sec-WebSocket-Protocol": "chat"}


def connect_event(account: Account, function: Function, mark: str) -> Event:
    """The CONNECT event of the handshake with a mark."""
    (event,) = account.events(function, connected_as(mark))
    return event


def posted_by(note: Event, connection_id: str) -> bool:
    """Whether a note tells what came of a post to a connection."""
    return "posted" in note and note["requestContext"]["connectionId"] == connection_id


def returning(status: object, **members: Any) -> dict[str, Any]:
    """What makes the ``$connect`` function return a status."""
    return {"connect": {"return": {"statusCode": status, **members}}}


# What opens


@rule("2.02")
def test_slash_after_the_stage_is_fine(account: Account, chat: Stage) -> None:
    """The stage's address may end with a slash."""
    with connect(account, chat, below="/") as client:
        assert client.event(action="echo")["requestContext"]["stage"] == chat.name


@rule("2.05", "10.08")
def test_stage_without_connect_route_lets_everybody_in(
    account: Account, plain: Stage, worker: Function
) -> None:
    """The handshake opens and calls nothing; ``$default`` does not stand in."""
    with connect(account, plain) as client:
        connection_id = client.connection_id
        mark = client.mark

    assert not account.was_called(worker, connected_as(mark))
    assert not account.was_called(worker, left(connection_id))


@rule("2.06")
def test_handshake_waits_for_the_function(account: Account, chat: Stage) -> None:
    """Nothing is answered while ``$connect`` runs; then comes the 101."""
    with RawClient.dial(account, chat) as client:
        client.send(client.handshake(X_Wish=wished({"connect": {"sleep": 1.5}})))
        early, _, _ = select.select([client.raw], [], [], 0.8)
        answer = client.receive_http()

    assert early == []
    assert answer.status == 101


@rule("2.07")
@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_of_the_function_opens(account: Account, chat: Stage, status: int) -> None:
    """A status from 200 to 299 lets the client in."""
    with connect(account, chat, wishes=returning(status)) as client:
        assert client.event(action="echo")["body"] == '{"action": "echo"}'


@rule("2.22", "10.15")
def test_offered_subprotocol_is_not_negotiated(account: Account, chat: Stage) -> None:
    """Without the function's word the 101 names no subprotocol."""
    with RawClient.dial(account, chat) as client:
        client.send(client.handshake(Sec_WebSocket_Protocol="chat, talk"))
        answer = client.receive_http()

    assert answer.status == 101
    assert "sec-websocket-protocol" not in answer.headers


@pytest.mark.parametrize(
    "offered", [case("2.23", "offered", "talk, chat"), case("2.24 10.15", "unasked", "")]
)
def test_returned_subprotocol_is_in_the_101(account: Account, chat: Stage, offered: str) -> None:
    """The function chooses, also for a client that asked for none."""
    wish = wished(returning(200, headers=CHAT))

    with RawClient.dial(account, chat) as client:
        client.send(client.handshake(Sec_WebSocket_Protocol=offered, X_Wish=wish))
        answer = client.receive_http()

    assert answer.status == 101
    assert answer.headers.get("sec-websocket-protocol") == "chat"


@rule("2.28")
def test_body_of_the_function_does_not_reach_the_client(account: Account, chat: Stage) -> None:
    """The first message is the answer to the client's own."""
    with connect(account, chat, wishes=returning(200, body="welcome")) as client:
        assert client.event(action="echo")["requestContext"]["routeKey"] == "echo"


@rule("2.29")
def test_compression_is_not_negotiated(account: Account, chat: Stage) -> None:
    """permessage-deflate is offered and not taken."""
    with RawClient.dial(account, chat) as client:
        client.send(client.handshake(Sec_WebSocket_Extensions="permessage-deflate"))
        answer = client.receive_http()

    assert answer.status == 101
    assert "sec-websocket-extensions" not in answer.headers


@rule("2.27")
def test_selection_expression_has_no_say_in_connecting(account: Account, worker: Function) -> None:
    """A constant expression leads messages to one route; ``$connect`` is called all the same."""
    stage = (
        ApiBuilder(account, "constant", "fixed")
        .add(
            Route(key="$connect", function=worker),
            Route(key="fixed", function=worker, is_two_way=True),
        )
        .deploy()
    )

    with connect(account, stage) as client:
        event = connect_event(account, worker, client.mark)

    assert event["requestContext"]["routeKey"] == "$connect"


# What the function refuses


@rule("2.08", "10.03")
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 418, 429, 500, 501, 503])
def test_other_status_is_that_of_the_handshake(
    account: Account, chat: Stage, worker: Function, status: int
) -> None:
    """The client sees the function's own status, and there is no connection to disconnect."""
    with RawClient.dial(account, chat) as client:
        client.send(client.handshake(X_Mark=f"m{status}", X_Wish=wished(returning(status))))
        answer = client.receive_http()

    assert answer.status == status
    event = connect_event(account, worker, f"m{status}")
    assert not account.was_called(worker, left(event["requestContext"]["connectionId"]))


@rule("2.28")
def test_body_of_a_refusal_is_not_the_function_s(account: Account, chat: Stage) -> None:
    """What the function says about a refusal stays inside."""
    answer = refused(account, chat, wishes=returning(403, body="the reason"))

    assert answer.status == 403
    assert b"the reason" not in answer.body


@pytest.mark.parametrize(
    "wish",
    [
        case("2.09 10.04", "raises", {"raise": "boom"}),
        case("2.09", "dies", {"exit": 3}),
        case("2.10", "text", {"return": "fine"}),
        case("2.10", "number", {"return": 200}),
        case("2.10", "status-no-number", {"return": {"statusCode": "fine"}}),
    ],
)
def test_function_without_usable_answer_gives_502(
    account: Account, chat: Stage, wish: dict[str, Any]
) -> None:
    """A failure, or a result that is no proxy response, refuses."""
    answer = refused(account, chat, wishes={"connect": wish})

    assert answer.status == 502


@rule("2.11")
def test_function_that_may_not_be_called_gives_500(account: Account, hidden: Function) -> None:
    """Without the permission the client is refused, and the function does not run."""
    stage = (
        ApiBuilder(account, "not-permitted").add(Route(key="$connect", function=hidden)).deploy()
    )

    answer = refused(account, stage)

    assert answer.status == 500
    assert not account.was_called(hidden, lambda event: "requestContext" in event)


@rule("2.12")
def test_function_beyond_the_timeout_gives_504(account: Account, worker: Function) -> None:
    """When the integration's time is over the handshake fails."""
    slow = Route(key="$connect", function=worker, timeout_ms=1000)
    stage = ApiBuilder(account, "slow").add(slow).deploy()

    answer = refused(account, stage, wishes={"connect": {"sleep": 3}})

    assert answer.status == 504


@rule("2.30", "7.30", "10.18")
def test_connection_is_gone_until_the_101(account: Account, chat: Stage, worker: Function) -> None:
    """What the function posts to its own connection is answered with 410."""
    wishes = {"connect": {"post_to": chat.management_url}}

    with connect(account, chat, wishes=wishes) as client:
        (event,) = account.events(worker, connected_as(client.mark))
        connection_id = event["requestContext"]["connectionId"]
        (posted,) = account.events(worker, lambda note: posted_by(note, connection_id))

    assert posted["posted"] == 410


@rule("2.35")
def test_failed_handshake_runs_no_disconnect(
    account: Account, chat: Stage, worker: Function
) -> None:
    """Whoever did not get in does not leave."""
    mark = "never-in"
    refused(account, chat, wishes=returning(400), headers={"X-Mark": mark})

    event = connect_event(account, worker, mark)
    assert not account.was_called(worker, left(event["requestContext"]["connectionId"]))


# Addresses


@rule("2.04")
def test_address_longer_than_4096_is_refused(
    account: Account, chat: Stage, worker: Function
) -> None:
    """A URL of 4000 characters opens; one of 4200 does not, and calls nothing."""
    room = len(chat.url) + len("?q=")
    with connect(account, chat, below="?q=" + "x" * (4000 - room)) as client:
        assert client.event(action="echo")["body"]

    too_long = "?q=" + "x" * (4200 - room)
    refused(account, chat, below=too_long, headers={"X-Mark": "too-long"})

    assert not account.was_called(worker, connected_as("too-long"))


@rule("2.17", "1.80")
def test_stage_without_deployment_is_forbidden(account: Account, chat_api: ApiBuilder) -> None:
    """A stage that serves nothing lets nobody in."""
    account.gateway.create_stage(ApiId=chat_api.api_id, StageName="empty")

    answer = refused(account, chat_api.stage("empty"))

    assert answer.status == 403


@rule("2.18")
def test_unknown_stage_is_forbidden(
    account: Account, chat: Stage, chat_api: ApiBuilder, worker: Function
) -> None:
    """An address that leads nowhere is 403 Forbidden, and nothing runs."""
    answer = refused(account, chat_api.stage("nosuch"), headers={"X-Mark": "nowhere"})

    assert answer.status == 403
    assert answer.json()["message"] == "Forbidden"
    assert not account.was_called(worker, connected_as("nowhere"))


@rule("1.86")
def test_default_stage_cannot_be_reached(account: Account, worker: Function) -> None:
    """A ``$default`` stage does not serve the address without stage."""
    builder = ApiBuilder(account, "default-stage").add(Route(key="$default", function=worker))
    deployment = account.gateway.create_deployment(ApiId=builder.api_id)["DeploymentId"]
    account.gateway.create_stage(
        ApiId=builder.api_id, StageName="$default", DeploymentId=deployment
    )

    answer = refused(account, builder.stage(""))

    assert answer.status >= 400


@rule("2.19")
def test_disabled_endpoint_is_refused(account: Account, worker: Function) -> None:
    """After a deployment the default endpoint lets nobody in."""
    builder = ApiBuilder(account, "disabled").add(Route(key="$connect", function=worker))
    account.gateway.update_api(ApiId=builder.api_id, DisableExecuteApiEndpoint=True)
    stage = builder.deploy()

    answer = refused(account, stage, headers={"X-Mark": "disabled"})

    assert answer.status == 403
    assert not account.was_called(worker, connected_as("disabled"))


@rule("2.21")
def test_plain_request_is_told_to_upgrade(account: Account, chat: Stage, worker: Function) -> None:
    """A GET that is no handshake gets 426 and runs nothing."""
    with RawClient.dial(account, chat) as client:
        client.send(
            client.handshake(
                Upgrade="",
                Connection="close",
                Sec_WebSocket_Key="",
                Sec_WebSocket_Version="",
                X_Mark="plain",
            )
        )
        answer = client.receive_http()

    assert answer.status == 426
    assert not account.was_called(worker, connected_as("plain"))


@rule("5.63")
def test_required_request_parameter_is_required(account: Account, worker: Function) -> None:
    """Without a declared header the client is refused before the function; with it it gets in."""
    needed = {"route.request.header.X-Room": {"Required": True}}
    route = Route(key="$connect", function=worker, members={"RequestParameters": needed})
    stage = ApiBuilder(account, "parameters").add(route).deploy()

    answer = refused(account, stage, headers={"X-Mark": "no-room"})

    assert answer.status == 400
    assert not account.was_called(worker, connected_as("no-room"))
    with connect(account, stage, headers={"X-Room": "7"}) as client:
        connect_event(account, worker, client.mark)


@rule("1.98", "10.11")
def test_throttling_of_zero_shuts_the_stage(account: Account, worker: Function) -> None:
    """Both throttling members at 0 let nobody in: 429, and the function does not run."""
    builder = ApiBuilder(account, "shut").add(Route(key="$connect", function=worker))
    stage = builder.deploy()
    account.gateway.update_stage(
        ApiId=builder.api_id,
        StageName=stage.name,
        DefaultRouteSettings={"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.0},
    )

    def is_shut() -> int | None:
        try:
            with connect(account, stage, headers={"X-Mark": "shut"}):
                return None
        except UnopenedError as unopened:
            return unopened.answer.status

    assert account.eventually(is_shut, "refusal") == 429
