"""How LocalStack starts and stops: what is refused, and its plugin under a server of its own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from example_system import free_port
from localstack_host import environment, localstack_python, started
from runner_world import zipped
from websockets.sync.client import connect

pytestmark = [pytest.mark.localstack, pytest.mark.timeout(300)]
_ECHO = """
    def handle(event, context):
        return {"statusCode": 200, "body": event["body"]}
"""


def run(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line in LocalStack's environment until it ends."""
    return subprocess.run(
        [localstack_python(), "-m", "socketstack", *arguments],
        env=environment(folder, **environ),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_port_in_use_ends_with_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """Nothing of LocalStack is started where its port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = run(tmp_path, "start", "--port", str(port))

    assert done.returncode == 2
    told = (
        f"socketstack: Port {port} on 127.0.0.1 cannot be used: Address already in use. "
        "Stop what listens there, or choose another port with SOCKETSTACK_PORT."
    )
    assert done.stderr.splitlines() == [told]
    assert "Ready" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_account_of_its_own_is_refused(tmp_path: Path) -> None:
    """LocalStack's account comes with the access key; another one would match nothing."""
    done = run(tmp_path, "start", "--port", str(free_port()), SOCKETSTACK_ACCOUNT_ID="123456789012")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "SOCKETSTACK_ACCOUNT_ID is 123456789012" in done.stderr
    assert "Ready" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_half_healthy_localstack_ends_and_names_the_service(tmp_path: Path) -> None:
    """Healthy on its page, but a service does not answer: it is never called healthy."""
    done = run(tmp_path, "start", "--port", str(free_port()), SERVICES="sts,iam,s3")

    assert done.returncode == 1
    assert "LocalStack does not work: lambda ListFunctions is answered with" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_engine_of_the_other_kind_is_not_deployed_to(tmp_path: Path) -> None:
    """``up`` of LocalStack's environment leaves an embedded engine on the port alone."""
    port, template = free_port(), tmp_path / "template.yaml"
    template.write_text("Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n")
    state = {"SOCKETSTACK_PORT": str(port), "SOCKETSTACK_STATE_DIR": str(tmp_path / "state")}
    ours = [sys.executable, "-m", "socketstack"]
    environ = environment(tmp_path, **state)
    subprocess.run(
        [*ours, "up", "--template", str(template)], env=environ, cwd=tmp_path, check=True
    )
    try:
        done = run(tmp_path, "up", "--template", str(template), "--stack-name", "other", **state)
        listed = subprocess.run(
            [sys.executable, "-m", "awscli", "cloudformation", "list-stacks"],
            env={
                **os.environ,
                "AWS_ENDPOINT_URL": f"http://localhost:{port}",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    finally:
        subprocess.run([*ours, "down"], env=environ, cwd=tmp_path, check=True)

    assert done.returncode == 2
    assert (
        f"Another engine runs on port {port}: it is embedded, this is for localstack" in done.stderr
    )
    assert [one["StackName"] for one in json.loads(listed)["StackSummaries"]] == ["socketstack"]


def test_plugin_works_beside_localstack_s_own_server(tmp_path: Path) -> None:
    """API calls and pushes go to LocalStack's port, sockets to the plugin's."""
    edge, sockets = free_port(), free_port()
    environ = environment(
        tmp_path,
        GATEWAY_SERVER="hypercorn",
        GATEWAY_LISTEN=f"127.0.0.1:{edge}",
        FILESYSTEM_ROOT=str(tmp_path / "root"),
        OVERRIDE_IN_DOCKER="0",
        LAMBDA_RUNTIME_EXECUTOR="process",
        PROVIDER_OVERRIDE_DYNAMODB="moto",
        SKIP_SSL_CERT_DOWNLOAD="1",
        DISABLE_EVENTS="1",
        DNS_ADDRESS="0",
        SOCKETSTACK_PORT=str(sockets),
    )
    arguments = ("localstack.runtime.main",)
    with started(tmp_path, sockets, *arguments, environ=environ) as plugin:
        plugin.wait_ready()
        endpoint = f"http://localhost:{edge}"
        functions = plugin.client("lambda", endpoint_url=endpoint)
        arn = functions.create_function(
            FunctionName="echo",
            Runtime="python3.13",
            Handler="handler.handle",
            Role="arn:aws:iam::000000000000:role/functions",
            Code={"ZipFile": zipped({"handler.py": _ECHO})},
        )["FunctionArn"]
        functions.get_waiter("function_active_v2").wait(
            FunctionName="echo", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        functions.add_permission(
            FunctionName="echo",
            StatementId="gateway",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        gateway = plugin.client("apigatewayv2", endpoint_url=endpoint)
        api = gateway.create_api(
            Name="beside",
            ProtocolType="WEBSOCKET",
            RouteSelectionExpression="$request.body.action",
        )
        integration = gateway.create_integration(
            ApiId=api["ApiId"],
            IntegrationType="AWS_PROXY",
            IntegrationUri="arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
            f"{arn}/invocations",
        )
        route = gateway.create_route(
            ApiId=api["ApiId"],
            RouteKey="$default",
            Target=f"integrations/{integration['IntegrationId']}",
            RouteResponseSelectionExpression="$default",
        )
        gateway.create_route_response(
            ApiId=api["ApiId"], RouteId=route["RouteId"], RouteResponseKey="$default"
        )
        gateway.create_stage(ApiId=api["ApiId"], StageName="dev", AutoDeploy=True)
        with pytest.raises(gateway.exceptions.NotFoundException):
            gateway.get_api(ApiId="nothere")
        with connect(f"{api['ApiEndpoint']}/dev", proxy=None) as client:
            client.send("over there")
            echoed = client.recv(20)

    assert f":{sockets}/" in api["ApiEndpoint"]
    assert echoed == "over there"
    assert plugin.process.returncode == 0
