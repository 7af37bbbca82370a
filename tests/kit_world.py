"""A small project for the tests of the kit, and what they run it with."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from socketstack.settings import Settings

_ROLE = """
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}
"""
_FUNCTION = """
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: !Sub ${AWS::StackName}-answer
      Code: source
      Handler: handler.handler
      Runtime: python3.13
      Role: !GetAtt Role.Arn
"""
SYSTEM = f"""
Parameters:
  Key: {{Type: String, NoEcho: true, Default: none}}
  Retention: {{Type: Number, Default: 7}}
Resources:{_ROLE}{_FUNCTION}
  Logs:
    Type: AWS::Logs::LogGroup
    DeletionPolicy: Retain
    Properties: {{LogGroupName: !Sub "/kept/${{AWS::StackName}}", RetentionInDays: !Ref Retention}}
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties:
      Name: !Ref AWS::StackName
      ProtocolType: WEBSOCKET
      RouteSelectionExpression: $request.body.action
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub >-
        arn:aws:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{Function.Arn}}/invocations
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref Function
      Principal: apigateway.amazonaws.com
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Api
      RouteKey: $connect
      Target: !Sub integrations/${{Integration}}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    DependsOn: Route
    Properties: {{ApiId: !Ref Api, StageName: dev, AutoDeploy: true}}
Outputs:
  FunctionName: {{Value: !Ref Function}}
  Shown: {{Value: !Sub "key=${{Key}}"}}
"""
HANDLER = "def handler(event, context):\n    return {'statusCode': 200}\n"


def write_project(folder: Path) -> Path:
    """A template and a function in a folder; returns the template."""
    (folder / "source").mkdir()
    (folder / "source" / "handler.py").write_text(HANDLER)
    template = folder / "template.yaml"
    template.write_text(SYSTEM)
    return template


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_in(folder: Path) -> Settings:
    """Settings of an engine that belongs to a folder, on a free port."""
    return Settings(port=free_port(), state_dir=folder / "state")


class HttpServer:
    """A server with one answer for everything; gives its port."""

    def __init__(self, code: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._server.server_address[1])

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
