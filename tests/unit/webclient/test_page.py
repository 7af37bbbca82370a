"""The page's files: nothing inline, nothing from elsewhere, two sides kept apart."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "webclient" / "static"


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    """The page works without internet."""
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")

    assert not re.search(r"https?://|//cdn|@import", text)


def test_page_has_no_inline_script_or_style() -> None:
    """The content security policy forbids both."""
    text = (STATIC / "index.html").read_text()

    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", text)


def test_every_field_has_a_label() -> None:
    """Inputs and text areas stand inside a label."""
    text = (STATIC / "index.html").read_text()
    outside = re.sub(r"<label.*?</label>", "", text, flags=re.DOTALL)

    assert not re.search(r"<(input|textarea|select)\b", outside)


def test_socket_and_page_are_kept_apart() -> None:
    """connection.js touches no DOM, page.js no socket, and no text becomes markup."""
    connection = (STATIC / "connection.js").read_text()
    page = (STATIC / "page.js").read_text()

    assert not re.search(r"\b(document|window)\.", connection)
    assert "new WebSocket" not in page
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", page)


def test_scripts_are_type_checked_modules() -> None:
    """Every script asks for type checks."""
    for path in STATIC.glob("*.js"):
        assert path.read_text().startswith("// @ts-check"), path.name
