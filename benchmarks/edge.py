"""How near a run's proposals lie to the edge of what its solver can do, and whether they came nearer.

    tasks.jsonl: step, right, attempts of each rated proposal ──► p = right / attempts ──┬─► share with 0 < p < 1
                                                                                         ├─► mean of 4 p (1 - p)
                                                                                         └─► mean of p

A task that is always or never solved teaches nothing; 4 p (1 - p) is 1 where it is solved half of the time. From n
attempts it comes out too small by the factor 1 - 1/n, the same at both ends of a run. A solver that gets better moves
p as well, so the measure is of both players; the arm with shuffled rewards tells what mere drift does to it. Types
count alike: more valid proposals of one type in the course of a run would move a mean over all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import msgspec

from azr.decoding import UNDECODABLE

#: The ends of a run that are compared, as a share of its steps.
END = 0.2


class Kind(msgspec.Struct, frozen=True):
    """What is read of a proposal's task."""

    id: str
    task_type: str


class Rated(msgspec.Struct, frozen=True):
    """A proposal's rating, as a run keeps it in `tasks.jsonl`."""

    step: int
    task: Kind
    right: int
    attempts: int

    @property
    def rate(self) -> float:
        """Share of attempts that were right."""
        return self.right / self.attempts


class Edge(NamedTuple):
    """Where some proposals lie."""

    tasks: int
    between: float
    """Share that was neither never nor always solved."""
    learnable: float
    """Mean of 4 p (1 - p)."""
    solved: float
    """Mean of p: it says on which side of the edge they lie."""


def edge(rated: Iterable[Rated]) -> Edge | None:
    """Where these lie, in the mean of their types; None of none."""
    by_type: dict[str, list[float]] = {}
    for one in rated:
        if one.attempts:
            by_type.setdefault(one.task.task_type, []).append(one.rate)
    if not by_type:
        return None
    kinds = list(by_type.values())
    return Edge(
        tasks=sum(map(len, kinds)),
        between=fmean(fmean(0.0 < rate < 1.0 for rate in rates) for rates in kinds),
        learnable=fmean(fmean(4.0 * rate * (1.0 - rate) for rate in rates) for rates in kinds),
        solved=fmean(map(fmean, kinds)),
    )


def ends(rated: Sequence[Rated], steps: int) -> tuple[Edge, Edge] | None:
    """The first and the last fifth of a run's steps 0 … steps - 1; None where one of them has no rated proposal."""
    first = edge(one for one in rated if one.step < END * steps)
    last = edge(one for one in rated if one.step >= (1.0 - END) * steps)
    return (first, last) if first is not None and last is not None else None


def read_rated(path: Path) -> list[Rated]:
    """All ratings of a run; half a line of a crash is passed over, and so is what a resume did again: of each step the
    last telling stands, a task that comes twice beginning the next."""
    found: list[Rated] = []
    ids = set[str]()
    """Of the tasks of the step that is read."""
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            one = msgspec.json.decode(line, type=Rated)
        except UNDECODABLE:
            continue
        if not found or one.step != found[-1].step:
            ids = set()
        if found and (one.step < found[-1].step or one.task.id in ids):
            found = [before for before in found if before.step < one.step]
            ids = set()
        ids.add(one.task.id)
        found.append(one)
    return found
