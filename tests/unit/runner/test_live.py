import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from fakes import FakeClock

from socketstack.runner.base import LiveFolder
from socketstack.runner.live import LOOK_AGAIN_SECONDS, LiveCode, Roots

Watched = Callable[[LiveFolder], LiveCode]


@pytest.fixture
def clock() -> FakeClock:
    """Time stands still: what is noticed at once was not noticed by waiting."""
    return FakeClock()


@pytest.fixture
def watched(clock: FakeClock) -> Iterator[Watched]:
    """Makes live code of one folder."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(closing(LiveCode([folder], clock)))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source folder with two files."""
    folder = tmp_path / "source"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.py").write_text("a = 1")
    (folder / "inner" / "b.py").write_text("b = 1")
    return folder


@pytest.fixture
def deployed(tmp_path: Path) -> Roots:
    """An unpacked package with the same two files and a library, and a layer."""
    task, layers = tmp_path / "task", tmp_path / "layers"
    for path in (task / "inner" / "b.py", task / "a.py", task / "library.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("deployed")
    (layers / "python").mkdir(parents=True)
    (layers / "python" / "shared.py").write_text("deployed")
    return Roots(task=task, layers=layers)


def contents(folder: Path) -> dict[str, str]:
    """Path and text of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_untouched_source_is_as_deployed(source: Path, watched: Watched) -> None:
    """Looking at a source twice gives the same state."""
    live = watched(LiveFolder(source=source))

    assert live.is_as_deployed(live.signature())


@pytest.mark.parametrize("change", ["text", "same-size", "added", "deleted", "replaced", "inner"])
def test_any_change_is_noticed(source: Path, change: str, watched: Watched) -> None:
    """Whatever happens to a file, the state of the source is another one."""
    live = watched(LiveFolder(source=source))
    file = source / "a.py"
    os.utime(file, ns=(0, 0))
    before = live.signature()

    match change:
        case "text":
            file.write_text("a = 100")
        case "same-size":
            file.write_text("a = 2")
        case "added":
            (source / "new.py").touch()
        case "deleted":
            file.unlink()
        case "replaced":
            (source / "other").write_text("a = 3")
            (source / "other").replace(file)
        case "inner":
            (source / "inner" / "b.py").write_text("b = 100")
        case _:
            pytest.fail(change)

    assert live.signature() != before
    assert live.changes(before, live.signature())


@pytest.mark.parametrize("name", ["__pycache__/a.pyc", ".git/index", "node_modules/x.js", ".a.swp"])
def test_what_no_function_needs_is_left_out(source: Path, name: str, watched: Watched) -> None:
    """Caches, hidden files and foreign packages are not watched."""
    live = watched(LiveFolder(source=source))

    (source / name).parent.mkdir(exist_ok=True)
    (source / name).touch()

    assert live.is_as_deployed(live.signature())


def test_generation_has_package_and_sources_as_they_are_now(
    source: Path, deployed: Roots, tmp_path: Path, watched: Watched
) -> None:
    """Changed, new and deleted sources show; what was only built in stays."""
    live = watched(LiveFolder(source=source))
    (source / "a.py").write_text("a = 2")
    (source / "inner" / "b.py").unlink()
    (source / "new.py").write_text("new")

    roots = live.generation(deployed, tmp_path / "1", live.signature())

    assert contents(roots.task) == {"a.py": "a = 2", "library.py": "deployed", "new.py": "new"}
    assert roots.layers == deployed.layers
    assert contents(deployed.task)["a.py"] == "deployed"


def test_file_that_came_and_went_is_in_no_later_generation(
    source: Path, deployed: Roots, tmp_path: Path, watched: Watched
) -> None:
    """A source added after the deployment and deleted again is gone for good."""
    live = watched(LiveFolder(source=source))
    (source / "library.py").write_text("mine for a while")
    live.generation(deployed, tmp_path / "1", live.signature())
    (source / "library.py").unlink()

    roots = live.generation(deployed, tmp_path / "2", live.signature())

    assert "library.py" not in contents(roots.task)


def test_file_that_became_a_folder_is_replaced(
    source: Path, deployed: Roots, tmp_path: Path, watched: Watched
) -> None:
    """A module that becomes a package of the same place does not stop the reload."""
    live = watched(LiveFolder(source=source))
    (source / "a.py").unlink()
    (source / "a.py").mkdir()
    (source / "a.py" / "inside").write_text("x")

    roots = live.generation(deployed, tmp_path / "1", live.signature())

    assert contents(roots.task)["a.py/inside"] == "x"


def test_prefix_places_the_source_inside_the_package(
    source: Path, deployed: Roots, tmp_path: Path, watched: Watched
) -> None:
    """A source with a prefix is laid over that folder of the package."""
    live = watched(LiveFolder(source=source / "inner", prefix="inner"))
    (source / "inner" / "b.py").write_text("b = 2")

    roots = live.generation(deployed, tmp_path / "1", live.signature())

    assert contents(roots.task) == {
        "a.py": "deployed",
        "inner/b.py": "b = 2",
        "library.py": "deployed",
    }


def test_prefix_of_a_layer_places_the_source_there(
    source: Path, deployed: Roots, tmp_path: Path, watched: Watched
) -> None:
    """A source with a prefix that only the layers have is laid over the layers."""
    live = watched(LiveFolder(source=source / "inner", prefix="python"))

    roots = live.generation(deployed, tmp_path / "1", live.signature())

    assert contents(roots.layers) == {"python/b.py": "b = 1", "python/shared.py": "deployed"}
    assert contents(roots.task) == contents(deployed.task)
    assert contents(deployed.layers) == {"python/shared.py": "deployed"}


def test_source_with_a_circle_of_links_is_read(source: Path, watched: Watched) -> None:
    """A link that leads back to its own folder does not trap the look."""
    (source / "circle").symlink_to(source)

    live = watched(LiveFolder(source=source))

    assert [state[0] for state in live.signature()[0]] == ["a.py", "inner/b.py"]


def test_missing_source_has_no_files(tmp_path: Path, watched: Watched) -> None:
    """A source folder that is gone is a folder without files."""
    live = watched(LiveFolder(source=tmp_path / "gone"))

    assert live.signature() == ((),)


def test_unchanged_source_is_not_looked_at_again(
    source: Path, watched: Watched, clock: FakeClock
) -> None:
    """Nothing is read while the system says that nothing changed, and all of it now and then."""
    live = watched(LiveFolder(source=source))
    before = live.signature()

    at_once = live.signature()
    clock.advance(LOOK_AGAIN_SECONDS)
    later = live.signature()

    assert at_once is before
    assert later == before
    assert later is not before


def test_change_behind_a_link_is_noticed(source: Path, watched: Watched, tmp_path: Path) -> None:
    """A file that lies elsewhere and is linked into the source is looked at every time."""
    (tmp_path / "elsewhere.py").write_text("a = 1")
    (source / "linked.py").symlink_to(tmp_path / "elsewhere.py")
    live = watched(LiveFolder(source=source))
    before = live.signature()

    (tmp_path / "elsewhere.py").write_text("a = 100")

    assert live.changes(before, live.signature()) == ["linked.py"]


def test_change_in_a_new_folder_is_noticed(source: Path, watched: Watched) -> None:
    """A folder that was made later is watched as well."""
    live = watched(LiveFolder(source=source))
    (source / "later").mkdir()
    before = live.signature()

    (source / "later" / "c.py").touch()

    assert live.changes(before, live.signature()) == ["later/c.py"]
