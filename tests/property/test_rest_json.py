from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.parsers import RestJSONParser
from hypothesis import given, settings
from hypothesis import strategies as st

from socketstack.controlplane import rest_json, service

SERVICE = service.load()
MOMENTS = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
SCALARS: Mapping[str, st.SearchStrategy[object]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31),
    "long": st.integers(-(2**53), 2**53),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": MOMENTS,
    "string": st.text(),
}
SHAPES = {
    name: operation.output_shape
    for name in sorted(SERVICE.names)
    if (operation := SERVICE.operation(name)) is not None
    and operation.output_shape is not None
    and "payload" not in operation.output_shape.serialization
}


def values(shape: Shape) -> st.SearchStrategy[object]:
    """Any value of a shape, optional members sometimes left out."""
    if isinstance(shape, StructureShape):
        members = {name: values(member) for name, member in shape.members.items()}
        return st.fixed_dictionaries({}, optional=members)
    if isinstance(shape, MapShape):
        return st.dictionaries(st.text(), values(shape.value), max_size=3)
    if isinstance(shape, ListShape):
        return st.lists(values(shape.member), max_size=3)
    if isinstance(shape, StringShape) and shape.enum:
        return st.sampled_from(shape.enum)
    return SCALARS[shape.type_name]


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=25)
@given(data=st.data())
def test_decode_after_encode_gives_the_same_record(name: str, data: st.DataObject) -> None:
    """Whatever an operation answers comes back from the wire unchanged."""
    shape = SHAPES[name]
    record = data.draw(values(shape))

    assert rest_json.from_wire(shape, rest_json.to_wire(shape, record)) == record


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=25)
@given(data=st.data())
def test_botocore_reads_what_encode_writes(name: str, data: st.DataObject) -> None:
    """AWS's own client parses an answer into the same members."""
    operation = SERVICE.operation(name)
    assert operation is not None
    record = data.draw(values(SHAPES[name]))
    assert isinstance(record, dict)

    answer = rest_json.encode(operation, record)
    parsed = RestJSONParser().parse(
        {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.body},
        SHAPES[name],
    )

    parsed.pop("ResponseMetadata")
    assert parsed == (record if answer.body else {})
