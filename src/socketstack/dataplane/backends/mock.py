"""MOCK: the status that the request itself names, without any backend.

Rules: 5.54, 5.55.
"""

import re
from http import HTTPStatus
from typing import Final

from socketstack.core.causes import Cause
from socketstack.core.jsontext import read_json
from socketstack.core.replies import FrameMessage, Rejection
from socketstack.dataplane.backends.base import BackendAnswer, BackendOutcome, BackendRequest

_LENIENT: Final = re.compile(r"\s*\{\s*['\"]?statusCode['\"]?\s*:\s*(\d{3})\s*[,}]")
"""As API Gateway's own reader has it: names without quotes, a comma too many."""
_STATUSES: Final = range(100, 600)


class MockBackend:
    """Answers by what it was sent."""

    async def call(self, request: BackendRequest) -> BackendOutcome:
        """The status that the rendered template names; its body is for response templates."""
        text = request.body.decode("utf-8", "replace")
        status = mock_status(text)
        if status is None:
            return Rejection(
                status=HTTPStatus.INTERNAL_SERVER_ERROR,
                message=FrameMessage.INTERNAL_SERVER_ERROR,
                reason="The request of a MOCK integration, after its template, must be JSON with "
                'a number statusCode, such as {"statusCode": 200}. Add a request template with '
                "the key $default. [5.54]",
                cause=Cause.TEMPLATE_FAILED,
            )
        return BackendAnswer(status=status, body=request.body)


def mock_status(text: str) -> int | None:
    """The status that a rendered request names; None when there is no usable one."""
    document = read_json(text)
    value: object = document.get("statusCode") if isinstance(document, dict) else None
    if not isinstance(document, dict) and (found := _LENIENT.match(text)) is not None:
        value = int(found[1])
    return value if isinstance(value, int) and value in _STATUSES else None
