"""The checks: each looks at the facts of an API and yields what it finds. Pure.

The order is that of a handshake: address, authorizer, ``$connect``, messages, callbacks, rows of
connections, logs.
"""

from collections.abc import Callable, Iterator
from typing import Final

from socketstack.doctor.checks import handshake, messages, permissions, rows, stage
from socketstack.doctor.facts import Api, Gap
from socketstack.doctor.findings import Finding, note, unknown

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
    rows.stale_rows,
    stage.logs,
)


def examine(api: Api) -> list[Finding]:
    """All findings about an API, in the order of a handshake.

    A check that rests on what is not known does not judge: what it would say is left out, good or
    bad, and the gap is named instead.
    """
    found = [finding for check in _CHECKS for finding in check(api)]
    silent = frozenset[str]().union(*(gap.checks for gap in api.gaps))
    return [one for one in found if one.check not in silent] + [_gap(gap) for gap in api.gaps]


def _gap(gap: Gap) -> Finding:
    what = f"{gap.what} is not known."
    if not gap.checks:
        return note("not-known", what, f"{gap.why}.")
    return unknown(
        "not-known",
        what,
        f"{gap.why}. So nothing is said of: {', '.join(sorted(gap.checks))}.",
        "Give the value, or examine the API where it runs.",
    )
