"""The example stack without an engine: table, secret and outputs in moto, posts to a stub."""

import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from aws_endpoint import REGION, aws_endpoint
from connections_stub import ConnectionsStub, connections_stub

TOKEN_KEY = "k" * 64


@dataclass(frozen=True)
class ExampleStack:
    """What a test needs of it."""

    endpoint_url: str
    connections: ConnectionsStub

    def client(self, service: str) -> Any:
        """A boto3 client of the account."""
        return _client(service, self.endpoint_url)

    @property
    def environ(self) -> dict[str, str]:
        """Variables that point the web client here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "CONNECTIONS_URL": self.connections.url,
            "AWS_REGION": REGION,
        }

    def connect(self, connection_id: str, user_id: str) -> None:
        """Put a row into the connection table, as ``$connect`` does."""
        now = int(time.time())
        self.client("dynamodb").put_item(
            TableName="connections",
            Item={
                "connectionId": {"S": connection_id},
                "userId": {"S": user_id},
                "domainName": {"S": "unused.example"},
                "stage": {"S": "dev"},
                "connectedAt": {"N": str(now * 1000)},
                "expiresAt": {"N": str(now + 7800)},
            },
        )

    def disconnect(self, connection_id: str) -> None:
        """Remove a row of the connection table."""
        self.client("dynamodb").delete_item(
            TableName="connections", Key={"connectionId": {"S": connection_id}}
        )

    def rows(self) -> set[str]:
        """Connection ids in the table."""
        items = self.client("dynamodb").scan(TableName="connections")["Items"]
        return {item["connectionId"]["S"] for item in items}


@contextmanager
def example_stack() -> Iterator[ExampleStack]:
    """A stack named ``socketstack`` with the template's outputs, while the context is open."""
    with aws_endpoint() as endpoint_url, connections_stub() as connections:
        stack = ExampleStack(endpoint_url, connections)
        _create(stack)
        yield stack


@functools.lru_cache(maxsize=8)
def _client(service: str, endpoint_url: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def _create(stack: ExampleStack) -> None:
    secret = stack.client("secretsmanager").create_secret(Name="key", SecretString=TOKEN_KEY)
    outputs = {
        "ApiId": "abc123",
        "Stage": "dev",
        "WebSocketUrl": "ws://localhost:4566/_aws/execute-api/abc123/dev",
        "ConnectionsUrl": f"https://abc123.execute-api.{REGION}.amazonaws.com/dev",
        "TableName": "connections",
        "TokenSecretArn": secret["ARN"],
        "TokenIssuer": "me",
        "TokenAudience": "chat",
    }
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": "connections",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "connectionId", "AttributeType": "S"},
                {"AttributeName": "userId", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "connectionId", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "byUser",
                    "KeySchema": [{"AttributeName": "userId", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        },
    }
    template = {
        "Resources": {"Table": table},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    stack.client("cloudformation").create_stack(
        StackName="socketstack", TemplateBody=json.dumps(template)
    )
