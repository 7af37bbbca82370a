"""AWS's own schemas of resource types: names, required members, what replaces, what is readable.

They come with ``cfn-lint``, a dependency of moto's CloudFormation, as one JSON file for each
type; cfn-lint itself is not imported. So a property that AWS does not know is refused here in
AWS's words, numbers that templates write as text become numbers, and whether a change replaces
a resource is not guessed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from socketstack.errors import ConfigError
from socketstack.services.cfn.values import function_name

Shape = Mapping[str, Any]

_KEPT_SCHEMAS: Final = 64
_COMBINATIONS: Final = ("oneOf", "anyOf", "allOf")


@dataclass(frozen=True, slots=True)
class Schema:
    """One resource type as AWS describes it."""

    type_name: str
    shape: Shape

    @property
    def properties(self) -> frozenset[str]:
        """Names a template may set."""
        return frozenset(self.shape["properties"]) - self._names("readOnlyProperties")

    @property
    def attributes(self) -> frozenset[str]:
        """Names that ``Fn::GetAtt`` may ask for, with dots for nested ones."""
        return frozenset(
            pointer.removeprefix("/properties/").replace("/", ".")
            for pointer in self.shape.get("readOnlyProperties", ())
        )

    @property
    def create_only(self) -> frozenset[str]:
        """Properties whose change replaces the resource."""
        return self._names("createOnlyProperties")

    @property
    def identifier(self) -> tuple[str, ...]:
        """The properties that together name the resource; may be read-only ones."""
        return tuple(p.rsplit("/", 1)[-1] for p in self.shape.get("primaryIdentifier", ()))

    @property
    def tag_property(self) -> str | None:
        """The property that holds tags, None when the type cannot be tagged."""
        tagging = self.shape.get("tagging", {})
        if not tagging.get("taggable", True) or "Tags" not in self.shape["properties"]:
            return None
        return "Tags"

    def _names(self, member: str) -> frozenset[str]:
        pointers = (p.removeprefix("/properties/") for p in self.shape.get(member, ()))
        return frozenset(pointer for pointer in pointers if "/" not in pointer)

    def faults(self, properties: Mapping[str, Any]) -> list[str]:
        """What AWS would refuse in these properties; functions not yet resolved are passed over."""
        found = list(self._object_faults("#", self.shape, properties))
        return found + [
            f"#: {name} is a read-only property"
            for name in sorted(self._names("readOnlyProperties") & set(properties))
        ]

    def coerced(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """The properties with scalars in the schema's types, as CloudFormation converts them."""
        converted = self._coerce(self.shape, dict(properties))
        assert isinstance(converted, dict)
        return converted

    def _follow(self, shape: Shape) -> Shape:
        reference = shape.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return shape
        target: Any = self.shape
        for part in reference[2:].split("/"):
            target = target[part]
        return self._follow(target)

    def _faults(self, where: str, shape: Shape, value: Any) -> Iterator[str]:
        shape = self._follow(shape)
        if function_name(value) is not None:
            return
        if isinstance(value, dict):
            yield from self._object_faults(where, shape, value)
        elif isinstance(value, list) and isinstance(shape.get("items"), dict):
            for index, item in enumerate(value):
                yield from self._faults(f"{where}/{index}", shape["items"], item)
        elif "enum" in shape and isinstance(value, (str, int, float, bool)):
            if str(value) not in {str(item) for item in shape["enum"]}:
                yield f"{where}: {value} is not a valid enum value"
        elif _mismatch(shape, value):
            yield f"{where}: expected type: {_types(shape)[0].capitalize()}, found: {_found(value)}"

    def _object_faults(self, where: str, shape: Shape, value: Mapping[str, Any]) -> Iterator[str]:
        members: Shape = shape.get("properties", {})
        if _types(shape)[:1] not in ([], ["object"]):
            if "object" not in _types(shape):
                yield f"{where}: expected type: {_types(shape)[0].capitalize()}, found: JSONObject"
            return
        if shape.get("additionalProperties") is False and not shape.get("patternProperties"):
            for name in sorted(set(value) - set(members)):
                yield f"{where}: extraneous key [{name}] is not permitted"
        for name in shape.get("required", ()):
            if name not in value and not any(c in shape for c in _COMBINATIONS):
                yield f"{where}: required key [{name}] not found"
        for name, item in value.items():
            if name in members:
                yield from self._faults(f"{where}/{name}", members[name], item)

    def _coerce(self, shape: Shape, value: Any) -> Any:
        shape = self._follow(shape)
        if isinstance(value, dict):
            members: Shape = shape.get("properties", {})
            patterns = [*shape.get("patternProperties", {}).values()]
            rest: Shape = patterns[0] if patterns else {}
            return {name: self._coerce(members.get(name, rest), v) for name, v in value.items()}
        if isinstance(value, list):
            items = shape.get("items")
            return [self._coerce(items, v) for v in value] if isinstance(items, dict) else value
        return _scalar(_types(shape), value)


def _types(shape: Shape) -> list[str]:
    named = shape.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def _found(value: object) -> str:
    return {list: "JSONArray", type(None): "Null"}.get(type(value), type(value).__name__.title())


def _mismatch(shape: Shape, value: Any) -> bool:
    types = _types(shape)
    if len(types) != 1 or any(c in shape for c in _COMBINATIONS):
        return False
    (wanted,) = types
    if isinstance(value, list):
        return wanted != "array"
    if wanted in {"array", "object"}:
        return True
    if wanted in {"integer", "number"}:
        return isinstance(_scalar(types, value), (str, bool))
    return wanted == "boolean" and not isinstance(_scalar(types, value), bool)


def _scalar(types: list[str], value: Any) -> Any:
    if len(types) != 1 or value is None:
        return value
    (wanted,) = types
    if wanted == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if wanted == "boolean" and isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if wanted in {"integer", "number"} and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return value
        return int(number) if number.is_integer() else number
    return value


@lru_cache(maxsize=1)
def _folder() -> Path:
    found = find_spec("cfnlint")  # a search of the path; nothing of it is imported
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "CloudFormation needs the resource schemas of cfn-lint, and cfn-lint is not "
            "installed: install socketstack[engine]."
        )
    return Path(found.submodule_search_locations[0]) / "data" / "schemas"


@lru_cache(maxsize=1)
def _files() -> dict[str, str]:
    names: dict[str, str] = json.loads((_folder() / "providers" / "us-east-1.json").read_text())
    return names


@lru_cache(maxsize=_KEPT_SCHEMAS)
def schema(type_name: str) -> Schema | None:
    """The schema of a resource type, None when AWS has no such type."""
    file_name = _files().get(type_name)
    if file_name is None:
        return None
    path = _folder() / "resources" / f"{file_name}.json"
    return Schema(type_name, json.loads(path.read_text()))


def forget() -> None:
    """Give back the memory of what was read; the next look reads again."""
    schema.cache_clear()
    _files.cache_clear()
