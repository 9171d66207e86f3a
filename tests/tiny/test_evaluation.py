"""The table is right about responders whose quality is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from azr.errors import AzrError
from azr.game.types import Task
from azr.tiny.evaluation import (
    CutOff,
    Row,
    UndecidedError,
    evaluate,
    evaluate_async,
    evaluate_folder,
    questions,
    show,
    solving,
    table_of,
)
from azr.tiny.held_out import KINDS, held_out_tasks
from sandbox_wasm.protocol import FUEL_PER_SECOND, Job, JobResult, LiteralJob, LiteralResult, Outcome, RunJob, Sandbox


def test_one_who_always_writes_nonsense_is_never_right(sandbox: Sandbox) -> None:
    table = list(evaluate(lambda prompts, _temperature: ["(("] * len(prompts), sandbox, tasks=3, samples=2))
    assert {row.right for row in table} == {0.0}
    assert {row.malformed for row in table} == {1.0}
    assert {row.cell for row in table} == {
        f"{kind}/{role}" for kind in ("deduction", "abduction", "induction") for role in ("propose", "solve")
    }


def test_one_who_repeats_a_valid_proposal_is_accepted_and_a_constant_answer_sometimes_right(sandbox: Sandbox) -> None:
    def respond(prompts: list[str], _temperature: float) -> list[str]:
        return ["def f(a):\n return a\n#i 3" if prompt.endswith(("#d\n", "#a\n")) else "0" for prompt in prompts]

    rows = {(row.cell, row.sampling): row for row in evaluate(respond, sandbox, tasks=12, samples=1)}
    assert rows["deduction/propose", "sampled"].right == 1.0
    assert rows["induction/propose", "sampled"].right == 0.0
    assert rows["deduction/solve", "greedy"].malformed == 0.0
    assert rows["deduction/solve", "greedy"].length == 1.0
    assert rows["deduction/propose", "sampled"].length == len("def f(a):\n return a\n#i 3")
    assert rows["deduction/solve", "greedy"].right == rows["deduction/solve", "sampled"].right


async def test_beside_an_event_loop_the_rows_are_the_same(sandbox: Sandbox) -> None:
    def respond(prompts: list[str], temperature: float) -> list[str]:
        return [
            "def f(a):\n return a\n#i 3" if prompt.endswith("#d\n") else str(int(temperature)) for prompt in prompts
        ]

    async def respond_later(prompts: list[str], temperature: float) -> list[str]:
        await asyncio.sleep(0.001)
        return respond(prompts, temperature)

    asked = questions(tasks=6, samples=2)
    rows = [row async for row in evaluate_async(respond_later, sandbox, asked)]
    assert rows == list(evaluate(respond, sandbox, tasks=6, samples=2))


async def test_an_event_loop_turns_while_answers_are_judged(sandbox: Sandbox) -> None:
    async def respond(prompts: list[str], _temperature: float) -> list[str]:
        return ["0"] * len(prompts)

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)
            ticks.append(loop.time())

    loop, ticks = asyncio.get_running_loop(), list[float]()
    ticking = asyncio.create_task(tick())
    async for _row in evaluate_async(respond, sandbox, questions(tasks=40, samples=0, proposals=False)):
        pass
    ticking.cancel()
    assert len(ticks) > 20


def test_the_right_answer_to_every_question_is_right(sandbox: Sandbox) -> None:
    def answer(kind: str, task: Task) -> str:
        return {"deduction": task.outputs[0], "abduction": task.inputs[0], "induction": task.program}[kind]

    known = {
        question: answer(kind, task)
        for difficulty in ("common", "harder")
        for kind in KINDS
        for task, question in zip(held_out_tasks(difficulty, kind, 8), prompts_of(difficulty, kind, 8), strict=True)
    }
    for row in evaluate(lambda prompts, _: [known.get(prompt, "") for prompt in prompts], sandbox, tasks=8, samples=1):
        assert (row.right, row.malformed) == ((1.0, 0.0) if row.cell.endswith("/solve") else (0.0, 1.0)), row


def prompts_of(difficulty: str, kind: str, tasks: int) -> list[str]:
    asked = questions(tasks=tasks, samples=0, difficulties=(difficulty,), proposals=False)
    return next(question.prompts for question in asked if question.cell == f"{kind}/solve")


def test_a_part_of_the_questions_can_be_asked() -> None:
    asked = list(questions(tasks=2, samples=0, difficulties=("common",), proposals=False))
    assert [(question.cell, question.sampling, question.temperature) for question in asked] == [
        (f"{kind}/solve", "greedy", 0.0) for kind in KINDS
    ]


class Watched:
    """A sandbox that keeps its jobs, and whose machine is too busy for so many of its readings."""

    def __init__(self, sandbox: Sandbox, stumbles: int = 0) -> None:
        self.sandbox, self.stumbles, self.jobs = sandbox, stumbles, list[Job]()

    def run_many(self, jobs: Iterable[Job]) -> Iterator[JobResult]:
        for job in jobs:
            self.jobs.append(job)
            if isinstance(job, LiteralJob) and self.stumbles:
                self.stumbles -= 1
                yield LiteralResult(tuple(Outcome("retry", error="6 s on the wall clock") for _ in job.texts))
            else:
                yield from self.sandbox.run_many([job])

    async def run_async(self, jobs: Sequence[Job]) -> list[JobResult]:
        return list(self.run_many(jobs))


def known_answers(prompts: list[str], _temperature: float) -> list[str]:
    return [task.outputs[0] for task in held_out_tasks("common", "deduction", len(prompts))]


async def known_answers_later(prompts: list[str], temperature: float) -> list[str]:
    return known_answers(prompts, temperature)


async def test_what_the_machine_stumbled_over_is_judged_again_and_told_where_it_stays_undecided(
    sandbox: Sandbox,
) -> None:
    """Counted as wrong, it would lower the accuracy of a model on a machine with other work, and nobody would know."""

    async def rows(stumbles: int) -> list[Row]:
        asked = solving("common", "deduction", "greedy", held_out_tasks("common", "deduction", 1))
        watched = cast("Any", Watched(sandbox, stumbles))
        return [row async for row in evaluate_async(known_answers_later, watched, iter([asked]))]

    [row] = await rows(2)
    assert (row.responses, row.right) == (1, 1.0)
    with pytest.raises(UndecidedError) as told:
        await rows(3)
    assert told.value.what == (
        "a response to common deduction/solve (greedy) could not be judged in 3 tries: retry 6 s on the wall clock"
    )


def test_a_proposal_over_which_the_machine_stumbles_is_told_as_well(sandbox: Sandbox) -> None:
    def respond(prompts: list[str], _temperature: float) -> list[str]:
        return ["def f(a):\n return a\n#i 3" if prompt.endswith("#d\n") else "((" for prompt in prompts]

    watched = Watched(sandbox)
    with pytest.raises(UndecidedError, match="common deduction/propose"):
        for row in evaluate(respond, cast("Any", watched), tasks=1, samples=0):
            watched.stumbles = 99 if row.cell == "induction/solve" and row.difficulty == "harder" else 0


def test_fuel_ends_an_answer_and_the_wall_stands_far_behind_it(sandbox: Sandbox) -> None:
    """A run that a busy machine ends is undecided, so it must have time for all its fuel many times over."""

    def respond(prompts: list[str], _temperature: float) -> list[str]:
        return ["def f(a):\n return a\n#i 3"] * len(prompts)

    watched = Watched(sandbox)
    assert list(evaluate(respond, cast("Any", watched), tasks=1, samples=0))
    limits = {(job.limits.fuel, job.limits.wall_seconds) for job in watched.jobs if isinstance(job, RunJob)}
    assert limits == {(FUEL_PER_SECOND // 2, 6.0)}


def test_a_response_that_was_cut_off_is_wrong_whatever_it_holds(sandbox: Sandbox) -> None:
    """As in training: what was never finished may be right by luck."""

    def respond(prompts: list[str], _temperature: float) -> list[str]:
        proposal = CutOff("def f(a):\n return a\n#i 3")
        if not prompts[0].endswith("#d\n"):
            return list(map(CutOff, known_answers(prompts, 0.0)))
        return [proposal for _ in prompts]

    rows = {row.cell: row for row in evaluate(respond, sandbox, tasks=3, samples=0) if row.difficulty == "common"}
    assert (rows["deduction/solve"].right, rows["deduction/solve"].malformed) == (0.0, 1.0)
    assert (rows["deduction/propose"].right, rows["deduction/propose"].malformed) == (0.0, 1.0)


def test_answers_that_are_missing_are_told() -> None:
    with pytest.raises(ValueError, match="deduction/solve: 1 responses to 2 prompts"):
        next(questions(tasks=2, samples=0)).plans(["0"])


def test_the_table_is_written_for_people_too() -> None:
    rows = [Row("harder", "abduction/solve", "sampled", 800, 0.125, 0.05, 21.4)]
    assert table_of(rows).splitlines() == [
        "| tasks | cell | sampling | responses | right | malformed | length |",
        "|---|---|---|---|---|---|---|",
        "| harder | abduction/solve | sampled | 800 | 12.5% | 5.0% | 21 |",
    ]


def test_the_table_is_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show([Row("common", "deduction/solve", "greedy", 10, 0.5, 0.1)], tmp_path / "table.json")
    assert "50.0%" in capsys.readouterr().out
    assert json.loads((tmp_path / "table.json").read_text())[0]["right"] == 0.5


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="is no model folder"):
        evaluate_folder(tmp_path, tasks=1, samples=1, workers=1)


def test_a_folder_whose_weights_were_cut_off_is_refused_by_their_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\xff")
    with pytest.raises(AzrError, match=r"model\.safetensors cannot be read"):
        evaluate_folder(tmp_path, tasks=1, samples=1, workers=1)
