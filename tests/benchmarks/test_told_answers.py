"""The control that is told the answers: which pairs it learns, what it refuses, and a whole small one."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from azr.bench import Report
from azr.config import load, write_resolved
from azr.errors import AzrError
from azr.game.frames import frame
from azr.game.plan import drive_many
from azr.game.play import judge_attempt
from azr.game.tasks import task_type
from azr.game.types import Task
from azr.game.verification import VerifyRules
from azr.run.batches import RatedTask
from azr.run.folder import RunFolder
from azr.tiny.held_out import KINDS, held_out_tasks
from benchmarks import told_answers
from benchmarks.told_answers import answer_of, azr, begun_with, pairs_of, run, tell, write_pairs
from sandbox_wasm.protocol import Sandbox
from tests.benchmarks.written_runs import read, write_run

SOME = [task for kind in KINDS for task in held_out_tasks("common", kind, 4)]


def write_tasks(path: Path, tasks: list[Task]) -> Path:
    rated = [RatedTask(step=0, task=task, right=1, attempts=8, reward=0.5) for task in tasks]
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in rated))
    return path


def finished_run(folder: Path, *overrides: str) -> Path:
    write_run(folder)
    write_resolved(load(["tiny"], overrides), folder)
    write_tasks(RunFolder(folder).tasks, SOME)
    return folder


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    told_answers.add_arguments(parser)
    return parser.parse_args(words)


def measured(report: Report) -> dict[str, float]:
    """What was measured of one run."""
    return {measure.name: measure.rounds[0] for measure in report.result().measures}


def test_every_answer_that_is_told_is_right(sandbox: Sandbox, tmp_path: Path) -> None:
    pairs = list(pairs_of(write_tasks(tmp_path / "tasks.jsonl", SOME)))
    plans = [
        judge_attempt(task_type(task.task_type), task, pair.response, frame("compact"), VerifyRules())
        for task, pair in zip(SOME, pairs, strict=True)
    ]
    assert all(verdict.correct for verdict in drive_many(plans, sandbox))


def test_the_prompt_is_the_one_that_the_run_asked(tmp_path: Path) -> None:
    [pair] = pairs_of(write_tasks(tmp_path / "tasks.jsonl", [SOME[0]]))
    assert pair.prompt == f"{SOME[0].program}\n#i {SOME[0].inputs[0]}\n#o\n"


def test_half_a_line_and_types_without_a_known_answer_are_passed_over(tmp_path: Path) -> None:
    other = msgspec.structs.replace(SOME[0], task_type="error")
    assert answer_of(other) is None
    path = write_tasks(tmp_path / "tasks.jsonl", [other, SOME[1]])
    path.write_bytes(path.read_bytes() + b'{"step": 1, "ta')
    assert len(list(pairs_of(path))) == 1


def test_a_run_without_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="holds no task with its answer"):
        write_pairs(tmp_path / "pairs.jsonl", tmp_path / "tasks.jsonl")


def test_only_a_finished_run_of_a_model_that_answers_at_once_has_such_a_control(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="is no finished run"):
        begun_with(tmp_path / "none")
    with pytest.raises(AzrError, match="an answer must follow a thought"):
        begun_with(finished_run(tmp_path / "thinks", "model.frame=r1"))


def test_gains_are_told_over_all_types_and_by_type(tmp_path: Path) -> None:
    report = Report("told-answers", "azr bench told-answers")
    tell(report, "the run", [read(write_run(tmp_path / "one", gain=0.15))])
    measures = measured(report)
    assert measures["the run: gain sampled, deduction"] == pytest.approx(15.0)
    assert {"the run: gain sampled", "the run: gain greedy"} < set(measures)


def test_a_command_that_fails_is_told_by_what_it_said_last(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match=r"azr sft failed: .*nothing\.jsonl"):
        azr("sft", str(tmp_path / "nothing.jsonl"), "--model=tiny", f"--out={tmp_path / 'run'}")


@pytest.mark.soak
def test_a_whole_small_one(tmp_path: Path) -> None:
    """A dozen tasks teach next to nothing; base and told answer the same questions."""
    report = Report("told-answers", "azr bench told-answers")
    folder = finished_run(tmp_path / "default-0")
    run(arguments(str(folder), "--passes", "1", "--lr", "1e-9", "--tasks", "2", "--samples", "1"), report)
    measures = measured(report)
    assert measures["told at 1e-09: gain sampled"] == pytest.approx(0.0)
    assert measures["told at 1e-09: gain greedy"] == pytest.approx(0.0)
    assert measures["the run: gain sampled, deduction"] == pytest.approx(15.0)
    assert report.result().notes == ("default-0: 12 tasks",)
