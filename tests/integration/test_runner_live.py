import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runner_world import World, eventually, is_alive, package, runner_world

from socketstack.core.model import FailureKind
from socketstack.errors import FunctionUnavailable
from socketstack.runner.base import LiveFolder
from socketstack.trace import Step

V1 = "import os\ndef handle(event, context):\n    return ['one', os.getpid()]\n"
V2 = "import os\ndef handle(event, context):\n    return ['two', os.getpid()]\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A runner whose folder also holds the sources."""
    async with runner_world(tmp_path) as world:
        yield world


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source folder with the first version of a handler."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "handler.py").write_text(V1)
    return folder


async def test_saved_change_is_there_at_the_next_call(world: World, source: Path) -> None:
    """The call after a save runs the new code, in a new process."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])
    before, old = await world.call()

    (source / "handler.py").write_text(V2)
    after, new = await world.call()

    assert (before, after) == ("one", "two")
    assert old != new
    await eventually(lambda: not is_alive(old))
    assert "echo reloaded: handler.py" in world.told(Step.FUNCTION)


async def test_every_save_counts(world: World, source: Path) -> None:
    """Ten saves in quick succession are each seen by the call that follows."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])

    seen = []
    for number in range(10):
        (source / "handler.py").write_text(f"def handle(event, context):\n    return {number}\n")
        seen.append(await world.call())

    assert seen == list(range(10))


async def test_unchanged_source_keeps_the_process(world: World, source: Path) -> None:
    """Without a save the process is used again."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])

    assert await world.call() == await world.call()


async def test_what_was_built_into_the_package_stays(world: World, source: Path) -> None:
    """A reload replaces sources only: bundled libraries are still there."""
    reader = "import library\ndef handle(event, context):\n    return library.MARK + '{}'\n"
    (source / "handler.py").write_text(reader.format(1))
    world.add({"handler.py": reader.format(1), "library.py": "MARK = 'bundled'"})
    world.runner.set_live("echo", [LiveFolder(source=source)])
    before = await world.call()

    (source / "handler.py").write_text(reader.format(2))

    assert (before, await world.call()) == ("bundled1", "bundled2")


async def test_added_and_deleted_files_come_and_go(world: World, source: Path) -> None:
    """A new module can be imported at the next call, a deleted one no longer."""
    reader = """
        import importlib.util
        def handle(event, context):
            return [importlib.util.find_spec(name) is not None for name in ("old", "new")]
    """
    world.add({"handler.py": reader, "old.py": ""})
    (source / "handler.py").unlink()
    (source / "old.py").touch()
    world.runner.set_live("echo", [LiveFolder(source=source)])
    before = await world.call()

    (source / "old.py").unlink()
    (source / "new.py").touch()

    assert before == [True, False]
    assert await world.call() == [False, True]


async def test_source_of_a_layer_is_laid_over_the_layer(world: World, tmp_path: Path) -> None:
    """A live folder with a prefix that only the layers have changes the layers."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "library.py").write_text("MARK = 'old'")
    world.add(
        """
        import library
        def handle(event, context):
            return [library.MARK, library.__file__]
        """,
        layers=(package({"python/library.py": "MARK = 'old'"}),),
    )
    world.runner.set_live("echo", [LiveFolder(source=shared, prefix="python")])
    (before, _) = await world.call()

    (shared / "library.py").write_text("MARK = 'changed'")
    after, path = await world.call()

    assert (before, after) == ("old", "changed")
    assert "/layers/python/" in path


async def test_error_in_a_save_is_reported_and_mended_by_the_next(
    world: World, source: Path
) -> None:
    """Code that cannot be loaded fails its call, and the corrected code runs."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])

    (source / "handler.py").write_text("def handle(:\n")
    broken = await world.invoke()
    (source / "handler.py").write_text(V2)

    assert broken.failure is FailureKind.UNHANDLED
    assert b"Runtime.UserCodeSyntaxError" in broken.payload
    assert (await world.call())[0] == "two"


async def test_running_call_ends_on_the_code_it_began_with(
    world: World, source: Path, tmp_path: Path
) -> None:
    """A save does not touch a call that runs; its process is retired afterwards."""
    gated = """
import os, pathlib, time
def handle(event, context):
    folder = pathlib.Path(event)
    (folder / "begun").touch()
    while not (folder / "gate").exists():
        time.sleep(0.002)
    return ["gated", os.getpid()]
"""
    (source / "handler.py").write_text(gated)
    world.add(gated)
    world.runner.set_live("echo", [LiveFolder(source=source)])
    running = asyncio.ensure_future(world.call(str(tmp_path)))
    await eventually((tmp_path / "begun").exists)

    (source / "handler.py").write_text(V2)
    word, _ = await world.call()
    (tmp_path / "gate").touch()
    old_word, old = await running

    assert (word, old_word) == ("two", "gated")
    await eventually(lambda: not is_alive(old))


async def test_old_generations_are_removed(world: World, source: Path) -> None:
    """Folders of code that no process runs any more do not pile up."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])

    for number in range(5):
        (source / "handler.py").write_text(f"def handle(event, context):\n    return {number}\n")
        await world.call()

    await eventually(lambda: len(list((tmp_live(world)).iterdir())) == 1)


def tmp_live(world: World) -> Path:
    """Where the runner keeps generations of live code."""
    return world.workdir / "functions" / "live"


async def test_other_functions_are_not_reloaded(world: World, source: Path) -> None:
    """A save of one function's source leaves the others' processes alone."""
    world.add(V1)
    world.add(V1, name="other")
    world.runner.set_live("echo", [LiveFolder(source=source)])
    before = await world.call(name="other")

    (source / "handler.py").write_text(V2)
    await world.call()

    assert await world.call(name="other") == before


async def test_source_is_never_changed(world: World, source: Path) -> None:
    """Running a function leaves no file in its source folder."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])
    (source / "handler.py").write_text(V2)

    await world.call()

    assert os.listdir(source) == ["handler.py"]  # noqa: PTH208 - in a coroutine


async def test_deployed_package_stays_as_it_was(world: World, source: Path) -> None:
    """Once nothing is live any more, the function runs what was deployed."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])
    (source / "handler.py").write_text(V2)
    changed, _ = await world.call()

    world.runner.set_live("echo", [])
    deployed, _ = await world.call()

    assert (changed, deployed) == ("two", "one")


async def test_change_that_cannot_be_copied_refuses_the_call(world: World, source: Path) -> None:
    """When a save cannot be laid over the package, the old code is not run in its place."""
    world.add(V1)
    world.runner.set_live("echo", [LiveFolder(source=source)])
    await world.call()
    in_the_way = world.workdir / "functions" / "live"
    in_the_way.touch()
    (source / "handler.py").write_text(V2)

    with pytest.raises(FunctionUnavailable, match="cannot be prepared"):
        await world.call()
    in_the_way.unlink()

    assert (await world.call())[0] == "two"
