"""Calls with mappings: what all integrations but Lambda proxies go through.

Loaded with the first integration or model that needs it (``pipeline``).

Rules: 5.36, 5.39, 5.40, 5.46 to 5.75.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from socketstack.core.addressing import function_of
from socketstack.core.model import IntegrationType
from socketstack.core.replies import BackendResponse, Rejection
from socketstack.dataplane.backends.base import AwsServices, Backend, BackendAnswer, NoServices
from socketstack.dataplane.backends.functions import FunctionBackend
from socketstack.dataplane.backends.http import HttpBackend
from socketstack.dataplane.backends.mock import MockBackend
from socketstack.dataplane.backends.services import ServiceBackend
from socketstack.dataplane.exchange import Exchange, Result
from socketstack.dataplane.integrations import Integrations
from socketstack.dataplane.request_side import RequestSide
from socketstack.dataplane.response_side import ResponseSide
from socketstack.dataplane.validation import Models
from socketstack.mapping.mapper import WorkerMapper


class MappedCalls:
    """Calls backends with mapped requests, and checks messages against models."""

    def __init__(
        self,
        *,
        integrations: Integrations,
        services: AwsServices | None,
        ca_bundle: Callable[[], Path] | None,
        own_port: int | None,
    ) -> None:
        services = services or NoServices()
        self._mapper = WorkerMapper()
        self._http = HttpBackend(ca_bundle=ca_bundle, own_port=own_port)
        self._request_side = RequestSide(self._mapper)
        self._response_side = ResponseSide(self._mapper)
        self._function = FunctionBackend(integrations, services)
        self._service = ServiceBackend(services)
        self._mock = MockBackend()
        self.models = Models(self._mapper)

    async def call(self, exchange: Exchange) -> Result:
        """Map the request, call the backend, map its answer."""
        mapped = await self._request_side.map(exchange)
        if isinstance(mapped, Rejection):
            return mapped
        answer = await self._backend(exchange).call(mapped.request)
        if not isinstance(answer, BackendAnswer):
            return answer
        response = await self._response_side.map(mapped.request, answer)
        if isinstance(response, BackendResponse) and mapped.warnings:
            return replace(response, warnings=mapped.warnings)
        return response

    async def stop(self) -> None:
        """Close connections and end the mapping workers."""
        await self._http.stop()
        await self._mapper.stop()

    def _backend(self, exchange: Exchange) -> Backend:
        match exchange.integration.integration_type:
            case IntegrationType.HTTP | IntegrationType.HTTP_PROXY:
                return self._http
            case IntegrationType.MOCK:
                return self._mock
            case IntegrationType.AWS | IntegrationType.AWS_PROXY:
                uri = exchange.integration.integration_uri or ""
                names_function = function_of(uri, exchange.variables) is not None
                is_function = ":lambda:path/" in uri or names_function
                return self._function if is_function else self._service
            case kind:
                assert_never(kind)
