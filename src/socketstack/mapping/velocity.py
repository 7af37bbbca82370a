"""Velocity templates as API Gateway renders them: airspeed's parser, with Java's manners.

airspeed gives templates Python's objects: their attributes, their truth, their text. Here they get
what Java's Velocity 1.7 would give them, and nothing else of Python can be reached. Where AWS was
seen to differ from Velocity it counts: a reference without a value is an empty text, also in
conditions, and only ``false`` is not true.

Used in the mapping worker's own process and in tests, never in the engine's.

Rules: 5.50, 5.53.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from airspeed import operators

from socketstack.mapping import java

FOREACH_MAX_ITERATIONS: Final = 1000
"""Rule 5.53; what lies beyond is left out, as Velocity does it."""

_KEPT_TEMPLATES: Final = 128
_LOOSEST: Final = 100
_AND: Final = 12
_OR: Final = 13


class TemplateError(Exception):
    """A template that cannot be read or rendered, and where."""


class Scope:
    """An object of the host, such as ``$input``: named members and methods, nothing else."""

    def __init__(
        self, *, members: Mapping[str, Any], methods: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.members = members
        self.methods = methods


def render(template: str, variables: Mapping[str, Any]) -> str:
    """The text that a template gives; raises ``TemplateError``.

    Args:
        template: Velocity's language.
        variables: By name without the dollar sign: JSON values and ``Scope``s. JSON values may be
            changed by the template.
    """
    try:
        text: str = _compiled(template).merge(dict(variables))
    except _Break:
        raise TemplateError("#break stands outside of #foreach.") from None
    except operators.TemplateSyntaxError as error:
        raise TemplateError(f"It cannot be read: {error}") from error
    except operators.TemplateExecutionError as error:
        raise TemplateError(_cause(error)) from error
    except operators.NoMatch as error:
        raise TemplateError(f"It cannot be read: {error or 'the syntax is wrong'}") from error
    except operators.TemplateError as error:
        raise TemplateError(str(error)) from error
    except RecursionError as error:
        raise TemplateError("It nests too deeply.") from error
    return text


def _cause(error: operators.TemplateExecutionError) -> str:
    cause: BaseException | None = error.__cause__
    while isinstance(cause, operators.TemplateExecutionError):
        cause = cause.__cause__
    where = error.element.my_text()
    reason = "it nests too deeply" if isinstance(cause, RecursionError) else str(cause)
    reason = reason or type(cause).__name__
    return f"{where.strip()[:80]!r} failed: {reason}"


@lru_cache(maxsize=_KEPT_TEMPLATES)
def _compiled(template: str) -> operators.Template:
    compiled = operators.Template(template)
    compiled.ensure_compiled()
    return compiled


# What replaces airspeed's own


class _Break(BaseException):
    """Leaves a loop; no ``Exception``, which airspeed would turn into an error."""


class _BreakDirective(operators._Element):  # type: ignore[misc] # noqa: SLF001
    """``#break``."""

    START = operators.re.compile(r"#(?:break\b|\{break\})(.*)", operators.re.S)

    def parse(self) -> None:
        self.identity_match(self.START)

    def evaluate_raw(self, _stream: Any, _namespace: Any, _loader: Any) -> None:
        raise _Break


_DIRECTIVE: Final = operators.re.compile(
    r"#\{?(?:if|elseif|foreach|set|macro|define|evaluate|include|parse)\}?[ \t]*\("
)


def _hash_text(self: Any) -> None:
    """A ``#`` that begins nothing; a directive that could not be read is an error, no text."""
    if _DIRECTIVE.match(self.full_text(), self.start):
        raise self.syntax_error("a directive that can be read")
    (self.text,) = self.identity_match(self.PLAIN)


def _name_or_call(self: Any, current: Any, loader: Any, top: Any) -> Any:
    """One step of a reference: a variable, a member or a call."""
    is_variable = isinstance(current, operators.LocalNamespace)
    result = _variable(current, self.name) if is_variable else None
    if isinstance(result, operators._FunctionDefinition):  # noqa: SLF001
        return _defined(self, result, loader, top)
    arguments = None if self.parameters is None else self.parameters.calculate(top, loader)
    if not is_variable:
        result = _step(current, self.name, arguments)
    elif arguments is not None:
        result = None  # $name(): there are no functions but those that #define makes
    if self.index is not None:
        result = _item(result, self.index.calculate(top, loader))
    return result


def _step(current: Any, name: str, arguments: list[Any] | None) -> Any:
    if isinstance(current, Scope):
        if arguments is None:
            return current.members.get(name)
        method = current.methods.get(name)
        return None if method is None else method(*arguments)
    if arguments is None:
        return java.member(current, name)
    return java.call(current, name, arguments)


def _defined(self: Any, definition: Any, loader: Any, top: Any) -> str:
    """What a ``#define`` block gives; empty parentheses behind it are text, as on AWS."""
    arguments = self.parameters.calculate(top, loader) if self.parameters else []
    stream = operators.StoppableStream()
    definition.execute_function(stream, top, arguments, loader)
    text: str = stream.getvalue()
    is_define = isinstance(definition, operators.DefineDefinition)
    return (
        text + self.parameters.my_text()
        if is_define and self.parameters and not arguments
        else text
    )


def _variable(namespace: Any, name: str) -> Any:
    try:
        return namespace[name]
    except KeyError:
        return None


def _item(value: Any, index: Any) -> Any:
    try:
        return value[index] if isinstance(value, dict | list) else None
    except (KeyError, IndexError, TypeError):
        return None


def _reference(self: Any, namespace: Any, loader: Any, global_namespace: Any = None) -> Any:
    """A whole reference, or the rest of one; without a value it is an empty text."""
    top = namespace if global_namespace is None else global_namespace
    value = self.part.calculate(namespace, loader, top)
    if self.subexpression:
        value = self.subexpression.calculate(value, loader, top)
    return "" if value is None and global_namespace is None else value


def _rest(self: Any, current: Any, loader: Any, top: Any) -> Any:
    if not isinstance(self.expression, operators.ArrayIndex):
        return self.expression.calculate(current, loader, top)
    result = _item(current, self.expression.calculate(top, loader))
    return self.subexpression.calculate(result, loader, top) if self.subexpression else result


def _expression(self: Any, namespace: Any, loader: Any) -> Any:
    """Operators by precedence; ``&&`` and ``||`` look at their right side only where it counts."""
    terms = self.expression

    def climb(position: int, loosest: int, *, counts: bool) -> tuple[Any, int]:
        value = terms[position].calculate(namespace, loader) if counts else None
        position += 1
        while position < len(terms) and terms[position].precedence <= loosest:
            operator = terms[position]
            is_decided = (operator.precedence == _AND and not java.truth(value)) or (
                operator.precedence == _OR and java.truth(value)
            )
            right, position = climb(
                position + 1, operator.precedence - 1, counts=counts and not is_decided
            )
            if counts:
                value = operator.apply_to(value, right) if not is_decided else java.truth(value)
        return value, position

    return climb(0, _LOOSEST, counts=True)[0]


def _condition(self: Any, namespace: Any, loader: Any) -> bool:
    return java.truth(self.expression.calculate(namespace, loader))


def _not(self: Any, namespace: Any, loader: Any) -> bool:
    return not java.truth(self.value.calculate(namespace, loader))


def _range(self: Any, namespace: Any, loader: Any) -> Any:
    first = self.value1.calculate(namespace, loader)
    last = self.value2.calculate(namespace, loader)
    if not isinstance(first, int) or not isinstance(last, int):
        return None
    step = 1 if last >= first else -1
    return list(islice(range(first, last + step, step), FOREACH_MAX_ITERATIONS))


def _foreach(self: Any, stream: Any, namespace: Any, loader: Any) -> None:
    """A loop over a list, or over the values of a map; over nothing where it is neither."""
    values = self.value.calculate(namespace, loader)
    items: Iterable[Any] = values.values() if isinstance(values, dict) else values
    if not isinstance(values, dict | list):
        return
    outer = _variable(namespace, "foreach")
    count = len(values)
    for index, item in enumerate(islice(list(items), FOREACH_MAX_ITERATIONS)):
        inner = operators.LocalNamespace(namespace)
        inner["foreach"] = {
            "count": index + 1,
            "index": index,
            "hasNext": index + 1 < count,
            "first": index == 0,
            "last": index + 1 == count,
            "parent": outer,
        }
        inner["velocityCount"] = index + 1
        inner["velocityHasNext"] = index + 1 < count
        inner[self.loop_var_name] = item
        try:
            self.block.evaluate(stream, inner, loader)
        except _Break:
            return


def _assignment(self: Any, _stream: Any, namespace: Any, loader: Any) -> None:
    value = self.value.calculate(namespace, loader)
    if not self.terms:
        namespace.set_inherited(self.root_term, value)
        return
    current = _variable(namespace, self.root_term)
    names = [term.calculate(namespace, loader) for term in self.terms]
    for name in names[:-1]:
        current = _item(current, name)
    if not isinstance(current, dict | list):
        raise operators.TemplateError(f"${self.root_term} has no members to set.")
    current[names[-1]] = value


def _mend() -> None:
    """Replace what airspeed does its own way; this process renders templates and nothing else."""
    operators.FallthroughHashText.parse = _hash_text
    operators.NameOrCall.calculate = _name_or_call
    operators.VariableExpression.calculate = _reference
    operators.SubExpression.calculate = _rest
    operators.Expression.calculate = _expression
    operators.Condition.calculate = _condition
    operators.UnaryOperatorValue.calculate = _not
    operators.Range.calculate = _range
    operators.ForeachDirective.evaluate_raw = _foreach
    operators.Assignment.evaluate_raw = _assignment
    operators.value_to_string = java.text
    operators.BinaryOperator.OPERATORS.update(java.OPERATORS)
    operators.UserDefinedDirective.DIRECTIVES.append(_BreakDirective)


_mend()
