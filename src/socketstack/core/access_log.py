"""Access log lines: a stage's format, filled with the variables of one request.

A variable without value is written as ``-`` (9.04), and so is one that WebSocket APIs do not
have. Quotes, backslashes and control characters in values are escaped as in JSON, so that a
client cannot break a line of the JSON format apart; API Gateway does the same today
(DataBiosphere/azul#4348).

Rules: 9.02, 9.04, 9.05.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_VARIABLE: Final = re.compile(r"\$context\.(authorizer\.\w+(?:[.-]\w+)*|\w+(?:\.\w+)*)", re.ASCII)
_NEEDS_ESCAPING: Final = re.compile(r'["\\\x00-\x1f]')
_EMPTY: Final = "-"
_UNESCAPED: Final = frozenset({"error.messageString"})
"""Is itself a quoted text."""

VARIABLES: Final = frozenset(
    {
        *("apiId", "awsEndpointRequestId", "connectedAt", "connectionId", "domainName"),
        *("eventType", "extendedRequestId", "integrationErrorMessage", "integrationLatency"),
        *("integrationStatus", "messageId", "requestId", "requestTime", "requestTimeEpoch"),
        *("routeKey", "stage", "status"),
        *(
            f"{phase}.{member}"
            for phase in ("authenticate", "authorize", "waf")
            for member in ("error", "latency", "status")
        ),
        *(
            f"integration.{member}"
            for member in ("error", "integrationStatus", "latency", "requestId", "status")
        ),
        *(f"error.{member}" for member in ("message", "messageString", "responseType")),
        "error.validationErrorString",
        *(
            f"identity.{member}"
            for member in (
                *("accountId", "apiKey", "apiKeyId", "caller", "cognitoAuthenticationProvider"),
                *("cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId"),
                *("principalOrgId", "sourceIp", "user", "userAgent", "userArn"),
            )
        ),
    }
)
"""The variables of access logs of WebSocket APIs; ``authorizer.`` goes on with any name."""


def line(layout: str, variables: Mapping[str, str]) -> str:
    """One line of an access log.

    Args:
        layout: The stage's format; one line.
        variables: As ``core.context.variables`` gives them.
    """
    texts, names = _parsed(layout)
    parts = [texts[0]]
    for name, following in zip(names, texts[1:], strict=True):
        parts += (_shown(name, variables), following)
    return "".join(parts)


def unknown_variables(layout: str) -> tuple[str, ...]:
    """The variables of a format that WebSocket APIs do not have, each once; for a warning."""
    _texts, names = _parsed(layout)
    return tuple(dict.fromkeys(name for name in names if not _is_known(name)))


@lru_cache(maxsize=256)
def _parsed(layout: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts around the variables, and the variables' names between them."""
    pieces = _VARIABLE.split(layout)
    return tuple(pieces[::2]), tuple(pieces[1::2])


def _is_known(name: str) -> bool:
    return name in VARIABLES or name.startswith("authorizer.")


def _shown(name: str, variables: Mapping[str, str]) -> str:
    value = variables.get(name, "") if _is_known(name) else ""
    if not value:
        return _EMPTY
    if name in _UNESCAPED:
        return value
    if not _NEEDS_ESCAPING.search(value):
        return value
    return json.dumps(value, ensure_ascii=False)[1:-1]
