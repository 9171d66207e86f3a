"""Prompts that fit: references are drawn again, then fewer, and never cut."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from azr.game.composing import PromptTooLongError, compose_proposal
from azr.game.frames import frame
from azr.game.tasks import Ask, task_type
from azr.game.types import Task

KIND = task_type("deduction")
SHAPE = frame("compact")


def known(length: int) -> Task:
    """A task whose program has so many characters."""
    return msgspec.structs.replace(KIND.example(), program="#" * length)


def drawing(tasks: list[Task], seed: int = 0, drawn: list[int] | None = None) -> Callable[[int], Ask]:
    """Random ones of the tasks; how many were asked for, draw by draw, goes to `drawn`."""
    random = np.random.default_rng(seed)

    def draw(count: int) -> Ask:
        if drawn is not None:
            drawn.append(count)
        chosen = random.choice(len(tasks), size=min(count, len(tasks)), replace=False)
        return Ask(references=tuple(tasks[index] for index in chosen))

    return draw


def test_what_fits_is_taken_at_once() -> None:
    drawn: list[int] = []
    draw = drawing([known(5)] * 6, drawn=drawn)
    composed = compose_proposal(KIND, SHAPE, draw, references=6, length=len, limit=1_000)
    assert len(composed.ask.references) == 6
    assert drawn == [6]
    assert composed.length == len(composed.prompt) <= 1_000
    assert composed.prompt == KIND.propose_prompt(composed.ask, "compact")


def test_an_over_long_reference_is_drawn_again_and_never_cut() -> None:
    tasks = [known(5) for _ in range(9)] + [known(5_000)]
    drawn: list[int] = []
    for seed in range(40):
        composed = compose_proposal(KIND, SHAPE, drawing(tasks, seed, drawn), references=3, length=len, limit=300)
        assert len(composed.ask.references) == 3
        assert all(reference.program in composed.prompt for reference in composed.ask.references)
        assert "#" * 6 not in composed.prompt
    assert len(drawn) > 40
    assert set(drawn) == {3}


def test_fewer_references_are_shown_where_so_many_never_fit() -> None:
    drawn: list[int] = []
    draw = drawing([known(100)] * 6, drawn=drawn)
    composed = compose_proposal(KIND, SHAPE, draw, references=6, length=len, limit=300, redraws=2)
    assert len(composed.ask.references) == 1
    assert drawn == [6, 6, 3, 3, 1]


def test_the_tokenizer_counts() -> None:
    words = compose_proposal(KIND, SHAPE, drawing([known(999)]), references=1, length=lambda text: 7, limit=7)
    assert words.length == 7


def test_a_prompt_that_cannot_fit_is_an_error_that_names_the_lengths() -> None:
    with pytest.raises(PromptTooLongError, match="no deduction proposal fits into 2 tokens; the shortest of 6 had 3"):
        compose_proposal(KIND, SHAPE, drawing([known(9)]), references=2, length=len, limit=2, redraws=2)


def test_induction_needs_its_one_program() -> None:
    induction = task_type("induction")
    composed = compose_proposal(induction, SHAPE, drawing([known(9)]), references=0, length=len, limit=99)
    assert len(composed.ask.references) == 1
    with pytest.raises(PromptTooLongError, match="no induction proposal"):
        compose_proposal(induction, SHAPE, drawing([known(99)]), references=6, length=len, limit=50)
