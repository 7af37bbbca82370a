"""Reading members of records, and the smallest rules about their values.

A record is ``dict[str, object]``; ``conform`` has made sure of every type before these are used.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from socketstack.core.model import Record

_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def text(record: Record, member: str) -> str:
    """A string member; the empty string when it is absent."""
    return str(record.get(member) or "")


def mapping(record: Record, member: str) -> Mapping[str, object]:
    """A map or structure member; empty when it is absent."""
    return cast("Mapping[str, object]", record.get(member) or {})


def texts(record: Record, member: str) -> list[str]:
    """A list of strings; empty when it is absent."""
    return cast("list[str]", record.get(member) or [])


def words(member: str) -> str:
    """A member's name as words, as AWS's messages have it: ``AuthorizerType`` is authorizer type.

    >>> words("AuthorizerType")
    'authorizer type'
    """
    return _WORDS.sub(" ", member).lower()


def is_nothing(value: object) -> bool:
    """Whether a sent value clears its member: an empty text, list or map."""
    return value in ("", [], {})
