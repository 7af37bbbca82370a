"""Outputs and exports: what a stack tells, and what other stacks build on."""

from collections.abc import Iterator
from typing import Any

from socketstack.services.cfn import plan
from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.stack import Output, Stack, Stacks, Target
from socketstack.services.cfn.template import Document
from socketstack.services.cfn.values import resolve, text


def evaluated(document: Document, scope: plan.Lookup) -> list[Output]:
    """The outputs of a template whose resources exist; raises ``InvalidTemplate``."""
    made: list[Output] = []
    for key, value, declared in _resolved(document, scope):
        if not isinstance(value, (str, int, float, bool)):
            raise InvalidTemplate(
                f"Template format error: Output {key} is malformed. The Value field of every "
                "Outputs member must evaluate to a String."
            )
        name = resolve(declared.get("Export", {}).get("Name"), scope)
        description = declared.get("Description")
        made.append(
            Output(
                key=key,
                value=text(value),
                description=None if description is None else str(description),
                export_name=None if name is None else text(name),
            )
        )
    return made


def check_exports(stack: Stack, made: list[Output], stacks: Stacks) -> None:
    """Refuse names that another stack exports, and changes of exports in use."""
    new = {one.export_name: one.value for one in made if one.export_name is not None}
    for other, output in stacks.exports():
        if other is not stack and output.export_name in new:
            raise InvalidTemplate(
                f"Export with name {output.export_name} is already exported by stack "
                f"{other.name}. Export names must be unique across a given region"
            )
    for output in stack.outputs:
        name = output.export_name
        if name is None or new.get(name) == output.value:
            continue
        users = [one.name for one in stacks.importers(name) if one is not stack]
        if users:
            verb = "deleted" if name not in new else "updated"
            raise InvalidTemplate(
                f"Export {name} cannot be {verb} as it is in use by {' and '.join(users)}"
            )


def _resolved(document: Document, scope: plan.Lookup) -> Iterator[tuple[str, Any, Document]]:
    """Key, value and declaration of every output whose condition holds."""
    for key, declared in document.get("Outputs", {}).items():
        if "Condition" not in declared or scope.condition(declared["Condition"]):
            yield key, resolve(declared.get("Value"), scope), declared


def differ(stack: Stack, target: Target, scope: plan.Lookup) -> bool:
    """Whether an update would change what a stack puts out."""
    if stack.document.get("Outputs", {}) != target.template.document.get("Outputs", {}):
        return True
    try:
        values = {k: text(v) for k, v, _ in _resolved(target.template.document, scope)}
    except InvalidTemplate:
        return True
    return values != {output.key: output.value for output in stack.outputs}
