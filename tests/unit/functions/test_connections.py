"""The function of $connect and $disconnect, with events as recorded on AWS."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest

Load = Callable[[str], Any]
Rows = Callable[[], dict[str, Any]]
CONNECTED_AT_MS = 1_700_000_000_123


def event(route_key: str, **context: object) -> dict[str, Any]:
    """A CONNECT or DISCONNECT event."""
    return {
        "requestContext": {
            "routeKey": route_key,
            "eventType": route_key.strip("$").upper(),
            "connectionId": "L0SM9cOFvHcCIhw=",
            "connectedAt": CONNECTED_AT_MS,
            "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
            "stage": "dev",
            "apiId": "abc123",
            "authorizer": {"principalId": "alice", "userId": "alice", "expiresAt": 1_700_000_060},
            **context,
        },
        "isBase64Encoded": False,
    }


def test_connect_stores_the_row_with_its_time_to_live(load: Load, rows: Rows) -> None:
    """The row names user and address, and ends ten minutes after the two-hour limit."""
    answer = load("connections").handler(event("$connect"), None)

    assert answer == {"statusCode": 200}
    assert rows()["L0SM9cOFvHcCIhw="] == {
        "connectionId": {"S": "L0SM9cOFvHcCIhw="},
        "userId": {"S": "alice"},
        "domainName": {"S": "abc123.execute-api.us-east-1.amazonaws.com"},
        "stage": {"S": "dev"},
        "connectedAt": {"N": str(CONNECTED_AT_MS)},
        "expiresAt": {"N": str(1_700_000_000 + 7200 + 600)},
    }


def test_disconnect_removes_the_row(load: Load, rows: Rows) -> None:
    """After $disconnect the connection is not known any more."""
    handler = load("connections").handler
    handler(event("$connect"), None)

    answer = handler(event("$disconnect"), None)

    assert answer == {"statusCode": 200}
    assert rows() == {}


def test_disconnect_of_an_unknown_connection_is_fine(load: Load, rows: Rows) -> None:
    """A second $disconnect, or one after the time to live, changes nothing."""
    answer = load("connections").handler(event("$disconnect"), None)

    assert answer == {"statusCode": 200}


@pytest.mark.parametrize(
    "authorizer",
    [
        pytest.param(None, id="no-authorizer"),
        pytest.param({}, id="empty-context"),
        pytest.param({"principalId": "x"}, id="no-user"),
        pytest.param({"userId": ""}, id="empty-user"),
    ],
)
def test_connect_without_a_user_is_refused(load: Load, rows: Rows, authorizer: object) -> None:
    """Should $connect lose its authorizer, nobody gets in and no row is kept."""
    answer = load("connections").handler(event("$connect", authorizer=authorizer), None)

    assert answer == {"statusCode": 403}
    assert rows() == {}


def test_other_route_is_an_error(load: Load, rows: Rows) -> None:
    """A route that is wired here by mistake fails loudly."""
    with pytest.raises(ValueError, match="'chat'"):
        load("connections").handler(event("chat"), None)

    assert rows() == {}


def test_failing_table_refuses_the_connection(load: Load, table: str) -> None:
    """When the row cannot be written, the handler raises, so API Gateway refuses."""
    client: Any = boto3.client("dynamodb")
    client.delete_table(TableName=table)

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        load("connections").handler(event("$connect"), None)


@pytest.mark.parametrize("ends_at", [1_700_003_600, "1700003600"], ids=["number", "text"])
def test_connect_stores_when_the_session_ends(load: Load, rows: Rows, ends_at: object) -> None:
    """As the authorizer said it; API Gateway may pass numbers on as texts."""
    authorizer = {"userId": "alice", "sessionEndsAt": ends_at}

    load("connections").handler(event("$connect", authorizer=authorizer), None)

    assert rows()["L0SM9cOFvHcCIhw="]["sessionEndsAt"] == {"N": "1700003600"}


@pytest.mark.parametrize("ends_at", ["", "soon", "1e9", [], None], ids=repr)
def test_connect_with_an_unreadable_end_is_refused(load: Load, rows: Rows, ends_at: object) -> None:
    """A session that would never end is none; no row is kept."""
    authorizer = {"userId": "alice", "sessionEndsAt": ends_at}

    answer = load("connections").handler(event("$connect", authorizer=authorizer), None)

    assert answer == {"statusCode": 403}
    assert rows() == {}
