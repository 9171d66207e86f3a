"""Means and variances by segment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azr.advantages.moments import Moments, blended, group_mean, moments, others_mean, without_variance


def test_mean_and_bessel_variance_by_hand() -> None:
    # Segment 0: 1, 2, 6: mean 3, squares 4 + 1 + 9 = 14, over 2. Segment 1: 5 alone. Segment 2: empty.
    result = moments(np.array([1.0, 5.0, 2.0, 6.0]), np.ones(4), np.array([0, 1, 0, 0]), 3)
    assert result.sequences.tolist() == [3, 1, 0]
    assert result.mean.tolist() == [3.0, 5.0, 0.0]
    assert result.variance.tolist() == [7.0, 0.0, 0.0]


def test_a_weight_is_a_number_of_equal_observations() -> None:
    # 1 with 3 tokens and -1 with 1: as 1, 1, 1, -1; mean ½, squares 3/4 + 9/4 = 3, over 3.
    result = moments(np.array([1.0, -1.0]), np.array([3.0, 1.0]), np.array([0, 0]), 1)
    assert (result.mean[0], result.variance[0]) == (0.5, 1.0)


@given(st.lists(st.tuples(st.floats(-2, 2), st.integers(1, 9)), min_size=2, max_size=8))
def test_weighting_equals_repeating(rows: list[tuple[float, int]]) -> None:
    values = np.array([value for value, _ in rows])
    weights = np.array([float(weight) for _, weight in rows])
    result = moments(values, weights, np.zeros(len(rows), dtype=np.int64), 1)
    repeated = np.repeat(values, [weight for _, weight in rows])
    assert result.mean[0] == pytest.approx(repeated.mean(), abs=1e-12)
    assert result.variance[0] == pytest.approx(repeated.var(ddof=1), abs=1e-12)


def test_a_weight_below_one_does_not_divide_by_a_negative_number() -> None:
    result = moments(np.array([1.0, 3.0]), np.array([0.25, 0.25]), np.array([0, 0]), 1)
    assert result.variance[0] >= 0.0


def blend(batch: tuple[int, float, float], running: tuple[float, float], weight: float) -> tuple[float, float]:
    sequences, mean, variance = batch
    result = blended(
        Moments(np.array([sequences]), np.array([mean]), np.array([variance])),
        np.array([running[0]]),
        np.array([running[1]]),
        np.array([weight]),
    )
    return float(result.mean[0]), float(result.variance[0])


def test_blending_by_hand() -> None:
    # n = 8, w = 32: mean (8·1 + 32·0)/40 = 0.2; variance (8·0.5 + 32·1)/40 + (8/40)(32/40)(1-0)² = 0.9 + 0.16.
    assert blend((8, 1.0, 0.5), (0.0, 1.0), 32.0) == pytest.approx((0.2, 1.06))


def test_without_running_statistics_the_batch_stands_and_without_a_batch_the_running_ones_do() -> None:
    assert blend((8, 1.0, 0.5), (0.0, 0.0), 0.0) == (1.0, 0.5)
    assert blend((0, 0.0, 0.0), (0.7, 0.3), 32.0) == (0.7, 0.3)
    assert blend((0, 0.0, 0.0), (0.7, 0.3), 0.0) == (0.7, 0.3)


def test_blending_is_the_mixture_of_the_two_populations() -> None:
    # Populations of 3 and 2 with variances about their own means: the mixture's variance follows by definition.
    batch, running = np.array([1.0, 2.0, 6.0]), np.array([-1.0, 4.0])
    both = np.concatenate([batch, running])
    got = blend((3, batch.mean(), batch.var()), (running.mean(), running.var()), 2.0)
    assert got == pytest.approx((both.mean(), both.var()))


def test_a_group_has_no_variance_only_if_all_its_rewards_are_exactly_equal() -> None:
    rewards = np.array([0.1, 0.1, 0.1, 1.0, 1.0 + 1e-15, 7.0])
    assert without_variance(rewards, np.array([0, 0, 0, 1, 1, 2])).tolist() == [True, True, True, False, False, True]
    assert without_variance(np.array([]), np.array([], dtype=np.int64)).tolist() == []


def test_group_means_by_hand() -> None:
    rewards, group = np.array([1.0, 4.0, 3.0, 8.0]), np.array([0, 1, 0, 1])
    assert group_mean(rewards, group).tolist() == [2.0, 6.0, 2.0, 6.0]


def test_the_mean_of_the_others_by_hand() -> None:
    # Group 0: 1, 2, 6: others' means 4, 3.5, 1.5. Group 1 has one member, which has only itself.
    rewards, group = np.array([1.0, 2.0, 9.0, 6.0]), np.array([0, 0, 1, 0])
    assert others_mean(rewards, group).tolist() == [4.0, 3.5, 9.0, 1.5]
    # Of two, each has the other.
    assert others_mean(np.array([1.0, 2.0]), np.array([0, 0])).tolist() == [2.0, 1.0]
