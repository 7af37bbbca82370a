"""What becomes of messages: routes that take them, and answers that reach the client."""

from collections.abc import Iterator
from typing import Final

from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Finding, note, warning

_EVENTS: Final = frozenset({"$connect", "$disconnect"})
_DEFAULT: Final = "$default"


def messages(api: Api) -> Iterator[Finding]:
    """Messages find a route, and answers their client. Rules 5.05, 5.27."""
    if api.route(_DEFAULT) is None:
        yield warning(
            "default-route",
            "There is no $default route.",
            "A message that no route takes, for example one that is no JSON, is answered with "
            "Forbidden, and nothing runs.",
            "Add $default, if clients may send anything else than the routes know.",
        )
    for route in api.routes:
        if route.route_key in _EVENTS or route.has_response:
            continue
        yield note(
            "route-response",
            f"What the function of {route.route_key} returns does not reach the client.",
            "The route has no route response with the key $default; only @connections answers.",
        )
