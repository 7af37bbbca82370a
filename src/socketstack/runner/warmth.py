"""Whether a function may be forked from the warm parent, or needs a fresh process.

What a fork could do otherwise than a fresh process is decided against it: modules of its own under
a name that the parent has loaded, libraries that the system's loader finds by environment,
variables that are read when an interpreter starts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.runner.live import Roots

_READ_AT_START: Final = (
    *("BOTO", "GCONV", "GLIBC", "LANG", "LC_", "LD_", "LOCPATH", "MALLOC", "NLS"),
    *("OPENSSL", "PYTHON", "SSLKEYLOG", "TZ"),
)
_READ_AT_IMPORT: Final = frozenset({"AWS_DATA_PATH", "HOME"})


@dataclass(frozen=True, slots=True)
class Own:
    """What a function brings that counts: top-level names, and what rules a fork out anyway."""

    names: frozenset[str] = frozenset()
    obstacle: str = ""

    def against(self, tops: frozenset[str]) -> str:
        """Why it needs a fresh process, for people; empty when it may be forked.

        ``tops`` are the top-level modules that the parent has loaded.
        """
        if self.obstacle:
            return self.obstacle
        shared = min(self.names & tops, default="")
        return f"it brings its own {shared}" if shared else ""


def look(roots: Roots, variables: Mapping[str, str], version: tuple[int, int]) -> Own:
    """Look at a function's unpacked code and layers; reads a few folders, so call it in a thread.

    Args:
        roots: Where code and layers lie.
        variables: The function's own, as configured.
        version: Of Python, for the layers' folders.
    """
    for name in variables:
        if name.startswith(_READ_AT_START) or name in _READ_AT_IMPORT:
            return Own(obstacle=f"its variable {name} is read when a process starts")
    names: set[str] = set()
    for folder in _import_folders(roots, version):
        for entry in _entries(folder):
            if entry.endswith(".pth"):
                return Own(obstacle=f"{entry} changes its import paths")
            names.add(entry.partition(".")[0])
    for folder in (roots.task, roots.task / "lib", roots.layers / "lib"):
        for entry in _entries(folder):
            if entry.startswith("lib") and ".so" in entry:
                return Own(obstacle=f"it brings the library {entry}")
    return Own(frozenset(names))


def _import_folders(roots: Roots, version: tuple[int, int]) -> Iterator[Path]:
    yield roots.task
    yield roots.layers / "python"
    yield roots.layers / "python" / "lib" / f"python{version[0]}.{version[1]}" / "site-packages"


def _entries(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
