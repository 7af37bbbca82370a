"""Names that CloudFormation gives, values that must be kept, dynamic references."""

from typing import Any

import pytest
from fakes import FakeIds

from socketstack.services.cfn.calls import Services
from socketstack.services.cfn.dynamic import replaced
from socketstack.services.cfn.errors import ResourceFailed
from socketstack.services.cfn.kinds import Change, Work, require_kept
from socketstack.services.http import AwsRequest, AwsResponse


async def nobody(_: AwsRequest) -> AwsResponse:
    """No service."""
    raise AssertionError


def work(stack_name: str = "stack", logical_id: str = "Thing", **tags: str) -> Work:
    """A piece of work."""
    return Work(
        logical_id=logical_id,
        stack_name=stack_name,
        region="us-east-1",
        account_id="000000000000",
        services=Services(nobody, "us-east-1"),
        control=lambda _operation, _parameters: {},
        ids=FakeIds(),
        stack_tags=tags,
        note=lambda _physical_id: None,
    )


def test_generated_name_tells_stack_and_resource() -> None:
    """A name has the stack, the logical id and a random part."""
    assert work().name(None) == "stack-Thing-000000000001"
    assert work().name("given") == "given"


@pytest.mark.parametrize("limit", [63, 64, 75, 255])
def test_generated_name_fits_and_stays_recognizable(limit: int) -> None:
    """Long names are cut on both sides, the random part stays whole."""
    name = work("s" * 128, "L" * 200).name(None, limit=limit, is_lower=limit == 63)

    assert len(name) <= limit
    assert name.endswith("-000000000001")
    assert name.startswith("ss")
    assert "-l" in name.lower()


def test_own_tags_win_over_those_of_the_stack() -> None:
    """Tags of the stack are added to the resource's own, as list or as map."""
    assert work(a="stack", b="stack").tags({"Tags": [{"Key": "a", "Value": "own"}]}) == {
        "a": "own",
        "b": "stack",
    }
    assert work(a="stack").tags({"Tags": {"c": "own"}}) == {"a": "stack", "c": "own"}
    assert work().tag_list({}) is None


def test_change_tells_what_differs() -> None:
    """Tags are set, changed and taken away one by one."""
    change = Change(
        physical_id="p",
        old={"A": 1},
        new={"A": 2, "B": 3},
        old_tags={"gone": "1", "same": "2", "new": "3"},
        new_tags={"same": "2", "new": "4"},
    )

    assert (change.touches("A"), change.touches("B"), change.touches("C")) == (True, True, False)
    assert change.gone_tags == ["gone"]
    assert change.set_tags == {"new": "4"}


@pytest.mark.parametrize(
    ("asked", "kept", "named"),
    [
        pytest.param({"A": 1}, {"A": 2}, "property A is not kept", id="other-value"),
        pytest.param({"A": {"B": "x"}}, {"A": {}}, "property A.B is not kept", id="below"),
        pytest.param({"A": ["x", "y"]}, {"A": ["x"]}, "property A is not kept", id="shorter"),
        pytest.param({"A": ["x", "y"]}, {"A": ["x", "z"]}, "A.1 is not kept", id="in-a-list"),
        pytest.param({"A": 1}, None, "is not kept", id="nothing-there"),
    ],
)
def test_forgotten_value_is_named(asked: Any, kept: Any, named: str) -> None:
    """What a service does not give back fails the resource."""
    with pytest.raises(ResourceFailed, match=named):
        require_kept(asked, kept, "")


def test_defaults_in_the_answer_are_welcome() -> None:
    """Further members of an answer, and empty wishes, are fine."""
    require_kept({"A": 1, "L": [], "M": {}}, {"A": 1, "B": 2}, "")


@pytest.mark.parametrize(
    "reference", ["{{resolve:other:x}}", "a{{resolve:secretsmanager:x:SecretBinary}}"]
)
async def test_unsupported_dynamic_reference_is_refused(reference: str) -> None:
    """A reference that nobody resolves never reaches a resource as text."""
    with pytest.raises(ResourceFailed):
        await replaced({"a": [reference]}, Services(nobody, "us-east-1"))
