"""Reading a template: YAML or JSON in, one plain document out, with its form checked.

The short forms of YAML (``!Ref``) become the long ones. Nothing is resolved here; what the
functions mean is ``values``'s business, what the transform makes of a template ``sam``'s.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.values import PSEUDO_PARAMETERS, references

Document = dict[str, Any]
"""A template as plain values: the JSON border of this package."""

SERVERLESS: Final = "AWS::Serverless-2016-10-31"

_SECTIONS: Final = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Mappings",
        "Conditions",
        "Transform",
        "Resources",
        "Outputs",
        "Globals",
        "Rules",
        "Hooks",
    }
)
_RESOURCE_MEMBERS: Final = frozenset(
    {
        "Type",
        "Properties",
        "DependsOn",
        "Condition",
        "Metadata",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "CreationPolicy",
        "UpdatePolicy",
    }
)
_LIMITS: Final = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}
_POLICIES: Final = frozenset({"Delete", "Retain", "RetainExceptOnCreate"})
BODY_MAX_BYTES: Final = 51_200
"""What a call may carry; longer templates travel through S3."""
_URL_BODY_MAX_BYTES: Final = 1_048_576


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: no dates, no aliases, the short forms of functions."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an alias, as AWS does; PyYAML would follow it."""
        if self.check_event(yaml.AliasEvent):
            raise InvalidTemplate(
                "Template error: YAML aliases are not allowed in CloudFormation templates"
            )
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> Document:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix in {"Ref", "Condition"}:
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def parse(text: str) -> Document:
    """Read a template, JSON or YAML; raises ``InvalidTemplate``."""
    if len(text.encode()) > _URL_BODY_MAX_BYTES:
        raise InvalidTemplate(f"Template may not exceed {_URL_BODY_MAX_BYTES} bytes in size.")
    try:
        if text.lstrip().startswith("{"):
            document = json.loads(text)
        else:
            document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidTemplate(f"Template format error: not well-formed: {error}") from error
    if not isinstance(document, dict):
        raise InvalidTemplate("Template format error: unsupported structure.")
    return document


def transforms(document: Document) -> list[str]:
    """The macros that a template names, in order."""
    named = document.get("Transform", [])
    return [str(name) for name in (named if isinstance(named, list) else [named])]


def check_form(document: Document) -> None:
    """Check a processed template's form, as CloudFormation does before anything is made.

    Raises ``InvalidTemplate`` with AWS's wording where it is known.
    """
    _check_sections(document)
    resources = document.get("Resources")
    if not resources:
        raise InvalidTemplate(
            "Template format error: At least one Resources member must be defined."
        )
    for section, most in _LIMITS.items():
        if len(document.get(section, {})) > most:
            raise InvalidTemplate(
                f"Template format error: Number of {section.lower()}, {len(document[section])}, is "
                f"greater than maximum allowed, {most}"
            )
    for logical_id, definition in resources.items():
        _check_resource(str(logical_id), definition)
    for section in ("Resources", "Outputs", "Conditions"):
        _check_nulls(f"/{section}", document.get(section, {}))
    _check_references(document)


def _check_sections(document: Document) -> None:
    strange = sorted(str(name) for name in document if name not in _SECTIONS)
    if strange:
        raise InvalidTemplate(f"Invalid template property or properties [{', '.join(strange)}]")
    for section in ("Rules", "Hooks", "Globals"):
        if document.get(section):
            raise InvalidTemplate(f"{section}: this section is not supported by the local engine.")
    for section in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs"):
        if section in document and not isinstance(document[section], dict):
            raise InvalidTemplate(f"Template format error: [/{section}] must be an object.")


def _check_nulls(where: str, value: object) -> None:
    if value is None:
        raise InvalidTemplate(
            f"Template format error: [{where}] 'null' values are not allowed in templates"
        )
    if isinstance(value, dict):
        for name, item in value.items():
            _check_nulls(f"{where}/{name}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_nulls(f"{where}/{index}", item)


def _check_resource(logical_id: str, definition: object) -> None:
    if not (logical_id.isascii() and logical_id.isalnum()):
        raise InvalidTemplate(
            f"Template format error: Resource name {logical_id} is non alphanumeric."
        )
    if not isinstance(definition, dict):
        raise InvalidTemplate(
            f"Template format error: [/Resources/{logical_id}] resource definition is malformed"
        )
    if not isinstance(definition.get("Type"), str):
        raise InvalidTemplate(
            f"Template format error: [/Resources/{logical_id}] "
            "Every Resources object must contain a Type member."
        )
    strange = sorted(str(name) for name in definition if name not in _RESOURCE_MEMBERS)
    if strange:
        raise InvalidTemplate(f"Invalid template resource property '{strange[0]}'")
    for member in ("CreationPolicy", "UpdatePolicy"):
        if member in definition:
            raise InvalidTemplate(
                f"{definition['Type']} (resource {logical_id}): {member} is not supported by "
                "the local engine."
            )
    for member in ("DeletionPolicy", "UpdateReplacePolicy"):
        policy = definition.get(member)
        if policy is not None and policy not in _POLICIES:
            raise InvalidTemplate(
                f"{definition['Type']} (resource {logical_id}): {member} {policy} is not "
                "supported by the local engine."
            )
    if not isinstance(definition.get("Properties", {}), dict):
        raise InvalidTemplate(
            f"Template format error: [/Resources/{logical_id}/Properties] must be an object."
        )


def _check_references(document: Document) -> None:
    resources = document["Resources"]
    known = {*resources, *document.get("Parameters", {}), *PSEUDO_PARAMETERS}
    missing: set[str] = set()
    for definition in resources.values():
        missing |= references(definition.get("Properties", {})) - known
        missing |= set(depends_on(definition)) - set(resources)
    if missing:
        raise InvalidTemplate(
            "Template format error: Unresolved resource dependencies "
            f"[{', '.join(sorted(missing))}] in the Resources block of the template"
        )
    missing = references(document.get("Outputs", {})) - known
    if missing:
        raise InvalidTemplate(
            "Template format error: Unresolved resource dependencies "
            f"[{', '.join(sorted(missing))}] in the Outputs block of the template"
        )
    conditions = document.get("Conditions", {})
    for block in ("Resources", "Outputs"):
        for definition in document.get(block, {}).values():
            name = definition.get("Condition")
            if name is not None and name not in conditions:
                raise InvalidTemplate(
                    f"Template format error: Unresolved condition dependency {name} in the "
                    f"{block} block of the template"
                )


def depends_on(definition: Mapping[str, Any]) -> list[str]:
    """The explicit dependencies of a resource."""
    named = definition.get("DependsOn", [])
    return [named] if isinstance(named, str) else list(named)
