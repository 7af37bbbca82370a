"""One-time tickets: who holds one may open one connection, once and soon. boto3's client only.

The table keeps the hash of a ticket, so whoever reads it cannot connect. A ticket is used up by
one conditional write: of any number of handshakes at once with the same ticket DynamoDB lets one
through. The expiry is part of that condition, since time to live removes rows late, up to days.
A used row stays until then, so that a second use can be told from a ticket that never was.
"""

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_TICKET_BYTES: Final = 32
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""32 bytes in base64 for addresses; anything else is refused without asking the table."""


class TicketRefusedError(Exception):
    """The ticket is not accepted; the text gives the reason and nothing of the ticket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a ticket stands for."""

    user_id: str
    expires_at_seconds: int
    """Until when a connection can be opened with it."""
    session_ends_at_seconds: int | None = None
    """When that connection must be closed; None for API Gateway's own limit only."""


class TicketTable:
    """Issues and redeems tickets; boto3's errors pass through."""

    def __init__(
        self, client: "DynamoDBClient", name: str, *, now_seconds: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._name = name
        self._now_seconds = now_seconds

    def issue(self, ticket: Ticket) -> str:
        """Store a new ticket and give its text, which is a secret and is kept nowhere else."""
        text = secrets.token_urlsafe(_TICKET_BYTES)
        item: dict[str, AttributeValueTypeDef] = {
            **_key(text),
            "userId": {"S": ticket.user_id},
            "expiresAt": {"N": str(ticket.expires_at_seconds)},
        }
        if ticket.session_ends_at_seconds is not None:
            item["sessionEndsAt"] = {"N": str(ticket.session_ends_at_seconds)}
        self._client.put_item(TableName=self._name, Item=item)
        return text

    def redeem(self, text: str) -> Ticket:
        """Use a ticket up. Raises ``TicketRefusedError`` when it is not good, or not any more."""
        if not _SHAPE.fullmatch(text):
            raise TicketRefusedError("what was sent has not the shape of a ticket")
        now = int(self._now_seconds())
        try:
            answer = self._client.update_item(
                TableName=self._name,
                Key=_key(text),
                UpdateExpression="SET usedAt = :now",
                ConditionExpression="attribute_not_exists(usedAt) AND expiresAt > :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            raise TicketRefusedError(_reason(_kept(refused.response))) from None
        return _ticket(answer["Attributes"], now)


def _key(text: str) -> dict[str, "AttributeValueTypeDef"]:
    # No salt and no slow hash: there is nothing to guess in 256 random bits.
    return {"ticketHash": {"S": hashlib.sha256(text.encode()).hexdigest()}}


def _kept(response: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = response.get("Item") or {}
    return found


def _reason(kept: Mapping[str, Any]) -> str:
    if not kept:
        return "the ticket is unknown"
    return "the ticket was used before" if "usedAt" in kept else "the ticket has expired"


def _ticket(item: Mapping[str, "AttributeValueTypeDef"], now: int) -> Ticket:
    ends_at = item.get("sessionEndsAt")
    ticket = Ticket(
        user_id=item["userId"]["S"],
        expires_at_seconds=int(item["expiresAt"]["N"]),
        session_ends_at_seconds=None if ends_at is None else int(ends_at["N"]),
    )
    if ticket.session_ends_at_seconds is not None and ticket.session_ends_at_seconds <= now:
        raise TicketRefusedError("the session of the ticket has ended")
    return ticket
