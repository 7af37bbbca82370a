import pytest

from socketstack.controlplane.members import is_nothing, mapping, text, texts, words


@pytest.mark.parametrize(
    ("member", "expected"),
    [("Name", "name"), ("AuthorizerType", "authorizer type"), ("ApiId", "api id")],
)
def test_member_names_read_as_words(member: str, expected: str) -> None:
    """Members appear in messages as AWS writes them."""
    assert words(member) == expected


def test_absent_members_read_as_empty() -> None:
    """A missing or null member is empty in the type that was asked for."""
    assert text({"A": None}, "A") == ""
    assert mapping({}, "A") == {}
    assert texts({}, "A") == []


@pytest.mark.parametrize("value", ["", [], {}])
def test_empty_values_clear(value: object) -> None:
    """Empty texts, lists and maps mean that a member goes."""
    assert is_nothing(value)


@pytest.mark.parametrize("value", [0, False, 0.0, "0"])
def test_zero_and_false_do_not_clear(value: object) -> None:
    """Zero and false are values like any other."""
    assert not is_nothing(value)
