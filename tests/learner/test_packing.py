"""Packing: every sequence once, never over budget, balanced, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.packing import pack


@given(lengths=st.lists(st.integers(1, 60), max_size=60), budget=st.integers(60, 200), ranks=st.integers(1, 5))
def test_every_sequence_is_packed_once_within_the_budget(lengths: list[int], budget: int, ranks: int) -> None:
    packing = pack(lengths, budget, ranks)
    members = [index for rank in packing.bins for micro_batch in rank for index in micro_batch]
    assert sorted(members) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in micro_batch) <= budget for rank in packing.bins for micro_batch in rank)


@given(lengths=st.lists(st.integers(1, 60), max_size=60), ranks=st.integers(1, 5))
def test_ranks_have_equally_many_micro_batches(lengths: list[int], ranks: int) -> None:
    packing = pack(lengths, 64, ranks)
    assert len(packing.bins) == ranks
    assert len({len(rank) for rank in packing.bins}) == 1


def test_the_same_lengths_give_the_same_packing() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 300).tolist()
    assert pack(lengths, 4096, 4) == pack(lengths, 4096, 4)


def test_ranks_carry_nearly_equal_work() -> None:
    lengths = np.random.default_rng(1).integers(10, 2000, 400).tolist()
    packing = pack(lengths, 8192, 4)
    work = [sum(lengths[i] for micro_batch in rank for i in micro_batch) for rank in packing.bins]
    assert max(work) / min(work) < 1.05


def test_few_micro_batches_are_wasted() -> None:
    lengths = np.random.default_rng(2).integers(10, 2000, 400).tolist()
    packing = pack(lengths, 8192, 2)
    fewest = -(-sum(lengths) // (8192 * 2))
    assert len(packing.bins[0]) <= fewest + 1


def test_fewer_sequences_than_ranks_leave_empty_micro_batches() -> None:
    assert pack([5], 8, 3).bins == (((0,),), ((),), ((),))
    assert pack([], 8, 2).bins == (((),), ((),))


def test_a_sequence_over_the_budget_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match="a sequence of 9 tokens is longer than a micro-batch of 8"):
        pack([3, 9], 8, 1)


def test_nonsense_budgets_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one rank"):
        pack([1], 8, 0)
