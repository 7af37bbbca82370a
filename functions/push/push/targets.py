"""Whom a message is for: ``all``, ``user:NAME`` or ``connection:ID``. Pure."""

from dataclasses import dataclass
from typing import Final

_NAME_MAX_CHARACTERS: Final = 256
_FORMS: Final = '"all", "user:NAME" or "connection:ID"'


class TargetError(ValueError):
    """The target cannot be read; the text says which forms there are."""


@dataclass(frozen=True, slots=True)
class Everybody:
    """Every open connection."""


@dataclass(frozen=True, slots=True)
class User:
    """Every open connection of one user."""

    user_id: str


@dataclass(frozen=True, slots=True)
class OneConnection:
    """A single connection."""

    connection_id: str


Target = Everybody | User | OneConnection


def parse_target(text: object) -> Target:
    """Read a target as people write it.

    Raises ``TargetError`` for anything that is none of the three forms; an empty name or one of
    more than 256 characters is none.
    """
    if text == "all":
        return Everybody()
    if isinstance(text, str):
        kind, _colon, name = text.partition(":")
        if 0 < len(name) <= _NAME_MAX_CHARACTERS:
            if kind == "user":
                return User(name)
            if kind == "connection":
                return OneConnection(name)
    raise TargetError(f'"to" must be {_FORMS}.')
