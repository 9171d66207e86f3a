"""The reference page says what the sections say, and every field says something."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from azr.config import Config
from azr.config.reference import Key, keys, markdown, meanings

_PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@dataclass
class _Inner:
    """A section inside another."""

    size: int = 1
    """How large."""


@dataclass
class _Outer:
    """A section with one field of each kind."""

    kind: Literal["a", "b"] = "a"
    """Which of two,
    told on two lines."""
    limit: float | None = None
    """A bound, or none."""
    names: list[str] = field(default_factory=lambda: ["x"])
    """Names."""
    inner: _Inner = field(default_factory=lambda: _Inner(size=2))
    """A section whose default differs from its own."""
    many: dict[str, _Inner] = field(default_factory=dict)
    """Sections by name."""
    silent: bool = False


def test_a_row_tells_name_type_default_and_meaning() -> None:
    assert keys(_Outer()) == [
        Key("kind", "a or b", '"a"', "Which of two, told on two lines."),
        Key("limit", "float or null", "null", "A bound, or none."),
        Key("names", "[str]", '["x"]', "Names."),
        Key("inner.size", "int", "2", "How large."),
        Key("many", "{str: section}", "{}", "Sections by name."),
        Key("many.NAME.size", "int", "1", "How large."),
        Key("silent", "bool", "false", ""),
    ]


def test_a_meaning_of_several_lines_becomes_one() -> None:
    assert meanings(_Outer)["kind"] == "Which of two, told on two lines."
    assert "silent" not in meanings(_Outer)


@pytest.mark.parametrize("key", keys(Config()), ids=lambda key: key.name)
def test_every_key_is_explained_where_it_is_declared(key: Key) -> None:
    assert key.meaning, f"write a docstring below the field behind {key.name}"


def test_the_page_in_docs_is_up_to_date() -> None:
    assert _PAGE.read_text() == markdown(), "run: azr config reference > docs/configuration.md"


def test_a_pipe_in_a_meaning_does_not_break_the_table() -> None:
    rows = [line for line in markdown().splitlines() if line.startswith("|")]
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
