import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runner_world import STARTS, World, package, runner_world

WRITE = """
    import os, pathlib, shutil, sqlite3
    def handle(event, context):
        try:
            exec(event, globals())
        except OSError as error:
            return [error.errno, error.strerror, error.filename]
        return "written"
"""


@pytest.fixture(params=STARTS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A runner with a function that runs what its event says."""
    async with runner_world(tmp_path / "work", start=request.param) as world:
        world.add(
            {"handler.py": WRITE, "data.txt": "deployed"},
            layers=(package({"python/layered.py": "NAME = 'layered'\n"}),),
        )
        yield world


@pytest.mark.parametrize(
    ("statement", "filename"),
    [
        pytest.param("open('notes.txt', 'w')", "notes.txt", id="new-file"),
        pytest.param("open('data.txt', 'a')", "data.txt", id="append"),
        pytest.param("open(b'data.txt', 'r+')", "data.txt", id="update-in-place"),
        pytest.param("os.open('x', os.O_CREAT | os.O_WRONLY)", "x", id="os-open"),
        pytest.param("pathlib.Path('folder').mkdir()", "folder", id="folder"),
        pytest.param("pathlib.Path('data.txt').unlink()", "data.txt", id="remove"),
        pytest.param("os.rename('data.txt', '/tmp/taken')", "data.txt", id="move-away"),
        pytest.param("os.symlink('/tmp', 'link')", "link", id="link"),
        pytest.param("os.truncate('data.txt', 0)", "data.txt", id="truncate"),
        pytest.param("os.chmod('data.txt', 0o777)", "data.txt", id="mode"),
    ],
)
async def test_writing_beside_the_code_is_refused(
    world: World, statement: str, filename: str
) -> None:
    """What would change the function's folder fails as on AWS, and changes nothing."""
    refused = await world.call(statement)

    kept = await world.call("assert pathlib.Path('data.txt').read_text() == 'deployed'")
    seen = await world.call(
        "assert {*os.listdir()} - {'__pycache__'} == {'data.txt', 'handler.py'}"
    )
    assert refused == [30, "Read-only file system", filename]
    assert (kept, seen) == ("written", "written")


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("os.path.dirname(__import__('layered').__file__)", id="layer"),
        pytest.param("os.environ['HOME']", id="home"),
        pytest.param("os.environ['LAMBDA_RUNTIME_DIR']", id="runtime"),
    ],
)
async def test_other_folders_of_aws_are_read_only_too(world: World, folder: str) -> None:
    """Layers, runtime and home take no files either."""
    refused = await world.call(f"open(os.path.join({folder}, 'x'), 'w')")

    assert refused[:2] == [30, "Read-only file system"]


async def test_temporary_files_are_written_and_code_is_read(world: World, tmp_path: Path) -> None:
    """A function may write below /tmp, and read what it was deployed with."""
    path = json.dumps(str(tmp_path / "mine"))

    written = await world.call(f"shutil.copyfile('data.txt', {path})")

    assert written == "written"
    assert (tmp_path / "mine").read_text() == "deployed"
