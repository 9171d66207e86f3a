"""Values as text: what has a literal form, what is opaque and why, and that the text reads back as the same value."""

from __future__ import annotations

import builtins
import math
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox_wasm.guest import literals, values
from tests.sandbox_wasm.guest.test_equality import HASHABLE, VALUES

LIMIT = 1 << 16


def literal(value: Any) -> str:
    return values.describe(value, LIMIT)[0]


def why_opaque(value: Any, limit: int = LIMIT) -> str:
    with pytest.raises(values.OpaqueError) as caught:
        values.describe(value, limit)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (-7, "-7"),
        (1e300, "1e+300"),
        (-0.0, "-0.0"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1 - 2j, "(1-2j)"),
        (-2j, "-2j"),
        (complex(0.0, -2.0), "complex(0.0, -2.0)"),
        (complex(float("inf"), 1.0), "complex(inf, 1.0)"),
        ("it's", '"it\'s"'),
        ("\ud800\x00\n", "'\\ud800\\x00\\n'"),
        ("né", "'né'"),
        (b"\x00a", "b'\\x00a'"),
        (bytearray(b"a"), "bytearray(b'a')"),
        ([], "[]"),
        ((), "()"),
        ((1,), "(1,)"),
        ({}, "{}"),
        (set(), "set()"),
        (frozenset(), "frozenset()"),
        (frozenset({2}), "frozenset({2})"),
        ({"b": 1, "a": [2]}, "{'b': 1, 'a': [2]}"),
        (range(1, 5), "range(1, 5)"),
        (..., "Ellipsis"),
        (2**20_000, hex(2**20_000)),
    ],
    ids=lambda value: value[:30] if type(value) is str and value.isascii() else "",
)
def test_the_literal_is_what_people_would_write(value: Any, text: str) -> None:
    assert literal(value) == text


def test_sets_are_written_in_an_order_of_their_own() -> None:
    assert literal({10, 9, -1, 100}) == "{-1, 9, 10, 100}", "integers as numbers"
    assert literal({"b", "a", "B"}) == "{'B', 'a', 'b'}", "all else as text"
    assert literal({(2, "b"), (10, "a")}) == "{(10, 'a'), (2, 'b')}"


def test_dictionaries_keep_their_order_in_the_literal_alone() -> None:
    text, exact, key, type_name = values.describe({"b": 1, "a": True}, LIMIT)
    assert (text, exact, key) == ("{'b': 1, 'a': True}", "{'a': True, 'b': 1}", "{'a': 1, 'b': 1}")
    assert type_name == "dict"


def test_dictionaries_of_the_library_are_written_as_the_dict_they_equal() -> None:
    ordered = OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert literal(ordered) == "{'b': 2, 'a': 1}"
    assert literal([Counter("aab"), defaultdict(int, {"x": 1})]) == "[{'a': 2, 'b': 1}, {'x': 1}]"
    assert values.describe(Counter("a"), LIMIT) == ("{'a': 1}", "{'a': 1}", "{'a': 1}", "Counter")


class Shape:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Loud(dict[str, int]):
    def items(self) -> Any:
        raise AssertionError("code of a value must not run")

    __iter__ = __len__ = keys = values = __repr__ = items


Point = namedtuple("Point", "x")


class LoudInteger(int):
    def __repr__(self) -> str:
        raise AssertionError("code of a value must not run")

    __hash__ = int.__hash__
    __str__ = __index__ = __int__ = __eq__ = __repr__  # type: ignore[assignment]


class NamesItself(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise AssertionError("code of a type must not run")


def test_a_type_that_poses_as_another_is_found_out_without_asking_it() -> None:
    """A metaclass may hash and compare as it likes; types are told by identity alone."""
    for real in (int, str, bytes, bytearray, complex, range, dict, list, set, Counter, defaultdict):

        class Poses(type):
            model = real

            def __hash__(cls) -> int:
                return hash(cls.model)

            def __eq__(cls, other: object) -> bool:
                return True

        posing = Poses("Poser", (), {"__repr__": lambda self: "forged", "__lt__": lambda self, other: False})
        for value in (posing(), [posing()], (posing(), posing()), {"a": posing()}, [1, posing()], ["a", posing()]):
            assert why_opaque(value) == "no literal form: Poser"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Shape(), "Shape"),
        (Shape, "type"),
        (object(), "object"),
        (Loud(a=1), "Loud"),
        (LoudInteger(1), "LoudInteger"),
        (NamesItself("Odd", (), {})(), "Odd"),
        (Point(1), "Point"),
        (deque([1]), "deque"),
        (Decimal(1), "Decimal"),
        (Fraction(1, 2), "Fraction"),
        (lambda: 0, "function"),
        (len, "builtin_function_or_method"),
        ((x for x in ""), "generator"),
        (iter([]), "list_iterator"),
        ({}.keys(), "dict_keys"),
        (memoryview(b""), "memoryview"),
        (slice(1), "slice"),
        (NotImplemented, "NotImplementedType"),
        (sys, "module"),
        (types.SimpleNamespace(), "SimpleNamespace"),
        (ValueError("x"), "ValueError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_literal_is_opaque_at_any_depth_and_none_of_its_code_runs(value: Any, name: str) -> None:
    assert why_opaque(value) == f"no literal form: {name}"
    assert why_opaque([1, {"a": (value,)}]) == f"no literal form: {name}"


def test_a_cycle_is_named() -> None:
    loop: list[Any] = [[]]
    loop.append({"again": (loop,)})
    assert why_opaque(loop) == "cycle"


def test_depth_is_bounded_where_reading_back_is_still_safe() -> None:
    nested: Any = 1
    for _ in range(values.MAX_DEPTH):
        nested = [nested]
    assert literals.read_value(literal(nested), LIMIT) == nested
    assert why_opaque([nested]) == "too deep: more than 100 levels"


def test_size_is_bounded_and_nothing_is_ever_cut() -> None:
    assert literal("x" * (LIMIT - 2))[-1] == "'"
    for value in ("x" * LIMIT, b"x" * LIMIT, [0] * LIMIT, set(range(LIMIT)), dict.fromkeys(range(LIMIT)), 1 << 10**6):
        assert why_opaque(value) == f"too large: more than {LIMIT} characters"


def test_no_text_of_a_value_is_more_than_four_times_as_long_as_its_literal_may_be() -> None:
    """What is compared is written in ASCII, and large numbers in hexadecimal: up to forty times as long."""
    assert len(values.describe("é" * 90, 100)[1]) == 362
    for value in ("\U0001f600" * 90, [1e300] * 12):
        assert why_opaque(value, 100) == "too large: more than 400 characters as it is compared"
        with pytest.raises(values.OpaqueError):
            values.describe_arguments((), {"a": value}, 100)


def test_arguments_keep_the_order_of_names_in_the_literal_alone() -> None:
    assert values.describe_arguments((1,), {"b": 1, "a": True}, LIMIT) == (
        "1, b=1, a=True", "1, a=True, b=1", "1, a=1, b=1", "arguments",
    )  # fmt: skip


def test_a_value_that_unfolds_without_end_is_stopped_early() -> None:
    folded: Any = ["x"]
    for _ in range(90):
        folded = [folded, folded]
    assert why_opaque(folded).startswith("too large")
    shared: Any = ()
    for _ in range(90):
        shared = (shared, shared)
    assert why_opaque(shared).startswith("too large")


def test_a_program_that_replaced_builtins_does_not_change_how_values_are_written() -> None:
    value = {"a": [1, 2.0, (True,), {3}, b"x", 1j, range(2), Counter("a")]}
    before = values.describe(value, LIMIT)
    names = vars(builtins)
    kept = dict(names)
    names.update(dict.fromkeys(("repr", "sorted", "type", "len", "str", "ascii", "hex", "id", "dict", "iter")))
    try:
        after = values.describe(value, LIMIT)
    finally:
        names.update(kept)
    assert after == before


#: All that has a literal, with floats, texts and integers of every kind.
WILD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.text(),
        st.characters(categories=["Cs"]),
        st.binary(),
        st.binary().map(bytearray),
        st.just(...),
        st.builds(range, st.integers(), st.integers(), st.integers().filter(bool)),
        VALUES,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
        st.frozensets(HASHABLE, max_size=4),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(WILD)
@example(complex(-0.0, -0.0))
@example(complex(0.0, -0.0))
@example(complex(-0.0, 0.0))
@example(complex(1.0, -0.0))
@example(complex(-1.0, float("nan")))
@example({float("nan"), float("nan")})
@example([(1,), ((),)])
def test_reading_the_literal_back_gives_the_same_value_type_by_type(value: Any) -> None:
    texts = values.describe(value, LIMIT)
    again = literals.read_value(texts[0], LIMIT)
    assert type(again) is type(value)
    assert values.describe(again, LIMIT) == texts


@settings(deadline=None)
@given(st.lists(WILD, max_size=3), st.dictionaries(st.sampled_from(["a", "key", "x1"]), WILD, max_size=2))
def test_reading_argument_texts_back_gives_the_same_arguments(positional: list[Any], named: dict[str, Any]) -> None:
    texts = values.describe_arguments(tuple(positional), named, LIMIT)
    again = literals.read_arguments(texts[0])
    assert values.describe_arguments(*again, LIMIT) == texts


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_literals_of_simple_values_are_their_repr(number: float, text: str) -> None:
    assert literal(number) == repr(number)
    assert literal([number, text]) == repr([number, text])
    assert math.copysign(1.0, literals.read_value(literal(number), LIMIT)) == math.copysign(1.0, number)
