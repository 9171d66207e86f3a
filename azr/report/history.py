"""What a run's folder tells afterwards: its numbers, held-out results, flagged responses, tasks.

Owns the reading, which forgives: a crash leaves half lines, an older run lacks files. Called by `azr report`, and by
`azr export` for the model card's figures. Imports none of the heavy parts that wrote the files.

    metrics.jsonl ─┐
    evaluations.jsonl ─┼─► History ─► series of each metric, figures before and after
    flagged.jsonl, tasks.jsonl, config.yaml, run.json ─┘
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.metrics import told
from azr.safety.watch import Flagged, read_flagged

_Record = TypeVar("_Record")

#: Keys of a line of metrics that are no metrics.
_NOT_METRICS = frozenset({"step", "at"})

#: What a run's own batches tell of its weights, and over how many steps it is taken: single batches are noisy.
_OF_BATCHES, _OWN_STEPS = ("batch/accuracy", "batch/malformed", "batch/valid"), 10

Points = list[tuple[float, float]]


class Row(msgspec.Struct, frozen=True):
    """One line of a held-out evaluation."""

    difficulty: str = ""
    cell: str = ""
    sampling: str = ""
    responses: int = 0
    right: float = 0.0
    malformed: float = 0.0
    length: float = 0.0
    """Mean characters of a response."""
    asked: str = ""
    """Digest of the prompts."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        return " ".join(part for part in (self.difficulty, self.cell, self.sampling) if part)

    @property
    def key(self) -> tuple[str, str]:
        """By which it is found again in another evaluation: only answers to the same questions can be compared, and
        `evaluation.tasks` may change between two drivers."""
        return self.name, self.asked


class Evaluation(msgspec.Struct, frozen=True):
    """Held-out tasks answered by the weights of one step."""

    step: int
    rows: list[Row] = []


class ShownTask(msgspec.Struct, frozen=True):
    """What is shown of a task that the run proposed; all of it is the model's."""

    id: str
    task_type: str = ""
    program: str = ""
    inputs: list[str] = []
    outputs: list[str] = []
    message: str = ""


class _TaskLine(msgspec.Struct, frozen=True):
    """One line of `tasks.jsonl`, written by `azr.run.batches.RatedTask`."""

    task: ShownTask


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of a run."""

    name: str
    card: dict[str, Any]
    series: dict[str, Points]
    """Every metric's numbers by step."""
    evaluations: list[Evaluation]
    flagged: list[Flagged]
    tasks: list[ShownTask]
    """Some of the accepted tasks that were trained on."""
    task_count: int
    """How many there are."""
    config: str

    @property
    def steps(self) -> int:
        """The last step that reported anything."""
        return int(max((points[-1][0] for points in self.series.values() if points), default=0))

    def figures(self, step: int) -> dict[str, float]:
        """Held-out results of the weights after that step, with the first evaluation's beside them; none where nobody
        evaluated those weights: another step's results say nothing of them."""
        chosen = [evaluation for evaluation in self.evaluations if evaluation.step == step]
        if not chosen:
            return {}
        first, last = self.evaluations[0], chosen[-1]
        before = {row.key: row.right for row in first.rows}
        found: dict[str, float] = {}
        for row in last.rows:
            found[f"{row.name}, step {last.step}"] = row.right
            if first is not last and row.key in before:
                found[f"{row.name}, step {first.step}"] = before[row.key]
        return found

    def own_figures(self, step: int) -> dict[str, float]:
        """How the run's own tasks went in the steps before that one: all there is of a run without held-out tasks."""
        found: dict[str, float] = {}
        for name in _OF_BATCHES:
            for series, points in self.series.items():
                last = [value for at, value in points if step - _OWN_STEPS < at <= step]
                if last and series.startswith(f"{name}/"):
                    words = series.removeprefix("batch/").replace("/", " ")
                    found[f"own tasks, {words}, last {len(last)} steps"] = sum(last) / len(last)
        return found


def read_history(folder: Path, *, tasks: int = 40, seed: int = 0) -> History:
    """A run's history; `tasks` of those that it trained on are drawn evenly. A folder that holds no run is refused."""
    metrics = folder / "metrics.jsonl"
    if not metrics.exists():
        raise AzrError(f"{folder} holds no metrics.jsonl", "name a run's folder, e.g. runs/default")
    drawn, count = _draw(_tasks(folder / "tasks.jsonl"), tasks, seed)
    config = folder / "config.yaml"
    lines = [line for line in _records(metrics, dict[str, Any]) if isinstance(line.get("step"), int | float)]
    standing = told.Standing[dict[str, Any]]()
    for line in lines:
        standing.add(line["step"], line, ends_step=told.STEP_MARK in line)
    path = standing.lines()
    return History(
        name=folder.absolute().name,
        card=_whole(folder / "run.json"),
        series=_series(path),
        evaluations=_standing(_records(folder / "evaluations.jsonl", Evaluation), _evaluated(lines) - _evaluated(path)),
        flagged=read_flagged(folder / "flagged.jsonl"),
        tasks=drawn,
        task_count=count,
        config=config.read_text(errors="replace") if config.exists() else "",
    )


def _records(path: Path, kind: type[_Record]) -> Iterator[_Record]:
    """The lines of a file that can be read; none if there is no file."""
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(kind)
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield decoder.decode(line)
            except UNDECODABLE:
                continue


def _whole(path: Path) -> dict[str, Any]:
    """A file that is one object, over however many lines."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, *UNDECODABLE):
        return {}


def _evaluated(lines: Iterable[dict[str, Any]]) -> set[int]:
    """Steps whose weights were evaluated."""
    return {int(line["step"]) for line in lines if told.EVALUATION_MARK in line}


def _standing(evaluations: Iterable[Evaluation], gone: Set[int]) -> list[Evaluation]:
    """Without those of weights that are gone: of a step whose evaluation is on no path any more, or that a later one
    replaced."""
    kept: list[Evaluation] = []
    for one in evaluations:
        kept = [earlier for earlier in kept if earlier.step < one.step]
        if one.step not in gone:
            kept.append(one)
    return kept


def _series(lines: Iterable[dict[str, Any]]) -> dict[str, Points]:
    """Numbers by metric. Several lines of a step add up: an evaluation has one of its own."""
    by_step: dict[int, dict[str, Any]] = {}
    for line in lines:
        by_step.setdefault(int(line["step"]), {}).update(line)
    series: dict[str, Points] = {}
    for step in sorted(by_step):
        for name, value in by_step[step].items():
            if name not in _NOT_METRICS and isinstance(value, int | float) and not isinstance(value, bool):
                series.setdefault(name, []).append((float(step), float(value)))
    return series


def _tasks(path: Path) -> Iterator[ShownTask]:
    """Each task once: a step that is done again after a resume tells its own again."""
    seen = set[str]()
    for line in _records(path, _TaskLine):
        if line.task.id not in seen:
            seen.add(line.task.id)
            yield line.task


def _draw(records: Iterator[ShownTask], wanted: int, seed: int) -> tuple[list[ShownTask], int]:
    """A fair sample in one pass, and how many there were."""
    generator, kept, count = random.Random(seed), list[ShownTask](), 0
    for record in records:
        count += 1
        if len(kept) < wanted:
            kept.append(record)
        elif (place := generator.randrange(count)) < wanted:
            kept[place] = record
    return kept, count
