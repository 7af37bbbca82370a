"""Functions' log lines on their way to CloudWatch Logs; ``log_queue`` says how."""

from collections.abc import Sequence

from socketstack.runner.base import Function, LogLine
from socketstack.services.aws_app import AwsApp
from socketstack.services.log_queue import PENDING_MAX_LINES, LogQueue
from socketstack.services.waiting_lines import Batch


class FunctionLogs:
    """Takes the lines of functions, on the event loop's thread."""

    def __init__(self, app: AwsApp) -> None:
        self._queue = LogQueue(app)

    def write(self, function: Function, stream: str, lines: Sequence[LogLine]) -> None:
        """Take lines of one log stream, in order; never waits."""
        if not lines:
            return
        batch = Batch(
            account_id=function.account_id,
            region=function.region,
            log_group=function.log_group or f"/aws/lambda/{function.name}",
            stream=stream,
            lines=tuple(lines[-PENDING_MAX_LINES:]),
        )
        self._queue.put(batch)
