"""Calling the other services through their own APIs, in process and without a socket.

A resource type is made the way AWS's own handlers make it: by the service's operations. botocore's
models write the request and read the answer, so what CloudFormation makes is what any client
would have made, checks and refusals included.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from socketstack.errors import GatewayError
from socketstack.services.http import AwsRequest, AwsResponse

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel

Send = Callable[[AwsRequest], Awaitable[AwsResponse]]

_PROTOCOLS: Final = ("json", "rest-json", "rest-xml", "query")
_FIRST_REFUSAL: Final = 300
_GLOBAL_SERVICES: Final = frozenset({"iam"})
_CALLER: Final = "CLOUDFORMATION000000"


class CallRefused(GatewayError):  # noqa: N818 - what the service did
    """A service said no; ``code`` is its error name."""

    def __init__(self, message: str, *, service: str, operation: str, code: str) -> None:
        super().__init__(
            f"{message} (Service: {service}, Operation: {operation}, Error Code: {code})"
        )
        self.code = code

    @property
    def is_missing(self) -> bool:
        """Whether the thing that was named does not exist."""
        return any(
            part in self.code
            for part in ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "404")
        )


class Services:
    """The APIs of the other services, as the caller of one region."""

    def __init__(self, send: Send, region: str) -> None:
        self._send = send
        self.region = region

    async def call(self, service: str, operation: str, /, **members: Any) -> dict[str, Any]:
        """Call one operation; members that are None are left out.

        Raises ``CallRefused`` when the service refuses, also when the members do not fit the
        operation.
        """
        model = _model(service)
        shape = model.operation_model(operation)
        given = {name: value for name, value in members.items() if value is not None}
        _validate(shape, given)
        response = await self._send(self._request(model, shape, given))
        return _read(model, shape, response)

    def _request(
        self, model: "ServiceModel", shape: "OperationModel", members: dict[str, Any]
    ) -> AwsRequest:
        service = str(model.service_name)
        request = create_serializer(_protocol(model)).serialize_to_request(members, shape)
        bucket = members.get("Bucket") if service == "s3" else None
        if bucket and "{Bucket}" not in shape.http["requestUri"]:
            request["url_path"] = f"/{bucket}{request['url_path']}".rstrip("/")
        prefix = model.endpoint_prefix
        host = (
            f"{prefix}.amazonaws.com"
            if service in _GLOBAL_SERVICES
            else f"{prefix}.{self.region}.amazonaws.com"
        )
        prepare_request_dict(request, endpoint_url=f"https://{host}", context={})
        prepared = create_request_object(request).prepare()
        url = urlsplit(prepared.url)
        headers = {str(k): _text(v) for k, v in prepared.headers.items()}
        headers["Host"] = host
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={_CALLER}/20200101/{self.region}/"
            f"{model.signing_name}/aws4_request, SignedHeaders=host, Signature=local"
        )
        body = prepared.body or b""
        return AwsRequest(
            method=prepared.method,
            host=host,
            path=url.path or "/",
            query_string=url.query,
            headers=tuple(headers.items()),
            body=body.encode() if isinstance(body, str) else bytes(body),
        )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _model(service: str) -> "ServiceModel":
    # moto keeps the models it answers by; a second copy of each would cost megabytes.
    from moto.core.utils import get_service_model  # noqa: PLC0415

    return get_service_model(service)


def _protocol(model: "ServiceModel") -> str:
    spoken = model.metadata.get("protocols", [model.metadata["protocol"]])
    return next(protocol for protocol in _PROTOCOLS if protocol in spoken)


def _validate(shape: "OperationModel", members: dict[str, Any]) -> None:
    if shape.input_shape is None:
        return
    report = ParamValidator().validate(members, shape.input_shape)
    if report.has_errors():
        raise CallRefused(
            report.generate_report(),
            service=str(shape.service_model.service_name),
            operation=str(shape.name),
            code="ParamValidation",
        )


def _read(model: "ServiceModel", shape: "OperationModel", response: AwsResponse) -> dict[str, Any]:
    answer: dict[str, Any] = create_parser(_protocol(model)).parse(
        {
            "status_code": response.status,
            "headers": {name.lower(): value for name, value in response.headers},
            "body": response.body,
        },
        shape.output_shape,  # type: ignore[arg-type]  # None is fine, says its code
    )
    if response.status >= _FIRST_REFUSAL:
        error = answer.get("Error", {})
        raise CallRefused(
            str(error.get("Message") or response.body.decode(errors="replace")[:200]),
            service=str(model.service_name),
            operation=str(shape.name),
            code=str(error.get("Code") or response.status),
        )
    return answer
