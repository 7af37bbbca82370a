"""Terraform's expressions, as far as they can be worked out without Terraform. Pure.

The grammar is python-hcl2's; here its trees get values. What cannot be known is ``Unknown``, and so
is everything that rests on it: nothing is guessed.
"""

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Protocol, TypeAlias

import hcl2
from lark import Token, Tree
from lark.exceptions import LarkError

Value: TypeAlias = object
"""A JSON value, ``Unknown``, or what ``Names`` gives for a part of a reference."""
Node: TypeAlias = Tree[Token] | Token
_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only Terraform, or the one who runs it, can tell."""

    why: str


class Reference(Protocol):
    """A part of a reference, which more may follow."""

    def member(self, key: Value) -> Value:
        """What an attribute or an index leads to."""

    def items(self) -> Value:
        """What iterating over it gives: a list, a mapping, or Unknown."""


Names: TypeAlias = Mapping[str, Value]
"""What the first words of references mean."""


@dataclass(frozen=True, slots=True)
class Body:
    """What stands between two braces."""

    attributes: Mapping[str, Node] = field(default_factory=dict)
    blocks: Sequence["Block"] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its type, its labels, and what it holds."""

    kind: str
    labels: tuple[str, ...]
    body: Body


def parse(text: str) -> Body:
    """The blocks and attributes of one file.

    Raises ``ValueError`` where the text is not HCL.
    """
    try:
        tree = hcl2.parses_to_tree(text)
    except LarkError as problem:
        first = str(problem).partition("\n")[0]
        raise ValueError(first) from problem
    return _body(_trees(tree)[0])


def _body(tree: Tree[Token]) -> Body:
    attributes: dict[str, Node] = {}
    blocks: list[Block] = []
    for child in _trees(tree):
        if child.data == "attribute":
            attributes[_name(child.children[0])] = child.children[-1]
        elif child.data == "block":
            *heads, body = _trees(child)
            kind, *labels = (_name(head) for head in heads)
            blocks.append(Block(kind, tuple(labels), _body(body)))
    return Body(attributes, blocks)


def _name(node: Node) -> str:
    """An identifier, keyword or quoted label."""
    if isinstance(node, Token):
        return str(node)
    return "".join(_name(child) for child in node.children).strip('"')


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    """The children that mean something."""
    return [
        child
        for child in tree.children
        if isinstance(child, Tree) and child.data != "new_line_or_comment"
    ]


def evaluate(node: Node, names: Names) -> Value:
    """The value of an expression; ``Unknown`` where it has none that can be known."""
    if isinstance(node, Token):
        return Unknown(f"{node} is not understood")
    rule = _RULES.get(str(node.data))
    if rule is None:
        return Unknown(f"a {node.data} is not worked out")
    return rule(node, names)


def unknown_in(value: Value) -> Unknown | None:
    """The first part of a value that is not known."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, Mapping):
        parts: Sequence[Value] = list(value.values())
    elif isinstance(value, list):
        parts = value
    else:
        return None
    return next((found for part in parts if (found := unknown_in(part)) is not None), None)


def items(value: Value) -> Value:
    """What ``for`` goes through: pairs of key and value, or Unknown."""
    if not isinstance(value, Unknown | Mapping | list | str | int | float | None):
        value = value.items()  # type: ignore[attr-defined] # a Reference, by Value's definition
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list):
        return list(enumerate(value))
    return value if isinstance(value, Unknown) else Unknown("it cannot be iterated over")


def _only(tree: Tree[Token], names: Names) -> Value:
    return evaluate(_trees(tree)[0], names)


def _identifier(tree: Tree[Token], names: Names) -> Value:
    name = _name(tree)
    return names.get(name, Unknown(f"{name} is not known"))


def _literal(tree: Tree[Token], _names: Names) -> Value:
    literals = {"true": True, "false": False, "null": None}
    return literals[_name(tree)]


def _number(tree: Tree[Token], _names: Names) -> Value:
    value: Value = json.loads(_name(tree))
    return value


def _string(tree: Tree[Token], names: Names) -> Value:
    pieces = _trees(tree)
    if len(pieces) == 1 and _is_interpolation(pieces[0]):
        # Terraform gives the value itself, whatever its type: "${var.routes}" is var.routes.
        return _only(_trees(pieces[0])[0], names)
    parts = [_part(part, names) for part in pieces]
    unknown = next((part for part in parts if isinstance(part, Unknown)), None)
    return unknown if unknown is not None else "".join(map(str, parts))


def _is_interpolation(tree: Tree[Token]) -> bool:
    return isinstance(tree.children[0], Tree) and tree.children[0].data == "interpolation"


def _part(tree: Tree[Token], names: Names) -> Value:
    child = tree.children[0]
    if isinstance(child, Token):
        if child.type == "STRING_CHARS":
            return json.loads(f'"{child}"', strict=False)
        return str(child)[1:]
    if child.data != "interpolation":
        return Unknown("directives in strings are not worked out")
    value = _only(child, names)
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str | int | float | Unknown):
        return value
    return Unknown("something in a string is no text")


def _heredoc(tree: Tree[Token], _names: Names) -> Value:
    lines = _name(tree).strip("\n").split("\n")
    text = "\n".join(lines[1:-1]) + "\n"
    if "${" in text or "%{" in text:
        return Unknown("values inside heredocs are not worked out")
    return text


def _tuple(tree: Tree[Token], names: Names) -> Value:
    return [evaluate(child, names) for child in _trees(tree)]


def _object(tree: Tree[Token], names: Names) -> Value:
    found: dict[str, Value] = {}
    for element in _trees(tree):
        key_node, value_node = _trees(element)
        key = _key(key_node, names)
        if isinstance(key, Unknown):
            return key
        found[str(key)] = evaluate(value_node, names)
    return found


def _key(tree: Tree[Token], names: Names) -> Value:
    node = tree.children[0]
    if isinstance(node, Tree) and node.data == "expr_term" and len(node.children) == 1:
        inner = node.children[0]
        if isinstance(inner, Tree) and inner.data == "identifier":
            return _name(inner)
    if isinstance(node, Tree) and node.data == "keyword":
        return _name(node)
    return evaluate(node, names)


def member(value: Value, key: Value) -> Value:
    """What an attribute or an index of a value is."""
    for part in (value, key):
        if isinstance(part, Unknown):
            return part
    if isinstance(value, Mapping):
        return value.get(str(key), Unknown(f"there is no {key}"))
    if isinstance(value, list):
        is_there = isinstance(key, int) and 0 <= key < len(value)
        return _applied(operator.getitem, "index", value, key if is_there else None)
    if value is None or isinstance(value, str | int | float):
        return Unknown(f"{key} of a plain value is not known")
    return value.member(key)  # type: ignore[attr-defined] # a Reference


def _attribute(tree: Tree[Token], names: Names) -> Value:
    whole, attribute = _trees(tree)
    return member(evaluate(whole, names), _name(attribute).removeprefix("."))


def _index(tree: Tree[Token], names: Names) -> Value:
    whole, index = _trees(tree)
    if index.data == "short_index":
        return member(evaluate(whole, names), int(_name(index).removeprefix(".")))
    return member(evaluate(whole, names), _only(index, names))


def _splat(tree: Tree[Token], names: Names) -> Value:
    whole, splat = _trees(tree)
    pairs = items(evaluate(whole, names))
    if not isinstance(pairs, list):
        return pairs
    found = [value for _, value in pairs]
    for step in _trees(splat):
        key: Value = _name(step).removeprefix(".")
        if step.data != "get_attr":
            key = _only(step, names) if step.data == "braces_index" else int(str(key))
        found = [member(one, key) for one in found]
    return found


def _conditional(tree: Tree[Token], names: Names) -> Value:
    condition, yes, no = _trees(tree)
    chosen = evaluate(condition, names)
    if isinstance(chosen, Unknown):
        return chosen
    return evaluate(yes if chosen in (True, "true") else no, names)


_OPERATORS: Final[Mapping[str, Callable[..., Value]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def _binary(tree: Tree[Token], names: Names) -> Value:
    left_node, term = _trees(tree)
    sign, right_node = _trees(term)
    left = evaluate(left_node, names)
    word = _name(sign)
    if word in {"&&", "||"}:
        if isinstance(left, Unknown) or left is (word == "||"):
            return left
        return evaluate(right_node, names)
    right = evaluate(right_node, names)
    unknown = unknown_in(left) or unknown_in(right)
    if unknown is not None:
        return unknown
    return _applied(_OPERATORS.get(word), word, left, right)


def _unary(tree: Tree[Token], names: Names) -> Value:
    value = _only(tree, names)
    if isinstance(value, Unknown):
        return value
    sign = str(tree.children[0])
    return _applied(operator.neg if sign == "-" else operator.not_, sign, value)


def _applied(function: Callable[..., Value] | None, name: str, *values: Value) -> Value:
    if function is None:
        return Unknown(f"{name} is not worked out")
    try:
        return function(*values)
    except (TypeError, ValueError, LookupError, AttributeError):
        return Unknown(f"{name} cannot be worked out")


def _for(tree: Tree[Token], names: Names) -> Iterator[tuple[Tree[Token], Names] | Unknown]:
    """The names of each round, with the whole tree; Unknown when the rounds are not known."""
    intro = _trees(tree)[0]
    *variables, source = _trees(intro)
    pairs = items(evaluate(source, names))
    if not isinstance(pairs, list):
        yield pairs if isinstance(pairs, Unknown) else Unknown("a for cannot be worked out")
        return
    condition = next((child for child in _trees(tree) if child.data == "for_cond"), None)
    for pair in pairs:
        words = [_name(variable) for variable in variables]
        round_names = {**names, **dict(zip(words, pair[-len(words) :], strict=True))}
        holds = True if condition is None else _only(condition, round_names)
        if isinstance(holds, Unknown):
            yield holds
            return
        if holds:
            yield tree, round_names


def _for_tuple(tree: Tree[Token], names: Names) -> Value:
    found: list[Value] = []
    for each in _for(tree, names):
        if isinstance(each, Unknown):
            return each
        found.append(evaluate(_trees(tree)[1], each[1]))
    return found


def _for_object(tree: Tree[Token], names: Names) -> Value:
    if any(isinstance(child, Token) and child.type == "ELLIPSIS" for child in tree.children):
        return Unknown("grouping with ... is not worked out")
    found: dict[str, Value] = {}
    for each in _for(tree, names):
        if isinstance(each, Unknown):
            return each
        key = evaluate(_trees(tree)[1], each[1])
        if isinstance(key, Unknown):
            return key
        found[str(key)] = evaluate(_trees(tree)[2], each[1])
    return found


def _merge(*objects: Mapping[str, Value] | None) -> Value:
    return dict(chain.from_iterable((each or {}).items() for each in objects))


def _concat(*lists: list[Value]) -> Value:
    return list(chain.from_iterable(lists))


def _toset(values: list[Value]) -> Value:
    """A set, as the mapping that ``for_each`` makes of it."""
    return {str(value): value for value in values}


def _jsonencode(value: Value) -> Value:
    return unknown_in(value) or json.dumps(value)


_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "concat": _concat,
    "jsonencode": _jsonencode,
    "keys": sorted,
    "length": len,
    "lower": str.lower,
    "merge": _merge,
    "tolist": list,
    "tomap": dict,
    "toset": _toset,
    "tostring": str,
    "upper": str.upper,
    "values": lambda value: [value[key] for key in sorted(value)],
}


def _call(tree: Tree[Token], names: Names) -> Value:
    function, *rest = _trees(tree)
    name = _name(function)
    given = rest[0] if rest else Tree("arguments", [])
    values = [evaluate(child, names) for child in _trees(given)]
    if any(isinstance(child, Token) and child.type == "ELLIPSIS" for child in given.children):
        last = values.pop()
        values += last if isinstance(last, list) else [Unknown("... needs a list")]
    unknown = next((value for value in values if isinstance(value, Unknown)), None)
    if unknown is not None:
        return unknown
    if name not in _FUNCTIONS:
        return Unknown(f"the function {name} is not worked out here")
    return _applied(_FUNCTIONS[name], name, *values)


_RULES: Final[Mapping[str, Callable[[Tree[Token], Names], Value]]] = {
    "expr_term": _only,
    "identifier": _identifier,
    "literal_value": _literal,
    "int_lit": _number,
    "float_lit": _number,
    "string": _string,
    "heredoc_template": _heredoc,
    "heredoc_template_trim": _heredoc,
    "tuple": _tuple,
    "object": _object,
    "get_attr_expr_term": _attribute,
    "index_expr_term": _index,
    "attr_splat_expr_term": _splat,
    "full_splat_expr_term": _splat,
    "conditional": _conditional,
    "binary_op": _binary,
    "unary_op": _unary,
    "for_tuple_expr": _for_tuple,
    "for_object_expr": _for_object,
    "function_call": _call,
}
