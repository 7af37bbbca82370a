"""Parameter mappings: where a header, a query parameter or a part of the path comes from.

A key is ``integration.request.{header|querystring|path}.NAME``, a value one of the sources below.

Rules: 1.58, 5.60 to 5.62.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from socketstack.core.jsontext import MISSING, Missing, as_text
from socketstack.core.model import Json

_KEY: Final = re.compile(r"integration\.request\.(?P<place>header|querystring|path)\.(?P<name>.+)")
_ROUTE: Final = re.compile(
    r"(?:route|method)\.request\.(?P<kind>(?:multivalue)?(?:querystring|header)|path)\.(?P<name>.+)"
)
_BODY: Final = re.compile(r"(?:route|method)\.request\.body(?:\.(?P<path>.+))?", re.DOTALL)
_NAMED: Final = re.compile(r"(?P<kind>context|stageVariables)\.(?P<name>.+)")
_LITERAL: Final = re.compile(r"'(?P<text>[^']*)'", re.DOTALL)


class Place(StrEnum):
    """Where a mapped value goes."""

    HEADER = "header"
    QUERY_STRING = "querystring"
    PATH = "path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What mappings may read of one request; headers and query are those of a handshake."""

    context: Mapping[str, Json]
    variables: Mapping[str, str]
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    """The route's request parameters: others cannot be mapped (5.62)."""


@dataclass(frozen=True, slots=True)
class BodyPath:
    """A value that must be looked up in the message; empty for the whole of it."""

    path: str


@dataclass(frozen=True, slots=True)
class Undeclared:
    """A parameter that the route does not declare, so nothing is mapped. Rule 5.62."""

    key: str


def destination(key: str) -> tuple[Place, str] | None:
    """Place and name that a mapping's key means."""
    found = _KEY.fullmatch(key)
    return None if found is None else (Place(found["place"]), found["name"])


def source_value(source: str, given: Given) -> str | Missing | BodyPath | Undeclared:
    """What a mapping's value means for one request; ``MISSING`` when there is nothing."""
    if (literal := _LITERAL.fullmatch(source)) is not None:
        return literal["text"]
    if (body := _BODY.fullmatch(source)) is not None:
        return BodyPath(body["path"] or "")
    if (named := _NAMED.fullmatch(source)) is not None:
        values: Json = dict(given.context) if named["kind"] == "context" else dict(given.variables)
        return _text(_member(values, named["name"]))
    if (parameter := _ROUTE.fullmatch(source)) is not None:
        return _parameter(parameter["kind"], parameter["name"], given)
    return MISSING


def _parameter(kind: str, name: str, given: Given) -> str | Missing | Undeclared:
    single = kind.removeprefix("multivalue")
    key = f"route.request.{kind}.{name}"
    if not {key, f"route.request.{single}.{name}"} & given.declared:
        return Undeclared(key)
    if single == "header":
        values = next((v for n, v in given.headers.items() if n.lower() == name.lower()), ())
    else:
        values = given.query.get(name, ())
    if not values:
        return MISSING
    return values[-1] if kind == single else ",".join(values)


def _member(values: Json, name: str) -> Json | Missing:
    """A member by its dotted name; a name with dots of its own is found first."""
    found: Json | Missing = values
    if isinstance(values, dict) and name in values:
        return values[name]
    for step in name.split("."):
        found = found.get(step, MISSING) if isinstance(found, dict) else MISSING
    return found


def _text(value: Json | Missing) -> str | Missing:
    return MISSING if value is MISSING or value is None else as_text(value)
