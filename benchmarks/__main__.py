"""``make bench``: measures the engine against other servers in the same run.

    BENCH=quick|full SECTIONS="echo connect" PEERS=no ENDPOINT=http://localhost:4566 make bench

Prints one table and writes ``.build/bench.json`` (``BENCH_JSON`` names another file), and
plots beside it (``BENCH_PLOTS`` names another folder). Figures of
a shared machine mean little by themselves: compare ratios of one run. A goal that is missed is
told and fails nothing; what could not be measured does.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import peers, targets
from benchmarks.plan import chosen_plan, raise_open_files
from benchmarks.plots import draw_all
from benchmarks.processes import ROOT, BenchError
from benchmarks.report import Report, console
from benchmarks.sections import COMPARED, chosen
from benchmarks.sections.base import Bench, Section


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Run the chosen sections; 1 when one of them could not be measured."""
    # Where this is set, every start of a process would compile the sources anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    plan = chosen_plan(environ)
    endpoint = environ.get("ENDPOINT") or None
    sections = chosen(environ.get("SECTIONS", ""), has_endpoint=endpoint is not None)
    report = Report(environ.get("BENCH") or "quick")
    shown = console()
    if too_few := raise_open_files(plan.idle):
        report.problems.append(too_few)
    with contextlib.ExitStack() as stack:
        ours = targets.endpoint(endpoint) if endpoint else targets.engine()
        bench = Bench(
            plan,
            stack.enter_context(ours),
            stack.enter_context(targets.bare()),
            problems=report.problems,
        )
        compared = {name: each for name, each in sections.items() if name in COMPARED}
        with contextlib.ExitStack() as peer_stack:
            if compared and environ.get("PEERS") != "no":
                shown.print("starting the other servers", style="dim")
                started = peers.start(peer_stack, report.problems)
                report.peers.update(peers.VERSIONS)
                _measure(compared, replace(bench, peers=started), report, shown)
            else:
                _measure(compared, bench, report, shown)
        rest = {name: each for name, each in sections.items() if name not in COMPARED}
        _measure(rest, bench, report, shown)
    report.show(shown)
    path = Path(environ.get("BENCH_JSON") or ROOT / ".build" / "bench.json")
    report.write(path)
    plots = Path(environ.get("BENCH_PLOTS") or path.parent)
    drawn = draw_all((figure.as_json() for figure in report.figures), plots)
    shown.print(f"Written to {', '.join(map(str, [path, *drawn]))}", style="dim")
    return 1 if report.problems else 0


def _measure(sections: Mapping[str, Section], bench: Bench, report: Report, shown: Console) -> None:
    for name, section in sections.items():
        shown.print(f"measuring {name}", style="dim")
        try:
            for figure in section(bench):
                report.figures.append(figure)
        except (BenchError, OSError, subprocess.CalledProcessError) as error:
            report.problems.append(f"{name}: {error}")


if __name__ == "__main__":
    sys.exit(main())
