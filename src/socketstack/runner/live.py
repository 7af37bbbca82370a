"""Live code: what is saved in a function's source folders is there at its next call.

The deployed package stays as it is. A change makes a new generation: a folder with the package,
without the source files that were ever there, and with those that are there now.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.clock import Clock
from socketstack.runner.base import LiveFolder
from socketstack.runner.watch import LEFT_OUT, Watch

LOOK_AGAIN_SECONDS: Final = 0.1
"""How long the system's word is taken that nothing changed: some shared folders do not tell."""

FileState = tuple[str, int, int, int]
"""A file's path in its folder, time of change in nanoseconds, size and inode."""
Signature = tuple[tuple[FileState, ...], ...]
"""The state of every file of each source folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """The two folders that code lies in."""

    task: Path
    layers: Path


class LiveCode:
    """The source folders of one function, and what was in them; ``close`` it."""

    def __init__(self, folders: Sequence[LiveFolder], clock: Clock) -> None:
        self._folders = tuple(folders)
        self._clock = clock
        self._watch = Watch([str(folder.source) for folder in self._folders])
        self._seen: Signature = ()
        self._look_again_seconds = clock.monotonic_seconds()
        self._deployed = self.signature()
        self._known: list[set[str]] = [set() for _ in self._folders]
        self._learn(self._deployed)

    def signature(self) -> Signature:
        """The state of the sources now: a stat of every file, unless nothing has changed."""
        now_seconds = self._clock.monotonic_seconds()
        if now_seconds >= self._look_again_seconds or not self._watch.is_quiet():
            self._look_again_seconds = now_seconds + LOOK_AGAIN_SECONDS
            self._watch.begin()  # before the look, so that no change falls between them
            self._seen = tuple(
                tuple(sorted(_files(str(folder.source)))) for folder in self._folders
            )
        return self._seen

    def close(self) -> None:
        """Watch no longer."""
        self._watch.close()

    def is_as_deployed(self, signature: Signature) -> bool:
        """Whether the sources are what they were when they were named."""
        return signature == self._deployed

    def changes(self, before: Signature | None, after: Signature) -> list[str]:
        """The paths that differ between two states, sorted; None is the deployed state."""
        return sorted({path for path, *_ in _flat(before or self._deployed) ^ _flat(after)})

    def generation(self, deployed: Roots, folder: Path, signature: Signature) -> Roots:
        """Make a new generation in a new folder and return where its code lies.

        Blocks while it copies. Raises ``OSError`` when a source cannot be read.
        """
        self._learn(signature)
        targets = [_is_in_layers(live.prefix, deployed) for live in self._folders]
        roots = Roots(
            task=_copy(deployed.task, folder / "task"),
            layers=_copy(deployed.layers, folder / "layers") if any(targets) else deployed.layers,
        )
        for live, known, is_layer in zip(self._folders, self._known, targets, strict=True):
            _lay_over(live, known, roots.layers if is_layer else roots.task)
        return roots

    def _learn(self, signature: Signature) -> None:
        for known, states in zip(self._known, signature, strict=True):
            known.update(state[0] for state in states)


def _flat(signature: Signature) -> set[FileState]:
    return {state for states in signature for state in states}


def _is_in_layers(prefix: str, deployed: Roots) -> bool:
    is_only_there = (deployed.layers / prefix).is_dir() and not (deployed.task / prefix).is_dir()
    return bool(prefix) and is_only_there


def _files(top: str, inner: str = "") -> Iterator[FileState]:
    try:
        entries = os.scandir(os.path.join(top, inner) if inner else top)  # noqa: PTH118 - every call
    except OSError:
        return
    with entries:
        for entry in entries:
            if entry.name in LEFT_OUT or entry.name.startswith("."):
                continue
            path = f"{inner}/{entry.name}" if inner else entry.name
            with suppress(OSError):  # it may go away meanwhile, which the next look notices
                if entry.is_dir(follow_symlinks=False):  # a link may lead in circles
                    yield from _files(top, path)
                elif entry.is_file():
                    state = entry.stat()
                    yield path, state.st_mtime_ns, state.st_size, state.st_ino


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(
        source,
        target,
        symlinks=True,
        copy_function=_link_or_copy,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return target


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)  # a package may be large
    except OSError:
        shutil.copy2(source, target)


def _lay_over(live: LiveFolder, known: set[str], root: Path) -> None:
    target = root / live.prefix
    for path in known:
        with suppress(OSError):  # not there, or a folder by now
            (target / path).unlink()
    for path, *_ in _files(str(live.source)):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        shutil.copyfile(live.source / path, copy)
        shutil.copymode(live.source / path, copy)
