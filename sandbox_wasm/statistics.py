"""Counts what a pool does, in memory that does not grow: a histogram of durations, and outcomes by status.

Written by the pool's thread alone, read by anybody through `Recorder.snapshot`.
"""

from __future__ import annotations

import math
from collections import Counter

from sandbox_wasm.protocol import InspectResult, JobResult, Statistics

#: Shortest duration told apart, and how much wider each bucket is than the one before: a percentile is off by at most
#: half a bucket, 2.5 %, and 1 µs to 1,000 s take 425 integers.
SHORTEST_SECONDS = 1e-6
LONGEST_SECONDS = 1e3
BUCKET_RATIO = 1.05
_PER_LOGARITHM = 1 / math.log(BUCKET_RATIO)


class Histogram:
    """Durations in geometric buckets: constant memory, percentiles within 2.5 %."""

    def __init__(self) -> None:
        buckets = math.ceil(math.log(LONGEST_SECONDS / SHORTEST_SECONDS) * _PER_LOGARITHM) + 1
        self._counts = [0] * buckets
        self.total = 0

    def add(self, seconds: float) -> None:
        """Count one duration; those outside the range go to its nearest end."""
        inside = min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
        self._counts[int(math.log(inside / SHORTEST_SECONDS) * _PER_LOGARITHM)] += 1
        self.total += 1

    def percentile(self, share: float) -> float:
        """The duration that `share` of all lie at or below (the middle of its bucket); 0 when nothing was counted."""
        wanted = max(1, math.ceil(share * self.total))
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= wanted and count:
                return float(SHORTEST_SECONDS * BUCKET_RATIO ** (bucket + 0.5))
        return 0.0


class Recorder:
    """What one pool did since it opened. Rates are over the time in which the pool had work, not since it opened."""

    def __init__(self) -> None:
        self._seconds = Histogram()
        self._by_status: Counter[str] = Counter()
        self._jobs = 0
        self._executions = 0
        self._replaced = 0
        self._busy_seconds = 0.0
        self._busy_since: float | None = None

    def work_began(self, now: float) -> None:
        """The pool went from idle to busy."""
        if self._busy_since is None:
            self._busy_since = now

    def work_ended(self, now: float) -> None:
        """The last open job was answered."""
        if self._busy_since is not None:
            self._busy_seconds += now - self._busy_since
            self._busy_since = None

    def ran(self, seconds: float) -> None:
        """A worker took this long over a job, or over the part of it that it was given."""
        self._seconds.add(seconds)

    def answered(self, result: JobResult) -> None:
        """A job's final answer went out."""
        self._jobs += 1
        if isinstance(result, InspectResult):
            self._executions += 1
            self._by_status["ok" if result.facts is not None else result.reason] += 1
            return
        self._executions += len(result.outcomes)
        for outcome in result.outcomes:
            self._by_status[outcome.status] += 1

    def replaced(self) -> None:
        """A worker died or was killed, and another takes its place."""
        self._replaced += 1

    def snapshot(self, now: float) -> Statistics:
        """The figures as they stand."""
        began = self._busy_since
        busy = self._busy_seconds + (0.0 if began is None else max(0.0, now - began))
        return Statistics(
            jobs=self._jobs,
            executions=self._executions,
            executions_per_second=self._executions / busy if busy > 0 else 0.0,
            p50_seconds=self._seconds.percentile(0.50),
            p99_seconds=self._seconds.percentile(0.99),
            by_status=dict(sorted(self._by_status.copy().items())),
            workers_replaced=self._replaced,
        )
