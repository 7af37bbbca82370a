"""Live folders over the engine's own address: what is taken, and what changes nothing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_world import EngineWorld, running_engine

from socketstack.kit.up import up

_TEMPLATE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: far
      Code: source
      Handler: handler.handle
      Runtime: python3.13
      Role: !GetAtt Role.Arn
"""


def _source(answer: str) -> str:
    return f"def handle(event, context):\n    return {answer!r}\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineWorld]:
    """An engine of us-east-1 with a function that answers ``deployed``."""
    with running_engine(tmp_path / "engine") as engine:
        engine.make_function("near", _source("deployed"))
        yield engine


def _call(engine: EngineWorld, function: str, **options: Any) -> object:
    answer = engine.client("lambda", **options).invoke(FunctionName=function)
    return json.loads(answer["Payload"].read())


@pytest.mark.parametrize(
    ("name", "prefix", "reason"),
    [
        pytest.param("nobody", "", "no function 'nobody' is deployed", id="unknown-function"),
        pytest.param("near", "../../../..", "leads out of the package", id="prefix-above"),
        pytest.param("near", "/", "leads out of the package", id="prefix-root"),
    ],
)
def test_refused_folder_changes_no_function(
    engine: EngineWorld, tmp_path: Path, name: str, prefix: str, reason: str
) -> None:
    """A refusal says why, and the next call runs what was deployed."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "handler.py").write_text(_source("saved"))
    folders = [{"source": str(source), "prefix": prefix}]

    status, answer = engine.own("POST", "live", {"functions": {"near": [], name: folders}})
    (source / "handler.py").write_text(_source("saved again"))

    assert status == 400
    assert reason in answer["message"]
    assert _call(engine, "near") == "deployed"


def test_stack_in_another_region_is_live_too(
    engine: EngineWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``up`` to a region that is not the engine's makes the functions there live."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    handler = tmp_path / "source" / "handler.py"
    handler.write_text(_source("deployed"))
    (tmp_path / "template.yaml").write_text(_TEMPLATE)
    said: list[str] = []
    up(
        tmp_path / "template.yaml",
        stack_name="far",
        settings=replace(engine.settings, region="eu-west-1"),
        say=said.append,
    )
    before = _call(engine, "far", region_name="eu-west-1")

    handler.write_text(_source("saved"))

    assert before == "deployed"
    assert _call(engine, "far", region_name="eu-west-1") == "saved"
    assert not [line for line in said if "not live" in line]
