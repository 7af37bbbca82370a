"""Functions' log lines on their way to CloudWatch Logs.

Lines wait here until somebody looks: they enter moto right before any call of the logs API is
answered, so ``aws logs tail`` sees all that happened before, and a busy function costs moto's
thread nothing meanwhile. Once a subscription filter exists, lines are passed on at once.

All is bounded: the newest ``PENDING_MAX_LINES`` wait, and of each group the newest
``STREAMS_MAX`` streams with ``STREAM_MAX_EVENTS`` events each are kept.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from socketstack.runner.base import Function, LogLine
from socketstack.services.http import AwsRequest
from socketstack.services.moto_app import MotoApp
from socketstack.services.sparse_imports import moto_module

PENDING_MAX_LINES: Final = 20_000
STREAM_MAX_EVENTS: Final = 10_000
STREAMS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    account_id: str
    region: str
    log_group: str
    stream: str
    lines: tuple[LogLine, ...]


class FunctionLogs:
    """Takes lines on the event loop's thread, gives them to moto in moto's."""

    def __init__(self, app: MotoApp) -> None:
        self._app = app
        self._guard = Lock()
        self._pending: deque[_Batch] = deque()
        self._pending_lines = 0
        self._is_eager = False
        self._is_submitted = False
        app.before_calls("logs", self._before_call)

    def write(self, function: Function, stream: str, lines: Sequence[LogLine]) -> None:
        """Take lines of one log stream, in order; never waits."""
        if not lines:
            return
        batch = _Batch(
            account_id=function.account_id,
            region=function.region,
            log_group=function.log_group or f"/aws/lambda/{function.name}",
            stream=stream,
            lines=tuple(lines[-PENDING_MAX_LINES:]),
        )
        with self._guard:
            self._pending.append(batch)
            self._pending_lines += len(batch.lines)
            while self._pending_lines > PENDING_MAX_LINES:
                self._pending_lines -= len(self._pending.popleft().lines)
            is_due = self._is_eager and not self._is_submitted
            self._is_submitted |= is_due
        if is_due:
            self._app.submit(self._pass_on)

    # In moto's thread

    def _before_call(self, request: AwsRequest) -> None:
        operation = (request.header("X-Amz-Target") or "").rpartition(".")[2]
        if operation == "PutSubscriptionFilter":
            self._is_eager = True
        self._pass_on()

    def _pass_on(self) -> None:
        with self._guard:
            batches, self._pending = self._pending, deque()
            self._pending_lines = 0
            self._is_submitted = False
        if not batches:
            return
        self._app.load("logs")
        for batch in batches:
            _put(batch)


def _put(batch: _Batch) -> None:
    backend = moto_module("logs.models").logs_backends[batch.account_id][batch.region]
    backend.ensure_log_group(batch.log_group)
    group = backend.groups[batch.log_group]
    if batch.stream not in group.streams:
        group.create_log_stream(batch.stream)
        _forget_oldest(group.streams)
    # Not the backend's own method: that one drops what is older than two weeks.
    group.put_log_events(
        batch.stream,
        [
            {"timestamp": line.time_ms, "message": line.text}
            for line in sorted(batch.lines, key=lambda line: line.time_ms)
        ],
    )
    stream = group.streams[batch.stream]
    del stream.events[:-STREAM_MAX_EVENTS]


def _forget_oldest(streams: dict[str, Any]) -> None:
    while len(streams) > STREAMS_MAX:
        del streams[next(iter(streams))]
