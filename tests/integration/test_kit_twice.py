"""``up`` and ``down`` more than once: at the same time, interrupted, without their notes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_system import ROOT, free_port

from socketstack.errors import ConfigError
from socketstack.kit.engine import EngineProcess
from socketstack.kit.up import down, status, up
from socketstack.settings import Settings

_TEMPLATE = """
Resources:
  Topic:
    Type: AWS::SNS::Topic
"""


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template in a folder of its own, which is also the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "template.yaml"
    path.write_text(_TEMPLATE)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Settings]:
    """Settings of an engine that is stopped after the test, however often it was started."""
    settings = Settings(port=free_port(), state_dir=tmp_path / "state")
    yield settings
    down(settings)
    for pid in _engines(settings.port):
        os.kill(pid, signal.SIGKILL)


def _engines(port: int) -> list[int]:
    """The engines that run for a port, by their command lines."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,stat=,command="], capture_output=True, text=True, check=True
    )
    pattern = rf"^ *(\d+) +[^Z ]\S* .*-m socketstack start --port {port}\b"
    return [int(pid) for pid in re.findall(pattern, listed.stdout, re.MULTILINE)]


def _start_up(template: Path, settings: Settings) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "socketstack", "up", f"--template={template}"],
        cwd=template.parent,
        env=_environ(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_ups_at_once_share_one_engine(template: Path, own: Settings) -> None:
    """One waits for the other, both end well, and ``down`` leaves no engine behind."""
    both = [_start_up(template, own) for _ in range(2)]
    told = [process.communicate(timeout=100)[0] for process in both]

    running = _engines(own.port)
    stopped = down(own)

    assert [process.returncode for process in both] == [0, 0], told
    assert sum("Starting the engine" in each for each in told) == 1
    assert running == [stopped]
    assert _engines(own.port) == []


def test_engine_of_an_interrupted_up_is_used_by_the_next(template: Path, own: Settings) -> None:
    """An engine that was started and never waited for is found again, not doubled."""
    EngineProcess(own).start()
    started = _engines(own.port)

    up(template, stack_name="next", settings=own)

    assert _engines(own.port) == started
    assert down(own) == started[0]


def test_engine_is_stopped_without_its_note(template: Path, own: Settings) -> None:
    """Whoever lost the state folder's note still has an engine that knows whose it is."""
    up(template, stack_name="noteless", settings=own)
    (started,) = _engines(own.port)
    (own.state_dir / "engine.json").unlink()

    stopped = down(own)

    assert stopped == started
    assert _engines(own.port) == []


def test_engine_of_another_folder_is_left_alone(
    template: Path, own: Settings, tmp_path: Path
) -> None:
    """The same port is not enough: an engine belongs to the folder that started it."""
    up(template, stack_name="first", settings=own)
    (started,) = _engines(own.port)
    other = Settings(port=own.port, state_dir=tmp_path / "other")

    stopped = down(other)

    assert stopped is None
    assert _engines(own.port) == [started]


def test_engine_on_another_port_must_be_stopped_first(template: Path, own: Settings) -> None:
    """A second engine of the same folder would make ``down`` forget the first: it is refused."""
    up(template, stack_name="first", settings=own)
    moved = Settings(port=free_port(), state_dir=own.state_dir)

    with pytest.raises(ConfigError, match=rf"port {own.port}.*make local-down"):
        up(template, stack_name="second", settings=moved)

    assert _engines(moved.port) == []
    assert json.loads((own.state_dir / "engine.json").read_text())["port"] == own.port


def test_engine_that_lost_the_race_for_its_port_leaves_no_note(
    template: Path, own: Settings, tmp_path: Path
) -> None:
    """Another folder's engine had the port first: it is used, and not noted as ours."""
    up(template, stack_name="first", settings=own)
    late = EngineProcess(Settings(port=own.port, state_dir=tmp_path / "late"))
    late.start()

    found = late.wait()

    assert [found.pid] == _engines(own.port)
    assert late.stop() is None


def _environ(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SOCKETSTACK_PORT": str(settings.port),
        "SOCKETSTACK_STATE_DIR": str(settings.state_dir),
    }


def _without_a_reader(settings: Settings, *command: str) -> tuple[int, str]:
    """Run a command whose reader has left, as ``head`` does: its code and what it complains."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=_environ(settings),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr


def test_up_goes_on_when_nobody_reads_it(template: Path, own: Settings) -> None:
    """``up | head -1`` leaves a system that is up, and no traceback."""
    told = _without_a_reader(own, "socketstack", "up", f"--template={template}")

    assert told == (0, "")
    assert status(own).outputs["stackName"] == "socketstack"


def test_logs_end_when_nobody_reads_them(template: Path, own: Settings) -> None:
    """``logs | head -1`` ends with the next line, quietly, although it would follow for ever."""
    up(template, stack_name="read", settings=own)

    assert _without_a_reader(own, "socketstack", "logs") == (0, "")


def test_web_client_does_not_mind_a_reader_that_left(own: Settings) -> None:
    """What it would have said was done all the same."""
    assert _without_a_reader(own, "webclient", "down") == (0, "")
