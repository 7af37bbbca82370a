"""The wire format: JSON requests to records, records and errors to JSON answers.

This is the only place where ``routeKey`` and ``RouteKey`` meet. It renames and converts along
the shapes of the service model; whether a value is acceptable is for ``conform`` and
``checks``. Rules: 1.02 to 1.06, 1.11.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from socketstack.core.model import Json, Record
from socketstack.errors import BadRequest, ServiceError

CONTENT_TYPE: Final = "application/json"
ERROR_HEADER: Final = "x-amzn-ErrorType"
_NO_CONTENT: Final = 204


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def decode(
    operation: OperationModel,
    labels: Mapping[str, str],
    query: Iterable[tuple[str, str]],
    body: bytes,
) -> Record:
    """A request's parameters as the service model names them.

    Args:
        operation: What the request line means.
        labels: Decoded parts of the path, by wire name.
        query: Decoded query pairs in the order sent.
        body: The raw body; may be empty.

    Returns:
        PascalCase members. JSON nulls and members that the model does not know are left out,
        as restJson1 asks of servers. Values of a wrong type are passed on as they are.

    Raises:
        BadRequest: the body is not a JSON object in UTF-8.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    pairs = list(query)
    document = _document(body)
    parameters: Record = {}
    for member, member_shape in shape.members.items():
        location = member_shape.serialization.get("location", "body")
        name = wire_name(member, member_shape)
        value: object = None
        if location == "uri":
            value = labels.get(name)
        elif location == "querystring":
            value = _query_value(member_shape, [text for key, text in pairs if key == name])
        elif document.get(name) is not None:
            value = from_wire(member_shape, document[name])
        if value is not None:
            parameters[member] = value
    return parameters


def encode(operation: OperationModel, result: Record) -> Answer:
    """A result as HTTP answer, with the status code the model gives. Rules 1.03, 1.04."""
    status = operation.http["responseCode"]
    if status == _NO_CONTENT:
        return Answer(status, {}, b"")
    shape = operation.output_shape
    document = {} if shape is None else to_wire(shape, result)
    return Answer(status, {"Content-Type": CONTENT_TYPE}, json.dumps(document).encode())


def encode_error(error: ServiceError) -> Answer:
    """An error as HTTP answer; its name travels in a header. Rules 1.05, 1.06."""
    document = {"message": error.message, **error.members}
    headers = {"Content-Type": CONTENT_TYPE, ERROR_HEADER: error.code}
    return Answer(error.status, headers, json.dumps(document).encode())


def wire_name(member: str, shape: Shape) -> str:
    """How a member is called in JSON, path or query. Rule 1.02."""
    name = shape.serialization.get("name", member)
    return str(name)


def from_wire(shape: Shape, value: Any) -> object:
    """A JSON value as the model's member; what does not fit the shape stays as it is."""
    match shape:
        case StructureShape() if isinstance(value, dict):
            return {
                member: from_wire(member_shape, value[wire_name(member, member_shape)])
                for member, member_shape in shape.members.items()
                if value.get(wire_name(member, member_shape)) is not None
            }
        case MapShape() if isinstance(value, dict):
            return {key: from_wire(shape.value, item) for key, item in value.items()}
        case ListShape() if isinstance(value, list):
            return [from_wire(shape.member, item) for item in value]
        case _ if shape.type_name == "timestamp" and isinstance(value, str):
            return _moment(value)
        case _:
            return value


def to_wire(shape: Shape, value: Any) -> Json:
    """A member as JSON value; members the shape does not know, and None, are left out."""
    match shape:
        case StructureShape():
            return {
                wire_name(member, member_shape): to_wire(member_shape, value[member])
                for member, member_shape in shape.members.items()
                if value.get(member) is not None
            }
        case MapShape():
            return {str(key): to_wire(shape.value, item) for key, item in value.items()}
        case ListShape():
            return [to_wire(shape.member, item) for item in value]
        case _ if isinstance(value, datetime):
            return _iso(value)
        case _:
            plain: Json = value
            return plain


def _moment(text: str) -> object:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _iso(moment: datetime) -> str:
    """ISO 8601 in UTC with the suffix that AWS uses. Rule 1.11."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _query_value(shape: Shape, values: list[str]) -> object:
    if not values:
        return None
    return values if isinstance(shape, ListShape) else values[-1]


def _document(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("Could not parse request body into json: it is not JSON.") from error
    if not isinstance(document, dict):
        raise BadRequest("Could not parse request body into json: it is not a JSON object.")
    return document
