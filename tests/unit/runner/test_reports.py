import json

import pytest

from socketstack.runner.reports import (
    Figures,
    end_lines,
    exit_lines,
    exit_payload,
    exit_reason,
    iso_time,
    start_line,
    timeout_line,
    timeout_payload,
)

NOW_MS = 1_700_000_000_123
FIGURES = Figures(duration_ms=12.345, memory_mb=128, peak_mb=36)


def test_lines_around_a_call_are_lambdas() -> None:
    """START, END and REPORT lines have the form that log readers know."""
    start = start_line("id-1", "$LATEST", NOW_MS, is_json=False)
    end, report = end_lines("id-1", FIGURES, NOW_MS, is_json=False)

    assert start == "START RequestId: id-1 Version: $LATEST"
    assert end == "END RequestId: id-1"
    assert report == (
        "REPORT RequestId: id-1\tDuration: 12.35 ms\tBilled Duration: 13 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 36 MB\t"
    )


def test_report_names_init_status_and_error_when_there_are_any() -> None:
    """A cold or failed call says so at the end of its REPORT line."""
    figures = Figures(
        duration_ms=3000,
        memory_mb=128,
        peak_mb=36,
        init_ms=101.5,
        status="error",
        error_type="Runtime.ExitError",
    )

    _end, report = end_lines("id-1", figures, NOW_MS, is_json=False)

    assert report.endswith(
        "\tInit Duration: 101.50 ms\tStatus: error\tError Type: Runtime.ExitError\t"
    )


def test_json_lines_are_platform_events() -> None:
    """With the JSON format, start and report are objects with a type and a record."""
    start = json.loads(start_line("id-1", "7", NOW_MS, is_json=True))
    failed = Figures(
        duration_ms=12.345, memory_mb=128, peak_mb=36, init_ms=7, status="error", error_type="E"
    )
    (line,) = end_lines("id-1", failed, NOW_MS, is_json=True)
    (plain,) = end_lines("id-1", FIGURES, NOW_MS, is_json=True)

    assert start == {
        "time": "2023-11-14T22:13:20.123Z",
        "type": "platform.start",
        "record": {"requestId": "id-1", "version": "7"},
    }
    assert json.loads(line)["record"] == {
        "requestId": "id-1",
        "metrics": {
            "durationMs": 12.345,
            "billedDurationMs": 13,
            "memorySizeMB": 128,
            "maxMemoryUsedMB": 36,
            "initDurationMs": 7,
        },
        "status": "error",
        "errorType": "E",
    }
    assert json.loads(plain)["record"]["status"] == "success"


def test_timeout_is_told_in_log_and_answer() -> None:
    """A call out of time has AWS's log line and error object."""
    assert timeout_line("id-1", 3000, NOW_MS) == (
        "2023-11-14T22:13:20.123Z id-1 Task timed out after 3.00 seconds"
    )
    assert json.loads(timeout_payload("id-1", 3000)) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: id-1 Error: Task timed out after 3.00 seconds",
    }


def test_exit_is_told_in_log_and_answer() -> None:
    """A call whose process ended has AWS's log lines and error object."""
    assert exit_lines("id-1", 3) == [
        "RequestId: id-1 Error: Runtime exited with error: exit status 3",
        "Runtime.ExitError",
    ]
    assert json.loads(exit_payload("id-1", 3)) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: id-1 Error: Runtime exited with error: exit status 3",
    }


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(0, "Runtime exited without providing a reason", id="zero"),
        pytest.param(7, "Runtime exited with error: exit status 7", id="status"),
        pytest.param(-9, "Runtime exited with error: signal: killed", id="killed"),
        pytest.param(-63, "Runtime exited with error: signal: 63", id="unnamed-signal"),
    ],
)
def test_exit_reason_is_in_lambdas_words(code: int, reason: str) -> None:
    """How a process ended is said as Lambda says it."""
    assert exit_reason(code) == reason


def test_time_keeps_its_milliseconds() -> None:
    """A whole second is written with three zeros."""
    assert iso_time(1_700_000_000_000) == "2023-11-14T22:13:20.000Z"
