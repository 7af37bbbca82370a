"""Lines of stages' access and execution logs on their way to CloudWatch Logs.

The execution log's group is API Gateway's own: it is made with the first line (9.06). The access
log's group is the user's: lines find it or are dropped. One stream takes all lines of a stage;
its name has the shape of API Gateway's.

Rules: 1.96, 9.06.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

from socketstack.controlplane.caller import Caller
from socketstack.core.model import LogDestination
from socketstack.runner.base import LogLine
from socketstack.services.aws_app import AwsApp
from socketstack.services.log_queue import LogQueue, has_group
from socketstack.services.sparse_imports import is_loaded, moto_module
from socketstack.services.waiting_lines import Batch

_LOG_GROUP: Final = re.compile(
    r"arn:[\w-]+:logs:(?P<region>[\w-]+):(?P<account>\d{12}):log-group:(?P<name>[^:]+)(:\*)?"
)
_STREAM_CHARACTERS: Final = 32


class StageLogQueue:
    """Takes the lines of stages, on the event loop's thread."""

    def __init__(self, app: AwsApp) -> None:
        self._queue = LogQueue(app)

    def write(self, destination: LogDestination, lines: Sequence[LogLine]) -> str:
        """Take lines, in order; never waits. Says why they are dropped, empty when they are not."""
        batch = _batch(destination, tuple(lines))
        if batch is None:
            return (
                f"Access log lines are dropped: {destination.access_arn} is no ARN of a log group. "
                "Set the stage's DestinationArn to one. [1.102]"
            )
        if batch.needs_group and not has_group(batch.account_id, batch.region, batch.log_group):
            return (
                f"Access log lines are dropped: there is no log group {batch.log_group} in "
                f"{batch.region}. Make it with aws logs create-log-group. [1.102]"
            )
        self._queue.put(batch)
        return ""


class AccountLogging:
    """May API Gateway write logs in this account? Rule 1.96.

    It may when a role for CloudWatch Logs is set: ``aws apigateway update-account``. What the
    role's policies allow is not looked at.
    """

    def __call__(self, caller: Caller) -> bool:
        """Whether the caller's account and region have such a role."""
        if not is_loaded("apigateway"):
            return False
        accounts: dict[str, Any] = moto_module("apigateway.models").apigateway_backends
        backend = (accounts.get(caller.account_id) or {}).get(caller.region)
        return backend is not None and bool(backend.account.cloudwatch_role_arn)


def _batch(destination: LogDestination, lines: tuple[LogLine, ...]) -> Batch | None:
    api_id, stage_name = destination.api_id, destination.stage_name
    stream = hashlib.sha256(f"{api_id}/{stage_name}".encode()).hexdigest()[:_STREAM_CHARACTERS]
    if not destination.access_arn:
        return Batch(
            account_id=destination.account_id,
            region=destination.region,
            log_group=f"/aws/apigateway/{api_id}/{stage_name}",
            stream=stream,
            lines=lines,
        )
    found = _LOG_GROUP.fullmatch(destination.access_arn)
    if found is None:
        return None
    return Batch(
        account_id=found["account"],
        region=found["region"],
        log_group=found["name"],
        stream=stream,
        lines=lines,
        needs_group=True,
    )
