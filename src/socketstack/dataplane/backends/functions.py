"""AWS with a function: the mapped request is its payload, its result the answer as it is.

Rules: 5.33, 5.35, 5.58.
"""

from http import HTTPStatus
from typing import Final

from socketstack.core.causes import Cause
from socketstack.core.jsontext import MISSING, read_json
from socketstack.core.model import InvokeResult
from socketstack.dataplane.backends.base import (
    AwsServices,
    BackendAnswer,
    BackendOutcome,
    BackendRequest,
)
from socketstack.dataplane.backends.services import outcome
from socketstack.dataplane.integrations import Integrations, Unreachable

_LATER: Final = "event"
_INVOCATION_TYPE: Final = "X-Amz-Invocation-Type"


class FunctionBackend:
    """Calls functions with payloads that templates made."""

    def __init__(self, integrations: Integrations, services: AwsServices) -> None:
        self._integrations = integrations
        self._services = services

    async def call(self, request: BackendRequest) -> BackendOutcome:
        """Call the function; with ``X-Amz-Invocation-Type: Event`` without waiting for it."""
        if read_json(request.body or b"{}") is MISSING:
            return Unreachable(
                "A function's payload must be JSON, and this message is none. Give the "
                "integration a request template. [5.46]",
                Cause.INTEGRATION_SETTINGS,
            )
        exchange = request.exchange
        if (request.header(_INVOCATION_TYPE) or "").lower() == _LATER:
            return await self._call_later(request)
        result = await self._integrations.invoke(
            request.uri,
            request.body,
            source_arn=exchange.source_arn,
            role_arn=exchange.integration.credentials_arn,
            variables=exchange.variables,
            timeout_ms=request.timeout_ms,
            method=exchange.integration.integration_method,
        )
        return _answer(result) if isinstance(result, InvokeResult) else result

    async def _call_later(self, request: BackendRequest) -> BackendOutcome:
        exchange = request.exchange
        function = self._integrations.function(
            request.uri,
            source_arn=exchange.source_arn,
            role_arn=exchange.integration.credentials_arn,
            variables=exchange.variables,
            method=exchange.integration.integration_method,
        )
        if isinstance(function, Unreachable):
            return function
        return outcome(await self._services.invoke_later(function, request.body))


def _answer(result: InvokeResult) -> BackendAnswer:
    if result.failure is None:
        return BackendAnswer(status=HTTPStatus.OK, body=result.payload, is_function=True)
    answer = read_json(result.payload)
    message = answer.get("errorMessage") if isinstance(answer, dict) else None
    text = message if isinstance(message, str) else ""
    return BackendAnswer(
        status=HTTPStatus.OK,
        body=result.payload,
        is_function=True,
        error_message=text,
        failure=f"The function failed ({result.failure}): {text or 'no message'}. See its log.",
    )
