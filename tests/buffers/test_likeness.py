"""Which programs are alike."""

from __future__ import annotations

import pytest

from azr.buffers.likeness import likeness


def distance(one: str, other: str) -> int:
    return (likeness(one) ^ likeness(other)).bit_count()


def test_programs_that_share_most_of_their_text_are_closer_than_those_that_share_none() -> None:
    base = "def f(items):\n    total = 0\n    for item in items:\n        total += item * 2\n    return total"
    near = base.replace("* 2", "* 3")
    far = "def f(s):\n    words = s.split()\n    return ' '.join(reversed(words)).upper()[::-1]"
    assert distance(base, base) == 0
    assert distance(base, near) < distance(base, far)
    assert distance(base, far) > 15


@pytest.mark.parametrize("text", ["", "a", "abcd", "abcde"])
def test_the_shortest_texts_have_a_likeness(text: str) -> None:
    assert 0 <= likeness(text) < 1 << 64


def test_hostile_text_does_no_harm() -> None:
    assert 0 <= likeness("\udfff" * 10) < 1 << 64
