"""Reads a text as plain data: one literal value, or the arguments of a call. Runs nothing.

Called by the harness on a run's inputs and by literal jobs. The inverse of `values`: what that writes, this reads back.

    text ──► size, null bytes, surrogates ──► scan (strings taken out: signs, names, nesting) ──► ast.parse ──► build

The scan refuses, in time linear in the text, whatever could make a deep tree, because CPython's parser spends its C
stack on depth. The tree is then built node by node from a short list of kinds. Besides Python's literals a few
spellings of data are read: `nan`, `inf`, `float('nan')`, `set()`, `set([..])`, `frozenset({..})`, `bytearray(b'..')`,
`complex(1.0, -0.0)`, `range(3)`, `dict(a=1)`. No other call, name, operator or comprehension has a meaning here.
"""

from __future__ import annotations

import ast
import json
import re
from json.scanner import make_scanner
from typing import Any

from .values import MAX_DEPTH

_NAN_SPELLINGS = frozenset({"nan", "+nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})

#: Names that may stand in a text: constants, callables of data, prefixes of strings (whose contents are out by then).
_CONSTANTS = ("None", "True", "False", "Ellipsis", "nan", "inf")
_CALLABLES = ("set", "frozenset", "float", "bytearray", "complex", "range", "dict")
_PREFIXES = ("b", "B", "r", "R", "u", "U", "rb", "rB", "Rb", "RB", "br", "bR", "Br", "BR")
_NAMES = frozenset((*_CONSTANTS, *_CALLABLES, *_PREFIXES))

#: Signs one number can have: `-1e-5-+1e-5j`, and room.
_MOST_SIGNS = 8

#: Strings and comments. A string that is not closed is taken to where it would have to be, for the parser refuses it in
#: any case, and whoever went on at its next quote would take quadratic time.
_STRINGS = re.compile(
    r"""'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*(?:'''|\\?\Z)|\"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:\"""|\\?\Z)
      |'[^'\\\n]*(?:\\.[^'\\\n]*)*(?:'|\\?\Z|(?=\n))|"[^"\\\n]*(?:\\.[^"\\\n]*)*(?:"|\\?\Z|(?=\n))|\#[^\n]*""",
    re.DOTALL | re.VERBOSE,
)
_FOREIGN = re.compile(r"[^\w\s\"'()\[\]{},:.=+-]")
_WORD = re.compile(r"(?<![\w.])[^\W\d]\w*(?P<keyword>\s*=(?!=))?")
_DEEPENERS = re.compile(r"[)\]}]\s*[-+(\[{]|(?:[-+]\s*){3}|(?<!\d)\.\s*[^\W\d]")
_DELIMITERS = re.compile(r"[,()\[\]{}:]")
_BRACKETS = re.compile(r"[()\[\]{}]")


#: Longest text of arguments that is read, whatever a run's output may be.
MAX_ARGUMENTS = 64 << 10


class RefusedError(Exception):
    """The text is not plain data; `args[0]` says why."""


class TooLargeError(RefusedError):
    """The text is longer than what is read."""


def read_value(text: str, limit: int) -> Any:
    """The value of one literal expression. Raises `RefusedError`."""
    text = text.strip()
    if len(text) <= limit:
        plain = _read_plain(text)
        if plain is not None and len(plain) == 1:
            return plain[0]
    _scan(text, limit)
    return _Builder().build(_parse(text))


def read_arguments(text: str, limit: int = MAX_ARGUMENTS) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments written as inside a call's parentheses. Raises `RefusedError`."""
    if len(text) <= limit:
        plain = _read_plain(text)
        if plain is not None:
            return tuple(plain), {}
    _scan(text, limit)
    call = _parse(f"_({text}\n)")
    # Only if the first parenthesis is closed by the last is the whole a call of `_`: `1) or (True` is not.
    if type(call) is not ast.Call or type(call.func) is not ast.Name or call.func.id != "_":
        raise RefusedError("not a list of arguments")
    builder = _Builder()
    return tuple([builder.build(argument) for argument in call.args]), builder.keywords(call.keywords)


def value_of(node: ast.expr) -> Any:
    """The value of a tree that is data. Raises `RefusedError`."""
    return _Builder().build(node)


#: What JSON reads and Python does not, or reads otherwise.
_NOT_PYTHON = re.compile(r"true|false|null|NaN|Infinity|\\|\0")  # a backslash: JSON has escapes of its own
_scan_json = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # typeshed has it wrong


def _read_plain(text: str) -> list[Any] | None:
    """The values of a text that JSON and Python read alike, or None: most texts, at a twentieth of the parser's cost.

    Alike are numbers, strings without escapes in one kind of quotes, lists and dictionaries of these: JSON's grammar is
    a part of Python's there, and what JSON adds is kept out by `_NOT_PYTHON`.
    """
    if not text.isascii() or _NOT_PYTHON.search(text) or text.count("[") + text.count("{") >= MAX_DEPTH:
        return None
    if "'" in text:
        if '"' in text:
            return None
        text = text.replace("'", '"')
    try:
        values, end = _scan_json("[" + text + "]", 0)
    except (ValueError, StopIteration):
        return None
    return values if end == len(text) + 2 else None


def _scan(text: str, limit: int) -> None:
    if len(text) > limit:
        raise TooLargeError(f"too large: more than {limit} characters")
    if "\0" in text:
        raise RefusedError("null byte")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RefusedError("surrogate") from None
    bare = _bare(text)
    foreign = _FOREIGN.search(bare)
    if foreign:
        raise RefusedError(f"not a literal: {foreign.group()!a}")
    for word in _WORD.finditer(bare):
        if not word["keyword"] and word.group() not in _NAMES:
            raise RefusedError(f"not a literal: the name {word.group()[:40]}")
    _check_depth(bare)


def _bare(text: str) -> str:
    """The text with strings empty and comments blank, and with lines that end where they do for the parser."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "#" not in text:
        return _STRINGS.sub('""', text)
    return _STRINGS.sub(lambda found: " " if found.group().startswith("#") else '""', text)


def _check_depth(bare: str) -> None:
    if _DEEPENERS.search(bare) or _longest_sum(bare) > _MOST_SIGNS:
        raise RefusedError("not a literal: operators")
    if bare.count("(") + bare.count("[") + bare.count("{") > MAX_DEPTH:
        depth = 0
        for bracket in _BRACKETS.findall(bare):
            depth += 1 if bracket in "([{" else -1
            if depth > MAX_DEPTH:
                raise RefusedError(f"too deep: more than {MAX_DEPTH} levels")


def _longest_sum(bare: str) -> int:
    if bare.count("-") + bare.count("+") <= _MOST_SIGNS:
        return 0
    return max(part.count("-") + part.count("+") for part in _DELIMITERS.split(bare))


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        message = str(error.msg)
        if "digits" in message:
            raise RefusedError("too large: write integers of more than 4300 digits in hexadecimal") from None
        raise RefusedError(f"syntax: {message[:200]}") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise RefusedError(f"syntax: {str(error)[:200]}") from None


class _Builder:
    """Builds the value of a tree out of the few kinds of node that are data."""

    def build(self, node: ast.expr) -> Any:
        kind = type(node)
        if kind is ast.Constant:
            return node.value  # type: ignore[attr-defined]
        method = _KINDS.get(kind)
        if method is None:
            raise RefusedError(f"not a literal: {kind.__name__}")
        try:
            return method(self, node)
        except RecursionError:
            raise RefusedError("too deep: the syntax tree cannot be walked") from None
        except (TypeError, ValueError, OverflowError, MemoryError) as error:
            raise RefusedError(str(error)[:200]) from None

    def keywords(self, keywords: list[ast.keyword]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for keyword in keywords:
            if keyword.arg is None:
                raise RefusedError("not a literal: **")
            if keyword.arg in named:
                raise RefusedError(f"keyword repeated: {keyword.arg}")
            named[keyword.arg] = self.build(keyword.value)
        return named

    def _list(self, node: ast.List) -> Any:
        return [self.build(item) for item in node.elts]

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple([self.build(item) for item in node.elts])

    def _set(self, node: ast.Set) -> Any:
        return {self.build(item) for item in node.elts}

    def _dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            raise RefusedError("not a literal: **")
        return {self.build(key): self.build(item) for key, item in zip(node.keys, node.values, strict=True) if key}

    def _name(self, node: ast.Name) -> Any:
        # A nan is made anew each time, so that sets of several nans keep their size.
        if node.id == "nan":
            return float("nan")
        if node.id == "inf":
            return float("inf")
        if node.id == "Ellipsis":
            return ...
        raise RefusedError(f"not a literal: the name {node.id[:40]}")

    def _signed(self, node: ast.UnaryOp) -> Any:
        number = self.build(node.operand)
        if type(number) not in (int, float, complex):
            raise RefusedError("not a literal: a sign before what is no number")
        if type(node.op) is ast.USub:
            return -number
        if type(node.op) is ast.UAdd:
            return number
        raise RefusedError(f"not a literal: {type(node.op).__name__}")

    def _sum(self, node: ast.BinOp) -> Any:
        real, imaginary = self.build(node.left), self.build(node.right)
        if type(real) not in (int, float) or type(imaginary) is not complex or imaginary.real:
            raise RefusedError("not a literal: operators")
        # Part by part: before Python 3.14 `1-0j` lost the sign of its zero.
        if type(node.op) is ast.Add:
            return complex(real, imaginary.imag)
        if type(node.op) is ast.Sub:
            return complex(real, -imaginary.imag)
        raise RefusedError(f"not a literal: {type(node.op).__name__}")

    def _call(self, node: ast.Call) -> Any:
        name = node.func.id if type(node.func) is ast.Name else ""
        arguments = [self.build(argument) for argument in node.args]
        if name == "dict":
            if not arguments:
                return self.keywords(node.keywords)
        elif node.keywords:
            pass
        elif name in ("set", "frozenset"):
            if len(arguments) <= 1 and all(type(item) in (list, tuple, set, frozenset) for item in arguments):
                return (set if name == "set" else frozenset)(*arguments)
        elif name == "float":
            if len(arguments) == 1 and type(arguments[0]) is str and arguments[0].strip().lower() in _NAN_SPELLINGS:
                return float(arguments[0])
        elif name == "bytearray":
            if len(arguments) <= 1 and all(type(item) is bytes for item in arguments):
                return bytearray(*arguments)
        elif name == "complex":
            if len(arguments) == 2 and all(type(item) in (int, float) for item in arguments):
                return complex(*arguments)
        elif name == "range" and 1 <= len(arguments) <= 3 and all(type(item) is int for item in arguments):
            return range(*arguments)
        raise RefusedError(f"not a literal: a call{' of ' + name[:40] if name else ''}")


_KINDS: dict[Any, Any] = {
    ast.List: _Builder._list,
    ast.Tuple: _Builder._tuple,
    ast.Set: _Builder._set,
    ast.Dict: _Builder._dict,
    ast.Name: _Builder._name,
    ast.UnaryOp: _Builder._signed,
    ast.BinOp: _Builder._sum,
    ast.Call: _Builder._call,
}
