"""Planning: what a target means for a stack, decided before anything is touched.

Pure but for reading AWS's schemas. ``Lookup`` answers the functions of a template; ``order``
says which resource comes after which; ``changes`` is what a change set shows.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any, Final

from socketstack.services.cfn.errors import InvalidTemplate, ResourceFailed
from socketstack.services.cfn.kinds import Kind
from socketstack.services.cfn.parameters import typed
from socketstack.services.cfn.schemas import schema
from socketstack.services.cfn.stack import (
    PropertyChange,
    Resource,
    ResourceChange,
    Stack,
    Target,
)
from socketstack.services.cfn.template import Document, depends_on
from socketstack.services.cfn.values import (
    NO_VALUE,
    Scope,
    evaluate_condition,
    function_name,
    references,
    resolve,
)

Kinds = Mapping[str, Kind]

_UNKNOWN: Final = "{{not known before it exists: %s}}"
_SHOWN_MEMBERS: Final = (
    ("Metadata", "Metadata"),
    ("DeletionPolicy", "DeletionPolicy"),
    ("UpdateReplacePolicy", "UpdateReplacePolicy"),
)


class Lookup(Scope):
    """Looks names up in a target and in resources that exist.

    ``is_preview`` makes references to resources that do not exist yet give a mark instead of
    failing: for change sets, where only "is it different" matters.
    """

    def __init__(
        self,
        *,
        stack: Stack,
        target: Target,
        account_id: str,
        exported: Callable[[str], str | None],
        resources: Mapping[str, Resource],
        fetched: Mapping[str, str | list[str]] | None = None,
        is_preview: bool = False,
    ) -> None:
        self._document = target.template.document
        self._resources = resources
        self._exported = exported
        self._is_preview = is_preview
        self._conditions: dict[str, bool | None] = {}
        self.imports: set[str] = set()
        """Names of exports that were looked up."""
        declared: Document = self._document.get("Parameters", {})
        self._values: dict[str, object] = {
            name: typed(declared[name], value) for name, value in target.parameters.items()
        }
        self._values |= fetched or {}
        self._values |= {
            "AWS::AccountId": account_id,
            "AWS::NotificationARNs": [],
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": stack.region,
            "AWS::StackId": stack.stack_id,
            "AWS::StackName": stack.name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def over(self, resources: Mapping[str, Resource]) -> "Lookup":
        """The same lookup over other resources."""
        twin = copy(self)
        twin._resources = resources  # noqa: SLF001 - its own kind
        return twin

    def ref(self, name: str) -> object:
        """A parameter or pseudo parameter, or a resource's physical id."""
        if name in self._values:
            return self._values[name]
        resource = self._resources.get(name)
        if resource is not None and resource.physical_id is not None:
            return resource.physical_id
        if self._is_preview and name in self._document.get("Resources", {}):
            return _UNKNOWN % name
        raise InvalidTemplate(
            f"Template format error: Unresolved resource dependencies [{name}] in the Resources "
            "block of the template"
        )

    def attribute(self, logical_id: str, attribute: str) -> object:
        """An attribute of a resource that exists."""
        resource = self._resources.get(logical_id)
        if resource is not None and resource.physical_id is not None:
            if attribute in resource.attributes:
                value: object = resource.attributes[attribute]
                return value
            if attribute in resource.properties:
                return resource.properties[attribute]
            raise InvalidTemplate(
                f"{resource.type_name} (resource {logical_id}): attribute {attribute} is not "
                "supported by the local engine"
            )
        if self._is_preview and logical_id in self._document.get("Resources", {}):
            return _UNKNOWN % f"{logical_id}.{attribute}"
        return self.ref(logical_id)

    def condition(self, name: str) -> bool:
        """A condition, evaluated once."""
        if name not in self._conditions:
            declared = self._document.get("Conditions", {})
            if name not in declared:
                raise InvalidTemplate(f"Template error: unresolved condition dependency: {name}")
            self._conditions[name] = None
            self._conditions[name] = evaluate_condition(declared[name], self)
        result = self._conditions[name]
        if result is None:
            raise InvalidTemplate(f"Template error: condition {name} depends on itself")
        return result

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A map; raises ``KeyError``."""
        found: Mapping[str, Any] = self._document.get("Mappings", {})[name]
        return found

    def imported(self, export_name: str) -> object:
        """What another stack exports."""
        self.imports.add(export_name)
        value = self._exported(export_name)
        if value is None:
            raise InvalidTemplate(f"No export named {export_name} found.")
        return value


def active(document: Document, scope: Scope) -> dict[str, Document]:
    """Definitions of the resources whose conditions hold."""
    return {
        logical_id: definition
        for logical_id, definition in document["Resources"].items()
        if "Condition" not in definition or scope.condition(definition["Condition"])
    }


def chosen(value: Any, scope: Scope) -> Any:
    """A value with the branches of ``Fn::If`` chosen and everything else as it stands."""
    if function_name(value) == "Fn::If":
        argument = value["Fn::If"]
        if isinstance(argument, list) and len(argument) == 3:  # noqa: PLR2004 - name, then, else
            return chosen(argument[1 if scope.condition(str(argument[0])) else 2], scope)
        return resolve(value, scope)  # says what is wrong
    if value == {"Ref": "AWS::NoValue"}:
        return NO_VALUE
    if isinstance(value, dict):
        pairs = ((name, chosen(item, scope)) for name, item in value.items())
        return {name: item for name, item in pairs if item is not NO_VALUE}
    if isinstance(value, list):
        return [item for item in (chosen(one, scope) for one in value) if item is not NO_VALUE]
    return value


def needs(definition: Document, names: Mapping[str, object], scope: Scope) -> frozenset[str]:
    """The resources that must exist before this one."""
    mentioned = references(chosen(definition.get("Properties", {}), scope))
    return frozenset((mentioned | set(depends_on(definition))) & set(names))


def order(definitions: Mapping[str, Document], scope: Scope) -> list[str]:
    """Logical ids so that each comes after what it needs, else as the template has them.

    Raises ``InvalidTemplate`` for circles.
    """
    wanted = {name: set(needs(one, definitions, scope)) for name, one in definitions.items()}
    result: list[str] = []
    while wanted:
        ready = [name for name, before in wanted.items() if before <= set(result)]
        if not ready:
            raise InvalidTemplate(
                f"Circular dependency between resources: [{', '.join(sorted(wanted))}]"
            )
        result.append(ready[0])
        del wanted[ready[0]]
    return result


def resolved(definition: Document, kind: Kind, scope: Scope) -> dict[str, Any]:
    """A resource's properties, ready for its kind.

    Raises ``ResourceFailed`` when AWS would refuse them or the kind does not keep one.
    """
    properties = kind.schema.coerced(resolve(definition.get("Properties", {}), scope))
    found = faults(kind, properties)
    if found:
        raise ResourceFailed("; ".join(found))
    return properties


def faults(kind: Kind, properties: Mapping[str, Any]) -> list[str]:
    """What is wrong with properties: AWS's refusals first, then what is not kept here."""
    refused = kind.schema.faults(properties)
    if refused:
        return [f"Properties validation failed: {'; '.join(refused)}"]
    return [
        f"property {name} is not supported by the local engine" for name in kind.ignored(properties)
    ]


def problems(document: Document, kinds: Kinds, scope: Scope) -> Iterator[str]:
    """Everything in a template that would fail, as far as it can be seen beforehand."""
    definitions = active(document, scope)
    for logical_id, definition in definitions.items():
        type_name = definition["Type"]
        where = f"{type_name} (resource {logical_id})"
        kind = kinds.get(type_name)
        if kind is None:
            if type_name.startswith("AWS::") and schema(type_name) is None:
                yield f"Template format error: Unrecognized resource types: [{type_name}]"
            else:
                yield f"{where}: this resource type is not supported by the local engine"
            continue
        properties = chosen(definition.get("Properties", {}), scope)
        yield from (f"{where}: {fault}" for fault in faults(kind, properties))
    yield from _attribute_problems(document, definitions)
    order(definitions, scope)


def _attribute_problems(document: Document, definitions: Mapping[str, Document]) -> Iterator[str]:
    for logical_id, attribute in sorted(_attributes_asked(document)):
        definition = definitions.get(logical_id)
        described = None if definition is None else schema(definition["Type"])
        if described is None or definition is None:
            continue
        if attribute not in described.attributes | described.properties:
            yield (
                f"Template error: resource {logical_id} does not support attribute type "
                f"{attribute} in Fn::GetAtt"
            )


def _attributes_asked(value: Any) -> set[tuple[str, str]]:
    if function_name(value) == "Fn::GetAtt":
        argument = value["Fn::GetAtt"]
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        if len(parts) == 2 and isinstance(parts[1], str):  # noqa: PLR2004 - resource, attribute
            return {(str(parts[0]), parts[1])}
        return set()
    if isinstance(value, dict):
        return {found for item in value.values() for found in _attributes_asked(item)}
    if isinstance(value, list):
        return {found for item in value for found in _attributes_asked(item)}
    return set()


def required_capabilities(document: Document) -> list[str]:
    """What the caller must acknowledge, by the types in a processed template."""
    named = {
        "AWS::IAM::Group": "GroupName",
        "AWS::IAM::InstanceProfile": "InstanceProfileName",
        "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
        "AWS::IAM::Role": "RoleName",
        "AWS::IAM::User": "UserName",
    }
    found = {
        "CAPABILITY_NAMED_IAM"
        if named.get(one["Type"]) in one.get("Properties", {})
        else "CAPABILITY_IAM"
        for one in document["Resources"].values()
        if one["Type"] in named or one["Type"] == "AWS::IAM::Policy"
    }
    return sorted(found, reverse=True)[:1]


def changes(stack: Stack, target: Target, kinds: Kinds, scope: Lookup) -> list[ResourceChange]:
    """What an update would do, resource by resource.

    ``scope`` is a preview over the stack's present resources.
    """
    definitions = active(target.template.document, scope)
    found: list[ResourceChange] = []
    made_anew: dict[str, Resource] = dict(stack.resources)
    preview = scope.over(made_anew)
    for logical_id in order(definitions, scope):
        change = _change(
            stack.resources.get(logical_id), logical_id, definitions[logical_id], kinds, preview
        )
        if change is None and stack.target is not None and stack.target.tags != target.tags:
            change = _tag_change(stack.resources[logical_id], kinds)
        if change is not None:
            found.append(change)
            if change.action == "Add" or change.replaces:
                made_anew.pop(logical_id, None)
    for logical_id, resource in stack.resources.items():
        if logical_id not in definitions:
            found.append(
                ResourceChange(
                    action="Remove",
                    logical_id=logical_id,
                    type_name=resource.type_name,
                    physical_id=resource.physical_id,
                )
            )
    return found


def _change(
    old: Resource | None, logical_id: str, definition: Document, kinds: Kinds, scope: Scope
) -> ResourceChange | None:
    kind = kinds[definition["Type"]]
    if old is None:
        return ResourceChange(action="Add", logical_id=logical_id, type_name=kind.type_name)
    try:
        properties = kind.schema.coerced(resolve(definition.get("Properties", {}), scope))
    except InvalidTemplate:
        # A function over something that does not exist yet: known when it is executed.
        properties = {"": _UNKNOWN}
    changed = sorted(
        name
        for name in {*old.properties, *properties}
        if old.properties.get(name) != properties.get(name)
    )
    scopes = ["Properties"] if changed else []
    scopes += [s for m, s in _SHOWN_MEMBERS if old.definition.get(m) != definition.get(m)]
    if not scopes:
        return None
    replacing = set(kind.replacing(old.properties, properties))
    return ResourceChange(
        action="Modify",
        logical_id=logical_id,
        type_name=kind.type_name,
        physical_id=old.physical_id,
        properties=tuple(
            PropertyChange(name=name, is_replacing=name in replacing) for name in changed
        ),
        scope=tuple(scopes),
    )


def _tag_change(old: Resource, kinds: Kinds) -> ResourceChange | None:
    kind = kinds[old.type_name]
    if "Tags" not in kind.properties:
        return None
    return ResourceChange(
        action="Modify",
        logical_id=old.logical_id,
        type_name=old.type_name,
        physical_id=old.physical_id,
        scope=("Tags",),
    )
