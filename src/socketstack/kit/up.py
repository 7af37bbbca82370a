"""``up``, ``down`` and ``status``: a template running on the engine, with one command."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit.build import Build, BuildTarget, build
from socketstack.kit.cloud import local_cloud
from socketstack.kit.deploy import Deployment, deploy
from socketstack.kit.engine import EngineProcess, Health
from socketstack.kit.live import live_folders
from socketstack.kit.packages import Say
from socketstack.kit.template import Template
from socketstack.kit.waiting import poll
from socketstack.settings import Settings

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
    deployment: Deployment
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

    Raises:
        ConfigError: the port is taken, the engine does not start, the template or a source is
            not right.
        DeploymentFailed: the stack was refused.
    """
    engine = EngineProcess(settings)
    is_starting = engine.health() is None
    if is_starting:
        say(f"Starting the engine on port {settings.port}")
        engine.start()
    # The engine starts while we build.
    cloud = local_cloud(settings)
    built = build(template, target=BuildTarget.LOCAL, parameters=parameters, say=say)
    if is_starting:
        engine.wait()
    say(f"Deploying {stack_name}")
    deployment = deploy(built, cloud, stack_name=stack_name, parameters=parameters, say=say)
    _make_live(engine, built, deployment, say)
    _wait_until_served(engine, deployment.socket_urls)
    outputs = _shown_outputs(built, deployment, parameters or {})
    path = outputs_file(settings)
    _write_outputs(path, deployment, outputs, f"http://localhost:{settings.port}", settings.region)
    return Running(
        endpoint=f"http://localhost:{settings.port}", deployment=deployment, outputs_file=path
    )


def down(settings: Settings) -> int | None:
    """Stop the engine that ``up`` started and forget its outputs; the log stays.

    Returns the pid that was stopped, None when there was nothing to stop.
    """
    stopped = EngineProcess(settings).stop()
    outputs_file(settings).unlink(missing_ok=True)
    return stopped


def status(settings: Settings) -> Status:
    """Whether an engine runs, and what is deployed on it."""
    health = EngineProcess(settings).health()
    return Status(health=health, outputs={} if health is None else read_outputs(settings))


def outputs_file(settings: Settings) -> Path:
    """Where ``up`` writes what it deployed."""
    return settings.state_dir / "outputs.json"


def read_outputs(settings: Settings) -> dict[str, object]:
    """What ``up`` wrote last; empty when there is nothing."""
    try:
        told: dict[str, object] = json.loads(outputs_file(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told


def _make_live(engine: EngineProcess, built: Build, deployment: Deployment, say: Say) -> None:
    body = {"functions": live_folders(built, deployment.resources)}
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


def _wait_until_served(engine: EngineProcess, urls: Sequence[str]) -> None:
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
    built: Build, deployment: Deployment, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Outputs without those that would give a secret parameter away."""
    template = Template.load(built.template)
    secrets = {parameters.get(name, "") for name in template.secret_parameters()} - {""}
    return {
        name: value
        for name, value in deployment.outputs.items()
        if not any(secret in value for secret in secrets)
    }


def _write_outputs(
    path: Path, deployment: Deployment, outputs: Mapping[str, str], endpoint: str, region: str
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "stackName": deployment.stack_name,
        "endpoint": endpoint,
        "region": region,
        "webSocketUrls": list(deployment.socket_urls),
        "outputs": dict(outputs),
    }
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
