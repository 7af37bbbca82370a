"""Runs an installer, quietly and with an end."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import ROOT, BenchError

FOLDER = ROOT / ".build" / "peers"
_INSTALL_SECONDS = 600


def install(what: str, *commands: Sequence[str | Path], cwd: Path) -> None:
    """Run each command; what the installer said last when one fails."""
    for command in commands:
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_INSTALL_SECONDS,
            )
        except FileNotFoundError:
            raise BenchError(f"{what} is not installed: there is no {command[0]} here") from None
        except subprocess.TimeoutExpired:
            raise BenchError(
                f"{what} is not installed: {command[0]} took more than {_INSTALL_SECONDS} s"
            ) from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise BenchError(f"{what} is not installed: {said[-1] if said else 'no reason given'}")
