"""Identity sources: where an authorizer's credentials are read from.

The forms are those of WebSocket APIs. The ``$request...`` form belongs to HTTP APIs and the
``method.request...`` form to REST APIs; both are refused with the form to use.

Rules: 1.67, 1.68, 3.07 to 3.09.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, assert_never

from socketstack.core.jsontext import as_text
from socketstack.core.model import Json, Upgrade
from socketstack.errors import ExpressionError


class SourceKind(StrEnum):
    """Where an identity source looks; the value is its prefix."""

    HEADER = "route.request.header."
    QUERY_STRING = "route.request.querystring."
    CONTEXT = "context."
    STAGE_VARIABLE = "stageVariables."


_NAMES: Final[Mapping[SourceKind, re.Pattern[str]]] = {
    SourceKind.HEADER: re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"),
    SourceKind.QUERY_STRING: re.compile(r"[^\s&=#]+"),
    SourceKind.CONTEXT: re.compile(r"\w+(\.\w+)*", re.ASCII),
    SourceKind.STAGE_VARIABLE: re.compile(r"\w+", re.ASCII),
}
_KEPT_SOURCES: Final = 256
"""How many texts of sources are kept parsed: the same few come with every handshake."""
_FOREIGN: Final = re.compile(
    r"(?:\$?\{?(?:method\.)?request)\.(?P<where>header|querystring)\.(?P<name>[^{}]+)\}?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySource:
    """One parsed identity source; ``text`` is as configured."""

    kind: SourceKind
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a handshake holds: values by the source's text, and the texts that are missing.

    The values are credentials: redact them before they are shown.
    """

    values: Mapping[str, str]
    missing: tuple[str, ...]


@lru_cache(maxsize=_KEPT_SOURCES)
def parse_source(text: str) -> IdentitySource:
    """Read one identity source.

    Raises:
        ExpressionError: with the form that is accepted here.
    """
    for kind in SourceKind:
        name = text.removeprefix(kind)
        if name != text and _NAMES[kind].fullmatch(name):
            return IdentitySource(kind=kind, name=name, text=text)
    foreign = _FOREIGN.fullmatch(text)
    if foreign is not None:
        raise ExpressionError(
            f"The identity source {text!r} has the form of another API type. "
            f"WebSocket APIs write it route.request.{foreign['where']}.{foreign['name']}."
        )
    raise ExpressionError(
        f"The identity source {text!r} cannot be read. Use route.request.header.NAME, "
        "route.request.querystring.NAME, context.NAME or stageVariables.NAME."
    )


def resolve(
    sources: Iterable[IdentitySource],
    upgrade: Upgrade,
    context: Mapping[str, str],
    variables: Mapping[str, str],
) -> Resolved:
    """Look up every source in a handshake; an empty value is a missing one (3.07).

    Args:
        sources: As parsed; none means that nothing can be missing (3.08).
        upgrade: The handshake. Of a repeated header or parameter the last value counts.
        context: Context variables by dotted name, as ``context_variables`` gives them.
        variables: The stage's variables.
    """
    values: dict[str, str] = {}
    missing: list[str] = []
    for source in sources:
        value = _value(source, upgrade, context, variables)
        if value:
            values[source.text] = value
        else:
            missing.append(source.text)
    return Resolved(values=values, missing=tuple(missing))


def context_variables(request_context: Mapping[str, Json]) -> dict[str, str]:
    """An event's ``requestContext`` as context variables: ``identity.sourceIp`` and so on."""
    flat: dict[str, str] = {}
    for name, value in request_context.items():
        if isinstance(value, dict):
            inner = context_variables(value)
            flat.update({f"{name}.{key}": text for key, text in inner.items()})
        elif value is not None:
            flat[name] = as_text(value)
    return flat


def _value(
    source: IdentitySource,
    upgrade: Upgrade,
    context: Mapping[str, str],
    variables: Mapping[str, str],
) -> str | None:
    match source.kind:
        case SourceKind.HEADER:
            return upgrade.header(source.name)
        case SourceKind.QUERY_STRING:
            return dict(upgrade.query).get(source.name)
        case SourceKind.CONTEXT:
            return context.get(source.name)
        case SourceKind.STAGE_VARIABLE:
            return variables.get(source.name)
        case _:
            assert_never(source.kind)
