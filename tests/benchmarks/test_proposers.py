"""Whether the proposer moved: one solver rates the tasks of both proposers, and each task counts once."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from azr.bench import Report
from azr.errors import AzrError
from azr.game.types import Task
from azr.tiny.evaluation import CutOff
from azr.tiny.held_out import KINDS, held_out_tasks
from azr.tiny.shipped import folder
from benchmarks import proposers
from benchmarks.edge import Edge
from benchmarks.proposers import AFTER, ATTEMPTS, BEFORE, lie, propose, run, tell
from sandbox_wasm.protocol import Sandbox


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    proposers.add_arguments(parser)
    return parser.parse_args(words)


def lying(learnable: float) -> Edge:
    return Edge(tasks=3, between=0.5, learnable=learnable, solved=0.5)


def test_a_task_that_is_proposed_twice_counts_once(sandbox: Sandbox) -> None:
    known = held_out_tasks("common", "deduction", 1)[0]
    said = f"{known.program}\n#i {known.inputs[0]}"
    proposed = propose(lambda prompts, _: [said] * len(prompts), sandbox, 4)
    assert [len(proposed.tasks[kind]) for kind in ("deduction", "abduction", "induction")] == [1, 1, 0]
    assert proposed.valid == 2 / 12


def test_a_proposal_that_was_cut_off_is_refused_whatever_it_holds(sandbox: Sandbox) -> None:
    known = held_out_tasks("common", "deduction", 1)[0]
    said = f"{known.program}\n#i {known.inputs[0]}"
    proposed = propose(lambda prompts, _: [said, *map(CutOff, [said] * (len(prompts) - 1))], sandbox, 4)
    assert proposed.valid == 2 / 12
    with pytest.raises(AzrError, match="not one deduction was accepted"):
        propose(lambda prompts, _: list(map(CutOff, [said] * len(prompts))), sandbox, 4)


def test_proposals_that_are_nothing_are_told(sandbox: Sandbox) -> None:
    with pytest.raises(AzrError, match="not one deduction was accepted"):
        propose(lambda prompts, _: ["no proposal"] * len(prompts), sandbox, 2)


def test_a_task_that_is_solved_half_of_the_time_lies_at_the_edge(sandbox: Sandbox) -> None:
    tasks: list[Task] = held_out_tasks("common", "deduction", 2)

    def first_always_second_at_times(prompts: list[str], temperature: float) -> list[str]:
        assert (len(prompts), temperature) == (2 * ATTEMPTS, 1.0)
        first, second = (task.outputs[0] for task in tasks)
        return [first] * ATTEMPTS + [second, "'wrong'"] * (ATTEMPTS // 2)

    found = lie({"deduction": tasks}, first_always_second_at_times, sandbox)
    assert found == Edge(tasks=2, between=0.5, learnable=0.5, solved=0.75)


def test_proposers_are_compared_before_the_same_solver() -> None:
    report = Report("proposers", "azr bench proposers")
    found = {
        (BEFORE, BEFORE): [lying(0.3), lying(0.3)],
        (AFTER, BEFORE): [lying(0.2), lying(0.4)],
        (BEFORE, AFTER): [lying(0.1), lying(0.2)],
        (AFTER, AFTER): [lying(0.3), lying(0.3)],
    }
    tell(report, found)
    result = report.result()
    rounds = {measure.name: list(measure.rounds) for measure in result.measures}
    assert rounds["trained proposer less base, base solves: 4 p (1 - p)"] == pytest.approx([-0.1, 0.1])
    assert rounds["trained proposer less base, trained solves: 4 p (1 - p)"] == pytest.approx([0.2, 0.1])
    assert [goal.value for goal in result.goals] == pytest.approx([0.15])
    assert sum("90 % interval" in note for note in result.notes) == 2


def test_the_whole_measurement_of_a_few_proposals() -> None:
    report = Report("proposers", "azr bench proposers")
    run(arguments(str(folder()), "--proposals", "6", "--workers", "1"), report)
    names = {measure.name for measure in report.result().measures}
    assert {f"{one} proposes: accepted" for one in (BEFORE, AFTER)} <= names
    assert all(
        f"{one} proposes, {other} solves: 4 p (1 - p)" in names for one in (BEFORE, AFTER) for other in (BEFORE, AFTER)
    )
    assert set(KINDS) == {"deduction", "abduction", "induction"}


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="is no model folder"):
        run(arguments(str(tmp_path)), Report("proposers", "azr bench proposers"))
