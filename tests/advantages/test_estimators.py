"""Each estimator against numbers worked out by hand."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azr.advantages import Advantages, Baselines, Samples
from azr.advantages.compute import estimate
from azr.advantages.estimators import ESTIMATORS
from azr.config.sections.algorithm import EstimatorConfig
from azr.config.sections.algorithm_rules import ESTIMATORS as KNOWN_TO_CONFIGURATION
from azr.config.sections.algorithm_rules import GROUP_ESTIMATORS
from tests.advantages.examples import PROPOSE, SOLVE, attempts, samples

#: Estimators whose baseline is the group's own mean: there a group without variance has no gradient.
LEAVE_OUT = ("leave_one_out", "rloo", "grpo", "dr_grpo")
#: Estimators that compare rewards with one another; the other looks at each by itself.
COMPARING = sorted(set(ESTIMATORS) - {"rejection_sampling"})


def by(name: str, given_samples: Samples, *, weighting: str = "sequence", epsilon: float = 1e-8) -> Advantages:
    """Estimated without running statistics."""
    config = EstimatorConfig(name=name, weighting=weighting, running_weight=0.0, epsilon=epsilon)
    return estimate(given_samples, config, Baselines())[0]


class TestTrrpp:
    def test_whitens_inside_each_cell(self) -> None:
        # Solve: 1, -0.5, -0.5: mean 0, squares 1.5 over 2. Propose: 0.5, -1: mean -0.25, squares 1.125 over 1.
        got = by(
            "trrpp",
            samples(
                (SOLVE, "a", 1.0, 1), (PROPOSE, "p", 0.5, 1), (SOLVE, "b", -0.5, 1), (PROPOSE, "q", -1.0, 1),
                (SOLVE, "c", -0.5, 1),
            ),
        )  # fmt: skip
        solve, propose = sqrt(0.75), sqrt(1.125)
        assert got.values == pytest.approx([1 / solve, 0.75 / propose, -0.5 / solve, -0.75 / propose, -0.5 / solve])
        assert got.trained.all()

    def test_token_weights_make_long_responses_count_more(self) -> None:
        # 1 over 3 tokens, -1 over 1: mean ½, variance (3·¼ + 9/4)/3 = 1.
        got = by("trrpp", samples((SOLVE, "a", 1.0, 3), (SOLVE, "b", -1.0, 1)), weighting="token")
        assert got.values == pytest.approx([0.5, -1.5])

    def test_epsilon_stands_under_the_root(self) -> None:
        # Variance 2 (values ±1), ε = 2: divided by √4.
        assert by("trrpp", attempts([1.0, -1.0]), epsilon=2.0).values == pytest.approx([0.5, -0.5])

    def test_a_cell_of_equal_rewards_gets_zero_and_is_trained_on(self) -> None:
        got = by("trrpp", attempts([1.0, 1.0, 1.0]))
        assert got.values == pytest.approx([0.0, 0.0, 0.0])
        assert got.trained.all()

    def test_a_single_sequence_gets_zero(self) -> None:
        assert by("trrpp", attempts([1.0])).values.tolist() == [0.0]


class TestLeaveOneOut:
    def test_by_hand(self) -> None:
        # Rewards 1, -0.5, -0.5 | 1, -1. All: mean 0, squares 1 + ¼ + ¼ + 1 + 1 = 3.5, over 4: deviation √0.875.
        # Against the others: 1-(-0.5) = 1.5, -0.5-0.25 = -0.75 twice; 1-(-1) = 2, -2.
        got = by("leave_one_out", attempts([1.0, -0.5, -0.5], [1.0, -1.0]))
        assert got.values == pytest.approx(np.array([1.5, -0.75, -0.75, 2.0, -2.0]) / sqrt(0.875))
        assert got.trained.all()

    def test_the_deviation_is_the_cells_groups_without_variance_included(self) -> None:
        # 1, 1 | 1, -1: mean ½, squares ¼·3 + 9/4 = 3, over 3: deviation 1.
        got = by("leave_one_out", attempts([1.0, 1.0], [1.0, -1.0]))
        assert got.values == pytest.approx([0.0, 0.0, 2.0, -2.0])
        assert got.trained.tolist() == [False, False, True, True]

    def test_each_cell_has_its_own_deviation(self) -> None:
        rows = [(SOLVE, "a", 2.0, 1), (SOLVE, "a", 0.0, 1), (PROPOSE, "p", 4.0, 1), (PROPOSE, "p", 0.0, 1)]
        # Deviations √2 and √8; against the other ±2 and ±4: the same in their units.
        assert by("leave_one_out", samples(*rows)).values == pytest.approx([sqrt(2), -sqrt(2), sqrt(2), -sqrt(2)])


class TestRloo:
    def test_by_hand(self) -> None:
        assert by("rloo", attempts([1.0, -0.5, -0.5], [1.0, -1.0])).values == pytest.approx([1.5, -0.75, -0.75, 2, -2])


class TestGrpo:
    def test_by_hand(self) -> None:
        # 1, -0.5, -0.5: mean 0, deviation √(1.5/2); 1, -1: mean 0, deviation √2. ε = ½ is added to the deviation.
        got = by("grpo", attempts([1.0, -0.5, -0.5], [1.0, -1.0]), epsilon=0.5)
        first, second = sqrt(0.75) + 0.5, sqrt(2) + 0.5
        assert got.values == pytest.approx([1 / first, -0.5 / first, -0.5 / first, 1 / second, -1 / second])

    def test_the_mean_is_the_groups(self) -> None:
        # 3, 1: mean 2, deviation √2.
        assert by("grpo", attempts([3.0, 1.0])).values == pytest.approx([1 / sqrt(2), -1 / sqrt(2)])


class TestDrGrpo:
    def test_by_hand(self) -> None:
        assert by("dr_grpo", attempts([3.0, 1.0], [0.0, 0.0, 3.0])).values == pytest.approx([1, -1, -1, -1, 2])


class TestReinforcePp:
    def test_whitens_over_everything_whatever_the_cell(self) -> None:
        # 1, -1 in one cell, 3, 1 in another: mean 1, squares 0 + 4 + 4 + 0 over 3.
        rows = [(SOLVE, "a", 1.0, 1), (SOLVE, "a", -1.0, 1), (PROPOSE, "p", 3.0, 1), (PROPOSE, "q", 1.0, 1)]
        scale = sqrt(8 / 3)
        assert by("reinforce_pp", samples(*rows)).values == pytest.approx([0, -2 / scale, 2 / scale, 0])

    def test_token_weights(self) -> None:
        got = by("reinforce_pp", samples((SOLVE, "a", 1.0, 3), (PROPOSE, "b", -1.0, 1)), weighting="token")
        assert got.values == pytest.approx([0.5, -1.5])

    def test_epsilon_stands_under_the_root(self) -> None:
        assert by("reinforce_pp", attempts([1.0, -1.0]), epsilon=2.0).values == pytest.approx([0.5, -0.5])


class TestReinforcePpBaseline:
    def test_by_hand(self) -> None:
        # Minus group means 2 and 1: 1, -1 | -1, -1, 2: mean 0, squares 8 over 4: deviation √2.
        got = by("reinforce_pp_baseline", attempts([3.0, 1.0], [0.0, 0.0, 3.0]))
        assert got.values == pytest.approx(np.array([1, -1, -1, -1, 2]) / sqrt(2))

    def test_a_group_without_variance_keeps_a_gradient_under_token_weights(self) -> None:
        # Centred: 0 (2 tokens) | 1 (1 token), -1 (1 token): mean 0, but with 3 tokens on the 1: mean (3-1)/6 = ⅓.
        rows = [(SOLVE, "a", 5.0, 2), (SOLVE, "b", 2.0, 3), (SOLVE, "b", 0.0, 1)]
        got = by("reinforce_pp_baseline", samples(*rows), weighting="token")
        # Squares 2·(1/9) + 3·(4/9) + 16/9 = 30/9, over 5.
        assert got.values == pytest.approx(np.array([-1 / 3, 2 / 3, -4 / 3]) / sqrt(2 / 3))
        assert got.trained.all()


class TestRejectionSampling:
    def test_what_earned_something_is_imitated_alike_and_the_rest_is_left_out(self) -> None:
        got = by("rejection_sampling", attempts([1.0, -0.5, -1.0], [1.0, 1.0], [-0.5, -0.5], [0.5, 0.0]))
        assert got.values.tolist() == [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
        assert got.trained.tolist() == [True, False, False, True, True, False, False, True, False]

    def test_whatever_the_cell_and_the_lengths(self) -> None:
        got = by("rejection_sampling", samples((SOLVE, "a", 1.0, 9), (PROPOSE, "p", 0.1, 1), (PROPOSE, "q", -1.0, 3)))
        assert got.values.tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("name", COMPARING)
def test_a_group_without_variance_is_left_out_where_its_mean_is_the_baseline_and_only_there(name: str) -> None:
    got = by(name, attempts([0.1, 0.1, 0.1], [1.0, 0.0]))
    assert got.trained.tolist() == ([False] * 3 + [True] * 2 if name in LEAVE_OUT else [True] * 5)
    if name in LEAVE_OUT:
        assert got.values[:3].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", LEAVE_OUT)
def test_a_group_of_one_teaches_nothing(name: str) -> None:
    got = by(name, attempts([1.0], [1.0, 0.0]))
    assert (got.values[0], got.trained.tolist()) == (0.0, [False, True, True])


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_no_samples_have_no_advantages(name: str) -> None:
    assert len(by(name, samples()).values) == 0


@pytest.mark.parametrize("name", COMPARING)
@given(groups=st.lists(st.lists(st.sampled_from([-1.0, -0.5, 1.0]), min_size=2, max_size=5), min_size=1, max_size=5))
def test_shifting_all_rewards_changes_no_advantage(name: str, groups: list[list[float]]) -> None:
    before, after = by(name, attempts(*groups)), by(name, attempts(*([r + 8.0 for r in group] for group in groups)))
    assert after.values == pytest.approx(before.values, abs=1e-6)
    assert (after.trained == before.trained).all()


@pytest.mark.parametrize("name", ["trrpp", "reinforce_pp"])
@pytest.mark.parametrize("weighting", ["sequence", "token"])
@given(rows=st.lists(st.tuples(st.floats(-1, 1), st.integers(1, 50)), min_size=3, max_size=12))
def test_whitened_advantages_have_mean_zero_and_variance_one(
    name: str, weighting: str, rows: list[tuple[float, int]]
) -> None:
    got = by(name, samples(*((SOLVE, str(i), reward, length) for i, (reward, length) in enumerate(rows)))).values
    if weighting == "token":
        got = by(name, samples(*((SOLVE, "", *row) for row in rows)), weighting="token").values
        got = np.repeat(got, [length for _, length in rows])
    assert got.mean() == pytest.approx(0.0, abs=1e-6)
    if np.ptp([reward for reward, _ in rows]) > 0.1:
        assert got.var(ddof=1) == pytest.approx(1.0, abs=1e-4)


def test_the_configuration_knows_the_same_estimators() -> None:
    assert set(KNOWN_TO_CONFIGURATION) == set(ESTIMATORS)
    assert set(LEAVE_OUT) < set(GROUP_ESTIMATORS)
