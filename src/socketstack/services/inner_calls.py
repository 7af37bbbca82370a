"""Functions that moto's own services call: through our Runner, never through Docker.

On AWS, SNS, S3, EventBridge, log subscriptions and streams do not wait for the function they
call: such a call becomes an event (of EventBridge's rules, by way of ``rule_targets``). Secrets
Manager's rotation does wait; it runs in moto's thread, and the function may well call AWS again,
so the thread is released for the time of the wait (``worker``). A queue's messages are deleted when
the function took them and come back after their visibility timeout when it did not, as on AWS.
"""

import asyncio
import functools
import json
import logging
from collections.abc import Callable
from typing import Any, Final

from socketstack.clock import Clock
from socketstack.core.model import InvokeResult
from socketstack.errors import RunnerError
from socketstack.runner.base import Runner
from socketstack.services.event_queue import EventQueue
from socketstack.services.event_settings import service_of
from socketstack.services.moto_app import MotoApp
from socketstack.services.rule_inputs import bus_event, target_input
from socketstack.services.rule_targets import RULE_TARGETS, RuleTargets
from socketstack.services.sparse_imports import moto_module

_ORDERED_SOURCES: Final = frozenset({"aws:dynamodb", "aws:kinesis"})
_POLLS: Final = 12
"""How often a failing batch of a queue is tried again here, dead letter queue or not."""

_logger = logging.getLogger(__name__)


class InnerCalls:
    """Takes over where moto calls functions. Belongs to one event loop."""

    def __init__(
        self,
        *,
        app: MotoApp,
        runner: Runner,
        events: EventQueue,
        targets: RuleTargets,
        clock: Clock,
    ) -> None:
        self._app = app
        self._runner = runner
        self._events = events
        self._targets = targets
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._polls: set[asyncio.Task[None]] = set()
        app.before_service("awslambda", self._take_functions)
        app.before_service("events", self._take_schedules)
        app.before_service("sqs", self._take_queues)

    async def stop(self) -> None:
        """Give up queues that are being polled."""
        for poll in self._polls:
            poll.cancel()
        await asyncio.gather(*self._polls, return_exceptions=True)

    # In moto's thread: replacements

    def _take_functions(self) -> None:
        models = moto_module("awslambda.models")

        def invoke(function: Any, body: str, _request_headers: Any, _headers: Any) -> bytes:
            self.put_event(function.function_arn, body)
            return b"{}"

        def invoke_and_wait(  # noqa: PLR0917 - moto calls it so
            backend: Any,
            function_name: str,
            qualifier: str | None,
            body: Any,
            headers: Any,
            response_headers: dict[str, Any],
        ) -> bytes:
            function = backend.get_function(function_name, qualifier)
            if (headers or {}).get("X-Amz-Invocation-Type") == "Event":
                self.put_event(function.function_arn, body)
                return b""
            result = self.wait_for(function.function_arn, _as_bytes(body))
            if result.failure is not None:
                response_headers["x-amz-function-error"] = "Unhandled"
            return result.payload

        models.LambdaFunction.invoke = invoke
        models.LambdaBackend.invoke = invoke_and_wait

    def _take_schedules(self) -> None:
        def invoke(_account_id: str, fn_arn: str, event: Any) -> None:
            self.put_event(fn_arn, json.dumps(event))

        moto_module("events.notifications")._invoke_lambda = invoke  # noqa: SLF001
        rule = moto_module("events.models").Rule
        send = getattr(rule.send_to_targets, "__wrapped__", rule.send_to_targets)
        rule.send_to_targets = self._with_own_targets(send)

    def _with_own_targets(self, send: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(send)
        def send_to_targets(rule: Any, event: Any, transform_input: Any = True) -> None:  # noqa: FBT002
            # moto refuses events for functions and topics, and with them all targets of the rule;
            # what queues do not take is lost; and every event goes to a rule without a pattern,
            # which is one that has a schedule.
            if not rule.event_pattern.dump():
                return
            targets = rule.targets
            own = [each for each in targets if service_of(each["Arn"]) in RULE_TARGETS]
            rule.targets = [each for each in targets if each not in own]
            try:
                send(rule, event, transform_input)
            finally:
                rule.targets = targets
            if own and rule.event_pattern.matches_event(event):
                self._app.changed()  # as in put_event
                sent = bus_event(event)
                for target in own:
                    body = target_input(target, sent)
                    put = functools.partial(self._targets.put, rule.arn, dict(target), body)
                    self._loop.call_soon_threadsafe(put)

        return send_to_targets

    def _take_queues(self) -> None:
        queue = moto_module("sqs.models").Queue
        wait = getattr(queue.wait_for_messages, "__wrapped__", queue.wait_for_messages)
        add = getattr(queue.add_message, "__wrapped__", queue.add_message)
        queue.wait_for_messages = self._released(wait)
        queue.add_message = self._with_sources(add)

    def _released(self, wait: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(wait)
        def wait_for_messages(queue: Any, timeout: int) -> None:
            # A long poll would hold up every other call for up to twenty seconds.
            with self._app.released():
                wait(queue, timeout)

        return wait_for_messages

    def _with_sources(self, add: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(add)
        def add_message(queue: Any, message: Any) -> None:
            sources, queue.lambda_event_source_mappings = queue.lambda_event_source_mappings, {}
            try:
                add(queue, message)
            finally:
                queue.lambda_event_source_mappings = sources
            for function, source in sources.items():
                if source.enabled:
                    self._loop.call_soon_threadsafe(self._start_poll, function, queue, source)

        return add_message

    # In moto's thread: calls

    def put_event(self, function: str, body: Any) -> None:
        """Have a function called soon, nobody waiting; from any thread."""
        payload = _as_bytes(body)
        # A stack that is being made changes functions and calls them in one call of moto's.
        self._app.changed()
        put = functools.partial(self._events.put, function, payload, line=_line(payload))
        self._loop.call_soon_threadsafe(put)

    def wait_for(self, function: str, payload: bytes) -> InvokeResult:
        """Call a function and wait, in a thread that is not the event loop's.

        Raises moto's own error when it cannot be started.
        """
        self._app.changed()
        call = asyncio.run_coroutine_threadsafe(self._invoke(function, payload), self._loop)
        with self._app.released():
            try:
                return call.result()
            except RunnerError as failure:
                error = moto_module("awslambda.exceptions").LambdaClientError
                raise error("ServiceException", str(failure)) from None

    async def _invoke(self, function: str, payload: bytes) -> InvokeResult:
        return await self._runner.invoke(function, payload)

    # On the event loop: queues

    def _start_poll(self, function: str, queue: Any, source: Any) -> None:
        poll = self._loop.create_task(self._poll(function, queue, source))
        self._polls.add(poll)
        poll.add_done_callback(self._polls.discard)

    async def _poll(self, function: str, queue: Any, source: Any) -> None:
        """Bring a queue's messages to its function until none is visible or all were taken."""
        for _ in range(_POLLS):
            messages = await self._app.run(functools.partial(_receive, queue, source))
            if not messages:
                return
            event = json.dumps({"Records": [_sqs_record(queue, each) for each in messages]})
            try:
                result = await self._runner.invoke(function, event.encode())
            except RunnerError as failure:
                _logger.warning("Messages of %s stay: %s", queue.name, failure)
                left = {message.id for message in messages}
            else:
                left = _left(result, messages, source)
            taken = [message for message in messages if message.id not in left]
            await self._app.run(functools.partial(_delete, queue, taken))
            if left:
                await self._clock.sleep(float(queue.visibility_timeout or 0))


def _receive(queue: Any, source: Any) -> list[Any]:
    backend = moto_module("sqs.models").sqs_backends[queue.account_id][queue.region]
    messages: list[Any] = backend.receive_message(
        queue.name, source.batch_size, 0, queue.visibility_timeout, ["All"]
    )
    return messages


def _delete(queue: Any, messages: list[Any]) -> None:
    for message in messages:
        queue.delete_message(message.receipt_handle)


def _left(result: InvokeResult, messages: list[Any], source: Any) -> set[str]:
    """Ids of the messages that the function did not take."""
    everything = {message.id for message in messages}
    if result.failure is not None:
        return everything
    if "ReportBatchItemFailures" not in (source.function_response_types or ()):
        return set()
    try:
        failures = (json.loads(result.payload) or {}).get("batchItemFailures") or []
        return {failure["itemIdentifier"] for failure in failures} & everything
    except (ValueError, KeyError, TypeError, AttributeError):
        # As on AWS: an answer that cannot be read is a failure of the whole batch.
        return everything


def _sqs_record(queue: Any, message: Any) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
        "MessageGroupId": message.group_id,
        "MessageDeduplicationId": message.deduplication_id,
        "SequenceNumber": message.sequence_number,
    }
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {name: value for name, value in attributes.items() if value is not None},
        "messageAttributes": {
            name: {
                "stringValue": value.get("StringValue"),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value.get("DataType"),
            }
            for name, value in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": queue.region,
    }


def _line(payload: bytes) -> str:
    """What keeps events in order: their stream, when they come from one."""
    try:
        record = json.loads(payload)["Records"][0]
        is_ordered = record["eventSource"] in _ORDERED_SOURCES
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return str(record.get("eventSourceARN", "")) if is_ordered else ""


def _as_bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body or b"{}"
    return (body or "{}").encode() if isinstance(body, str | None) else json.dumps(body).encode()
