"""One-time tickets on a table in moto, and the authorizer that takes them."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from functions.authorizer.tickets import Ticket, TicketRefusedError, TicketTable

Load = Callable[[str], Any]
NOW = 1_800_000_000
ALICE = Ticket(user_id="alice", expires_at_seconds=NOW + 60)


@pytest.fixture
def client(account: None) -> Any:
    """DynamoDB with a ticket table as the template describes it."""
    made: Any = boto3.client("dynamodb")
    made.create_table(
        TableName="tickets",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "ticketHash", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "ticketHash", "KeyType": "HASH"}],
    )
    return made


def tickets(client: Any, now: float = NOW) -> TicketTable:
    """The table at a moment."""
    return TicketTable(client, "tickets", now_seconds=lambda: now)


def test_ticket_is_good_once(client: Any) -> None:
    """The first use tells user and times, the second is refused."""
    wanted = Ticket(user_id="a", expires_at_seconds=NOW + 60, session_ends_at_seconds=NOW + 90)
    text = tickets(client).issue(wanted)

    assert tickets(client).redeem(text) == wanted
    with pytest.raises(TicketRefusedError, match="was used before"):
        tickets(client).redeem(text)


def test_tickets_are_long_and_differ_and_only_a_hash_is_kept(client: Any) -> None:
    """Nobody guesses 256 bits, and who reads the table cannot connect."""
    texts = {tickets(client).issue(ALICE) for _ in range(20)}

    kept = str(client.scan(TableName="tickets")["Items"])
    assert len(texts) == 20
    assert {len(text) for text in texts} == {43}
    assert not [text for text in texts if text in kept]


@pytest.mark.parametrize(
    ("now", "is_good"),
    [(NOW + 59.9, True), (NOW + 60, False), (NOW + 100_000, False)],
    ids=["last-moment", "over", "long-over"],
)
def test_expired_ticket_is_refused_though_its_row_is_there(
    client: Any, now: float, *, is_good: bool
) -> None:
    """Time to live removes rows late; the condition does not wait for it."""
    text = tickets(client).issue(ALICE)

    if is_good:
        assert tickets(client, now).redeem(text) == ALICE
        return
    with pytest.raises(TicketRefusedError, match="has expired"):
        tickets(client, now).redeem(text)
    assert client.scan(TableName="tickets")["Count"] == 1


def test_unknown_ticket_is_refused_and_leaves_no_row(client: Any) -> None:
    """An update makes rows; the condition keeps it from doing so."""
    with pytest.raises(TicketRefusedError, match="unknown"):
        tickets(client).redeem("A" * 43)

    assert client.scan(TableName="tickets")["Count"] == 0


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n", "a.b.c"])
def test_other_shapes_do_not_reach_the_table(text: str) -> None:
    """Junk costs no request: there is no table here to ask."""
    with pytest.raises(TicketRefusedError, match="shape"):
        TicketTable(None, "none").redeem(text)  # type: ignore[arg-type]


def test_ticket_of_an_ended_session_is_refused(client: Any) -> None:
    """It would open a connection that is to be closed at once."""
    text = tickets(client).issue(
        Ticket(user_id="a", expires_at_seconds=NOW + 60, session_ends_at_seconds=NOW)
    )

    with pytest.raises(TicketRefusedError, match="session"):
        tickets(client).redeem(text)


@pytest.fixture
def authorize(
    load: Load, client: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """The handler with a ticket table, and nothing that tokens need."""
    monkeypatch.setenv("TICKET_TABLE_NAME", "tickets")

    def run(text: str, **headers: str) -> dict[str, Any]:
        event = {
            "methodArn": "arn:aws:execute-api:us-east-1:123456789012:abc123/dev/$connect",
            "headers": headers,
            "queryStringParameters": {"token": text},
        }
        answer: dict[str, Any] = load("authorizer").handler(event, None)
        return answer

    return run


def test_authorizer_admits_the_user_of_the_ticket(
    authorize: Callable[..., dict[str, Any]], client: Any
) -> None:
    """User and end of the session go into the context, as with a token."""
    far = 4_000_000_000  # the handler's clock is the real one
    text = tickets(client).issue(
        Ticket(user_id="alice", expires_at_seconds=far, session_ends_at_seconds=far)
    )

    answer = authorize(text)

    assert answer["principalId"] == "alice"
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert answer["context"] == {"userId": "alice", "expiresAt": far, "sessionEndsAt": far}


def test_refusal_is_logged_with_its_reason_and_without_the_ticket(
    authorize: Callable[..., dict[str, Any]], client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator sees why; a reader of logs cannot connect."""
    text = tickets(client).issue(Ticket(user_id="alice", expires_at_seconds=1))

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(text)

    assert caplog.messages == ["Refused: the ticket has expired."]


def test_ticket_from_a_foreign_page_is_denied_and_used_up(
    authorize: Callable[..., dict[str, Any]], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a ticket has leaked, so nobody else may use it any more."""
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://chat.example.com")
    text = tickets(client).issue(Ticket(user_id="alice", expires_at_seconds=4_000_000_000))

    answer = authorize(text, Origin="https://evil.example.com")

    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(text, Origin="https://chat.example.com")


def test_table_that_cannot_be_asked_refuses(
    authorize: Callable[..., dict[str, Any]], client: Any
) -> None:
    """An error of DynamoDB is an error of the authorizer, and that is a refusal."""
    client.delete_table(TableName="tickets")

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        authorize("A" * 43)
