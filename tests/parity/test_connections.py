"""``@connections``: posting to clients, reading and closing connections."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from parity.account import Account, Answer, Function, Refusal, Stage, refusal
from parity.cases import case
from parity.sockets import Client, RawClient, connect, disconnect_event

rule = pytest.mark.rule
UNKNOWN = "AbCdEfGhIjKlMn-="
POSTED_MAX_BYTES = 131_072
OPERATIONS = ["post_to_connection", "get_connection", "delete_connection"]


@pytest.fixture
def client(account: Account, chat: Stage) -> Iterator[Client]:
    """A client that is connected."""
    with connect(account, chat) as client:
        yield client


def raw(
    account: Account,
    method: str,
    base: str,
    connection_id: str,
    body: bytes | None = None,
    **headers: str,
) -> Answer:
    """One signed request for a connection, its id encoded."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{base}/{quote(connection_id, safe='')}"
    return account.signed(method, url, body, headers=told)


def members(operation: str) -> dict[str, bytes]:
    """What an operation needs besides the id."""
    return {"Data": b"x"} if operation == "post_to_connection" else {}


# Posting


@rule("7.10", "7.22")
@pytest.mark.parametrize("text", ["hello", "\u00e4 \U0001f600", '{"a": 1}'])
def test_post_arrives_as_one_text_message(
    account: Account, chat: Stage, client: Client, text: str
) -> None:
    """The answer is 200, and the client gets the text unchanged."""
    answer = account.management(chat).post_to_connection(
        ConnectionId=client.connection_id, Data=text.encode()
    )

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert client.receive() == text


@rule("7.10", "7.23")
@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream"])
def test_content_type_of_a_post_has_no_effect(
    account: Account, chat: Stage, client: Client, content_type: str
) -> None:
    """The answer has no body, and the text arrives whatever it is called."""
    base = f"{chat.management_url}/@connections"

    answer = raw(account, "POST", base, client.connection_id, b"hello", Content_Type=content_type)

    assert (answer.status, answer.body) == (200, b"")
    assert client.receive() == "hello"


@rule("7.04")
@pytest.mark.parametrize("sign", ["@", "%40"])
def test_sign_may_be_encoded(account: Account, chat: Stage, client: Client, sign: str) -> None:
    """``@`` and ``%40`` lead to the same connection, whose id is encoded."""
    base = f"{chat.management_url}/{sign}connections"

    answer = raw(account, "POST", base, client.connection_id, b"hello")

    assert answer.status == 200
    assert client.receive() == "hello"


@rule("7.26")
def test_posts_of_one_caller_arrive_in_order(account: Account, chat: Stage, client: Client) -> None:
    """One post after the other keeps its place."""
    management = account.management(chat)
    for number in range(20):
        management.post_to_connection(ConnectionId=client.connection_id, Data=str(number).encode())

    assert [client.receive() for _ in range(20)] == [str(number) for number in range(20)]


@rule("6.19")
def test_post_of_128_kb_arrives(account: Account, chat: Stage, client: Client) -> None:
    """131072 bytes are one message."""
    account.management(chat).post_to_connection(
        ConnectionId=client.connection_id, Data=b"x" * POSTED_MAX_BYTES
    )

    assert client.receive() == "x" * POSTED_MAX_BYTES


@rule("6.06", "7.25")
def test_large_post_is_split_into_frames(account: Account, chat: Stage) -> None:
    """131072 bytes travel in frames of at most 32 KB."""
    data = bytes(ord("a") + at % 26 for at in range(POSTED_MAX_BYTES))

    with RawClient.connect(account, chat) as client:
        connection_id = client.ask_id()
        account.management(chat).post_to_connection(ConnectionId=connection_id, Data=data)
        frames = [client.receive()]
        while not frames[-1].is_final:
            frames.append(client.receive())

    assert b"".join(each.payload for each in frames) == data
    assert max(len(each.payload) for each in frames) <= 32_768


@rule("7.16", "6.19")
def test_post_above_128_kb_is_too_large(account: Account, chat: Stage, client: Client) -> None:
    """One byte more is refused, and nothing is sent."""
    told = refusal(
        account.management(chat).post_to_connection,
        ConnectionId=client.connection_id,
        Data=b"x" * (POSTED_MAX_BYTES + 1),
    )

    assert (told.status, told.code) == (413, "PayloadTooLargeException")
    assert client.event("next")["body"] == "next"


# Reading


@rule("7.19", "7.21")
def test_get_tells_times_and_identity(account: Account, chat: Stage) -> None:
    """ISO 8601 with milliseconds; the last activity moves on when the client sends."""
    base = f"{chat.management_url}/@connections"

    with connect(account, chat, user_agent_header="parity/1") as client:
        first = raw(account, "GET", base, client.connection_id).json()

        def moved() -> dict[str, str] | None:
            client.event("again")
            now: dict[str, str] = raw(account, "GET", base, client.connection_id).json()
            return now if now["lastActiveAt"] > first["lastActiveAt"] else None

        second = account.eventually(moved, "later lastActiveAt")

    assert set(first) == {"connectedAt", "lastActiveAt", "identity"}
    assert first["identity"]["userAgent"] == "parity/1"
    assert first["identity"]["sourceIp"]
    for time in (first["connectedAt"], first["lastActiveAt"]):
        assert len(time) == len("2024-01-31T12:00:00.000Z")
        assert time.endswith("Z")
    assert second["connectedAt"] == first["connectedAt"]


@rule("7.20")
def test_agent_is_null_when_the_client_sent_none(account: Account, chat: Stage) -> None:
    """The member is there, and null."""
    base = f"{chat.management_url}/@connections"
    with connect(account, chat, user_agent_header=None) as client:
        identity = raw(account, "GET", base, client.connection_id).json()["identity"]

    assert identity["userAgent"] is None


# Closing


@rule("7.18")
def test_delete_is_answered_without_a_body(account: Account, chat: Stage, client: Client) -> None:
    """The answer is 204, and the client is not connected any more."""
    answer = raw(account, "DELETE", f"{chat.management_url}/@connections", client.connection_id)

    assert (answer.status, answer.body) == (204, b"")
    client.closing()


@rule("7.27")
def test_delete_closes_normally(account: Account, chat: Stage, client: Client) -> None:
    """The client sees the code 1000."""
    account.management(chat).delete_connection(ConnectionId=client.connection_id)

    assert client.closing()[0] == 1000


@rule("7.28", "8.13")
def test_delete_is_told_to_disconnect(account: Account, chat: Stage, worker: Function) -> None:
    """``$disconnect`` learns 1000 and AWS's words."""
    with connect(account, chat) as client:
        connection_id = client.connection_id
        account.management(chat).delete_connection(ConnectionId=connection_id)
        client.closing()

    context = disconnect_event(account, worker, connection_id)["requestContext"]
    assert context["disconnectStatusCode"] == 1000
    assert context["disconnectReason"] == "Connection Closed Normally"


# What is not there


@pytest.mark.parametrize("operation", OPERATIONS)
@rule("7.12")
def test_closed_connection_is_gone(account: Account, chat: Stage, operation: str) -> None:
    """All three answer 410 GoneException."""
    with connect(account, chat) as client:
        connection_id = client.connection_id
    call = getattr(account.management(chat), operation)

    def gone() -> Refusal | None:
        try:
            return refusal(call, ConnectionId=connection_id, **members(operation))
        except AssertionError:
            return None

    told = account.eventually(gone, "refusal")

    assert (told.status, told.code) == (410, "GoneException")


@pytest.mark.parametrize("operation", OPERATIONS)
@rule("7.14")
def test_id_that_never_was_is_gone(account: Account, chat: Stage, operation: str) -> None:
    """A well-formed id of nobody is 410 as well."""
    call = getattr(account.management(chat), operation)

    told = refusal(call, ConnectionId=UNKNOWN, **members(operation))

    assert (told.status, told.code) == (410, "GoneException")


@rule("7.13")
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_gone_has_an_empty_body(account: Account, chat: Stage, method: str) -> None:
    """The error's name is in a header only."""
    body = b"x" if method == "POST" else None

    answer = raw(account, method, f"{chat.management_url}/@connections", UNKNOWN, body)

    assert (answer.status, answer.body) == (410, b"")
    assert answer.headers["x-amzn-errortype"].partition(":")[0] == "GoneException"


@rule("7.15")
@pytest.mark.parametrize("connection_id", ["abc", "AbCdEfGhIjKlMn-", "AbCdEfGhIj+lMn-="])
def test_malformed_id_is_a_bad_request(account: Account, chat: Stage, connection_id: str) -> None:
    """Another length or alphabet gives 400 with the id."""
    told = refusal(account.management(chat).get_connection, ConnectionId=connection_id)

    assert (told.status, told.code) == (400, "BadRequestException")
    assert told.message == f"Invalid connectionId: {connection_id}"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("stage_name", [case("7.11", "none", ""), case("7.11", "unknown", "/no")])
def test_wrong_stage_is_forbidden(
    account: Account, chat: Stage, client: Client, stage_name: str, method: str
) -> None:
    """A missing or unknown stage is 403 Forbidden, and the connection is untouched."""
    api = chat.management_url.removesuffix(f"/{chat.name}")
    body = b"wrong" if method == "POST" else None

    answer = raw(account, method, f"{api}{stage_name}/@connections", client.connection_id, body)

    assert answer.status == 403
    assert json.loads(answer.body) == {"message": "Forbidden"}
    assert client.event("still here")["body"] == "still here"


@rule("7.29")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_connection_is_reached_through_its_own_stage_only(
    account: Account, other_stage: Stage, client: Client, operation: str
) -> None:
    """Another stage of the API refuses, and the connection is untouched."""
    call = getattr(account.management(other_stage), operation)

    told = refusal(call, ConnectionId=client.connection_id, **members(operation))

    assert told.status in {403, 410}
    assert client.event("still here")["body"] == "still here"
