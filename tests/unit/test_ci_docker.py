"""How continuous integration gets a Docker engine, beside commands that only pretend."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / ".ci" / "docker"
_TOOLS = ("bash", "cat", "head", "id", "kill", "mkdir", "rm", "sleep", "tail")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start an engine")


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """The only folder where commands are found: what the script needs, and no Docker."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name in _TOOLS:
        (folder / name).symlink_to(str(shutil.which(name)))
    for name in ("docker-compose", "debootstrap"):
        _put(folder, name, "exit 0")
    return folder


def _put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
    (folder / name).chmod(0o755)


def _start(commands: Path, tmp_path: Path, after: str = "") -> "subprocess.CompletedProcess[str]":
    """Source the script, start an engine, say how that went, and stop it."""
    script = (
        f"set -euo pipefail; source {_SCRIPT}; "
        f"if start_docker {tmp_path}; then echo up pid=$docker_pid; {after}"
        "else echo trouble: $docker_trouble; fi; stop_docker; echo stopped"
    )
    return subprocess.run(
        [str(shutil.which("bash")), "-c", script],
        env={"PATH": str(commands), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_engine_that_answers_is_used_and_left_running(commands: Path, tmp_path: Path) -> None:
    """Nothing is started, so nothing is ended."""
    _put(commands, "docker", "exit 0")
    _put(commands, "dockerd", f"echo started >{tmp_path}/started")

    done = _start(commands, tmp_path)

    assert done.stdout.splitlines() == ["up pid=", "stopped"], done.stderr
    assert not (tmp_path / "started").exists()


@_as_root
def test_engine_is_started_and_ended_by_its_own_process_id(commands: Path, tmp_path: Path) -> None:
    """The engine runs while it is needed, and is gone when the script is."""
    up = tmp_path / "up"
    _put(commands, "docker", f"[[ -e {up} ]]")
    _put(commands, "dockerd", f"echo $$ >{up}; exec sleep 600")

    done = _start(commands, tmp_path, after="kill -0 $docker_pid && echo alive; ")

    pid = up.read_text().strip()
    assert done.stdout.splitlines() == [f"up pid={pid}", "alive", "stopped"], done.stderr
    assert not Path(f"/proc/{pid}").exists()


@_as_root
def test_engine_that_cannot_run_is_told_with_its_own_words(commands: Path, tmp_path: Path) -> None:
    """A machine without the rights for containers says so; nothing is left running."""
    _put(commands, "docker", "exit 1")
    _put(commands, "dockerd", "echo 'failed to start daemon: no permission for iptables'; exit 1")

    done = _start(commands, tmp_path)

    assert done.stdout.splitlines() == [
        "failed to start daemon: no permission for iptables",
        "trouble: dockerd does not come up on this machine; the lines above say why",
        "stopped",
    ], done.stderr


@_as_root
def test_packages_that_cannot_be_installed_are_told(commands: Path, tmp_path: Path) -> None:
    """Where the package registry is out of reach, no engine is tried."""
    _put(commands, "apt-get", "echo 'E: Unable to locate package docker.io'; exit 100")

    done = _start(commands, tmp_path)

    lines = done.stdout.splitlines()
    assert lines[0] == "E: Unable to locate package docker.io", done.stderr
    assert lines[1].startswith("trouble: apt-get cannot install docker.io ")
    assert not (tmp_path / "dockerd.log").exists()


def test_missing_compose_is_told_where_no_mirror_is_known(commands: Path, tmp_path: Path) -> None:
    """Compose v2 comes from the machine's own mirror of Debian; without one nothing is fetched."""
    _put(commands, "docker", '[[ $1 != "compose" ]]')
    _put(commands, "apt-get", f'[[ $1 == indextargets ]] || echo "$*" >{tmp_path}/fetched')

    done = _start(commands, tmp_path)

    assert done.stdout.splitlines()[0] == (
        "trouble: there is no docker compose, and apt-get knows no mirror of Debian to get it from"
    ), done.stderr
    assert not (tmp_path / "fetched").exists()
