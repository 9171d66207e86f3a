"""What earlier drivers of a run told, read back from `metrics.jsonl` for trackers that may lack some of it.

A tracker is told from a queue. A driver that is killed takes its queue along, and its last reports with it; but each
was written to the run's folder first. Called in a tracker's own thread, once after a resume.

    metrics.jsonl   1 … 9 10 11 12 ┊ 11 12 13 …             resumed at step 10: 1 … 10 are asked for, and 11 … again
                    first driver   ┊ second                 resumed at step 12: 11 and 12 are the second driver's
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from azr.decoding import UNDECODABLE
from azr.metrics.told import MARKS, STEP_MARK, Standing
from azr.run.tracking.base import milliseconds


class Report(NamedTuple):
    """What was told at one moment."""

    step: int
    values: dict[str, float]
    at: float

    @property
    def mark(self) -> str:
        """The metric by which it is known; empty for what nobody knows it by."""
        return next((name for name in MARKS if name in self.values), "")

    @property
    def moment(self) -> tuple[int, int]:
        """Its step, and when it was told: the same step may be done again."""
        return self.step, milliseconds(self.at)


class _Head(msgspec.Struct):
    """As much of a line as says whether it is asked for."""

    step: int
    elapsed: float | None = msgspec.field(default=None, name=STEP_MARK)


def told_until(path: Path, size: int, step: int, newest: int) -> Iterator[Report]:
    """The newest reports of steps up to this one that lie in the first `size` bytes, in their order.

    A step that is told again begins another path: what was told before of it and of later steps is left out.
    """
    standing = Standing[bytes](newest)
    with path.open("rb") as file:
        for line in _lines(file, size):
            try:
                head = msgspec.json.decode(line, type=_Head)
            except UNDECODABLE:  # half a line, of a crash
                continue
            if head.step > step:
                continue
            standing.add(head.step, line, ends_step=head.elapsed is not None)
    for line in standing.lines():
        with contextlib.suppress(*UNDECODABLE):  # damaged behind what its head is read from
            yield _report(line)


def _lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    for line in file:
        size -= len(line)
        if size < 0:
            return
        yield line


def _report(line: bytes) -> Report:
    """A number that was not finite, and is null in JSON, comes back as no number."""
    values = msgspec.json.decode(line, type=dict[str, float | None])
    step, at = values.pop("step"), values.pop("at", None)
    numbers = {name: math.nan if value is None else value for name, value in values.items()}
    return Report(int(step or 0), numbers, at or 0.0)
