from pathlib import Path

import pytest

from socketstack.doctor.checks import examine
from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Severity
from socketstack.doctor.template import read_template
from socketstack.errors import ConfigError

_EXAMPLE = Path(__file__).parents[3] / "infra" / "template.yaml"


def facts(path: Path, **parameters: str) -> Api:
    """The facts of a template."""
    return read_template(path, parameters=parameters, region="eu-west-1")


def errors(api: Api) -> list[str]:
    """What is wrong."""
    return [one.what for one in examine(api) if one.severity is Severity.ERROR]


def test_example_is_healthy() -> None:
    """The kit's own template has no errors, and its routes are all there."""
    api = facts(_EXAMPLE, Stage="prod")

    assert errors(api) == []
    assert {route.route_key for route in api.routes} == {
        "$connect",
        "$disconnect",
        "$default",
        "echo",
        "send",
    }
    assert api.stage is not None
    assert (api.stage.name, api.region) == ("prod", "eu-west-1")
    assert api.authorizers[0].identity_sources == ("route.request.querystring.token",)


PLAIN = """
Resources:
  Chat:
    Type: AWS::ApiGatewayV2::Api
    Properties:
      Name: chat
      ProtocolType: WEBSOCKET
      RouteSelectionExpression: $request.body.action
  Live:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Chat, StageName: live, AutoDeploy: true}
  Guard:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref Chat
      Name: guard
      AuthorizerType: REQUEST
      IdentitySource: [route.request.querystring.token]
      AuthorizerUri: !Sub
        - "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${F}/invocations"
        - {F: !GetAtt Function.Arn}
  Connect:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Chat
      RouteKey: $connect
      AuthorizationType: CUSTOM
      AuthorizerId: !Ref Guard
      Target: !Sub integrations/${Backend}
  Backend:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Chat
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/\\
        ${Function.Arn}/invocations"
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt Role.Arn
      Code: {S3Bucket: bucket, S3Key: key}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {}
      Policies:
        - PolicyName: push
          PolicyDocument:
            Statement:
              - Effect: Allow
                Action: execute-api:ManageConnections
                Resource: !Sub "arn:aws:execute-api:*:*:${Chat}/live/POST/@connections/*"
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref Function
      Principal: apigateway.amazonaws.com
      SourceArn: !Sub "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Chat}/*"
"""


def test_plain_cloudformation_is_read(tmp_path: Path) -> None:
    """Templates without SAM are read as well: references, permissions and roles meet."""
    path = tmp_path / "template.yaml"
    path.write_text(PLAIN)

    api = facts(path)

    passed = {one.check for one in examine(api) if one.severity is Severity.OK}
    assert errors(api) == []
    assert {"authorizer-permission", "integration-permission", "callback-permission"} <= passed


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(
            "AuthorizationType: CUSTOM",
            "AuthorizationType: NONE",
            "$connect has no authorization, so everybody gets in. Authorizer guard exists.",
            id="not-attached",
        ),
        pytest.param(
            "${Chat}/*",
            "${Chat}/live/$connect",
            "API Gateway may not call Function for authorizer guard.",
            id="permission-of-the-route-only",
        ),
        pytest.param(
            "integrations/${Backend}",
            "integrations/other",
            "The route $connect calls nothing.",
            id="dangling-target",
        ),
        pytest.param(
            "AutoDeploy: true",
            "AutoDeploy: false",
            "Nothing is deployed to stage live.",
            id="never-deployed",
        ),
        pytest.param(
            "AutoDeploy: true",
            "AutoDeploy: true, DefaultRouteSettings: {ThrottlingBurstLimit: 0}",
            "The throttling of stage live is 0.",
            id="closed",
        ),
    ],
)
def test_mistake_in_a_template_is_found(tmp_path: Path, before: str, after: str, told: str) -> None:
    """What would fail or let everybody in is found before anything is deployed."""
    path = tmp_path / "template.yaml"
    path.write_text(PLAIN.replace(before, after))

    assert errors(facts(path)) == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("a: [", "not well-formed", id="no-yaml"),
        pytest.param("Resources: {}", "it is not clear which WebSocket API is meant", id="empty"),
        pytest.param(
            PLAIN.replace("!Ref Guard", "!Ref Nobody"), "dependencies [Nobody]", id="reference"
        ),
        pytest.param(
            PLAIN + "  Other:\n    Type: AWS::ApiGatewayV2::Api\n"
            "    Properties: {ProtocolType: WEBSOCKET}\n",
            "name one with --api: Chat, Other",
            id="two-apis",
        ),
    ],
)
def test_unreadable_template_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """A template that cannot be judged is named, with the reason."""
    path = tmp_path / "template.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as refusal:
        facts(path)

    assert str(path) in str(refusal.value)
    assert told in str(refusal.value)
