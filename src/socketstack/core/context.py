"""The ``$context`` of one request: what is known of it, and the variables that come of that.

``Facts`` is filled in by the steps of a request, one task at a time; the functions below only
read it. Mapping templates take ``nested``, access logs ``variables``; both have a variable only
when it has a value (9.04).

Rules: 9.01 to 9.04.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from socketstack.core.events import request_context
from socketstack.core.model import (
    NO_LOGGING,
    Connection,
    EventType,
    ExecutionLogging,
    Json,
    StageLogging,
)

NOT_AUTHORIZED: Final = "The client is not authorized to perform this operation."
"""``$context.authorize.error`` when a policy does not allow."""

_MESSAGES: Final[Mapping[int, tuple[str, str]]] = {
    HTTPStatus.BAD_REQUEST: ("Bad Request", "BAD_REQUEST_PARAMETERS"),
    HTTPStatus.UNAUTHORIZED: ("Unauthorized", "UNAUTHORIZED"),
    HTTPStatus.FORBIDDEN: ("Forbidden", "ACCESS_DENIED"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("Request Too Long", "REQUEST_TOO_LARGE"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("Unsupported Media Type", "UNSUPPORTED_MEDIA_TYPE"),
    HTTPStatus.TOO_MANY_REQUESTS: ("Too Many Requests", "THROTTLED"),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("Internal server error", "API_CONFIGURATION_ERROR"),
    HTTPStatus.BAD_GATEWAY: ("Internal server error", "INTEGRATION_FAILURE"),
    HTTPStatus.GATEWAY_TIMEOUT: ("Endpoint request timed out", "INTEGRATION_TIMEOUT"),
}
"""What API Gateway says with a status of its own, and its gateway response type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFacts:
    """How one phase of a request went: authentication, the authorizer, its policy, the backend."""

    status: int | None = None
    """What the phase decided, or the code of the function behind it returned."""
    service_status: int | None = None
    """What the service that was called answered: Lambda's 200, also for a function that failed."""
    latency_ms: int | None = None
    request_id: str = ""
    """The called service's own id of the call."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """The error that API Gateway itself answered with."""

    message: str
    response_type: str
    validation: str = ""


@dataclass(slots=True, kw_only=True)
class Facts:
    """What becomes known of one CONNECT, MESSAGE or DISCONNECT; ``end`` closes it.

    Belongs to the task that handles the request. Without an ``error`` the answer came from the
    backend, or there was nothing to answer.
    """

    connection: Connection
    event_type: EventType
    request_id: str
    time_ms: int
    logging: StageLogging = NO_LOGGING
    """What the stage wants to be logged, as it was when the request began."""
    route_key: str = ""
    message_id: str | None = None
    disconnect: tuple[int, str] | None = None
    status: int | None = None
    authenticate: PhaseFacts | None = None
    authorizer: PhaseFacts | None = None
    authorizer_id: str = ""
    authorize: PhaseFacts | None = None
    integration: PhaseFacts | None = None
    integration_target: str = ""
    """The backend's address, for people."""
    sent: bytes = b""
    """What the integration got; only kept for data trace."""
    received: bytes = b""
    """What the integration gave; only kept for data trace."""
    error: ErrorFacts | None = None
    reason: str = ""
    """Why it failed, in the engine's words, without credentials."""

    @property
    def execution(self) -> ExecutionLogging:
        """What goes into the execution log for this route."""
        return self.logging.of_route(self.route_key)

    def end(
        self,
        status: int,
        *,
        reason: str = "",
        message: str = "",
        response_type: str = "",
        validation: str = "",
    ) -> None:
        """Note the final status; a failed one that is not the function's own is an error.

        ``message`` and ``response_type`` default to what API Gateway says with this status.
        """
        self.status, self.reason = status, reason
        own = self.integration is not None and self.integration.status == status
        if status < HTTPStatus.BAD_REQUEST or (own and not message):
            return
        usual, kind = _MESSAGES.get(status, _other(status))
        if status == HTTPStatus.INTERNAL_SERVER_ERROR and self.authorizer is not None:
            kind = "AUTHORIZER_FAILURE" if self.authorizer.service_status else _AUTHORIZER_SETTINGS
            kind = "API_CONFIGURATION_ERROR" if self._came_past_the_authorizer() else kind
        self.error = ErrorFacts(
            message=message or usual, response_type=response_type or kind, validation=validation
        )

    def _came_past_the_authorizer(self) -> bool:
        return self.authorize is not None and self.authorize.status == HTTPStatus.OK


_AUTHORIZER_SETTINGS: Final = "AUTHORIZER_CONFIGURATION_ERROR"


def _other(status: int) -> tuple[str, str]:
    is_server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    known = status in frozenset(HTTPStatus)
    return HTTPStatus(status).phrase if known else "", f"DEFAULT_{5 if is_server else 4}XX"


def nested(facts: Facts) -> dict[str, Json]:
    """``$context`` as an object: the members of ``requestContext``, and what is known beyond."""
    context: dict[str, Json] = dict(
        request_context(
            facts.connection,
            facts.route_key,
            facts.event_type,
            request_id=facts.request_id,
            time_ms=facts.time_ms,
            message_id=facts.message_id,
            disconnect=facts.disconnect,
        ).items()  # type: ignore[arg-type] # a TypedDict's values are JSON here
    )
    returned = context.get("authorizer")
    phases: dict[str, Json] = {
        "authenticate": _phase(facts.authenticate),
        "authorize": _phase(facts.authorize),
        "authorizer": {
            **(returned if isinstance(returned, dict) else {}),
            **_called("integrationLatency", facts.authorizer),
        },
        "integration": _called("", facts.integration),
        "error": _error(facts.error),
        "status": facts.status,
        **_aliases(facts.integration),
    }
    known = {name: value for name, value in phases.items() if value not in (None, {}, "")}
    if not facts.route_key:
        del context["routeKey"]
    return {**context, **known}


def variables(facts: Facts) -> dict[str, str]:
    """All variables of a request that have a value, as texts, by their name after ``$context.``.

    Members of objects stand one level down: ``identity.sourceIp``, ``authorizer.tenant``. What an
    authorizer put into its context wins over nothing: API Gateway's own names come first.
    """
    flat: dict[str, str] = {}
    for name, value in nested(facts).items():
        if isinstance(value, dict):
            for key, item in value.items():
                flat[f"{name}.{key}"] = _text(item)
        else:
            flat[name] = _text(value)
    return flat


def _phase(facts: PhaseFacts | None) -> dict[str, Json]:
    if facts is None:
        return {}
    members: dict[str, Json] = {
        "error": facts.error or None,
        "latency": facts.latency_ms,
        "status": facts.status,
    }
    return {name: value for name, value in members.items() if value is not None}


def _called(latency_again: str, facts: PhaseFacts | None) -> dict[str, Json]:
    """A phase in which a service was called: what it said (9.03), and its id of the call."""
    if facts is None:
        return {}
    members: dict[str, Json] = {
        **_phase(facts),
        "integrationStatus": facts.service_status,
        "requestId": facts.request_id or None,
    }
    if latency_again:
        members[latency_again] = facts.latency_ms
    return {name: value for name, value in members.items() if value is not None}


def _aliases(facts: PhaseFacts | None) -> dict[str, Json]:
    """Second names, as the page on logging has them."""
    if facts is None:
        return {}
    return {
        "awsEndpointRequestId": facts.request_id or None,
        "integrationErrorMessage": facts.error or None,
        "integrationLatency": facts.latency_ms,
        "integrationStatus": facts.status,
    }


def _error(facts: ErrorFacts | None) -> dict[str, Json]:
    if facts is None:
        return {}
    members: dict[str, Json] = {
        "message": facts.message,
        "messageString": json.dumps(facts.message),
        "responseType": facts.response_type,
    }
    if facts.validation:
        members["validationErrorString"] = facts.validation
    return members


def _text(value: Json) -> str:
    """A value as logs have it: texts as they are, all else as JSON writes it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))  # a status is an enum, whose own text is another
    return json.dumps(value)
