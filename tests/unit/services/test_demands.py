"""What AWS calls ask permission for."""

import json
from dataclasses import replace
from typing import Any

import pytest

from socketstack.services.call_resources import Place
from socketstack.services.demands import Demand, demands_of
from socketstack.services.http import AwsRequest

PLACE = Place(region="eu-west-1", account_id="123456789012")


def json_call(target: str, **body: Any) -> AwsRequest:
    """A call in the JSON protocol."""
    return AwsRequest(
        method="POST",
        host="localhost:4566",
        path="/",
        headers=(("X-Amz-Target", target),),
        body=json.dumps(body).encode(),
    )


def query_call(**fields: str) -> AwsRequest:
    """A call in the query protocol."""
    return AwsRequest(
        method="POST",
        host="localhost:4566",
        path="/",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body="&".join(f"{name}={value}" for name, value in fields.items()).encode(),
    )


def rest_call(method: str, path: str, query: str = "", **members: Any) -> AwsRequest:
    """A call whose operation is its path."""
    return AwsRequest(
        method=method, host="localhost:4566", path=path, query_string=query, **members
    )


def arn(service: str, resource: str) -> str:
    """An ARN in ``PLACE``."""
    return f"arn:aws:{service}:eu-west-1:123456789012:{resource}"


@pytest.mark.parametrize(
    ("service", "request_", "demands"),
    [
        pytest.param(
            "dynamodb",
            json_call("DynamoDB_20120810.Query", TableName="t", IndexName="byUser"),
            [("dynamodb:Query", arn("dynamodb", "table/t/index/byUser"))],
            id="index",
        ),
        pytest.param(
            "dynamodb",
            json_call("DynamoDB_20120810.GetItem", TableName=arn("dynamodb", "table/t")),
            [("dynamodb:GetItem", arn("dynamodb", "table/t"))],
            id="table-by-arn",
        ),
        pytest.param(
            "dynamodb",
            json_call("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": [], "b": []}),
            [
                ("dynamodb:BatchWriteItem", arn("dynamodb", "table/a")),
                ("dynamodb:BatchWriteItem", arn("dynamodb", "table/b")),
            ],
            id="two-tables",
        ),
        pytest.param(
            "dynamodb",
            json_call(
                "DynamoDB_20120810.TransactWriteItems",
                TransactItems=[{"Put": {"TableName": "a"}}, {"Delete": {"TableName": "b"}}, 3],
            ),
            [
                ("dynamodb:PutItem", arn("dynamodb", "table/a")),
                ("dynamodb:DeleteItem", arn("dynamodb", "table/b")),
            ],
            id="transaction",
        ),
        pytest.param(
            "dynamodb",
            json_call("DynamoDB_20120810.TransactGetItems"),
            [("dynamodb:TransactWriteItems", "*")],
            id="empty-transaction",
        ),
        pytest.param(
            "sqs",
            json_call("AmazonSQS.SendMessageBatch", QueueUrl="http://x/123456789012/jobs"),
            [("sqs:SendMessage", arn("sqs", "jobs"))],
            id="queue-batch",
        ),
        pytest.param(
            "sqs",
            query_call(Action="SendMessage", QueueUrl="http%3A%2F%2Fx%2F1%2Fjobs"),
            [("sqs:SendMessage", arn("sqs", "jobs"))],
            id="queue-by-query",
        ),
        pytest.param(
            "sns",
            query_call(Action="Unsubscribe", SubscriptionArn="arn:aws:sns:eu-west-1:1:news:id"),
            [("sns:Unsubscribe", "arn:aws:sns:eu-west-1:1:news")],
            id="subscription",
        ),
        pytest.param(
            "secretsmanager",
            json_call(
                "secretsmanager.GetSecretValue", SecretId=arn("secretsmanager", "secret:k-a")
            ),
            [("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:k-a"))],
            id="secret-by-arn",
        ),
        pytest.param(
            "ssm",
            json_call("AmazonSSM.GetParameters", Names=["/a/b", "c", 4]),
            [
                ("ssm:GetParameters", arn("ssm", "parameter/a/b")),
                ("ssm:GetParameters", arn("ssm", "parameter/c")),
            ],
            id="parameters",
        ),
        pytest.param(
            "logs",
            json_call("Logs_20140328.PutLogEvents", logGroupName="/a", logStreamName="s"),
            [("logs:PutLogEvents", arn("logs", "log-group:/a:log-stream:s"))],
            id="log-stream",
        ),
        pytest.param(
            "logs",
            json_call(
                "Logs_20140328.FilterLogEvents", logGroupIdentifier=arn("logs", "log-group:/a:*")
            ),
            [("logs:FilterLogEvents", arn("logs", "log-group:/a:log-stream:"))],
            id="log-group-by-arn",
        ),
        pytest.param(
            "lambda",
            rest_call("POST", "/2015-03-31/functions/echo/invocations", "Qualifier=live"),
            [("lambda:InvokeFunction", arn("lambda", "function:echo:live"))],
            id="function-with-alias",
        ),
        pytest.param(
            "lambda",
            rest_call(
                "POST",
                "/2015-03-31/functions",
                body=b'{"FunctionName": "echo", "Role": "arn:aws:iam::1:role/r"}',
            ),
            [
                ("lambda:CreateFunction", arn("lambda", "function:echo")),
                ("iam:PassRole", "arn:aws:iam::1:role/r"),
            ],
            id="new-function",
        ),
        pytest.param(
            "lambda",
            rest_call("GET", "/2018-10-31/layers/push/versions/3"),
            [("lambda:GetLayerVersion", arn("lambda", "layer:push:3"))],
            id="layer-version",
        ),
        pytest.param(
            "lambda",
            rest_call("GET", "/nothing/of/lambda"),
            [("lambda:Unknown", "*")],
            id="no-operation",
        ),
        pytest.param(
            "apigateway",
            rest_call("PATCH", "/v2/apis/a1/routes/r%201"),
            [("apigateway:PATCH", "arn:aws:apigateway:eu-west-1::/apis/a1/routes/r 1")],
            id="api",
        ),
        pytest.param(
            "s3",
            rest_call("GET", "/files/a%20b", "versionId=1&x-id=GetObject"),
            [("s3:GetObjectVersion", "arn:aws:s3:::files/a b")],
            id="object-version",
        ),
        pytest.param(
            "s3",
            rest_call("GET", "/files/a", "X-Amz-Signature=1&partNumber=2"),
            [("s3:GetObject", "arn:aws:s3:::files/a")],
            id="presigned-object",
        ),
        pytest.param(
            "s3",
            rest_call("PUT", "/files/a", headers=(("x-amz-copy-source", "/other/b%20c"),)),
            [("s3:PutObject", "arn:aws:s3:::files/a"), ("s3:GetObject", "arn:aws:s3:::other/b c")],
            id="copy",
        ),
        pytest.param(
            "s3",
            AwsRequest(method="PUT", host="files.s3.localhost:4566", path="/"),
            [("s3:CreateBucket", "arn:aws:s3:::files")],
            id="bucket-in-the-host",
        ),
        pytest.param(
            "s3",
            rest_call("POST", "/files", "delete="),
            [("s3:DeleteObject", "arn:aws:s3:::files/*")],
            id="many-objects",
        ),
        pytest.param("s3", rest_call("GET", "/"), [("s3:ListAllMyBuckets", "*")], id="buckets"),
        pytest.param(
            "s3",
            rest_call("PUT", "/files", "website="),
            [("s3:Unknown", "arn:aws:s3:::files")],
            id="unlisted-operation",
        ),
        pytest.param(
            "s3",
            rest_call("GET", "/files/a", "acl&tagging"),
            [("s3:Unknown", "arn:aws:s3:::files/a")],
            id="two-operations",
        ),
        pytest.param("s3", rest_call("POST", "/"), [("s3:Unknown", "*")], id="no-bucket"),
        pytest.param(
            "s3", rest_call("TRACE", "/files"), [("s3:Unknown", "arn:aws:s3:::files")], id="odd"
        ),
        pytest.param(
            "iam",
            query_call(Action="PutRolePolicy", RoleName="r", PolicyName="p"),
            [("iam:PutRolePolicy", "arn:aws:iam::123456789012:role/r")],
            id="role",
        ),
        pytest.param(
            "sts",
            query_call(Action="AssumeRole", RoleArn="arn:aws:iam::1:role/r"),
            [("sts:AssumeRole", "arn:aws:iam::1:role/r")],
            id="assumed-role",
        ),
        pytest.param("sts", query_call(Action="GetCallerIdentity"), [], id="free"),
        pytest.param(
            "kms",
            json_call("TrentService.Decrypt", KeyId="k1"),
            [("kms:Decrypt", arn("kms", "key/k1"))],
            id="key",
        ),
        pytest.param(
            "kms",
            json_call("TrentService.Decrypt", KeyId="alias/a"),
            [("kms:Decrypt", arn("kms", "alias/a"))],
            id="key-by-alias",
        ),
        pytest.param(
            "events",
            json_call("AWSEvents.PutEvents", Entries=[{"EventBusName": "b"}, {}, 1]),
            [
                ("events:PutEvents", arn("events", "event-bus/b")),
                ("events:PutEvents", arn("events", "event-bus/default")),
            ],
            id="buses",
        ),
        pytest.param(
            "events",
            json_call("AWSEvents.PutRule", Name="r"),
            [("events:PutRule", arn("events", "rule/r"))],
            id="rule",
        ),
        pytest.param(
            "kinesis",
            json_call("Kinesis_20131202.PutRecord", StreamName="s"),
            [("kinesis:PutRecord", arn("kinesis", "stream/s"))],
            id="stream",
        ),
        pytest.param(
            "states",
            json_call("AWSStepFunctions.StartExecution", stateMachineArn="arn:aws:states:::m"),
            [("states:StartExecution", "arn:aws:states:::m")],
            id="state-machine",
        ),
        pytest.param(
            "cloudformation",
            query_call(Action="DescribeStacks", StackName="chat"),
            [("cloudformation:DescribeStacks", arn("cloudformation", "stack/chat/*"))],
            id="stack",
        ),
        pytest.param(
            "monitoring",
            query_call(Action="PutMetricData"),
            [("cloudwatch:PutMetricData", "*")],
            id="other-prefix",
        ),
        pytest.param(
            "monitoring",
            rest_call("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData"),
            [("cloudwatch:PutMetricData", "*")],
            id="cbor",
        ),
        pytest.param(
            "nothing", rest_call("GET", "/x"), [("nothing:Unknown", "*")], id="unknown-service"
        ),
        pytest.param(
            "dynamodb",
            AwsRequest(
                method="POST",
                host="h",
                path="/",
                headers=(("X-Amz-Target", "DynamoDB_20120810.GetItem"),),
                body=b"[",
            ),
            [("dynamodb:GetItem", "*")],
            id="no-json",
        ),
    ],
)
def test_call_demands_its_actions_on_its_resources(
    service: str, request_: AwsRequest, demands: list[tuple[str, str]]
) -> None:
    """Actions have IAM's names, resources are ARNs, and what cannot be told is ``*``."""
    assert demands_of(request_, service, PLACE) == [Demand(*each) for each in demands]


@pytest.mark.parametrize(
    ("service", "request_"),
    [
        pytest.param(
            "iam",
            replace(
                query_call(Action="DeleteRole", RoleName="r"),
                headers=(
                    ("Content-Type", "application/x-www-form-urlencoded"),
                    ("X-Amz-Target", "x.ListRoles"),
                ),
            ),
            id="header-and-action",
        ),
        pytest.param(
            "iam",
            replace(query_call(Action="DeleteRole"), query_string="Action=ListRoles"),
            id="body-and-address",
        ),
        pytest.param(
            "dynamodb",
            replace(
                json_call("DynamoDB_20120810.DeleteTable", TableName="t"),
                path="/service/DynamoDB/operation/ListTables",
            ),
            id="header-and-path",
        ),
    ],
)
def test_call_that_can_be_read_in_two_ways_is_none(service: str, request_: AwsRequest) -> None:
    """Nobody gets an operation done under the name of another."""
    assert demands_of(request_, service, PLACE) == [Demand(f"{service}:Unknown", "*")]


def test_names_in_a_call_mean_nothing_where_the_path_does() -> None:
    """A header, a query or a payload does not stand in for what a path names."""
    call = rest_call(
        "POST",
        "/2015-03-31/functions/secret/invocations",
        "FunctionName=open&Action=GetFunction",
        headers=(("X-Amz-Target", "AWSLambda.GetFunction"),),
        body=b'{"FunctionName": "open", "Qualifier": "live", "Role": "r"}',
    )

    assert demands_of(call, "lambda", PLACE) == [
        Demand("lambda:InvokeFunction", arn("lambda", "function:secret"))
    ]


def test_parameter_of_a_body_is_not_taken_from_the_address() -> None:
    """Where the model has a parameter in the body, the query string does not name it."""
    call = rest_call(
        "POST", "/2015-03-31/functions", "FunctionName=open", body=b'{"FunctionName": "secret"}'
    )

    assert demands_of(call, "lambda", PLACE) == [
        Demand("lambda:CreateFunction", arn("lambda", "function:secret"))
    ]
