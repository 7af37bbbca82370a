"""The connection table: rows that nobody removes, and sessions that nobody ends."""

from collections.abc import Iterator

from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Finding, ok, warning


def stale_rows(api: Api) -> Iterator[Finding]:
    """Rows go when their connection does, at the latest with their time to live."""
    table = api.connection_table
    if table is None:
        return
    found = False
    more = "" if table.is_read_whole else " or more"
    if not table.has_time_to_live:
        found = True
        yield warning(
            "stale-rows",
            f"The table {table.name} has no time to live.",
            "$disconnect is best effort: rows of connections that it never told of stay for ever, "
            "and every push to all tries them.",
            "Switch TTL on, for the attribute that says when a row may go.",
        )
    if table.expired_rows:
        found = True
        yield warning(
            "stale-rows",
            f"{table.expired_rows}{more} rows of {table.name} have been expired for two days.",
            "DynamoDB's TTL takes that long at most, as a rule: it does not remove them, or their "
            "attribute is not in seconds since the epoch. Reads pay for them.",
            "Look at the TTL attribute of the table and of such a row; delete what is left over. "
            "A local engine removes no rows: there, deploy anew.",
        )
    if table.ended_rows:
        found = True
        yield warning(
            "stale-rows",
            f"The session of {table.ended_rows}{more} rows of {table.name} ended minutes ago.",
            "Their connections may still be open: nothing closes what is silent past its end.",
            "Look at the log and the alarms of the function that sweeps, at its rule, and at the "
            "dead letter queue.",
        )
    if not found:
        yield ok("stale-rows", f"No row of {table.name} is left over.")
