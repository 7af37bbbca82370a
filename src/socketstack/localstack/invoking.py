"""Calling functions through LocalStack's own Lambda, for executors that are not ours."""

import asyncio
from typing import Final
from urllib.parse import quote

from socketstack.core.model import FailureKind, InvokeResult
from socketstack.errors import FunctionNotFound, FunctionThrottled, FunctionUnavailable
from socketstack.runner.base import Done, answer_later
from socketstack.services.aws_app import AnswersCalls
from socketstack.services.http import AwsRequest

_SCOPE_DATE: Final = "20200101"
_OK: Final = 200
_NOT_FOUND: Final = 404
_THROTTLED: Final = 429


class InvokingRunner:
    """A runner whose functions run wherever LocalStack runs them; see ``runner.base.Runner``."""

    def __init__(self, app: AnswersCalls, *, region: str) -> None:
        self._app = app
        self._region = region
        self._later: set[asyncio.Task[None]] = set()

    def submit(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None, done: Done
    ) -> None:
        """Call a function by its ARN once, and tell ``done``."""
        answer_later(self._later, self.invoke(function, payload, deadline_ms=deadline_ms), done)

    async def invoke(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None
    ) -> InvokeResult:
        """Call a function by its ARN once; a caller out of time leaves the call running."""
        call = asyncio.ensure_future(self._app.handle(self._request(function, payload)))
        seconds = None if deadline_ms is None else deadline_ms / 1000
        answer = await asyncio.wait_for(asyncio.shield(call), seconds)
        told = answer.body.decode("utf-8", "replace")
        if answer.status == _NOT_FOUND:
            raise FunctionNotFound(f"Function not found: {function}")
        if answer.status == _THROTTLED:
            raise FunctionThrottled(told)
        if answer.status != _OK:
            raise FunctionUnavailable(f"Lambda answered {answer.status}: {told}")
        is_failure = answer.header("X-Amz-Function-Error") is not None
        return InvokeResult(
            payload=answer.body,
            failure=FailureKind.HANDLED if is_failure else None,
            executed_version=answer.header("X-Amz-Executed-Version") or "$LATEST",
        )

    def _request(self, function: str, payload: bytes) -> AwsRequest:
        parts = function.split(":")
        region, account = (parts[3], parts[4]) if function.startswith("arn:") else ("", "")
        scope = f"{_SCOPE_DATE}/{region or self._region}/lambda/aws4_request"
        return AwsRequest(
            method="POST",
            host="localhost",
            path=f"/2015-03-31/functions/{quote(function, safe='')}/invocations",
            headers=(
                ("Authorization", f"AWS4-HMAC-SHA256 Credential={account or 'test'}/{scope}"),
                ("Content-Type", "application/json"),
            ),
            body=payload,
        )
