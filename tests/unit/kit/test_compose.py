"""What is refused before any container is touched: no Docker, no engine, no compose, old ones."""

import socket
from pathlib import Path

import pytest
from example_system import free_port

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit.compose import Backend, compose_down, compose_up
from socketstack.settings import Settings

_DOCKER = """#!/bin/sh
echo "$0 $*" >>"{log}"
case "$1" in
  version) {version} ;;
  compose) {compose} ;;
esac
"""
_ANSWERS = "echo 27.0"
_NO_PLUGIN = "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"
_STOPPED = (
    'echo; echo "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"'
    " >&2; exit 1"
)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where commands are found; empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a compose file."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "docker-compose.yml").write_text("services: {}\n")
    return folder


def _put(commands: Path, name: str, *, version: str, compose: str = "exit 1") -> Path:
    """Put a command there that notes how it was called; returns its notes."""
    log = commands / "log"
    script = _DOCKER.format(log=log, version=version, compose=compose)
    (commands / name).write_text(script)
    (commands / name).chmod(0o755)
    return log


def _refusal(project: Path, tmp_path: Path) -> str:
    settings = Settings(state_dir=tmp_path / "state")
    with pytest.raises(ConfigError) as up:
        compose_up(project, stack_name="x", settings=settings)
    with pytest.raises(ConfigError) as down:
        compose_down(project, stack_name="x", settings=settings)
    assert str(up.value) == str(down.value)
    assert not settings.state_dir.exists()
    return str(up.value)


def test_missing_docker_is_one_line(commands: Path, project: Path, tmp_path: Path) -> None:
    """The refusal says what to install, and that the embedded engine needs nothing."""
    told = _refusal(project, tmp_path)

    assert "There is no docker command" in told
    assert "leave TARGET out" in told
    assert "\n" not in told


def test_stopped_docker_is_one_line(commands: Path, project: Path, tmp_path: Path) -> None:
    """Docker's own words and the way out; compose is not asked for anything."""
    log = _put(commands, "docker", version=_STOPPED)

    told = _refusal(project, tmp_path)

    assert "No Docker engine answers (Cannot connect to the Docker daemon at unix:///x." in told
    assert "Start it" in told
    assert "\n" not in told
    assert "compose" not in log.read_text()


def test_missing_compose_is_one_line(commands: Path, project: Path, tmp_path: Path) -> None:
    """An engine without any compose command is told with the package that brings one."""
    log = _put(commands, "docker", version=_ANSWERS, compose=_NO_PLUGIN)

    told = _refusal(project, tmp_path)

    assert "there is no compose command" in told
    assert "docker-compose 1.29" in told
    assert "\n" not in told
    assert not {"up", "build", "down"} & set(log.read_text().split())


@pytest.mark.parametrize("version", ["1.25.0", "v1.28.6"])
def test_compose_that_cannot_wait_is_too_old(
    commands: Path, project: Path, tmp_path: Path, version: str
) -> None:
    """Before 1.29 the page would be started before anything is deployed."""
    _put(commands, "docker", version=_ANSWERS, compose=_NO_PLUGIN)
    _put(commands, "docker-compose", version=f"echo {version}")

    told = _refusal(project, tmp_path)

    assert f"compose {version} is too old" in told
    assert "\n" not in told


def test_other_folder_is_told_first(commands: Path, tmp_path: Path) -> None:
    """Without the compose file Docker is not asked at all."""
    log = _put(commands, "docker", version=_ANSWERS)

    told = _refusal(tmp_path, tmp_path)

    assert f"There is no docker-compose.yml in {tmp_path}" in told
    assert not log.exists()


_FAILING = """#!/bin/sh
echo "$*" >>"{log}"
case "$*" in
  *version*) echo 27.0 ;;
  *" ps "*engine | *" ps "*quiet) {there} ;;
  *" {step}"*) {failure}; exit 1 ;;
esac
"""


def _put_failing(commands: Path, *, step: str, words: str, there: str = "true") -> Path:
    """Put a ``docker`` there that fails at one step with these words; returns its notes."""
    log = commands / "log"
    failure = f"echo 'Error: {words}' >&2"
    script = _FAILING.format(log=log, step=step, failure=failure, there=there)
    (commands / "docker").write_text(script)
    (commands / "docker").chmod(0o755)
    return log


@pytest.mark.parametrize(
    ("step", "words", "told"),
    [
        pytest.param(
            "build",
            "write /var/lib/docker/tmp/x: no space left on device",
            "Docker's disk is full.",
            id="no-disk-space",
        ),
        pytest.param(
            "up",
            "Bind for 127.0.0.1:8080 failed: port is already allocated",
            "A port is taken by another program.",
            id="port-taken-meanwhile",
        ),
        pytest.param("build", "unknown flag", "The lines above say why.", id="anything-else"),
    ],
)
def test_failure_of_docker_is_one_line_with_its_fix(
    commands: Path, tmp_path: Path, step: str, words: str, told: str
) -> None:
    """Docker's words are shown, the refusal tells cause and fix; what was started is removed."""
    log = _put_failing(commands, step=step, words=words)
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    settings = Settings(state_dir=tmp_path / "state", port=free_port())
    shown: list[str] = []

    with pytest.raises(DeploymentFailed) as failed:
        compose_up(tmp_path, stack_name="x", settings=settings, say=shown.append)

    assert told in str(failed.value)
    assert "\n" not in str(failed.value)
    assert f"Error: {words}" in shown
    assert " down --volumes " in log.read_text().splitlines()[-1]


def test_failure_leaves_alone_what_was_up_before(
    commands: Path, project: Path, tmp_path: Path
) -> None:
    """A rebuild that fails takes nothing from those who work with the containers of before."""
    log = _put_failing(commands, step="build", words="no", there="echo 0123")

    with pytest.raises(DeploymentFailed):
        compose_up(project, stack_name="x", settings=Settings(state_dir=tmp_path / "state"))

    assert " build" in log.read_text()
    assert " down " not in log.read_text()


def test_second_backend_is_refused_beside_the_first(
    commands: Path, project: Path, tmp_path: Path
) -> None:
    """Both want the same ports: the refusal says what is up, and nothing is built or removed."""
    log = _put_failing(commands, step="build", words="not to be seen", there="echo 0123")
    settings = Settings(state_dir=tmp_path / "state")

    with pytest.raises(ConfigError) as refused:
        compose_up(project, backend=Backend.LOCALSTACK, stack_name="x", settings=settings)

    assert "run engine already" in str(refused.value)
    assert "make local-down" in str(refused.value)
    assert not {"build", "up", "down"} & set(log.read_text().split())


def test_page_port_of_another_program_is_refused(
    commands: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal names the port and its variable; nothing is built."""
    log = _put_failing(commands, step="build", words="not to be seen")
    settings = Settings(state_dir=tmp_path / "state", port=free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("WEB_PORT", str(port))

        with pytest.raises(ConfigError) as refused:
            compose_up(project, stack_name="x", settings=settings)

    assert f"Port {port} of the page cannot be had" in str(refused.value)
    assert "WEB_PORT" in str(refused.value)
    assert not {"build", "up"} & set(log.read_text().split())
