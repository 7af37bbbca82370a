"""Log lines on their way to CloudWatch Logs.

Lines wait here until somebody looks: they enter moto right before any call of the logs API is
answered, so ``aws logs tail`` sees all that happened before, and a busy writer costs moto's
thread nothing meanwhile. Once a subscription filter exists, lines are passed on at once.

All is bounded: the newest ``PENDING_MAX_LINES`` wait, and of each group the newest
``STREAMS_MAX`` streams with ``STREAM_MAX_EVENTS`` events each are kept. What finds no room is
counted and said.
"""

import logging
from threading import Lock
from typing import Any, Final

from socketstack.services.aws_app import AwsApp
from socketstack.services.http import AwsRequest
from socketstack.services.sparse_imports import is_loaded, moto_module
from socketstack.services.waiting_lines import Batch, WaitingLines

PENDING_MAX_LINES: Final = 20_000
STREAM_MAX_EVENTS: Final = 10_000
STREAMS_MAX: Final = 200

_logger = logging.getLogger(__name__)


class LogQueue:
    """Takes lines on the event loop's thread, gives them to moto in moto's."""

    def __init__(self, app: AwsApp) -> None:
        self._app = app
        self._guard = Lock()
        self._waiting = WaitingLines(PENDING_MAX_LINES)
        self._dropped_lines = 0
        self._is_eager = False
        self._is_submitted = False
        app.before_calls("logs", self._before_call)

    def put(self, batch: Batch) -> None:
        """Take lines; never waits."""
        with self._guard:
            self._dropped_lines += self._waiting.put(batch)
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
            waiting, self._waiting = self._waiting, WaitingLines(PENDING_MAX_LINES)
            dropped, self._dropped_lines = self._dropped_lines, 0
            self._is_submitted = False
        if dropped:
            _logger.warning(
                "%d log lines are lost: %d wait at most until somebody reads logs, and the newest "
                "stay. Read them more often, for example with aws logs tail --follow.",
                dropped,
                PENDING_MAX_LINES,
            )
        if not waiting:
            return
        self._app.load("logs")
        for batch in waiting:
            _put(batch)


def has_group(account_id: str, region: str, log_group: str) -> bool:
    """Whether a log group exists. Makes no backend where there is none; from any thread."""
    if not is_loaded("logs"):
        return False
    # dict.get: the item access of these dictionaries makes what is missing.
    accounts: dict[str, Any] = moto_module("logs.models").logs_backends
    backend = (accounts.get(account_id) or {}).get(region)
    return backend is not None and log_group in backend.groups


def _put(batch: Batch) -> None:
    backend = moto_module("logs.models").logs_backends[batch.account_id][batch.region]
    if batch.needs_group and batch.log_group not in backend.groups:
        return  # deleted since the line was written, with all that stood in it
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
