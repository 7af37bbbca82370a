"""Lambda's ``Invoke``: over the Runner, for clients and for moto's own services."""

import base64
import json
import logging
import re
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote

from socketstack.clock import Clock, SystemClock
from socketstack.core.model import InvokeResult
from socketstack.errors import FunctionNotFound, FunctionThrottled, FunctionUnavailable
from socketstack.ids import Ids, RandomIds
from socketstack.runner.base import FunctionCatalog, Runner
from socketstack.services import replies, targets
from socketstack.services.deliveries import Deliveries
from socketstack.services.destinations import Destinations, RoleMay, Tell
from socketstack.services.event_queue import EventQueue
from socketstack.services.event_settings import EventSettings
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.inner_calls import InnerCalls
from socketstack.services.moto_app import MotoApp
from socketstack.services.references import FunctionReference, read_reference
from socketstack.services.rule_targets import RuleTargets

REQUEST_MAX_BYTES: Final = 6_291_556
EVENT_MAX_BYTES: Final = 1_048_576
RESPONSE_MAX_BYTES: Final = 6_291_556

_PATH: Final = re.compile(r"/2015-03-31/functions/([^/]+)/invocations/?")
_SERVICE: Final = "lambda"

_logger = logging.getLogger(__name__)


class EventFunctions(FunctionCatalog, Protocol):
    """A catalog that also knows how the events of its functions are tried."""

    def event_settings(self, name_or_arn: str) -> EventSettings:
        """The settings of a function; the defaults for one that does not exist."""
        ...


class InvokeApi:
    """``POST /2015-03-31/functions/{FunctionName}/invocations``.

    Made on the running event loop, it also takes over the calls that moto's own services make.
    Client and engine errors have Lambda's names, statuses and words. One differs: what cannot run
    here is InvalidRuntimeException with status 400, where AWS has 502, which SDKs would try again.
    """

    def __init__(
        self,
        runner: Runner,
        functions: EventFunctions,
        app: MotoApp,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        tell: Tell = _logger.warning,
        may: RoleMay | None = None,
    ) -> None:
        """``tell`` hears of events that reach nobody; ``may`` is None where roles are not asked."""
        self._runner = runner
        self._functions = functions
        self._app = app
        self._ids = ids or RandomIds()
        clock = clock or SystemClock()
        deliveries = Deliveries(app.handle, self._put_event)
        self._destinations = Destinations(
            deliveries, clock=clock, ids=self._ids, tell=tell, may=may
        )
        self.events = EventQueue(
            runner, clock, settings_of=functions.event_settings, take=self._destinations.take
        )
        self.targets = RuleTargets(functions, deliveries, put_event=self._put_event, tell=tell)
        self._inner_calls = InnerCalls(
            app=app, runner=runner, events=self.events, targets=self.targets, clock=clock
        )

    async def handle(self, request: AwsRequest) -> AwsResponse:
        """Answer one Invoke; raises nothing but ``CancelledError``."""
        try:
            return await self._invoke(request)
        except _Refused as refused:
            return self._refusal(request, refused)
        except FunctionNotFound as missing:
            return self._refusal(request, _Refused(404, "ResourceNotFoundException", str(missing)))
        except FunctionThrottled:
            return self._refusal(request, _rate_exceeded())
        except FunctionUnavailable as unavailable:
            problem = _Refused(400, "InvalidRuntimeException", str(unavailable))
            return self._refusal(request, problem)
        except Exception:  # the border to the runner: whatever it raises becomes an answer
            _logger.exception("An invocation failed: %s", request.path)
            problem = _Refused(500, "ServiceException", "The engine failed; see its log.")
            return self._refusal(request, problem)

    async def stop(self) -> None:
        """Give up events that wait or run."""
        await self._inner_calls.stop()
        await self.targets.stop()
        await self.events.stop()

    def _put_event(self, function: str, payload: bytes) -> bool:
        return self.events.put(function, payload)

    async def _invoke(self, request: AwsRequest) -> AwsResponse:
        reference = self._reference(request)
        kind = request.header("X-Amz-Invocation-Type") or "RequestResponse"
        payload = _payload(request, EVENT_MAX_BYTES if kind == "Event" else REQUEST_MAX_BYTES)
        function = self._functions.find(reference.arn)
        match kind:
            case "DryRun":
                return self._answer(request, 204, {})
            case "Event":
                if not self.events.put(reference.arn, payload):
                    raise _rate_exceeded()
                return self._answer(request, 202, {})
            case "RequestResponse":
                result = await self._runner.invoke(function.invoked_arn, payload)
                return self._result(request, result)
            case _:
                raise _Refused(
                    400,
                    "InvalidParameterValueException",
                    f"The invocation type {kind!r} is none of RequestResponse, Event, DryRun.",
                )

    def _reference(self, request: AwsRequest) -> FunctionReference:
        match = _PATH.fullmatch(request.path)
        if match is None:
            raise _Refused(404, "ResourceNotFoundException", f"No operation at {request.path}.")
        text = unquote(match[1])
        region = targets.region_of(request, self._app.region)
        named = read_reference(text, region=region, account_id=self._app.account_id)
        if named is None:
            raise _Refused(
                400, "ValidationException", f"{text!r} at 'functionName' names no function."
            )
        qualifier = parse_qs(request.query_string).get("Qualifier", [None])[0]
        if qualifier and named.qualifier and qualifier != named.qualifier:
            raise _Refused(
                400,
                "InvalidParameterValueException",
                "The derived qualifier from the function name does not match the specified "
                "qualifier.",
            )
        return FunctionReference(
            region=named.region,
            account_id=named.account_id,
            name=named.name,
            qualifier=named.qualifier or qualifier,
            partition=named.partition,
        )

    def _result(self, request: AwsRequest, result: InvokeResult) -> AwsResponse:
        headers = {"X-Amz-Executed-Version": result.executed_version}
        payload = result.payload
        is_failure = result.failure is not None
        if len(payload) > RESPONSE_MAX_BYTES:
            is_failure = True
            payload = json.dumps(
                {
                    "errorType": "Function.ResponseSizeTooLarge",
                    "errorMessage": "Response payload size exceeded maximum allowed payload size "
                    f"({RESPONSE_MAX_BYTES} bytes).",
                }
            ).encode()
        if is_failure:
            # AWS says Unhandled of everything a runtime reports, exceptions included.
            headers["X-Amz-Function-Error"] = "Unhandled"
        if request.header("X-Amz-Log-Type") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(result.log_tail).decode()
        return self._answer(request, 200, headers, payload)

    def _answer(
        self, request: AwsRequest, status: int, headers: dict[str, str], body: bytes = b""
    ) -> AwsResponse:
        headers = {"x-amzn-RequestId": self._ids.uuid(), **headers}
        if body:
            headers["Content-Type"] = "application/json"
        return replies.response(request, status, headers, body)

    def _refusal(self, request: AwsRequest, refused: "_Refused") -> AwsResponse:
        return replies.error(
            request,
            service=_SERVICE,
            status=refused.status,
            code=refused.code,
            message=refused.message,
            request_id=self._ids.uuid(),
        )


class _Refused(Exception):  # noqa: N818 - an answer, not a failure
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def _rate_exceeded() -> _Refused:
    return _Refused(429, "TooManyRequestsException", "Rate Exceeded.")


def _payload(request: AwsRequest, limit_bytes: int) -> bytes:
    if len(request.body) > limit_bytes:
        raise _Refused(
            413,
            "RequestTooLargeException",
            f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation",
        )
    if not request.body:
        return b"{}"
    try:
        json.loads(request.body, parse_constant=_no_json)
    except (ValueError, RecursionError) as problem:
        raise _Refused(
            400,
            "InvalidRequestContentException",
            f"Could not parse request body into json: {problem}",
        ) from None
    return request.body


def _no_json(constant: str) -> None:
    # Python reads NaN and Infinity; Lambda does not.
    raise ValueError(f"Unrecognized token '{constant}'")
