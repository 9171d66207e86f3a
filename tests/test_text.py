"""Text that a model wrote cannot act on whoever reads it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azr.text import counted, printable, shortened

#: Any text, lone surrogates included: a model's tokens need not be valid.
_ANY = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("over\rwritten\b\b", "over\\rwritten\\x08\\x08"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\udc80", "\\udc80"),
        ("\x9b31m", "\\x9b31m"),
        ("line\u2028end", "line\\u2028end"),
        ("π ≈ 3.14, 日本語, 👍", "π ≈ 3.14, 日本語, 👍"),
    ],
)
def test_what_acts_is_escaped_and_what_shows_is_kept(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_newlines_and_tabs_are_kept_only_when_asked_for() -> None:
    assert printable("a\n\tb") == "a\\n\\tb"
    assert printable("a\n\tb\r", newlines=True) == "a\n\tb\\r"


@given(_ANY)
def test_nothing_that_acts_is_left_of_any_text(text: str) -> None:
    shown = printable(text)
    assert all(unicodedata.category(character)[0] != "C" for character in shown)
    shown.encode()


@given(_ANY)
def test_printable_text_is_left_as_it_is(text: str) -> None:
    once = printable(text)
    assert printable(once) == once


@given(_ANY, st.integers(1, 40))
def test_shortened_text_is_one_line_no_longer_than_asked(text: str, width: int) -> None:
    line = shortened(text, width)
    assert len(line) <= width
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "width", "line"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("\n\n", 4, "\\n\\n"), ("\n\n\n", 4, "\\n\\…")]
)
def test_what_is_left_out_shows_as_an_ellipsis(text: str, width: int, line: str) -> None:
    assert shortened(text, width) == line


def test_a_width_that_shows_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="width of 0"):
        shortened("abc", 0)


def test_one_is_counted_without_an_s() -> None:
    assert [counted(number, "step") for number in (0, 1, 2, 1000)] == ["0 steps", "1 step", "2 steps", "1,000 steps"]
