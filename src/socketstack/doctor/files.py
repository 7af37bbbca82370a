"""The files of a Terraform folder: which ones count, in which order, and which override others."""

import json
import re
from pathlib import Path
from typing import Final

from socketstack.doctor import hcl, hcl_json
from socketstack.doctor.hcl import Block, Body, Names, Value
from socketstack.errors import ConfigError

_NO_NAMES: Final[Names] = {}
_OVERRIDING: Final = re.compile(r"(^|_)override\.tf(\.json)?$")


def _read(path: Path) -> Body:
    try:
        text = path.read_text()
        return hcl.parse(hcl_json.as_native(text) if path.suffix == ".json" else text)
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path} cannot be read as Terraform: {problem}") from problem


def read_blocks(folder: Path) -> list[Block]:
    """The blocks of a folder's files, in native and in JSON syntax, with those that override them.

    Raises ``ConfigError`` when there are none, or one cannot be read.
    """
    files = sorted([*folder.glob("*.tf"), *folder.glob("*.tf.json")])
    if not files:
        raise ConfigError(f"{folder} has no .tf files: name the folder of a Terraform module.")
    overriding = [path for path in files if _OVERRIDING.search(path.name)]
    blocks = [block for path in files if path not in overriding for block in _read(path).blocks]
    for path in overriding:
        for block in _read(path).blocks:
            _override(blocks, block)
    return blocks


def _override(blocks: list[Block], over: Block) -> None:
    """Merge a block of an override file into the one that it means, as Terraform does.

    Its arguments take the place of those of the same name, and its nested blocks that of all of
    the same kind.
    """
    if over.kind == "locals":
        blocks.insert(0, over)  # of several, the first that has a name counts
        return
    for index, block in enumerate(blocks):
        if (block.kind, block.labels) == (over.kind, over.labels):
            blocks[index] = Block(block.kind, block.labels, _merged(block.body, over.body))
            return


def _merged(base: Body, over: Body) -> Body:
    replaced = {_nested(block) for block in over.blocks}
    kept = [block for block in base.blocks if _nested(block) not in replaced]
    return Body({**base.attributes, **over.attributes}, [*kept, *over.blocks])


def _nested(block: Block) -> str:
    """What a nested block makes, also one that is ``dynamic``."""
    return block.labels[0] if block.kind == "dynamic" and block.labels else block.kind


def read_values(folder: Path) -> dict[str, Value]:
    """The values of variables that stand beside a root module, as Terraform takes them.

    Of two files that give a value the later one wins, in Terraform's order.
    """
    automatic = [*folder.glob("*.auto.tfvars"), *folder.glob("*.auto.tfvars.json")]
    values: dict[str, Value] = {}
    for path in (
        folder / "terraform.tfvars",
        folder / "terraform.tfvars.json",
        *sorted(automatic, key=lambda path: path.name),
    ):
        if path.exists():
            values |= _values_of(path)
    return values


def _values_of(path: Path) -> dict[str, Value]:
    if path.suffix != ".json":
        attributes = _read(path).attributes.items()
        return {name: hcl.evaluate(node, _NO_NAMES) for name, node in attributes}
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path} cannot be read as Terraform: {problem}") from problem
    if not isinstance(values, dict):
        raise ConfigError(f"{path} cannot be read as Terraform: it holds no object")
    return values
