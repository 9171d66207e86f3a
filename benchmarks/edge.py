"""How near a run's proposals lie to the edge of what its solver can do, and whether they came nearer.

    tasks.jsonl: step, right, attempts of each rated proposal ──► p = right / attempts ──┬─► share with 0 < p < 1
                                                                                         ├─► mean of 4 p (1 - p)
                                                                                         └─► mean of p

A task that is always or never solved teaches nothing; 4 p (1 - p) is 1 where it is solved half of the time. From n
attempts it comes out too small by the factor 1 - 1/n, the same at both ends of a run. A solver that gets better moves
p as well, so the measure is of both players; the arm with shuffled rewards tells what mere drift does to it.
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


class Rated(msgspec.Struct, frozen=True):
    """A proposal's rating, as a run keeps it in `tasks.jsonl`."""

    step: int
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
    """Where these lie; None of none."""
    rates = [one.rate for one in rated if one.attempts]
    if not rates:
        return None
    return Edge(
        tasks=len(rates),
        between=fmean(0.0 < rate < 1.0 for rate in rates),
        learnable=fmean(4.0 * rate * (1.0 - rate) for rate in rates),
        solved=fmean(rates),
    )


def ends(rated: Sequence[Rated], steps: int) -> tuple[Edge, Edge] | None:
    """The first and the last fifth of a run's steps 0 … steps - 1; None where one of them has no rated proposal."""
    first = edge(one for one in rated if one.step < END * steps)
    last = edge(one for one in rated if one.step >= (1.0 - END) * steps)
    return (first, last) if first is not None and last is not None else None


def read_rated(path: Path) -> list[Rated]:
    """All ratings of a run; half a line of a crash is passed over."""
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            found.append(msgspec.json.decode(line, type=Rated))
        except UNDECODABLE:
            continue
    return found
