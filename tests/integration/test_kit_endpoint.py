"""Deploying to an engine that somebody else runs, through the command line."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from websockets.sync.client import connect

from socketstack.errors import ConfigError
from socketstack.kit.up import deploy_to_engine
from socketstack.settings import Settings

_TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: source, Handler: handler.handler, Runtime: python3.13}
  Api:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      StageName: dev
      RouteSelectionExpression: $request.body.action
      Routes:
        $default:
          FunctionArn: !GetAtt Function.Arn
          RouteResponseSelectionExpression: $default
  Response:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Api, RouteId: !Ref ApiDefaultRoute, RouteResponseKey: $default}
Outputs:
  Url: {Value: !Sub "${Api.ApiEndpoint}/dev"}
"""
_HANDLER = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'one'}\n"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An engine in a process of its own, that the kit did not start; gives its address."""
    environ = {**os.environ, "SOCKETSTACK_ALLOWED_HOSTS": "127.0.1", "SOCKETSTACK_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "socketstack", "start"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = re.search(r"http://localhost:\d+", process.stdout.readline())
        assert ready is not None
        yield ready[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a template and a function; returns the template."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "handler.py").write_text(_HANDLER)
    template = tmp_path / "template.yaml"
    template.write_text(_TEMPLATE)
    return template


def _deploy(template: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SOCKETSTACK_"))}
    return subprocess.run(
        [sys.executable, "-m", "socketstack", "deploy", f"--template={template}", *arguments],
        cwd=template.parent,
        env={**environ, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(template.parent)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_deploy_to_an_endpoint_leaves_a_system_that_answers(endpoint: str, project: Path) -> None:
    """Outputs are printed, the socket answers, and a saved change is live."""
    done = _deploy(project, f"--endpoint={endpoint}", "--stack-name=remote")

    assert done.returncode == 0, done.stderr
    url = re.search(r"^Url +(ws://\S+)$", done.stdout, re.MULTILINE)
    assert url is not None
    with connect(url[1]) as client:
        client.send("hello")
        first = client.recv(timeout=10)
        (project.parent / "source" / "handler.py").write_text(_HANDLER.replace("one", "two"))
        client.send("hello")
        second = client.recv(timeout=10)
    assert (first, second) == ("one", "two")
    assert not (project.parent / ".socketstack").exists()


def test_engine_can_have_another_name(endpoint: str, project: Path) -> None:
    """Under a name of SOCKETSTACK_ALLOWED_HOSTS every call is signed, as the engine wants it."""
    other = endpoint.replace("localhost", "127.0.1")

    done = _deploy(project, f"--endpoint={other}", "--stack-name=named")

    assert done.returncode == 0, done.stderr
    assert "named" in _stacks(endpoint, "us-east-1")


def test_region_of_the_option_is_where_the_stack_is(endpoint: str, project: Path) -> None:
    """``--region`` wins, as it does for AWS; other regions have no such stack."""
    done = _deploy(project, f"--endpoint={endpoint}", "--stack-name=far", "--region=eu-central-1")

    assert done.returncode == 0, done.stderr
    assert _stacks(endpoint, "eu-central-1") == ["far"]
    assert "far" not in _stacks(endpoint, "us-east-1")


def test_endpoint_without_an_engine_is_refused(tmp_path: Path, project: Path) -> None:
    """The refusal names the address and the cause; nothing is built."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"

        with pytest.raises(ConfigError, match=f"No engine answers at {address} .*refused"):
            deploy_to_engine(
                project, endpoint=address, stack_name="x", settings=Settings(), wait_seconds=0
            )

    assert not (tmp_path / ".build").exists()


def test_name_that_the_engine_does_not_answer_to_is_explained(
    endpoint: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's own words, with the variable to set, are passed on; no stack comes of it."""
    monkeypatch.chdir(project.parent)
    other = endpoint.replace("localhost", "127.1")  # the same address by a name it does not know

    with pytest.raises(ConfigError, match=r"refuses us.*'127\.1'.*SOCKETSTACK_ALLOWED_HOSTS"):
        deploy_to_engine(project, endpoint=other, stack_name="other", settings=Settings())

    assert not (project.parent / ".build").exists()
    assert "other" not in _stacks(endpoint, "us-east-1")


def test_address_that_is_none_is_refused_with_the_users_exit_code(project: Path) -> None:
    """A slip in the address does not end in a deployment to AWS."""
    done = _deploy(project, "--endpoint=engine:4566")

    assert done.returncode == 2
    assert "is no address of an engine" in done.stderr
    assert not (project.parent / ".build").exists()


def _stacks(endpoint: str, region: str) -> list[str]:
    client = boto3.client(
        "cloudformation",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}),
    )
    return [stack["StackName"] for stack in client.describe_stacks()["Stacks"]]
