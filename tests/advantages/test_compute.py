"""A whole batch: roles apart, running statistics, the limit, the checkpoint."""

from __future__ import annotations

from math import sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azr.advantages import Baseline, Baselines, compute
from azr.advantages.compute import estimate
from azr.config.sections.algorithm import AdvantagesConfig, EstimatorConfig
from tests.advantages.examples import PROPOSE, SOLVE, attempts, samples

MIXED = samples(
    (SOLVE, "a", 1.0, 1),
    (PROPOSE, "p", 1.0, 1),
    (SOLVE, "a", -1.0, 1),
    (PROPOSE, "q", 0.0, 1),
    (SOLVE, "b", 1.0, 1),
    (SOLVE, "b", 1.0, 1),
)


def test_each_role_has_its_own_estimator() -> None:
    got, _ = compute(MIXED, AdvantagesConfig(), Baselines())
    # Propose: 1, 0 whitened (deviation √½). Solve: ±2 against the other, over the deviation 1 of 1, -1, 1, 1.
    assert got.values == pytest.approx([2.0, sqrt(0.5), -2.0, -sqrt(0.5), 0.0, 0.0])
    assert got.trained.tolist() == [True, True, True, True, False, False]


def test_roles_with_the_same_estimator_are_whitened_together() -> None:
    same = AdvantagesConfig(propose=EstimatorConfig("reinforce_pp"), solve=EstimatorConfig("reinforce_pp"))
    apart = AdvantagesConfig(
        propose=EstimatorConfig("reinforce_pp"), solve=EstimatorConfig("reinforce_pp", epsilon=1e-9)
    )
    together, _ = compute(MIXED, same, Baselines())
    assert together.values == pytest.approx((MIXED.rewards - 0.5) / sqrt(0.7))
    separate, _ = compute(MIXED, apart, Baselines())
    assert separate.values[[1, 3]] == pytest.approx([sqrt(0.5), -sqrt(0.5)])


def test_advantages_are_held_to_the_limit_on_both_sides() -> None:
    got, _ = compute(MIXED, AdvantagesConfig(limit=1.5), Baselines())
    assert got.values == pytest.approx([1.5, sqrt(0.5), -1.5, -sqrt(0.5), 0.0, 0.0])


def test_a_limit_of_zero_is_none() -> None:
    got, _ = compute(MIXED, AdvantagesConfig(limit=0.0), Baselines())
    assert np.abs(got.values).max() == pytest.approx(2.0)


def test_the_first_batch_of_a_cell_stands_alone_and_is_remembered() -> None:
    _, baselines = compute(MIXED, AdvantagesConfig(), Baselines())
    assert baselines.of(PROPOSE) == Baseline(mean=0.5, variance=0.5, sequences=2)
    assert baselines.of(SOLVE) == Baseline(mean=0.5, variance=1.0, sequences=4)


def test_later_batches_blend_with_what_is_remembered() -> None:
    config = EstimatorConfig("trrpp", running_weight=32.0)
    before = Baselines().updated({SOLVE: Baseline(mean=0.0, variance=1.0, sequences=100)})
    # n = 8 rewards, four 1 and four 0: mean ½, variance 8·¼/7 = 2/7.
    got, after = estimate(attempts([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), config, before)
    mean = (8 * 0.5 + 32 * 0.0) / 40
    variance = (8 * 2 / 7 + 32 * 1.0) / 40 + (8 / 40) * (32 / 40) * 0.25
    assert got.values[0] == pytest.approx((1.0 - mean) / sqrt(variance))
    assert got.values[7] == pytest.approx((0.0 - mean) / sqrt(variance))
    kept = after.of(SOLVE)
    assert kept is not None
    assert (kept.mean, kept.variance, kept.sequences) == (pytest.approx(mean), pytest.approx(variance), 108)


def test_what_is_remembered_of_few_sequences_counts_for_no_more_than_they_are() -> None:
    """A cell's first batch may hold one proposal, an unlucky one: it is no measure of 32 others."""
    before = Baselines().updated({SOLVE: Baseline(mean=-1.0, variance=0.0, sequences=1)})
    got, after = estimate(attempts([0.8, 1.0, 1.2]), EstimatorConfig("trrpp", running_weight=32.0), before)
    mean = (3 * 1.0 + 1 * -1.0) / 4
    variance = (3 * 0.04 + 1 * 0.0) / 4 + (3 / 4) * (1 / 4) * 4.0
    assert got.values[0] == pytest.approx((0.8 - mean) / sqrt(variance))
    kept = after.of(SOLVE)
    assert kept is not None
    assert kept.sequences == 4


def test_the_leave_one_out_scale_uses_the_blended_deviation() -> None:
    before = Baselines().updated({SOLVE: Baseline(mean=0.0, variance=4.0, sequences=9)})
    got, _ = estimate(attempts([1.0, -1.0]), EstimatorConfig("leave_one_out", running_weight=2.0), before)
    # Both weigh 2: variance (2 + 4)/2 and equal means: √3.
    assert got.values == pytest.approx([2 / sqrt(3), -2 / sqrt(3)])


def test_a_running_weight_of_zero_looks_at_the_batch_alone() -> None:
    before = Baselines().updated({SOLVE: Baseline(mean=9.0, variance=9.0, sequences=9)})
    got, _ = estimate(attempts([1.0, -1.0]), EstimatorConfig("trrpp", running_weight=0.0), before)
    assert got.values == pytest.approx([1 / sqrt(2), -1 / sqrt(2)])


def test_a_cell_that_is_not_in_the_batch_keeps_its_statistics() -> None:
    kept = Baseline(mean=0.3, variance=0.2, sequences=7)
    before = Baselines().updated({PROPOSE: kept})
    _, after = compute(attempts([1.0, 0.0]), AdvantagesConfig(), before)
    assert after.of(PROPOSE) == kept


def test_the_statistics_before_are_left_as_they_were() -> None:
    before = Baselines()
    compute(MIXED, AdvantagesConfig(), before)
    assert before.cells == {}


def test_an_empty_batch_changes_nothing() -> None:
    got, after = compute(samples(), AdvantagesConfig(), Baselines())
    assert (len(got.values), after) == (0, Baselines())


def test_running_statistics_settle_on_the_truth() -> None:
    generator = np.random.default_rng(0)
    baselines = Baselines()
    for _ in range(300):
        rewards = generator.choice([1.0, -0.5, -1.0], p=[0.5, 0.25, 0.25], size=16)
        _, baselines = estimate(attempts(rewards.tolist()), EstimatorConfig("trrpp"), baselines)
    kept = baselines.of(SOLVE)
    assert kept is not None
    # Mean ½ - ⅛ - ¼ = ⅛, second moment ½ + 1/16 + ¼, variance 0.7969; the window is some 48 sequences wide.
    assert kept.mean == pytest.approx(0.125, abs=0.3)
    assert kept.variance == pytest.approx(0.797, abs=0.3)


@given(st.lists(st.lists(st.floats(-1, 1), min_size=2, max_size=6), min_size=2, max_size=5))
def test_a_run_resumed_from_its_checkpoint_goes_on_exactly(batches: list[list[float]]) -> None:
    straight = Baselines()
    resumed = Baselines()
    for rewards in batches:
        first, straight = estimate(attempts(rewards), EstimatorConfig(), straight)
        second, resumed = estimate(attempts(rewards), EstimatorConfig(), Baselines.from_bytes(resumed.to_bytes()))
        assert first.values.tolist() == second.values.tolist()
    assert resumed == straight


def test_statistics_of_another_version_are_refused() -> None:
    content = msgspec.msgpack.encode(Baselines(schema=99))
    with pytest.raises(ValueError, match="schema 99"):
        Baselines.from_bytes(content)
