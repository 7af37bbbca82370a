import pytest

from socketstack.core.jsontext import MISSING, Missing, read_json
from socketstack.core.model import Json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"a": [1, null]}', {"a": [1, None]}, id="object"),
        pytest.param("null", None, id="null-is-a-value"),
        pytest.param(b'"\xc3\xa4"', "ä", id="bytes"),
        pytest.param(b'{"a": "\xc3\xa4"}', {"a": "ä"}, id="object-in-bytes"),
        pytest.param('{"a": 1}'.encode("utf-16-le"), {"a": 1}, id="object-in-utf-16"),
        pytest.param(b"{", MISSING, id="half-an-object-in-bytes"),
        pytest.param('{"a": 1} \n', {"a": 1}, id="white-space-after"),
        pytest.param(' {"a": 1}', {"a": 1}, id="white-space-before"),
        pytest.param('{"a": 1} x', MISSING, id="something-after"),
        pytest.param('{"a": 1}{}', MISSING, id="two-objects"),
        pytest.param('{"a": NaN}', MISSING, id="nan-in-an-object"),
        pytest.param('{"a":' * 100_000, MISSING, id="too-deep"),
        pytest.param("", MISSING, id="empty"),
        pytest.param("hello", MISSING, id="not-json"),
        pytest.param('{"a": 1} x', MISSING, id="something-behind"),
        pytest.param(b"\xff\xfe\xfd", MISSING, id="not-text"),
        pytest.param("NaN", MISSING, id="nan"),
        pytest.param("[Infinity, -Infinity]", MISSING, id="infinity"),
        pytest.param("9" * 5000, MISSING, id="number-too-long-to-read"),
        pytest.param("[" * 100_000, MISSING, id="nested-too-deep"),
    ],
)
def test_read_json_gives_a_value_or_missing(text: str | bytes, value: Json | Missing) -> None:
    """JSON text is read as strictly as the standard has it; anything else is missing."""
    read = read_json(text)

    assert read == value
