"""AWS with any other service: an action or a path of it, called as the integration's role.

Rules: 5.64, 5.66, 5.67.
"""

import asyncio
from typing import Final

from socketstack.core.addressing import substituted
from socketstack.core.causes import Cause
from socketstack.core.service_calls import (
    ServiceAnswer,
    ServiceCall,
    ServiceRefusal,
    parse_service_uri,
)
from socketstack.dataplane.backends.base import (
    AwsServices,
    BackendAnswer,
    BackendOutcome,
    BackendRequest,
)
from socketstack.dataplane.integrations import TimedOut, Unreachable

_CALLER: Final = "arn:aws:iam::*:user/*"


class ServiceBackend:
    """Calls AWS services."""

    def __init__(self, services: AwsServices) -> None:
        self._services = services

    async def call(self, request: BackendRequest) -> BackendOutcome:
        """Make the call that the URI names."""
        target = parse_service_uri(request.uri)
        if isinstance(target, str):
            # The URI as configured: parts of the request's own may come from a message.
            given = request.exchange.integration.integration_uri
            return Unreachable(
                f"The integration URI {given!r} cannot be called. {target} [5.66]",
                Cause.INTEGRATION_SETTINGS,
            )
        integration, variables = request.exchange.integration, request.exchange.variables
        role_arn = substituted(integration.credentials_arn or "", variables)
        if role_arn == _CALLER:
            return Unreachable(
                "Credentials of the caller are not passed on by the local engine. Name a role in "
                "CredentialsArn. [5.67]",
                Cause.ROLE_NOT_PERMITTED,
            )
        if not role_arn:
            return Unreachable(
                f"{target.service} cannot be called without a role. Name one in CredentialsArn "
                "that trusts apigateway.amazonaws.com. [5.66]",
                Cause.ROLE_NOT_PERMITTED,
            )
        call = ServiceCall(
            target=target,
            role_arn=role_arn,
            method=integration.integration_method or "POST",
            account_id=request.exchange.snapshot.account_id,
            headers=request.headers,
            query=request.query,
            body=request.body,
        )
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return outcome(await self._services.call(call))
        except TimeoutError:
            return TimedOut(request.timeout_ms)


def outcome(answer: ServiceAnswer | ServiceRefusal) -> BackendOutcome:
    """A service's answer as a backend's."""
    if isinstance(answer, ServiceRefusal):
        return Unreachable(answer.reason, Cause.ROLE_NOT_PERMITTED)
    return BackendAnswer(status=answer.status, headers=answer.headers, body=answer.body)
