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
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from socketstack.doctor import hcl, twins
from socketstack.doctor.facts import Api, Gap
from socketstack.doctor.hcl import Block, Body, Names, Unknown, Value
from socketstack.doctor.template import facts_of, made_up
from socketstack.errors import ConfigError

_NO_NAMES: Final[Names] = {}
_LAMBDAS_OWN: Final = "arn:aws:iam::aws:policy/service-role/AWSLambda"
"""AWS's policies for what functions read and log; none lets anybody post to connections."""
_META: Final = frozenset({"for_each", "count"})


def read_folder(
    folder: Path, *, variables: Mapping[str, str], region: str, api_name: str | None = None
) -> Api:
    """The facts of a Terraform folder's WebSocket API.

    Args:
        folder: With ``.tf`` files; modules that they call are not looked into.
        variables: Values of its variables, before those in ``terraform.tfvars`` and defaults.
        region: Where it is to be applied.
        api_name: The address of the API, when the folder has several.

    Raises:
        ConfigError: a file cannot be read, or the API is not clear.
    """
    module = _Module(folder, variables, region)
    api = facts_of(module.document(), region=region, api_name=api_name, where=str(folder))
    return module.with_gaps(api)


def _read(path: Path) -> Body:
    try:
        return hcl.parse(path.read_text())
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path} cannot be read as Terraform: {problem}") from problem


@dataclass(frozen=True, slots=True)
class _Instance:
    """One resource, or one of those that ``for_each`` or ``count`` make."""

    kind: str
    address: str
    body: Body
    names: Names


@dataclass(frozen=True, slots=True)
class _Path:
    """A reference as far as it was read: ``aws_lambda_function``, ``.this``, ``["key"]``."""

    module: "_Module"
    kind: str
    name: str = ""

    def member(self, key: Value) -> Value:
        """The next step."""
        if not self.name:
            return _Path(self.module, self.kind, str(key))
        found = self.module.instances(self.kind, self.name)
        if found is None:
            return Unknown(f"{self.kind}.{self.name} is not in this folder")
        if isinstance(found, Unknown):
            return found
        if None in found:
            return self.module.attribute(found[None], str(key))
        if key not in found:
            return Unknown(f"there is no {self.kind}.{self.name}[{key}]")
        return _One(self.module, found[key])

    def items(self) -> Value:
        """Its instances."""
        found = self.module.instances(self.kind, self.name)
        if found is None or isinstance(found, Unknown):
            return found or Unknown(f"{self.kind}.{self.name} is not in this folder")
        ones = {key: _One(self.module, one) for key, one in found.items()}
        return list(ones.values()) if all(isinstance(key, int) for key in ones) else ones


@dataclass(frozen=True, slots=True)
class _One:
    """A reference to one instance."""

    module: "_Module"
    instance: _Instance

    def member(self, key: Value) -> Value:
        """An attribute of it."""
        return self.module.attribute(self.instance, str(key))

    def items(self) -> Value:
        """Nothing goes through a resource."""
        return Unknown(f"{self.instance.address} cannot be iterated over")


@dataclass(frozen=True, slots=True)
class _Scope:
    """``var`` or ``local``: looked up when a name is asked for."""

    values: "_Module"
    kind: str

    def member(self, key: Value) -> Value:
        """One variable's or local's value."""
        return self.values.scoped(self.kind, str(key))

    def items(self) -> Value:
        """Nothing goes through all of them."""
        return Unknown(f"{self.kind} cannot be iterated over")


class _Module:
    """One folder."""

    def __init__(self, folder: Path, variables: Mapping[str, str], region: str) -> None:
        files = sorted(folder.glob("*.tf"))
        if not files:
            raise ConfigError(f"{folder} has no .tf files: name the folder of a Terraform module.")
        self._folder, self._region, self._given = folder, region, variables
        self._blocks = [block for path in files for block in _read(path).blocks]
        # As Terraform reads them: the later one wins.
        fixed = [folder / "terraform.tfvars", *sorted(folder.glob("*.auto.tfvars"))]
        self._fixed = {
            name: hcl.evaluate(node, _NO_NAMES)
            for path in fixed
            if path.exists()
            for name, node in _read(path).attributes.items()
        }
        self._cache: dict[tuple[str, str], Value] = {}
        self._instances: dict[tuple[str, str], dict[Value, _Instance] | Unknown | None] = {}
        self._gaps: list[Gap] = []

    # What names mean

    @cached_property
    def names(self) -> Names:
        """What the first words of references mean everywhere."""
        kinds = {block.labels[0] for block in self._blocks if block.kind == "resource"}
        data = {b.labels[0]: _Path(self, f"data.{b.labels[0]}") for b in self._of("data")}
        return {
            **{kind: _Path(self, kind) for kind in kinds},
            "data": data,
            "var": _Scope(self, "var"),
            "local": _Scope(self, "local"),
            "path": {"module": str(self._folder), "root": str(self._folder)},
            "module": Unknown("modules are not looked into"),
        }

    def _of(self, kind: str) -> Iterator[Block]:
        return (block for block in self._blocks if block.kind == kind)

    def scoped(self, kind: str, name: str) -> Value:
        """A variable's or a local's value."""
        key = (kind, name)
        if key not in self._cache:
            # One that rests on itself is refused by Terraform; here it ends.
            self._cache[key] = Unknown(f"{kind}.{name} rests on itself")
            self._cache[key] = self._variable(name) if kind == "var" else self._local(name)
        return self._cache[key]

    def _local(self, name: str) -> Value:
        for block in self._of("locals"):
            if name in block.body.attributes:
                return hcl.evaluate(block.body.attributes[name], self.names)
        return Unknown(f"there is no local.{name}")

    def _variable(self, name: str) -> Value:
        block = next((one for one in self._of("variable") if one.labels[0] == name), None)
        if name in self._given:
            return _typed(self._given[name])
        if name in self._fixed:
            return self._fixed[name]
        if block is None or "default" not in block.body.attributes:
            return Unknown(f"var.{name} has no value here; give it with --parameter {name}=VALUE")
        return hcl.evaluate(block.body.attributes["default"], _NO_NAMES)

    # Resources

    def instances(self, kind: str, name: str) -> dict[Value, _Instance] | Unknown | None:
        """One resource's instances by key; the key is None without ``for_each`` and ``count``."""
        if (kind, name) not in self._instances:
            self._instances[kind, name] = Unknown(f"{kind}.{name} rests on itself")
            self._instances[kind, name] = self._expand(kind, name)
        return self._instances[kind, name]

    def _expand(self, kind: str, name: str) -> dict[Value, _Instance] | Unknown | None:
        block = next((b for b in self._resources() if _address(b) == (kind, name)), None)
        if block is None:
            return None
        address, attributes = f"{kind}.{name}", block.body.attributes
        if not _META & attributes.keys():
            return {None: _Instance(kind, address, block.body, self.names)}
        if "count" in attributes:
            count = hcl.evaluate(attributes["count"], self.names)
            if not isinstance(count, int):
                return count if isinstance(count, Unknown) else Unknown("count is no number")
            return {
                number: _Instance(
                    kind,
                    f"{address}[{number}]",
                    block.body,
                    {**self.names, "count": {"index": number}},
                )
                for number in range(count)
            }
        pairs = hcl.items(hcl.evaluate(attributes["for_each"], self.names))
        if not isinstance(pairs, list):
            return pairs if isinstance(pairs, Unknown) else Unknown("for_each is no mapping")
        return {
            key: _Instance(
                kind,
                f'{address}["{key}"]',
                block.body,
                {**self.names, "each": {"key": key, "value": value}},
            )
            for key, value in pairs
        }

    def _resources(self) -> Iterator[Block]:
        return (block for block in self._blocks if block.kind in {"resource", "data"})

    def attribute(self, one: _Instance, name: str) -> Value:
        """What other resources see of one: as written, or made up as for a template."""
        if name in one.body.attributes and name not in _META:
            value = hcl.evaluate(one.body.attributes[name], one.names)
            if name not in twins.OWN_NAMES or not isinstance(value, Unknown):
                return value
        if one.kind == "data.aws_iam_policy_document" and name == "json":
            return self._document_of(one)
        return twins.computed(one.kind, one.address, name, self._own_name(one), self._region)

    def _own_name(self, one: _Instance) -> str:
        """The name that its ARN ends with; any will do where nobody can know it."""
        for member in twins.OWN_NAMES:
            if member in one.body.attributes:
                value = hcl.evaluate(one.body.attributes[member], one.names)
                if isinstance(value, str):
                    return value
        return made_up(one.address)

    def blocks(self, body: Body, kind: str, names: Names) -> list[tuple[Body, Names]] | Unknown:
        """The blocks of one kind in a body, dynamic ones unrolled."""
        found: list[tuple[Body, Names]] = []
        for block in body.blocks:
            if block.kind == kind:
                found.append((block.body, names))
            elif block.kind == "dynamic" and block.labels == (kind,):
                pairs = hcl.items(hcl.evaluate(block.body.attributes["for_each"], names))
                if not isinstance(pairs, list):
                    return pairs if isinstance(pairs, Unknown) else Unknown("for_each is unclear")
                content = next(each.body for each in block.body.blocks if each.kind == "content")
                found += [
                    (content, {**names, kind: {"key": key, "value": value}}) for key, value in pairs
                ]
        return found

    def _document_of(self, one: _Instance) -> Value:
        statements = self.blocks(one.body, "statement", one.names)
        if isinstance(statements, Unknown):
            return statements
        if {"source_policy_documents", "override_policy_documents"} & one.body.attributes.keys():
            return Unknown(f"{one.address} is put together of others")
        found: list[Value] = []
        for body, names in statements:
            words = {"Effect": "Allow"} | {
                twins.STATEMENT[name]: hcl.evaluate(node, names)
                for name, node in body.attributes.items()
                if name in twins.STATEMENT
            }
            if any(block.kind == "condition" for block in body.blocks):
                words["Condition"] = Unknown(f"{one.address} has conditions")
            found.append(words)
        whole = {"Version": "2012-10-17", "Statement": found}
        return hcl.unknown_in(whole) or json.dumps(whole)

    # As a template

    def document(self) -> dict[str, Value]:
        """The CloudFormation template of what was read, and the gaps noted."""
        resources: dict[str, Any] = {}
        for block in self._of("resource"):
            kind, name = _address(block)
            twin = twins.TWINS.get(kind)
            if twin is None:
                continue
            found = self.instances(kind, name)
            if isinstance(found, Unknown):
                self._gap(f"How many of {kind}.{name} there are", found, twin.checks)
                continue
            for one in (found or {}).values():
                resources[one.address] = {
                    "Type": twin.kind,
                    "Properties": self._properties(one, twin),
                }
        self._attach(resources)
        return {"Resources": resources}

    def _attach(self, resources: dict[str, Any]) -> None:
        """Tell the folder's own policies whose they are; what AWS's policies allow is a gap."""
        policies = {
            self.attribute(one, "arn"): resources[one.address]["Properties"]
            for block in self._of("resource")
            if _address(block)[0] == "aws_iam_policy"
            for one in self._each(*_address(block))
        }
        for address, role, arn in list(_attachments(resources)):
            if arn in policies:
                policies[arn]["Roles"].append(role)
            elif not str(arn).startswith(_LAMBDAS_OWN):
                why = Unknown(f"the policy {arn} is not in this folder")
                self._gap(f"What {address} allows", why, frozenset({"callback-permission"}))

    def _each(self, kind: str, name: str) -> list[_Instance]:
        found = self.instances(kind, name)
        return list(found.values()) if isinstance(found, dict) else []

    def _properties(self, one: _Instance, twin: twins.Twin) -> dict[str, Value]:
        written = self._members(one.body, one.names, one.address, twin.members)
        for block in twin.blocks:
            bodies = self.blocks(one.body, block.name, one.names)
            if isinstance(bodies, Unknown):
                self._gap(f"{block.name} of {one.address}", bodies, block.checks)
                continue
            read = [
                dict(block.defaults) | self._members(body, names, one.address, block.members)
                for body, names in bodies
            ]
            if read:
                written[block.becomes] = block.shape(read)
        return twin.shape(written, self._own_name(one))

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
        modules = [
            Gap(
                what=f"What module {block.labels[0]} makes",
                why="modules are not looked into; examine its folder by itself",
            )
            for block in self._of("module")
        ]
        return replace(api, gaps=(*self._gaps, *modules))


def _attachments(resources: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """Address, role and ARN of every policy that is attached."""
    for address, resource in resources.items():
        properties = resource["Properties"]
        if resource["Type"] == twins.ATTACHMENT and "PolicyArn" in properties:
            yield address, properties.get("Role"), properties["PolicyArn"]
        for arn in properties.get("ManagedPolicyArns", ()):
            yield address, properties["RoleName"], arn


def _address(block: Block) -> tuple[str, str]:
    prefix = "data." if block.kind == "data" else ""
    return prefix + block.labels[0], block.labels[1]


def _typed(text: str) -> Value:
    """A value from the command line: what JSON reads as no text is meant as such."""
    try:
        value: Value = json.loads(text)
    except ValueError:
        return text
    return value
