"""The control plane over HTTP: bytes in, bytes out, and the one place that maps errors.

Rules: 1.01 to 1.06. Signatures are not checked here, the credential scope only tells the region;
where they are to be checked, that happens before (``services.guard``).
"""

import logging
import re
from typing import Final

from aiohttp import web

from socketstack.controlplane import rest_json
from socketstack.controlplane.caller import Caller
from socketstack.controlplane.plane import ControlPlane
from socketstack.errors import NotImplementedYet, ServiceError

_SCOPE: Final = re.compile(
    r"(?:Credential=)?[^/,\s]+/\d{8}/(?P<region>[^/,\s]+)/[^/,\s]+/aws4_request"
)
_LOG: Final = logging.getLogger(__name__)


class ControlPlaneWeb:
    """Answers ``/v2/...`` requests.

    Args:
        plane: What carries the operations out.
        account_id: The account of every caller.
        region: The region of callers that do not sign.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        account_id: str = "000000000000",
        region: str = "us-east-1",
    ) -> None:
        self._plane = plane
        self._account_id = account_id
        self._region = region

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
        result = self._plane.call(operation.name, parameters, self._caller(request))
        return rest_json.encode(operation, result)

    def _caller(self, request: web.BaseRequest) -> Caller:
        signed = request.headers.get("Authorization") or request.query.get("X-Amz-Credential", "")
        scope = _SCOPE.search(signed)
        return Caller(self._account_id, scope["region"] if scope else self._region)
