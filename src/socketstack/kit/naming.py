"""The names that a template gives its resources, as far as they are known before deployment."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import yaml

from socketstack.kit.template import Template, member, members, reference_of, text_of

_NAMES: Final[Mapping[str, str]] = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::Serverless::Function": "FunctionName",
}
"""By type, the property that names a resource."""
_VARIABLE: Final = re.compile(r"\$\{([^!{}][^{}]*)\}")


def names_of(template: Template, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Type and name of each resource that names itself.

    Args:
        template: The template.
        known: Values of pseudo parameters and parameters; parameters that are not in it have
            their default.

    Names that rest on anything else, and resources under a condition, are left out.
    """
    defaults = {
        name: text
        for name, node in members(member(template.root, "Parameters"))
        if (text := text_of(member(node, "Default"))) is not None
    }
    values = {**defaults, **known}
    for resource in template.resources():
        property_name = _NAMES.get(resource.type)
        if property_name is None or member(resource.node, "Condition") is not None:
            continue
        name = _value(member(resource.properties, property_name), values)
        if name:
            yield resource.type, name


def _value(node: yaml.Node | None, values: Mapping[str, str]) -> str | None:
    reference = reference_of(node)
    if reference is not None:
        return values.get(reference)
    if isinstance(node, yaml.ScalarNode) and node.tag == "!Sub":
        return _substituted(str(node.value), values)
    long_form = text_of(member(node, "Fn::Sub")) if isinstance(node, yaml.MappingNode) else None
    return text_of(node) if long_form is None else _substituted(long_form, values)


def _substituted(text: str, values: Mapping[str, str]) -> str | None:
    if any(match[1] not in values for match in _VARIABLE.finditer(text)):
        return None
    return _VARIABLE.sub(lambda match: values[match[1]], text)
