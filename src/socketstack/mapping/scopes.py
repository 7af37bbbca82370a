"""``$input`` and ``$util`` of mapping templates.

Rules: 5.50, 5.51.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus

from socketstack.core.jsontext import MISSING, read_json
from socketstack.mapping import java
from socketstack.mapping.paths import read_path
from socketstack.mapping.velocity import Scope

_ESCAPED: Final = re.compile(r"['\"\\/]|[^ -~]")
_SHORT_ESCAPES: Final = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_BMP_END: Final = 0xFFFF

Parameters = Mapping[str, Mapping[str, str]]
"""``path``, ``querystring`` and ``header`` by name."""


class BadInput(ValueError):  # noqa: N818 - a template asked for what cannot be given
    """A value that a function of ``$util`` cannot read."""


def input_scope(body: str, parameters: Parameters) -> Scope:
    """``$input`` for a payload.

    ``path`` and ``json`` look at the same parsed document, so what a template changes in it shows.
    An empty body is ``{}``; one that is not JSON is a text.
    """
    parsed = read_json(body) if body.strip() else {}
    document = java.from_json(body if parsed is MISSING else parsed)

    def path(expression: str = "$") -> Any:
        found = read_path(document, expression)
        return None if found is MISSING else found

    def as_json(expression: str = "$") -> str:
        found = read_path(document, expression)
        return java.to_json("" if found is MISSING else found)

    def params(name: str | None = None) -> Any:
        if name is None:
            return {kind: dict(values) for kind, values in parameters.items()}
        for kind in ("path", "querystring", "header"):
            for given, value in parameters.get(kind, {}).items():
                if given == name or (kind == "header" and given.lower() == name.lower()):
                    return value
        return ""

    return Scope(members={"body": body}, methods={"path": path, "json": as_json, "params": params})


def util_scope() -> Scope:
    """``$util``."""
    return Scope(
        members={},
        methods={
            "escapeJavaScript": lambda value: escape_javascript(java.text(value)),
            "parseJson": _parse_json,
            # As Java's URLEncoder has it, which encodes the tilde too.
            "urlEncode": lambda value: quote_plus(java.text(value), safe="*").replace("~", "%7E"),
            "urlDecode": lambda value: unquote_plus(java.text(value)),
            "base64Encode": lambda value: base64.b64encode(java.text(value).encode()).decode(),
            "base64Decode": _base64_decode,
        },
    )


def escape_javascript(value: str) -> str:
    """A text for a JavaScript literal: single quotes too, which JSON does not allow."""
    return _ESCAPED.sub(_escape, value)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character in "'\"\\/":
        return f"\\{character}"
    if character in _SHORT_ESCAPES:
        return f"\\{_SHORT_ESCAPES[character]}"
    code = ord(character)
    if code > _BMP_END:  # as Java has it: two halves
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04X}\\u{0xDC00 + (code & 0x3FF):04X}"
    return f"\\u{code:04X}"


def _parse_json(value: Any) -> Any:
    try:
        return java.from_json(json.loads(java.text(value)))
    except (ValueError, RecursionError) as error:
        raise BadInput("$util.parseJson got a text that is not JSON") from error


def _base64_decode(value: Any) -> str:
    try:
        return base64.b64decode(java.text(value), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError) as error:
        raise BadInput("$util.base64Decode got a text that is not base64") from error
