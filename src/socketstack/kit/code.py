"""Where a template's code lies: which resources carry local code, for which runtime.

Inline code, images and code that is in S3 already are no business of a build; they are not
listed here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from socketstack.errors import ConfigError
from socketstack.kit.template import Resource, Template, items, member, reference_of, text_of

_CODE_PROPERTIES: Final = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Lambda::Function": "Code",
    "AWS::Lambda::LayerVersion": "Content",
}
_FUNCTION_TYPES: Final = frozenset({"AWS::Serverless::Function", "AWS::Lambda::Function"})
_REMOTE: Final = ("s3://", "http://", "https://")
_DEFAULT_ARCHITECTURE: Final = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Local code of one resource.

    ``source`` is absolute: a folder, or a zip that somebody else made. ``prefix`` is where the
    contents go inside the package: ``python`` in a layer that asks to be built. ``layers`` are
    the logical ids of the function's layers in the same template.
    """

    logical_id: str
    type: str
    property_name: str
    source: Path
    runtime: str | None
    architecture: str
    prefix: str = ""
    is_installed: bool = True
    """Whether ``requirements.txt`` is to be installed: Python functions and built layers."""
    layers: tuple[str, ...] = ()

    @property
    def is_function(self) -> bool:
        """A function, not a layer."""
        return self.type in _FUNCTION_TYPES

    @property
    def is_archive(self) -> bool:
        """A zip file, which is taken as it is."""
        return self.source.is_file() and self.source.suffix == ".zip"


def find_code(template: Template, parameters: Mapping[str, str]) -> list[Code]:
    """Every resource with local code. Raises ``ConfigError`` for a source that is not there."""
    return [
        _code(template, resource, path, parameters)
        for resource in template.resources()
        if (path := _local_path(template, resource)) is not None
    ]


def _local_path(template: Template, resource: Resource) -> str | None:
    name = _CODE_PROPERTIES.get(resource.type)
    if name is None or _has_other_code(resource):
        return None
    node = _property(template, resource, name)
    if node is None:
        message = (
            f"{resource.logical_id} ({resource.type}) in {template.path} has no {name}. "
            f"Add the folder of its code as {name}."
        )
        raise ConfigError(message)
    path = text_of(node)
    return None if path is None or path.startswith(_REMOTE) else path


def _has_other_code(resource: Resource) -> bool:
    if text_of(member(resource.properties, "PackageType")) == "Image":
        return True
    return any(member(resource.properties, name) for name in ("InlineCode", "ImageUri"))


def _property(template: Template, resource: Resource, name: str) -> yaml.Node | None:
    own = member(resource.properties, name)
    if own is not None or resource.type != "AWS::Serverless::Function":
        return own
    return member(template.global_properties("Function"), name)


def _code(template: Template, resource: Resource, path: str, parameters: Mapping[str, str]) -> Code:
    property_name = _CODE_PROPERTIES[resource.type]
    source = _existing(template, resource, property_name, path)
    is_function = resource.type in _FUNCTION_TYPES
    method = _build_method(template, resource)
    runtime_node = (
        _property(template, resource, "Runtime")
        if is_function
        else _first(member(resource.properties, "CompatibleRuntimes"))
    )
    architectures = "Architectures" if is_function else "CompatibleArchitectures"
    architecture = _first(_property(template, resource, architectures))
    runtime = template.resolve(runtime_node, parameters)
    if not is_function and method is not None and method[-1].isdigit():
        runtime = method
    return Code(
        logical_id=resource.logical_id,
        type=resource.type,
        property_name=property_name,
        source=source,
        runtime=runtime,
        architecture=template.resolve(architecture, parameters) or _DEFAULT_ARCHITECTURE,
        prefix="python" if method and not is_function else "",
        is_installed=(runtime or "").startswith("python") if is_function else bool(method),
        layers=tuple(_layer_names(template, resource)) if is_function else (),
    )


def _existing(template: Template, resource: Resource, property_name: str, path: str) -> Path:
    source = (template.path.parent / path).resolve()
    if source.is_dir() or (source.is_file() and source.suffix == ".zip"):
        return source
    message = (
        f"{property_name} of {resource.logical_id} is {path!r}, but {source} is not a folder. "
        f"Create it, or correct {property_name} in {template.path}; "
        "paths are relative to the template."
    )
    raise ConfigError(message)


def _build_method(template: Template, resource: Resource) -> str | None:
    method = text_of(member(resource.node, "Metadata", "BuildMethod"))
    if method is None or method.startswith("python"):
        return method
    message = (
        f"{resource.logical_id} in {template.path} has BuildMethod {method!r}; this build knows "
        "python methods. Build it with `sam build` and point the template at the result."
    )
    raise ConfigError(message)


def _layer_names(template: Template, resource: Resource) -> Iterator[str]:
    shared = member(template.global_properties("Function"), "Layers")
    is_serverless = resource.type == "AWS::Serverless::Function"
    own = member(resource.properties, "Layers")
    for node in [*(items(shared) if is_serverless else []), *items(own)]:
        name = reference_of(node)
        if name is not None:
            yield name


def _first(node: yaml.Node | None) -> yaml.Node | None:
    return next(iter(items(node)), None)
