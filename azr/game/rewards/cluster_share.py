"""`cluster_share`: the share of the batch that says the same; with a negative coefficient R-Zero's penalty.

Proposals whose programs share most of their n-grams form a cluster (average link, merged while the distance is at most
½); a proposal's value is the size of its cluster over the size of the batch, less what it would be alone. Similarity is
Dice's over sets of token trigrams of the normalised syntax tree, so that renaming and comments do not hide a copy.

    programs ──trigrams──► incidence (B × V) ──X·Xᵀ──► distances (B × B) ──average link──► clusters ──► size / B
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from azr.game.rewards.term import MAX_TOKENS, RatedProposal, facts_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Tokens to a gram: two are shared by all programs, four by none but copies.
GRAM = 3


def distances(programs: Sequence[Sequence[str]], gram: int = GRAM) -> Floats:
    """1 - Dice similarity of the sets of n-grams, for each pair. A program shorter than a gram is one gram."""
    index: dict[tuple[str, ...], int] = {}
    rows = [[index.setdefault(one, len(index)) for one in _grams(program, gram)] for program in programs]
    incidence = np.zeros((len(programs), len(index)), dtype=np.float32)
    for row, grams in enumerate(rows):
        incidence[row, grams] = 1.0
    sizes = incidence.sum(axis=1)
    shared = (incidence @ incidence.T).astype(np.float64)
    apart: Floats = 1.0 - 2.0 * shared / (sizes[:, None] + sizes[None, :])
    return apart


def _grams(program: Sequence[str], gram: int) -> set[tuple[str, ...]]:
    return {tuple(program[start : start + gram]) for start in range(max(1, len(program) - gram + 1))}


def average_link(distance: Floats, threshold: float) -> Integers:
    """Cluster number of each item: the closest two clusters merge while their mean distance is at most `threshold`."""
    count = len(distance)
    between = distance.copy()
    np.fill_diagonal(between, np.inf)
    sizes = np.ones(count)
    label = np.arange(count)
    for _ in range(count - 1):
        first, second = divmod(int(between.argmin()), count)
        if between[first, second] > threshold:
            break
        merged = (sizes[first] * between[first] + sizes[second] * between[second]) / (sizes[first] + sizes[second])
        between[first, :], between[:, first] = merged, merged
        between[second, :], between[:, second] = np.inf, np.inf
        between[first, first] = np.inf
        sizes[first] += sizes[second]
        label[label == second] = first
    return label


class ClusterShare:
    """(size of the proposal's cluster - 1) / size of the batch."""

    judges_program = True

    def __init__(self, distance: float = 0.5) -> None:
        """0.5 is R-Zero's threshold."""
        if isinstance(distance, bool) or not isinstance(distance, int | float) or not 0.0 <= distance <= 1.0:
            raise ValueError(f"distance must be a number between 0 and 1, not {distance!r}")
        self.distance = distance

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """One value a proposal."""
        if not batch:
            return []
        programs = [facts_of(proposal, "cluster_share").tokens[:MAX_TOKENS] for proposal in batch]
        label = average_link(distances(programs), self.distance)
        size = np.bincount(label)[label]
        return [float(value) for value in (size - 1) / len(batch)]
