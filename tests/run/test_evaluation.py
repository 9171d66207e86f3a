"""Held-out results: asked in bounds, kept as lines, compared row by row."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from actors.engine.records import GenerateRequest, Generation, Response
from azr.config.sections.evaluation import EvaluationConfig
from azr.game.frames import frame
from azr.game.types import Version, VersionSpan
from azr.metrics import Accumulator
from azr.run import evaluation
from azr.run.evaluation import Evaluation
from azr.tiny.evaluation import CutOff, Row
from azr.tiny.held_out import held_out_tasks
from sandbox_wasm.protocol import Sandbox


def row(cell: str, sampling: str, right: float, responses: int = 100, difficulty: str = "common") -> Row:
    return Row(difficulty, cell, sampling, responses, right, 0.01, length=10 * right)


BEFORE = [
    row("deduction/solve", "greedy", 0.5),
    row("induction/solve", "greedy", 0.1, responses=300),
    row("deduction/solve", "sampled", 0.4),
    row("deduction/propose", "sampled", 0.9),
]
AFTER = [
    row("deduction/solve", "greedy", 0.6),
    row("induction/solve", "greedy", 0.2, responses=300),
    row("deduction/solve", "sampled", 0.55),
    row("deduction/propose", "sampled", 0.8),
    row("abduction/solve", "greedy", 0.3),
]


def test_changes_are_row_by_row_and_only_where_both_know() -> None:
    points = {(one.cell, one.sampling): round(one.points, 6) for one in evaluation.changes(BEFORE, AFTER)}
    assert points == {
        ("deduction/solve", "greedy"): 10.0,
        ("induction/solve", "greedy"): 10.0,
        ("deduction/solve", "sampled"): 15.0,
        ("deduction/propose", "sampled"): -10.0,
    }


def test_answers_to_other_questions_are_not_compared() -> None:
    other = [msgspec.structs.replace(one, asked="others") if "induction" in one.cell else one for one in AFTER]
    assert ("induction/solve", "greedy") not in {(one.cell, one.sampling) for one in evaluation.changes(BEFORE, other)}
    before, after = evaluation.comparable(BEFORE, other)
    assert [(one.cell, one.sampling) for one in before] == [(one.cell, one.sampling) for one in after]
    assert len(after) == 3
    assert ("common", "all solving", "greedy", "50.0%", "60.0%", "+10.0", "") in evaluation.change_rows(BEFORE, other)


def test_all_solving_together_counts_answers_and_no_proposals() -> None:
    assert evaluation.overall(BEFORE, "greedy") == pytest.approx((0.5 * 100 + 0.1 * 300) / 400)
    assert evaluation.overall(BEFORE, "greedy", "harder") is None
    rows = evaluation.change_rows(BEFORE, AFTER[:4])
    assert ("common", "all solving", "greedy", "20.0%", "30.0%", "+10.0", "") in rows


def test_each_cell_tells_how_long_its_responses_have_become() -> None:
    columns, rows = evaluation.change_columns(0, 9), evaluation.change_rows(BEFORE, AFTER)
    assert {len(row) for row in rows} == {len(columns)}
    [shown] = [row for row in rows if row[1:3] == ("deduction/solve", "greedy")]
    assert dict(zip(columns, shown, strict=True))["length"] == "5 → 6"


def test_a_baseline_is_missing_while_base_weights_are_at_hand_and_were_never_evaluated(tmp_path: Path) -> None:
    """A driver that was killed during the evaluation before training has left none; the next makes it."""
    path = tmp_path / "evaluations.jsonl"
    assert evaluation.baseline_missing(path, 0)
    assert not evaluation.baseline_missing(path, 4), "these weights are trained already"
    path.write_bytes(b'{"step":0,"seconds"')
    assert evaluation.baseline_missing(path, 0)
    path.unlink()
    evaluation.keep(path, Evaluation(step=0, seconds=1.0, rows=BEFORE))
    assert not evaluation.baseline_missing(path, 0)


def test_evaluations_are_kept_as_lines_and_half_a_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    assert evaluation.read(path) == []
    first, last = (Evaluation(step=step, seconds=2.0, rows=rows) for step, rows in ((0, BEFORE), (9, AFTER)))
    evaluation.keep(path, first)
    with path.open("a") as file:
        file.write('{"step": 5, "sec')
    evaluation.keep(path, last)
    assert evaluation.read(path) == [first, last]


@pytest.mark.parametrize(
    "damaged",
    [b'{"step": 5, "seconds": 1, "rows": [{"difficulty": "\xff"}]}', b'{"more": ' + b"[" * 200_000],
    ids=["no UTF-8", "nested without end"],
)
def test_so_is_a_line_that_is_no_text_or_nested_without_end(damaged: bytes, tmp_path: Path) -> None:
    path, kept = tmp_path / "evaluations.jsonl", Evaluation(step=9, seconds=2.0, rows=AFTER)
    path.write_bytes(damaged + b"\n")
    evaluation.keep(path, kept)
    assert evaluation.read(path) == [kept]


def test_rows_become_metrics() -> None:
    metrics = Accumulator()
    evaluation.tell(metrics, Evaluation(step=9, seconds=1.0, rows=AFTER))
    assert metrics.report()["eval/accuracy/common/deduction/solve/greedy"] == 0.6
    assert metrics.report()["eval/length/common/deduction/solve/greedy"] == 6.0


class Answering:
    """Engines that know the answers to deduction and nothing else."""

    def __init__(self) -> None:
        self.asked: list[GenerateRequest] = []
        self.answers = {
            evaluation_prompt(task.program, task.inputs[0]): task.outputs[0]
            for task in held_out_tasks("common", "deduction")
        }

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        self.asked.append(request)
        await asyncio.sleep(0)
        prompt = bytes(request.prompt_ids).decode()
        text = next((answer for known, answer in self.answers.items() if all(part in prompt for part in known)), "?")
        response = Response(
            token_ids=np.zeros(1, np.int32),
            logprobs=np.zeros(1, np.float32),
            spans=(VersionSpan(0, 1, Version(0, 0)),),
            text=text,
        )
        return Generation(request=request.id, responses=(response,))


def evaluation_prompt(program: str, inputs: str) -> tuple[str, str]:
    return program, inputs


def test_a_suite_is_asked_of_engines_and_judged_in_the_sandbox(sandbox: Sandbox) -> None:
    engines = Answering()
    told: list[str] = []

    async def ask() -> list[Row]:
        respond = evaluation.responder(engines, str.encode, tag="eval-0", deadline=60.0, seed=7, longest=99)
        config = EvaluationConfig(suite="tiny", tasks=4, samples=1)
        return await evaluation.evaluate(respond, sandbox, config, frame("compact"), told.append)

    rows = asyncio.run(ask())
    shares = {(one.difficulty, one.cell, one.sampling): one.right for one in rows}
    assert shares["common", "deduction/solve", "greedy"] == 1.0
    assert shares["common", "abduction/solve", "greedy"] < 1.0
    assert len({request.id for request in engines.asked}) == len(engines.asked), "every request has its own name"
    assert {request.temperature for request in engines.asked} == {0.0, 1.0}
    assert {request.max_tokens for request in engines.asked} == {99}, "no other bound than the one that is asked for"
    assert told[-1].startswith(f"{len(rows)} of {len(rows)} questions")


@pytest.mark.parametrize(
    ("steps", "refused"), [((9,), False), ((9, 10), False), ((8, 9), True), ((9, 8), True), ((), False)]
)
def test_answers_of_older_weights_than_are_evaluated_are_refused_with_the_replica(
    steps: tuple[int, ...], refused: bool
) -> None:
    """An engine that cannot take new weights serves on with those that it has. The lineage says nothing: that of the
    weights that a run resumes from is a new one."""

    class Behind:
        async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
            response = Response(
                token_ids=np.zeros(2, np.int32),
                logprobs=np.zeros(2, np.float32),
                spans=tuple(VersionSpan(at, at + 1, Version(3, step)) for at, step in enumerate(steps)),
                text="7",
            )
            return Generation(request=request.id, responses=(response,), replica="replica-b")

    async def ask() -> list[str]:
        respond = evaluation.responder(Behind(), str.encode, tag="eval-9", deadline=60.0, seed=7, longest=1, step=9)
        return await respond(["#o"], 0.0)

    told = "replica-b answered with weights of step 8, not of step 9"
    with pytest.raises(evaluation.OldWeightsError, match=told) if refused else contextlib.nullcontext():
        assert asyncio.run(ask()) == ["7"]


@pytest.mark.parametrize("truncated", [False, True])
def test_what_an_engine_cut_off_comes_as_such(truncated: bool) -> None:
    """Training scores it as wrong, so evaluation must be able to."""

    class Cutting:
        async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
            response = Response(
                token_ids=np.zeros(1, np.int32),
                logprobs=np.zeros(1, np.float32),
                spans=(VersionSpan(0, 1, Version(0, 0)),),
                text="7",
                truncated=truncated,
            )
            return Generation(request=request.id, responses=(response,))

    async def ask() -> list[str]:
        respond = evaluation.responder(Cutting(), str.encode, tag="eval-0", deadline=60.0, seed=7, longest=1)
        return await respond(["#o"], 0.0)

    [answer] = asyncio.run(ask())
    assert (answer, isinstance(answer, CutOff)) == ("7", truncated)
