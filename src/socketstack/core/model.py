"""The values that cross module borders: frozen, slotted, named in API Gateway's own words.

What every message makes anew is a ``NamedTuple``: as fixed, and made in a third of the time.

Three name shapes meet in this package: JSON has ``routeKey``, records from the service model
``RouteKey``, these classes ``route_key``. ``core.snapshot`` builds the first group from
records, ``core.events`` turns connections and messages back into JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, NewType

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What ``json.loads`` can return."""

Record = dict[str, object]
"""A stored resource as the service model shapes it: PascalCase members, plain values."""

_LOG_TAIL_BYTES: Final = 4 * 1024

ApiId = NewType("ApiId", str)
ConnectionId = NewType("ConnectionId", str)


class AuthorizationType(StrEnum):
    """How a route is protected. Rule 1.37."""

    NONE = "NONE"
    AWS_IAM = "AWS_IAM"
    CUSTOM = "CUSTOM"


class IntegrationType(StrEnum):
    """What kind of backend an integration calls. Rule 1.51."""

    AWS = "AWS"
    AWS_PROXY = "AWS_PROXY"
    HTTP = "HTTP"
    HTTP_PROXY = "HTTP_PROXY"
    MOCK = "MOCK"


class EventType(StrEnum):
    """The three kinds of event a socket produces. Rule 2.39."""

    CONNECT = "CONNECT"
    MESSAGE = "MESSAGE"
    DISCONNECT = "DISCONNECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationResponse:
    """How the answer of a non-proxy integration becomes the reply. Rule 1.62."""

    integration_response_key: str
    response_templates: Mapping[str, str] = field(default_factory=dict)
    response_parameters: Mapping[str, str] = field(default_factory=dict)
    template_selection_expression: str | None = None
    content_handling_strategy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """What a route calls. ``timeout_ms`` is 50 to 29000 (1.54)."""

    integration_id: str
    integration_type: IntegrationType
    integration_uri: str | None = None
    integration_method: str | None = None
    credentials_arn: str | None = None
    connection_type: str = "INTERNET"
    timeout_ms: int = 29_000
    passthrough_behavior: str = "WHEN_NO_MATCH"
    content_handling_strategy: str | None = None
    request_parameters: Mapping[str, str] = field(default_factory=dict)
    request_templates: Mapping[str, str] = field(default_factory=dict)
    template_selection_expression: str | None = None
    responses: tuple[IntegrationResponse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """The REQUEST function of ``$connect``. Rules 1.65 to 1.68."""

    authorizer_id: str
    name: str
    authorizer_uri: str
    identity_sources: tuple[str, ...] = ()
    credentials_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route of a deployed API, with what it needs already looked up."""

    route_id: str
    route_key: str
    authorization_type: AuthorizationType = AuthorizationType.NONE
    authorizer: Authorizer | None = None
    """The attached authorizer; None with CUSTOM means it is missing: refuse."""
    api_key_required: bool = False
    integration: Integration | None = None
    is_two_way: bool = False
    """Whether a ``$default`` route response exists. Rule 5.27."""
    model_selection_expression: str | None = None
    request_models: Mapping[str, str] = field(default_factory=dict)
    """Model key to JSON schema text."""
    request_parameters: frozenset[str] = frozenset()
    """All that are declared; an integration can map no others. Rule 5.62."""
    required_request_parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSnapshot:
    """An API as one deployment froze it: what clients meet. Rule 1.78."""

    api_id: str
    account_id: str
    region: str
    deployment_id: str
    route_selection_expression: str
    api_key_selection_expression: str = "$request.header.x-api-key"
    is_execute_api_endpoint_disabled: bool = False
    routes: Mapping[str, Route] = field(default_factory=dict)
    """By route key."""
    models: Mapping[str, str] = field(default_factory=dict)
    """All schemas by the model's name: models may refer to each other."""

    partition: str = "aws"


class LoggingLevel(StrEnum):
    """What goes into execution logs. Rule 9.07."""

    OFF = "OFF"
    ERROR = "ERROR"
    INFO = "INFO"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionLogging:
    """Execution logs of one route. Rule 9.07."""

    level: LoggingLevel = LoggingLevel.OFF
    data_trace: bool = False
    """Whether payloads are logged too."""


@dataclass(frozen=True, slots=True)
class AccessLogging:
    """Where a stage's access log goes, and the form of its lines. Rule 1.102."""

    destination_arn: str
    layout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLogging:
    """What a stage logs."""

    access: AccessLogging | None = None
    execution: Mapping[str, ExecutionLogging] = field(default_factory=dict)
    """By route key; ``""`` is for all others."""

    def of_route(self, route_key: str) -> ExecutionLogging:
        """The execution log settings of a route; its own stand alone (1.100)."""
        return self.execution.get(route_key) or self.execution.get("") or NO_EXECUTION_LOGGING


NO_EXECUTION_LOGGING: Final = ExecutionLogging()
NO_LOGGING: Final = StageLogging()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDestination:
    """Where lines of one stage go."""

    account_id: str
    region: str
    api_id: str
    stage_name: str
    access_arn: str = ""
    """The access log's destination; empty for the execution log. Rule 9.06."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The size of a token bucket; 0 lets nothing pass (1.98)."""

    rate_per_second: float
    burst: int

    @property
    def is_closed(self) -> bool:
        """Whether nothing ever passes."""
        return self.rate_per_second <= 0 or self.burst <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """What acts at once, without a deployment. Rule 1.79."""

    stage_name: str
    deployment_id: str | None
    variables: Mapping[str, str] = field(default_factory=dict)
    throttles: Mapping[str, Throttle | None] = field(default_factory=dict)
    """By route key; ``""`` is for all others, each of which has a bucket of its own (6.18)."""
    logging: StageLogging | None = None
    """None when the stage logs nothing at all."""

    def throttle_of(self, route_key: str) -> Throttle | None:
        """The limits of a route, None without any; its own settings stand alone (1.98, 1.100)."""
        if route_key in self.throttles:
            return self.throttles[route_key]
        return self.throttles.get("")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDomain:
    """A custom domain name and what it leads to. Rules 1.104 to 1.108."""

    name: str
    """In lower case; may start with ``*.``, which stands for one label."""
    mappings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Mapping key to API id and stage name; the empty key is the domain's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedStage:
    """A stage that can be called: its settings and the API its deployment froze."""

    settings: StageSettings
    snapshot: ApiSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """A handshake request, copied from the wire before anything decides.

    ``query`` is the list of decoded pairs in the order sent, ``headers`` the pairs with the
    case the client used (2.33).
    """

    method: str
    host: str
    path: str
    raw_target: str
    """Path and query as sent, for the URL length limit (2.04) and signatures."""
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    source_ip: str
    is_websocket: bool

    def header(self, name: str) -> str | None:
        """The last value of a header, whatever the case of its name; None when absent."""
        wanted = name.lower()
        return next((v for k, v in reversed(self.headers) if k.lower() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One open socket's record; fixed from the handshake on."""

    connection_id: str
    api_id: str
    stage_name: str
    account_id: str
    region: str
    domain_name: str
    connected_at_ms: int
    source_ip: str
    user_agent: str | None = None
    authorizer: Mapping[str, Json] | None = None
    """``principalId`` and flat context, when an authorizer let it in. Rules 3.19 to 3.21."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """Further members of ``identity`` in events: who signed the handshake. Rule 4.05."""


class Message(NamedTuple):
    """One whole message from a client; always text (6.05), at most 128 KB (6.01)."""

    text: str
    message_id: str
    request_id: str
    received_at_ms: int


class FailureKind(StrEnum):
    """Why a function call gave no answer of its own.

    This is the engine's own distinction. Lambda's ``X-Amz-Function-Error`` says ``Unhandled``
    in every one of these cases: the Python runtime reports nothing else.
    """

    HANDLED = "Handled"
    """The handler raised and its process lives on; ``payload`` is AWS's error object."""
    UNHANDLED = "Unhandled"
    """The process died, the code could not be loaded, or the answer was refused (too large);
    ``payload`` is the error object."""
    TIMEOUT = "Timeout"
    """The function's own timeout passed; the process was killed."""


class InvokeResult(NamedTuple):
    """What one call of a function gave.

    ``payload`` is the answer's JSON text, or, with a failure, the object with
    ``errorMessage``, ``errorType`` and so on that Lambda returns.
    """

    payload: bytes
    failure: FailureKind | None = None
    log_lines: Sequence[str] = ()
    """The last lines of this call's log; as many as ``log_tail`` needs, or more. A caller that is
    told at once finds them there when it gives way to others: the answer comes first."""
    request_id: str = ""
    """Lambda's id of this call, as it stands in the function's log."""
    executed_version: str = "$LATEST"
    is_cold: bool = False
    duration_ms: float = 0.0

    @property
    def log_tail(self) -> bytes:
        """The last 4 KB of this call's log."""
        pieces: list[bytes] = []
        missing = _LOG_TAIL_BYTES
        for line in reversed(self.log_lines):
            if missing <= 0:
                break
            # A character has at least one byte, so no more of them are needed.
            pieces.append(line[-missing:].encode() + b"\n")
            missing -= len(pieces[-1])
        return b"".join(reversed(pieces))[-_LOG_TAIL_BYTES:]
