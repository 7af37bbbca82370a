"""JSONPath: plain paths and those that find several things."""

import pytest

from socketstack.core.jsontext import MISSING
from socketstack.core.model import Json
from socketstack.mapping.paths import PathError, read_path

DOCUMENT: Json = {
    "a": {"b": [1, {"c": "x"}], "d-e": 2, "f g": 3, "n": None},
    "items": [{"p": 1, "t": "u"}, {"p": 5, "t": "v"}],
    "größe": "m",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("$", DOCUMENT, id="root"),
        pytest.param("$.a.b[0]", 1, id="index"),
        pytest.param("$.a.b[-1].c", "x", id="negative-index"),
        pytest.param("$['a']['f g']", 3, id="brackets"),
        pytest.param('$["a"].b[1]["c"]', "x", id="mixed"),
        pytest.param("$.a.d-e", 2, id="hyphen"),
        pytest.param("$.größe", "m", id="umlaut"),
        pytest.param("a.b[0]", 1, id="without-root"),
        pytest.param("$.a.n", None, id="null"),
        pytest.param("$.a.none", MISSING, id="missing"),
        pytest.param("$.a.b[9]", MISSING, id="index-beyond"),
        pytest.param("$.items[*].p", [1, 5], id="wildcard"),
        pytest.param("$..t", ["u", "v"], id="descendants"),
        pytest.param("$.items[?(@.p > 2)].t", ["v"], id="filter"),
        pytest.param("$.items[0:1].t", ["u"], id="slice"),
        pytest.param("$.none[*]", [], id="wildcard-of-nothing"),
        pytest.param("$.items.length()", 2, id="length"),
        pytest.param("$.a.none.length()", MISSING, id="length-of-nothing"),
    ],
)
def test_path_finds(path: str, expected: object) -> None:
    """One place gives its value, several a list. 5.50, 5.61."""
    assert read_path(DOCUMENT, path) == expected


@pytest.mark.parametrize("path", ["$.a[", "$.a..", "$.(", "$.items[?("])
def test_bad_path_is_an_error(path: str) -> None:
    """What cannot be read is named."""
    with pytest.raises(PathError, match="cannot be read"):
        read_path(DOCUMENT, path)
