"""Reading an API's facts from a Terraform folder, before anything is planned or applied.

No Terraform, no provider and no credentials are needed: the files are read, and expressions are
worked out as far as the folder itself says. ``terraform show -json`` of a plan was the other way;
it wants all three, and what a plan does not know until it is applied, ids and ARNs, is just what
the checks compare.

Resources become the CloudFormation resources that they are, so that facts have one reader. What is
not known is noted for the checks that rest on it; those then say so instead of judging.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from socketstack.doctor import hcl, twins
from socketstack.doctor.facts import Api, Gap
from socketstack.doctor.files import read_values
from socketstack.doctor.hcl import Body, Names, Unknown, Value
from socketstack.doctor.module import Instance, Module, Place, address_of
from socketstack.doctor.template import facts_of

_LAMBDAS_OWN: Final = "arn:aws:iam::aws:policy/service-role/AWSLambda"
"""AWS's policies for what functions read and log; none lets anybody post to connections."""


def read_folder(
    folder: Path, *, variables: Mapping[str, str], region: str, api_name: str | None = None
) -> Api:
    """The facts of a Terraform folder's WebSocket API.

    Args:
        folder: With ``.tf`` or ``.tf.json`` files; modules in folders beside it are read too, what
            others make is a gap.
        variables: Values of its variables, before those in ``terraform.tfvars``, its like, and
            defaults.
        region: Where it is to be applied.
        api_name: The address of the API, when the folder has several.

    Raises:
        ConfigError: a file cannot be read, or the API is not clear.
    """
    given = {name: _typed(text) for name, text in variables.items()}
    place = Place(root=folder, region=region)
    facts = _Facts(Module(folder, {**read_values(folder), **given}, place))
    api = facts_of(facts.document(), region=region, api_name=api_name, where=str(folder))
    return facts.with_gaps(api)


class _Facts:
    """The template of a module and of those that it calls, and the gaps in it."""

    def __init__(self, root: Module) -> None:
        self._gaps: list[Gap] = []
        self._modules = list(self._with_called(root))

    def _with_called(self, module: Module) -> Iterator[Module]:
        """A module and all that it calls; those that cannot be read are gaps."""
        yield module
        for block in module.of("module"):
            found = module.called(block.labels[0])
            if isinstance(found, Unknown):
                address = f"{module.place.prefix}module.{block.labels[0]}"
                self._gaps.append(Gap(what=f"What {address} makes", why=found.why))
                continue
            for one in found.values():
                yield from self._with_called(one)

    def _blocks(self) -> Iterator[tuple[Module, str, str]]:
        """Every resource's block: its module, type and name."""
        for module in self._modules:
            for block in module.of("resource"):
                yield module, *address_of(block)

    def document(self) -> dict[str, Value]:
        """The CloudFormation template of what was read, and the gaps noted."""
        resources: dict[str, Any] = {}
        for module, kind, name in self._blocks():
            twin = twins.TWINS.get(kind)
            if twin is None:
                continue
            found = module.instances(kind, name)
            if isinstance(found, Unknown):
                what = f"How many of {module.place.prefix}{kind}.{name} there are"
                self._gap(what, found, twin.checks)
                continue
            for one in (found or {}).values():
                resources[one.address] = {
                    "Type": twin.kind,
                    "Properties": self._properties(module, one, twin),
                }
        self._attach(resources)
        return {"Resources": resources}

    def _attach(self, resources: dict[str, Any]) -> None:
        """Tell the folder's own policies whose they are; what AWS's policies allow is a gap."""
        policies = {
            module.attribute(one, "arn"): resources[one.address]["Properties"]
            for module, kind, name in self._blocks()
            if kind == "aws_iam_policy"
            for one in _each(module, kind, name)
        }
        for address, role, arn in list(_attachments(resources)):
            if arn in policies:
                policies[arn]["Roles"].append(role)
            elif not str(arn).startswith(_LAMBDAS_OWN):
                why = Unknown(f"the policy {arn} is not in this folder")
                self._gap(f"What {address} allows", why, frozenset({"callback-permission"}))

    def _properties(self, module: Module, one: Instance, twin: twins.Twin) -> dict[str, Value]:
        written = self._members(one.body, one.names, one.address, twin.members)
        for block in twin.blocks:
            bodies = module.blocks(one.body, block.name, one.names)
            if isinstance(bodies, Unknown):
                self._gap(f"{block.name} of {one.address}", bodies, block.checks)
                continue
            read = [
                dict(block.defaults) | self._members(body, names, one.address, block.members)
                for body, names in bodies
            ]
            if read:
                written[block.becomes] = block.shape(read)
        return twin.shape(written, module.own_name(one))

    def _members(
        self, body: Body, names: Names, address: str, members: Sequence[twins.Member]
    ) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for member in members:
            if member.name not in body.attributes:
                continue
            value = hcl.evaluate(body.attributes[member.name], names)
            unknown = hcl.unknown_in(value)
            if unknown is not None:
                self._gap(f"{member.name} of {address}", unknown, member.checks)
            elif value is not None:
                found[member.becomes] = value
        return found

    def _gap(self, what: str, unknown: Unknown, checks: frozenset[str]) -> None:
        if checks:
            self._gaps.append(Gap(what=what, why=unknown.why, checks=checks))

    def with_gaps(self, api: Api) -> Api:
        """The facts, with what is missing from them."""
        return replace(api, gaps=tuple(self._gaps))


def _each(module: Module, kind: str, name: str) -> list[Instance]:
    found = module.instances(kind, name)
    return list(found.values()) if isinstance(found, dict) else []


def _attachments(resources: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """Address, role and ARN of every policy that is attached."""
    for address, resource in resources.items():
        properties = resource["Properties"]
        if resource["Type"] == twins.ATTACHMENT and "PolicyArn" in properties:
            yield address, properties.get("Role"), properties["PolicyArn"]
        for arn in properties.get("ManagedPolicyArns", ()):
            yield address, properties["RoleName"], arn


def _typed(text: str) -> Value:
    """A value from the command line: what JSON reads as no text is meant as such."""
    try:
        value: Value = json.loads(text)
    except ValueError:
        return text
    return value
