"""What is refused before any container is touched: no Docker, no engine, no compose, old ones."""

from pathlib import Path

import pytest

from socketstack.errors import ConfigError
from socketstack.kit.compose import compose_down, compose_up
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
    assert "leave TARGET=docker out" in told
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
