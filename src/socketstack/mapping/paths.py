"""JSONPath, as templates and parameter mappings use it.

A path that names one place gives its value or ``MISSING``; one with wildcards, filters, slices or
``..`` gives the list of what it finds. Plain paths are walked here, the others are jsonpath-ng's.

Rules: 5.50, 5.61.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from socketstack.core.jsontext import MISSING, Missing
from socketstack.core.model import Json

_STEP: Final = re.compile(
    r"""\.(?P<name>[^\s.\[\]()*'"$@]+)
      | \[(?P<index>-?\d{1,9})\]
      | \[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\]""",
    re.VERBOSE,
)
_LENGTH: Final = ".length()"
_SEVERAL: Final = re.compile(r"\.\.|\*|\[\s*\?|:|,")
_KEPT_PATHS: Final = 256


class PathError(Exception):
    """A path that cannot be read."""


def read_path(document: Json, path: str) -> Json | Missing:
    """What a path finds in a document; raises ``PathError``.

    Args:
        document: The parsed message.
        path: ``$.a.b``, ``$['a'][0]``, ``$.items[*].id``, ``$.items.length()``; the ``$.`` may be
            left out.
    """
    path = path.strip()
    if path.endswith(_LENGTH):
        found = read_path(document, path.removesuffix(_LENGTH) or "$")
        return len(found) if isinstance(found, list | dict | str) else MISSING
    if not path.startswith("$"):
        path = f"${path}" if path.startswith("[") else f"$.{path}"
    steps = plain_steps(path)
    return _query(document, path) if steps is None else _walk(document, steps)


@lru_cache(maxsize=_KEPT_PATHS)
def plain_steps(path: str) -> tuple[str | int, ...] | None:
    """The steps of a path that begins with ``$`` and names one place; None for other paths."""
    steps = tuple(_steps(path))
    return None if MISSING in steps else steps  # type: ignore[return-value] # no Missing is left


def _steps(path: str) -> Iterator[str | int | Missing]:
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            yield MISSING
            return
        names = (match["name"], match["single"], match["double"])
        yield int(match["index"]) if match["index"] else next(n for n in names if n is not None)
        position = match.end()


def _walk(value: Json, steps: tuple[str | int, ...]) -> Json | Missing:
    found: Json | Missing = value
    for step in steps:
        if isinstance(found, dict) and isinstance(step, str):
            found = found.get(step, MISSING)
        elif isinstance(found, list) and isinstance(step, int) and -len(found) <= step < len(found):
            found = found[step]
        else:
            return MISSING
    return found


def _query(document: Json, path: str) -> Json | Missing:
    found: list[Any] = [match.value for match in _parsed(path).find(document)]
    if _SEVERAL.search(path):
        return found
    return found[0] if found else MISSING


@lru_cache(maxsize=_KEPT_PATHS)
def _parsed(path: str) -> Any:
    # Only paths that are not plain need the parser and its tables.
    from jsonpath_ng.exceptions import JSONPathError  # noqa: PLC0415
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415

    try:
        return parse(path)
    except (JSONPathError, ValueError) as error:  # its parser raises both
        raise PathError(f"The JSONPath {path!r} cannot be read: {error}") from error
