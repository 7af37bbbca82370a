"""Calling what a route points to: one function per integration type, in a table.

An outcome is a function's ``InvokeResult``, or ``TimedOut``, or ``Unreachable`` with the reason.
Types that are not in the table are unreachable, never silently fine.

Rules: 1.55, 2.11, 2.12, 3.26, 3.27, 5.33, 5.35, 6.20.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from socketstack.core.addressing import function_of, substituted
from socketstack.core.causes import Cause
from socketstack.core.model import Integration, IntegrationType, InvokeResult
from socketstack.core.policy import INVOKE_FUNCTION, PolicyDecision
from socketstack.dataplane.permits import Permits
from socketstack.dataplane.roles import NoRoles, Roles
from socketstack.errors import FunctionThrottled, RunnerError
from socketstack.runner.base import Runner

_POST: Final = "POST"
"""The only method by which Lambda's Invoke can be called."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The backend was not called, and why."""

    reason: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The backend did not answer in time; it may still run."""

    after_ms: int


Outcome = InvokeResult | Unreachable | TimedOut


class Integrations:
    """Calls backends."""

    def __init__(self, runner: Runner, permits: Permits, roles: Roles | None = None) -> None:
        self._runner = runner
        self._permits = permits
        self._roles = roles or NoRoles()
        self._by_type: Mapping[IntegrationType, _Call] = {
            IntegrationType.AWS_PROXY: self._aws_proxy
        }

    async def call(
        self,
        integration: Integration,
        payload: bytes,
        *,
        source_arn: str,
        variables: Mapping[str, str],
    ) -> Outcome:
        """Call an integration with an event.

        Args:
            integration: As deployed.
            payload: The event's JSON text.
            source_arn: The route on whose behalf the call is made (5.68).
            variables: The stage's variables, for URIs that name one (5.64).
        """
        call = self._by_type.get(integration.integration_type)
        if call is None:
            return Unreachable(
                f"Integrations of type {integration.integration_type} are not supported by the "
                "local engine yet. Use AWS_PROXY.",
                Cause.INTEGRATION_SETTINGS,
            )
        return await call(integration, payload, source_arn, variables)

    def start(
        self,
        integration: Integration,
        payload: bytes,
        *,
        source_arn: str,
        variables: Mapping[str, str],
        done: Callable[[Outcome | Exception], None],
    ) -> None:
        """Call a Lambda proxy integration as ``call`` does, and tell ``done``, perhaps at once.

        ``done`` raises nothing; it gets an exception where ``call`` would raise.
        """
        function = self.function(
            integration.integration_uri or "",
            source_arn=source_arn,
            role_arn=integration.credentials_arn,
            variables=variables,
            method=integration.integration_method,
        )
        if isinstance(function, Unreachable):
            done(function)
            return
        timeout_ms = integration.timeout_ms
        self._runner.submit(
            function,
            payload,
            deadline_ms=timeout_ms,
            done=lambda told: done(_outcome(told, timeout_ms)),
        )

    async def _aws_proxy(
        self,
        integration: Integration,
        payload: bytes,
        source_arn: str,
        variables: Mapping[str, str],
    ) -> Outcome:
        return await self.invoke(
            integration.integration_uri or "",
            payload,
            source_arn=source_arn,
            role_arn=integration.credentials_arn,
            variables=variables,
            timeout_ms=integration.timeout_ms,
            method=integration.integration_method,
        )

    async def invoke(
        self,
        uri: str,
        payload: bytes,
        *,
        source_arn: str,
        role_arn: str | None,
        variables: Mapping[str, str],
        timeout_ms: int,
        method: str | None = _POST,
    ) -> Outcome:
        """Call the function that a URI names, by POST; None is POST too (1.55).

        With ``role_arn`` that role is assumed for the call, and not the function's resource
        policy decides but the role (3.26); it may name stage variables (5.64).
        """
        function = self.function(
            uri, source_arn=source_arn, role_arn=role_arn, variables=variables, method=method
        )
        if isinstance(function, Unreachable):
            return function
        try:
            told = await self._runner.invoke(function, payload, deadline_ms=timeout_ms)
        except (TimeoutError, RunnerError) as error:
            return _shortfall(error, timeout_ms)
        return told

    def function(
        self,
        uri: str,
        *,
        source_arn: str,
        role_arn: str | None,
        variables: Mapping[str, str],
        method: str | None = _POST,
    ) -> str | Unreachable:
        """The ARN of the function that a URI names, when API Gateway may call it."""
        if method not in {None, _POST}:
            return Unreachable(
                f"Functions are called by POST, and the integration says {method}. Set its "
                "IntegrationMethod to POST and deploy. [1.55]",
                Cause.INTEGRATION_SETTINGS,
            )
        function = function_of(uri, variables)
        if function is None:
            reason = f"The integration URI {uri!r} names no function."
            return Unreachable(reason, Cause.INTEGRATION_SETTINGS)
        if role_arn:
            permission = self._role_may(role_arn, function, variables)
        else:
            permission = self._permits.allows(function, source_arn)
        if not permission.is_allowed:
            cause = Cause.ROLE_NOT_PERMITTED if role_arn else Cause.NOT_PERMITTED
            return Unreachable(f"API Gateway may not call {function}: {permission.reason}", cause)
        return function

    def _role_may(
        self, role_arn: str, function: str, variables: Mapping[str, str]
    ) -> PolicyDecision:
        role = substituted(role_arn, variables)
        if role is None:
            reason = f"the role {role_arn} names a stage variable that is not set"
            return PolicyDecision(is_allowed=False, reason=reason)
        return self._roles.may(role, INVOKE_FUNCTION, function)


def _outcome(told: InvokeResult | Exception, timeout_ms: int) -> Outcome | Exception:
    """What a runner told: an outcome, or the error of an engine that is broken."""
    if isinstance(told, TimeoutError | RunnerError):
        return _shortfall(told, timeout_ms)
    return told


def _shortfall(error: TimeoutError | RunnerError, timeout_ms: int) -> TimedOut | Unreachable:
    """Why there is no result."""
    if isinstance(error, TimeoutError):
        return TimedOut(timeout_ms)
    is_throttled = isinstance(error, FunctionThrottled)
    cause = Cause.FUNCTION_THROTTLED if is_throttled else Cause.FUNCTION_UNAVAILABLE
    return Unreachable(str(error), cause)


_Call = Callable[[Integration, bytes, str, Mapping[str, str]], Awaitable[Outcome]]

AUTHORIZER_TIMEOUT_MS: Final = 29_000
"""How long an authorizer is waited for; the service's own limit for calls (6.20)."""
