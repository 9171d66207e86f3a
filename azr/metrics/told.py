"""Which of a run's reports stand. A driver that resumes does some steps again; what was told of them before is of
weights that are gone.

Owns the marks by which a step's report and an evaluation's are known, and the path through `metrics.jsonl`. Used by
trackers that catch up after a resume, and by the report.

    metrics.jsonl   1 … 9 10 11 12 ┊ 11 …      resumed at step 10: 12 of the first driver is left out, also while the
                    first driver   ┊ second    second has not come to it
"""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, TypeVar

#: In each report is one of these, a step's or an evaluation's: what tells of it says which reports there are.
STEP_MARK, EVALUATION_MARK = MARKS = ("time/elapsed", "time/evaluation")

_Line = TypeVar("_Line")


class Standing(Generic[_Line]):
    """The reports that led to the newest weights, as lines are read in their order."""

    def __init__(self, newest: int | None = None) -> None:
        self._newest = newest
        self._kept: deque[tuple[float, _Line]] = deque(maxlen=newest)
        self._highest = -math.inf

    def add(self, step: float, line: _Line, *, ends_step: bool) -> None:
        """The next line. One that ends a step again begins another path; an evaluation, which has a line of its own,
        does not."""
        if ends_step and step <= self._highest:
            self._kept = deque((other for other in self._kept if other[0] < step), maxlen=self._newest)
            self._highest = step
        self._highest = max(self._highest, step)
        self._kept.append((step, line))

    def lines(self) -> list[_Line]:
        """The newest of those that stand, in their order."""
        return [line for _, line in self._kept]
