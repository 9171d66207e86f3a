"""Runs of `azr train` for benchmarks: made once, kept, read again; so that a study of hours can be interrupted.

Arm(name, overrides) × seed ──► run folder ──► finished? read : train (resume what was begun) ──► Outcome

Beside each folder lies what was asked for, and of which commit: a run of other settings, or of other code, is refused
instead of being read as if it were this one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from azr.bench.machine import commit
from azr.errors import AzrError
from azr.files import write_bytes
from azr.run.evaluation import Evaluation, comparable, overall, read
from azr.run.folder import RunFolder
from azr.run.tracking.json_lines import read_lines
from benchmarks.cores import Cores, watched

#: A run may take so long beyond its own bound: starting, evaluating, stopping.
GRACE_SECONDS = 1800.0
#: A step of the tiny run takes two seconds; one that takes so long on average is stuck.
STEP_SECONDS = 60.0


class Arm(NamedTuple):
    """One way to run."""

    name: str
    overrides: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """What a run was begun with."""

    overrides: tuple[str, ...]
    commit: str
    """Of the code; `+` at its end where there were changes on top."""

    @classmethod
    def now(cls, overrides: Sequence[str]) -> Asked:
        """What is asked for by these overrides and this code."""
        name, changed = commit()
        return cls(tuple(overrides), name + "+" * changed)

    def value(self, key: str) -> str:
        """What a key was overridden with, the last word counting; empty where it was not."""
        found = [word.partition("=")[2] for word in self.overrides if word.partition("=")[0] == key]
        return found[-1] if found else ""


class Outcome(NamedTuple):
    """What a finished run left."""

    folder: Path
    evaluations: list[Evaluation]
    lines: list[dict[str, float | None]]
    """Metrics, a line a step."""

    def gain(self, sampling: str, difficulty: str = "common") -> float:
        """Percentage points of held-out solve accuracy between the first and the last evaluation."""
        before, after = self._both()
        first, last = overall(before.rows, sampling, difficulty), overall(after.rows, sampling, difficulty)
        if first is None or last is None:
            raise AzrError(f"{self.folder} has no {sampling} answers to {difficulty} tasks", "evaluate with samples")
        return 100.0 * (last - first)

    def gains_by_type(self, sampling: str) -> dict[str, float]:
        """The same by task type."""
        first, last = (
            {row.cell: row.right for row in one.rows if (row.difficulty, row.sampling) == ("common", sampling)}
            for one in self._both()
        )
        return {
            cell.partition("/")[0]: 100.0 * (last[cell] - before)
            for cell, before in first.items()
            if cell.endswith("/solve") and cell in last
        }

    def _both(self) -> tuple[Evaluation, Evaluation]:
        """The evaluations before and after training; a run without both has gained nothing that could be told."""
        if not self.evaluations or self.evaluations[0].step == self.evaluations[-1].step:
            steps = ", ".join(str(one.step) for one in self.evaluations) or "none"
            raise AzrError(
                f"{self.folder} has no evaluations of two different steps (of steps: {steps})",
                "remove it, so that it is run again, with evaluation.before and evaluation.after",
            )
        first, last = self.evaluations[0], self.evaluations[-1]
        cells = [{(row.difficulty, row.cell, row.sampling) for row in one.rows} for one in (first, last)]
        if len(comparable(first.rows, last.rows)[0]) < len(cells[0] & cells[1]):
            raise AzrError(
                f"{self.folder}: its evaluations asked different questions", "remove it, so that it is run again"
            )
        return first, last

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


def asked_of(folder: Path) -> Asked:
    """What the run in this folder was begun with; nothing where nobody noted it."""
    path = _asked_path(folder)
    return msgspec.json.decode(path.read_bytes(), type=Asked) if path.exists() else Asked((), "")


def _asked_path(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.asked.json"


def longest(overrides: Sequence[str]) -> float:
    """Seconds that a run of these bounds may train."""
    asked = Asked(tuple(overrides), "")
    return 60.0 * float(asked.value("run.minutes") or 0.0) + STEP_SECONDS * int(asked.value("run.steps") or 0)


def ended(driver: subprocess.Popen[bytes], seconds: float) -> int:
    """The exit status of a driver, which may take so long; a Ctrl-C reaches it as well and is waited out."""
    try:
        return driver.wait(seconds)
    except subprocess.TimeoutExpired:
        driver.terminate()
        return driver.wait(GRACE_SECONDS)
    except KeyboardInterrupt:
        driver.wait(GRACE_SECONDS)
        raise


def looks_path(folder: Path) -> Path:
    """Where it is kept what processor time the run took."""
    return folder.parent / f"{folder.name}.cores.jsonl"


def finished(folder: Path, arms: Iterable[Arm]) -> tuple[dict[str, dict[int, Outcome]], list[str]]:
    """All finished runs of these arms that lie in a folder, by arm and seed; and what lies there unfinished."""
    found: dict[str, dict[int, Outcome]] = {}
    unfinished = []
    for arm in arms:
        for path in folder.glob(f"{arm.name}-*"):
            seed = path.name.removeprefix(f"{arm.name}-")
            if not (seed.isdigit() and RunFolder(path).exists):
                continue
            if (one := outcome(path)) is None:
                unfinished.append(path.name)
            else:
                found.setdefault(arm.name, {})[int(seed)] = one
    return {arm: dict(sorted(by_seed.items())) for arm, by_seed in found.items()}, sorted(unfinished)


def carry_out(folder: Path, overrides: Sequence[str], *, cores: Cores | None = None, anew: bool = False) -> Outcome:
    """The outcome of the run in this folder: read if it is finished, else begun or gone on with, to its end.

    `cores` binds its sides; `anew` begins a run again that was interrupted, for whom a pause would spoil the times.
    """
    if anew and RunFolder(folder).exists and outcome(folder) is None:
        shutil.rmtree(folder)
    begun = RunFolder(folder).exists
    settle(folder, Asked.now(overrides), begun=begun)
    if (found := outcome(folder)) is not None:
        return found
    common = ["run.folder=" + str(folder.parent), "run.name=" + folder.name, *overrides]
    words = ["--resume", str(folder)] if begun else ["--config", "tiny", *common]
    with (folder.parent / f"{folder.name}.txt").open("a") as said:
        driver = subprocess.Popen([sys.executable, "-m", "azr.cli.main", "train", *words], stdout=said, stderr=said)
        with watched(driver.pid, looks_path(folder), cores):
            status = ended(driver, GRACE_SECONDS + longest(overrides))
    if (found := outcome(folder)) is None:
        raise AzrError(
            f"the run in {folder} did not finish (exit status {status})",
            f"{folder.parent / folder.name}.txt says why; the same command goes on with it",
        )
    return found


def settle(folder: Path, asked: Asked, *, begun: bool) -> None:
    """Note what a new run is asked for; refuse one that was begun with anything else."""
    if not begun:
        write_bytes(_asked_path(folder), msgspec.json.encode(asked) + b"\n")
        return
    before = asked_of(folder)
    if before == asked:
        return
    differing = [f"- {word}" for word in before.overrides if word not in asked.overrides]
    differing += [f"+ {word}" for word in asked.overrides if word not in before.overrides]
    if before.commit != asked.commit:
        differing.append(f"commit {before.commit or 'unknown'} -> {asked.commit or 'unknown'}")
    told = ", ".join(differing) or "the same words in another order"
    raise AzrError(
        f"{folder} holds a run that was asked for otherwise: {told}",
        "name another --folder, or remove this run to make it anew",
    )
