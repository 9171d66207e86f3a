"""The held-out files: fixed, distinct, right, and apart from everything a model is trained on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from azr.errors import AzrError
from azr.game.plan import drive_many
from azr.game.tasks import task_type
from azr.game.types import Task
from azr.game.verification import VerifyRules
from azr.tiny.corpus import corpus
from azr.tiny.held_out import (
    DIFFICULTIES,
    FEWEST_STEPS,
    KINDS,
    MOST_OF_ONE_PROGRAM,
    TASKS,
    held_out_normal_forms,
    held_out_tasks,
    overlap,
    write_held_out,
)
from azr.tiny.world import PAIRS, is_held_out, specimens
from sandbox_wasm.protocol import Sandbox

CELLS = [(difficulty, kind) for difficulty in DIFFICULTIES for kind in KINDS]


@pytest.mark.parametrize(("difficulty", "kind"), CELLS)
def test_every_cell_has_its_tasks_on_the_held_out_side_and_few_of_one_program(difficulty: str, kind: str) -> None:
    tasks = held_out_tasks(difficulty, kind)
    assert len(tasks) == TASKS
    assert {task.task_type for task in tasks} == {kind}
    assert all(is_held_out(task.normal_form) for task in tasks)
    assert max(Counter(task.normal_form for task in tasks).values()) <= MOST_OF_ONE_PROGRAM
    assert min(task.program.count("\n a=") + 1 for task in tasks) >= FEWEST_STEPS
    assert {len(task.inputs) for task in tasks} == {PAIRS if kind == "induction" else 1}


@pytest.mark.parametrize(("difficulty", "kind"), CELLS)
def test_no_question_is_asked_twice(difficulty: str, kind: str) -> None:
    def asked(task: Task) -> tuple[str, ...]:
        return (task.normal_form, *(task.outputs if kind == "abduction" else sorted(task.inputs)))

    tasks = held_out_tasks(difficulty, kind)
    assert len(set(map(asked, tasks))) == len(tasks)


def test_fewer_are_the_first_of_all() -> None:
    assert held_out_tasks("common", "deduction", 7) == held_out_tasks("common", "deduction")[:7]


@pytest.mark.parametrize("tasks", [0, -5, 201])
def test_none_and_more_than_there_are_cannot_be_asked_for(tasks: int) -> None:
    with pytest.raises(AzrError, match=f"there are 200 common held-out tasks of deduction, not {tasks}"):
        held_out_tasks("common", "deduction", tasks)


def test_what_the_files_call_the_answer_is_right(sandbox: Sandbox) -> None:
    """A program, its input and its output as they stand in the file win the game's own verification."""
    rules = VerifyRules()
    for difficulty in DIFFICULTIES:
        for kind in KINDS:
            tasks = held_out_tasks(difficulty, kind, 40)
            answers = {
                "deduction": [task.outputs[0] for task in tasks],
                "abduction": [task.inputs[0] for task in tasks],
                "induction": [task.program for task in tasks],
            }[kind]
            plans = [task_type(kind).verify(task, said, rules) for task, said in zip(tasks, answers, strict=True)]
            assert all(verdict.correct for verdict in drive_many(plans, sandbox))


def test_the_files_are_made_again_from_their_seed(sandbox: Sandbox, tmp_path: Path) -> None:
    """A few tasks of the same seed are the first of the files."""
    write_held_out(tmp_path, sandbox, tasks=5)
    for difficulty, kind in CELLS:
        few = held_out_tasks(difficulty, kind, folder=tmp_path)
        assert few == held_out_tasks(difficulty, kind, 5)


def test_a_corpus_holds_none_of_them(sandbox: Sandbox) -> None:
    stream = specimens(sandbox, np.random.default_rng(11), held_out=False)
    texts = [f"{pair.prompt}\n{pair.response}" for pair in corpus(stream, np.random.default_rng(12), 60)]
    assert list(overlap(texts, sandbox, held_out_normal_forms())) == []


def test_one_that_slipped_in_is_found_whatever_its_names_and_place(sandbox: Sandbox) -> None:
    task = held_out_tasks("common", "deduction", 1)[0]
    renamed = task.program.replace("a", "number") if "return a%" in task.program else task.program
    texts = ["def f(a):\n return a\n#i 3\n", f"#i 1\n#o 2\n{renamed}\n#i 3", f"{renamed}\n#i 4"]
    assert list(overlap(texts, sandbox, held_out_normal_forms())) == [renamed]


def test_harder_tasks_take_more_steps() -> None:
    def lines(difficulty: str) -> float:
        return float(np.mean([task.program.count("\n") for task in held_out_tasks(difficulty, "deduction")]))

    assert lines("harder") > lines("common") + 1.0
