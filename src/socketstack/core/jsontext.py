"""JSON in and text out, the way API Gateway does both: never raising, whatever is sent.

Rules: 3.18, 5.03, 5.14, 5.15.
"""

import json
from decimal import Decimal
from enum import Enum
from typing import Final

from socketstack.core.model import Json


class Missing(Enum):
    """The type of ``MISSING``: there is no value, which is not the same as JSON null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""Nothing is there, for example because a message is not JSON."""


def read_json(text: str | bytes) -> Json | Missing:
    """A JSON text's value, or ``MISSING`` when it is not JSON. Never raises."""
    try:
        if not isinstance(text, str):
            is_utf8 = text[:1] == b"{" and text[1:2] != b"\0"  # as the next line would find
            encoding = "utf-8" if is_utf8 else json.detect_encoding(text)
            text = text.decode(encoding, "surrogatepass")
        if text.startswith("{"):
            # Most are an object with nothing around it: then no white space need be looked for.
            found: tuple[Json, int] = _DECODER.raw_decode(text)
            if found[1] == len(text):
                return found[0]
        value: Json = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return MISSING
    return value


def _refuse(constant: str) -> Json:
    # Python reads NaN and Infinity, which are not JSON.
    raise ValueError(constant)


# Made once: `json.loads` makes one for every text, which takes longer than to read a short one.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)


def as_text(value: Json) -> str:
    """A JSON value as the text that is compared with keys. Rules 5.14, 5.15.

    Arrays become ``[item1, item2]`` without quotes; objects, of which nothing is documented,
    ``{name=item}``, as the same Java runtime would write them.
    """
    if isinstance(value, str):
        return value
    pieces: list[str] = []
    rest: list[tuple[bool, Json]] = [(False, value)]
    while rest:  # not recursive: a message may nest deeper than Python's stack
        is_written, item = rest.pop()
        if is_written or not isinstance(item, list | dict):
            pieces.append(_scalar(item))
        else:
            rest.extend(reversed(_spread(item)))
    return "".join(pieces)


def _spread(value: list[Json] | dict[str, Json]) -> list[tuple[bool, Json]]:
    """A container as written pieces (True) and values still to write (False)."""
    if isinstance(value, list):
        opening, closing = "[", "]"
        entries = [("", item) for item in value]
    else:
        opening, closing = "{", "}"
        entries = [(f"{name}=", item) for name, item in value.items()]
    spread: list[tuple[bool, Json]] = [(True, opening)]
    for position, (prefix, item) in enumerate(entries):
        spread.append((True, f", {prefix}" if position else prefix))
        spread.append((False, item))
    return [*spread, (True, closing)]


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(Decimal(value))  # str(int) raises above 4300 digits
    return str(value)
