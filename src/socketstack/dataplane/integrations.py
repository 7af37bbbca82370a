"""Calling what a route points to: one function per integration type, in a table.

An outcome is a function's ``InvokeResult``, or ``TimedOut``, or ``Unreachable`` with the reason.
Types that are not in the table are unreachable, never silently fine.

Rules: 2.11, 2.12, 3.26, 3.27, 5.33, 5.35, 6.20.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from socketstack.core.addressing import function_of
from socketstack.core.model import Integration, IntegrationType, InvokeResult
from socketstack.dataplane.permits import Permits
from socketstack.errors import RunnerError
from socketstack.runner.base import Runner


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The backend was not called, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The backend did not answer in time; it may still run."""

    after_ms: int


Outcome = InvokeResult | Unreachable | TimedOut


class Integrations:
    """Calls backends."""

    def __init__(self, runner: Runner, permits: Permits) -> None:
        self._runner = runner
        self._permits = permits
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
                "local engine yet. Use AWS_PROXY."
            )
        return await call(integration, payload, source_arn, variables)

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
            source_arn=None if integration.credentials_arn else source_arn,
            variables=variables,
            timeout_ms=integration.timeout_ms,
        )

    async def invoke(
        self,
        uri: str,
        payload: bytes,
        *,
        source_arn: str | None,
        variables: Mapping[str, str],
        timeout_ms: int,
    ) -> Outcome:
        """Call the function that a URI names.

        ``source_arn`` is None when a role is assumed for the call: then not the function's
        resource policy decides but the role (3.26), which cannot be verified yet: refused.
        """
        function = function_of(uri, variables)
        if function is None:
            return Unreachable(f"The integration URI {uri!r} names no function.")
        if source_arn is None:
            return Unreachable(
                f"{function} is to be called by a role, and the local engine cannot verify yet "
                "what a role may do. Leave the credentials out and permit API Gateway in the "
                "function's resource policy. [3.26]"
            )
        permission = self._permits.allows(function, source_arn)
        if not permission.is_allowed:
            return Unreachable(f"API Gateway may not call {function}: {permission.reason}")
        try:
            return await self._runner.invoke(function, payload, deadline_ms=timeout_ms)
        except TimeoutError:
            return TimedOut(timeout_ms)
        except RunnerError as error:
            return Unreachable(str(error))


_Call = Callable[[Integration, bytes, str, Mapping[str, str]], Awaitable[Outcome]]

AUTHORIZER_TIMEOUT_MS: Final = 29_000
"""How long an authorizer is waited for; the service's own limit for calls (6.20)."""
