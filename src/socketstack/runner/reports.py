"""What Lambda itself says about a call: platform log lines and the error objects it makes.

Errors that the handler's own runtime reports (exceptions, imports, answers that cannot be
written as JSON) are awslambdaric's and are not made here.
"""

import json
import math
from datetime import UTC, datetime
from typing import Final, NamedTuple

from socketstack.core.model import Json

EXIT_ERROR: Final = "Runtime.ExitError"
TIMEOUT_ERROR: Final = "Sandbox.Timedout"
_MS: Final = 1000


class Figures(NamedTuple):
    """What a REPORT line tells about one call."""

    duration_ms: float
    memory_mb: int
    peak_mb: int
    init_ms: float | None = None
    """How long loading the handler took; None when the process was warm."""
    status: str = ""
    """``timeout`` or ``error``, empty for a call that ended well or raised."""
    error_type: str = ""


def iso_time(now_ms: int) -> str:
    """A time as Lambda writes it: ``2026-01-31T09:30:00.000Z``."""
    moment = datetime.fromtimestamp(now_ms / _MS, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def start_line(request_id: str, version: str, now_ms: int, *, is_json: bool) -> str:
    """The line before a call's own."""
    if is_json:
        record: dict[str, Json] = {"requestId": request_id, "version": version}
        return _platform("platform.start", now_ms, record)
    return f"START RequestId: {request_id} Version: {version}"


def end_lines(request_id: str, figures: Figures, now_ms: int, *, is_json: bool) -> list[str]:
    """The lines after a call's own."""
    if is_json:
        return [_platform("platform.report", now_ms, _report(request_id, figures))]
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {figures.duration_ms:.2f} ms\t"
        f"Billed Duration: {math.ceil(figures.duration_ms)} ms\t"
        f"Memory Size: {figures.memory_mb} MB\tMax Memory Used: {figures.peak_mb} MB\t"
    )
    if figures.init_ms is not None:
        report += f"Init Duration: {figures.init_ms:.2f} ms\t"
    if figures.status:
        report += f"Status: {figures.status}\t"
    if figures.error_type:
        report += f"Error Type: {figures.error_type}\t"
    return [f"END RequestId: {request_id}", report]


def timeout_line(request_id: str, timeout_ms: int, now_ms: int) -> str:
    """What the log says when a call ran out of time."""
    return f"{iso_time(now_ms)} {request_id} {_timed_out(timeout_ms)}"


def exit_lines(request_id: str, exit_code: int) -> list[str]:
    """What the log says when a process ended during a call."""
    return [f"RequestId: {request_id} Error: {exit_reason(exit_code)}", EXIT_ERROR]


def timeout_payload(request_id: str, timeout_ms: int) -> bytes:
    """The error object of a call that ran out of time."""
    return _error(TIMEOUT_ERROR, f"RequestId: {request_id} Error: {_timed_out(timeout_ms)}")


def exit_payload(request_id: str, exit_code: int) -> bytes:
    """The error object of a call whose process ended."""
    return _error(EXIT_ERROR, f"RequestId: {request_id} Error: {exit_reason(exit_code)}")


def exit_reason(exit_code: int) -> str:
    """How a process ended; negative codes are signals."""
    if exit_code == 0:
        return "Runtime exited without providing a reason"
    if exit_code > 0:
        return f"Runtime exited with error: exit status {exit_code}"
    return f"Runtime exited with error: signal: {_SIGNALS.get(-exit_code, str(-exit_code))}"


_SIGNALS: Final = {
    4: "illegal instruction",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    11: "segmentation fault",
    15: "terminated",
}
"""Signals in Lambda's words, which are those of the language its supervisor is written in."""


def _timed_out(timeout_ms: int) -> str:
    return f"Task timed out after {timeout_ms / _MS:.2f} seconds"


def _error(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def _platform(kind: str, now_ms: int, record: dict[str, Json]) -> str:
    return json.dumps({"time": iso_time(now_ms), "type": kind, "record": record})


def _report(request_id: str, figures: Figures) -> dict[str, Json]:
    metrics: dict[str, Json] = {
        "durationMs": round(figures.duration_ms, 3),
        "billedDurationMs": math.ceil(figures.duration_ms),
        "memorySizeMB": figures.memory_mb,
        "maxMemoryUsedMB": figures.peak_mb,
    }
    if figures.init_ms is not None:
        metrics["initDurationMs"] = round(figures.init_ms, 3)
    record: dict[str, Json] = {
        "requestId": request_id,
        "metrics": metrics,
        "status": figures.status or "success",
    }
    if figures.error_type:
        record["errorType"] = figures.error_type
    return record
