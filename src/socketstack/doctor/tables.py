"""Reading the connection table of a system, as far as the doctor may.

Which table it is says the function of ``$connect``, in its environment variable ``TABLE_NAME``. It
is not read beyond ten megabytes.
"""

from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

from socketstack.doctor.facts import ConnectionTable

TABLE_VARIABLE: Final = "TABLE_NAME"
SESSION_ATTRIBUTE: Final = "sessionEndsAt"
EXPIRED_GRACE_SECONDS: Final = 2 * 24 * 3600
"""DynamoDB removes an expired row within a few days, mostly within two."""
ENDED_GRACE_SECONDS: Final = 5 * 60
"""A sweep comes every minute; what it does not get done waits for the next."""
PAGES_MAX: Final = 10


def read_table(client: Any, name: str, now_seconds: int) -> ConnectionTable | None:
    """What can be known of a table; None when it may not be read or does not exist."""
    try:
        kept = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        is_kept = kept["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}
        attribute = kept.get("AttributeName") if is_kept else None
        return _counted(client.scan, name, attribute, now_seconds)
    except ClientError:
        return None


def _counted(
    scan: Callable[..., Any], name: str, attribute: str | None, now_seconds: int
) -> ConnectionTable:
    names = {"#ends": SESSION_ATTRIBUTE} | ({"#expires": attribute} if attribute else {})
    values = {":ended": {"N": str(now_seconds - ENDED_GRACE_SECONDS)}}
    late = "#ends < :ended"
    if attribute:
        values[":expired"] = {"N": str(now_seconds - EXPIRED_GRACE_SECONDS)}
        late += " OR #expires < :expired"
    expired = ended = 0
    start: dict[str, Any] = {}
    page: dict[str, Any] = {}
    for _ in range(PAGES_MAX):
        page = scan(
            TableName=name,
            FilterExpression=late,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            **start,
        )
        for row in page["Items"]:
            expires_at = float(row.get(attribute or "", {}).get("N", "inf"))
            if expires_at < now_seconds - EXPIRED_GRACE_SECONDS:
                expired += 1
            elif expires_at > now_seconds:
                ended += 1
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    return ConnectionTable(
        name=name,
        has_time_to_live=attribute is not None,
        expired_rows=expired,
        ended_rows=ended,
        is_read_whole="LastEvaluatedKey" not in page,
    )
