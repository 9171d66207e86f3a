"""Cuts a batch of responses of many lengths into micro-batches under a token budget, balanced over ranks.

Owns the assignment of sequences (or of units of several, `learner.prompt_groups`) to ranks and micro-batches. Called by
the trainer on each mini-batch; how a micro-batch is laid out is `learner.layout`'s.

    lengths  9 2 7 3 5 4 …            rank 0: [9 2] [5 3]
             longest first       ──►  rank 1: [7 4] [ … ]
             into the lightest bin

Every rank gets the same number of micro-batches, because each one is a collective under FSDP: a rank that stopped
early would leave the others waiting. Sequences are never split.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Packing:
    """`bins[rank][k]` lists the indices of the sequences in the rank's k-th micro-batch; it may be empty."""

    bins: tuple[tuple[tuple[int, ...], ...], ...]


def pack(lengths: Sequence[int], budget: int, ranks: int) -> Packing:
    """Assign sequences to `ranks` x K micro-batches of at most `budget` tokens each, with K as small as it will go.

    Tokens are balanced: longest first into the lightest bin with room; when one does not fit, K grows by one and the
    assignment begins anew. The result depends on the lengths and their order alone.
    """
    if ranks < 1 or budget < 1:
        raise ValueError(f"need at least one rank and one token of budget, got ranks={ranks}, budget={budget}")
    if (longest := max(lengths, default=0)) > budget:
        raise ValueError(
            f"a sequence of {longest} tokens is longer than a micro-batch of {budget}: raise "
            "learner.tokens_per_micro_batch, or lower lengths.response"
        )
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    per_rank = max(1, -(-sum(lengths) // (budget * ranks)))
    while True:
        bins = _fill(order, lengths, budget, ranks * per_rank)
        if bins is not None:
            return _spread(bins, lengths, ranks)
        per_rank += 1


def _fill(order: list[int], lengths: Sequence[int], budget: int, count: int) -> list[list[int]] | None:
    """Longest-first assignment into `count` bins, or None if some sequence finds no room."""
    bins: list[list[int]] = [[] for _ in range(count)]
    lightest = [(0, index) for index in range(count)]
    for sequence in order:
        tokens, chosen = heapq.heappop(lightest)
        if tokens + lengths[sequence] > budget:
            return None
        bins[chosen].append(sequence)
        heapq.heappush(lightest, (tokens + lengths[sequence], chosen))
    return bins


def _spread(bins: list[list[int]], lengths: Sequence[int], ranks: int) -> Packing:
    """Deal bins to ranks in rows of equal weight, so that ranks compute alike between two collectives."""
    loads = [sum(lengths[index] for index in members) for members in bins]
    heaviest_first = sorted(range(len(bins)), key=lambda index: (-loads[index], index))
    rows = [heaviest_first[start : start + ranks] for start in range(0, len(bins), ranks)]
    return Packing(tuple(tuple(tuple(sorted(bins[row[rank]])) for row in rows) for rank in range(ranks)))
