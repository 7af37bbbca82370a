"""The checks that hold for the whole run, tried on runs of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_CONFTEST = Path(__file__).parents[1] / "conftest.py"
_SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers = browser: needs a browser
addopts = -ra -p no:cacheprovider
"""


def _run(folder: Path, test: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run one test file under a copy of the conftest."""
    shutil.copy(_CONFTEST, folder)
    (folder / "pytest.ini").write_text(_SETTINGS)
    (folder / "test_it.py").write_text(test)
    kept = {name: value for name, value in os.environ.items() if name != "SOCKETSTACK_REQUIRE"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=folder,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("test", "told"),
    [
        pytest.param(
            "import subprocess, sys\n"
            "def test_it():\n"
            "    global child\n"
            "    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)\n",
            "LEFT BEHIND child process",
            id="child-process",
        ),
        pytest.param(
            "import socket\ndef test_it():\n    global kept\n    kept = socket.socket()\n",
            "LEFT BEHIND socket",
            id="socket",
        ),
        pytest.param(
            "import asyncio\n"
            "async def test_it():\n"
            "    global kept\n"
            "    kept = asyncio.create_task(asyncio.Event().wait(), name='forgotten')\n",
            "tasks left running",
            id="task",
        ),
        pytest.param(
            "import asyncio\n"
            "async def test_it():\n"
            "    asyncio.get_running_loop().create_future().set_exception(ValueError('lost'))\n",
            "never retrieved",
            id="lost-exception",
        ),
    ],
)
def test_run_that_leaves_something_behind_fails(tmp_path: Path, test: str, told: str) -> None:
    """A child process, a socket, a task or an exception that nobody looked at fails the run."""
    done = _run(tmp_path, test)

    assert done.returncode == 1, done.stdout
    assert told in done.stdout


def test_clean_run_passes(tmp_path: Path) -> None:
    """A test that cleans up after itself is not complained about."""
    done = _run(
        tmp_path,
        "import asyncio, socket\n"
        "async def test_it():\n"
        "    with socket.socket():\n"
        "        await asyncio.create_task(asyncio.sleep(0))\n",
    )

    assert done.returncode == 0, done.stdout
    assert "LEFT BEHIND" not in done.stdout


_SKIPPING = "import pytest\n@pytest.mark.browser\ndef test_it():\n    pytest.skip('no browser')\n"


def test_skip_of_a_required_test_is_a_failure(tmp_path: Path) -> None:
    """Where browser tests are required, a missing browser fails the run with its reason."""
    done = _run(tmp_path, _SKIPPING, SOCKETSTACK_REQUIRE="terraform,browser")

    assert done.returncode == 1
    assert "SOCKETSTACK_REQUIRE names browser, but: Skipped: no browser" in done.stdout


def test_skip_of_another_test_stays_a_skip(tmp_path: Path) -> None:
    """What is not required may be skipped."""
    done = _run(tmp_path, _SKIPPING, SOCKETSTACK_REQUIRE="terraform")

    assert done.returncode == 0
    assert "1 skipped" in done.stdout
