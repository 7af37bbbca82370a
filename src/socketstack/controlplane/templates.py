"""Model templates: the sample mapping template that GetModelTemplate makes of a schema.

The text follows what API Gateway's console writes for a model: a VTL head, then sample values
by type, arrays as a loop to be completed. Used by ``extras`` only.
"""

import json
from collections.abc import Mapping
from typing import Final

from socketstack.core.model import Json

_HEAD: Final = "#set($inputRoot = $input.path('$'))\n"
_SAMPLES: Final[Mapping[str, str]] = {
    "string": '"foo"',
    "integer": "42",
    "number": "3.149",
    "boolean": "true",
    "null": "null",
}
_DEPTH_MAX: Final = 20
_INDENT: Final = "  "


def model_template(schema_text: str) -> str:
    """A sample mapping template for a JSON schema; a bare head when it is not JSON."""
    try:
        schema = json.loads(schema_text)
    except (ValueError, RecursionError):
        return _HEAD
    return _HEAD + _sample(schema, "$inputRoot", 0)


def _sample(schema: Json, root: str, depth: int) -> str:
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return '"foo"'
    properties = schema.get("properties")
    if isinstance(properties, dict):
        return _object(properties, root, depth)
    if "items" in schema or schema.get("type") == "array":
        return _array(schema.get("items"), root, depth)
    return (
        "{ }" if schema.get("type") == "object" else _SAMPLES.get(str(schema.get("type")), '"foo"')
    )


def _object(properties: Mapping[str, Json], root: str, depth: int) -> str:
    inner = _INDENT * (depth + 1)
    lines = [
        f"{inner}{json.dumps(name)} : {_sample(schema, f'{root}.{name}', depth + 1)}"
        for name, schema in properties.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n" + _INDENT * depth + "}"


def _array(items: Json, root: str, depth: int) -> str:
    return (
        "[\n"
        "##TODO: Update this foreach loop to reference array from input json\n"
        f"#foreach($elem in {root})\n"
        f"{_INDENT * (depth + 1)}{_sample(items, '$elem', depth + 1)}\n"
        "#if($foreach.hasNext),#end\n"
        "#end\n" + _INDENT * depth + "]"
    )
