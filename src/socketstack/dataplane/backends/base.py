"""What a backend gets and gives, whatever its kind."""

from dataclasses import dataclass
from typing import Protocol

from socketstack.core.replies import Rejection
from socketstack.core.service_calls import Pairs, ServiceAnswer, ServiceCall, ServiceRefusal
from socketstack.dataplane.exchange import Exchange
from socketstack.dataplane.integrations import TimedOut, Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRequest:
    """A request after its mappings."""

    exchange: Exchange
    uri: str
    """The integration's, with stage variables and path parameters put in."""
    body: bytes
    headers: Pairs = ()
    query: Pairs = ()

    @property
    def timeout_ms(self) -> int:
        """How long the backend is waited for."""
        return self.exchange.integration.timeout_ms

    def header(self, name: str) -> str | None:
        """A mapped header, whatever the case of its name."""
        wanted = name.lower()
        return next((v for n, v in reversed(self.headers) if n.lower() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendAnswer:
    """What a backend gave, before any mapping."""

    status: int
    body: bytes = b""
    headers: Pairs = ()
    is_function: bool = False
    error_message: str | None = None
    """What a function raised; None when it returned, and for other backends."""
    failure: str = ""
    """The same for people."""


BackendOutcome = BackendAnswer | TimedOut | Unreachable | Rejection


class Backend(Protocol):
    """Something that answers requests."""

    async def call(self, request: BackendRequest) -> BackendOutcome:
        """Have one request answered, within its time."""
        ...


class AwsServices(Protocol):
    """The AWS services that integrations reach. Rule 5.66."""

    async def call(self, call: ServiceCall) -> ServiceAnswer | ServiceRefusal:
        """Make a call as its role.

        ``ServiceRefusal`` when the role may not, or there is no such call.
        """
        ...

    async def invoke_later(self, function: str, payload: bytes) -> ServiceAnswer | ServiceRefusal:
        """Call a function asynchronously; who may was asked before."""
        ...


class NoServices:
    """Where there are none: every call is refused."""

    async def call(self, call: ServiceCall) -> ServiceAnswer | ServiceRefusal:
        """Refuse."""
        return ServiceRefusal(f"The service {call.target.service} is not available here.")

    async def invoke_later(self, function: str, payload: bytes) -> ServiceAnswer | ServiceRefusal:
        """Refuse."""
        del payload
        return ServiceRefusal(f"{function} cannot be called asynchronously here.")
