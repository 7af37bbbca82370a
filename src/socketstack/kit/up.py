"""``up``, ``down`` and ``status``: a template running on the engine, with one command.

``deploy_to_engine`` brings a template to an engine that somebody else started, for example in
a container.
"""

import http.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.flavour import flavour
from socketstack.kit.build import Build, BuildTarget, build
from socketstack.kit.client import HEALTH, EngineClient, Health, parse_health
from socketstack.kit.engine import EngineProcess
from socketstack.kit.live import live_folders
from socketstack.kit.outputs import outputs_file, read_outputs, write_outputs
from socketstack.kit.packages import Say
from socketstack.kit.template import Template
from socketstack.kit.waiting import poll, turn_in
from socketstack.settings import Settings

if TYPE_CHECKING:
    from socketstack.kit.deploy import Deployment

_ANSWER_SECONDS: Final = 30.0
"""How long an engine that somebody else started may take until it answers."""
_ANSWER_POLL_SECONDS: Final = 0.2
_READY_SECONDS: Final = 10.0
_READY_POLL_SECONDS: Final = 0.02
_SERVED: Final = frozenset({101, 401, 403})
"""What a handshake without credentials gets from a stage that works."""
_HANDSHAKE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "c29ja2V0c3RhY2sgcHJvYg==",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A system that is up."""

    endpoint: str
    """Where AWS clients find the engine."""
    deployment: "Deployment"
    outputs_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What ``status`` knows: the engine's health, and what ``up`` wrote down last."""

    health: Health | None
    outputs: Mapping[str, object]


def up(
    template: Path,
    *,
    stack_name: str,
    settings: Settings,
    parameters: Mapping[str, str] | None = None,
    say: Say = lambda _line: None,
) -> Running:
    """Start the engine unless it runs, build, deploy, and wait until sockets are answered.

    A second call at the same time, from another process, waits for the first.

    Raises:
        ConfigError: the port is taken, the engine does not start, the template, a parameter or
            a source is not right.
        DeploymentFailed: the stack was refused.
    """
    loaded = Template.load(template)
    loaded.check_parameters(parameters or {})
    engine = EngineProcess(settings)
    with turn_in(settings.state_dir, say=say):
        health = engine.health()
        _check_flavour(health, settings)
        is_starting = health is None
        if is_starting:
            say(f"Starting the engine on port {settings.port}")
            engine.start()
        # The engine starts while we build and load what talks to it.
        deployment, built = _bring(
            loaded,
            engine,
            stack_name=stack_name,
            settings=settings,
            parameters=parameters,
            ready=lambda: engine.wait() if is_starting else None,
            say=say,
        )
        outputs = _shown_outputs(built, deployment, parameters or {})
        path = write_outputs(settings, deployment, outputs, endpoint=engine.endpoint)
        return Running(endpoint=engine.endpoint, deployment=deployment, outputs_file=path)


def deploy_to_engine(
    template: Path,
    *,
    endpoint: str,
    stack_name: str,
    settings: Settings,
    parameters: Mapping[str, str] | None = None,
    wait_seconds: float = _ANSWER_SECONDS,
    say: Say = lambda _line: None,
) -> "Deployment":
    """Build, deploy to the engine at ``endpoint``, and wait until sockets are answered.

    Args:
        template: SAM or CloudFormation template.
        endpoint: ``http://host:port``. That engine is started and stopped by others.
        stack_name: The stack to make or change.
        settings: Region and account id; the port is the endpoint's.
        parameters: Values of template parameters.
        wait_seconds: How long the engine may take until it answers for the first time.
        say: Told about steps that take time.

    Raises:
        ConfigError: no engine answers, it does not know itself under that name, or the template,
            a parameter or a source is not right.
        DeploymentFailed: the stack was refused.
    """
    loaded = Template.load(template)
    loaded.check_parameters(parameters or {})
    engine = EngineClient.at(endpoint)
    _wait_until_healthy(engine, wait_seconds)
    deployment, built = _bring(
        loaded,
        engine,
        stack_name=stack_name,
        settings=settings,
        parameters=parameters,
        say=say,
    )
    return replace(deployment, outputs=_shown_outputs(built, deployment, parameters or {}))


def down(settings: Settings, *, say: Say = lambda _line: None) -> int | None:
    """Stop the engine that ``up`` started and forget its outputs; the log stays.

    Waits for an ``up`` that is at work. Returns the pid that was stopped, None when there was
    nothing to stop.
    """
    engine = EngineProcess(settings)
    with turn_in(settings.state_dir, say=say):
        stopped = engine.stop()
        outputs_file(settings).unlink(missing_ok=True)
    return stopped


def status(settings: Settings) -> Status:
    """Whether an engine runs, and what is deployed on it."""
    health = EngineProcess(settings).health()
    return Status(health=health, outputs={} if health is None else read_outputs(settings))


def _check_flavour(health: Health | None, settings: Settings) -> None:
    """Refuse to deploy to the other kind of engine, which another environment started."""
    own = str(flavour())
    if health is not None and health.target != own:
        message = (
            f"Another engine runs on port {settings.port}: it is {health.target}, this is for "
            f"{own}. Stop it with `make local-down` and its TARGET, or choose another port with "
            "SOCKETSTACK_PORT."
        )
        raise ConfigError(message)


def _wait_until_healthy(engine: EngineClient, wait_seconds: float) -> None:
    faults: list[str] = []

    def look() -> Health | None:
        try:
            status, body = engine.request("GET", HEALTH)
        except (OSError, http.client.HTTPException) as error:
            faults.append(str(error))  # the name may not resolve yet either
            return None
        if status == http.client.FORBIDDEN:
            message = f"The engine at {engine.endpoint} refuses us: {body.decode(errors='replace')}"
            raise ConfigError(message)
        faults.append(f"it answered {status}")
        return parse_health(status, body)

    if not poll(look, every_seconds=_ANSWER_POLL_SECONDS, timeout_seconds=wait_seconds):
        message = (
            f"No engine answers at {engine.endpoint} ({faults[-1]}). Start one "
            "(`socketstack start`), or correct the address."
        )
        raise ConfigError(message)


def _bring(
    template: Template,
    engine: EngineClient,
    *,
    stack_name: str,
    settings: Settings,
    parameters: Mapping[str, str] | None,
    ready: Callable[[], object] = lambda: None,
    say: Say,
) -> "tuple[Deployment, Build]":
    """Build, deploy, and wait until sockets are answered; ``ready`` waits for the engine."""
    from socketstack.kit.cloud import local_cloud  # noqa: PLC0415 - boto3: ``up`` starts the engine first
    from socketstack.kit.deploy import deploy  # noqa: PLC0415

    def wait() -> None:
        ready()
        if template.is_serverless:
            # One of another version may not know this; then it loads when it must.
            engine.request("POST", "/_socketstack/expect")
        say(f"Deploying {stack_name}")

    cloud = replace(local_cloud(settings), endpoint_url=engine.endpoint)
    built = build(template.path, target=BuildTarget.LOCAL, parameters=parameters, say=say)
    deployment = deploy(
        built, cloud, stack_name=stack_name, parameters=parameters, ready=wait, say=say
    )
    _make_live(engine, built, deployment, settings, say)
    _wait_until_served(engine, deployment.socket_urls)
    return deployment, built


def _make_live(
    engine: EngineClient, built: Build, deployment: "Deployment", settings: Settings, say: Say
) -> None:
    # By ARN: the stack's region may be another than the engine's own.
    arn = f"arn:aws:lambda:{settings.region}:{settings.account_id}:function:"
    named = live_folders(built, deployment.resources)
    body = {"functions": {f"{arn}{name}": folders for name, folders in named.items()}}
    status, answer = engine.request("POST", "/_socketstack/live", body)
    if status == http.client.BAD_REQUEST:
        # An engine in a container does not see this machine's folders; all else works.
        say(f"Saved changes are not live, run this again after one. {answer.decode()}")
    elif status != http.client.OK:
        message = (
            f"The engine did not take the live folders ({status}): {answer.decode()} "
            "Is another version of it running? Stop it with `make local-down`."
        )
        raise ConfigError(message)


def _wait_until_served(engine: EngineClient, urls: Sequence[str]) -> None:
    for url in urls:
        answers: list[int] = []

        def look(path: str = urlsplit(url).path, answers: list[int] = answers) -> bool | None:
            answers.append(engine.request("GET", path, headers=_HANDSHAKE)[0])
            return True if answers[-1] in _SERVED else None

        if not poll(look, every_seconds=_READY_POLL_SECONDS, timeout_seconds=_READY_SECONDS):
            message = (
                f"The stack is deployed, but {url} answers {answers[-1]} to a handshake. "
                f"`socketstack logs` says why.\n{engine.log_end()}"
            )
            raise DeploymentFailed(message)


def _shown_outputs(
    built: Build, deployment: "Deployment", parameters: Mapping[str, str]
) -> dict[str, str]:
    """Outputs without those that would give a secret parameter away."""
    template = Template.load(built.template)
    secrets = {parameters.get(name, "") for name in template.secret_parameters()} - {""}
    return {
        name: value
        for name, value in deployment.outputs.items()
        if not any(secret in value for secret in secrets)
    }
