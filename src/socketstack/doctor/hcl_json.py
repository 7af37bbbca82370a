"""Terraform's JSON syntax as its native syntax: text to text. Pure.

Whether a member of a resource is an argument or a block stands in the provider's schema, which
nobody has here. So a member that could be either is written as both: who reads asks for one of
them by its name.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

_LABELS: Final = {
    **dict.fromkeys(("resource", "data", "ephemeral"), 2),
    **dict.fromkeys(("variable", "output", "module", "provider", "check"), 1),
    **dict.fromkeys(("locals", "terraform", "moved", "import", "removed"), 0),
}
"""How many levels of names a block of this kind has."""
_WITHOUT_BLOCKS: Final = frozenset({"locals", "variable", "output", "module"})
"""Kinds of blocks whose members are all arguments."""
_META_BLOCKS: Final = frozenset({"lifecycle", "provisioner", "connection"})
_COMMENT: Final = "//"


def as_native(text: str) -> str:
    """The same file in the native syntax.

    Raises ``ValueError`` where the text is no JSON, or not of Terraform's form.
    """
    document = json.loads(text)
    lines: list[str] = []
    for each in _objects(document, "the file"):
        for kind, content in each.items():
            if kind == _COMMENT:
                continue
            if kind not in _LABELS:
                raise ValueError(f"{kind} is no kind of block")
            for labels, body in _labelled(content, _LABELS[kind], kind):
                head = " ".join([kind, *map(json.dumps, labels)])
                lines.append(f"{head} {{\n{_body(body, kind)}\n}}")
    return "\n".join(lines) + "\n"


def _objects(value: object, where: str) -> Iterator[Mapping[str, object]]:
    """An object, or those of a list: both say the same."""
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, Mapping):
            raise ValueError(f"{where} holds something that is no object")  # noqa: TRY004 - in a text
        yield each


def _labelled(
    value: object, levels: int, where: str
) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """The bodies below so many levels of names, with the names."""
    for each in _objects(value, where):
        if levels == 0:
            yield (), each
            continue
        for name, inner in each.items():
            if name != _COMMENT:
                for labels, body in _labelled(inner, levels - 1, f"{where} {name}"):
                    yield (name, *labels), body


def _body(body: Mapping[str, object], kind: str) -> str:
    lines: list[str] = []
    for name, value in body.items():
        if name == _COMMENT or name in _META_BLOCKS:
            continue
        if name == "dynamic" and kind not in _WITHOUT_BLOCKS:
            lines += _dynamic(value)
            continue
        # Defaults of variables are constants; a ${ in them is a mistake that Terraform refuses.
        lines.append(f"{name} = {_expression(value)}")
        if kind not in _WITHOUT_BLOCKS and _may_be_blocks(value):
            lines += [f"{name} {{\n{_body(one, name)}\n}}" for one in _objects(value, name)]
    return "\n".join(lines)


def _dynamic(value: object) -> Iterator[str]:
    for labels, body in _labelled(value, 1, "dynamic"):
        inner = [
            f"content {{\n{_body(one, 'content')}\n}}"
            for one in _objects(body.get("content", {}), "content")
        ]
        head = _expression(body.get("for_each"))
        yield "\n".join([f'dynamic "{labels[0]}" {{', f"for_each = {head}", *inner, "}"])


def _may_be_blocks(value: object) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(o, Mapping) for o in value)


def _expression(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{_template(name)} = {_expression(one)}" for name, one in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_expression, value)) + "]"
    return _template(value) if isinstance(value, str) else json.dumps(value)


def _template(text: str) -> str:
    """A quoted template: what is outside of ``${}`` and ``%{}`` is escaped, the rest is code."""
    parts, position, literal = [], 0, 0
    while position < len(text):
        if text[position : position + 3] in {"$${", "%%{"}:
            position += 3
        elif text[position : position + 2] in {"${", "%{"}:
            end = _end_of_code(text, position + 2)
            parts += [_escaped(text[literal:position]), text[position:end]]
            position = literal = end
        else:
            position += 1
    return '"' + "".join([*parts, _escaped(text[literal:])]) + '"'


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _end_of_code(text: str, position: int) -> int:
    """Where the code that begins here ends, after its brace."""
    depth = 1
    while position < len(text):
        letter = text[position]
        if letter == '"':
            position = _end_of_string(text, position + 1)
            continue
        depth += {"{": 1, "}": -1}.get(letter, 0)
        position += 1
        if depth == 0:
            return position
    raise ValueError(f"{text} has code without an end")


def _end_of_string(text: str, position: int) -> int:
    while position < len(text):
        if text[position] == '"':
            return position + 1
        if text[position] == "\\":
            position += 2
        elif text[position : position + 2] in {"${", "%{"}:
            position = _end_of_code(text, position + 2)
        else:
            position += 1
    raise ValueError(f"{text} has a string without an end")
