"""``POST /_socketstack/expect``: what a SAM template needs is there before it comes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_world import EngineWorld, running_engine

_TEMPLATE = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineWorld]:
    """An engine that expects a template; when it has stopped, none of its processes is left."""
    with running_engine(tmp_path) as engine:
        assert engine.own("POST", "expect") == (200, {})
        waiting = translators(engine)
        yield engine
    assert len(waiting) == 1
    assert not Path(f"/proc/{waiting[0]}").exists()


def translators(engine: EngineWorld) -> list[int]:
    """The engine's processes that translate templates, or wait for one."""
    pid = engine.own("GET", "health")[1]["pid"]
    children = [
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
    ]
    return [c for c in children if b"sam_child" in Path(f"/proc/{c}/cmdline").read_bytes()]


def test_template_goes_to_the_process_that_waits(engine: EngineWorld) -> None:
    """It ends with its work, and no other was started; the stack is made as ever."""
    formation = engine.client("cloudformation")
    formation.create_stack(
        StackName="expected",
        TemplateBody=json.dumps(_TEMPLATE),
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )

    (stack,) = formation.describe_stacks(StackName="expected")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert translators(engine) == []


def test_template_that_never_comes_leaves_nothing(engine: EngineWorld) -> None:
    """The engine stops with its process still waiting; saying it twice starts no second one."""
    assert engine.own("POST", "expect") == (200, {})

    assert len(translators(engine)) == 1
