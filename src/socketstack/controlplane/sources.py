"""Expressions as configuration: whether what was sent can be evaluated where it stands.

Parsing and evaluation are ``core``'s; these functions add which variables an expression may use
at its place, and turn core's errors into refusals. Rules: 1.57, 1.62, 1.67, 5.07 to 5.12, 5.59.
"""

import re
from typing import Final

from socketstack.core import expressions, identity
from socketstack.errors import BadRequest, ExpressionError

_Root = tuple[str, ...]

MESSAGE: Final[tuple[_Root, ...]] = (("request", "body"),)
"""What route, model and integration template selections may read."""
MESSAGE_AND_RESPONSE: Final[tuple[_Root, ...]] = (
    *MESSAGE,
    ("integration", "response", "statuscode"),
    ("integration", "response", "header"),
    ("integration", "response", "multivalueheader"),
    ("integration", "response", "body"),
)
"""What the template selection of an integration response may read. Rule 5.59."""


def verify_expression(member: str, text: str, readable: tuple[_Root, ...] = MESSAGE) -> None:
    """Refuse a selection expression that cannot be parsed, or reads what is not there.

    Raises:
        BadRequest: naming the member and a form that works. Rules 1.57, 5.07 to 5.12.
    """
    try:
        expression = expressions.parse(text)
    except ExpressionError as error:
        raise BadRequest(f"Invalid {member} {text!r}: {error}") from error
    for part in expression.parts:
        if not isinstance(part, str) and part.root not in readable:
            known = ", ".join("$" + ".".join(root) for root in readable)
            raise BadRequest(
                f"Invalid {member} {text!r}: ${'.'.join(part.root)} cannot be read here, only "
                f"{known}."
            )


def verify_identity_source(text: str) -> None:
    """Refuse an identity source that is none of WebSocket APIs. Rule 1.67."""
    try:
        identity.parse_source(text)
    except ExpressionError as error:
        raise BadRequest(str(error)) from error


def is_pattern(key: str) -> bool:
    """Whether a key is a regular expression between slashes. Rule 1.62."""
    if len(key) < len("/x/") or not (key.startswith("/") and key.endswith("/")):
        return False
    try:
        re.compile(key[1:-1])
    except re.error:
        return False
    return True
