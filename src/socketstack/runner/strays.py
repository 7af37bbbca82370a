"""Processes that outlived the function that started them, found by the folders they know.

A process group is killed with its function, but a function can start processes outside it
(``setsid``), and one that is busy when the engine is killed runs on. All of them carry the
variables of their function, which name the runner's folders. Linux only: elsewhere they stay.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from socketstack.runner.environment import TASK_ROOT

_PROCESSES: Final = Path("/proc")
_PASSES_MAX: Final = 5


def kill_strays(folder: Path) -> int:
    """Kill what was started by functions whose code lies below ``folder``; how many it was.

    Blocks for the milliseconds that it takes to look at every process of this user.
    """
    marker = f"{TASK_ROOT}={os.path.join(folder, '')}".encode()  # noqa: PTH118 - ends with a slash
    killed: set[int] = set()
    for _ in range(_PASSES_MAX):  # again, for what they started meanwhile
        found = {pid for pid in _pids() if _knows(pid, marker)} - killed
        if not found:
            break
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed |= found
    return len(killed)


def _pids() -> set[int]:
    with suppress(OSError):
        return {int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdigit()}
    return set()


def _knows(pid: int, marker: bytes) -> bool:
    if pid == os.getpid():
        return False
    try:
        variables = (_PROCESSES / str(pid) / "environ").read_bytes()
    except OSError:
        return False  # another user's, or gone
    return any(variable.startswith(marker) for variable in variables.split(b"\0"))
