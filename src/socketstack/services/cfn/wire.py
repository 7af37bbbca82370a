"""The query protocol: CloudFormation calls in, XML out, by botocore's model and moto's writers."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from socketstack.errors import ServiceError
from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.http import AwsRequest, AwsResponse

_NAMESPACE: Final = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
_FIRST_OWN_FAULT: Final = 500


def read(request: AwsRequest) -> tuple[str, dict[str, Any]]:
    """Operation and members of a call; the operation is "" when the call names none.

    Raises ``InvalidTemplate`` when a required member is missing.
    """
    from moto.core.parse import QueryParser  # noqa: PLC0415 - moto is loaded late
    from moto.core.utils import get_service_model  # noqa: PLC0415

    pairs = parse_qsl(request.query_string, keep_blank_values=True)
    pairs += parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True)
    form = dict(pairs)
    operation = form.get("Action", "")
    model = get_service_model("cloudformation")
    if operation not in model.operation_names:
        return operation, {}
    shape = model.operation_model(operation)
    members: dict[str, Any] = QueryParser(shape).parse({"values": form})  # type: ignore[typeddict-item]
    for name, member in shape.input_shape.members.items():
        if member.type_name == "list" and form.get(name) == "":
            members[name] = []  # an empty list says "none", a missing one says nothing
    for name in shape.input_shape.required_members:
        if name not in members:
            raise InvalidTemplate(
                f"1 validation error detected: Value null at '{name[0].lower()}{name[1:]}' failed "
                "to satisfy constraint: Member must not be null"
            )
    return operation, members


def answer(operation: str, result: Mapping[str, Any], request_id: str) -> AwsResponse:
    """A successful answer."""
    from moto.core.serialize import QuerySerializer, SerializationContext  # noqa: PLC0415
    from moto.core.utils import get_service_model  # noqa: PLC0415 - moto is loaded late

    shape = get_service_model("cloudformation").operation_model(operation)
    context = SerializationContext(request_id)
    body = QuerySerializer(shape, context=context).serialize(dict(result))["body"]
    return _response(200, body, request_id)


def refusal(error: ServiceError, request_id: str) -> AwsResponse:
    """An error answer."""
    side = "Receiver" if error.status >= _FIRST_OWN_FAULT else "Sender"
    body = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{side}</Type>'
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return _response(error.status, body, request_id)


def _response(status: int, body: str | bytes, request_id: str) -> AwsResponse:
    content = body.encode() if isinstance(body, str) else body
    return AwsResponse(
        status=status,
        headers=(
            ("Content-Type", "text/xml"),
            ("Content-Length", str(len(content))),
            ("x-amzn-RequestId", request_id),
        ),
        body=content,
    )
