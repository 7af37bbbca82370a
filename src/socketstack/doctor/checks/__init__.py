"""The checks: each looks at the facts of an API and yields what it finds. Pure.

The order is that of a handshake: address, authorizer, ``$connect``, messages, callbacks, logs.
"""

from collections.abc import Callable, Iterator
from typing import Final

from socketstack.doctor.checks import handshake, messages, permissions, stage
from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Finding

Check = Callable[[Api], Iterator[Finding]]

_CHECKS: Final[tuple[Check, ...]] = (
    stage.endpoint,
    stage.deployment,
    stage.throttling,
    handshake.protection,
    handshake.http_api_features,
    handshake.identity_sources,
    permissions.authorizer_permission,
    permissions.integrations,
    messages.messages,
    permissions.callbacks,
    stage.logs,
)


def examine(api: Api) -> list[Finding]:
    """All findings about an API, in the order of a handshake."""
    return [finding for check in _CHECKS for finding in check(api)]
