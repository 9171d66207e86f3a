"""A mistyped name is answered with the one that was probably meant."""

from __future__ import annotations

import pytest

from azr.errors import AzrError
from azr.names import did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("exce", ["exec", "verify"], "exec"),
        ("EXEC", ["exec", "verify"], "exec"),
        ("learning_rate", ["learning_rates", "rate"], "learning_rates"),
        ("xyz", ["exec", "verify"], None),
        ("anything", [], None),
    ],
)
def test_the_nearest_name_is_found_or_none(name: str, known: list[str], meant: str | None) -> None:
    assert nearest(name, known) == meant


def test_without_a_near_name_all_are_listed() -> None:
    assert did_you_mean("xyz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("xyz", ["only"]) == "did you mean 'only'?"
    assert did_you_mean("xyz", []) == "none is known"


def test_an_error_says_what_and_how_to_mend_it() -> None:
    assert str(AzrError("the disk is full", "free some")) == "the disk is full\n  mend: free some"
    assert str(AzrError("the disk is full")) == "the disk is full"
