"""Whether anything below some folders has changed, asked of the system instead of every file.

Linux tells of a change in the very call that makes it, so that asking is exact and costs a
microsecond. Where it cannot be asked, or a link leads out of what is watched, there is no quiet
and the files must be looked at.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from inotify_simple import INotify

LEFT_OUT: Final = frozenset({"__pycache__", "node_modules"})
"""Folders that no function needs; hidden ones are left out as well."""


_READ_BYTES: Final = 4096


class Watch:
    """Watches folders with all below them; ``close`` it."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = tuple(folders)
        self._told: INotify | None = None
        self._is_whole = False

    def begin(self) -> None:
        """Watch what is there now; changes from here on end the quiet."""
        self._is_whole = False
        if self._told is None:
            self._told = _opened()
        if self._told is None:
            return
        self._told.read(timeout=0)
        with suppress(OSError):  # too many watches on this machine: then there is no quiet
            self._is_whole = all(self._add(folder) for folder in self._folders)

    def is_quiet(self) -> bool:
        """Whether nothing has changed since ``begin``; false when that cannot be told."""
        if not self._is_whole or self._told is None:
            return False
        # FileIO's own read is one system call; the library's asks for the size before.
        self._is_whole = not FileIO.read(self._told, _READ_BYTES)
        return self._is_whole

    def close(self) -> None:
        """Give the system's resources back."""
        self._is_whole = False
        if self._told is not None:
            self._told.close()
            self._told = None

    def _add(self, top: str) -> bool:
        """Watch a folder and those below it; false when a link leads elsewhere."""
        assert self._told is not None
        is_whole = True
        for folder in _folders(top):
            if folder is None:
                is_whole = False
            else:
                self._told.add_watch(folder, _changes())
        return is_whole


def _folders(top: str) -> Iterator[str | None]:
    """A folder and those below it; None for a link, or what cannot be looked at."""
    yield top
    try:
        entries = os.scandir(top)
    except OSError:
        yield None
        return
    with entries:
        for entry in entries:
            if entry.name in LEFT_OUT or entry.name.startswith("."):
                continue
            if entry.is_symlink():
                yield None
            elif entry.is_dir():
                yield from _folders(entry.path)


def _opened() -> "INotify | None":
    if sys.platform != "linux":
        return None
    from inotify_simple import INotify  # noqa: PLC0415 - Linux only

    try:
        return INotify(nonblocking=True)
    except OSError:
        return None  # too many on this machine


def _changes() -> int:
    from inotify_simple import flags  # noqa: PLC0415 - Linux only

    return int(
        flags.ATTRIB
        | flags.CREATE
        | flags.DELETE
        | flags.DELETE_SELF
        | flags.MODIFY
        | flags.MOVED_FROM
        | flags.MOVED_TO
        | flags.MOVE_SELF
    )
