"""What people and programs read of a run: a table, and JSON."""

import json
import os
import platform
import timeit
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Verdict, number

_VERSIONED = ("aiohttp", "awslambdaric", "boto3", "moto", "socketstack")
_COLOURS = {Verdict.MET: "green", Verdict.MISSED: "red", Verdict.NONE: ""}
_WIDTH = 118


def _describe_machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "python_loop_us": round(_python_loop_us(), 1),
        "load_before": list(os.getloadavg()),
        "versions": {name: version(name) for name in _VERSIONED},
    }


def _python_loop_us() -> float:
    """Microseconds for a fixed piece of Python at its best.

    Interpreters of one version differ by half: distributions build them with a profile, version
    managers often without.
    """
    return min(timeit.repeat(_python_loop, number=1, repeat=300)) * 1e6


def _python_loop() -> None:
    made = {str(number): (number, [number]) for number in range(200)}
    sum(len(name) for name in made)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@dataclass(slots=True)
class Report:
    """Figures as they come, and what could not be measured."""

    plan: str
    figures: list[Figure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=_describe_machine)
    peers: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def as_json(self) -> dict[str, Any]:
        """Everything that is known of this run."""
        return {
            "plan": self.plan,
            "machine": {**self.machine, "load_after": list(os.getloadavg())},
            "peers": self.peers,
            "figures": [figure.as_json() for figure in self.figures],
            "problems": self.problems,
        }

    def show(self, console: Console) -> None:
        """One table, and what is missing in it."""
        console.print(_table(self.figures, self._title()))
        for problem in self.problems:
            console.print(f"not measured: {problem}", style="yellow", markup=False)

    def _title(self) -> str:
        machine = self.machine
        load = " ".join(f"{value:.1f}" for value in machine["load_before"])
        return (
            f"{machine['system']}, {machine['cores']} cores, Python {machine['python']} "
            f"({machine['python_loop_us']:.0f} µs a loop), load before {load}"
        )


def _table(figures: Sequence[Figure], title: str) -> Table:
    table = Table("section", "what", "median", "", "goal", "", "spread", title=title)
    for figure in figures:
        verdict = figure.verdict
        table.add_row(
            figure.section,
            figure.what,
            number(figure.median),
            figure.unit,
            str(figure.goal or ""),
            str(verdict),
            figure.spread,
            style=_COLOURS[verdict],
        )
    return table


def console() -> Console:
    """As wide as the table, also where no terminal is."""
    return Console(width=_WIDTH)
