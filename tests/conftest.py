"""What holds for the whole run: nothing is left over, and required tests are not skipped.

- A test's event loop has no task left when the test is over.
- The run ends without child processes and without more sockets than it began with.
- asyncio reports nothing about lost tasks or exceptions that nobody looked at.
- ``SOCKETSTACK_REQUIRE=terraform,browser`` turns a skip of tests with these markers into a
  failure, so that a machine that must run them cannot pass without.
"""

import asyncio
import gc
import inspect
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

_GRACE_SECONDS = 1.0
_OUTER_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
_REPORTED = ("was destroyed but it is pending", "was never retrieved", "was never awaited")

_lost: list[str] = []
_sockets_before: set[str] = set()


class _AsyncioComplaints(logging.Handler):
    """Keeps what asyncio says about tasks and futures that nobody owns."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a complaint with the test that ran at that time."""
        text = record.getMessage()
        if any(part in text for part in _REPORTED):
            _lost.append(f"{os.environ.get('PYTEST_CURRENT_TEST', 'after the run')}: {text}")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch. A ``make`` that runs the tests says nothing to those that tests run."""
    for name in _OUTER_MAKE:
        os.environ.pop(name, None)
    logging.getLogger("asyncio").addHandler(_AsyncioComplaints(logging.ERROR))
    _sockets_before.update(_open_sockets())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test that runs on an event loop the check for left tasks."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "no_task_is_left")


@pytest.fixture
async def no_task_is_left() -> AsyncIterator[None]:
    """Fail a test that ends with tasks of its own still running."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _done, left = await asyncio.wait(left, timeout=_GRACE_SECONDS)
    if left:
        pytest.fail("tasks left running: " + ", ".join(sorted(map(repr, left))))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Fail instead of skip where the environment says that a test must run."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    must_run = set(os.environ.get("SOCKETSTACK_REQUIRE", "").split(",")) - {""}
    broken = must_run & {marker.name for marker in item.iter_markers()}
    if report.skipped and broken and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"SOCKETSTACK_REQUIRE names {', '.join(broken)}, but: {reason}"
    return report  # type: ignore[return-value]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that leaves something behind."""
    gc.collect()
    leaks = [
        *(f"child process: {child}" for child in _children()),
        *(f"socket: {opened}" for opened in sorted(_open_sockets() - _sockets_before)),
        *_lost,
    ]
    if leaks:
        session.config.stash[_LEAKS] = leaks
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left behind."""
    for leak in config.stash.get(_LEAKS, []):
        terminalreporter.write_line(f"LEFT BEHIND {leak}", red=True)


_LEAKS = pytest.StashKey[list[str]]()


def _children() -> list[str]:
    """Command lines of this process's children, where the system tells (Linux)."""
    own = Path("/proc/self/task")
    if not own.is_dir():
        return []
    pids = " ".join(path.read_text() for path in own.glob("*/children")).split()
    return [f"{pid} {_command_line(pid)}" for pid in pids]


def _command_line(pid: str) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
    return text.replace("\0", " ").strip()


def _open_sockets() -> set[str]:
    """Sockets that this process has open, as the system names them (Linux)."""
    found = set()
    for path in Path("/proc/self/fd").glob("*"):
        try:
            target = str(path.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
