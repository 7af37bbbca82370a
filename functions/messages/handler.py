"""Messages from clients: ``echo`` and ``$default`` answer in kind, ``send`` reaches others.

Answers travel through the route response. A refusal is delivered with statusCode 200 too: what
API Gateway does with another status on a two-way route is disputed (5.31).
"""

import functools
import os
from collections.abc import Mapping
from typing import Any

import boto3
from push import ConnectionTable, Pusher
from sending import RequestError, answer, parse_send, refusal


@functools.cache
def _pusher() -> Pusher:
    table = ConnectionTable(boto3.client("dynamodb"), os.environ["TABLE_NAME"])
    return Pusher(table, callback_url=os.environ.get("CALLBACK_URL", ""))


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answer one message."""
    body = event.get("body") or ""
    if event["requestContext"]["routeKey"] == "send":
        body = _send(body, event["requestContext"]["authorizer"]["userId"])
    return {"statusCode": 200, "body": body}


def _send(body: str, sender: str) -> str:
    try:
        request = parse_send(body, sender)
    except RequestError as error:
        return refusal(error)
    return answer(request, _pusher().push(request.target, request.data))
