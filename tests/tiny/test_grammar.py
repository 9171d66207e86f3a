"""The grammar: seeded, typed, and as wide as it says."""

from __future__ import annotations

import numpy as np
import pytest

from azr.tiny.grammar import (
    COMMON,
    CONSTANT_TOLD,
    HARDER,
    KINDS,
    OPERATIONS,
    TOLD,
    UNTOLD,
    Difficulty,
    Kind,
    draw_argument,
    draw_program,
)


def test_the_same_seed_draws_the_same_programs() -> None:
    def drawn(seed: int) -> list[str]:
        generator = np.random.default_rng(seed)
        return [draw_program(generator).text for _ in range(20)]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_every_kind_can_be_taken_and_left_by_some_operation() -> None:
    for kind in KINDS:
        assert {operation.gives for operation in OPERATIONS if operation.takes == kind} == set(KINDS)


def test_a_constant_is_named_in_expression_and_words_alike() -> None:
    for operation in OPERATIONS:
        assert ("{c}" in operation.expression) == bool(operation.constants) == ("{c}" in operation.words)
        assert operation.expression.count("{a}") == 1


def test_programs_have_one_line_a_step_and_return_at_the_end() -> None:
    generator = np.random.default_rng(2)
    for _ in range(200):
        program = draw_program(generator)
        lines = program.text.split("\n")
        assert lines[0] == "def f(a):"
        assert lines[-1].startswith(" return ")
        assert not any(mark in program.text + program.words + program.working for mark in ("{c}", "{a}"))
        assert 1 <= program.steps <= 3


def test_messages_name_the_told_share_of_the_steps_and_fewer_constants() -> None:
    """Induction is to be found from pairs: of a one-step program the message seldom says all."""
    generator = np.random.default_rng(5)
    programs = [draw_program(generator, Difficulty(steps=(1.0,), branch=0.0)) for _ in range(2000)]
    assert np.mean([program.words != UNTOLD for program in programs]) == pytest.approx(TOLD, abs=0.03)
    constants = {operation.words.split(" {c}")[0] for operation in OPERATIONS if operation.constants}
    told = [program.words for program in programs if program.words.rstrip("'abcd 0123456789") in constants]
    with_constant = [words for words in told if words not in constants]
    assert len(with_constant) / len(told) == pytest.approx(CONSTANT_TOLD, abs=0.06)


def test_a_message_has_a_word_for_each_step_and_never_shows_code() -> None:
    generator = np.random.default_rng(6)
    programs = [draw_program(generator, Difficulty(steps=(0.0, 0.0, 1.0), branch=0.5)) for _ in range(300)]
    assert {len(program.words.split()) >= 3 for program in programs} == {True}
    assert not any(mark in program.words for program in programs for mark in "=[]().%>")


def test_harder_programs_are_longer_and_branch_more() -> None:
    def average(difficulty: Difficulty) -> tuple[float, float]:
        generator = np.random.default_rng(3)
        programs = [draw_program(generator, difficulty) for _ in range(400)]
        steps = np.mean([program.steps for program in programs])
        return float(steps), float(np.mean([" if " in program.text for program in programs]))

    common, harder = average(COMMON), average(HARDER)
    assert harder[0] > common[0] + 1.0
    assert harder[1] > common[1] + 0.1


@pytest.mark.parametrize(("kind", "opening"), [("int", "0123456789"), ("str", "'"), ("list", "[")])
def test_arguments_are_literals_of_their_kind(kind: Kind, opening: str) -> None:
    generator = np.random.default_rng(4)
    assert all(draw_argument(generator, kind)[0] in opening for _ in range(100))
