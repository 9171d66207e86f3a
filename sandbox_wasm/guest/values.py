"""A Python value as text, in the three forms of `protocol.Value`: literal, exact and key.

Called by the harness on what a program returned and by the literal reader's jobs; read back by `literals`. Only values
whose type is exactly one of the built-in data types have a text; user code is never called while one is made.

                      literal            exact               key (equal as Python says, nan equal to nan)
    1 / 1.0 / True    1 / 1.0 / True     1 / 1.0 / True      1 / 1 / 1
    -0.0              -0.0               -0.0                0
    {'b': 1, 'a': 2}  in this order      {'a': 2, 'b': 1}    {'a': 2, 'b': 1}
    frozenset({1})    frozenset({1})     frozenset({1})      {1}
    bytearray(b'x')   bytearray(b'x')    bytearray(b'x')     b'x'
    Counter('a')      {'a': 1}           {'a': 1}            {'a': 1}

A walk returns one string where the three agree, which is nearly always, and a triple where they do not, so that the
usual value is joined once. Builtins are captured here because a program may replace them before its value is read.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from itertools import repeat
from operator import is_
from typing import Any

#: Nesting beyond this is refused in both directions: it is far above what programs return and far below what
#: CPython's parser and the WebAssembly stack can take when the text is read back.
MAX_DEPTH = 100

#: Longest name of a class that is written: what answers in error prediction may have.
MAX_NAME = 100

#: How many times as long as a literal the other texts may be: escapes of letters and hexadecimal digits lengthen them.
_LONGER = 4

#: Integers beyond this many bits are written in hexadecimal: CPython refuses decimals of more than 4,300 digits
#: (14,281 bits) and reads and writes them in quadratic time. 2**14000 has 4,215 digits.
_DECIMAL_BITS = 14_000

#: Up to here an integer's key is decimal (cheap, shared with the literal), beyond it hexadecimal (linear time).
_DECIMAL_KEY = 10**15

_ascii, _bool, _bytes, _complex, _dict, _float = ascii, bool, bytes, complex, dict, float
_frozenset, _hex, _id = frozenset, hex, id
_int, _iter, _len, _list, _range, _repr, _set, _sorted = int, iter, len, list, range, repr, set, sorted
_all, _any, _map, _max, _min, _str, _sum, _tuple, _type = all, any, map, max, min, str, sum, tuple, type
_is, _repeat = is_, repeat
_bit_length, _float_hex, _is_ascii = int.bit_length, float.hex, str.isascii
_type_name = type.__dict__["__name__"].__get__
_joined, _is_identifier = "".join, str.isidentifier


class OpaqueError(Exception):
    """The value has no text; `args[0]` says why."""


class _TooDeepError(Exception):
    """Nested deeper than `MAX_DEPTH`."""


def describe(value: Any, output_bytes: int) -> tuple[str, str, str, str]:
    """The literal, exact and key texts of a value and its type's name. Raises `OpaqueError`.

    No text is ever cut: a literal longer than `output_bytes` characters makes the value opaque, and so does one of the
    other texts longer than four times that.
    """
    try:
        texts = _walk(value, MAX_DEPTH, output_bytes)
    except _TooDeepError:
        raise _too_deep(value) from None
    if _type(texts) is _str:
        literal = exact = key = texts
    else:
        literal, exact, key = texts
    _check_lengths(literal, exact, key, output_bytes)
    return literal, exact, key, name_of(_type(value))


def _check_lengths(literal: str, exact: str, key: str, budget: int) -> None:
    if _len(literal) > budget:
        raise _too_large(budget)
    if _len(exact) > _LONGER * budget or _len(key) > _LONGER * budget:
        raise OpaqueError(f"too large: more than {_LONGER * budget} characters as it is compared")


def name_of(kind: Any) -> str:
    """A class's name, cut to what a person would write, with `?` for what no name holds.

    A program may give its classes any text for a name, of millions of letters or `KeyError: no`, or a string of a class
    of its own; none may be written as if it were the name and the message of another.
    """
    name: str = _joined([_type_name(kind)])[:MAX_NAME]
    if _is_identifier(name):
        return name
    letters = [letter if _is_identifier("_" + letter) else "?" for letter in name]
    return _joined(letters) if _is_identifier(_joined(letters[:1])) else "?" + _joined(letters[1:])


def describe_arguments(
    arguments: tuple[Any, ...], named: dict[str, Any], output_bytes: int
) -> tuple[str, str, str, str]:
    """The texts of a call's arguments, without parentheses: `1, 'a', key=None`. Raises `OpaqueError`.

    As in a dictionary, names keep their order in the literal alone: what `**more` takes in, a program sees in it.
    """
    placed = [_argument("", value, output_bytes) for value in arguments]
    by_name = {name: _argument(name + "=", value, output_bytes) for name, value in named.items()}
    literal = ", ".join([triple[0] for triple in [*placed, *by_name.values()]])
    in_order = [*placed, *[by_name[name] for name in _sorted(by_name)]]
    exact, key = [", ".join([triple[form] for triple in in_order]) for form in (1, 2)]
    _check_lengths(literal, exact, key, output_bytes)
    return literal, exact, key, "arguments"


def _argument(name: str, value: Any, budget: int) -> list[str]:
    try:
        texts = _walk(value, MAX_DEPTH, budget)
    except _TooDeepError:
        raise _too_deep(value) from None
    return [name + (texts if _type(texts) is _str else texts[form]) for form in (0, 1, 2)]


def _walk(value: Any, depth: int, budget: int) -> Any:
    kind = _type(value)
    if kind is _str:
        if _len(value) > budget:
            raise _too_large(budget)
        # repr depends on the Unicode tables of the interpreter; ascii does not, and texts that are compared must not.
        return _repr(value) if _is_ascii(value) else (_repr(value), _ascii(value), _ascii(value))
    if kind is _int:
        return _integer(value, budget)
    if kind is _float:
        text = _repr(value)
        return text, text, _float_key(value)
    if kind is _bool:
        return ("True", "True", "1") if value else ("False", "False", "0")
    if value is None:
        return "None"
    if kind is _list or kind is _tuple:
        return _sequence(value, kind is _list, depth, budget)
    if kind is _dict:
        return _mapping(value, depth, budget)
    if kind is _set or kind is _frozenset:
        return _collection(value, kind is _set, depth, budget)
    return _seldom(kind, value, depth, budget)


def _seldom(kind: Any, value: Any, depth: int, budget: int) -> Any:
    # By identity here too: looking a type up in a dictionary or set would call a hash of its metaclass's.
    for scalar, write in _SCALARS:
        if kind is scalar:
            return write(value, budget)
    for dictionary, items in _DICTIONARIES:
        if kind is dictionary:
            return _mapping(_dict(items(value)), depth, budget)
    raise OpaqueError(f"no literal form: {name_of(kind)}")


def _integer(value: int, budget: int) -> Any:
    if -_DECIMAL_KEY < value < _DECIMAL_KEY:
        return _repr(value)
    bits = _bit_length(value)
    if bits > 4 * budget:
        raise _too_large(budget)
    text = _repr(value) if bits <= _DECIMAL_BITS else _hex(value)
    return text, text, _hex(value)


def _integer_key(value: int) -> str:
    return _repr(value) if -_DECIMAL_KEY < value < _DECIMAL_KEY else _hex(value)


def _float_key(value: float) -> str:
    if value - value != 0.0:  # inf and nan
        return _repr(value)
    whole = _int(value)
    return _integer_key(whole) if whole == value else _repr(value)


def _sequence(value: Any, is_list: bool, depth: int, budget: int) -> Any:
    if not depth:
        raise _TooDeepError
    if 3 * _len(value) > budget + 3:
        raise _too_large(budget)
    first = _type(value[0]) if value else None
    alike = (first is _int or first is _str) and _all(_map(_is, _map(_type, value), _repeat(first)))
    if alike and first is _int and _min(value) > -_DECIMAL_KEY and _max(value) < _DECIMAL_KEY:
        return _within(_repr(value), budget)
    if alike and first is _str and _sum(_map(_len, value)) <= budget:
        text = _repr(value)
        if _is_ascii(text):  # then nothing in it has another form
            return _within(text, budget)
    depth -= 1
    parts = [_walk(item, depth, budget) for item in value]
    if is_list:
        opening, closing = "[", "]"
    else:
        opening, closing = "(", ",)" if _len(parts) == 1 else ")"
    return _join(parts, opening, closing, budget)


def _within(text: str, budget: int) -> str:
    if _len(text) > budget:
        raise _too_large(budget)
    return text


def _join(parts: list[Any], opening: str, closing: str, budget: int) -> Any:
    for part in parts:
        if _type(part) is not _str:
            break
    else:
        text = opening + ", ".join(parts) + closing
        if _len(text) > budget:
            raise _too_large(budget)
        return text
    triples = [(part, part, part) if _type(part) is _str else part for part in parts]
    literal = opening + ", ".join([triple[0] for triple in triples]) + closing
    if _len(literal) > budget:
        raise _too_large(budget)
    exact = opening + ", ".join([triple[1] for triple in triples]) + closing
    return literal, exact, opening + ", ".join([triple[2] for triple in triples]) + closing


def _mapping(value: dict[Any, Any], depth: int, budget: int) -> Any:
    if not depth:
        raise _TooDeepError
    if 6 * _len(value) > budget + 6:
        raise _too_large(budget)
    depth -= 1
    literals: list[str] = []
    exacts: list[str] = []
    keys: list[str] = []
    plain = True
    for name, item in value.items():
        left, right = _walk(name, depth, budget), _walk(item, depth, budget)
        if _type(left) is _str and _type(right) is _str:
            text = left + ": " + right
            literals.append(text)
            exacts.append(text)
            keys.append(text)
            continue
        plain = False
        if _type(left) is _str:
            left = (left, left, left)
        if _type(right) is _str:
            right = (right, right, right)
        literals.append(left[0] + ": " + right[0])
        exacts.append(left[1] + ": " + right[1])
        keys.append(left[2] + ": " + right[2])
    literal = "{" + ", ".join(literals) + "}"
    if _len(literal) > budget:
        raise _too_large(budget)
    exacts.sort()
    exact = "{" + ", ".join(exacts) + "}"
    if plain:
        return (literal, exact, exact) if exact != literal else literal
    keys.sort()
    return literal, exact, "{" + ", ".join(keys) + "}"


def _collection(value: Any, is_set: bool, depth: int, budget: int) -> Any:
    if not value:
        return ("set()" if is_set else "frozenset()", "set()" if is_set else "frozenset()", "set()")
    if not depth:
        raise _TooDeepError
    if 3 * _len(value) > budget + 3:
        raise _too_large(budget)
    depth -= 1
    triples = []
    numbers = True
    for item in value:
        part = _walk(item, depth, budget)
        triples.append((part, part, part) if _type(part) is _str else part)
        numbers = numbers and _type(item) is _int
    # Integers in the order of numbers, because people read them; all else in the order of the texts.
    if numbers:
        ordered = [_integer(item, budget) for item in _sorted(value)]
        literals = [part if _type(part) is _str else part[0] for part in ordered]
    else:
        literals = _sorted([triple[0] for triple in triples])
    exacts = _sorted([triple[1] for triple in triples])
    keys = _sorted([triple[2] for triple in triples])
    opening, closing = ("{", "}") if is_set else ("frozenset({", "})")
    literal = opening + ", ".join(literals) + closing
    if _len(literal) > budget:
        raise _too_large(budget)
    return literal, opening + ", ".join(exacts) + closing, "{" + ", ".join(keys) + "}"


def _bytes_text(value: bytes, budget: int) -> str:
    if _len(value) > budget:
        raise _too_large(budget)
    return _repr(value)


def _bytearray_text(value: bytearray, budget: int) -> tuple[str, str, str]:
    text = _bytes_text(_bytes(value), budget)
    return f"bytearray({text})", f"bytearray({text})", text


def _complex_text(value: complex, _budget: int) -> tuple[str, str, str]:
    real, imaginary = value.real, value.imag
    # Python reads `-2j` as -(2j), whose real part is -0.0, and has no spelling of nan and inf in a complex literal:
    # where its repr would not come back as the same value, the constructor's call is written instead.
    literal = exact = f"complex({_repr(real)}, {_repr(imaginary)})"
    if real - real == 0.0 and imaginary - imaginary == 0.0:
        if real != 0.0 or not (_negative(real) or _negative(imaginary)):
            literal = _repr(value)
        elif _negative(real) and _negative(imaginary):
            literal = _repr(_complex(0.0, imaginary))
    if imaginary == 0.0:
        return literal, exact, _float_key(real)
    return literal, exact, f"complex({_float_key(real)}, {_float_key(imaginary)})"


def _negative(number: float) -> bool:
    return _float_hex(number)[0] == "-"  # also of -0.0


def _range_text(value: range, budget: int) -> tuple[str, str, str]:
    start, stop, step = value.start, value.stop, value.step
    for number in (start, stop, step):
        if _bit_length(number) > _DECIMAL_BITS:
            raise _too_large(budget)
    text = _repr(value)
    # Ranges are equal when they hold the same numbers; counted by hand because len() overflows on long ones.
    count = (stop - start + step - (1 if step > 0 else -1)) // step
    if count <= 0:
        return text, text, "range()"
    return text, text, f"range({_integer_key(start)}, {_hex(count)}, {_integer_key(step) if count > 1 else '1'})"


def _ellipsis_text(_value: Any, _budget: int) -> str:
    return "Ellipsis"


_SCALARS: tuple[tuple[Any, Any], ...] = (
    (bytes, _bytes_text),
    (bytearray, _bytearray_text),
    (complex, _complex_text),
    (range, _range_text),
    (type(...), _ellipsis_text),
)

#: Dictionaries of the standard library, which equal the plain dict of the same items and are written as that in every
#: form: no literal could be exactly a Counter. Listed by exact type with the method that gives their items, so that no
#: code of a subclass is run.
_DICTIONARIES: tuple[tuple[Any, Any], ...] = (
    (Counter, dict.items),
    (defaultdict, dict.items),
    (OrderedDict, OrderedDict.items),
)


def _too_large(budget: int) -> OpaqueError:
    return OpaqueError(f"too large: more than {budget} characters")


def _too_deep(value: Any) -> OpaqueError:
    """The reason for a value nested deeper than `MAX_DEPTH`, which is also how a cycle shows."""
    return OpaqueError("cycle" if _has_cycle(value) else f"too deep: more than {MAX_DEPTH} levels")


def _has_cycle(value: Any) -> bool:
    """Whether a container holds itself, sought along every path but no longer than `_CYCLE_SEARCH` steps."""
    path = [(_id(value), _children(value))]
    on_path, left = {_id(value)}, _set()
    for _ in _range(_CYCLE_SEARCH):
        number, children = path[-1]
        for child in children:
            if _id(child) in on_path:
                return True
            if _is_container(_type(child)) and _id(child) not in left:
                path.append((_id(child), _children(child)))
                on_path.add(_id(child))
                break
        else:
            path.pop()
            on_path.discard(number)
            left.add(number)
            if not path:
                return False
    return False


def _children(value: Any) -> Any:
    kind = _type(value)
    for sequence in _SEQUENCES:
        if kind is sequence:
            return _iter(value)
    return _iter(_dict.values(value))


def _is_container(kind: Any) -> bool:
    return _any(kind is container for container in _CONTAINERS)


_SEQUENCES = (list, tuple, set, frozenset)
_CONTAINERS = (*_SEQUENCES, dict, Counter, defaultdict, OrderedDict)

#: Steps in search of a cycle before a value is merely called too deep.
_CYCLE_SEARCH = 10_000
