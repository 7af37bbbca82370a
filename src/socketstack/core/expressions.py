"""Selection expressions: parsed once, evaluated for every message.

One small language, used for routes, API keys, models and templates. An expression is one
variable, or literal text with any number of ``${variable}`` parts in it (5.08, 5.09); text
without a variable is a constant (5.11). Routing itself lives in ``core.routing``.

Rules: 1.19, 1.57, 1.104, 5.01 to 5.18, 5.59, 5.72.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from socketstack.core.jsontext import MISSING, Missing, as_text
from socketstack.core.model import Json
from socketstack.errors import ExpressionError

__all__ = ["MISSING", "NO_SOURCES", "Expression", "Missing", "Variable", "as_text", "parse"]

Step = str | int
"""One step into a value: a member's name or an element's index."""

NO_SOURCES: Final[Mapping[str, Json]] = {}

_ROOT: Final = re.compile(
    r"""request\.(?:body|header|basepath)
      | integration\.response\.(?:statuscode|header|multivalueheader|body)
      | context
      | stageVariables""",
    re.VERBOSE,
)
_STEP: Final = re.compile(
    r"""\.(?P<name>[^\s.\[\]{}$/\\'"*]+)
      | \[(?P<index>\d{1,9})\]
      | \[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\]""",
    re.VERBOSE,
)
_PART: Final = re.compile(r"\\(?P<escaped>.)|\$\{(?P<variable>[^{}]*)\}", re.DOTALL)
_HEADER_ROOTS: Final = frozenset(
    {
        ("request", "header"),
        ("integration", "response", "header"),
        ("integration", "response", "multivalueheader"),
    }
)
_BODY: Final = ("request", "body")
_PATHLESS: Final = frozenset({"request.basepath", "integration.response.statuscode"})


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: ``root`` names where to look, ``path`` the way into what is there."""

    root: tuple[str, ...]
    path: tuple[Step, ...]

    @property
    def is_from_body(self) -> bool:
        """Whether it reads the message."""
        return self.root == _BODY

    def resolve(self, body: Json | Missing, sources: Mapping[str, Json]) -> Json | Missing:
        """The value, or ``MISSING``."""
        if self.is_from_body:
            return _walk(body, self.path)
        found = _walk(dict(sources), self.root)
        if self.root in _HEADER_ROOTS:
            return _header(found, self.path)
        return _walk(found, self.path)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression: literal texts and variables, in order."""

    text: str
    parts: tuple[str | Variable, ...]

    @property
    def is_constant(self) -> bool:
        """Whether it gives the same text for every message. Rule 5.11."""
        return not any(isinstance(part, Variable) for part in self.parts)

    def evaluate(
        self, body: Json | Missing, sources: Mapping[str, Json] = NO_SOURCES
    ) -> str | None:
        """The text this expression gives; never raises, whatever the JSON.

        Args:
            body: The message; ``MISSING`` when it is not JSON or no object (5.03, 5.17).
            sources: What variables other than ``request.body`` read, as a tree:
                ``{"request": {"header": {...}}, "context": {...}, "stageVariables": {...},
                "integration": {"response": {"statuscode": 200, "header": {...}}}}``.

        Returns:
            None when the one selected member is missing or null (5.04), or when the message
            is needed and ``MISSING``. In a joined expression a missing part is empty (5.10).
        """
        values = [self._value(part, body, sources) for part in self.parts]
        if len(values) == 1:
            return values[0]
        if body is MISSING and self._needs_body():
            return None
        return "".join(value for value in values if value is not None)

    def _value(
        self, part: str | Variable, body: Json | Missing, sources: Mapping[str, Json]
    ) -> str | None:
        if isinstance(part, str):
            return part
        value = part.resolve(body, sources)
        return None if value is MISSING or value is None else as_text(value)

    def _needs_body(self) -> bool:
        return any(isinstance(part, Variable) and part.is_from_body for part in self.parts)


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    r"""Read an expression; the same text gives the same object.

    Accepts ``$request.body.a.b``, ``${request.body.a}``, ``${request.body.a}/x``, ``x`` and
    ``\$default``. Paths know members, ``[0]`` and ``['name']``; wildcards are refused.

    Raises:
        ExpressionError: naming the part that cannot be read and a form that can.
    """
    if not text:
        raise ExpressionError(
            "A selection expression is empty. Write one such as $request.body.action."
        )
    if text == "$default":
        return Expression(text, (text,))
    if text.startswith("$") and not text.startswith("${"):
        return Expression(text, (_variable(text[1:], text),))
    return Expression(text, tuple(_parts(text)))


def _parts(text: str) -> list[str | Variable]:
    parts: list[str | Variable] = []
    literal = ""
    position = 0
    for match in _PART.finditer(text):
        literal += _literal(text[position : match.start()], text) + (match["escaped"] or "")
        if match["variable"] is not None:
            parts += [literal] if literal else []
            parts.append(_variable(match["variable"], text))
            literal = ""
        position = match.end()
    literal += _literal(text[position:], text)
    return [*parts, literal] if literal else parts


def _literal(piece: str, text: str) -> str:
    if "$" in piece or "{" in piece or "}" in piece or "\\" in piece:
        raise ExpressionError(
            f"The selection expression {text!r} has a stray character in {piece!r}. "
            "Write variables as ${request.body.name} and a plain dollar sign as \\$."
        )
    return piece


def _variable(inside: str, text: str) -> Variable:
    root = _ROOT.match(inside)
    if root is None:
        raise ExpressionError(
            f"The selection expression {text!r} names no variable that WebSocket APIs have. "
            "Use $request.body.name, or \\$default for the constant $default."
        )
    path = _path(inside[root.end() :], text)
    if bool(path) == (root.group() in _PATHLESS):
        raise ExpressionError(
            f"The selection expression {text!r} stops at, or goes beyond, {root.group()}. "
            "Name one member, for example $request.body.action."
        )
    return Variable(tuple(root.group().split(".")), path)


def _path(rest: str, text: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    position = 0
    while position < len(rest):
        match = _STEP.match(rest, position)
        if match is None:
            raise ExpressionError(
                f"The selection expression {text!r} cannot be read at {rest[position:]!r}. "
                "A path is .name, [0] or ['name']; joined expressions put each variable in ${}."
            )
        steps.append(int(match["index"]) if match["index"] else _name(match))
        position = match.end()
    return tuple(steps)


def _name(match: re.Match[str]) -> str:
    return next(
        name for name in (match["name"], match["single"], match["double"]) if name is not None
    )


def _walk(value: Json | Missing, path: tuple[Step, ...]) -> Json | Missing:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def _header(headers: Json | Missing, path: tuple[Step, ...]) -> Json | Missing:
    """A header by a name of any case; names with dots are joined again."""
    if not isinstance(headers, dict):
        return MISSING
    wanted = ".".join(str(step) for step in path).lower()
    return next((value for name, value in headers.items() if name.lower() == wanted), MISSING)
