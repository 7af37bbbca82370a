"""Functions of the system that is measured: as little as each can be, so the engine shows."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def authorizer(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Allow one token."""
    is_known = event["queryStringParameters"].get("token") == "bench"
    effect = "Allow" if is_known else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "bench", "policyDocument": policy}


def connections(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answer ``$connect``; make a named file longer by a byte for each ``$disconnect``."""
    tally = os.environ.get("TALLY")
    if tally and event["requestContext"]["routeKey"] == "$disconnect":
        with Path(tally).open("ab") as file:
            file.write(b".")
    return {"statusCode": 200}


def echo(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Send back what came."""
    return {"statusCode": 200, "body": event["body"]}


def who(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Tell a client its connection's id."""
    return {"statusCode": 200, "body": event["requestContext"]["connectionId"]}


def sleeper(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Take its time."""
    time.sleep(json.loads(event["body"])["seconds"])
    return {"statusCode": 200, "body": "awake"}
