"""`answer_diversity` and `answer_type_diversity`: how rare the values are that a task is about.

Flat: 1 - the share of this value among all seen. Hierarchical: the mean of the type's rarity among types and the
value's rarity among values of its type, so that the first tuple in a world of integers counts even if the world has
many integers. A task with several answers (induction) takes their mean.

The published counters grow with every task and are walked at every call. Here counting is O(1), and the memory is
bounded: when it is full all counts are halved and what falls to 0 is forgotten, so that rarity is rarity of late.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from statistics import fmean

import msgspec

from azr.game.rewards.term import Answer, RatedProposal

#: Distinct values remembered: more than the tasks of a hundred steps.
CAPACITY = 65_536


class _Memory(msgspec.Struct):
    """Counts of values by type."""

    types: dict[str, dict[int, int]] = {}


def digest(key: str) -> int:
    """What is remembered of a value: eight bytes, however long the model made it."""
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class Counts:
    """How often each value of each type was seen, in bounded memory."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.types: dict[str, dict[int, int]] = {}
        self.totals: dict[str, int] = {}
        self.total = 0
        self.distinct = 0

    def add(self, answer: Answer) -> None:
        """Count one value."""
        values, key = self.types.setdefault(answer.type_name, {}), digest(answer.key)
        self.distinct += key not in values
        values[key] = values.get(key, 0) + 1
        self.totals[answer.type_name] = self.totals.get(answer.type_name, 0) + 1
        self.total += 1
        if self.distinct > self.capacity:
            self.load({name: _halved(known) for name, known in self.types.items()})

    def load(self, types: dict[str, dict[int, int]]) -> None:
        """Take these counts for all there is."""
        self.types = {name: values for name, values in types.items() if values}
        self.totals = {name: sum(values.values()) for name, values in self.types.items()}
        self.total = sum(self.totals.values())
        self.distinct = sum(map(len, self.types.values()))

    def value_rarity(self, answer: Answer) -> float:
        """1 - share of the value among all values; 1 before anything was seen."""
        return _rarity(self.types.get(answer.type_name, {}).get(digest(answer.key), 0), self.total)

    def type_rarity(self, answer: Answer) -> float:
        """1 - share of the type among all values."""
        return _rarity(self.totals.get(answer.type_name, 0), self.total)

    def value_rarity_in_type(self, answer: Answer) -> float:
        """1 - share of the value among values of its type."""
        values = self.types.get(answer.type_name, {})
        return _rarity(values.get(digest(answer.key), 0), self.totals.get(answer.type_name, 0))


def _halved(values: dict[int, int]) -> dict[int, int]:
    return {key: count // 2 for key, count in values.items() if count > 1}


def _rarity(count: int, total: int) -> float:
    return 1.0 - count / total if total else 1.0


class AnswerDiversity:
    """Rarity of a task's answers among those of earlier batches; the batch's own are counted after it is judged."""

    def __init__(self, hierarchical: bool = False, capacity: int = CAPACITY) -> None:
        self.hierarchical = hierarchical
        self.counts = Counts(capacity)

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """One value a proposal; 0 for a task that is about no value."""
        judged = [fmean(map(self._rarity, proposal.answers)) if proposal.answers else 0.0 for proposal in batch]
        for proposal in batch:
            for answer in proposal.answers:
                self.counts.add(answer)
        return judged

    def _rarity(self, answer: Answer) -> float:
        if not self.hierarchical:
            return self.counts.value_rarity(answer)
        return 0.5 * (self.counts.type_rarity(answer) + self.counts.value_rarity_in_type(answer))

    def to_bytes(self) -> bytes:
        """The counts, for a checkpoint."""
        return msgspec.msgpack.encode(_Memory(self.counts.types))

    def restore(self, content: bytes) -> None:
        """Take up the counts of a checkpoint."""
        self.counts.load(msgspec.msgpack.decode(content, type=_Memory).types)


class AnswerTypeDiversity(AnswerDiversity):
    """The hierarchical form."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(hierarchical=True, capacity=capacity)
