"""Zips that depend on nothing but their contents: the same files give the same bytes."""

import hashlib
import stat
import zipfile
from pathlib import Path
from typing import Final

_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)
_FILE_MODE: Final = stat.S_IFREG | 0o644
_PROGRAM_MODE: Final = stat.S_IFREG | 0o755
_UNIX: Final = 3
_CHUNK_BYTES: Final = 1024 * 1024


def write_archive(folder: Path, archive: Path) -> str:
    """Zip a folder, sorted, with fixed times and modes; returns the SHA-256 of the zip in hex."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _FIXED_TIME)
            entry.create_system = _UNIX
            entry.compress_type = zipfile.ZIP_DEFLATED
            is_program = path.stat().st_mode & stat.S_IXUSR
            entry.external_attr = (_PROGRAM_MODE if is_program else _FILE_MODE) << 16
            package.writestr(entry, path.read_bytes())
    return digest_of(archive)


def digest_of(archive: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with archive.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
