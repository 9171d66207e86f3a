"""The sum-tree: draws in proportion, exact sums for ever, nothing of zero weight."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from azr.buffers.sum_tree import SumTree


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tree_of(*weights: float) -> SumTree:
    tree = SumTree(len(weights))
    tree.assign(weights)
    return tree


class FixedTargets:
    """Stands where a generator stands and returns the fractions it was given."""

    def __init__(self, *fractions: float) -> None:
        self.fractions = fractions

    def random(self, count: int) -> np.ndarray:
        assert count == len(self.fractions)
        return np.array(self.fractions)


def draw_at(tree: SumTree, *fractions: float) -> list[int]:
    drawn: list[int] = tree.draw(len(fractions), cast(np.random.Generator, FixedTargets(*fractions))).tolist()
    return drawn


def test_a_target_lands_on_the_item_whose_interval_holds_it() -> None:
    # Weights 1, 2, 3, 4 cut [0, 10) at 1, 3 and 6. A target on a cut belongs to the item right of it.
    tree = tree_of(1.0, 2.0, 3.0, 4.0)
    assert tree.total == 10.0
    assert draw_at(tree, 0.0, 0.0999, 0.1, 0.2999, 0.3, 0.5999, 0.6, 0.9999) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_drawn_frequencies_match_the_weights() -> None:
    weights = seeded(1).random(300) ** 3
    weights[::7] = 0.0
    tree = tree_of(*weights)
    counts = np.bincount(tree.draw(400_000, seeded(2)), minlength=300)
    assert counts[weights == 0.0].sum() == 0
    alive = weights > 0.0
    expected = weights[alive] / weights.sum() * 400_000
    enough = expected >= 5.0
    pooled_counts = np.append(counts[alive][enough], counts[alive][~enough].sum())
    pooled_expected = np.append(expected[enough], expected[~enough].sum())
    assert stats.chisquare(pooled_counts, pooled_expected).pvalue > 0.001


def test_frequencies_match_after_updates_too() -> None:
    tree = tree_of(*seeded(3).random(1000))
    final = seeded(4).random(1000)
    for block in np.array_split(seeded(5).permutation(1000), 13):
        tree.update(block, final[block])
    counts = np.bincount(tree.draw(300_000, seeded(6)), minlength=1000)
    assert stats.chisquare(counts, final / final.sum() * 300_000).pvalue > 0.001


@pytest.mark.parametrize("capacity", [1, 2, 3, 5, 8, 1000])
def test_any_capacity_holds_exactly_that_many_items(capacity: int) -> None:
    tree = SumTree(capacity)
    tree.assign(np.ones(capacity))
    assert tree.total == capacity
    assert set(tree.draw(50 * capacity, seeded()).tolist()) == set(range(capacity))
    with pytest.raises(IndexError, match=f"0 to {capacity - 1}"):
        tree.update([capacity], [1.0])
    with pytest.raises(IndexError):
        tree.update([-1], [1.0])


@pytest.mark.parametrize("capacity", [1, 2, 5, 8, 1000])
def test_items_beyond_the_weights_given_weigh_nothing(capacity: int) -> None:
    for count in {0, 1, 2, 3, capacity // 2, capacity - 1, capacity} & set(range(capacity + 1)):
        weights = seeded(count).random(count)
        tree, whole = SumTree(capacity), SumTree(capacity)
        tree.assign(np.ones(capacity))
        tree.assign(weights)
        whole.assign(np.append(weights, np.zeros(capacity - count)))
        assert tree._sums.tolist() == whole._sums.tolist(), "bit for bit, in the inner nodes too"


def test_of_an_item_updated_twice_in_a_batch_the_last_weight_counts() -> None:
    tree = tree_of(1.0, 1.0, 1.0)
    tree.update([1, 1, 0, 1], [5.0, 6.0, 2.0, 7.0])
    assert tree.weights.tolist() == [2.0, 7.0, 1.0]
    assert tree.total == 10.0


def test_an_empty_update_changes_nothing() -> None:
    tree = tree_of(1.0, 2.0)
    tree.update([], [])
    assert tree.total == 3.0


def test_one_item_can_be_updated_without_a_batch() -> None:
    tree = tree_of(1.0, 2.0)
    tree.update(0, 4.0)
    assert tree.total == 6.0


def test_sums_never_drift_from_a_fresh_build() -> None:
    # Weights over 24 orders of magnitude come and go: a tree adjusted by differences would be left with rubbish.
    generator = seeded(7)
    tree = SumTree(257)
    for _ in range(3000):
        items = generator.integers(0, 257, 16)
        tree.update(items, 10.0 ** generator.uniform(-12, 12, 16) * (generator.random(16) < 0.7))
    fresh = tree_of(*tree.weights)
    assert tree._sums.tobytes() == fresh._sums.tobytes()
    tree.update(np.arange(257), np.zeros(257))
    assert tree.total == 0.0


@given(
    st.lists(st.sampled_from([0.0, 1e-300, 1e-12, 0.1, 1.0, 3.0, 1e12]), min_size=1, max_size=40),
    st.lists(st.floats(0.0, 1.0, exclude_max=False), min_size=1, max_size=20),
)
@example(weights=[1.0, 0.0], fractions=[1.0])
@settings(max_examples=300, deadline=None)
def test_zero_weight_is_never_drawn_whatever_rounding_does(weights: list[float], fractions: list[float]) -> None:
    tree = tree_of(*weights)
    if tree.total == 0.0:
        with pytest.raises(ValueError, match="every weight is zero"):
            draw_at(tree, *fractions)
        return
    assert all(weights[item] > 0.0 for item in draw_at(tree, *fractions))


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weights_that_are_no_weights_are_refused_and_leave_the_tree_as_it_was(bad: float) -> None:
    tree = tree_of(1.0, 2.0)
    with pytest.raises(ValueError, match="negative or not finite"):
        tree.update([0, 1], [1.0, bad])
    with pytest.raises(ValueError, match="negative or not finite"):
        tree.assign([1.0, bad])
    assert tree.weights.tolist() == [1.0, 2.0]


def test_misshapen_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one item"):
        SumTree(0)
    with pytest.raises(ValueError, match="at most 2 weights are wanted"):
        SumTree(2).assign([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"not an array of shape \(1, 2\)"):
        SumTree(2).assign([[1.0, 2.0]])


def test_weights_are_seen_but_not_written_through_the_view() -> None:
    tree = tree_of(1.0, 2.0)
    with pytest.raises(ValueError, match="read-only"):
        tree.weights[0] = 5.0
    tree.update([0], [3.0])
    assert tree.weights[0] == 3.0


def test_distinct_draws_come_without_repetition_and_leave_the_weights_alone() -> None:
    tree = tree_of(*seeded(8).random(50))
    before = tree._sums.copy()
    for seed in range(50):
        items = tree.draw_distinct(30, seeded(seed))
        assert len(set(items.tolist())) == 30
    assert np.array_equal(tree._sums, before)


def test_distinct_draws_return_all_there_is_when_more_is_asked_for() -> None:
    tree = tree_of(0.0, 1.0, 1e-9, 0.0, 2.0)
    assert sorted(tree.draw_distinct(10, seeded()).tolist()) == [1, 2, 4]
    assert SumTree(3).draw_distinct(2, seeded()).tolist() == []
    assert tree.draw_distinct(0, seeded()).tolist() == []


def test_distinct_draws_follow_the_law_of_drawing_without_putting_back() -> None:
    # Weights 1, 2, 3, all drawn. P(first a, then b) = a/6 * b/(6-a), as 2/6 * 1/4 = 1/12 for item 1 and then item 0.
    tree = tree_of(1.0, 2.0, 3.0)
    law = {(0, 1): 1 / 15, (0, 2): 1 / 10, (1, 0): 1 / 12, (1, 2): 1 / 4, (2, 0): 1 / 6, (2, 1): 1 / 3}
    generator = seeded(9)
    counts = dict.fromkeys(law, 0)
    for _ in range(6000):
        first, second, _ = tree.draw_distinct(3, generator).tolist()
        counts[first, second] += 1
    assert stats.chisquare(list(counts.values()), [6000 * share for share in law.values()]).pvalue > 0.001


def test_the_same_seed_draws_the_same() -> None:
    tree = tree_of(*seeded(10).random(100))
    assert tree.draw(100, seeded(11)).tolist() == tree.draw(100, seeded(11)).tolist()


def test_memory_is_linear_in_the_capacity() -> None:
    assert SumTree(1 << 10).nbytes == 16 * (1 << 10)
    assert SumTree(1 << 16).nbytes == 16 * (1 << 16)
