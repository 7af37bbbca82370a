"""What the checks know of one API and one of its stages, wherever it was read.

Frozen values in API Gateway's own terms; what could not be read is None and no check guesses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from socketstack.core.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function that the API calls, or is said to call."""

    arn: str
    """As the URI names it, with its version or alias."""
    exists: bool = True
    policy: str | None = None
    """Its resource policy as JSON text; None when it has none."""
    role_arn: str | None = None
    role_policies: tuple[Json, ...] | None = None
    """All policies of its role, as documents; None when they could not be read."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Its environment variables, where they were read."""

    @property
    def name(self) -> str:
        """The name, without version or alias."""
        return self.arn.split(":")[6] if self.arn.count(":") > 5 else self.arn  # noqa: PLR2004


_HTTP_ONLY: Final = (
    "AuthorizerPayloadFormatVersion",
    "AuthorizerResultTtlInSeconds",
    "EnableSimpleResponses",
    "JwtConfiguration",
)


def http_features(record: Mapping[str, object]) -> tuple[str, ...]:
    """What of an authorizer's record, or of its properties, only HTTP APIs have."""
    found = [name for name in _HTTP_ONLY if record.get(name) not in (None, 0, "0", "false")]
    return (*(["AuthorizerType JWT"] if record.get("AuthorizerType") == "JWT" else []), *found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """An authorizer of the API, attached or not."""

    authorizer_id: str
    name: str
    identity_sources: tuple[str, ...] = ()
    function: Function | None = None
    """None when the URI names no function."""
    has_role: bool = False
    """Whether a role is assumed to call it; then its resource policy plays no part."""
    http_features: tuple[str, ...] = ()
    """Members that are set and that only HTTP APIs have; see ``http_features``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route, with what it calls."""

    route_key: str
    authorization_type: str = "NONE"
    authorizer: Authorizer | None = None
    api_key_required: bool = False
    has_target: bool = False
    integration_type: str | None = None
    """None when the integration it names does not exist."""
    function: Function | None = None
    has_role: bool = False
    has_response: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Settings that limit calls; None means not set."""

    rate: float | None = None
    burst: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The stage that clients connect to."""

    name: str
    deployment_id: str | None = None
    is_auto_deployed: bool = False
    deployment_problem: str | None = None
    """What API Gateway said of the last automatic deployment that failed."""
    default_throttle: Throttle = Throttle()
    throttles: Mapping[str, Throttle] = field(default_factory=dict)
    """By route key."""
    logging_level: str = "OFF"
    access_log_format: str | None = None
    """None without access logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTable:
    """The table of open connections, and what is in it that should not be."""

    name: str
    has_time_to_live: bool = True
    expired_rows: int = 0
    """Rows whose time to live is over for longer than DynamoDB takes."""
    ended_rows: int = 0
    """Rows that are not expired and whose session has ended minutes ago."""
    is_read_whole: bool = True
    """Whether both counts are of the whole table; else there may be more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that could not be known where the facts were read."""

    what: str
    why: str
    checks: frozenset[str] = frozenset()
    """The checks that rest on it, and so cannot judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One API and one of its stages."""

    api_id: str
    name: str
    region: str
    account_id: str
    endpoint: str = ""
    """Where clients dial, without the stage."""
    route_selection_expression: str = "$request.body.action"
    is_endpoint_disabled: bool = False
    routes: tuple[Route, ...] = ()
    authorizers: tuple[Authorizer, ...] = ()
    stage: Stage | None = None
    log_role_arn: str | None = None
    """The account's role for logs in this region."""
    is_log_role_known: bool | None = None
    """Whether the account was asked; None where there is none to ask, as for a template."""
    partition: str = "aws"
    connection_table: ConnectionTable | None = None
    """None where it is not known or may not be read."""
    gaps: tuple[Gap, ...] = ()

    def route(self, key: str) -> Route | None:
        """The route with this key, or None."""
        return next((route for route in self.routes if route.route_key == key), None)
