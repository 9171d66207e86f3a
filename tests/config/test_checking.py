"""What rules of all sections ask of a key, and how they tell what is wrong with it."""

from __future__ import annotations

import pytest

from azr.config.sections.checking import Problem, at_least, between, one_of

NAN, INFINITY = float("nan"), float("inf")


def test_a_problem_is_told_with_its_key_and_its_mend() -> None:
    assert str(Problem("run.steps", "it is odd", "make it even")) == "run.steps: it is odd (make it even)"


def test_a_word_is_one_of_those_that_are_known() -> None:
    assert list(one_of("model.frame", "chat", ("compact", "chat"))) == []
    (told,) = one_of("model.frame", "r2", ("compact", "chat"))
    assert told == ("model.frame", "'r2' is not known", "choose one of compact, chat")


@pytest.mark.parametrize("value", [1, 1.5, INFINITY])
def test_the_least_that_is_allowed_passes_and_so_does_more(value: float) -> None:
    assert list(at_least("run.steps", value, 1)) == []


@pytest.mark.parametrize("value", [0, 0.99, -INFINITY, NAN])
def test_less_is_told_with_the_least_and_so_is_what_is_no_number(value: float) -> None:
    (told,) = at_least("run.steps", value, 1)
    assert told == ("run.steps", f"{value} is out of range", "it must be at least 1")


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_share_may_be_either_of_its_bounds(value: float) -> None:
    assert list(between("loss.clip_low", value, 0.0, 1.0)) == []


@pytest.mark.parametrize("value", [-0.1, 1.1, NAN])
def test_a_share_beyond_them_is_told_with_both(value: float) -> None:
    (told,) = between("loss.clip_low", value, 0.0, 1.0)
    assert told == ("loss.clip_low", f"{value} is out of range", "it must be between 0.0 and 1.0")
