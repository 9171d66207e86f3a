"""A sum-tree over numpy: prioritised draws and updates in O(log n), whole batches at a time.

Owned by `azr.buffers.task_buffer`, one tree for what is trained on and one for what is shown as a reference.

    sums[1] ─┬─ sums[2] ─┬─ sums[4] …            a draw walks down: left if the target lies in the left sum, else right,
             │           └─ sums[5] …            less the left sum; all targets of a batch take one level at a time
             └─ sums[3] ─┬─ sums[6] …
                         └─ sums[7] … leaves: sums[size + i] is the weight of item i

Each inner node is the float64 sum of its two children, recomputed from them on every update and never adjusted by a
difference. So no error builds up: after any number of updates the tree is, bit for bit, the one that a fresh build from
its leaves gives, and no periodic rebuild is needed. An item of weight zero is never drawn, whatever rounding does: the
walk enters a child only if its sum is positive.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64]


class SumTree:
    """Weights of `capacity` items, drawn from in proportion."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a sum-tree holds at least one item, not {capacity}")
        self.capacity = capacity
        self._depth = (capacity - 1).bit_length()
        self._size = 1 << self._depth
        self._sums: Weights = np.zeros(2 * self._size, np.float64)

    @property
    def total(self) -> float:
        """The sum of all weights."""
        return float(self._sums[1])

    @property
    def weights(self) -> Weights:
        """The weights of all items: a view, to be read only."""
        leaves = self._sums[self._size : self._size + self.capacity]
        leaves.flags.writeable = False
        return leaves

    @property
    def nbytes(self) -> int:
        """Memory of the tree: 16 bytes an item, capacity rounded up to a power of two."""
        return self._sums.nbytes

    def assign(self, weights: npt.ArrayLike) -> None:
        """Replace the weights of all items in one pass over those given; items beyond them weigh nothing."""
        values = np.asarray(weights, np.float64)
        if values.ndim != 1 or len(values) > self.capacity:
            raise ValueError(f"at most {self.capacity} weights are wanted, not an array of shape {values.shape}")
        _check_weights(values)
        count = len(values)
        self._sums[:] = 0.0
        self._sums[self._size : self._size + count] = values
        for depth in range(self._depth - 1, -1, -1):
            count = (count + 1) // 2
            children = self._sums[2 << depth : (2 << depth) + 2 * count]
            self._sums[1 << depth : (1 << depth) + count] = children[0::2] + children[1::2]

    def update(self, items: npt.ArrayLike, weights: npt.ArrayLike) -> None:
        """Set the weights of some items; of an item named twice the last weight counts."""
        leaves = self._leaves(items)
        if not len(leaves):
            return
        values = np.asarray(weights, np.float64)
        _check_weights(values)
        self._sums[leaves] = values
        nodes = np.unique(leaves)
        for _ in range(self._depth):
            nodes = nodes >> 1
            nodes = nodes[np.append(True, nodes[1:] != nodes[:-1])] if len(nodes) > 1 else nodes
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def draw(self, count: int, generator: np.random.Generator) -> Indices:
        """`count` items, independently, each with probability weight / total."""
        if not self.total > 0.0:
            raise ValueError("nothing can be drawn: every weight is zero")
        targets = generator.random(count) * self.total
        nodes = np.ones(count, np.int64)
        for _ in range(self._depth):
            nodes <<= 1
            left = self._sums[nodes]
            right = (targets >= left) & (self._sums[nodes + 1] > 0.0)
            targets -= np.where(right, left, 0.0)
            nodes += right
        return nodes - self._size

    def draw_distinct(self, count: int, generator: np.random.Generator) -> Indices:
        """Up to `count` different items in the order drawn: one after the other, none put back.

        Exactly that law: independent draws of which repetitions are passed over, in rounds; what a round drew weighs
        nothing in the next. Fewer come back only when fewer have weight.
        """
        drawn: list[Indices] = []
        kept: list[Weights] = []
        missing = count
        while missing > 0 and self.total > 0.0:
            _, first = np.unique(items := self.draw(missing, generator), return_index=True)
            items = items[np.sort(first)]
            drawn.append(items)
            kept.append(self._sums[self._size + items])
            self.update(items, np.zeros(len(items)))
            missing -= len(items)
        if not drawn:
            return np.empty(0, np.int64)
        result = np.concatenate(drawn)
        self.update(result, np.concatenate(kept))
        return result

    def _leaves(self, items: npt.ArrayLike) -> Indices:
        indices = np.atleast_1d(np.asarray(items, np.int64))
        if len(indices) and (indices.min() < 0 or indices.max() >= self.capacity):
            raise IndexError(f"items are numbered 0 to {self.capacity - 1}")
        return indices + self._size


def _check_weights(weights: Weights) -> None:
    if not np.all((weights >= 0.0) & (weights < np.inf)):
        raise ValueError("a weight is negative or not finite")
