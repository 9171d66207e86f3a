"""Whether a model knows or remembers: both sides are drawn alike, and what is told of them is what they answered."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from azr.bench import Report
from azr.errors import AzrError
from azr.tiny.held_out import KINDS
from azr.tiny.world import is_held_out
from benchmarks import memorised
from benchmarks.memorised import SIDES, drawn, right, run
from sandbox_wasm.protocol import Sandbox


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    memorised.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("held_out", [False, True])
def test_each_cell_has_its_tasks_of_one_side(sandbox: Sandbox, held_out: bool) -> None:
    cells = drawn(sandbox, held_out=held_out, tasks=3)
    assert set(cells) == {(kind, steps) for kind in KINDS for steps in (1, 2, 3)}
    for (kind, steps), tasks in cells.items():
        assert len(tasks) == 3
        for task in tasks:
            assert task.task_type == kind
            assert len(task.program.split("\n")) == 1 + steps, "no branch"
            assert is_held_out(task.normal_form) is held_out


def test_the_share_is_of_answers_that_are_right(sandbox: Sandbox) -> None:
    tasks = drawn(sandbox, held_out=False, tasks=4)["deduction", 1]

    def first_is_wrong(prompts: list[str], temperature: float) -> list[str]:
        assert len(prompts) == len(tasks)
        assert temperature == 0.0
        return ["'no output is so long as this'", *(task.outputs[0] for task in tasks[1:])]

    assert right(tasks, first_is_wrong, sandbox) == 75.0


def test_the_whole_measurement_of_a_few_tasks() -> None:
    report = Report("memorised", "azr bench memorised")
    run(arguments("--tasks", "2", "--workers", "1"), report)
    names = {measure.name for measure in report.result().measures}
    cells = {f"{kind} of {steps} steps, {side}" for kind in KINDS for steps in (1, 2, 3) for side in SIDES}
    assert names == cells | {f"{cell}: programs" for cell in cells}


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="is no model folder"):
        run(arguments(str(tmp_path)), Report("memorised", "azr bench memorised"))
