"""Whether thinking pays: the constraint on how an answer begins holds, and shares are counted by steps."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from azr.bench import Report
from azr.errors import AzrError
from azr.game.frames import THOUGHT
from azr.tiny import shipped
from azr.tiny.evaluation import Question, questions, responder
from benchmarks import thinking
from benchmarks.thinking import Answered, run, steps_of, told


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    thinking.add_arguments(parser)
    return parser.parse_args(words)


def deductions(tasks: int) -> Question:
    asked = questions(tasks=tasks, samples=0, difficulties=("common",), proposals=False)
    return next(question for question in asked if question.cell == "deduction/solve")


@pytest.mark.parametrize(("thought", "begins"), [(True, {True}), (False, {False})])
def test_answers_begin_as_they_must(thought: bool, begins: set[bool]) -> None:
    responses = responder(shipped.folder(), thought=thought)(deductions(12).prompts, 1.0)
    assert {response.startswith(f"{THOUGHT} ") for response in responses} == begins


def test_a_thought_ends_in_an_answer_that_can_be_read() -> None:
    responses = responder(shipped.folder(), thought=True)(deductions(12).prompts, 0.0)
    lines = [response.split("\n") for response in responses]
    answers = [[line for line in response if not line.startswith(THOUGHT)] for response in lines]
    assert sum(len(answer) == 1 for answer in answers) >= 10


def test_both_ways_of_a_branch_are_one_step() -> None:
    program = "def f(a):\n a=a+3\n if a>4:\n  return a-1\n return a*2\n#i 3\n#o\n"
    assert steps_of([program, "def f(a):\n return a\n#i 1\n#o\n"]) == [2, 1]


def test_shares_are_told_over_all_and_by_steps() -> None:
    question = deductions(3)
    steps = steps_of(question.prompts)
    answered = Answered(np.array([True, False, True]), np.array([True, False, False]))
    found = {name: value for name, _, value in told(question, "free", answered)}
    whole = "common deduction/solve greedy, free"
    assert found[whole] == pytest.approx(200 / 3)
    assert found[f"{whole}: begin with a thought"] == pytest.approx(100 / 3)
    first = [right for right, number in zip(answered.right, steps, strict=True) if number == steps[0]]
    assert found[f"{whole}: of {steps[0]} steps"] == pytest.approx(100 * np.mean(first))


def test_the_whole_measurement_of_a_few_tasks() -> None:
    report = Report("thinking", "azr bench thinking")
    run(arguments("--tasks", "3", "--samples", "1", "--workers", "1"), report)
    names = {measure.name for measure in report.result().measures}
    for way in thinking.WAYS:
        for cell in thinking.CELLS:
            assert f"harder {cell} sampled, {way}" in names


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="is no model folder"):
        run(arguments(str(tmp_path)), Report("thinking", "azr bench thinking"))
