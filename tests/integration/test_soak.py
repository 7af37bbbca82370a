import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def _soak(**variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.soak"],
        cwd=_ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_short_soak_loses_and_leaves_nothing() -> None:
    """Counts come out even and nothing stays behind; all kinds of things have been done."""
    done = _soak(SOAK_SECONDS="10", SOAK_SEED="7")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SOAK_SEED=7" in done.stdout
    assert "All is well." in done.stdout
    for kind in ("handshakes", "messages", "pushes"):
        assert f"{kind}: 0 sent" not in done.stdout


def test_soak_of_no_time_is_refused() -> None:
    """A soak that does nothing would always be well."""
    done = _soak(SOAK_SECONDS="none")
    assert done.returncode == 1
    assert "SOAK_SECONDS is 'none': write a number of seconds" in done.stderr
