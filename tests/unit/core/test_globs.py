import pytest

from socketstack.core.globs import arn_matches, is_arn_pattern, matches

_ARN = "arn:aws:execute-api:eu-west-1:123456789012:api/prod/$connect"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        pytest.param("", "", True, id="both-empty"),
        pytest.param("", "a", False, id="empty-pattern"),
        pytest.param("*", "", True, id="star-empty"),
        pytest.param("***", "a/b:c", True, id="stars"),
        pytest.param("?", "", False, id="question-mark-empty"),
        pytest.param("a?c", "abc", True, id="question-mark"),
        pytest.param("a?c", "ac", False, id="question-mark-needs-one"),
        pytest.param("a*c", "abbbc", True, id="star-inside"),
        pytest.param("a*c", "abbbd", False, id="star-inside-no-match"),
        pytest.param("*a*b", "xxaxxaxxb", True, id="second-try"),
        pytest.param("abc", "ABC", False, id="case"),
        pytest.param("[a]", "a", False, id="brackets-are-plain"),
        pytest.param("a.c", "abc", False, id="dot-is-plain"),
        pytest.param("abc", "ab", False, id="pattern-longer"),
        pytest.param("ab", "abc", False, id="text-longer"),
    ],
)
def test_wildcards_match_as_iam_has_them(pattern: str, text: str, *, expected: bool) -> None:
    """A star stands for any run, a question mark for one character, all else for itself."""
    assert matches(pattern, text) is expected


def test_many_stars_are_decided_at_once() -> None:
    """A hostile pattern of many stars takes no more steps than pattern times text."""
    pattern = "*a" * 250

    assert not matches(pattern, "a" * 500 + "b")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("*", True, id="star"),
        pytest.param(_ARN, True, id="same"),
        pytest.param("arn:aws:execute-api:*:*:api/prod/*", True, id="parts"),
        pytest.param("arn:aws:execute-api:*:*:*", True, id="resource-star"),
        pytest.param("arn:aws:execute-api:*", False, id="star-does-not-cross-colons"),
        pytest.param("arn:aws:execute-api:eu-west-1:*:other/*", False, id="other-api"),
        pytest.param("arn:aws:s3:*:*:*", False, id="other-service"),
    ],
)
def test_arns_match_part_by_part(pattern: str, *, expected: bool) -> None:
    """A wildcard in an ARN stays between its colons."""
    assert arn_matches(pattern, _ARN) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("*", True, id="star"),
        pytest.param("arn:aws:execute-api:*:*:*", True, id="six-parts"),
        pytest.param("arn:aws:lambda:r:a:function:f:1", True, id="more-parts"),
        pytest.param("arn:aws:execute-api:*", False, id="four-parts"),
        pytest.param("api/prod/$connect", False, id="no-arn"),
    ],
)
def test_resources_are_arns_or_a_star(text: str, *, expected: bool) -> None:
    """A policy's resource is a star or has the six parts of an ARN."""
    assert is_arn_pattern(text) is expected
