"""Docker's own commands: ``docker compose`` or docker-compose 1.29, in one folder.

What they print is shown as it comes, and its end is kept: there stands why they failed. Nothing
here knows which containers there are; ``kit.compose`` does.
"""

import json
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from socketstack.errors import ConfigError
from socketstack.kit.packages import Say
from socketstack.settings import environment

COMPOSE_FILE: Final = "docker-compose.yml"
_COMMANDS: Final = (("docker", "compose"), ("docker-compose",))
_OLDEST: Final = (1, 29)
"""The first that waits for a container's successful end, as the page does for the deployment."""
_DOCKER_SECONDS: Final = 30.0
"""How long Docker may take to say that it is there."""
_KEPT_LINES: Final = 40
_KEPT_LOG_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code, and the last lines that it printed."""

    code: int
    lines: tuple[str, ...]

    @property
    def cause(self) -> str:
        """What went wrong and what helps, in one line; empty where only Docker's words tell."""
        text = "\n".join(self.lines).lower()
        return next((cause for phrase, cause in _CAUSES if phrase in text), "")


@dataclass(frozen=True, slots=True)
class End:
    """A container that has ended, with its exit code."""

    code: int


_NO_DISK: Final = (
    "Docker's disk is full. `docker system df` tells what takes it, `docker system prune` frees "
    "what nothing uses."
)
_NO_PORT: Final = (
    "A port is taken by another program. Stop it, or choose other ports with SOCKETSTACK_PORT and "
    "WEB_PORT."
)
_CAUSES: Final = (
    ("no space left on device", _NO_DISK),
    ("port is already allocated", _NO_PORT),
    ("address already in use", _NO_PORT),
)
"""What Docker says, in lower case, and what we say of it."""


class Compose:
    """Docker's compose command, for the compose file of one folder."""

    def __init__(
        self, command: Sequence[str], folder: Path, environ: Mapping[str, str], say: Say
    ) -> None:
        self._command = [*command, f"--file={folder / COMPOSE_FILE}"]
        self._environ = {**environment(), **environ}
        self._say = say

    @classmethod
    def found(cls, folder: Path, environ: Mapping[str, str], *, say: Say, otherwise: str) -> Self:
        """The command of this machine.

        Args:
            folder: Where the compose file lies.
            environ: What the compose file gets besides the process's environment.
            say: Told what commands print, line by line.
            otherwise: What to do without Docker, as the end of a sentence.

        Raises:
            ConfigError: there is no compose file, or Docker cannot do the work.
        """
        if not (folder / COMPOSE_FILE).is_file():
            message = (
                f"There is no {COMPOSE_FILE} in {folder.resolve()}. Go to the folder that has it."
            )
            raise ConfigError(message)
        _check_docker(otherwise)
        return cls(_compose_command(), folder, environ, say)

    def run(self, *arguments: str) -> Ran:
        """Run a command to its end; the user sees what it prints."""
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        with subprocess.Popen(  # noqa: S603 - no shell
            [*self._command, *arguments],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                self._say(lines[-1])
        return Ran(process.returncode, tuple(lines))

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

    def end_of(self, service: str) -> End | None:
        """How a service's container has ended; None while it runs, or is not there."""
        ids = self.containers(service)
        told = _output("docker", "inspect", "--format={{json .State}}", ids[0]) if ids else ""
        state = json.loads(told or "{}")
        return End(state["ExitCode"]) if state.get("Status") in {"exited", "dead"} else None

    def log_of(self, service: str) -> str:
        """The last lines that a service's container printed, without its name before them."""
        ids = self.containers(service)
        done = _run("docker", "logs", f"--tail={_KEPT_LOG_LINES}", ids[0]) if ids else None
        return "" if done is None else done.stdout + done.stderr


def _check_docker(otherwise: str) -> None:
    if shutil.which("docker") is None:
        message = f"There is no docker command. Install Docker, or {otherwise}."
        raise ConfigError(message)
    try:
        done = _run("docker", "version", "--format={{.Server.Version}}")
        reason = (done.stderr or done.stdout) if done.returncode else ""
    except subprocess.TimeoutExpired:
        reason = f"no answer in {_DOCKER_SECONDS:.0f} s"
    if reason:
        message = (
            f"No Docker engine answers ({_one_line(reason)}). Start it (`sudo systemctl start "
            f"docker`, or Docker Desktop), or {otherwise}."
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
