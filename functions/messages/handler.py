"""Messages from clients: ``echo`` and ``$default`` answer in kind, ``send`` reaches others.

A session that has ended is closed by its next message, which nothing is done with; pushes close it
too. Answers travel through the route response. A refusal is delivered with statusCode 200 too: what
API Gateway does with another status on a two-way route is disputed (5.31).
"""

import functools
import os
import time
from collections.abc import Mapping
from typing import Any

import boto3
from push import ConnectionTable, OneConnection, Pusher
from sending import RequestError, answer, parse_send, refusal

_ENDED = RequestError("SessionEnded", "The session has ended. Connect again with a new token.")


@functools.cache
def _pusher() -> Pusher:
    table = ConnectionTable(boto3.client("dynamodb"), os.environ["TABLE_NAME"])
    return Pusher(table, callback_url=os.environ.get("CALLBACK_URL", ""))


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answer one message."""
    if _has_ended(event["requestContext"].get("authorizer") or {}):
        _pusher().kick(OneConnection(event["requestContext"]["connectionId"]))
        return {"statusCode": 200, "body": refusal(_ENDED)}
    body = event.get("body") or ""
    if event["requestContext"]["routeKey"] == "send":
        body = _send(body, event["requestContext"]["authorizer"]["userId"])
    return {"statusCode": 200, "body": body}


def _has_ended(authorizer: Mapping[str, Any]) -> bool:
    """Whether the session of a message is over; one whose end cannot be read is."""
    if "sessionEndsAt" not in authorizer:
        return False
    try:
        return time.time() >= int(str(authorizer["sessionEndsAt"]))
    except ValueError:
        return True


def _send(body: str, sender: str) -> str:
    try:
        request = parse_send(body, sender)
    except RequestError as error:
        return refusal(error)
    return answer(request, _pusher().push(request.target, request.data))
