"""Findings as people read them, and as machines do."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text

from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Finding, Severity

_MARKS: Final = {
    Severity.ERROR: ("error", "bold red"),
    Severity.UNKNOWN: ("unknown", "bold yellow"),
    Severity.WARNING: ("warning", "yellow"),
    Severity.NOTE: ("note", "cyan"),
    Severity.OK: ("ok", "green"),
}
_MARK_WIDTH: Final = 8


def lines(api: Api, findings: Sequence[Finding]) -> Iterator[Text]:
    """The report, worst findings first."""
    stage = f", stage {api.stage.name}" if api.stage else ""
    yield Text(f"API {api.api_id} ({api.name}) in {api.region}{stage}", "bold")
    order = list(Severity)
    for finding in sorted(findings, key=lambda one: order.index(one.severity)):
        yield from _finding(finding)
    yield Text(summary(findings), "bold")


def _finding(finding: Finding) -> Iterator[Text]:
    mark, style = _MARKS[finding.severity]
    yield Text.assemble((f"{mark:<{_MARK_WIDTH}}", style), finding.what)
    indent = " " * _MARK_WIDTH
    if finding.why:
        yield Text(f"{indent}why  {finding.why}")
    if finding.fix:
        yield Text(f"{indent}fix  {finding.fix}")
    if finding.severity in {Severity.ERROR, Severity.UNKNOWN, Severity.WARNING}:
        yield Text(f"{indent}more {finding.link}", "dim")


def summary(findings: Sequence[Finding]) -> str:
    """One line: how many of what."""
    counts = {kind: sum(one.severity is kind for one in findings) for kind in Severity}
    named = [
        f"{counts[kind]} {kind}{'' if counts[kind] == 1 else 's'}"
        for kind in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    ]
    if counts[Severity.UNKNOWN]:
        named.insert(1, f"{counts[Severity.UNKNOWN]} unknown")
    return f"{', '.join(named)}, {counts[Severity.OK]} passed"


def as_json(api: Api, findings: Sequence[Finding]) -> str:
    """The report for machines."""
    document = {
        "api": api.api_id,
        "stage": api.stage.name if api.stage else None,
        "isHealthy": is_healthy(findings),
        "findings": [finding.as_json() for finding in findings],
    }
    return json.dumps(document, indent=2)


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong and nothing unknown; warnings and notes do not count."""
    bad = {Severity.ERROR, Severity.UNKNOWN}
    return not any(finding.severity in bad for finding in findings)
