"""LocalStack's Lambda runs functions by our runner: ``LAMBDA_RUNTIME_EXECUTOR=process``.

What LocalStack calls an execution environment is here only a ticket: processes, their number and
their idle time are the runner's affair, shared with the data plane. Lines of functions go to
CloudWatch Logs as they are written, so LocalStack's own handling of them is switched off.
"""

import json
from typing import Any, Final

from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.logs import LogHandler
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from socketstack.core.model import InvokeResult
from socketstack.errors import RunnerError
from socketstack.localstack.host import required_host

_HOST: Final = "localhost"


class ProcessExecutorPlugin(RuntimeExecutorPlugin):  # type: ignore[misc]
    """How LocalStack finds ``ProcessExecutor``."""

    name = "process"

    def load(self, *_args: object, **_kwargs: object) -> type["ProcessExecutor"]:
        """The executor's class."""
        _keep_logs_apart()
        return ProcessExecutor


class ProcessExecutor(RuntimeExecutor):  # type: ignore[misc]
    """One execution environment of one version."""

    def start(self, env_vars: dict[str, str]) -> None:
        """Nothing: the process starts with the call that needs it, in an environment of ours."""

    def stop(self) -> None:
        """Nothing: the runner ends processes that are idle, or of old code."""

    def get_address(self) -> str:
        """Where the environment is."""
        return _HOST

    def get_endpoint_from_executor(self) -> str:
        """Where it finds LocalStack."""
        return _HOST

    def get_runtime_endpoint(self) -> str:
        """Where it would report: processes of ours speak through a socket pair."""
        return ""

    def get_logs(self) -> str:
        """Nothing: lines are in CloudWatch Logs."""
        return ""

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Call the function once and wait for what it gives."""
        host = required_host()
        function = self._function(payload["invoked-function-arn"])
        try:
            result = host.run(host.engine.runner.invoke(function, payload["payload"].encode()))
        except RunnerError as error:
            raise StatusErrorException(str(error), payload=_as_error(error)) from error
        return _as_invocation(payload["invoke-id"], result)

    @classmethod
    def prepare_version(cls, function_version: Any) -> None:
        """Fetch a version's code; what it raises makes the version's state Failed."""
        required_host().engine.functions.prepare(function_version)

    @classmethod
    def cleanup_version(cls, function_version: Any) -> None:
        """Nothing: code is shared between versions and goes with the engine."""

    def _function(self, invoked_arn: str) -> str:
        """The ARN as it was called, unless a weighted alias chose another version."""
        own: str = self.function_version.qualified_arn
        try:
            found = required_host().engine.functions.find(invoked_arn)
        except RunnerError:
            return own
        return invoked_arn if found.version == self.function_version.id.qualifier else own


def _as_invocation(request_id: str, result: InvokeResult) -> InvocationResult:
    return InvocationResult(
        request_id=request_id,
        payload=result.payload,
        is_error=result.failure is not None,
        logs=result.log_tail.decode("utf-8", "replace") or "\n",
        executed_version=result.executed_version,
    )


def _as_error(error: RunnerError) -> bytes:
    return json.dumps({"errorType": "Runtime.Unavailable", "errorMessage": str(error)}).encode()


def _keep_logs_apart() -> None:
    def take_nothing(*_args: object) -> None:
        return

    LogHandler.start_subscriber = take_nothing
    LogHandler.add_logs = take_nothing
