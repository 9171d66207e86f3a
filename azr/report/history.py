"""What a run's folder tells afterwards: its numbers, held-out results, flagged responses, tasks.

Owns the reading, which forgives: a crash leaves half lines, an older run lacks files. Called by `azr report`, and by
`azr export` for the model card's figures. Imports none of the heavy parts that wrote the files.

    metrics.jsonl ─┐
    evaluations.jsonl ─┼─► History ─► series of each metric, evaluations; or the figures of one step
    flagged.jsonl, tasks.jsonl, config.yaml, run.json ─┘

A long run's metrics may not fit into memory: first it is found where the lines lie that stand, then these are read, a
step at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.metrics import told
from azr.report.points import Points, Thinning
from azr.safety.watch import Flagged, read_flagged

_Record = TypeVar("_Record")

#: Keys of a line of metrics that are no metrics.
_NOT_METRICS = frozenset({"step", "at"})

#: What a run's own batches tell of its weights, and over how many steps it is taken: single batches are noisy.
_OF_BATCHES, _OWN_STEPS = ("batch/accuracy", "batch/malformed", "batch/valid"), 10


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
    """Every metric's numbers by step, of very many their means."""
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


def read_history(folder: Path, *, tasks: int = 40) -> History:
    """A run's history; `tasks` of those that it trained on are drawn evenly, each time
    the same. A folder that holds no run is refused."""
    metrics = folder / "metrics.jsonl"
    if not metrics.exists():
        raise AzrError(f"{folder} holds no metrics.jsonl", "name a run's folder, e.g. runs/default")
    drawn, count = _draw(_tasks(folder / "tasks.jsonl"), tasks)
    config = folder / "config.yaml"
    places, undone = _standing_places(metrics)
    return History(
        name=folder.absolute().name,
        card=_whole(folder / "run.json"),
        series=_series(_steps(metrics, places)),
        evaluations=_standing(_records(folder / "evaluations.jsonl", Evaluation), undone),
        flagged=read_flagged(folder / "flagged.jsonl"),
        tasks=drawn,
        task_count=count,
        config=config.read_text(errors="replace") if config.exists() else "",
    )


def read_figures(folder: Path, step: int) -> dict[str, float]:
    """What a run measured of the weights after that step, for their model card."""
    metrics = folder / "metrics.jsonl"
    places, undone = _standing_places(metrics)
    before = [place for place in places if step - _OWN_STEPS < place.step <= step]
    evaluations = _standing(_records(folder / "evaluations.jsonl", Evaluation), undone)
    return _held_out_figures(evaluations, step) | _own_figures(_series(_steps(metrics, before)))


def _held_out_figures(evaluations: Sequence[Evaluation], step: int) -> dict[str, float]:
    """Held-out results of the weights after that step, with the first evaluation's beside them; none where nobody
    evaluated those weights: another step's results say nothing of them."""
    chosen = [evaluation for evaluation in evaluations if evaluation.step == step]
    if not chosen:
        return {}
    first, last = evaluations[0], chosen[-1]
    before = {row.key: row.right for row in first.rows}
    found: dict[str, float] = {}
    for row in last.rows:
        found[f"{row.name}, step {last.step}"] = row.right
        if first is not last and row.key in before:
            found[f"{row.name}, step {first.step}"] = before[row.key]
    return found


def _own_figures(series: Mapping[str, Points]) -> dict[str, float]:
    """How the run's own tasks went in these few steps: all there is of a run without held-out tasks."""
    found: dict[str, float] = {}
    for name in _OF_BATCHES:
        for metric, points in series.items():
            if metric.startswith(f"{name}/"):
                words = metric.removeprefix("batch/").replace("/", " ")
                mean = sum(value for _, value in points) / len(points)
                found[f"own tasks, {words}, last {len(points)} steps"] = mean
    return found


class _Head(msgspec.Struct):
    """As much of a line as says whether it stands."""

    step: int | float
    elapsed: float | None = msgspec.field(default=None, name=told.STEP_MARK)
    evaluation: float | None = msgspec.field(default=None, name=told.EVALUATION_MARK)


class _Place(NamedTuple):
    """A line of metrics, by where it begins."""

    step: int
    at: int
    evaluates: bool


def _standing_places(path: Path) -> tuple[list[_Place], set[int]]:
    """The lines that stand, in order of steps; and the steps of which an evaluation is gone with its weights."""
    standing, evaluated, after = told.Standing[_Place](), set[int](), 0
    decoder = msgspec.json.Decoder(_Head)
    with path.open("rb") as lines:
        for line in lines:
            at, after = after, after + len(line)
            try:
                head = decoder.decode(line)
            except UNDECODABLE:
                continue
            place = _Place(int(head.step), at, head.evaluation is not None)
            standing.add(head.step, place, ends_step=head.elapsed is not None)
            if place.evaluates:
                evaluated.add(place.step)
    places = sorted(standing.lines(), key=attrgetter("step"))
    return places, evaluated - {place.step for place in places if place.evaluates}


def _steps(path: Path, places: Iterable[_Place]) -> Iterator[tuple[int, dict[str, Any]]]:
    """What is told in these lines, by step. Several lines of a step add up: an evaluation has one of its own."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    with path.open("rb") as lines:
        for step, of_step in itertools.groupby(places, attrgetter("step")):
            values: dict[str, Any] = {}
            for place in of_step:
                lines.seek(place.at)
                with contextlib.suppress(*UNDECODABLE):  # damaged behind what its head is read from
                    values |= decoder.decode(lines.readline())
            yield step, values


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


def _standing(evaluations: Iterable[Evaluation], gone: Set[int]) -> list[Evaluation]:
    """Without those of weights that are gone: of a step whose evaluation is on no path any more, or that a later one
    replaced."""
    kept: list[Evaluation] = []
    for one in evaluations:
        kept = [earlier for earlier in kept if earlier.step < one.step]
        if one.step not in gone:
            kept.append(one)
    return kept


def _series(steps: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, Points]:
    """Numbers by metric."""
    series: dict[str, Thinning] = {}
    for step, values in steps:
        for name, value in values.items():
            if name not in _NOT_METRICS and isinstance(value, int | float) and not isinstance(value, bool):
                if name not in series:
                    series[name] = Thinning()
                series[name].add(float(step), float(value))
    return {name: each.points() for name, each in series.items()}


def _tasks(path: Path) -> Iterator[ShownTask]:
    """Each task once: a step that is done again after a resume tells its own again."""
    seen = set[str]()
    for line in _records(path, _TaskLine):
        if line.task.id not in seen:
            seen.add(line.task.id)
            yield line.task


def _draw(records: Iterator[ShownTask], wanted: int) -> tuple[list[ShownTask], int]:
    """A fair sample in one pass, and how many there were."""
    generator, kept, count = random.Random(0), list[ShownTask](), 0
    for record in records:
        count += 1
        if len(kept) < wanted:
            kept.append(record)
        elif (place := generator.randrange(count)) < wanted:
            kept[place] = record
    return kept, count
