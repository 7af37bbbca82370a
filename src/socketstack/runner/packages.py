"""Zips of functions and layers, unpacked once per content into folders of the runner's own.

What AWS would refuse is refused here too: names that lead out of the package, links that do,
and more than 250 MB unpacked.
"""

import asyncio
import hashlib
import io
import os
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from socketstack.errors import FunctionUnavailable
from socketstack.runner.base import Package

UNPACKED_MAX_BYTES: Final = 262_144_000
_OWNER_MAY: Final = stat.S_IRUSR | stat.S_IWUSR


class Packages:
    """Unpacked packages under one folder, which belongs to this object alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}

    async def code(self, package: Package) -> Path:
        """The folder with a function's package. Raises ``FunctionUnavailable``."""
        return await self._folder_of("code", (package,))

    async def layers(self, packages: Sequence[Package]) -> Path:
        """The folder with all layers merged, later ones over earlier ones; may be empty."""
        return await self._folder_of("layers", packages)

    async def _folder_of(self, kind: str, packages: Sequence[Package]) -> Path:
        digests = "\n".join(package.digest for package in packages)
        folder = self._folder / kind / hashlib.sha256(digests.encode()).hexdigest()[:32]
        async with self._locks.setdefault(str(folder), asyncio.Lock()):
            if not folder.is_dir():
                # Reading stays on this thread: where the bytes come from may require it.
                zips = [package.read() for package in packages]
                await asyncio.to_thread(_unpack_all, zips, folder)
        return folder


def _unpack_all(zips: Sequence[bytes], folder: Path) -> None:
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    left = UNPACKED_MAX_BYTES
    try:
        for data in zips:
            left -= unpack(data, beside, at_most_bytes=left)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    beside.rename(folder)


def unpack(data: bytes, folder: Path, *, at_most_bytes: int = UNPACKED_MAX_BYTES) -> int:
    """Unpack one zip over a folder.

    Args:
        data: The zip.
        folder: Exists; files of the same name are replaced.
        at_most_bytes: How much may come out of it.

    Returns:
        How many bytes came out of it.

    Raises:
        FunctionUnavailable: it is no zip, leads out of the folder, or holds too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > at_most_bytes:
                raise FunctionUnavailable(
                    "The package cannot be unpacked: unzipped size must be smaller than "
                    f"{UNPACKED_MAX_BYTES} bytes, layers included."
                )
            for entry in archive.infolist():
                _unpack_entry(archive, entry, folder.resolve())
            return size
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise FunctionUnavailable(
            f"The package cannot be unpacked: {error}. Upload a complete zip file."
        ) from error


def _unpack_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    target = _target(entry.filename, folder)
    mode = entry.external_attr >> 16
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    if stat.S_ISLNK(mode):
        _link(target, archive.read(entry), folder)
        return
    with archive.open(entry) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    target.chmod(stat.S_IMODE(mode) & 0o777 | _OWNER_MAY if mode else 0o644)


def _target(name: str, folder: Path) -> Path:
    parts = PurePosixPath(name).parts
    # The parent is resolved, because an earlier entry may have made it a link.
    target = folder.joinpath(*parts)
    parent = target.parent.resolve()
    if not parts or ".." in parts or name.startswith("/") or not parent.is_relative_to(folder):
        raise FunctionUnavailable(
            f"The package cannot be unpacked: {name!r} leads out of it. Build the zip anew."
        )
    return target


def _link(target: Path, content: bytes, folder: Path) -> None:
    destination = os.fsdecode(content)
    # Resolved, not just normalised: the way may lead over links that earlier entries made.
    if not (target.parent.resolve() / destination).resolve().is_relative_to(folder):
        raise FunctionUnavailable(
            f"The package cannot be unpacked: the link {target.name!r} leads out of it."
        )
    target.symlink_to(destination)
