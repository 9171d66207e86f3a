"""Runs of `azr train` for benchmarks: made once, kept, read again; so that a study of hours can be interrupted.

Arm(name, overrides) × seed ──► run folder ──► finished? read : train (resume what was begun) ──► Outcome
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from azr.errors import AzrError
from azr.run.evaluation import Evaluation, overall, read
from azr.run.folder import RunFolder
from azr.run.tracking.json_lines import read_lines

#: A run may take so long beyond its own bound: starting, evaluating, stopping.
GRACE_SECONDS = 1800.0


class Arm(NamedTuple):
    """One way to run."""

    name: str
    overrides: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What a finished run left."""

    folder: Path
    evaluations: list[Evaluation]
    lines: list[dict[str, float | None]]
    """Metrics, a line a step."""

    def gain(self, sampling: str, difficulty: str = "common") -> float:
        """Percentage points of held-out solve accuracy between the first and the last evaluation."""
        first = overall(self.evaluations[0].rows, sampling, difficulty)
        last = overall(self.evaluations[-1].rows, sampling, difficulty)
        if first is None or last is None:
            raise AzrError(f"{self.folder} has no {sampling} answers to {difficulty} tasks", "evaluate with samples")
        return 100.0 * (last - first)

    def gains_by_type(self, sampling: str) -> dict[str, float]:
        """The same by task type."""
        first = {
            row.cell: row.right
            for row in self.evaluations[0].rows
            if (row.difficulty, row.sampling) == ("common", sampling)
        }
        last = {
            row.cell: row.right
            for row in self.evaluations[-1].rows
            if (row.difficulty, row.sampling) == ("common", sampling)
        }
        return {
            cell.partition("/")[0]: 100.0 * (last[cell] - before)
            for cell, before in first.items()
            if cell.endswith("/solve") and cell in last
        }

    def mean(self, name: str, *, skip: int = 0) -> float:
        """Mean of a metric over steps, the first `skip` left out."""
        values = [value for line in self.lines[skip:] if (value := line.get(name)) is not None]
        if not values:
            raise AzrError(f"{self.folder} has no values of {name}", "run it for more steps")
        return sum(values) / len(values)

    def last(self, name: str) -> float:
        """The newest value of a metric."""
        values = [value for line in self.lines if (value := line.get(name)) is not None]
        if not values:
            raise AzrError(f"{self.folder} has no values of {name}", "run it for more steps")
        return values[-1]


def outcome(folder: Path) -> Outcome | None:
    """What a finished run left; None while it is not finished."""
    run = RunFolder(folder)
    if not run.exists or run.card().ended != "finished":
        return None
    steps = [line for line in read_lines(run.metrics) if "learner/step" in line]
    return Outcome(folder, read(run.evaluations), steps)


def carry_out(folder: Path, overrides: Sequence[str]) -> Outcome:
    """The outcome of the run in this folder: read if it is finished, else begun or gone on with, to its end."""
    if (found := outcome(folder)) is not None:
        return found
    common = ["run.folder=" + str(folder.parent), "run.name=" + folder.name, *overrides]
    begun = (folder / "run.json").exists()
    words = ["--resume", str(folder)] if begun else ["--config", "tiny", *common]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.txt").open("a") as said:
        done = subprocess.run(
            [sys.executable, "-m", "azr.cli.main", "train", *words], stdout=said, stderr=said, check=False
        )
    if (found := outcome(folder)) is None:
        raise AzrError(
            f"the run in {folder} did not finish (exit status {done.returncode})",
            f"{folder.parent / folder.name}.txt says why; the same command goes on with it",
        )
    return found
