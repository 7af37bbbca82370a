"""A function as many are: boto3 and a client at import. Tells whether its process is new."""

from collections.abc import Mapping
from typing import Any

import boto3

_client = boto3.client("dynamodb", region_name="us-east-1")
_calls = 0


def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Count the calls of this process."""
    global _calls  # noqa: PLW0603
    _calls += 1
    return {"statusCode": 200, "body": str(_calls)}
