"""The engine's work folder: unpacked functions, certificates, sockets; gone when it stops.

An engine that is killed cannot clean up. Its folder carries its process id, so the next engine
that starts removes what dead ones left behind, functions that still run included.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from socketstack.runner.strays import kill_strays

_NAME: Final = re.compile(r"socketstack-(\d+)-\w+")


def make_work_folder() -> Path:
    """A new folder of this process, after removing those of engines that are dead."""
    for folder in Path(tempfile.gettempdir()).glob("socketstack-*"):
        match = _NAME.fullmatch(folder.name)
        if match is not None and not _is_alive(int(match.group(1))):
            kill_strays(folder)
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays, and that is right
    return Path(tempfile.mkdtemp(prefix=f"socketstack-{os.getpid()}-"))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
