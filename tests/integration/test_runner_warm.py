"""A fork of the warm parent is what a fresh process is, as far as a function can see."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from runner_world import World, eventually, is_alive, is_running, package, runner_world

from socketstack.runner.nursery import IS_POSSIBLE, ForkedChild, Nursery
from socketstack.trace import Step

pytestmark = pytest.mark.skipif(not IS_POSSIBLE, reason="this system cannot tell ends of forks")

LOOK = """
    import sys
    before = set(sys.modules)
    {statement}
    after = set(sys.modules)

    def children():
        # Which submodules a package shows as attributes.
        return sorted(
            name
            for name in sys.modules
            if "." in name
            and hasattr(sys.modules.get(name.rpartition(".")[0]), name.rpartition(".")[2])
        )

    def hidden():
        # Attributes of packages that are modules nobody imported.
        import types
        found = []
        for name, module in sorted(sys.modules.items()):
            for key, value in vars(module).items() if isinstance(module, types.ModuleType) else ():
                if isinstance(value, types.ModuleType) and value.__name__ == f"{{name}}.{{key}}":
                    if value.__name__ not in sys.modules:
                        found.append(value.__name__)
        return found

    def handle(event, context):
        return [sorted(before), sorted(after), children(), hidden()]
"""
STATEMENTS = [
    "pass",
    "import boto3",
    "import boto3; boto3.client('dynamodb')",
    "import boto3; boto3.resource('dynamodb')",
    "from boto3.dynamodb.conditions import Key",
    "from botocore.exceptions import ClientError",
    "import botocore.session",
    "import botocore",
    "import ssl",
    "import urllib.request",
    "import urllib3, six, jmespath",
    "import logging.handlers",
    "import asyncio, decimal, uuid, hashlib, concurrent.futures, tempfile, zipfile",
    "import email.message, http.client",
    "import dateutil.parser, s3transfer.manager",
    "import asyncio, ssl; import boto3",
    "import concurrent.futures; from botocore.config import Config; import boto3.session",
    "import urllib.request, queue, xml.etree.ElementTree",
    "import importlib; importlib.import_module('botocore.auth')",
]

STATE = """
    import gc, json, locale, os, signal, stat, sys, time

    def handle(event, context):
        own = {"AWS_LAMBDA_LOG_STREAM_NAME"}
        return {
            "environment": {k: v for k, v in os.environ.items() if k not in own},
            "argv": sys.argv,
            "path": sys.path,
            "main": sys.modules["__main__"].__file__,
            "flags": str(sys.flags),
            "folder": os.getcwd(),
            "leads": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
            "descriptors": len(os.listdir("/proc/self/fd")),
            "kinds": [stat.S_IFMT(os.fstat(number).st_mode) for number in (0, 1, 2)],
            "buffering": [sys.stdout.line_buffering, sys.stdout.encoding, sys.stdout.errors],
            "signals": [str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM,
                signal.SIGPIPE, signal.SIGCHLD)],
            "masked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
            "locale": locale.setlocale(locale.LC_ALL),
            "zone": time.tzname,
            "umask": [os.umask(0o22), os.umask(0o22)][0],
            "builtins": [__import__.__module__, __import__.__qualname__],
            "threads": len(os.listdir("/proc/self/task")),
        }
"""


class Pair:
    """The same function in a runner that starts processes fresh and in one that forks them."""

    def __init__(self, fresh: World, forked: World) -> None:
        self.fresh = fresh
        self.forked = forked

    async def answers(self, source: str, **members: Any) -> tuple[Any, Any]:
        """What both give."""
        found = []
        for world in (self.fresh, self.forked):
            world.add(source, **members)
            found.append(await world.call())
        return found[0], found[1]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two runners."""
    fresh, forked = tmp_path / "fresh", tmp_path / "forked"
    fresh.mkdir()
    forked.mkdir()
    async with (
        runner_world(fresh, start="fresh") as one,
        runner_world(forked, start="forked") as other,
    ):
        yield Pair(one, other)


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_loaded_modules_are_those_of_a_fresh_process(pair: Pair, statement: str) -> None:
    """Before an import and after it the same modules are there, and no more can be reached."""
    fresh, forked = await pair.answers(LOOK.format(statement=statement))

    for ours, theirs in zip(forked, fresh, strict=True):
        assert sorted(set(ours) ^ set(theirs)) == []


async def test_state_of_the_process_is_that_of_a_fresh_one(pair: Pair) -> None:
    """Environment, folder, descriptors, signals, locale: nothing tells that it was forked."""
    fresh, forked = await pair.answers(STATE, environment={"TABLE": "rows"})

    roots = (str(pair.fresh.workdir), str(pair.forked.workdir))
    assert forked == {name: _elsewhere(value, *roots) for name, value in fresh.items()}


def _elsewhere(value: Any, before: str, after: str) -> Any:
    """A value with one folder's name for another's."""
    if isinstance(value, str):
        return value.replace(before, after)
    if isinstance(value, list):
        return [_elsewhere(each, before, after) for each in value]
    if isinstance(value, dict):
        return {key: _elsewhere(each, before, after) for key, each in value.items()}
    return value


async def test_forks_share_no_random_numbers(pair: Pair) -> None:
    """Processes of one parent draw different numbers."""
    world = pair.forked
    source = "import random\ndef handle(event, context):\n    return random.random()\n"
    for name in ("one", "two"):
        world.add(source, name=name)

    assert await world.call(name="one") != await world.call(name="two")


async def test_bundled_boto3_wins_over_the_loaded_one(pair: Pair) -> None:
    """A function with a boto3 of its own, in its zip or a layer, gets that one."""
    world = pair.forked
    source = "import boto3\ndef handle(event, context):\n    return boto3.__version__\n"
    world.add({"handler.py": source, "boto3/__init__.py": "__version__ = 'own'\n"}, name="zip")
    world.add(
        source,
        name="layer",
        layers=(package({"python/boto3/__init__.py": "__version__ = 'layer'\n"}),),
    )

    assert (await world.call(name="zip"), await world.call(name="layer")) == ("own", "layer")


async def test_lost_parent_is_done_without(tmp_path: Path) -> None:
    """When the warm parent is gone its forks end, and functions are started fresh."""
    async with runner_world(tmp_path, start="forked") as world:
        world.add("import os\ndef handle(event, context):\n    return os.getpid(), os.getppid()\n")
        first, parent = await world.call()
        assert parent != os.getpid()

        os.kill(parent, 9)
        await eventually(lambda: world.told(Step.WARNING) and not is_running(first))
        await asyncio.to_thread(os.getpid)  # by now the loop has seen the fork's channel end
        second, its_parent = await world.call()

        assert its_parent == os.getpid()
        assert second != first


async def test_forks_end_with_the_engine(tmp_path: Path) -> None:
    """Nothing of a warm parent or its forks is left when the runner stops."""
    async with runner_world(tmp_path, start="forked") as world:
        world.add("import os\ndef handle(event, context):\n    return os.getpid(), os.getppid()\n")
        fork, parent = await world.call()

    assert [pid for pid in (fork, parent) if is_alive(pid)] == []


async def test_fork_that_speaks_is_known_by_its_id(tmp_path: Path) -> None:
    """What a fork says is told with its process id, whichever socket the loop reads first."""
    async with runner_world(tmp_path, start="forked") as world:
        # The order in which the loop reads is nobody's to choose: here it never reads the parent's.
        nursery = world.runner._nursery
        loop = asyncio.get_running_loop()
        assert nursery._socket is not None
        loop.remove_reader(nursery._socket)
        world.add("import os\ndef handle(event, context):\n    return os.getpid()\n")

        fork = await world.call()

        started = [e.detail["pid"] for e in world.events if "started in" in e.summary]
        assert started == [fork]
        loop.add_reader(nursery._socket, nursery.listen)


async def test_fork_is_killed_before_it_leads_its_group() -> None:
    """A fork that has not got its own session yet ends too, and nobody else does."""
    pipe = asyncio.subprocess.PIPE
    bystander = await asyncio.create_subprocess_exec("cat", stdin=pipe)
    young = await asyncio.create_subprocess_exec("cat", stdin=pipe)
    child = ForkedChild(0, Nursery(on_lost=lambda: None))
    child.born(young.pid)

    child.kill_group()

    assert await young.wait() == -signal.SIGKILL
    assert bystander.returncode is None
    bystander.terminate()
    await bystander.wait()


async def test_memory_of_the_parent_is_not_the_functions(tmp_path: Path) -> None:
    """A function that loads nothing reports what it would report in a fresh process, roughly."""
    figures = []
    for start, number in zip(("fresh", "forked"), itertools.count(), strict=False):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with runner_world(folder, start=start) as world:
            world.add("def handle(event, context):\n    return 1\n", memory_mb=512)
            await world.call()
            (report,) = [line for line in world.log() if line.startswith("REPORT")]
            figures.append(int(report.partition("Max Memory Used: ")[2].split()[0]))
            assert not [told for told in world.told(Step.FUNCTION) if "memory" in told]

    fresh, forked = figures
    assert abs(fresh - forked) < 15
