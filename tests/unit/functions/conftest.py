"""What tests of functions share: an account in moto, and handlers as Lambda loads them."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from connections_stub import ConnectionsStub, connections_stub
from moto import mock_aws

ROOT = Path(__file__).parents[3]
FUNCTIONS = ROOT / "functions"
Load = Callable[[str], ModuleType]


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS account; nothing of this machine's own AWS settings is seen."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with mock_aws():
        yield


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a function's handler with its own folder and the layer on the path."""

    def forget() -> None:
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            if file.startswith(str(FUNCTIONS)) and not name.startswith("functions."):
                del sys.modules[name]

    def load_function(name: str) -> ModuleType:
        forget()
        monkeypatch.syspath_prepend(str(FUNCTIONS / "push"))
        monkeypatch.syspath_prepend(str(FUNCTIONS / name))
        return importlib.import_module("handler")

    yield load_function
    forget()


@pytest.fixture
def stub() -> Iterator[ConnectionsStub]:
    """A management API."""
    with connections_stub() as made:
        yield made


@pytest.fixture
def table(account: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connection table as the template describes it; its name is in TABLE_NAME."""
    client: Any = boto3.client("dynamodb")
    client.create_table(
        TableName="connections",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "connectionId", "AttributeType": "S"},
            {"AttributeName": "userId", "AttributeType": "S"},
            {"AttributeName": "sessionShard", "AttributeType": "N"},
            {"AttributeName": "sessionEndsAt", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "connectionId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "byUser",
                "KeySchema": [{"AttributeName": "userId", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": "bySessionEnd",
                "KeySchema": [
                    {"AttributeName": "sessionShard", "KeyType": "HASH"},
                    {"AttributeName": "sessionEndsAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            },
        ],
    )
    monkeypatch.setenv("TABLE_NAME", "connections")
    return "connections"


@pytest.fixture
def rows(table: str) -> Callable[[], dict[str, Any]]:
    """Read the whole table, by connection id."""

    def read() -> dict[str, Any]:
        client: Any = boto3.client("dynamodb")
        items = client.scan(TableName=table)["Items"]
        return {item["connectionId"]["S"]: item for item in items}

    return read
