"""A template with its conditions decided: what remains has no ``Conditions`` and no ``Fn::If``.

For engines that are given whole templates, LocalStack's: it evaluates both sides of a condition
that changes, and refuses what the old side names. Conditions can name parameters, mappings and
facts of the stack only, so they can be decided before anything is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.parameters import SSM_TYPE, typed
from socketstack.services.cfn.template import Document, depends_on
from socketstack.services.cfn.values import NO_VALUE, evaluate_condition, function_name

_IF: Final = "Fn::If"
_IF_PARTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFacts:
    """What conditions may look at; see ``values.Scope``.

    ``parameters`` are text values; ``pseudo`` has ``AWS::Region`` and its like.
    """

    document: Document
    parameters: Mapping[str, str]
    pseudo: Mapping[str, str]
    _decided: dict[str, bool] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def ref(self, name: str) -> object:
        """A parameter's value, or a fact of the stack."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return typed(self.document["Parameters"][name], self.parameters[name])
        raise InvalidTemplate(
            f"Template error: Unresolved dependencies [{name}]. Cannot reference resources in the "
            "Conditions block of the template"
        )

    def attribute(self, logical_id: str, attribute: str) -> object:
        """Nothing: conditions are decided before there are resources."""
        return self.ref(f"{logical_id}.{attribute}")

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        declared = self.document.get("Conditions", {})
        if name in self._open or name not in declared:
            why = "refers to itself" if name in self._open else "is not declared"
            raise InvalidTemplate(f"Template error: the condition {name} {why}")
        if name not in self._decided:
            self._open.add(name)
            try:
                self._decided[name] = evaluate_condition(declared[name], self)
            finally:
                self._open.discard(name)
        return self._decided[name]

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A map of the template's Mappings."""
        found: Mapping[str, Any] = self.document.get("Mappings", {})[name]
        return found

    def imported(self, export_name: str) -> object:
        """Nothing: conditions import no values."""
        return self.ref(export_name)


def can_decide(document: Document) -> bool:
    """Whether nothing has to be fetched first: SSM parameters would have to be."""
    declared = document.get("Parameters", {}).values()
    return not any(str(each.get("Type", "")).startswith(SSM_TYPE) for each in declared)


def decided(facts: StackFacts) -> Document:
    """The template with only what its conditions let in. Raises ``InvalidTemplate``."""
    document = facts.document
    if "Conditions" not in document:
        return document
    resources = _kept(document["Resources"], facts)
    result = {name: part for name, part in document.items() if name != "Conditions"}
    result["Resources"] = {
        name: _without_missing(definition, resources) for name, definition in resources.items()
    }
    if "Outputs" in document:
        result["Outputs"] = _kept(document["Outputs"], facts)
    return result


def _kept(section: Mapping[str, Any], facts: StackFacts) -> dict[str, Any]:
    return {
        name: {key: _chosen(value, facts) for key, value in one.items() if key != "Condition"}
        for name, one in section.items()
        if "Condition" not in one or facts.condition(str(one["Condition"]))
    }


def _without_missing(definition: dict[str, Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    """A resource that waits for those only that there are."""
    named = [name for name in depends_on(definition) if name in resources]
    rest = {key: value for key, value in definition.items() if key != "DependsOn"}
    return {**rest, "DependsOn": named} if named else rest


def _chosen(value: Any, facts: StackFacts) -> Any:
    name = function_name(value)
    if name == _IF:
        parts = value[_IF]
        if not isinstance(parts, list) or len(parts) != _IF_PARTS:
            raise InvalidTemplate("Template error: Fn::If requires a list argument with 3 elements")
        return _chosen(parts[1 if facts.condition(str(parts[0])) else 2], facts)
    if name == "Ref" and value["Ref"] == "AWS::NoValue":
        return NO_VALUE
    if isinstance(value, dict):
        pairs = ((key, _chosen(item, facts)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not NO_VALUE}
    if isinstance(value, list):
        items = (_chosen(item, facts) for item in value)
        return [item for item in items if item is not NO_VALUE]
    return value
