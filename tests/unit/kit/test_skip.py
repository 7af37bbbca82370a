"""Durations as people write them, and skips that are refused before any engine is asked."""

from pathlib import Path

import pytest

from socketstack.errors import ConfigError
from socketstack.kit.skip import seconds, skip
from socketstack.settings import Settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("10m", 600, id="minutes"),
        pytest.param("90s", 90, id="seconds"),
        pytest.param("90", 90, id="no-unit"),
        pytest.param("1h30m", 5400, id="hours-and-minutes"),
        pytest.param("1h30m5", 5405, id="all-three"),
        pytest.param(" 1.5h ", 5400, id="fraction"),
        pytest.param("0", 0, id="zero"),
    ],
)
def test_duration_is_read(text: str, expected: float) -> None:
    """Hours, minutes and seconds, in this order; a bare number is seconds."""
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "m", "-5", "5 m", "10d", "1m1h", "1e3", "٣", "s", "nan"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    """A refusal quotes the text and shows how to write it."""
    with pytest.raises(ConfigError, match="10m, 1h30m, 90s or 90") as refused:
        seconds(text)

    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({}, "Say how far", id="nothing"),
        pytest.param({"amount": "10m", "to": "idle"}, "Say how far", id="both"),
        pytest.param({"amount": "10m", "before": "1s"}, "belong to --to", id="before-an-amount"),
        pytest.param({"amount": "10m", "connection_id": "x"}, "belong to --to", id="of-an-amount"),
        pytest.param({"to": "idle", "before": "soon"}, "no duration", id="before-unreadable"),
    ],
)
def test_unclear_skip_is_refused(tmp_path: Path, options: dict[str, str], reason: str) -> None:
    """What cannot be meant is said before an engine is looked for."""
    with pytest.raises(ConfigError, match=reason):
        skip(Settings(port=1, state_dir=tmp_path), **options)
