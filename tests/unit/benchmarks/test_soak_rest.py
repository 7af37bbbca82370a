from dataclasses import replace

import pytest

from benchmarks.soak.rest import Rest

_BEFORE = Rest(connections=0, calls=0, tasks=10, processes=9, open_files=26)


def test_as_much_as_before_or_less_is_well() -> None:
    """Something that was there before may have ended meanwhile."""
    assert list(_BEFORE.problems(_BEFORE)) == []
    assert list(replace(_BEFORE, tasks=9).problems(_BEFORE)) == []


@pytest.mark.parametrize("name", ["connections", "calls", "tasks", "processes", "open_files"])
def test_one_more_than_before_is_named(name: str) -> None:
    """A single one that stays is a leak, whatever it is."""
    was = getattr(_BEFORE, name)
    after = replace(_BEFORE, **{name: was + 1})

    assert list(after.problems(_BEFORE)) == [f"{name}: {was + 1} are left, {was} were there before"]
