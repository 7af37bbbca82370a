import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Figure, Place
from benchmarks.plots import PLOTS, axis, draw_all

_SVG = "{http://www.w3.org/2000/svg}"


def _figure(name: str, line: str, x: float, median: float) -> dict[str, Any]:
    place = Place(name, line, x)
    return Figure("section", "what", "unit", (median,), plot=place).as_json()


@pytest.mark.parametrize(
    ("values", "is_log", "ends"),
    [
        pytest.param([3, 40], False, (0, 50), id="linear-begins-at-zero"),
        pytest.param([10_000], False, (0, 10_000), id="linear-ends-at-a-round-value"),
        pytest.param([0], False, (0, 1), id="nothing-has-an-axis-too"),
        pytest.param([1, 1_000], True, (1, 1_000), id="powers-of-ten-themselves"),
        pytest.param([0.3, 20], True, (0.1, 100), id="powers-of-ten-around"),
        pytest.param([10], True, (10, 100), id="one-value-has-a-decade"),
    ],
)
def test_axis_holds_all_values(
    values: list[float], *, is_log: bool, ends: tuple[float, float]
) -> None:
    """An axis ends at round values, and places all others between."""
    made = axis("title", values, is_log=is_log)

    assert (made.least, made.most) == pytest.approx(ends)
    assert all(0 <= made.place(value) <= 1 for value in values)
    assert made.ticks()[-1] == pytest.approx(made.most)


def test_axis_of_logarithms_gives_each_decade_the_same_room() -> None:
    """From one to ten is as far as from ten to a hundred."""
    made = axis("title", [1, 100], is_log=True)

    assert [made.place(value) for value in (1, 10, 100)] == pytest.approx([0, 0.5, 1])


def test_plots_hold_every_point_in_order(tmp_path: Path) -> None:
    """Points of a line are joined from left to right, however the figures came."""
    figures = [_figure("memory", "a <b>", x, x / 10) for x in (100, 0.5, 50)]

    (path,) = draw_all(figures, tmp_path / "new")

    svg = ET.fromstring(path.read_text())
    (line,) = svg.findall(f"{_SVG}polyline")
    places = [float(point.split(",")[0]) for point in line.attrib["points"].split()]
    assert len(places) == len(figures)
    assert places == sorted(places)
    assert "a <b>" in [text.text for text in svg.findall(f"{_SVG}text")]


def test_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    """A plot changes in the repository only when its figures do."""
    figures = [_figure("latency", "p50", x, x * 2) for x in (1, 10, 1_000)]

    (first,) = draw_all(figures, tmp_path)
    before = first.read_bytes()

    assert [path.read_bytes() for path in draw_all(reversed(figures), tmp_path)] == [before]


def test_latency_of_no_answer_is_not_drawn(tmp_path: Path) -> None:
    """Zero has no place on a scale of logarithms, and figures without a place none in a plot."""
    plain = Figure("section", "what", "unit", (1.0,)).as_json()

    assert draw_all([_figure("latency", "p50", 1, 0), plain], tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_every_plot_has_a_name_of_its_own() -> None:
    """Two of one name would be one file."""
    assert len({plot.name for plot in PLOTS}) == len(PLOTS)
