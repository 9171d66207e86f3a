"""Finished runs written by hand, for benchmarks to read."""

from __future__ import annotations

from pathlib import Path

import msgspec

from azr.run.evaluation import Evaluation, keep
from azr.run.folder import Card, RunFolder
from azr.run.tracking.json_lines import JsonLines
from azr.tiny.evaluation import Row
from benchmarks.run_folder import Asked, Outcome, outcome, settle
from tests.run.test_evaluation import AFTER, BEFORE, row

#: Steps of a written run, three seconds each.
STEPS = 10


def write_run(folder: Path, *, ended: str = "finished", asked: Asked | None = None, gain: float = 0.15) -> Path:
    """A run of ten steps that gains so much, sampled; deduction alone.

    Its attempts are right 0.1, 0.2, … 1.0 of the time. Two proposals a step are rated: never solved at first (steps 0
    to 4), then 4 of 8; the other always.
    """
    run = RunFolder(folder)
    run.create(Card(name=folder.name, started=0.0, ended=ended))
    after = [one if one.cell != "deduction/solve" or one.sampling != "sampled" else _better(gain) for one in AFTER]
    harder = [row("deduction/solve", "sampled", right, difficulty="harder") for right in (0.25, 0.5)]
    keep(run.evaluations, Evaluation(step=0, seconds=1.0, rows=[*BEFORE, harder[0]]))
    keep(run.evaluations, Evaluation(step=9, seconds=1.0, rows=[*after, harder[1]]))
    lines = JsonLines(run.metrics, print)
    for step in range(1, STEPS + 1):
        values = {
            "learner/step": float(step),
            "time/wait_for_batch": 2.0,
            "time/update": 1.0,
            "time/elapsed": 3.0 * step,
            "perf/learner_idle": 0.1,
            "batch/accuracy/deduction": step / 10,
            "batch/accuracy/induction": 0.0,
            "reward/mean/deduction/solve": 0.5,
            "reward/mean/deduction/propose": -1.0,
            "reward/distribution/deduction/solve.mean": 7.0,
        }
        lines.metrics(step, values, 100.0 + 3.0 * step)
    with run.tasks.open("ab") as file:
        for step in range(STEPS):
            for right in (0 if step < STEPS // 2 else 4, 8):
                task = {"id": f"{step}-{right}", "task_type": "deduction"}
                rated = {"step": step, "task": task, "right": right, "attempts": 8}
                file.write(msgspec.json.encode(rated) + b"\n")
    if asked is not None:
        settle(folder, asked, begun=False)
    return run.root


def _better(gain: float) -> Row:
    return row("deduction/solve", "sampled", 0.4 + gain)


def read(folder: Path) -> Outcome:
    """What benchmarks read of it."""
    found = outcome(folder)
    assert found is not None
    return found
