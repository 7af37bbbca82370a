"""The example system in containers: ``docker-compose.yml``, brought up and taken down.

Docker is asked through its own commands, ``docker compose`` or docker-compose 1.29; what they
print is shown as it comes. Nothing here knows what the containers are but their names: ``engine``,
``deploy``, which ends, and ``web``.
"""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit.client import HEALTH, EngineClient, parse_health
from socketstack.kit.cloud import local_cloud
from socketstack.kit.deploy import Deployment, standing
from socketstack.kit.engine import EngineProcess
from socketstack.kit.outputs import outputs_file, write_outputs
from socketstack.kit.packages import Say
from socketstack.kit.waiting import poll, turn_in
from socketstack.settings import Settings, environment

T = TypeVar("T")

_FILE: Final = "docker-compose.yml"
_COMMANDS: Final = (("docker", "compose"), ("docker-compose",))
_OLDEST: Final = (1, 29)
"""The first that waits for a container's successful end, as the page does for the deployment."""
_DOCKER_SECONDS: Final = 30.0
"""How long Docker may take to say that it is there."""
_ANSWER_SECONDS: Final = 60.0
_ANSWER_POLL_SECONDS: Final = 0.1
_LOG_LINES: Final = 40
_STOP_SECONDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """A system that is up in containers, seen from this machine."""

    endpoint: str
    """Where AWS clients find the engine."""
    page: str
    """Where a browser finds the page."""
    deployment: Deployment
    outputs_file: Path


def compose_up(
    folder: Path, *, stack_name: str, settings: Settings, say: Say = lambda _line: None
) -> Containers:
    """Build the images, bring the containers up, and wait until engine and page answer.

    Args:
        folder: Where ``docker-compose.yml`` lies.
        stack_name: The stack to make or change.
        settings: Port, region and account id; ``state_dir`` gets the outputs.
        say: Told about steps that take time.

    Raises:
        ConfigError: Docker or compose is missing, stopped or too old, or the port is taken.
        DeploymentFailed: an image cannot be built, or a container does not come up; with the end
            of the containers' logs. They are left as they are, to be looked at.
    """
    compose = _Compose.found(folder, stack_name, settings)
    with turn_in(settings.state_dir, say=say):
        if not compose.containers("engine"):
            _check_port(settings)
        say("Building the images")
        if compose.run("build"):
            message = (
                "The images cannot be built; the lines above say why. Where the base image "
                "cannot be pulled, scripts/base-image makes one of Debian's packages."
            )
            raise DeploymentFailed(message)
        say("Starting the containers")
        if compose.run("up", "--detach", "--remove-orphans"):
            raise DeploymentFailed(compose.failure("The containers did not come up."))
        endpoint = _wait_for_engine(compose, settings)
        page = _wait_for_page(compose)
        deployment = standing(local_cloud(settings), stack_name=stack_name)
        path = write_outputs(settings, deployment, deployment.outputs, endpoint=endpoint)
        return Containers(endpoint=endpoint, page=page, deployment=deployment, outputs_file=path)


def compose_down(
    folder: Path, *, stack_name: str, settings: Settings, say: Say = lambda _line: None
) -> bool:
    """Remove containers, network and volumes; images stay. False when there were none.

    Raises ``ConfigError`` as ``compose_up`` does, ``DeploymentFailed`` when Docker fails.
    """
    compose = _Compose.found(folder, stack_name, settings)
    with turn_in(settings.state_dir, say=say):
        is_there = bool(compose.containers())
        if compose.run("down", "--volumes", "--remove-orphans", f"--timeout={_STOP_SECONDS}"):
            message = "The containers cannot be removed; the lines above say why."
            raise DeploymentFailed(message)
        outputs_file(settings).unlink(missing_ok=True)
        return is_there


class _Compose:
    """Docker's compose command, in one folder."""

    def __init__(self, command: Sequence[str], folder: Path, environ: dict[str, str]) -> None:
        self._command = [*command, f"--file={folder / _FILE}"]
        self._environ = environ

    @classmethod
    def found(cls, folder: Path, stack_name: str, settings: Settings) -> "_Compose":
        """The command of this machine. Raises ``ConfigError`` when it cannot do the work."""
        if not (folder / _FILE).is_file():
            message = f"There is no {_FILE} in {folder.resolve()}. Go to the folder that has it."
            raise ConfigError(message)
        _check_docker()
        environ = {
            **environment(),
            # As we understand them, whatever a file .env beside says.
            "SOCKETSTACK_PORT": str(settings.port),
            "SOCKETSTACK_ACCOUNT_ID": settings.account_id,
            "AWS_DEFAULT_REGION": settings.region,
            "STACK_NAME": stack_name,
        }
        return cls(_compose_command(), folder, environ)

    def run(self, *arguments: str) -> int:
        """A command, whose output the user sees; its exit code."""
        return subprocess.run(  # noqa: S603 - no shell
            [*self._command, *arguments],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode

    def ask(self, *arguments: str) -> str:
        """What a command prints; empty when it fails."""
        done = subprocess.run(  # noqa: S603 - no shell
            [*self._command, *arguments],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if done.returncode else done.stdout

    def containers(self, *services: str) -> list[str]:
        """The ids of the containers that there are, running or not."""
        return self.ask("ps", "--all", "--quiet", *services).split()

    def published_port(self, service: str) -> int | None:
        """The port of this machine that leads to a service; None while there is none."""
        ids = self.containers(service)
        if not ids:
            return None
        told = _output("docker", "inspect", "--format={{json .NetworkSettings.Ports}}", ids[0])
        places = [place for each in json.loads(told or "{}").values() for place in each or ()]
        return int(places[0]["HostPort"]) if places else None

    def failure(self, message: str) -> str:
        """A message with the end of the containers' logs."""
        logs = self.ask("logs", "--no-color", f"--tail={_LOG_LINES}").rstrip()
        return (
            f"{message} Their logs end with:\n{logs}\n"
            "They are left as they are; `make local-down TARGET=docker` removes them."
        )


def _check_docker() -> None:
    if shutil.which("docker") is None:
        message = (
            "There is no docker command. Install Docker, or leave TARGET=docker out: the embedded "
            "engine needs none."
        )
        raise ConfigError(message)
    try:
        done = _run("docker", "version", "--format={{.Server.Version}}")
        reason = (done.stderr or done.stdout) if done.returncode else ""
    except subprocess.TimeoutExpired:
        reason = f"no answer in {_DOCKER_SECONDS:.0f} s"
    if reason:
        message = (
            f"No Docker engine answers ({_one_line(reason)}). Start it (`sudo systemctl start "
            "docker`, or Docker Desktop), or leave TARGET=docker out."
        )
        raise ConfigError(message)


def _compose_command() -> tuple[str, ...]:
    """The newest compose command there is. Raises ``ConfigError`` where none will do."""
    old = ""
    for command in _COMMANDS:
        version = _output(*command, "version", "--short").strip()
        numbers = re.match(r"v?(\d+)\.(\d+)", version)
        if numbers is not None and (int(numbers[1]), int(numbers[2])) >= _OLDEST:
            return command
        old = old or version
    found = f"compose {_one_line(old)} is too old" if old else "there is no compose command"
    message = (
        f"Docker is there, but {found}: `docker compose` or docker-compose 1.29 is needed "
        "(Debian: apt install docker-compose)."
    )
    raise ConfigError(message)


def _check_port(settings: Settings) -> None:
    """Refuse a port that an engine outside containers has; another program's is refused too."""
    health = EngineProcess(settings).health()
    if health is not None:
        message = (
            f"An engine runs on port {settings.port} already, and not in a container. Stop it "
            "with `make local-down`, or choose another port with SOCKETSTACK_PORT."
        )
        raise ConfigError(message)


def _wait_for_engine(compose: _Compose, settings: Settings) -> str:
    engine = EngineClient("localhost", settings.port)

    def look() -> bool | None:
        try:
            return parse_health(*engine.request("GET", HEALTH)) is not None or None
        except (OSError, http.client.HTTPException):
            return None

    if not _waited(look):
        message = f"The engine does not answer at {engine.endpoint}."
        raise DeploymentFailed(compose.failure(message))
    return engine.endpoint


def _wait_for_page(compose: _Compose) -> str:
    def look() -> str | None:
        port = compose.published_port("web")
        if port is None:
            return None
        page = EngineClient("localhost", port)
        try:
            status, _body = page.request("GET", "/api/config")
        except (OSError, http.client.HTTPException):
            return None
        return page.endpoint if status == http.client.OK else None

    page = _waited(look)
    if page is None:
        raise DeploymentFailed(compose.failure("The page does not answer."))
    return page


def _waited(look: Callable[[], T | None]) -> T | None:
    return poll(look, every_seconds=_ANSWER_POLL_SECONDS, timeout_seconds=_ANSWER_SECONDS)


def _output(*command: str) -> str:
    """What a command prints; empty when it fails or is not there."""
    try:
        done = _run(*command)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - Docker's own commands, no shell
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DOCKER_SECONDS,
        check=False,
    )


def _one_line(text: str) -> str:
    """The last line of what a command complained about, without its final stop."""
    return text.strip().splitlines()[-1].rstrip(".") if text.strip() else "it does not say why"
