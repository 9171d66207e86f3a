"""What equal means: the table that every verdict rests on, and its agreement with Python's own `==`.

Values here are data made by the tests; no text of a model is involved, so the guest's functions are called directly.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox_wasm.guest.values import describe

NAN = float("nan")
INFINITY = float("inf")


def key(value: Any) -> str:
    return describe(value, 1 << 20)[2]


def exact(value: Any) -> str:
    return describe(value, 1 << 20)[1]


#: left, right, equal by key, equal by exact text.
TABLE: list[tuple[Any, Any, bool, bool]] = [
    # Numbers are compared by what they count, bools among them.
    (1, 1, True, True),
    (1, 2, False, False),
    (1, True, True, False),
    (0, False, True, False),
    (1, 1.0, True, False),
    (1.0, True, True, False),
    (1, 1 + 0j, True, False),
    (1.5, 1.5 + 0j, True, False),
    (1j, 1j, True, True),
    (1j, 2j, False, False),
    (2j, complex(-0.0, 2.0), True, False),
    (0.1 + 0.2, 0.3, False, False),
    # The sign of zero is no difference, except type by type.
    (0.0, -0.0, True, False),
    (0, -0.0, True, False),
    (complex(0.0, -0.0), 0, True, False),
    # Beyond 2**53 a float is the integer it holds, not the one it was made from.
    (2**53 + 1, float(2**53), False, False),
    (2**53, float(2**53), True, False),
    (10**22, 1e22, True, False),
    (10**23, 1e23, False, False),
    (10**15, 1e15, True, False),
    (10**15 - 1, 1e15 - 1, True, False),
    (-(10**15), -1e15, True, False),
    (10**400, 10**400 + 1, False, False),
    (2**20_000, 2**20_000, True, True),
    # nan equals nan, at any depth, and nothing else.
    (NAN, NAN, True, True),
    (NAN, -NAN, True, True),
    (NAN, float("nan"), True, True),
    (NAN, 0.0, False, False),
    (NAN, None, False, False),
    (NAN, "nan", False, False),
    ([NAN, (NAN,)], [NAN, (float("nan"),)], True, True),
    ({"a": NAN}, {"a": float("nan")}, True, True),
    ({NAN, float("nan"), 1}, {1, float("nan"), float("nan")}, True, True),
    ({NAN, float("nan")}, {NAN}, False, False),
    (complex(NAN, 0.0), NAN, True, False),
    (complex(1.0, NAN), complex(NAN, 1.0), False, False),
    (INFINITY, INFINITY, True, True),
    (INFINITY, -INFINITY, False, False),
    (INFINITY, 1e308, False, False),
    # Strings are never evaluated a second time, and are not bytes.
    ("1", "1", True, True),
    ("1", 1, False, False),
    ("'1'", "1", False, False),
    ("1", "1 ", False, False),
    (" 7 ", "7", False, False),
    ("a", b"a", False, False),
    ("\ud800", "\ud800", True, True),
    ("\ud800", "\\ud800", False, False),
    ("é", "e\u0301", False, False),
    ("None", None, False, False),
    (b"a", bytearray(b"a"), True, False),
    (b"", "", False, False),
    # Sequences have order and a type; a list is never a tuple.
    ([1, 2], [1, 2], True, True),
    ([1, 2], [2, 1], False, False),
    ([1, 2], (1, 2), False, False),
    ((1,), 1, False, False),
    ([1], [True], True, False),
    ([], (), False, False),
    ([], None, False, False),
    ([[1], [2]], [[1, 2]], False, False),
    ("", [], False, False),
    # Sets and dictionaries have none; a set is a frozenset, a dictionary a Counter.
    ({1, 2, 10}, {10, 2, 1}, True, True),
    ({1, 2}, [1, 2], False, False),
    ({True}, {1.0}, True, False),
    ({1, 2}, frozenset({1, 2}), True, False),
    (set(), frozenset(), True, False),
    (set(), {}, False, False),
    ({frozenset({1, 2}), frozenset()}, {frozenset(), frozenset({2, 1})}, True, True),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, True),
    ({1: "a"}, {1.0: "a"}, True, False),
    ({1: "a"}, {True: "a"}, True, False),
    ({1: 2}, {2: 1}, False, False),
    ({"a": {1, 2}}, {"a": {2, 1}}, True, True),
    ({"a": 1}, {"a": 1, "b": None}, False, False),
    ({"a": 1}, Counter("a"), True, True),
    ({"a": [1]}, defaultdict(list, {"a": [1]}), True, True),
    ({"a": 1, "b": 2}, OrderedDict(b=2, a=1), True, True),
    # Ranges are the numbers they hold; they are not lists of them.
    (range(3), range(0, 3, 1), True, True),
    (range(0, 3, 2), range(0, 4, 2), True, False),
    (range(0), range(5, 5), True, False),
    (range(4, 5), range(4, 9, 7), True, False),
    (range(10**30), range(10**30 + 1), False, False),
    (range(3), [0, 1, 2], False, False),
    # The rest is itself.
    (None, None, True, True),
    (None, False, False, False),
    (..., ..., True, True),
    (..., "Ellipsis", False, False),
]


NAMES = [f"{exact(left)[:24]} and {exact(right)[:24]}" for left, right, _, _ in TABLE]


@pytest.mark.parametrize(("left", "right", "equal", "identical"), TABLE, ids=NAMES)
def test_the_table_of_equality(left: Any, right: Any, equal: bool, identical: bool) -> None:
    assert (key(left) == key(right)) is equal
    assert (exact(left) == exact(right)) is identical


def test_exact_texts_are_finer_than_keys() -> None:
    for left, right, equal, identical in TABLE:
        assert equal or not identical, f"{left!r} and {right!r} cannot be identical and unequal"


def same(left: Any, right: Any) -> bool:
    """Python's `==` on plain data, with nan equal to nan: an oracle that shares no code and no idea with the keys."""
    if isinstance(left, (int, float, complex)) and isinstance(right, (int, float, complex)):
        if isinstance(left, complex) or isinstance(right, complex):
            left, right = complex(left), complex(right)
            return same(left.real, right.real) and same(left.imag, right.imag)
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, (set, frozenset)) and isinstance(right, (set, frozenset)):
        return matches(list(left), list(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return matches(list(left.items()), list(right.items()))
    if type(left) is type(right) and isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def matches(left: list[Any], right: list[Any]) -> bool:
    """Whether each of one list can be paired with an equal one of the other, each used once."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for item in left:
        found = next((index for index, other in enumerate(rest) if same(item, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


#: Numbers near each other in value and far in type, so that equal pairs are common.
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.booleans(),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, NAN, INFINITY, -INFINITY, 2.0**53, 1e15, 1e22]),
    st.sampled_from([2**53, 2**53 + 1, 10**15, 10**15 + 1, 10**22, -(10**15)]),
    st.sampled_from([1j, 0j, 1 + 0j, complex(NAN, 0), complex(0, NAN), complex(-0.0, -1.0)]),
)
SCALARS = st.one_of(NUMBERS, st.none(), st.sampled_from(["", "a", "1", "é", "\ud800", b"", b"a", bytearray(b"a")]))
HASHABLE = st.recursive(
    st.one_of(NUMBERS, st.none(), st.sampled_from(["", "a", "1", "é", b"a"])),
    lambda inner: st.one_of(st.tuples(inner), st.tuples(inner, inner), st.frozensets(inner, max_size=3)),
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(SCALARS, HASHABLE),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(HASHABLE, max_size=3),
        st.dictionaries(HASHABLE, inner, max_size=3),
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_keys_agree_with_python_on_pairs_of_values(left: Any, right: Any) -> None:
    assert (key(left) == key(right)) is same(left, right)


@settings(deadline=None)
@given(st.lists(st.one_of(NUMBERS, HASHABLE), min_size=2, max_size=8))
def test_keys_agree_with_python_inside_lists_of_close_values(values: list[Any]) -> None:
    keys = [key(value) for value in values]
    for left, left_key in zip(values, keys, strict=True):
        for right, right_key in zip(values, keys, strict=True):
            assert (left_key == right_key) is same(left, right)


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.integers())
def test_a_float_has_the_key_of_an_integer_only_if_it_is_one(number: float, integer: int) -> None:
    assert (key(number) == key(integer)) is (number == integer)
    if math.isfinite(number) and number == int(number):
        assert key(number) == key(int(number))


@settings(deadline=None)
@given(st.lists(HASHABLE, max_size=5).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_in_which_a_set_was_made_shows_nowhere(orders: tuple[list[Any], list[Any]]) -> None:
    first, second = (frozenset(items) for items in orders)
    if first == second:
        assert key(first) == key(second)
