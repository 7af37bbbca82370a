"""The dev container, made and used by the dev container CLI as an editor would.

Skipped where there is no ``devcontainer`` command (npm: ``@devcontainers/cli``), no Docker engine
or nothing to build on. ``SOCKETSTACK_REQUIRE=devcontainer`` makes a skip a failure.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from containers import require_base_image, run
from example_system import ROOT

pytestmark = [pytest.mark.devcontainer, pytest.mark.timeout(1800)]

_USER = 1000
"""The user in the container; one of the same number as ours where we are not root."""
_UNWANTED = (".git", ".venv", ".build", ".socketstack", ".terraform*", ".*_cache", "__pycache__")
_ECHO = """
import json, subprocess
from websockets.sync.client import connect
url = json.load(open(".socketstack/outputs.json"))["outputs"]["WebSocketUrl"]
token = subprocess.check_output(["make", "--silent", "token"], text=True).strip()
with connect(f"{url}?token={token}", proxy=None) as socket:
    socket.send('{"action": "echo", "message": "dev"}')
    print(socket.recv(timeout=20))
"""


@dataclass(frozen=True)
class DevContainer:
    """A workspace and the container over it."""

    workspace: Path

    def cli(self, command: str, *arguments: str, expect: int | None = 0) -> str:
        """What a command of the dev container CLI prints, for a container of this workspace's."""
        label = f"--id-label=socketstack-test={self.workspace.name}"
        where = f"--workspace-folder={self.workspace}"
        command_line = ("devcontainer", command, where, label, *arguments)
        return run(*command_line, expect=expect).stdout

    def exec(self, *command: str, expect: int | None = 0) -> str:
        """What a command prints in the container, as the editor's user would run it."""
        return self.cli("exec", *command, expect=expect)

    def remove(self) -> None:
        """Remove the container and the images that were built for it."""
        label = f"--filter=label=socketstack-test={self.workspace.name}"
        for container in run("docker", "ps", "--all", "--quiet", label).stdout.split():
            run("docker", "rm", "--force", "--volumes", container)
        built = f"--filter=reference=vsc-{self.workspace.name}-*"
        listed = run("docker", "images", "--format={{.Repository}}:{{.Tag}}", built).stdout.split()
        for image in sorted(listed, key=len, reverse=True):
            run("docker", "image", "rm", image)


def _require_cli() -> None:
    if shutil.which("devcontainer") is None:
        pytest.skip("there is no devcontainer command: npm install --global @devcontainers/cli")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevContainer]:
    """A dev container over a copy of this clone, up, with what its first start sets up."""
    _require_cli()
    require_base_image()
    workspace = tmp_path_factory.mktemp("dev") / f"socketstack-test-{uuid.uuid4().hex[:8]}"
    shutil.copytree(ROOT, workspace, ignore=shutil.ignore_patterns(*_UNWANTED))
    (workspace / "echo.py").write_text(_ECHO)
    if os.geteuid() == 0:
        # The CLI gives the user our number, but never root's: a clone of root's is not writable.
        for path in (workspace, *workspace.rglob("*")):
            os.chown(path, _USER, _USER, follow_symlinks=False)
    container = DevContainer(workspace)
    try:
        container.cli("up", "--log-level=info")
        yield container
    finally:
        container.remove()
        shutil.rmtree(workspace)


def test_configuration_is_read_as_it_is_meant() -> None:
    """The CLI finds no feature from elsewhere, an ordinary user, and a label for every port."""
    _require_cli()

    read = run("devcontainer", "read-configuration", f"--workspace-folder={ROOT}").stdout

    configuration: dict[str, Any] = json.loads(read)["configuration"]
    labels = {port: each["label"] for port, each in configuration["portsAttributes"].items()}
    assert "features" not in configuration
    assert configuration["remoteUser"] == "dev"
    assert configuration["postCreateCommand"] == "make setup"
    assert {str(port) for port in configuration["forwardPorts"]} <= set(labels)
    assert all(labels.values())


def test_tools_are_there_by_their_names(dev: DevContainer) -> None:
    """An ordinary user without capabilities finds what the documents use."""
    script = (
        "id -un; grep CapBnd /proc/self/status | cut -f2; "
        "for tool in python3 aws awslocal make git socketstack pytest; do "
        "command -v $tool >/dev/null || echo missing $tool; done"
    )

    seen = dev.exec("sh", "-c", script).split("\n")

    assert seen[0] == "dev"
    assert int(seen[1], 16) == 0
    assert not [line for line in seen if line.startswith("missing")]


def test_example_runs_and_stops(dev: DevContainer) -> None:
    """``make local-up`` serves the example, a client gets its echo, ``local-down`` ends it all."""
    up = dev.exec("make", "local-up")
    echo = dev.exec(".venv/bin/python", "echo.py")
    named = dev.exec("awslocal", "apigatewayv2", "get-apis", "--query=Items[].Name")
    down = dev.exec("make", "local-down")
    left = dev.exec("ps", "-eo", "user=,args=")

    assert "Page       http://localhost:8080" in up
    assert json.loads(echo) == {"action": "echo", "message": "dev"}
    assert json.loads(named) == ["socketstack"]
    assert "Stopped the engine" in down
    assert "socketstack" not in left.replace(str(dev.workspace.name), "")


def test_integration_tests_pass_inside(dev: DevContainer) -> None:
    """``make integration-test`` needs nothing that the dev container does not bring."""
    told = dev.exec("make", "integration-test", expect=None)

    summary = told.strip().splitlines()[-1]
    assert " passed" in summary, told
    assert " failed" not in summary, told
    assert " error" not in summary, told
