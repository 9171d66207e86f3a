"""Plans whose batches come from a seed and whose curve goes into a file: picklable, so that ranks can be sent them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from learner import checkpoint
from learner.loop import LearnerPlan
from learner.samples import StepBatch
from learner.trainer import StepReport
from tests.learner.tiny import random_samples


class SeededSource:
    """The batch of a step depends on the step alone; what was taken and committed is written down."""

    def __init__(self, log: Path, last: int | None = None) -> None:
        self._log, self._last = log, last

    def begin(self, step: int) -> None:
        self._note({"begin": step})

    def ready(self, check: Callable[[], None]) -> None:
        pass

    def take(self, step: int) -> StepBatch | None:
        self._note({"take": step})
        return None if step == self._last else StepBatch(random_samples(1000 + step, step=step), step)

    def write_state(self, step: int, folder: Path) -> None:
        assert folder.name.endswith(".partial"), "the state belongs to a checkpoint that is not complete yet"
        assert not (folder / "learner.json").exists()
        (folder / "source.txt").write_text(str(step))

    def commit(self, step: int) -> None:
        self._note({"commit": step})

    def _note(self, what: dict[str, int]) -> None:
        with self._log.open("a") as file:
            file.write(json.dumps(what) + "\n")


class CurveObserver:
    """Appends each step's loss and gradient norm, and the process that made them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_step(self, step: int, report: StepReport, seconds: dict[str, float]) -> None:
        line = {
            "step": step,
            "loss": report.metrics["learner/loss"],
            "grad_norm": report.metrics["learner/grad_norm"],
            "pid": os.getpid(),
            "phases": sorted(seconds),
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def on_made_room(self, step: int, gone: list[str]) -> None:
        with self._path.with_name("made_room.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "gone": gone}) + "\n")

    def on_no_room(self, step: int, why: str) -> None:
        with self._path.with_name("no_room.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "why": why}) + "\n")

    def on_lost(self, step: int, saved: int, why: str) -> None:
        with self._path.with_name("lost.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "saved": saved, "why": why}) + "\n")


def plan(model: Path, folder: Path, *, steps: int, ranks: int = 1, checkpoint_every: int = 5) -> LearnerPlan:
    folder.mkdir(parents=True, exist_ok=True)
    return LearnerPlan(
        model=str(model),
        loss=LossConfig(minibatches=2),
        optimiser=OptimiserConfig(lr=3e-3),
        learner=LearnerConfig(ranks=ranks, tokens_per_micro_batch=64, checkpoint_every=checkpoint_every),
        folder=folder,
        steps=steps,
        make_source=partial(SeededSource, folder / "source.jsonl"),
        make_observer=partial(CurveObserver, folder / "curve.jsonl"),
    )


def curve(folder: Path) -> dict[int, tuple[float, float]]:
    """Loss and gradient norm by step; of a step done twice, the second."""
    lines = map(json.loads, (folder / "curve.jsonl").read_text().splitlines())
    return {line["step"]: (line["loss"], line["grad_norm"]) for line in lines}


def noted(folder: Path, what: str) -> list[int]:
    """The steps that were taken from, or committed to, the source."""
    lines = map(json.loads, (folder / "source.jsonl").read_text().splitlines())
    return [line[what] for line in lines if what in line]


def whole_checkpoint(root: Path, step: int) -> None:
    """A folder that counts as a complete checkpoint, with no weights in it."""
    folder = checkpoint.checkpoint_folder(root, step)
    folder.mkdir()
    (folder / "learner.json").write_bytes(msgspec.json.encode(checkpoint.LearnerState(step, step, "m")))


def torn_checkpoint(root: Path, name: str) -> None:
    """What is left of a checkpoint whose writer died."""
    (root / name).mkdir()
    (root / name / "__0_0.distcp").write_bytes(b"half of it")
