"""The control plane over HTTP: bytes in, bytes out, and the one place that maps errors.

Rules: 1.01 to 1.06, 1.16. Signatures are not checked here, the credential scope only tells the
region; where they are to be checked, that happens before (``services.guard``).
"""

import logging
import re
from collections.abc import Callable
from typing import Final

from aiohttp import web

from socketstack.controlplane import rest_json
from socketstack.controlplane.caller import Caller
from socketstack.controlplane.plane import ControlPlane
from socketstack.core.model import Record
from socketstack.errors import NotImplementedYet, ServiceError

_SCOPE: Final = re.compile(
    r"(?:Credential=)?(?P<key>[^/,\s=]+)/\d{8}/(?P<region>[^/,\s]+)/[^/,\s]+/aws4_request"
)
_LOG: Final = logging.getLogger(__name__)


class ControlPlaneWeb:
    """Answers ``/v2/...`` requests.

    Args:
        plane: What carries the operations out.
        account_id: The account of callers that do not sign.
        region: The region of callers that do not sign.
        account_of: The account of callers that do, by their access key id.
        is_function: Whether an access key is a function's: functions see every ``ApiEndpoint``
            with ``wss``, as on AWS, since they put ``https`` in its place to call back.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        account_id: str = "000000000000",
        region: str = "us-east-1",
        account_of: Callable[[str], str] | None = None,
        is_function: Callable[[str], bool] = lambda _access_key_id: False,
    ) -> None:
        self._plane = plane
        self._account_of = account_of or (lambda _access_key_id: account_id)
        self._account_id = account_id
        self._region = region
        self._is_function = is_function

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request; errors become AWS's JSON errors, never an exception."""
        request_id = self._plane.ids.uuid()
        try:
            body = await request.read()
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the client left while sending: nobody reads this
        try:
            answer = self._answer(request, body)
        except ServiceError as error:
            answer = rest_json.encode_error(error)
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 - the border: log once, tell the client nothing
            _LOG.exception("%s %s failed, request %s", request.method, request.path, request_id)
            answer = rest_json.encode_error(ServiceError("Internal server error"))
        headers = {**answer.headers, "x-amzn-RequestId": request_id}
        return web.Response(status=answer.status, headers=headers, body=answer.body)

    def _answer(self, request: web.BaseRequest, body: bytes) -> rest_json.Answer:
        match = self._plane.service.match(request.method, request.rel_url.raw_path)
        if match is None:
            raise NotImplementedYet(
                f"{request.method} {request.path} is no operation of apigatewayv2."
            )
        operation = match.operation
        parameters = {}
        if self._plane.serves(operation.name):
            query = request.rel_url.query.items()
            parameters = rest_json.decode(operation, match.labels, query, body)
        signed = request.headers.get("Authorization") or request.query.get("X-Amz-Credential", "")
        scope = _SCOPE.search(signed)
        result = self._plane.call(operation.name, parameters, self._caller(scope))
        if scope is not None and self._is_function(scope["key"]):
            result = _seen_from_within(result)
        return rest_json.encode(operation, result)

    def _caller(self, scope: re.Match[str] | None) -> Caller:
        if scope is None:
            return Caller(self._account_id, self._region)
        return Caller(self._account_of(scope["key"]), scope["region"])


def _seen_from_within(result: Record) -> Record:
    """What a function reads: socket addresses as AWS gives them (1.16)."""
    items = result.get("Items")
    if isinstance(items, list):
        return {**result, "Items": [_seen_from_within(item) for item in items]}
    endpoint = result.get("ApiEndpoint")
    if not isinstance(endpoint, str):
        return result
    return {**result, "ApiEndpoint": endpoint.replace("ws://", "wss://", 1)}
