"""The doctor's look at the connection table."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from socketstack.doctor import tables
from socketstack.doctor.checks.rows import stale_rows
from socketstack.doctor.facts import Api, ConnectionTable
from socketstack.doctor.findings import Severity
from socketstack.doctor.tables import read_table

NOW = 1_800_000_000
DAY = 86_400
API = Api(api_id="a1", name="chat", region="us-east-1", account_id="123456789012")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """DynamoDB with an empty table ``connections``, TTL on."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with mock_aws():
        made: Any = boto3.client("dynamodb", region_name="us-east-1")
        made.create_table(
            TableName="connections",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "connectionId", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "connectionId", "KeyType": "HASH"}],
        )
        _keep(made, is_kept=True)
        yield made


def _keep(client: Any, *, is_kept: bool) -> None:
    client.update_time_to_live(
        TableName="connections",
        TimeToLiveSpecification={"AttributeName": "expiresAt", "Enabled": is_kept},
    )


def _put(client: Any, name: str, expires_at: int, ends_at: int | None = None) -> None:
    item = {"connectionId": {"S": name}, "expiresAt": {"N": str(expires_at)}}
    if ends_at is not None:
        item["sessionEndsAt"] = {"N": str(ends_at)}
    client.put_item(TableName="connections", Item=item)


def test_only_what_is_long_over_counts(client: Any) -> None:
    """DynamoDB has two days, the sweeper five minutes; what is expired has no session to end."""
    _put(client, "live", NOW + 7800)
    _put(client, "session-lasts", NOW + 7800, NOW + 60)
    _put(client, "just-ended", NOW + 7800, NOW - 60)
    _put(client, "ended", NOW + 7800, NOW - 301)
    _put(client, "just-expired", NOW - DAY, NOW - DAY - 7000)
    _put(client, "expired", NOW - 2 * DAY - 1)
    _put(client, "both", NOW - 3 * DAY, NOW - 3 * DAY)

    assert read_table(client, "connections", NOW) == ConnectionTable(
        name="connections", expired_rows=2, ended_rows=1
    )


def test_table_without_time_to_live_is_told(client: Any) -> None:
    """Then nothing expires, and nothing counts as expired."""
    _keep(client, is_kept=False)
    _put(client, "old", NOW - 9 * DAY)

    table = read_table(client, "connections", NOW)

    assert table == ConnectionTable(name="connections", has_time_to_live=False)


def test_large_table_is_not_read_whole(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading ends, and says that there may be more."""
    monkeypatch.setattr(tables, "PAGES_MAX", 1)
    large = {"S": "x" * 300_000}
    for number in range(8):
        client.put_item(
            TableName="connections",
            Item={
                "connectionId": {"S": str(number)},
                "expiresAt": {"N": str(NOW - 3 * DAY)},
                "more": large,
            },
        )

    table = read_table(client, "connections", NOW)

    assert table is not None
    assert not table.is_read_whole
    assert 0 < table.expired_rows < 8


def test_table_that_is_not_there_is_nothing(client: Any) -> None:
    """What cannot be read is not judged."""
    assert read_table(client, "other", NOW) is None
    assert list(stale_rows(API)) == []


@pytest.mark.parametrize(
    ("table", "told"),
    [
        pytest.param(
            ConnectionTable(name="t", has_time_to_live=False), ["has no time to live"], id="no-ttl"
        ),
        pytest.param(
            ConnectionTable(name="t", expired_rows=3),
            ["3 rows of t have been expired for two days"],
            id="expired",
        ),
        pytest.param(
            ConnectionTable(name="t", ended_rows=2, is_read_whole=False),
            ["session of 2 or more rows of t ended"],
            id="ended",
        ),
    ],
)
def test_what_is_left_over_is_a_warning(table: ConnectionTable, told: list[str]) -> None:
    """With cause and fix."""
    findings = list(stale_rows(replace(API, connection_table=table)))

    assert [finding.severity for finding in findings] == [Severity.WARNING]
    assert all(text in finding.what for text, finding in zip(told, findings, strict=True))
    assert all(finding.why and finding.fix for finding in findings)


def test_clean_table_is_said_to_be() -> None:
    """Nothing left over is a check that passed."""
    (finding,) = stale_rows(replace(API, connection_table=ConnectionTable(name="t")))

    assert finding.severity is Severity.OK
