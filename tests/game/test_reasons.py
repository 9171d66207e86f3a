"""Reasons: every word is explained once, and every detail is safe to show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import azr.game
from azr.game import reasons
from azr.game.banned import Banned
from azr.game.reasons import MEANINGS, clean, explained, refused
from sandbox_wasm.protocol import Facts, InspectResult, Status

WORDS = [
    word
    for words in (
        reasons.ParseReason,
        reasons.GateReason,
        reasons.ImportReason,
        reasons.VerdictReason,
        reasons.MalformedReason,
    )
    for word in get_args(words)
]


def test_every_word_is_explained_and_nothing_else_is() -> None:
    assert set(WORDS) | {"surplus"} == set(MEANINGS)
    assert all(re.fullmatch(r"[a-z_]+", word) for word in MEANINGS)
    assert all(meaning and not meaning.endswith(".") for meaning in MEANINGS.values())


def test_every_word_used_in_the_code_is_a_known_one() -> None:
    folder = Path(azr.game.__file__).parent
    used = {
        word
        for file in folder.rglob("*.py")
        for word in re.findall(r'(?:refused|malformed|fell_short)\("([a-z_]+)"', file.read_text())
    }
    assert used
    assert used <= set(MEANINGS)


def test_every_status_of_the_sandbox_has_a_word_in_the_gate_and_in_verdicts() -> None:
    from azr.game.gate import _ENDINGS, _SYNTAX

    assert set(_ENDINGS) == set(get_args(Status))
    assert {"syntax", "no_entry", "too_deep", "too_large", "null_byte", "surrogate", "crashed"} <= set(_SYNTAX)
    assert InspectResult(None).facts is None


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\u202eturned", "\ud800", "x" * 10_000, "\0", "\u200b" * 500])
def test_details_are_one_bounded_printable_line(text: str) -> None:
    shown = refused("banned", text).detail
    assert shown == clean(text)
    assert shown.isprintable()
    assert len(shown) <= reasons.DETAIL_WIDTH
    shown.encode()


def test_explanations_stand_in_a_table() -> None:
    assert explained("error", "memory").splitlines()[1] == "memory  the run used up its memory"


def facts(modules: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Facts:
    return Facts(1, modules, names, ("f",), (), (), "", (), 1, 1, 1, 0.0, 0.0)


@pytest.mark.parametrize(
    ("modules", "names", "told"),
    [
        ((), (), None),
        (("math", "collections.abc"), ("math.sqrt", "collections.abc.Sized"), None),
        (("os.path",), (), "os.path: reaches outside the program"),
        (("concurrent.futures",), (), "concurrent.futures: starts or reaches other processes and threads"),
        ((), ("eval",), "eval: runs text as code"),
        ((), ("compile", "re.compile"), None),
        ((), ("id", "self.id"), None),
        ((), ("eval.something",), "eval.something: runs text as code"),
        ((), ("a.__globals__",), "a.__globals__: looks into or alters the interpreter"),
        ((), ("__hash__",), "__hash__: differs from one interpreter to the next"),
        (("statistics",), ("statistics.random",), "statistics.random: draws on chance"),
        ((), ("self.random", "self.time.now"), None),
    ],
)
def test_the_banned_list_tells_what_and_why(modules: tuple[str, ...], names: tuple[str, ...], told: str | None) -> None:
    assert Banned().first_use(facts(modules, names)) == told


def test_the_banned_list_is_a_matter_of_configuration() -> None:
    strict = Banned(modules={"math": "too easy"})
    assert strict.first_use(facts(("math",))) == "math: too easy"
    assert strict.first_use(facts(("os",))) is None
