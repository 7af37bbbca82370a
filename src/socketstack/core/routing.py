"""Which route takes a message.

``$connect`` and ``$disconnect`` are events of the connection and no message can select them;
a message that names one is treated as if no such route existed (the service's behaviour is
not published; this is the stricter reading).

Rules: 5.01 to 5.06, 5.16 to 5.18, 10.08.
"""

from typing import Final, NamedTuple

from socketstack.core.expressions import parse
from socketstack.core.jsontext import MISSING, Missing, read_json
from socketstack.core.model import ApiSnapshot, Json, Route

CONNECT: Final = "$connect"
DISCONNECT: Final = "$disconnect"
DEFAULT: Final = "$default"

_NOT_FOR_MESSAGES: Final = frozenset({CONNECT, DISCONNECT})


class Selection(NamedTuple):
    """What routing found: the route or None, the evaluated key or None, and why."""

    route: Route | None
    key: str | None
    reason: str


def select_route(snapshot: ApiSnapshot, text: str) -> Route | None:
    """Choose the route for one incoming message.

    Args:
        snapshot: API as frozen by the stage's current deployment.
        text: One whole message, not necessarily JSON.

    Returns:
        The route whose key equals the evaluated expression, else the ``$default`` route,
        else None: the caller then answers with an error frame (5.05).

    Raises:
        ExpressionError: the API's expression cannot be read; it was not checked when the API
            was configured.
    """
    return explain_route(snapshot, text).route


def explain_route(snapshot: ApiSnapshot, text: str) -> Selection:
    """Like ``select_route``, with the key and the reason for people."""
    expression = parse(snapshot.route_selection_expression)
    body = read_json(text)
    key = expression.evaluate(body if isinstance(body, dict) else MISSING)
    route = None if key is None or key in _NOT_FOR_MESSAGES else snapshot.routes.get(key)
    if route is not None:
        return Selection(route=route, key=key, reason=f"the route key is {key}")
    why = _why_none(body, key, expression.text)
    default = snapshot.routes.get(DEFAULT)
    if default is not None:
        return Selection(route=default, key=key, reason=f"{why}; $default takes it")
    return Selection(
        route=None,
        key=key,
        reason=f"{why}, and no $default route is deployed. Add the route and deploy the stage.",
    )


def _why_none(body: Json | Missing, key: str | None, expression: str) -> str:
    if body is MISSING:
        return "the message is not JSON"
    if not isinstance(body, dict):
        return "the message is JSON but no object"
    if key is None:
        return f"the message has nothing at {expression}"
    if key in _NOT_FOR_MESSAGES:
        return f"{key} cannot be selected by a message"
    return f"no deployed route has the key {key!r}"
