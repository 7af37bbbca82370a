"""The system that the end-to-end tests share; ``TARGET`` says where it runs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import Composed, notes, system_of_target
from deployed_system import place
from example_system import System

_HERE = Path(__file__).parent
_MARKERS = {"docker": "docker", "localstack": "docker", "localstack-host": "localstack"}
"""What a target needs, by the marker of tests that need it."""
_OTHER_NEEDS = ("browser", "devcontainer", "docker", "localstack", "terraform")
_AWS = "aws"
_CHANGING_SECONDS = 900
"""How long a test may take that first changes a stack on AWS."""
_BUILDING_SECONDS = 1200
"""How long a test may take that first builds images."""


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The example system, up for the whole run."""
    system = system_of_target(tmp_path_factory.mktemp("system"))
    try:
        system.up()
        yield system
    finally:
        system.down()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the example need what their target needs, and time for the first build.

    Those that need something else besides, such as a browser, stay without: they may be skipped for
    want of that, where the target is required.
    """
    target = os.environ.get("TARGET", "")
    if target == _AWS:
        _skip_local(items)
        return
    marker = _MARKERS.get(target)
    if marker is None:
        return
    for item in items:
        if item.path.parent != _HERE:
            continue
        item.add_marker(pytest.mark.timeout(_BUILDING_SECONDS))
        if not any(item.get_closest_marker(name) for name in _OTHER_NEEDS):
            item.add_marker(marker)


def _skip_local(items: list[pytest.Item]) -> None:
    """Say of each test that a deployed stack cannot take why it does not."""
    for item in items:
        if item.path.parent != _HERE:
            continue
        item.add_marker(pytest.mark.timeout(_CHANGING_SECONDS))
        local = item.get_closest_marker("local")
        if local is not None:
            item.add_marker(pytest.mark.skip(reason=f"not with TARGET=aws: {local.args[0]}"))


def pytest_report_header() -> str | None:
    """Say which account a run with ``TARGET=aws`` uses, and at which address."""
    if os.environ.get("TARGET") != _AWS:
        return None
    name = os.environ.get("STACK_NAME") or "socketstack"
    return f"deployed stack: {name}, {place()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the containers said last with a test that fails."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed and isinstance(item, pytest.Function):
        for value in item.funcargs.values():
            if isinstance(value, Composed):
                report.sections.append(("Containers", value.logs()))
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell where the containers' base came from, when it was not here."""
    for note in notes:
        terminalreporter.write_line(f"BASE IMAGE {note}")
