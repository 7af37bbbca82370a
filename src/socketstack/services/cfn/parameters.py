"""Parameters of a template: which values a stack gets, and whether they are allowed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.template import Document
from socketstack.services.cfn.values import text

MASKED: Final = "****"
SSM_TYPE: Final = "AWS::SSM::Parameter::Value<"
_LISTS: Final = ("List<", "CommaDelimitedList", f"{SSM_TYPE}List<", f"{SSM_TYPE}CommaDelimitedList")


def choose(
    document: Document,
    given: Sequence[Mapping[str, Any]],
    previous: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The text value of every parameter.

    Args:
        document: The template.
        given: Members ``ParameterKey`` with ``ParameterValue`` or ``UsePreviousValue``.
        previous: The stack's present values, None when it does not exist yet.

    Raises ``InvalidTemplate`` for values that are missing, unknown or not allowed.
    """
    declared: Document = document.get("Parameters", {})
    strange = sorted({str(g["ParameterKey"]) for g in given} - set(declared))
    if strange:
        raise InvalidTemplate(f"Parameters: [{', '.join(strange)}] do not exist in the template")
    chosen = {name: text(d["Default"]) for name, d in declared.items() if "Default" in d}
    for member in given:
        name = str(member["ParameterKey"])
        if member.get("UsePreviousValue"):
            if previous is None or name not in previous:
                raise InvalidTemplate(
                    f"Invalid input for parameter key {name}. "
                    "Cannot specify usePreviousValue as true for a parameter key not in the "
                    "previous template"
                )
            chosen[name] = previous[name]
        else:
            chosen[name] = text(member.get("ParameterValue", ""))
    missing = sorted(set(declared) - set(chosen))
    if missing:
        raise InvalidTemplate(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in chosen.items():
        _check(name, declared[name], value)
    return chosen


def is_list(declaration: Mapping[str, Any]) -> bool:
    """Whether a parameter's value is a list of texts."""
    return str(declaration.get("Type", "String")).startswith(_LISTS)


def typed(declaration: Mapping[str, Any], value: str) -> str | list[str]:
    """The value as ``Ref`` gives it: text, or a list of texts for list types."""
    if is_list(declaration):
        return [item.strip() for item in value.split(",")] if value else []
    return value


def is_secret(declaration: Mapping[str, Any]) -> bool:
    """Whether the value is masked in answers (NoEcho)."""
    return text(declaration.get("NoEcho", False)).lower() == "true"


def _check(name: str, declaration: Mapping[str, Any], value: str) -> None:
    kind = str(declaration.get("Type", "String"))
    if kind.startswith(SSM_TYPE):
        return  # the value names a parameter; constraints act on that name only
    items = typed(declaration, value)
    for item in items if isinstance(items, list) else [items]:
        _check_item(name, kind, declaration, item)


def _check_item(name: str, kind: str, declaration: Mapping[str, Any], value: str) -> None:
    allowed = declaration.get("AllowedValues")
    if allowed is not None and value not in {text(item) for item in allowed}:
        raise InvalidTemplate(f"Parameter '{name}' must be one of AllowedValues")
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and re.fullmatch(str(pattern), value) is None:
        _refuse(name, declaration, f"must match pattern {pattern}")
    if kind in {"Number", "List<Number>"}:
        _check_number(name, declaration, value)
    elif len(value) < int(declaration.get("MinLength", 0)):
        _refuse(name, declaration, f"must contain at least {declaration['MinLength']} characters")
    elif "MaxLength" in declaration and len(value) > int(declaration["MaxLength"]):
        _refuse(name, declaration, f"must contain at most {declaration['MaxLength']} characters")


def _check_number(name: str, declaration: Mapping[str, Any], value: str) -> None:
    try:
        number = float(value)
    except ValueError as error:
        raise InvalidTemplate(f"Parameter '{name}' must be a number.") from error
    if "MinValue" in declaration and number < float(declaration["MinValue"]):
        _refuse(name, declaration, f"must be a number not less than {declaration['MinValue']}")
    if "MaxValue" in declaration and number > float(declaration["MaxValue"]):
        _refuse(name, declaration, f"must be a number not greater than {declaration['MaxValue']}")


def _refuse(name: str, declaration: Mapping[str, Any], constraint: str) -> None:
    said = declaration.get("ConstraintDescription")
    raise InvalidTemplate(
        f"Parameter {name} failed to satisfy constraint: {said or f'Parameter {name} {constraint}'}"
    )
