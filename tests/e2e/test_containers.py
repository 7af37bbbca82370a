"""Images and the compose file, in a real Docker engine.

Skipped where no engine answers or there is nothing to build on; ``SOCKETSTACK_REQUIRE=docker``
makes a skip a failure.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from containers import (
    BASE_IMAGE,
    COMMANDS,
    Composed,
    composed_in,
    require_base_image,
    require_compose,
    require_engine,
    run,
    until,
)
from example_system import ROOT, System
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from subprocess import CompletedProcess

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

_SECONDS = 20
SERVICES = ("engine", "deploy", "web", "localstack", "localstack-deploy", "localstack-licensed")


@pytest.fixture(
    scope="module",
    # Compose v2 builds with BuildKit, 1.29 with the classic builder; both read both profiles.
    params=[(COMMANDS[0], "engine"), (COMMANDS[1], "engine"), (COMMANDS[1], "localstack")],
    ids=lambda param: f"{' '.join(param[0])}-{param[1]}",
)
def composed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composed]:
    """The example system in containers, by each compose command and over each backend."""
    command, backend = request.param
    require_base_image()
    require_compose(command)
    system = composed_in(tmp_path_factory.mktemp("composed"), command, backend=backend)
    try:
        system.compose_up("--build")
        yield system
    finally:
        system.compose_down()
    assert system.left() == []


def ask(socket: ClientConnection, message: object) -> Any:
    """Send one message and wait for the next frame."""
    socket.send(message if isinstance(message, str) else json.dumps(message))
    return json.loads(socket.recv(timeout=_SECONDS))


def deployed_api(system: Composed) -> str:
    """The one API that is deployed."""
    (api,) = system.client("apigatewayv2").get_apis()["Items"]
    api_id: str = api["ApiId"]
    return api_id


# The example system


def test_browser_on_this_machine_can_connect(composed: Composed) -> None:
    """The address that the page is given leads from this machine to an echo."""
    address = composed.address("alice")

    with connect(address, proxy=None) as socket:
        answer = ask(socket, {"action": "echo", "message": "grüezi"})

    assert address.startswith(f"ws://localhost:{composed.environ['SOCKETSTACK_PORT']}/")
    assert answer == {"action": "echo", "message": "grüezi"}


def test_function_in_the_container_reaches_another_client(composed: Composed) -> None:
    """A function's callback to ``https://{domainName}/{stage}`` works inside the container."""
    with (
        connect(composed.address("carol"), proxy=None) as carol,
        connect(composed.address("dave"), proxy=None) as dave,
    ):
        answer = ask(carol, {"action": "send", "to": "user:dave", "message": "hello"})
        received = json.loads(dave.recv(timeout=_SECONDS))

    assert (answer["sent"], answer["failed"]) == (1, 0)
    assert received == {"from": "carol", "message": "hello"}


def test_page_server_pushes_from_its_own_container(composed: Composed) -> None:
    """The server beside the engine reaches clients by the engine's service name."""
    with connect(composed.address("erin"), proxy=None) as erin:
        counts = composed.call("/api/push", {"to": "user:erin", "message": "pushed"})
        received = erin.recv(timeout=_SECONDS)

    assert counts == {"sent": 1, "gone": 0, "failed": 0}
    assert received == "pushed"


@pytest.mark.parametrize("query", ["", "?token=junk"], ids=["no-token", "bad-token"])
def test_handshake_without_a_good_token_is_refused(composed: Composed, query: str) -> None:
    """The authorizer decides in a container as anywhere; nobody is registered."""
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(composed.call("/api/config")["websocketUrl"] + query, proxy=None),
    ):
        pass

    assert refused.value.response.status_code == 401
    # Those who closed before may still be on their way out; one who came in would stay.
    assert until(
        lambda: composed.call("/api/connections") == {"connections": []} or None, "an empty table"
    )


def test_saved_change_is_live(composed: Composed) -> None:
    """The engine sees the folders of this machine: the next message runs what was saved."""
    handler = composed.folder / "functions" / "messages" / "handler.py"
    before = handler.read_text()
    answer = "{'statusCode': 200, 'body': '\"changed\"'}"
    changed = f"{before}\n\ndef handler(event, context):\n    return {answer}\n"
    with connect(composed.address("frank"), proxy=None) as socket:
        first = ask(socket, {"action": "echo", "message": "one"})
        handler.write_text(changed)
        second = ask(socket, {"action": "echo", "message": "two"})
        handler.write_text(before)
        third = ask(socket, {"action": "echo", "message": "three"})

    assert (first["message"], second, third["message"]) == ("one", "changed", "three")


def test_second_up_keeps_the_system(composed: Composed) -> None:
    """The deployment runs again, finds nothing to do and ends well; sockets stay open."""
    before = deployed_api(composed)
    with connect(composed.address("grace"), proxy=None) as socket:
        composed.compose_up()
        answer = ask(socket, {"action": "echo", "message": "still here"})

    ended = until(
        lambda: None if composed.inspect("deploy")["State"]["Running"] else True, "the deployment"
    )
    assert ended
    assert composed.inspect("deploy")["State"]["ExitCode"] == 0
    assert deployed_api(composed) == before
    assert answer["message"] == "still here"


# Who reaches it, and what it may do


def test_aws_clients_of_this_machine_and_of_other_containers_reach_the_engine(
    composed: Composed,
) -> None:
    """boto3 finds the same account under localhost here and under the service's name there."""
    here = composed.client("sts").get_caller_identity()["Account"]
    script = (
        "import boto3; print(boto3.client('sts', region_name='us-east-1', aws_access_key_id='t',"
        f" aws_secret_access_key='t', endpoint_url='http://{composed.backend}:{composed.environ['SOCKETSTACK_PORT']}')"
        ".get_caller_identity()['Account'])"
    )

    there = composed.compose(
        "exec", "-T", composed.service("web"), "python3", "-c", script
    ).stdout.strip()

    assert (here, there) == ("000000000000", "000000000000")


def test_engine_refuses_names_it_was_not_given(composed: Composed) -> None:
    """A name that was rebound to the published port is refused and makes nothing."""
    body = json.dumps({"name": "x", "protocolType": "WEBSOCKET"}).encode()
    request = Request(composed.endpoint_url + "/v2/apis", body, {"Host": "rebound.example"})

    with pytest.raises(HTTPError) as refused:
        build_opener(ProxyHandler({})).open(request, timeout=10)

    with refused.value as answer:
        assert answer.status == 403
        assert "SOCKETSTACK_ALLOWED_HOSTS" in answer.read().decode()
    assert deployed_api(composed)  # still the only one


@pytest.mark.parametrize("service", ["engine", "web"])
def test_container_becomes_healthy(composed: Composed, service: str) -> None:
    """The health check, a real call, succeeds."""

    def look() -> bool | None:
        return composed.inspect(service)["State"]["Health"]["Status"] == "healthy" or None

    assert until(look, f"health of {service}")


@pytest.mark.parametrize("service", ["engine", "web"])
def test_container_has_no_rights_to_lose(composed: Composed, service: str) -> None:
    """An ordinary user, no capabilities, nothing writable but memory, ports for this machine."""
    look = "id -u; grep -E 'CapBnd|NoNewPrivs' /proc/self/status; touch /opt/socketstack/x ~/x"

    seen = composed.compose("exec", "-T", composed.service(service), "sh", "-c", look, expect=1)

    user, capabilities, privileges = seen.stdout.split("\n")[:3]
    bound = composed.inspect(service)["NetworkSettings"]["Ports"].values()
    assert user == "10001"
    assert capabilities.split()[1] == "0" * 16
    assert privileges.split()[1] == "1"
    assert seen.stderr.count("Read-only file system") == 2
    assert {place["HostIp"] for places in bound for place in places or ()} == {"127.0.0.1"}


@pytest.mark.parametrize("service", ["engine", "deploy", "web"])
def test_container_has_limits(composed: Composed, service: str) -> None:
    """Memory, processors and processes are bounded, and nothing is written to the image."""
    host = composed.inspect(service)["HostConfig"]

    assert 0 < host["Memory"] <= 3 * 1024**3
    assert 0 < host["NanoCpus"] <= 2e9
    assert 0 < host["PidsLimit"] <= 2048
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]


def test_image_history_tells_no_index(composed: Composed) -> None:
    """What pip was told while building stays in the building stages."""
    for image in (f"{composed.project}-{composed.backend}", f"{composed.project}-web"):
        told = run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout

        assert "PIP_INDEX_URL" not in told
        assert "USER 10001" in told


# Without a network


def test_running_system_needs_no_network(composed: Composed) -> None:
    """The engine starts and answers in a container that has loopback only."""
    name = f"{composed.project}-alone"
    image = f"{composed.project}-{composed.backend}"
    run("docker", "run", "--detach", f"--name={name}", "--network=none", image)
    try:

        def look() -> bool | None:
            state = json.loads(run("docker", "inspect", name).stdout)[0]["State"]
            assert state["Running"], run("docker", "logs", name).stdout
            return state["Health"]["Status"] == "healthy" or None

        assert until(look, "health")
    finally:
        run("docker", "rm", "--force", name)


# The kit's own commands


def test_kit_brings_the_system_up_and_leaves_nothing(tmp_path: Path) -> None:
    """``compose up`` tells where all is and writes it down; ``compose down`` removes all of it."""
    require_base_image()
    system = composed_in(tmp_path)
    try:
        printed = system.up()
        with connect(f"{system.websocket_url}?token={system.token()}", proxy=None) as socket:
            answer = ask(socket, {"action": "echo", "message": "from the kit"})
        again = system.up()
    finally:
        system.down()

    assert f"Page       {system.web_url}" in printed
    assert f"AWS endpoint    {system.endpoint_url}" in printed
    assert f"WebSocket API   ws://localhost:{system.environ['SOCKETSTACK_PORT']}/" in again
    assert answer["message"] == "from the kit"
    assert system.left() == []
    assert not (tmp_path / ".socketstack" / "outputs.json").exists()


def test_kit_shows_why_containers_do_not_come_up(tmp_path: Path) -> None:
    """A deployment that is refused is told with its reason, in the containers' own words."""
    require_base_image()
    system = composed_in(tmp_path)
    template = tmp_path / "infra" / "template.yaml"
    template.write_text(template.read_text().replace("AWS::DynamoDB::Table", "AWS::No::Such"))
    try:
        with pytest.raises(AssertionError) as failed:
            system.up()
        left = system.left()
    finally:
        system.down()

    assert "The containers did not come up." in str(failed.value)
    assert "AWS::No::Such" in str(failed.value)
    assert left == []


def test_kit_leaves_an_engine_outside_containers_alone(tmp_path: Path) -> None:
    """A port that the embedded engine has is refused before anything is built."""
    require_engine()
    system = composed_in(tmp_path)
    embedded = System(folder=tmp_path, environ=system.environ)
    embedded.up()
    try:
        refused = system.run("socketstack", "compose", "up", expect=2)
        still = embedded.run("socketstack", "status").stdout
    finally:
        embedded.down()

    assert "runs on port" in refused.stderr
    assert "make local-down" in refused.stderr
    assert "Building the images" not in refused.stdout
    assert still.startswith("Engine ")
    assert system.left() == []


_REFUSING = """
import os, sys
print("The license activation failed for the following reason:\\n")
token = os.environ["LOCALSTACK_AUTH_TOKEN"]
print("The token", token, "is not known. Have a look at it.", flush=True)
sys.exit(55)
"""
_HEALTHY = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_localstack/health" else 404)
        self.end_headers()
        self.wfile.write(b'{"services": {"apigatewayv2": "available"}}')

http.server.HTTPServer(("0.0.0.0", 4566), Handler).serve_forever()
"""


@pytest.fixture
def image_of(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes an image that runs a program as LocalStack's own would."""
    require_base_image()
    names: list[str] = []

    def make(source: str) -> str:
        names.append(f"socketstack-test-{uuid.uuid4().hex[:8]}")
        folder = tmp_path / names[-1]
        folder.mkdir()
        (folder / "main.py").write_text(source)
        (folder / "Dockerfile").write_text(
            f'FROM {BASE_IMAGE}\nCOPY main.py /\nCMD ["python3", "/main.py"]\n'
        )
        run("docker", "build", "--tag", names[-1], str(folder))
        return names[-1]

    yield make
    for name in names:
        run("docker", "image", "rm", "--force", name, expect=None)


def licensed_in(folder: Path, image: str) -> Composed:
    """A system on an image of somebody else's, by the repository's own commands."""
    system = composed_in(folder)
    own = {"LOCALSTACK_IMAGE": image, "LOCALSTACK_AUTH_TOKEN": "ls-secret"}
    return replace(system, folder=ROOT, environ={**system.environ, **system.names, **own})


def make(system: Composed, command: str) -> "CompletedProcess[str]":
    """One of the Makefile's commands on LocalStack in containers."""
    return run("make", command, "TARGET=localstack", expect=None, cwd=ROOT, **system.environ)


def test_refused_token_of_a_licensed_image_is_one_line(
    tmp_path: Path, image_of: Callable[[str], str]
) -> None:
    """LocalStack's reason and our fix, without the token; no container stays."""
    system = licensed_in(tmp_path, image_of(_REFUSING))
    try:
        refused = make(system, "local-up")
        left = system.left()
    finally:
        make(system, "local-down")

    assert refused.returncode != 0
    (told,) = [line for line in refused.stderr.splitlines() if "refuses its licence" in line]
    assert "The token <LOCALSTACK_AUTH_TOKEN> is not known. Correct LOCALSTACK_AUTH_TOKEN" in told
    assert "ls-secret" not in refused.stdout + refused.stderr
    assert left == []


def test_licensed_image_that_is_healthy_stays_up(
    tmp_path: Path, image_of: Callable[[str], str]
) -> None:
    """It is up when its health page says so; our deployment and page stay away."""
    system = licensed_in(tmp_path, image_of(_HEALTHY))
    try:
        started = make(system, "local-up")
        running = [name for name in SERVICES if system.container(name)]
    finally:
        make(system, "local-down")

    assert started.returncode == 0, started.stdout + started.stderr
    assert f"AWS endpoint    {system.endpoint_url}" in started.stdout
    assert "nothing is deployed" in started.stdout
    assert running == ["localstack-licensed"]
    assert system.left() == []


# The base image


def test_base_image_that_is_here_is_kept() -> None:
    """The script changes nothing where nothing is missing."""
    require_base_image()
    before = run("docker", "image", "inspect", "--format={{.Id}}", BASE_IMAGE).stdout

    told = run("scripts/base-image", BASE_IMAGE).stdout

    assert f"{BASE_IMAGE} is here already" in told
    assert run("docker", "image", "inspect", "--format={{.Id}}", BASE_IMAGE).stdout == before


def test_base_image_without_an_engine_is_refused() -> None:
    """The refusal passes Docker's own words on."""
    require_engine()

    done = run("scripts/base-image", _UNMADE, expect=2, DOCKER_HOST="unix:///nonexistent")

    assert "no Docker engine answers" in done.stderr
    assert "/nonexistent" in done.stderr


def test_base_image_without_debootstrap_is_refused(tmp_path: Path) -> None:
    """The refusal names the package; no image comes of it."""
    require_engine()
    for name in ("bash", "id", "docker"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    missing = "debootstrap" if os.geteuid() == 0 else "needs root"

    done = run(str(ROOT / "scripts/base-image"), _UNMADE, expect=2, PATH=str(tmp_path))

    assert missing in done.stderr
    assert run("docker", "image", "inspect", _UNMADE, expect=None).returncode


@pytest.fixture
def made_image(tmp_path: Path) -> Iterator[str]:
    """An image that the script made: the one that is here where it made that, else a new one."""
    require_engine()
    comment = run("docker", "image", "inspect", "--format={{.Comment}}", BASE_IMAGE, expect=None)
    if "scripts/base-image" in comment.stdout:
        yield BASE_IMAGE
        return
    if os.geteuid() or shutil.which("debootstrap") is None:
        pytest.skip("making a base image needs root and debootstrap")
    listed = run("debootstrap", "--print-debs", "trixie", str(tmp_path / "list"), expect=None)
    if listed.returncode:
        pytest.skip("Debian's packages cannot be reached")
    tag = f"socketstack-test-{uuid.uuid4().hex[:8]}"
    try:
        told = run("scripts/base-image", tag, TMPDIR=str(tmp_path)).stdout
        assert f"{tag} is ready" in told
        assert {path.name for path in tmp_path.iterdir()} <= {"list"}
        yield tag
    finally:
        run("docker", "image", "rm", tag, expect=None)


def test_base_image_is_made_of_debian_packages(made_image: str) -> None:
    """It has Python, pip and venv by the official image's names, and leaves no work behind."""
    script = "python --version && pip --version && python3 -m venv /tmp/x && ls /etc/ssl/certs"
    seen = run("docker", "run", "--rm", made_image, "sh", "-c", script).stdout

    assert seen.startswith("Python 3.13.")
    assert "ca-certificates.crt" in seen
    assert "/base-image." not in Path("/proc/self/mounts").read_text()


_UNMADE = "socketstack-test-unmade"
