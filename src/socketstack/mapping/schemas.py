"""Models: JSON Schema draft 4, without a look at the network.

A schema may refer to itself (``#/definitions/…``) and to other models of its API by their URL,
``https://apigateway.amazonaws.com/restapis/{apiId}/models/{name}``; to nothing else.

Rules: 1.74, 1.75, 5.71 to 5.75.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import Draft4Validator

DRAFT_4: Final = "http://json-schema.org/draft-04/schema#"
_MODEL_URL: Final = re.compile(
    r"https://apigateway\.amazonaws\.com/(?:restapis|apis)/(?P<api>[a-z0-9]+)/models/(?P<name>[A-Za-z0-9]+)"
    r"(?:#.*)?"
)
_MODELS: Final = "socketstack-models"
_ERRORS_MAX: Final = 10
_KEPT_MODELS: Final = 64
_SHOWN_CHARACTERS: Final = 200


def schema_problem(
    text: str, known_models: frozenset[str], api_id: str | None = None
) -> str | None:
    """Why a text is no schema for a model; None when it is one.

    Args:
        text: The model's ``Schema``.
        known_models: Names of the API's models, to which it may refer.
        api_id: The API whose models may be referred to; None when that was checked before.
    """
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415 - 75 ms, for models only
    from jsonschema.validators import Draft4Validator  # noqa: PLC0415

    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON, {error}"
    if not isinstance(schema, dict):
        return "a JSON schema is a JSON object."
    dialect = schema.get("$schema", DRAFT_4)
    if not isinstance(dialect, str) or dialect.rstrip("#") != DRAFT_4.rstrip("#"):
        return f"$schema is {dialect!r}; API Gateway's models are JSON Schema draft 4, {DRAFT_4}."
    try:
        Draft4Validator.check_schema(schema)
        return next(_bad_references(schema, known_models, api_id), None)
    except SchemaError as error:
        return f"at {_place(error.path)}: {error.message}"
    except RecursionError:
        return "it nests too deeply."


def validation_error(text: str, models: Mapping[str, str], document: str) -> str | None:
    """What is wrong with a message, as ``$context.error.validationErrorString``; None when nothing.

    Args:
        text: The model's schema.
        models: All models of the API by name, for references.
        document: The message.

    A schema or reference that cannot be followed is an error as well: nothing passes unseen.
    """
    try:
        value = json.loads(document, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return "[the message is not JSON]"
    try:
        return _joined(_validator(text, tuple(models.items())).iter_errors(value))
    except Exception as error:  # noqa: BLE001 - a broken schema lets nothing through
        return f"[the model cannot be applied: {type(error).__name__}: {error}]"


def _refuse_constant(constant: str) -> Any:
    raise ValueError(constant)


@lru_cache(maxsize=_KEPT_MODELS)
def _validator(text: str, models: tuple[tuple[str, str], ...]) -> "Draft4Validator":
    """What checks messages against a schema; raises when there is no such thing."""
    from jsonschema.validators import Draft4Validator  # noqa: PLC0415
    from referencing import Registry, Resource  # noqa: PLC0415
    from referencing.jsonschema import DRAFT4  # noqa: PLC0415

    problem = schema_problem(text, frozenset(name for name, _schema in models))
    if problem is not None:
        raise ValueError(problem)
    by_name = dict(models)

    def retrieve(uri: str) -> "Resource[Any]":
        # Only what is referred to is read: other models need not be schemas.
        schema = json.loads(by_name[uri.removeprefix(f"{_MODELS}:")])
        return Resource.from_contents(_own_references(schema), DRAFT4)

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg] # attrs names it
    return Draft4Validator(_own_references(json.loads(text)), registry=registry)


def _joined(errors: Iterator["ValidationError"]) -> str | None:
    found = [
        f"{_place(error.absolute_path)}: {_told(error)}"
        for error, _count in zip(errors, range(_ERRORS_MAX), strict=False)
    ]
    return f"[{', '.join(found)}]" if found else None


def _told(error: "ValidationError") -> str:
    """What is wrong, without the value: a message may hold what no log should."""
    if error.validator == "required":
        return str(error.message)  # the name of what is missing
    wanted = json.dumps(error.validator_value, ensure_ascii=False)
    return f"does not match {error.validator} {wanted[:_SHOWN_CHARACTERS]}"


def _place(path: Any) -> str:
    return "#/" + "/".join(str(step) for step in path)


def _references(schema: Any) -> Iterator[dict[str, Any]]:
    rest = [schema]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)


def _bad_references(schema: Any, known_models: frozenset[str], api_id: str | None) -> Iterator[str]:
    for holder in _references(schema):
        reference = holder["$ref"]
        found = _MODEL_URL.fullmatch(reference)
        if found is not None:
            if found["name"] not in known_models or api_id not in {None, found["api"]}:
                yield f"$ref {reference!r} names no model of this API."
        elif not reference.startswith("#"):
            yield (
                f"$ref {reference!r} is not followed: use #/definitions/NAME, or "
                "https://apigateway.amazonaws.com/restapis/{apiId}/models/{name} for another "
                "model of this API."
            )
        elif not _leads_somewhere(schema, unquote(reference[1:])):
            yield f"$ref {reference!r} leads nowhere in this schema."


def _leads_somewhere(schema: Any, pointer: str) -> bool:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list) and name.isdigit() and int(name) < len(schema):
            schema = schema[int(name)]
        elif isinstance(schema, dict) and name in schema:
            schema = schema[name]
        else:
            return False
    return True


def _own_references(schema: Any) -> Any:
    """The schema with references to models by a name that only the registry knows."""
    for holder in _references(schema):
        found = _MODEL_URL.fullmatch(holder["$ref"])
        if found is not None:
            fragment = holder["$ref"].partition("#")[2]
            holder["$ref"] = f"{_MODELS}:{found['name']}" + (f"#{fragment}" if fragment else "")
    return schema
