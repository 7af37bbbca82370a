"""Docker for tests: what there is, and the example system in containers."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from deployed_system import deployed_system
from example_system import ROOT, System, system_in
from localstack_host import localstack_python

from socketstack.kit.waiting import poll

T = TypeVar("T")

_OFFICIAL_IMAGE = "python:3.13-slim"
BASE_IMAGE = os.environ.get("PYTHON_IMAGE", _OFFICIAL_IMAGE)
COMMANDS = (("docker", "compose"), ("docker-compose",))
_BUILT_FROM = (
    *("Dockerfile", "docker-compose.yml", ".dockerignore"),
    *("pyproject.toml", "constraints-localstack.txt"),
)
_SECONDS = 60
_RUN_SECONDS = 1700
"""No command takes that long; tests have shorter limits of their own."""

notes: list[str] = []
"""What had to be done before the tests could run, for the end of the run."""


def run(
    *command: str, expect: int | None = 0, cwd: Path = ROOT, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )
    assert expect is None or done.returncode == expect, done.stdout + done.stderr
    return done


def require_engine() -> None:
    """Skip where there is no Docker engine."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker command")
    asked = run("docker", "version", "--format", "{{.Server.Version}}", expect=None)
    if asked.returncode:
        pytest.skip(f"no Docker engine answers: {asked.stderr.strip()}")


def require_base_image() -> None:
    """Skip where there is no Docker engine or nothing to build on.

    The official image is pulled when it is missing, or made of Debian's packages where no registry
    can be reached; the end of the run tells that. An image of another name is the user's.
    """
    require_engine()
    if run("docker", "image", "inspect", BASE_IMAGE, expect=None).returncode == 0:
        return
    if BASE_IMAGE != _OFFICIAL_IMAGE:
        pytest.skip(f"the image {BASE_IMAGE}, which PYTHON_IMAGE names, is not here")
    done = run("scripts/base-image", expect=None)
    if done.returncode:
        pytest.skip(f"{BASE_IMAGE} is not here: {done.stderr.strip()}")
    notes.extend(done.stdout.splitlines())


def require_compose(command: tuple[str, ...]) -> None:
    """Skip where this form of the compose command is not installed."""
    if not _has_compose(command):
        pytest.skip(f"there is no {' '.join(command)}")


def _has_compose(command: tuple[str, ...]) -> bool:
    return (
        shutil.which(command[0]) is not None
        and run(*command, "version", expect=None).returncode == 0
    )


def until(look: Callable[[], T | None], what: str) -> T:
    """The first thing that ``look`` gives, to a deadline."""
    found = poll(look, every_seconds=0.1, timeout_seconds=_SECONDS)
    assert found is not None, f"{what} did not come in {_SECONDS} s"
    return found


@dataclass(frozen=True)
class Composed(System):
    """The example system in containers, from a copy of its sources in ``folder``.

    ``up`` and ``down`` are the kit's, ``compose`` is Docker's own command. Project and images
    have names of their own, so that nothing of the user's is touched.
    """

    command: tuple[str, ...] = ()
    """Docker's compose command; empty for the newest that there is."""
    backend: str = "engine"
    """What answers AWS calls: ``engine``, or ``localstack``."""
    project: str = field(default_factory=lambda: f"socketstack-test-{uuid.uuid4().hex[:8]}")

    def up(self) -> str:
        """Bring everything up; returns what was printed."""
        printed = self._kit("socketstack", "compose", "up", "--backend", self.backend).stdout
        return printed + self._kit("webclient", "where").stdout

    def down(self) -> None:
        """Remove everything, the images too."""
        self._kit("socketstack", "compose", "down")
        self.remove_images()

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs, as the engine has them: in containers nothing writes the file."""
        answer = self.client("cloudformation").describe_stacks(StackName=self.stack_name)
        outputs = answer["Stacks"][0]["Outputs"]
        return {each["OutputKey"]: each["OutputValue"] for each in outputs}

    def renew_page(self) -> None:
        """Have the page's server look at the stack again."""
        self.compose("restart", self.service("web"))
        until(self._answer, "the page's answer")

    def update(self, **parameters: str) -> None:
        """Deploy again with other parameters, by the container that deploys."""
        self.compose(
            *("run", "--rm", "--no-deps", self.service("deploy")),
            *("socketstack", "deploy", "--template=/workspace/infra/template.yaml"),
            f"--stack-name={self.stack_name}",
            f"--endpoint=http://{self.backend}:{self.environ['SOCKETSTACK_PORT']}",
            *(f"--parameter={name}={value}" for name, value in parameters.items()),
        )

    def compose(
        self, *arguments: str, expect: int | None = 0
    ) -> "subprocess.CompletedProcess[str]":
        """A command of docker-compose on this project."""
        command = self.command or next(each for each in COMMANDS if _has_compose(each))
        return run(*command, *arguments, expect=expect, cwd=self.folder, **self.names)

    def compose_up(self, *arguments: str) -> None:
        """Bring everything up with Docker's own command, and wait until the page answers."""
        done = self.compose("up", "--detach", *arguments, self.service("web"), expect=None)
        assert done.returncode == 0, done.stderr + self.logs()
        until(self._answer, "the page's answer")

    def compose_down(self) -> None:
        """Remove everything with Docker's own command, and the images."""
        self.compose("down", "--volumes", "--timeout=5")
        self.remove_images()

    def remove_images(self) -> None:
        """Remove the images, where they were built; the layers stay for the next build."""
        images = [f"{self.project}-{self.backend}", f"{self.project}-web"]
        run("docker", "image", "rm", "--no-prune", *images, expect=None)

    def service(self, name: str) -> str:
        """What ``engine``, ``deploy`` and ``web`` are called with this backend."""
        if self.backend == "engine":
            return name
        return self.backend if name == "engine" else f"{self.backend}-{name}"

    def logs(self) -> str:
        """What the containers said last."""
        return self.compose("logs", "--no-color", "--tail=60", expect=None).stdout

    def left(self) -> list[str]:
        """Containers, networks and volumes of this project."""
        label = f"--filter=label=com.docker.compose.project={self.project}"
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return " ".join(run("docker", *kind, "--quiet", label).stdout for kind in kinds).split()

    def container(self, service: str) -> str:
        """The id of a service's container, running or not; by its name over the engine."""
        label = f"label=com.docker.compose.service={self.service(service)}"
        project = f"label=com.docker.compose.project={self.project}"
        listed = run("docker", "ps", "--all", "--quiet", f"--filter={label}", f"--filter={project}")
        return listed.stdout.strip()

    def inspect(self, service: str) -> Any:
        """What Docker knows about a service's container."""
        return json.loads(run("docker", "inspect", self.container(service)).stdout)[0]

    def call(self, path: str, body: object = None) -> Any:
        """A call of the page's server: POST with a body, GET without."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.web_url + path, data, {"Content-Type": "application/json"})
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            return json.load(answer)

    def address(self, user_id: str) -> str:
        """What a browser dials for a user: the socket's address with a fresh token."""
        url = self.call("/api/config")["websocketUrl"]
        return f"{url}?token={self.call('/api/token', {'userId': user_id})['token']}"

    @property
    def names(self) -> dict[str, str]:
        """What tells compose which project and images are ours."""
        mine = ("SOCKETSTACK_PORT", "SOCKETSTACK_IAM", "WEB_PORT")
        return {
            **{name: self.environ[name] for name in mine if name in self.environ},
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_PROFILES": "localstack,localstack-licensed",
            "SOCKETSTACK_IMAGES": self.project,
            "PYTHON_IMAGE": BASE_IMAGE,
        }

    def _kit(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        named = System(folder=self.folder, environ={**self.environ, **self.names})
        return named.run(*arguments, seconds=580)

    def _answer(self) -> Any:
        try:
            return self.call("/api/config")
        except OSError:
            return None


def composed_in(
    folder: Path, command: tuple[str, ...] = (), *, backend: str = "engine"
) -> Composed:
    """The example system from a copy in ``folder``, on ports of its own, not started."""
    plain = system_in(folder)
    for name in (*_BUILT_FROM, "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    copy_sources(folder)
    return Composed(folder=folder, environ=plain.environ, command=command, backend=backend)


def copy_sources(folder: Path) -> None:
    """The engine's own sources, as a clone would have them."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))


def system_of_target(folder: Path) -> System:
    """The example system in a folder of its own as ``TARGET`` wants it, not started."""
    match os.environ.get("TARGET"):
        case "docker":
            require_base_image()
            return composed_in(folder)
        case "localstack":
            require_base_image()
            return composed_in(folder, backend="localstack")
        case "localstack-host":
            return replace(system_in(folder), python=localstack_python())
        case "aws":
            return deployed_system(folder)
        case _:
            return system_in(folder)
