"""The entry's parameters as text, and arguments bound to them as Python would: each call gets one spelling.

`syntax` writes the signature of a program it has parsed; a literal job brings it back, so that `f(a, b=2)` is asked the
same by `1`, `a=1`, `1, 2` and `b=2, a=1`. Nothing is run.

    function ─ written ─► "a, b=2, /, c=..., *rest, d=None" ─ parsed ─► Parameters ─ bound ─► positional, named

Defaults that are immutable constants are kept. Of any other the text says by `...` that there is one: it is made when
the program runs, or may change between calls, so nothing can stand in its place.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from . import literals, values

#: Longer signatures are not written: no program that a person would call by hand has one.
_LONGEST = 2_000

#: Longest default that is kept, and how deep its tuples may nest.
_LONGEST_DEFAULT = 200
_DEEPEST_DEFAULT = 8

_UNFILLED = "..."

#: Stand for "there is no default" and for "there is one, which cannot be filled in".
_REQUIRED, _UNKNOWN = object(), object()

Bound = tuple[tuple[Any, ...], dict[str, Any]]


class Parameters(NamedTuple):
    """What arguments are bound to: names, each with its default or one of the two marks."""

    positional: tuple[tuple[str, Any], ...]
    positional_only: int
    """How many of them cannot be named."""
    takes_rest: bool
    named: tuple[tuple[str, Any], ...]
    takes_more: bool


def written(function: Any) -> str:
    """The parameters of a function's or a lambda's node as source text; empty if that is too long."""
    given: ast.arguments = function.args
    parts = []
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    for number, (parameter, default) in enumerate(zip(positional, defaults, strict=True), start=1):
        parts.append(_parameter(parameter, default))
        if number == len(given.posonlyargs):
            parts.append("/")
    if given.vararg is not None:
        parts.append("*" + given.vararg.arg)
    elif given.kwonlyargs:
        parts.append("*")
    parts += [_parameter(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg is not None:
        parts.append("**" + given.kwarg.arg)
    text = ", ".join(parts)
    return text if len(text) <= _LONGEST else ""


def _parameter(parameter: ast.arg, default: ast.expr | None) -> str:
    return parameter.arg if default is None else f"{parameter.arg}={_default(default)}"


def _default(node: ast.expr) -> str:
    if not _is_constant(node, _DEEPEST_DEFAULT):
        return _UNFILLED
    try:
        return values.describe(literals.value_of(node), _LONGEST_DEFAULT)[0]
    except (literals.RefusedError, values.OpaqueError):
        return _UNFILLED


def _is_constant(node: ast.expr, depth: int) -> bool:
    if isinstance(node, ast.Tuple):
        return depth > 0 and all(_is_constant(item, depth - 1) for item in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        node = node.operand
        return isinstance(node, ast.Constant) and type(node.value) in (int, float, complex)
    return isinstance(node, ast.Constant) and node.value is not ...


def parsed(text: str) -> Parameters | None:
    """The parameters that `written` wrote; None for any other text, and for one without parameters."""
    if not text or len(text) > _LONGEST:
        return None
    try:
        (function,) = ast.parse(f"def _({text}): pass").body
        if type(function) is not ast.FunctionDef:
            return None
        given = function.args
        positional = [*given.posonlyargs, *given.args]
        required = len(positional) - len(given.defaults)
        return Parameters(
            positional=tuple(
                (parameter.arg, _REQUIRED if number < required else _read(given.defaults[number - required]))
                for number, parameter in enumerate(positional)
            ),
            positional_only=len(given.posonlyargs),
            takes_rest=given.vararg is not None,
            named=tuple(
                (parameter.arg, _REQUIRED if default is None else _read(default))
                for parameter, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
            ),
            takes_more=given.kwarg is not None,
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError, literals.RefusedError):
        return None


def _read(default: ast.expr) -> Any:
    if isinstance(default, ast.Constant) and default.value is ...:
        return _UNKNOWN
    return literals.value_of(default)


def bound(parameters: Parameters, positional: tuple[Any, ...], named: dict[str, Any]) -> Bound:
    """The arguments in their one spelling: by position as far as possible, then by name, constant defaults filled in.

    Names are in the order of the alphabet; those that `**more` takes keep theirs, for the program sees it. What cannot
    be bound is not, for running it to tell.
    """
    filled = _filled(parameters, positional, dict(named))
    return (positional, dict(sorted(named.items()))) if filled is None else filled


def _filled(parameters: Parameters, positional: tuple[Any, ...], left: dict[str, Any]) -> Bound | None:
    ordered, by_name = list(positional), {}
    if len(ordered) > len(parameters.positional) and not parameters.takes_rest:
        return None
    for number, (name, default) in enumerate(parameters.positional):
        nameable = number >= parameters.positional_only
        if number < len(positional):
            if nameable and name in left:
                return None  # given twice
            continue
        value = left.pop(name, default) if nameable else default
        if value is _REQUIRED:
            return None
        if value is _UNKNOWN:
            continue  # a gap: what follows can only be named
        if number == len(ordered):
            ordered.append(value)
        elif nameable:
            by_name[name] = value
    for name, default in parameters.named:
        value = left.pop(name, default)
        if value is _REQUIRED:
            return None
        if value is not _UNKNOWN:
            by_name[name] = value
    if left and not parameters.takes_more:
        return None
    return tuple(ordered), {**dict(sorted(by_name.items())), **left}
