"""One Terraform module: what its files say, and what names in it mean. Values, no facts.

Modules in folders beside it are read with the values that they are called with; what comes from a
registry or by git is not here, and everything of it is ``Unknown``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from socketstack.doctor import hcl, twins
from socketstack.doctor.files import read_blocks
from socketstack.doctor.hcl import Block, Body, Names, Unknown, Value
from socketstack.doctor.template import made_up
from socketstack.errors import ConfigError

_NO_NAMES: Final[Names] = {}
_META: Final = frozenset({"for_each", "count"})
_OF_THE_CALL: Final = _META | {"source", "version", "providers", "depends_on"}
"""Arguments of a call that are no variables of the module."""
_LOCAL_SOURCES: Final = ("./", "../")


@dataclass(frozen=True, slots=True)
class Instance:
    """One resource or module, or one of those that ``for_each`` or ``count`` make."""

    kind: str
    address: str
    body: Body
    names: Names


@dataclass(frozen=True, slots=True)
class _Path:
    """A reference as far as it was read: ``aws_lambda_function``, ``.this``, ``["key"]``."""

    module: "Module"
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

    module: "Module"
    instance: Instance

    def member(self, key: Value) -> Value:
        """An attribute of it."""
        return self.module.attribute(self.instance, str(key))

    def items(self) -> Value:
        """Nothing goes through a resource."""
        return Unknown(f"{self.instance.address} cannot be iterated over")


@dataclass(frozen=True, slots=True)
class _Called:
    """A reference to what a called module gives: ``module.chat``, or one of several."""

    module: "Module"
    name: str

    def member(self, key: Value) -> Value:
        """An output of it, or one of its instances."""
        found = self.module.called(self.name)
        if isinstance(found, Unknown):
            return found
        if None in found:
            return found[None].output(str(key))
        return _Outputs(found[key]) if key in found else Unknown(f"no module.{self.name}[{key}]")

    def items(self) -> Value:
        """Its instances."""
        found = self.module.called(self.name)
        if isinstance(found, Unknown):
            return found
        ones: dict[Value, Value] = {key: _Outputs(one) for key, one in found.items()}
        return list(ones.values()) if all(isinstance(key, int) for key in ones) else ones


@dataclass(frozen=True, slots=True)
class _Outputs:
    """A reference to one instance of a called module."""

    module: "Module"

    def member(self, key: Value) -> Value:
        """One of its outputs."""
        return self.module.output(str(key))

    def items(self) -> Value:
        """Nothing goes through a module."""
        return Unknown(f"{self.module.place.prefix} cannot be iterated over")


@dataclass(frozen=True, slots=True)
class _Calls:
    """``module``: looked up when a name is asked for."""

    module: "Module"

    def member(self, key: Value) -> Value:
        """One called module."""
        return _Called(self.module, str(key))

    def items(self) -> Value:
        """Nothing goes through all of them."""
        return Unknown("module cannot be iterated over")


@dataclass(frozen=True, slots=True)
class _Scope:
    """``var`` or ``local``: looked up when a name is asked for."""

    values: "Module"
    kind: str

    def member(self, key: Value) -> Value:
        """One variable's or local's value."""
        return self.values.scoped(self.kind, str(key))

    def items(self) -> Value:
        """Nothing goes through all of them."""
        return Unknown(f"{self.kind} cannot be iterated over")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module stands among those that call each other."""

    root: Path
    """The folder that everything began with."""
    region: str
    prefix: str = ""
    """What addresses of its resources begin with: ``module.chat.``."""
    callers: tuple[Path, ...] = ()


class Module:
    """A folder, with the values of its variables."""

    def __init__(self, folder: Path, values: Mapping[str, Value], place: Place) -> None:
        """Read a folder.

        Args:
            folder: With the module's files.
            values: What its variables are set to; those that are missing have their defaults.
            place: Where it stands among the modules.

        Raises:
            ConfigError: a file cannot be read, or the module calls itself.
        """
        if folder.resolve() in place.callers:
            raise ConfigError(f"{folder} is a module that calls itself: Terraform refuses that.")
        self.folder, self.place, self._values = folder, place, values
        self._blocks = read_blocks(folder)
        self._cache: dict[tuple[str, str], Value] = {}
        self._instances: dict[tuple[str, str], dict[Value, Instance] | Unknown | None] = {}
        self._called: dict[str, dict[Value, Module] | Unknown] = {}

    # What names mean

    @cached_property
    def names(self) -> Names:
        """What the first words of references mean everywhere."""
        kinds = {block.labels[0] for block in self.of("resource")}
        data = {b.labels[0]: _Path(self, f"data.{b.labels[0]}") for b in self.of("data")}
        return {
            **{kind: _Path(self, kind) for kind in kinds},
            "data": data,
            "var": _Scope(self, "var"),
            "local": _Scope(self, "local"),
            "path": {"module": str(self.folder), "root": str(self.place.root)},
            "module": _Calls(self),
        }

    def of(self, kind: str) -> Iterator[Block]:
        """The blocks of one kind."""
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
        for block in self.of("locals"):
            if name in block.body.attributes:
                return hcl.evaluate(block.body.attributes[name], self.names)
        return Unknown(f"there is no local.{name}")

    def _variable(self, name: str) -> Value:
        if name in self._values:
            return self._values[name]
        block = next((one for one in self.of("variable") if one.labels[0] == name), None)
        if block is not None and "default" in block.body.attributes:
            return hcl.evaluate(block.body.attributes["default"], _NO_NAMES)
        if self.place.prefix:
            return Unknown(f"var.{name} of {self.place.prefix[:-1]} is not set")
        return Unknown(f"var.{name} has no value here; give it with --parameter {name}=VALUE")

    def output(self, name: str) -> Value:
        """What a module that calls this one sees of it."""
        key = ("output", name)
        if key not in self._cache:
            self._cache[key] = Unknown(f"{self.place.prefix}{name} rests on itself")
            block = next((one for one in self.of("output") if one.labels[0] == name), None)
            self._cache[key] = (
                Unknown(f"{self.place.prefix[:-1]} has no output {name}")
                if block is None or "value" not in block.body.attributes
                else hcl.evaluate(block.body.attributes["value"], self.names)
            )
        return self._cache[key]

    # Resources

    def instances(self, kind: str, name: str) -> dict[Value, Instance] | Unknown | None:
        """One resource's instances by key; the key is None without ``for_each`` and ``count``."""
        if (kind, name) not in self._instances:
            self._instances[kind, name] = Unknown(f"{kind}.{name} rests on itself")
            blocks = (b for b in self._blocks if b.kind in {"resource", "data"})
            block = next((b for b in blocks if address_of(b) == (kind, name)), None)
            self._instances[kind, name] = None if block is None else self._expand(kind, name, block)
        return self._instances[kind, name]

    def _expand(self, kind: str, name: str, block: Block) -> dict[Value, Instance] | Unknown:
        """A block's instances, by key."""
        address, attributes = f"{self.place.prefix}{kind}.{name}", block.body.attributes
        if not _META & attributes.keys():
            return {None: Instance(kind, address, block.body, self.names)}
        if "count" in attributes:
            count = hcl.evaluate(attributes["count"], self.names)
            if not isinstance(count, int):
                return count if isinstance(count, Unknown) else Unknown("count is no number")
            return {
                number: Instance(
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
            key: Instance(
                kind,
                f'{address}["{key}"]',
                block.body,
                {**self.names, "each": {"key": key, "value": value}},
            )
            for key, value in pairs
        }

    def attribute(self, one: Instance, name: str) -> Value:
        """What other resources see of one: as written, or made up as for a template."""
        if name in one.body.attributes and name not in _META:
            value = hcl.evaluate(one.body.attributes[name], one.names)
            if name not in twins.OWN_NAMES or not isinstance(value, Unknown):
                return value
        if one.kind == "data.aws_iam_policy_document" and name == "json":
            return self._document_of(one)
        return twins.computed(one.kind, one.address, name, self.own_name(one), self.place.region)

    def own_name(self, one: Instance) -> str:
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

    def _document_of(self, one: Instance) -> Value:
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

    # Modules

    def called(self, name: str) -> dict[Value, "Module"] | Unknown:
        """The instances of a module that this one calls, by key as for resources."""
        if name not in self._called:
            self._called[name] = Unknown(f"module.{name} rests on itself")
            block = next((one for one in self.of("module") if one.labels[0] == name), None)
            self._called[name] = (
                Unknown(f"there is no module.{name}") if block is None else self._call(name, block)
            )
        return self._called[name]

    def _call(self, name: str, block: Block) -> dict[Value, "Module"] | Unknown:
        attributes = block.body.attributes
        source = hcl.evaluate(attributes["source"], _NO_NAMES) if "source" in attributes else None
        if not isinstance(source, str) or not source.startswith(_LOCAL_SOURCES):
            told = source if isinstance(source, str) else "that is not clear"
            return Unknown(f"its source {told} is not a folder beside this one, so it is not read")
        folder = self.folder / source
        if not folder.is_dir():
            raise ConfigError(
                f"{self.folder} calls the module {name} in {source}, and there is no such folder."
            )
        found = self._expand("module", name, block)
        if isinstance(found, Unknown):
            return found
        return {key: self._entered(folder, one) for key, one in found.items()}

    def _entered(self, folder: Path, one: Instance) -> "Module":
        values = {
            name: hcl.evaluate(node, one.names)
            for name, node in one.body.attributes.items()
            if name not in _OF_THE_CALL
        }
        place = Place(
            root=self.place.root,
            region=self.place.region,
            prefix=f"{one.address}.",
            callers=(*self.place.callers, self.folder.resolve()),
        )
        return Module(folder, values, place)


def address_of(block: Block) -> tuple[str, str]:
    """A resource's type, with ``data.`` before that of a data source, and its name."""
    prefix = "data." if block.kind == "data" else ""
    return prefix + block.labels[0], block.labels[1]
