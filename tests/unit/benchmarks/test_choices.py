import json
import re
import resource
from pathlib import Path

import pytest

from benchmarks.peers import VERSIONS
from benchmarks.plan import PLANS, chosen_plan, raise_open_files
from benchmarks.sections import COMPARED, SECTIONS, chosen


def test_plan_is_quick_unless_named() -> None:
    """An empty variable, as make exports it, names nothing."""
    assert chosen_plan({}) is chosen_plan({"BENCH": ""}) is PLANS["quick"]
    assert chosen_plan({"BENCH": "full"}) is PLANS["full"]


def test_unknown_plan_is_refused_with_the_known_ones() -> None:
    """A mistyped word measures nothing for half an hour."""
    with pytest.raises(SystemExit, match="BENCH is 'fast': choose one of quick, full"):
        chosen_plan({"BENCH": "fast"})


def test_all_sections_unless_named() -> None:
    """They run in the order of the table, named ones in their own."""
    assert list(chosen("", has_endpoint=False)) == list(SECTIONS)
    assert list(chosen("idle echo", has_endpoint=False)) == ["idle", "echo"]


def test_unknown_section_is_refused_with_the_known_ones() -> None:
    """The message lists what there is."""
    with pytest.raises(SystemExit, match="SECTIONS names 'ecko': known are start, local-up, echo"):
        chosen("ecko", has_endpoint=False)


def test_endpoint_has_only_sections_that_need_no_process() -> None:
    """Memory of a server that somebody else started cannot be read."""
    assert set(chosen("", has_endpoint=True)) == COMPARED
    with pytest.raises(SystemExit, match="'idle' looks at the engine's processes"):
        chosen("idle", has_endpoint=True)


def test_too_few_open_files_are_told_with_the_remedy() -> None:
    """Ten sockets are always possible; more than the system's limit are not."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_open_files(10) is None
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY:
            assert "ulimit -n" in (raise_open_files(hard + 1) or "")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_peers_are_pinned_to_exact_versions() -> None:
    """A figure is of one version; npm's ranges would make it of whichever is newest."""
    pinned = Path(__file__).parents[3] / "benchmarks/peers/offline/package.json"
    names = json.loads(pinned.read_text())["dependencies"]
    assert set(names) < set(VERSIONS)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in VERSIONS.values())
