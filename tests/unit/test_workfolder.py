"""Work folders are made for one process and removed when that process is dead."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from socketstack.workfolder import make_work_folder


def test_folders_of_dead_engines_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed engine's folder goes with the next start; a living one's and foreign ones stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f"socketstack-{ended.pid}-abc"
    alive = tmp_path / f"socketstack-{os.getppid()}-abc"
    foreign = tmp_path / "socketstack-notes"
    for folder in (dead, alive, foreign):
        (folder / "functions").mkdir(parents=True)

    made = make_work_folder()

    assert made.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted([made, alive, foreign])


@pytest.mark.skipif(sys.platform != "linux", reason="strays are found through /proc")
def test_functions_of_dead_engines_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that was busy when its engine was killed ends with the next start; others stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f"socketstack-{ended.pid}-abc"
    (dead / "functions").mkdir(parents=True)
    sleep = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen(
            sleep, stdin=subprocess.PIPE, env={"LAMBDA_TASK_ROOT": str(dead / "functions")}
        ) as busy,
        subprocess.Popen(
            sleep, stdin=subprocess.PIPE, env={"LAMBDA_TASK_ROOT": f"{dead}-other/functions"}
        ) as other,
    ):
        make_work_folder()

        assert busy.wait() == -9
        assert other.poll() is None
