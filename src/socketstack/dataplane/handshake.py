"""One handshake on its way: what its steps share, and the two ways it can end.

Rules: 3.04.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from socketstack.core import addressing
from socketstack.core.causes import Cause
from socketstack.core.context import Facts
from socketstack.core.model import Connection, DeployedStage, Json, Upgrade
from socketstack.core.routing import CONNECT
from socketstack.trace import NO_DETAIL, Step, Trace, redact

_PLAIN_HEADERS: Final = frozenset(
    {
        *("host", "origin", "user-agent", "upgrade", "connection", "content-length"),
        *("sec-websocket-extensions", "sec-websocket-key", "sec-websocket-version"),
        *("accept", "accept-encoding", "accept-language", "cache-control", "pragma"),
        *("x-amz-date", "x-amz-content-sha256"),
    }
)
"""What no client puts a credential in; every other header may hold one."""
_WORDS: Final = frozenset({"AWS4-HMAC-SHA256", "Credential", "Signature", "SignedHeaders"})
"""Parts of signatures that are no secret: reasons name them."""
_BETWEEN_PARTS: Final = re.compile(r"[\s,;=]+")
_SECRET_MIN_CHARACTERS: Final = 8
_SHOWN_PART_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The socket may open."""

    connection: Connection
    subprotocol: str | None
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The socket does not open. ``reason`` is for people at this machine, not for the client."""

    status: int
    reason: str
    cause: Cause
    request_id: str = ""
    """Filled in when the handshake is over; names its trace."""
    message: str = ""
    """What the client reads; empty for what is usual with this status."""
    response_type: str = ""
    """``$context.error.responseType`` in logs; empty for what is usual with this status."""


class Secrets:
    """The credentials of one handshake, to be kept out of texts that may quote them.

    Every longer query value and value of a header counts as one, and so does each part of it: of
    ``Bearer abc`` or ``session=abc`` a function quotes the last one.
    """

    __slots__ = ("_shown", "_upgrade")

    def __init__(self, upgrade: Upgrade) -> None:
        self._upgrade = upgrade
        self._shown: tuple[tuple[str, str], ...] | None = None

    def hidden_in(self, text: str) -> str:
        """The text without them: cut to their last characters."""
        if self._shown is None:
            self._shown = tuple(self._found())
        for secret, shown in self._shown:
            text = text.replace(secret, shown)
        return text

    def _found(self) -> Iterator[tuple[str, str]]:
        """What to hide and what to show in its place; the longest first, as it may hold others."""
        values = [value for _name, value in self._upgrade.query]
        values += [
            value for name, value in self._upgrade.headers if name.lower() not in _PLAIN_HEADERS
        ]
        parts = {part for value in values for part in (value, *_BETWEEN_PARTS.split(value))}
        for part in sorted(parts - _WORDS, key=len, reverse=True):
            if len(part) >= _SECRET_MIN_CHARACTERS:
                yield part, redact(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What the steps of one handshake share; nothing in it changes but ``facts``."""

    upgrade: Upgrade
    secrets: Secrets
    """What must not be told of it."""
    stage: DeployedStage
    connection: Connection
    request_id: str
    time_ms: int
    trace_id: str
    is_custom_domain: bool = False
    """Whether it came to a custom domain name and not to the API's own endpoint (2.19)."""
    facts: Facts | None = None
    """What logs will tell, filled in by the steps; None when the stage logs nothing."""

    @property
    def source_arn(self) -> str:
        """The ARN of the ``$connect`` route (3.04)."""
        snapshot = self.stage.snapshot
        return addressing.route_arn(
            region=snapshot.region,
            account_id=snapshot.account_id,
            api_id=snapshot.api_id,
            stage_name=self.stage.settings.stage_name,
            route_key=CONNECT,
            partition=snapshot.partition,
        )


class Narrator:
    """Tells the trace about handshakes; credentials are never told whole."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def tell(
        self,
        handshake: Handshake,
        step: Step,
        summary: str,
        *,
        cause: Cause | None = None,
        detail: Mapping[str, Json] = NO_DETAIL,
    ) -> None:
        """One step of a handshake that leads somewhere."""
        self._trace.publish(
            step,
            handshake.secrets.hidden_in(summary),
            handshake.connection,
            handshake.request_id,
            cause,
            detail={
                name: handshake.secrets.hidden_in(value) if isinstance(value, str) else value
                for name, value in detail.items()
            },
        )

    def refused(self, refused: Refused, connection: Connection | None = None) -> None:
        """A refusal; ``connection`` is None when the address led nowhere."""
        self._trace.emit(
            Step.REFUSED,
            f"{refused.status}: {refused.reason}",
            api_id=connection.api_id if connection else "",
            stage_name=connection.stage_name if connection else "",
            connection_id=connection.connection_id if connection else "",
            request_id=refused.request_id,
            cause=refused.cause,
            status=int(refused.status),
            kind="CONNECT",
        )


def shown_path(path: str) -> str:
    """A path for people: a long part may be a credential in the wrong place."""
    return "/".join(
        redact(part) if len(part) > _SHOWN_PART_CHARACTERS else part for part in path.split("/")
    )
