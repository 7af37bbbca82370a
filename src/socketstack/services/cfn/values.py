"""Intrinsic functions: pure evaluation of ``Ref``, ``Fn::*`` and conditions.

A function that is not known is refused and never passed on. ``AWS::NoValue`` removes the
member or list item that it stands for.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from socketstack.services.cfn.errors import InvalidTemplate

PSEUDO_PARAMETERS: Final = frozenset(
    {
        "AWS::AccountId",
        "AWS::NotificationARNs",
        "AWS::NoValue",
        "AWS::Partition",
        "AWS::Region",
        "AWS::StackId",
        "AWS::StackName",
        "AWS::URLSuffix",
    }
)

NO_VALUE: Final = object()
"""What ``AWS::NoValue`` gives; never leaves ``resolve``."""

_SUB: Final = re.compile(r"\$\{(!?)([^}]+)\}")
_IF_PARTS: Final = 3
_PAIR: Final = 2


class Scope(Protocol):
    """What the functions look things up in."""

    def ref(self, name: str) -> object:
        """A parameter's value or a resource's physical id; ``NO_VALUE`` for AWS::NoValue."""
        ...

    def attribute(self, logical_id: str, attribute: str) -> object:
        """A resource's attribute."""
        ...

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        ...

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A map of the template's Mappings."""
        ...

    def imported(self, export_name: str) -> object:
        """The value another stack exports."""
        ...


def function_name(value: object) -> str | None:
    """The function that a value calls: ``Ref``, ``Fn::…``; None for a plain value."""
    if isinstance(value, dict) and len(value) == 1:
        name = next(iter(value))
        if isinstance(name, str) and (name == "Ref" or name.startswith("Fn::")):
            return name
    return None


def resolve(value: Any, scope: Scope) -> Any:
    """A value with every function replaced by what it gives.

    Raises ``InvalidTemplate`` for unknown functions, malformed arguments and names that are
    not there.
    """
    result = _resolve(value, scope)
    return None if result is NO_VALUE else result


def _resolve(value: Any, scope: Scope) -> Any:
    name = function_name(value)
    if name is not None:
        function = _FUNCTIONS.get(name)
        if function is None:
            # Some exist with a macro (AWS::LanguageExtensions), which is refused by name before.
            raise InvalidTemplate(
                f"Template error: Encountered unsupported function: {name} Supported functions "
                f"are: [{', '.join(_FUNCTIONS)}]"
            )
        return function(value[name], scope)
    if isinstance(value, dict):
        pairs = ((key, _resolve(item, scope)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not NO_VALUE}
    if isinstance(value, list):
        items = (_resolve(item, scope) for item in value)
        return [item for item in items if item is not NO_VALUE]
    return value


def evaluate_condition(expression: Any, scope: Scope) -> bool:
    """Whether a condition holds; raises ``InvalidTemplate`` when it is malformed."""
    if isinstance(expression, dict) and len(expression) == 1:
        ((name, argument),) = expression.items()
        if name == "Condition":
            return scope.condition(str(argument))
        if name == "Fn::Equals" and isinstance(argument, list) and len(argument) == _PAIR:
            left, right = (text(_resolve(item, scope)) for item in argument)
            return left == right
        if name == "Fn::Not" and isinstance(argument, list) and len(argument) == 1:
            return not evaluate_condition(argument[0], scope)
        if name in {"Fn::And", "Fn::Or"} and isinstance(argument, list):
            results = [evaluate_condition(item, scope) for item in argument]
            return all(results) if name == "Fn::And" else any(results)
    raise InvalidTemplate(
        "Template error: every Condition must use Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition"
    )


def references(value: Any) -> set[str]:
    """Names that a value's ``Ref``, ``Fn::GetAtt`` and ``Fn::Sub`` mention, all branches."""
    name = function_name(value)
    if name == "Ref":
        return {str(value["Ref"])}
    if name == "Fn::GetAtt":
        return {_attribute_parts(value[name])[0]}
    if name == "Fn::Sub":
        template, bound = _sub_parts(value[name])
        named = {n.split(".")[0] for literal, n in _SUB.findall(template) if not literal}
        return (named - set(bound)) | references(bound)
    if isinstance(value, dict):
        return {found for item in value.values() for found in references(item)}
    if isinstance(value, list):
        return {found for item in value for found in references(item)}
    return set()


def text(value: object) -> str:
    """A scalar as CloudFormation writes it into text: booleans in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is NO_VALUE or value is None:
        return ""
    return str(value)


def _attribute_parts(argument: Any) -> tuple[str, Any]:
    if isinstance(argument, str) and "." in argument:
        logical_id, attribute = argument.split(".", 1)
        return logical_id, attribute
    if isinstance(argument, list) and len(argument) >= _PAIR and isinstance(argument[0], str):
        rest = argument[1] if len(argument) == _PAIR else ".".join(map(str, argument[1:]))
        return argument[0], rest
    raise InvalidTemplate(
        "Template error: every Fn::GetAtt object requires two non-empty parameters, "
        "the resource name and the resource attribute"
    )


def _sub_parts(argument: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(argument, str):
        return argument, {}
    if (
        isinstance(argument, list)
        and len(argument) == _PAIR
        and isinstance(argument[0], str)
        and isinstance(argument[1], dict)
    ):
        return argument[0], argument[1]
    raise InvalidTemplate(
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected "
        "arguments. Specify a string as first argument, and an optional second argument to "
        "specify a mapping of values to replace in the string"
    )


def _ref(argument: Any, scope: Scope) -> Any:
    return scope.ref(str(argument))


def _get_att(argument: Any, scope: Scope) -> Any:
    logical_id, attribute = _attribute_parts(argument)
    return scope.attribute(logical_id, text(_resolve(attribute, scope)))


def _sub(argument: Any, scope: Scope) -> str:
    template, bound = _sub_parts(argument)
    values = {name: _resolve(item, scope) for name, item in bound.items()}

    def replacement(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return "${" + name + "}"
        if name in values:
            return text(values[name])
        if "." in name:
            return text(_get_att(name, scope))
        return text(scope.ref(name))

    return _SUB.sub(replacement, template)


def _join(argument: Any, scope: Scope) -> str:
    if not (isinstance(argument, list) and len(argument) == _PAIR):
        raise InvalidTemplate("Template error: every Fn::Join object requires two parameters")
    items = _resolve(argument[1], scope)
    if not isinstance(items, list):
        raise InvalidTemplate("Template error: every Fn::Join object requires a list to join")
    return text(argument[0]).join(text(item) for item in items)


def _if(argument: Any, scope: Scope) -> Any:
    if not (isinstance(argument, list) and len(argument) == _IF_PARTS):
        raise InvalidTemplate("Template error: Fn::If requires a list argument with 3 elements")
    return _resolve(argument[1 if scope.condition(str(argument[0])) else 2], scope)


def _select(argument: Any, scope: Scope) -> Any:
    if not (isinstance(argument, list) and len(argument) == _PAIR):
        raise InvalidTemplate("Template error: Fn::Select requires a list argument with 2 elements")
    index, items = text(_resolve(argument[0], scope)), _resolve(argument[1], scope)
    if not isinstance(items, list) or not index.isdigit() or int(index) >= len(items):
        raise InvalidTemplate(
            f"Template error: Fn::Select cannot select nonexistent value: {index}"
        )
    return items[int(index)]


def _split(argument: Any, scope: Scope) -> list[str]:
    if not (isinstance(argument, list) and len(argument) == _PAIR and argument[0]):
        raise InvalidTemplate("Template error: every Fn::Split object requires two parameters")
    return text(_resolve(argument[1], scope)).split(str(argument[0]))


def _find_in_map(argument: Any, scope: Scope) -> Any:
    if not (isinstance(argument, list) and len(argument) == _IF_PARTS):
        raise InvalidTemplate(
            "Template error: every Fn::FindInMap object requires three parameters"
        )
    name, first, second = (text(_resolve(item, scope)) for item in argument)
    try:
        return scope.mapping(name)[first][second]
    except KeyError as missing:
        raise InvalidTemplate(
            f"Template error: Unable to get mapping for {name}::{first}::{second}"
        ) from missing


def _import_value(argument: Any, scope: Scope) -> Any:
    return scope.imported(text(_resolve(argument, scope)))


def _base64(argument: Any, scope: Scope) -> str:
    return base64.b64encode(text(_resolve(argument, scope)).encode()).decode()


def _get_azs(argument: Any, scope: Scope) -> list[str]:
    region = text(_resolve(argument, scope)) or text(scope.ref("AWS::Region"))
    return [f"{region}{zone}" for zone in "abc"]


_FUNCTIONS: Final[Mapping[str, Callable[[Any, Scope], Any]]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::If": _if,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import_value,
    "Fn::Base64": _base64,
    "Fn::GetAZs": _get_azs,
}
