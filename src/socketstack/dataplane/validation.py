"""Models: whether a message may pass to its integration.

Rules: 5.36, 5.71 to 5.75.
"""

from http import HTTPStatus
from typing import Final

from socketstack.core.causes import Cause
from socketstack.core.expressions import parse
from socketstack.core.jsontext import read_json
from socketstack.core.replies import FrameMessage, Rejection
from socketstack.dataplane.exchange import Exchange
from socketstack.errors import ExpressionError
from socketstack.mapping.mapper import Mapper

_DEFAULT: Final = "$default"


class Models:
    """Checks messages."""

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper

    async def rejection(self, exchange: Exchange) -> Rejection | None:
        """Why a message may not pass; None when it may, or when the route checks none (5.71)."""
        route = exchange.route
        if route.model_selection_expression is None:
            return None
        try:
            expression = parse(route.model_selection_expression)
        except ExpressionError as error:
            return _rejected(str(error), Cause.NO_MODEL)
        key = expression.evaluate(read_json(exchange.body))
        models = route.request_models
        schema = models.get(_DEFAULT) if key is None else models.get(key, models.get(_DEFAULT))
        if schema is None:
            return _rejected(
                f"The route {route.route_key} has no model for the key {key!r}, and none for "
                "$default. Add one to RequestModels. [5.73]",
                Cause.NO_MODEL,
            )
        problem = await self._mapper.validation_error(
            schema, exchange.snapshot.models, exchange.body
        )
        if problem is None:
            return None
        return _rejected(f"{problem} [5.36]", Cause.MODEL_MISMATCH, problem)


def _rejected(reason: str, cause: Cause, validation: str = "") -> Rejection:
    return Rejection(
        status=HTTPStatus.BAD_REQUEST,
        message=FrameMessage.BAD_REQUEST_BODY,
        reason=f"The message does not match its model: {reason}",
        cause=cause,
        validation=validation,
    )
