"""The example system in containers: ``docker-compose.yml``, brought up and taken down.

Nothing here knows what the containers are but the names of what answers AWS calls and of the page,
which starts after the deployment. Docker is asked through ``kit.docker``.
"""

import http.client
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit.client import HEALTH, EngineClient, parse_health
from socketstack.kit.cloud import local_cloud
from socketstack.kit.deploy import Deployment, standing
from socketstack.kit.docker import Compose, Ran
from socketstack.kit.engine import EngineProcess
from socketstack.kit.outputs import outputs_file, write_outputs
from socketstack.kit.packages import Say
from socketstack.kit.waiting import poll, turn_in
from socketstack.settings import Settings, web_port

T = TypeVar("T")

_ANSWER_SECONDS: Final = 60.0
_ANSWER_POLL_SECONDS: Final = 0.1
_LOG_LINES: Final = 40
_STOP_SECONDS: Final = 10
REMOVE: Final = ("down", "--volumes", "--remove-orphans", f"--timeout={_STOP_SECONDS}")
_OTHERWISE: Final = "leave TARGET out: the embedded engine needs none"


class Backend(StrEnum):
    """What answers AWS calls: the name of its service in the compose file, and of its image."""

    ENGINE = "engine"
    LOCALSTACK = "localstack"
    LICENSED = "localstack-licensed"

    @property
    def page(self) -> str:
        """The service that serves the page over it; it starts all that it needs."""
        return "web" if self is Backend.ENGINE else "localstack-web"


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
    folder: Path,
    *,
    backend: Backend = Backend.ENGINE,
    stack_name: str,
    settings: Settings,
    say: Say = lambda _line: None,
) -> Containers:
    """Build the images, bring the containers up, and wait until engine and page answer.

    Args:
        folder: Where ``docker-compose.yml`` lies.
        backend: What answers AWS calls.
        stack_name: The stack to make or change.
        settings: Port, region and account id; ``state_dir`` gets the outputs.
        say: Told about steps that take time, and what Docker prints.

    Raises:
        ConfigError: Docker or compose is missing, stopped or too old, a port is taken, or the
            other backend is up.
        DeploymentFailed: an image cannot be built, or a container does not come up; with the end
            of the containers' logs. What was not up before is removed, what was is left as it is.
    """
    compose = compose_of(folder, stack_name, settings, say)
    with turn_in(settings.state_dir, say=say):
        check_other_backends(compose, backend)
        was_there = bool(compose.containers())
        if not was_there:
            check_engine_port(settings)
            _check_page_port(web_port())
        is_up = False
        try:
            running = _bring_up(compose, backend, stack_name, settings, say)
            is_up = True
        finally:
            # An interrupted start leaves nothing running either.
            if not (is_up or was_there):
                compose.ask(*REMOVE)
        return running


def compose_down(
    folder: Path, *, stack_name: str, settings: Settings, say: Say = lambda _line: None
) -> bool:
    """Remove containers, network and volumes; images stay. False when there were none.

    Raises ``ConfigError`` as ``compose_up`` does, ``DeploymentFailed`` when Docker fails.
    """
    compose = compose_of(folder, stack_name, settings, say)
    with turn_in(settings.state_dir, say=say):
        is_there = bool(compose.containers())
        if compose.run(*REMOVE).code:
            message = "The containers cannot be removed; the lines above say why."
            raise DeploymentFailed(message)
        outputs_file(settings).unlink(missing_ok=True)
        return is_there


def compose_of(folder: Path, stack_name: str, settings: Settings, say: Say) -> Compose:
    """Docker's compose command for this folder. Raises ``ConfigError`` where there is none."""
    environ = {
        # As we understand them, whatever a file .env beside says.
        "SOCKETSTACK_PORT": str(settings.port),
        "SOCKETSTACK_ACCOUNT_ID": settings.account_id,
        "AWS_DEFAULT_REGION": settings.region,
        "STACK_NAME": stack_name,
        "WEB_PORT": str(web_port()),
        # So that every backend is found and removed, whichever is up.
        "COMPOSE_PROFILES": f"{Backend.LOCALSTACK},{Backend.LICENSED}",
    }
    return Compose.found(folder, environ, say=say, otherwise=_OTHERWISE)


def _bring_up(
    compose: Compose, backend: Backend, stack_name: str, settings: Settings, say: Say
) -> Containers:
    say("Building the images")
    built = compose.run("build", backend, backend.page)
    if built.code:
        raise DeploymentFailed(_build_failure(built))
    say("Starting the containers")
    started = compose.run("up", "--detach", "--remove-orphans", backend.page)
    if started.code:
        raise DeploymentFailed(failure(compose, "The containers did not come up.", started))
    endpoint = _wait_for_engine(compose, settings)
    page = _wait_for_page(compose, backend.page)
    deployment = standing(local_cloud(settings), stack_name=stack_name)
    path = write_outputs(settings, deployment, deployment.outputs, endpoint=endpoint)
    return Containers(endpoint=endpoint, page=page, deployment=deployment, outputs_file=path)


def _build_failure(built: Ran) -> str:
    hint = (
        "The lines above say why. Where the base image cannot be pulled, scripts/base-image "
        "makes one of Debian's packages."
    )
    return f"The images cannot be built. {built.cause or hint}"


def failure(compose: Compose, message: str, ran: Ran | None = None) -> str:
    """A message with the cause where Docker tells it, else with the end of the containers' logs."""
    if ran is not None and ran.cause:
        return f"{message} {ran.cause}"
    logs = compose.ask("logs", "--no-color", f"--tail={_LOG_LINES}").rstrip()
    return (
        f"{message} Their logs end with:\n{logs}\n"
        "What was not up before is removed again; `docker compose up` without make leaves "
        "containers to be looked at."
    )


def check_other_backends(compose: Compose, backend: Backend) -> None:
    """Refuse to start a second backend beside one that has its ports."""
    for other in Backend:
        if other is not backend and compose.containers(other):
            message = (
                f"Containers of this folder run {other} already, and both want the same ports. "
                "Remove them with `make local-down TARGET=docker`."
            )
            raise ConfigError(message)


def check_engine_port(settings: Settings) -> None:
    """Refuse a port that an engine outside containers has; another program's is refused too."""
    health = EngineProcess(settings).health()
    if health is not None:
        message = (
            f"An engine runs on port {settings.port} already, and not in a container of this "
            "folder. Stop it with `make local-down`, or choose another port with SOCKETSTACK_PORT."
        )
        raise ConfigError(message)


def _check_page_port(port: int) -> None:
    with socket.socket() as probe:
        # As Docker's own listener: connections that are only being forgotten do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = (
                f"Port {port} of the page cannot be had ({error.strerror}). Stop what has it, or "
                "choose another port with WEB_PORT."
            )
            raise ConfigError(message) from error


def _wait_for_engine(compose: Compose, settings: Settings) -> str:
    engine = EngineClient("localhost", settings.port)

    def look() -> bool | None:
        try:
            return parse_health(*engine.request("GET", HEALTH)) is not None or None
        except (OSError, http.client.HTTPException):
            return None

    if not _waited(look):
        message = f"The engine does not answer at {engine.endpoint}."
        raise DeploymentFailed(failure(compose, message))
    return engine.endpoint


def _wait_for_page(compose: Compose, service: str) -> str:
    def look() -> str | None:
        port = compose.published_port(service)
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
        raise DeploymentFailed(failure(compose, "The page does not answer."))
    return page


def _waited(look: Callable[[], T | None]) -> T | None:
    return poll(look, every_seconds=_ANSWER_POLL_SECONDS, timeout_seconds=_ANSWER_SECONDS)
