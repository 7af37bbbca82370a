"""The function of the soak: echoes, tells who it is, and ends in the middle of a call."""

import json
import os
from collections.abc import Mapping
from typing import Any


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Do what the message's ``do`` says."""
    match json.loads(event["body"])["do"]:
        case "who":
            told = {"connectionId": event["requestContext"]["connectionId"], "pid": os.getpid()}
            return {"statusCode": 200, "body": json.dumps(told)}
        case "crash":
            os._exit(1)
        case "raise":
            raise ValueError("as it was told")
        case _:
            return {"statusCode": 200, "body": event["body"]}
