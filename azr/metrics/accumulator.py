"""Collects values of metrics in every process and makes one number of each, whatever the sharding.

    actor 0: Accumulator.add ─┐
    actor 1: Accumulator.add ─┼─ to_bytes ─► merged({shard: accumulator}) ─► report() ─► tracking, table, report page
    learner: Accumulator.add ─┘

The report of the merged accumulator does not depend on which shard saw a value (sums are exact) nor on the order in
which shards arrive (they are merged by name). A value that is not finite makes the metric nan: a broken number is
shown, not averaged away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import msgspec

from azr.metrics.catalogue import find
from azr.metrics.definition import Reduction
from azr.metrics.exact import added, joined, rounded

#: Buckets of a histogram to each factor of two: quantiles are right to 5 %.
BUCKETS_PER_OCTAVE = 8
#: Makes the bucket number of the smallest float positive, so that the sign is free to carry the value's own.
_OFFSET = 1075 * BUCKETS_PER_OCTAVE


class Tally(msgspec.Struct):
    """What is kept of one metric's values."""

    weight: list[float] = []
    total: list[float] = []
    """Σ weight and Σ weight · value, exactly."""
    highest: float = -math.inf
    last: tuple[int, float] = (-1, 0.0)
    """When and what was reported latest."""
    buckets: dict[int, float] = {}
    broken: bool = False
    """A value was not finite."""

    def add(self, value: float, weight: float, at: int, reduction: Reduction) -> None:
        """Take one value in."""
        if not math.isfinite(value * weight):
            self.broken = True
            return
        self.weight = added(self.weight, weight)
        self.total = added(self.total, weight * value)
        self.highest = max(self.highest, value)
        if at >= self.last[0]:
            self.last = (at, value)
        if reduction == "histogram":
            number = bucket(value)
            self.buckets[number] = self.buckets.get(number, 0.0) + weight

    def take_in(self, other: Tally) -> None:
        """Take another shard's values in."""
        self.weight = joined(self.weight, other.weight)
        self.total = joined(self.total, other.total)
        self.highest = max(self.highest, other.highest)
        self.last = other.last if other.last[0] >= self.last[0] else self.last
        self.broken = self.broken or other.broken
        for number, weight in other.buckets.items():
            self.buckets[number] = self.buckets.get(number, 0.0) + weight

    def mean(self) -> float:
        """The weighted mean; nan of nothing."""
        weight = rounded(self.weight)
        return rounded(self.total) / weight if weight else math.nan

    def quantile(self, share: float) -> float:
        """The value below which that share of the weight lies, to the width of a bucket and never above the highest."""
        wanted = share * math.fsum(self.buckets.values())
        seen, number = 0.0, 0
        for number in sorted(self.buckets):
            seen += self.buckets[number]
            if seen >= wanted:
                break
        return min(bucket_value(number), self.highest)

    def numbers(self, reduction: Reduction) -> Iterator[tuple[str, float]]:
        """What is reported, as suffixes of the name and values."""
        if reduction == "histogram":
            yield ".mean", self._sound(self.mean())
            yield ".p50", self._sound(self.quantile(0.5))
            yield ".p95", self._sound(self.quantile(0.95))
            yield ".max", self._sound(self.highest)
        elif reduction == "mean":
            yield "", self._sound(self.mean())
        elif reduction == "sum":
            yield "", self._sound(rounded(self.total))
        elif reduction == "max":
            yield "", self._sound(self.highest)
        else:
            yield "", self._sound(self.last[1])

    def _sound(self, value: float) -> float:
        return math.nan if self.broken else value


class Accumulator:
    """Values of metrics since the last report, in one process."""

    def __init__(self, tallies: dict[str, Tally] | None = None) -> None:
        self.tallies = {} if tallies is None else tallies

    def add(self, name: str, value: float, *, label: str = "", weight: float = 1.0, at: int = 0) -> None:
        """Report a value; `label` says which cell (or whatever the metric is told apart by), `at` orders `last` values.

        A weight of 0 reports nothing: the mean of no tokens is not a number worth showing.
        """
        metric = find(name)
        if bool(label) != bool(metric.by):
            raise ValueError(f"{name} is told apart by {metric.by or 'nothing'}, not by the label {label!r}")
        if weight:
            full = f"{name}/{label}" if label else name
            self.tallies.setdefault(full, Tally()).add(value, weight, at, metric.reduction)

    def report(self) -> dict[str, float]:
        """One number a metric (four a histogram), by full name, sorted."""
        return {
            name + suffix: value
            for name, tally in sorted(self.tallies.items())
            for suffix, value in tally.numbers(find(name).reduction)
        }

    def drain(self) -> Accumulator:
        """Everything so far, leaving this one empty."""
        tallies, self.tallies = self.tallies, {}
        return Accumulator(tallies)

    def to_bytes(self) -> bytes:
        """The form in which a shard sends it."""
        return msgspec.msgpack.encode(self.tallies)

    @classmethod
    def from_bytes(cls, content: bytes) -> Accumulator:
        """Back from a shard."""
        return cls(msgspec.msgpack.decode(content, type=dict[str, Tally]))


def merged(shards: Mapping[str, Accumulator]) -> Accumulator:
    """All shards' values together; shards are taken in the order of their names."""
    whole: dict[str, Tally] = {}
    for _, shard in sorted(shards.items()):
        for name, tally in shard.tallies.items():
            whole.setdefault(name, Tally()).take_in(tally)
    return Accumulator(whole)


def bucket(value: float) -> int:
    """Number of the value's bucket: 0 for 0, growing with the value, negative for negative ones."""
    if value == 0.0:
        return 0
    number = math.floor(math.log2(abs(value)) * BUCKETS_PER_OCTAVE) + _OFFSET
    return number if value > 0.0 else -number


def bucket_value(number: int) -> float:
    """The middle of a bucket."""
    if number == 0:
        return 0.0
    middle: float = 2.0 ** ((abs(number) - _OFFSET + 0.5) / BUCKETS_PER_OCTAVE)
    return middle if number > 0 else -middle
