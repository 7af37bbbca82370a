"""Which source folders are to be live: what ``POST /_socketstack/live`` takes.

Everything is checked before anything is told to the runner, so a refused request changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from socketstack.core.model import Json
from socketstack.errors import BadRequest, FunctionNotFound
from socketstack.runner.base import FunctionCatalog, LiveFolder

SetLive = Callable[[str, Sequence[LiveFolder]], None]

_FORM: Final = (
    'Send {"functions": {"NAME": [{"source": "/absolute/folder", "prefix": ""}]}} with names of '
    "deployed functions; the prefix, where the folder lies in the package, may be left out."
)
_MEMBERS: Final = frozenset({"source", "prefix"})


class LiveApi:
    """Tells the runner which folders to watch."""

    def __init__(self, *, catalog: FunctionCatalog, set_live: SetLive) -> None:
        self._catalog = catalog
        self._set_live = set_live

    def set(self, body: Json) -> list[str]:
        """Watch these folders from now on; returns the functions' names, sorted.

        Raises ``BadRequest`` for a body of another form, a function that is not deployed, a
        source that is no absolute folder, and a prefix that leads out of the package.
        """
        wanted = dict(self._wanted(body))
        for name, folders in wanted.items():
            self._set_live(name, folders)
        return sorted(wanted)

    def _wanted(self, body: Json) -> Iterator[tuple[str, list[LiveFolder]]]:
        functions = body.get("functions") if isinstance(body, dict) else None
        if not isinstance(functions, dict):
            raise _not_understood("functions is no object")
        for name, folders in functions.items():
            if not isinstance(folders, list):
                raise _not_understood(f"the folders of {name!r} are no list")
            yield self._deployed(name), [_folder(entry) for entry in folders]

    def _deployed(self, name: str) -> str:
        try:
            return self._catalog.find(name).name
        except FunctionNotFound:
            raise _not_understood(f"no function {name!r} is deployed") from None


def _folder(entry: Json) -> LiveFolder:
    if not isinstance(entry, dict) or set(entry) - _MEMBERS:
        raise _not_understood("a folder has source and prefix, and nothing else")
    source, prefix = entry.get("source"), entry.get("prefix", "")
    if not isinstance(source, str) or not _is_folder(source):
        raise _not_understood(f"{source!r} is not an absolute path of a folder")
    if not isinstance(prefix, str) or not _is_inside(prefix):
        raise _not_understood(f"the prefix {prefix!r} leads out of the package")
    return LiveFolder(source=Path(source), prefix=prefix)


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_absolute() and Path(text).is_dir()
    except (OSError, ValueError):  # too long, or with characters that no path can have
        return False


def _is_inside(prefix: str) -> bool:
    path = PurePosixPath(prefix)
    return not path.is_absolute() and ".." not in path.parts and prefix.isprintable()


def _not_understood(why: str) -> BadRequest:
    return BadRequest(f"Not understood: {why}. {_FORM}")
