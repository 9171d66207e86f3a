"""What a step tells of its batch."""

from __future__ import annotations

import numpy as np
import pytest

from azr.advantages import Advantages, Baselines, compute
from azr.advantages.report import tell
from azr.config.sections.algorithm import AdvantagesConfig
from azr.metrics import Accumulator
from tests.advantages.examples import PROPOSE, SOLVE, samples


def test_each_cell_tells_of_its_own_sequences() -> None:
    batch = samples((SOLVE, "a", 1.0, 4), (PROPOSE, "p", 0.5, 2), (SOLVE, "a", -1.0, 6), (SOLVE, "b", 1.0, 2))
    advantages = Advantages(np.array([2.0, 0.25, -1.0, 0.0]), np.array([True, True, True, False]))
    _, baselines = compute(batch, AdvantagesConfig(), Baselines())
    metrics = Accumulator()
    tell(metrics, batch, advantages, np.array([3.0, 1.0, 3.0, 3.0]), baselines, step=7)
    told = metrics.report()
    assert told["reward/mean/deduction/solve"] == pytest.approx(1 / 3)
    assert told["reward/mean/deduction/propose"] == 0.5
    assert told["reward/distribution/deduction/solve.max"] == 1.0
    assert told["batch/response_tokens/deduction/solve.mean"] == 4.0
    assert told["batch/sequences/deduction/solve"] == 3.0
    assert told["batch/tokens/deduction/solve"] == 12.0
    assert told["batch/loss_weight/deduction/solve"] == 3.0
    # Two of three carry a gradient: 2 and -1.
    assert told["advantage/without_variance/deduction/solve"] == pytest.approx(1 / 3)
    assert told["advantage/mean/deduction/solve"] == 0.5
    assert told["advantage/absolute/deduction/solve"] == 1.5
    # 1, -1, 1: mean ⅓, squares 2·4/9 + 16/9, over 2.
    assert told["reward/baseline/deduction/solve"] == pytest.approx(1 / 3)
    assert told["reward/baseline_deviation/deduction/solve"] == pytest.approx((4 / 3) ** 0.5)


def test_a_cell_without_gradient_has_no_mean_advantage_and_an_absent_one_is_not_told_of() -> None:
    batch = samples((SOLVE, "a", 1.0, 4), (PROPOSE, "p", 0.5, 2)).only(np.array([True, False]))
    metrics = Accumulator()
    tell(metrics, batch, Advantages(np.zeros(1), np.array([False])), np.ones(1), Baselines(), step=0)
    told = metrics.report()
    assert told["advantage/without_variance/deduction/solve"] == 1.0
    assert "advantage/mean/deduction/solve" not in told
    assert not any("propose" in name for name in told)
    assert "reward/baseline/deduction/solve" not in told
