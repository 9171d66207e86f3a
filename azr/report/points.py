"""The points of a metric, as many as a report shows of it however long the run was.

Pure. Called by `azr.report.history` while it reads, and by `azr.report.chart`.
"""

from __future__ import annotations

from collections.abc import Sequence

Points = list[tuple[float, float]]

#: Points kept of a metric, more than a chart draws: beside the first, an even number, of which two become one.
MOST_KEPT = 1001


class Thinning:
    """The points of one metric as they come. Once there are too many, neighbours become their mean, and so does from
    then on as long a stretch; the first and the last stay what they are."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        assert most % 2, "the first stands alone, and the others go in pairs"
        self._most = most
        self._means: Points = []
        self._stretch = 1
        self._newest: Points = []
        """Of a stretch that is not whole yet, with one more: the last that came is part of no mean."""

    def add(self, step: float, value: float) -> None:
        """The next."""
        self._newest.append((step, value))
        if len(self._newest) <= self._stretch:
            return
        self._means.append(_mean(self._newest[:-1]))
        self._newest = self._newest[-1:]
        if len(self._means) >= self._most:
            first, *others = self._means
            self._means = [first, *(_mean(others[at : at + 2]) for at in range(0, len(others), 2))]
            self._stretch *= 2

    def points(self) -> Points:
        """All that came, or their means, in their order."""
        *unfinished, last = self._newest
        return [*self._means, *([_mean(unfinished)] if unfinished else []), last]


def _mean(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Divided first: numbers of a run that diverged have no sum."""
    count = len(points)
    if count == 1:
        return points[0]
    return sum(step / count for step, _ in points), sum(value / count for _, value in points)
