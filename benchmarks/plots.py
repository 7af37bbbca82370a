"""Plots of a run's figures as SVG. Written by hand: the same figures give the same bytes.

``python -m benchmarks.plots bench.json FOLDER`` draws what a file holds.
"""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.figures import number

_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 76, 52
_COLOURS = ("#3b6fd4", "#d98a1f", "#2f9a58", "#a23bb5")
_TICKS = 5
_MARGIN = 12
_OPENING = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
    'aria-labelledby="t" font-family="sans-serif" font-size="12" fill="#1d2733">'
)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """What is told along one side, and where a value lies on it."""

    title: str
    is_log: bool
    least: float
    most: float

    def place(self, value: float) -> float:
        """From 0, the least value, to 1, the greatest."""
        low, high, at = self.least, self.most, value
        if self.is_log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[float]:
        """Values with a line of their own."""
        if not self.is_log:
            return [self.most * step / _TICKS for step in range(_TICKS + 1)]
        first, last = round(math.log10(self.least)), round(math.log10(self.most))
        return [10.0**power for power in range(first, last + 1)]


def axis(title: str, values: Sequence[float], *, is_log: bool) -> Axis:
    """An axis that holds all values; it begins at zero, or with a power of ten."""
    if not is_log:
        return Axis(title, is_log, 0, _rounded_up(max(values)))
    least = 10.0 ** math.floor(math.log10(min(values)))
    most = 10.0 ** math.ceil(math.log10(max(values)))
    return Axis(title, is_log, least, max(most, least * 10))


def _rounded_up(value: float) -> float:
    unit = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1
    return unit * next(step for step in (1, 2, 2.5, 5, 10) if unit * step >= value)


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture: named lines over the same axes."""

    name: str
    title: str
    x_title: str
    y_title: str
    is_log: bool

    def draw(self, lines: Mapping[str, Sequence[Point]]) -> str:
        """The whole SVG. On a scale of logarithms no value may be zero."""
        points = [point for line in lines.values() for point in line]
        x = axis(self.x_title, [at for at, _ in points], is_log=self.is_log)
        y = axis(self.y_title, [value for _, value in points], is_log=self.is_log)
        return "\n".join(
            [
                _OPENING,
                f'<title id="t">{escape(self.title)}</title>',
                f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
                f'<text x="{_LEFT}" y="26" font-size="15">{escape(self.title)}</text>',
                *_axes(x, y),
                *_lines(x, y, lines),
                "</svg>\n",
            ]
        )


PLOTS = (
    Plot("latency", "Latency of an echo", "clients", "milliseconds", is_log=True),
    Plot("memory", "Memory of idle connections", "connections", "MB", is_log=False),
)


def draw_all(figures: Iterable[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Draw the plots that figures of a report (as in its JSON) have points for."""
    lines: dict[str, dict[str, list[Point]]] = {}
    for figure in figures:
        # A latency of zero is that of no answer, and has no place on a scale of logarithms.
        if (place := figure.get("plot")) and figure["median"] > 0:
            line = lines.setdefault(place["name"], {}).setdefault(place["line"], [])
            line.append((place["x"], figure["median"]))
    drawn = []
    for plot in PLOTS:
        if plot.name in lines:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{plot.name}.svg"
            path.write_text(
                plot.draw({key: sorted(each) for key, each in lines[plot.name].items()})
            )
            drawn.append(path)
    return drawn


def _across(x: Axis, value: float) -> float:
    return _LEFT + x.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _up(y: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - y.place(value) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(x: Axis, y: Axis) -> Iterable[str]:
    bottom = _HEIGHT - _BOTTOM
    for tick in y.ticks():
        at = _up(y, tick)
        yield f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#dde4ec"/>'
        yield f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{number(tick)}</text>'
    for tick in x.ticks():
        at = _across(x, tick)
        yield f'<path d="M{at:.1f} {bottom}v5" stroke="#5b6b7f"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{number(tick)}</text>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle:g}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(x.title)}</text>'
    yield f'<text x="{_MARGIN}" y="{_TOP - 12}">{escape(y.title)}</text>'


def _lines(x: Axis, y: Axis, lines: Mapping[str, Sequence[Point]]) -> Iterable[str]:
    for place, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        spots = [(_across(x, at), _up(y, value)) for at, value in points]
        joined = " ".join(f"{across:.1f},{up:.1f}" for across, up in spots)
        yield f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for across, up in spots:
            yield f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="{colour}"/>'
        left = _LEFT + place * 150
        yield f'<rect x="{left}" y="38" width="14" height="4" fill="{colour}"/>'
        yield f'<text x="{left + 20}" y="45">{escape(name)}</text>'


if __name__ == "__main__":
    for written in draw_all(
        json.loads(Path(sys.argv[1]).read_text())["figures"], Path(sys.argv[2])
    ):
        sys.stdout.write(f"{written}\n")
