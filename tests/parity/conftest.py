"""The parity suite: the same tests against any endpoint, and a report by rule.

Without variables they run against an engine started for the session, as in ``make test``;
``make parity`` sets them and prints the table. Whatever fails, the run goes to its end and what
was made is removed.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from parity.account import Account, Function, Stage
from parity.apis import ApiBuilder, Route
from parity.report import Report, rules_cited, seen
from parity.rules import PAGE, rules_of
from parity.target import EMBEDDED, LOCALSTACK, Target, started_here, target_from

from socketstack.kit.engine import EngineProcess
from socketstack.settings import Settings

_HERE = Path(__file__).parent
_BUILD = Path(__file__).parents[2] / ".build"
_REPORT = pytest.StashKey[Report]()
_TARGET_NAME = pytest.StashKey[str]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test here cites rules, and every rule cited has a row on the page."""
    page = rules_of(PAGE.read_text(encoding="utf-8"))
    config.stash[_REPORT] = Report(page)
    own = [item for item in items if _HERE in item.path.parents]
    silent = [item.nodeid for item in own if not rules_cited(item)]
    unknown = [
        f"{item.nodeid}: {each}" for item in own for each in rules_cited(item) if each not in page
    ]
    if silent or unknown:
        problems = [f"cites no rule: {each}" for each in silent]
        problems += [f"no such row in docs/parity.md: {each}" for each in unknown]
        raise pytest.UsageError("\n".join(problems))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Iterator[None]:
    """Count a test for its rules: once when it passed, or in the phase where it failed."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    failed_before = item.stash.get(_HAS_FAILED, False)
    if report.failed and not failed_before:
        item.stash[_HAS_FAILED] = True
        item.config.stash[_REPORT].add(rules_cited(item), failure=seen(report))
    elif report.when == "teardown" and not failed_before:
        item.config.stash[_REPORT].add(rules_cited(item), failure=None)
    return report  # type: ignore[return-value]


_HAS_FAILED = pytest.StashKey[bool]()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table where it was asked for, else only what failed."""
    report = config.stash.get(_REPORT, None)
    if report is None or not report.tests:
        return
    name = config.stash.get(_TARGET_NAME, "no target")
    is_asked_for = "PARITY_TARGET" in os.environ
    terminalreporter.section(f"parity of {name}")
    for line in report.lines():
        is_failure = "FAILED" in line
        if is_asked_for or is_failure:
            terminalreporter.write_line(line, red=is_failure)
    for note in report.notes:
        terminalreporter.write_line(f"NOT REMOVED {note}", red=True)
    terminalreporter.write_line(report.summary())
    if is_asked_for:
        terminalreporter.write_line(f"Written to {report.write(_BUILD, name)}")


@pytest.fixture(scope="session")
def target(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Target]:
    """The endpoint under test; an engine of our own is started and stopped."""
    named = target_from()
    if named is not None:
        pytestconfig.stash[_TARGET_NAME] = named.name
        yield named
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("engine")
    if os.environ.get("PARITY_TARGET") == LOCALSTACK:
        from localstack_host import localstack_on

        pytestconfig.stash[_TARGET_NAME] = LOCALSTACK
        with localstack_on(folder, port):
            yield started_here(port, LOCALSTACK)
        return
    engine = EngineProcess(Settings(port=port, state_dir=folder))
    pytestconfig.stash[_TARGET_NAME] = EMBEDDED
    engine.start()
    try:
        engine.wait()
        yield started_here(port)
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def account(target: Target, pytestconfig: pytest.Config) -> Iterator[Account]:
    """Clients and what they make, all of it removed at the end."""
    account = Account(target)
    try:
        yield account
    finally:
        account.close()
        pytestconfig.stash[_REPORT].notes += account.left_behind


@pytest.fixture(scope="session")
def worker(account: Account) -> Function:
    """The function behind most routes."""
    return account.make_function("worker")


@pytest.fixture(scope="session")
def guard(account: Account) -> Function:
    """The function behind authorizers."""
    return account.make_function("guard")


@pytest.fixture(scope="session")
def hidden(account: Account) -> Function:
    """A function that API Gateway may not call."""
    return account.make_function("hidden", is_permitted=False)


@pytest.fixture(scope="session")
def chat_api(account: Account, worker: Function) -> ApiBuilder:
    """An API with all three events, a two-way ``$default`` route and some routes by name."""
    named = ("echo", "Case", "7", "true", "[a, b]")
    return ApiBuilder(account, "chat").add(
        Route(key="$connect", function=worker),
        Route(key="$disconnect", function=worker),
        Route(key="$default", function=worker, is_two_way=True),
        Route(key="quiet", function=worker),
        *(Route(key=key, function=worker, is_two_way=True) for key in named),
    )


@pytest.fixture(scope="session")
def chat(chat_api: ApiBuilder) -> Stage:
    """Its stage without variables."""
    return chat_api.deploy()


@pytest.fixture(scope="session")
def other_stage(chat: Stage, chat_api: ApiBuilder) -> Stage:
    """Its second stage, which has variables."""
    return chat_api.deploy("other", {"colour": "red", "size": "10"})


@pytest.fixture(scope="session")
def plain(account: Account, worker: Function) -> Stage:
    """An API that has a ``$default`` route only."""
    default = Route(key="$default", function=worker, is_two_way=True)
    return ApiBuilder(account, "default-only").add(default).deploy()
