"""The table is right about responders whose quality is known."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from azr.errors import AzrError
from azr.game.types import Task
from azr.tiny.evaluation import Row, evaluate, evaluate_async, evaluate_folder, questions, show, table_of
from azr.tiny.held_out import KINDS, held_out_tasks
from sandbox_wasm.protocol import Sandbox


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
