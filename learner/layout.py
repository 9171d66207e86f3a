"""Where the tokens of a micro-batch lie in its packed row, and what each of them sees.

Owns the segments of a row: a trunk is a prompt, its branches are responses to it, and a prompt that several responses
share is computed once. A response sees its prompt because attention is handed the prompt's keys again (a gather of
keys and values, which are small beside all else that a token costs). Called by `learner.samples`.

    trunk of 4, branches of 3 and 2        segments    queries    keys
    row        p p p p a a a b b           trunk       0 … 3      0 1 2 3
    position   0 1 2 3 4 5 6 4 5           branch a    4 … 6      0 1 2 3 4 5 6
                                           branch b    7 8        0 1 2 3 7 8

Causality counts from a segment's end: its last query sees all its keys, the one before all but the last, as
variable-length attention has it where there are more keys than queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Bucket for the longest lengths; kernels compile for each distinct value they see.
LENGTH_BUCKET = 128


@dataclass(frozen=True)
class Tree:
    """A prompt and what continues it, by lengths. One without branches is a plain sequence."""

    trunk: int
    branches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The segments of a row, in the form that variable-length attention wants."""

    cumulative_queries: npt.NDArray[np.int32]
    """0 and the running sums of the segments' lengths: `cu_seqlens_q`."""
    cumulative_keys: npt.NDArray[np.int32]
    """The same of what they see: `cu_seqlens_k`."""
    key_places: npt.NDArray[np.int64] | None
    """The places in the row of all segments' keys, one after the other; None where each sees itself alone."""
    positions: npt.NDArray[np.int64]
    """Position of each token in its own sequence."""
    longest_queries: int
    """At least the longest segment; rounded up, so that compiled kernels see few different values."""
    longest_keys: int
    """The same of what they see."""


def layout(trees: Sequence[Tree]) -> Layout:
    """The layout of trees packed one after the other. Branches of no tokens have no segment."""
    lengths: list[int] = []
    keys: list[npt.NDArray[np.int64]] = []
    positions: list[npt.NDArray[np.int64]] = []
    place = 0
    for tree in trees:
        trunk = np.arange(place, place + tree.trunk)
        lengths.append(tree.trunk)
        keys.append(trunk)
        positions.append(trunk - place)
        start = place + tree.trunk
        for branch in tree.branches:
            if branch:
                lengths.append(branch)
                keys.append(np.concatenate([trunk, np.arange(start, start + branch)]))
                positions.append(np.arange(tree.trunk, tree.trunk + branch))
                start += branch
        place = start
    seen = [len(own) for own in keys]
    return Layout(
        cumulative_queries=_cumulative(lengths),
        cumulative_keys=_cumulative(seen),
        key_places=np.concatenate(keys) if seen != lengths else None,
        positions=np.concatenate(positions) if positions else np.zeros(0, np.int64),
        longest_queries=_rounded(lengths),
        longest_keys=_rounded(seen),
    )


def _cumulative(lengths: Sequence[int]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _rounded(lengths: Sequence[int]) -> int:
    return -(-max(lengths, default=1) // LENGTH_BUCKET) * LENGTH_BUCKET
