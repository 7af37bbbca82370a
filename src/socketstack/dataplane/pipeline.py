"""Integrations of all types: the short way for Lambda proxies, the long one for all others.

A Lambda proxy integration gets its event as it is. Everything else is in ``mapped``, which is
loaded with the first call or model that needs it: an engine without them does not pay for it.

Rules: 1.51, 5.36, 5.49, 5.69, 5.74.
"""

import base64
import binascii
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from socketstack.core.causes import Cause
from socketstack.core.model import IntegrationType
from socketstack.core.replies import FrameMessage, Rejection
from socketstack.dataplane.exchange import Exchange, Result
from socketstack.dataplane.integrations import Integrations, Outcome

if TYPE_CHECKING:
    from socketstack.dataplane.backends.base import AwsServices
    from socketstack.dataplane.mapped import MappedCalls

_TO_BINARY: Final = "CONVERT_TO_BINARY"


class Pipeline:
    """Calls integrations. ``stop`` ends what runs for it."""

    def __init__(
        self,
        *,
        integrations: Integrations,
        services: "AwsServices | None",
        ca_bundle: Callable[[], Path] | None,
        own_port: int | None,
    ) -> None:
        """Make it.

        Args:
            integrations: Calls functions.
            services: The AWS services that integrations reach; None refuses all of them.
            ca_bundle: Gives the file of authorities that HTTP backends may rely on, besides the
                system's; asked by the first call of one.
            own_port: The engine's own port on this machine, which no integration calls.
        """
        self._integrations = integrations
        self._services = services
        self._ca_bundle = ca_bundle
        self._own_port = own_port
        self._mapped: MappedCalls | None = None

    async def call(self, exchange: Exchange) -> Result:
        """Have an event answered by its route's integration."""
        if exchange.route.model_selection_expression is not None:
            rejection = await self._mapping().models.rejection(exchange)
            if rejection is not None:
                return rejection
        if exchange.integration.integration_type is IntegrationType.AWS_PROXY:
            return await self._call_proxy(exchange)
        return await self._mapping().call(exchange)

    def starts(self, exchange: Exchange, done: Callable[[Outcome | Exception], None]) -> bool:
        """Have an event answered without a task where that is possible, and tell ``done``.

        That is so for Lambda proxies whose events need neither a model nor a conversion, which
        is most of what an engine does. False, and nothing done, for all others: ``call`` them.
        """
        integration = exchange.integration
        if (
            integration.integration_type is not IntegrationType.AWS_PROXY
            or exchange.route.model_selection_expression is not None
            or integration.content_handling_strategy == _TO_BINARY
        ):
            return False
        self._integrations.start(
            integration,
            exchange.payload(),
            source_arn=exchange.source_arn,
            variables=exchange.variables,
            done=done,
        )
        return True

    async def stop(self) -> None:
        """Close connections and end workers."""
        if self._mapped is not None:
            await self._mapped.stop()

    def _mapping(self) -> "MappedCalls":
        if self._mapped is None:
            from socketstack.dataplane.mapped import MappedCalls  # noqa: PLC0415 - as said above

            self._mapped = MappedCalls(
                integrations=self._integrations,
                services=self._services,
                ca_bundle=self._ca_bundle,
                own_port=self._own_port,
            )
        return self._mapped

    async def _call_proxy(self, exchange: Exchange) -> Result:
        if exchange.integration.content_handling_strategy == _TO_BINARY:
            try:
                base64.b64decode(exchange.body, validate=True)
            except (binascii.Error, ValueError) as error:
                return Rejection(
                    status=HTTPStatus.INTERNAL_SERVER_ERROR,
                    message=FrameMessage.INTERNAL_SERVER_ERROR,
                    reason=f"CONVERT_TO_BINARY needs base64, and this is none: {error}. [5.69]",
                    cause=Cause.CONTENT_HANDLING,
                )
            exchange = exchange._replace(event={**exchange.event, "isBase64Encoded": True})
        return await self._integrations.call(
            exchange.integration,
            exchange.payload(),
            source_arn=exchange.source_arn,
            variables=exchange.variables,
        )
