"""What the service model states about input: presence, types, enums, lengths and ranges.

Botocore's own validator knows presence and types only; enums and the lengths that the model
keeps in the names of its shapes are checked here. Rules: 1.02, 1.13, 1.51, 1.66, 1.74.
"""

import math
import re
from typing import Final

from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

from socketstack.controlplane.members import words
from socketstack.core.model import Record
from socketstack.errors import BadRequest

_LENGTH: Final = re.compile(r"LengthBetween(\d+)And(\d+)(K?)$")
_KIBI: Final = 1024
_OPTIONAL_HERE: Final = frozenset({("CreateAuthorizer", "IdentitySource")})
"""Required by the model and optional in its text: a REQUEST authorizer needs none. 1.68"""
_LONGER_THAN_MODELLED: Final = frozenset({"Format"})
"""Access log formats may have 3 KB, the model says 1024 characters. Rule 1.102."""


def verify(operation: OperationModel, parameters: Record) -> None:
    """Refuse input that contradicts the service model.

    In updates an empty text is no violation of a length: it clears the member. Members the
    model does not know are left alone.

    Raises:
        BadRequest: naming the member and what is expected.
    """
    shape = operation.input_shape
    if shape is None:
        return
    name = operation.name
    for member in shape.required_members:
        if parameters.get(member) is None and (name, member) not in _OPTIONAL_HERE:
            # 1.66: this wording
            raise BadRequest(f"Invalid request input. {name} input is missing {words(member)}.")
    _structure(shape, parameters, "", may_clear=name.startswith("Update"))


def _structure(shape: StructureShape, value: Record, where: str, *, may_clear: bool) -> None:
    for member, member_shape in shape.members.items():
        if value.get(member) is not None:
            path = f"{where}.{member}" if where else member
            _value(member_shape, value[member], path, may_clear=may_clear)


def _value(shape: Shape, value: object, where: str, *, may_clear: bool) -> None:
    match shape:
        case StructureShape() if isinstance(value, dict):
            _structure(shape, value, where, may_clear=may_clear)
        case MapShape() if isinstance(value, dict):
            for key, item in value.items():
                _value(shape.value, item, f"{where}.{key}", may_clear=may_clear)
        case ListShape() if isinstance(value, list):
            for index, item in enumerate(value):
                _value(shape.member, item, f"{where}[{index}]", may_clear=may_clear)
        case StringShape() if isinstance(value, str):
            if value or not may_clear:
                _string(shape, value, where)
        case _:
            _scalar(shape, value, where)


def _string(shape: StringShape, value: str, where: str) -> None:
    if shape.enum and value not in shape.enum:
        valid = ", ".join(shape.enum)
        raise BadRequest(f"Invalid value {value!r} for {where}: valid values are {valid}.")
    found = _LENGTH.search(shape.name)
    if found is None or where.rsplit(".", maxsplit=1)[-1] in _LONGER_THAN_MODELLED:
        return
    low, high = int(found[1]), int(found[2]) * (_KIBI if found[3] else 1)
    if not low <= len(value) <= high:
        raise BadRequest(
            f"Invalid value for {where}: it has {len(value)} characters, {low} to {high} are "
            "allowed."
        )


def _scalar(shape: Shape, value: object, where: str) -> None:
    kind = shape.type_name
    is_right = {
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "long": isinstance(value, int) and not isinstance(value, bool),
        "double": isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value),
    }.get(kind, False)
    if not is_right:
        raise BadRequest(f"Invalid value for {where}: expected {kind}, got {_type_of(value)}.")
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if not isinstance(value, int) or low is None or high is None:
        return
    if not low <= value <= high:
        raise BadRequest(f"Invalid value {value} for {where}: {low} to {high} are allowed.")


def _type_of(value: object) -> str:
    names: dict[type, str] = {
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
        list: "list",
        dict: "structure",
    }
    return names.get(type(value), type(value).__name__)
