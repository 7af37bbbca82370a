"""Templates as syntax trees: read, looked into, changed in one place, written back intact.

A SAM or CloudFormation template is kept as YAML nodes and never turned into Python values, so
``!Sub``, ``!GetAtt``, quotes, block scalars and numbers such as ``0123`` come out as they went
in. Only comments are lost. JSON templates are YAML too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from socketstack.errors import ConfigError

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_SERVERLESS: Final = "AWS::Serverless-2016-10-31"
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_MAP_TAG: Final = "tag:yaml.org,2002:map"
_WIDTH: Final = 1 << 16
"""Folded text is not folded anew."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of ``Resources``; ``node`` is its mapping, shared with the template."""

    logical_id: str
    type: str
    node: yaml.MappingNode

    @property
    def properties(self) -> yaml.MappingNode:
        """The mapping of its properties; an empty one, not yet part of it, when there is none."""
        found = member(self.node, "Properties")
        return found if isinstance(found, yaml.MappingNode) else yaml.MappingNode(_MAP_TAG, [])

    def set_property(self, name: str, value: str | Mapping[str, str]) -> None:
        """Put a text, or a flat mapping of texts, in place of a property, or add it."""
        properties = self.properties
        set_member(properties, name, value)
        if member(self.node, "Properties") is not properties:
            remove_member(self.node, "Properties")
            self.node.value.append((_text_node("Properties"), properties))


class Template:
    """One template file."""

    def __init__(self, path: Path, root: yaml.MappingNode) -> None:
        self.path = path
        self.root = root

    @classmethod
    def load(cls, path: Path) -> "Template":
        """Read a template. Raises ``ConfigError`` when it is missing or not a template."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            message = (
                f"The template {path} cannot be read: {error.strerror}. "
                "Name another one with --template."
            )
            raise ConfigError(message) from error
        try:
            root = yaml.compose(text, Loader=_LOADER)
        except yaml.YAMLError as error:
            message = f"The template {path} is not valid YAML: {error}"
            raise ConfigError(message) from error
        if not isinstance(root, yaml.MappingNode) or member(root, "Resources") is None:
            message = f"{path} is not a template: it has no Resources."
            raise ConfigError(message)
        return cls(path, root)

    def resources(self) -> Iterator[Resource]:
        """Every resource that says its type, in order."""
        for logical_id, node in members(member(self.root, "Resources")):
            kind = text_of(member(node, "Type"))
            if isinstance(node, yaml.MappingNode) and kind is not None:
                yield Resource(logical_id, kind, node)

    def global_properties(self, section: str) -> yaml.MappingNode | None:
        """The mapping of ``Globals`` for one section, such as ``Function``."""
        found = member(self.root, "Globals", section)
        return found if isinstance(found, yaml.MappingNode) else None

    @property
    def is_serverless(self) -> bool:
        """Whether it asks for the SAM transform."""
        asked = member(self.root, "Transform")
        return _SERVERLESS in {text_of(asked), *(text_of(one) for one in items(asked))}

    def parameter_names(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return tuple(name for name, _node in members(member(self.root, "Parameters")))

    def check_parameters(self, given: Mapping[str, str]) -> None:
        """Refuse values for parameters that it does not have. Raises ``ConfigError``."""
        known = self.parameter_names()
        unknown = sorted(given.keys() - set(known))
        if unknown:
            message = (
                f"The template has no parameter {', '.join(unknown)}. "
                f"It has: {', '.join(sorted(known)) or 'none'}."
            )
            raise ConfigError(message)

    def secret_parameters(self) -> tuple[str, ...]:
        """The names of parameters that say ``NoEcho``."""
        return tuple(
            name
            for name, node in members(member(self.root, "Parameters"))
            if (text_of(member(node, "NoEcho")) or "").lower() == "true"
        )

    def resolve(self, node: yaml.Node | None, parameters: Mapping[str, str]) -> str | None:
        """The text of a node: plain, or a reference to a parameter; None when it is neither."""
        name = reference_of(node)
        if name is None:
            return text_of(node)
        return parameters.get(name) or text_of(member(self.root, "Parameters", name, "Default"))

    def text(self) -> str:
        """The whole template as YAML."""
        return str(yaml.serialize(self.root, Dumper=_DUMPER, width=_WIDTH, allow_unicode=True))


def members(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """Names and values of a mapping; nothing for anything else."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), value


def member(node: yaml.Node | None, *names: str) -> yaml.Node | None:
    """The value at a path of names, or None."""
    for name in names:
        node = next((value for key, value in members(node) if key == name), None)
    return node


def items(node: yaml.Node | None) -> list[yaml.Node]:
    """The items of a list; nothing for anything else."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def text_of(node: yaml.Node | None) -> str | None:
    """The text of a plain scalar; None for an intrinsic function and everything else."""
    if isinstance(node, yaml.ScalarNode) and not node.tag.startswith("!"):
        return str(node.value)
    return None


def reference_of(node: yaml.Node | None) -> str | None:
    """What ``!Ref`` or ``Ref`` names; None for anything else."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "!Ref":
        return str(node.value)
    return text_of(member(node, "Ref")) if isinstance(node, yaml.MappingNode) else None


def set_member(mapping: yaml.MappingNode, name: str, value: str | Mapping[str, str]) -> None:
    """Put a text, or a flat mapping of texts, in place of a member, or append it."""
    new = _text_node(value) if isinstance(value, str) else _mapping_node(value)
    for index, (key, _old) in enumerate(mapping.value):
        if key.value == name:
            mapping.value[index] = (key, new)
            return
    mapping.value.append((_text_node(name), new))


def remove_member(mapping: yaml.MappingNode, name: str) -> None:
    """Take a member out, if it is there."""
    mapping.value = [pair for pair in mapping.value if pair[0].value != name]


def _text_node(text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode(_TEXT_TAG, text)


def _mapping_node(values: Mapping[str, str]) -> yaml.MappingNode:
    pairs = [(_text_node(name), _text_node(text)) for name, text in values.items()]
    return yaml.MappingNode(_MAP_TAG, pairs, flow_style=False)
