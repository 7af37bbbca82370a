"""Our types in LocalStack's CloudFormation: what is made, read, changed, refused and removed."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from localstack_host import LocalStackHost
from websockets.sync.client import connect

from socketstack.kit.waiting import poll
from socketstack.services.cfn.kind_apigateway import TYPES, kind
from socketstack.services.cfn.template import parse

pytestmark = [pytest.mark.localstack, pytest.mark.timeout(300)]
_TEMPLATE = (Path(__file__).parent / "localstack_types.yaml").read_text(encoding="utf-8")
_LOGS_ROLE = "arn:aws:iam::000000000000:role/logs"


class Stack:
    """One stack of a test, through change sets as every client makes them."""

    def __init__(self, host: LocalStackHost) -> None:
        self.name = f"types-{uuid.uuid4().hex[:8]}"
        self.client = host.client("cloudformation")
        self.gateway = host.client("apigatewayv2")

    def apply(self, body: str, *kept: str, **parameters: str) -> str:
        """Create or update it; its status at the end. ``kept`` parameters stay as they are."""
        kind = "UPDATE" if self._describe() else "CREATE"
        made = self.client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"c{uuid.uuid4().hex}",
            ChangeSetType=kind,
            TemplateBody=body,
            Parameters=[
                *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
                *({"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()),
            ],
        )
        found = self.client.describe_change_set(ChangeSetName=made["Id"])
        assert found["Status"] == "CREATE_COMPLETE", found
        self.client.execute_change_set(ChangeSetName=made["Id"])
        return self._settled()

    def delete(self) -> str:
        """Delete it; the status in which it ends."""
        self.client.delete_stack(StackName=self.name)
        return self._settled()

    def outputs(self) -> dict[str, str]:
        """Its outputs."""
        return {o["OutputKey"]: o["OutputValue"] for o in self._describe().get("Outputs", [])}

    def physical_ids(self) -> dict[str, str]:
        """Physical ids of its resources."""
        found = self.client.describe_stack_resources(StackName=self.name)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}

    def reasons(self) -> str:
        """What its events say about failures."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in events)

    def apis(self) -> list[str]:
        """Names of the APIs that there are."""
        return [api["Name"] for api in self.gateway.get_apis()["Items"]]

    def _describe(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.client.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError:
            return {}
        return found

    def _settled(self) -> str:
        def look() -> str | None:
            status = self._describe().get("StackStatus", "DELETE_COMPLETE")
            return None if status.endswith("IN_PROGRESS") else status

        settled = poll(look, every_seconds=0.1, timeout_seconds=60)
        assert settled is not None
        return settled


@pytest.fixture
def stack(localstack: LocalStackHost) -> Iterator[Stack]:
    """A stack that is deleted at the end."""
    stack = Stack(localstack)
    yield stack
    stack.delete()


def with_resource(logical_id: str, definition: Mapping[str, Any]) -> str:
    """A template with an API and one more resource."""
    return json.dumps(
        {
            "Resources": {
                "Api": {
                    "Type": "AWS::ApiGatewayV2::Api",
                    "Properties": {
                        "Name": "refused",
                        "ProtocolType": "WEBSOCKET",
                        "RouteSelectionExpression": "$request.body.action",
                    },
                },
                logical_id: {"DependsOn": "Api", **definition},
            }
        }
    )


def test_template_has_every_type_and_reads_every_attribute() -> None:
    """The template that the next test deploys leaves none of our types and attributes out."""
    document = parse(_TEMPLATE)
    types = {one["Type"] for one in document["Resources"].values()}
    read = {tuple(v["Value"].get("Fn::GetAtt", ())) for v in document["Outputs"].values()}
    names = {one["Type"]: name for name, one in document["Resources"].items()}

    assert types >= TYPES
    for type_name in TYPES:
        for attribute in kind(type_name).schema.attributes:
            assert (names[type_name], attribute) in read


def test_every_attribute_is_what_the_api_says_and_none_is_unknown(stack: Stack) -> None:
    """Each type is made, its ids are real, and no output is LocalStack's ``unknown``."""
    status = stack.apply(_TEMPLATE, ApiName=stack.name)

    outputs, ids = stack.outputs(), stack.physical_ids()
    assert status == "CREATE_COMPLETE", stack.reasons()
    assert not [name for name, value in outputs.items() if value in {"", "unknown"}]
    assert "unknown" not in ids.values()
    api = stack.gateway.get_api(ApiId=outputs["ApiId"])
    routes = stack.gateway.get_routes(ApiId=outputs["ApiId"])["Items"]
    integration = stack.gateway.get_integration(
        ApiId=outputs["ApiId"], IntegrationId=outputs["IntegrationId"]
    )
    mapping = stack.gateway.get_api_mappings(DomainName="types.example.localhost")["Items"][0]
    assert (outputs["ApiRef"], outputs["ApiEndpoint"]) == (api["ApiId"], api["ApiEndpoint"])
    assert [outputs["RouteRef"], outputs["RouteId"]] == [routes[0]["RouteId"]] * 2
    assert integration["TimeoutInMillis"] == 2500  # a number, though a parameter is text
    assert mapping["ApiMappingId"] == outputs["ApiMappingId"]
    assert outputs["StageRef"] == ids["Stage"] == "live"
    assert outputs["ApiArn"].startswith("arn:aws:execute-api:us-east-1:000000000000:")


def test_change_is_made_in_place_and_conditions_come_and_go(
    stack: Stack, localstack: LocalStackHost
) -> None:
    """Names and limits change on the same API; a resource of a condition appears and disappears."""
    role = {"op": "replace", "path": "/cloudwatchRoleArn", "value": _LOGS_ROLE}
    localstack.client("apigateway").update_account(patchOperations=[role])
    stack.apply(_TEMPLATE, ApiName=stack.name)
    before = stack.physical_ids()

    on = stack.apply(_TEMPLATE, ApiName=f"{stack.name}-b", WithLogs="yes", Timeout="1500")
    assert on == "UPDATE_COMPLETE", stack.reasons()

    api_id = before["Api"]
    during = stack.physical_ids()
    stage = stack.gateway.get_stage(ApiId=api_id, StageName="live")
    integration = stack.gateway.get_integration(ApiId=api_id, IntegrationId=before["Integration"])
    off = stack.apply(_TEMPLATE, "Calls", ApiName=f"{stack.name}-b", WithLogs="no", Timeout="1500")
    after = stack.gateway.get_stage(ApiId=api_id, StageName="live")
    assert (on, off) == ("UPDATE_COMPLETE", "UPDATE_COMPLETE"), stack.reasons()
    assert {name: during[name] for name in before} == before
    assert f"{stack.name}-b" in stack.apis()
    assert "/types/access" in stage["AccessLogSettings"]["DestinationArn"]
    assert integration["TimeoutInMillis"] == 1500
    assert "AccessLogSettings" not in after
    assert "Group" not in stack.physical_ids()


def test_change_of_its_api_replaces_a_resource_and_removes_the_old_one(stack: Stack) -> None:
    """A route that moves to another API is made there, and is gone here."""

    def body(api: str) -> str:
        template = json.loads(
            with_resource(
                "Route",
                {
                    "Type": "AWS::ApiGatewayV2::Route",
                    "Properties": {"ApiId": {"Ref": api}, "RouteKey": "$default"},
                },
            )
        )
        template["Resources"]["Other"] = template["Resources"]["Api"]
        return json.dumps(template)

    stack.apply(body("Api"))
    before = stack.physical_ids()

    status = stack.apply(body("Other"))

    after = stack.physical_ids()
    moved = stack.gateway.get_routes(ApiId=before["Other"])["Items"]
    assert status == "UPDATE_COMPLETE", stack.reasons()
    assert stack.gateway.get_routes(ApiId=before["Api"])["Items"] == []
    assert [route["RouteId"] for route in moved] == [after["Route"]]
    assert after["Route"] != before["Route"]


def test_deletion_leaves_no_api(stack: Stack) -> None:
    """A deleted stack has removed what it made."""
    stack.apply(_TEMPLATE, ApiName=stack.name)

    status = stack.delete()

    assert status == "DELETE_COMPLETE"
    assert stack.name not in stack.apis()
    assert stack.gateway.get_domain_names()["Items"] == []


def test_type_that_nobody_makes_is_refused_before_anything_is_made(stack: Stack) -> None:
    """LocalStack would report it as complete; the template is refused by the type's name."""
    body = with_resource("Odd", {"Type": "AWS::Lightsail::Bucket", "Properties": {}})

    with pytest.raises(ClientError, match=r"cannot make: AWS::Lightsail::Bucket") as refusal:
        stack.apply(body)

    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    assert "refused" not in stack.apis()


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        pytest.param({"Nonsense": 1}, "extraneous key \\[Nonsense\\]", id="unknown-to-aws"),
        pytest.param(
            {"RouteKey": "$default", "AuthorizationType": "SOMETIMES"},
            "AuthorizationType",
            id="enum",
        ),
        pytest.param(
            {"RouteKey": "$default", "AuthorizationScopes": ["a"]},
            "AuthorizationScopes is not supported",
            id="not-kept",
        ),
        pytest.param(
            {"RouteKey": "$default", "Target": "integrations/none"}, "none", id="dangling"
        ),
    ],
)
def test_bad_property_fails_the_stack_by_name(
    stack: Stack, properties: dict[str, Any], told: str
) -> None:
    """What cannot be as the template says fails with the reason, and its resource is not made."""
    definition = {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {"ApiId": {"Ref": "Api"}, **properties},
    }

    status = stack.apply(with_resource("Route", definition))

    assert status in {"ROLLBACK_COMPLETE", "CREATE_FAILED"}
    assert re.search(told, stack.reasons()), stack.reasons()
    apis = {api["Name"]: api["ApiId"] for api in stack.gateway.get_apis()["Items"]}
    # LocalStack leaves what was made before; it goes with the stack.
    assert stack.gateway.get_routes(ApiId=apis["refused"])["Items"] == []
    assert stack.delete() == "DELETE_COMPLETE"
    assert "refused" not in stack.apis()


_SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: "def handler(event, context): return {'statusCode': 200, 'body': 'sam'}"
      Handler: index.handler
      Runtime: python3.13
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      StageName: !Ref Stage
      RouteSelectionExpression: $request.body.action
      Routes:
        $default:
          FunctionArn: !GetAtt Function.Arn
          RouteResponseSelectionExpression: $default
  Response:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Api, RouteId: !Ref ApiDefaultRoute, RouteResponseKey: $default}
Outputs:
  Url: {Value: !Sub "${Api.ApiEndpoint}/${Stage}"}
"""


def test_awslocal_deploys_a_template_that_is_not_transformed(
    stack: Stack, localstack: LocalStackHost, tmp_path: Path
) -> None:
    """``awslocal cloudformation deploy`` takes a SAM template that names what SAM will make."""
    template = tmp_path / "template.yaml"
    template.write_text(_SAM)
    command = [sys.executable, str(Path(sys.executable).with_name("awslocal"))]
    command += ["cloudformation", "deploy", f"--template-file={template}"]
    command += [f"--stack-name={stack.name}", "--parameter-overrides=Stage=live"]

    done = subprocess.run(
        [*command, "--capabilities=CAPABILITY_IAM"],
        env={
            **os.environ,
            "AWS_ENDPOINT_URL": localstack.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    url = stack.outputs().get("Url", "")
    with connect(url, proxy=None) as socket:
        socket.send("hello")
        answer = socket.recv(20)

    assert done.returncode == 0, done.stdout + done.stderr
    assert url.endswith("/live")
    assert answer == "sam"


def test_update_that_localstack_cannot_make_fails_and_changes_nothing(
    stack: Stack, localstack: LocalStackHost
) -> None:
    """A type without updates fails by name, where LocalStack alone says UPDATE_COMPLETE."""

    def body(description: str) -> str:
        return with_resource(
            "Secret",
            {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {"Name": stack.name, "Description": description},
            },
        )

    stack.apply(body("one"))

    status = stack.apply(body("two"))

    secret = localstack.client("secretsmanager").describe_secret(SecretId=stack.name)
    assert status in {"UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED"}
    assert "LocalStack cannot change Description of AWS::SecretsManager::Secret" in stack.reasons()
    assert secret["Description"] == "one"
