import pytest

from socketstack.controlplane import service
from socketstack.controlplane.kinds import KINDS, OPERATIONS, Kind, parent_path

SERVICE = service.load()


def test_table_gives_five_operations_per_kind() -> None:
    """Eleven kinds make 55 operations, and the model knows each of them."""
    assert len(KINDS) == 11
    assert len(OPERATIONS) == 55
    assert set(OPERATIONS) <= SERVICE.names


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_row_names_members_of_the_model(kind: Kind) -> None:
    """Id member, defaults, merged maps and dates are members of the kind's own shape."""
    operation = SERVICE.operation(f"Get{kind.name}")
    assert operation is not None
    assert operation.output_shape is not None

    named = {kind.id_member, *kind.defaults, *kind.merged}
    named |= {member for member in (kind.created_member, kind.updated_member) if member}

    assert named <= set(operation.output_shape.members)


def test_parent_path_alternates_kind_and_id() -> None:
    """A record two levels down lies below its API and its route."""
    path = parent_path(KINDS["RouteResponse"], {"ApiId": "a1", "RouteId": "r1"})

    assert path == ("Api", "a1", "Route", "r1")
