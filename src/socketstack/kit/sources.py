"""Source folders: which files belong into a package, how they are told apart and copied."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.errors import ConfigError

_SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "venv"})
_SKIPPED_AT_TOP: Final = frozenset({"tests", "test"})
_SKIPPED_ENDINGS: Final = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: ``name`` is its path inside the package, with slashes."""

    name: str
    path: Path


def source_files(folder: Path) -> list[SourceFile]:
    """The files of a source folder that go into a package, sorted by name.

    Left out: dotfiles, ``__pycache__``, virtual environments, and ``tests`` at the top.
    """
    return sorted(_walk(folder, ""), key=lambda file: file.name)


def fingerprint(files: list[SourceFile]) -> str:
    """Changes whenever a file comes, goes or is saved; reads no contents."""
    digest = hashlib.sha256()
    for file in files:
        stat = _stat(file)
        digest.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_mode}\n".encode())
    return digest.hexdigest()


def copy_files(files: list[SourceFile], folder: Path) -> None:
    """Copy files into a folder, over what is there."""
    made: set[Path] = set()
    for file in files:
        place = folder / file.name
        if place.parent not in made:
            place.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        shutil.copy(file.path, place)


def _walk(folder: Path, prefix: str) -> Iterator[SourceFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_skipped(entry, is_top=not prefix):
                continue
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{name}/")
            else:
                yield SourceFile(name, Path(entry.path))


def _is_skipped(entry: "os.DirEntry[str]", *, is_top: bool) -> bool:
    if entry.name.startswith(".") or entry.name.endswith(_SKIPPED_ENDINGS):
        return True
    if not entry.is_dir():
        return False
    return entry.name in _SKIPPED_FOLDERS or (is_top and entry.name in _SKIPPED_AT_TOP)


def _stat(file: SourceFile) -> os.stat_result:
    try:
        return file.path.stat()
    except OSError as error:
        message = (
            f"{file.path} cannot be read: {error.strerror}. "
            "Remove it, or repair the link it stands for."
        )
        raise ConfigError(message) from error
