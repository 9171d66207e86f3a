"""V-trace against hand computation and against what it must reduce to."""

from __future__ import annotations

import numpy as np
import pytest

from learner.vtrace import Vtrace


def test_on_policy_it_is_the_reward_less_the_baseline_at_every_token() -> None:
    advantages = Vtrace().advantages(np.zeros(4), reward=1.0, baseline=0.25)
    assert advantages.tolist() == pytest.approx([0.75] * 4)


def test_two_tokens_by_hand() -> None:
    # ρ = .5, 2 -> ρ̄ = c̄ = .5, 1; V = .4, .4, 0; R = 0, 1.
    # t=1: δ = 1·(1 + 0 - .4) = .6; v_1 = .4 + .6 = 1;         A_1 = 1·(1 + 0 - .4) = .6
    # t=0: δ = .5·(0 + .4 - .4) = 0; v_0 = .4 + 0 + .5·(1-.4);  A_0 = .5·(0 + 1 - .4) = .3
    advantages = Vtrace().advantages(np.log([0.5, 2.0]), reward=1.0, baseline=0.4)
    assert advantages.tolist() == pytest.approx([0.3, 0.6])


def test_without_trace_only_the_next_value_is_seen() -> None:
    # λ = 0: v_1 = .4 + .6 = 1 stays (δ alone), v_0 = .4; A_0 looks at v_1.
    advantages = Vtrace(trace_decay=0.0).advantages(np.zeros(3), reward=1.0, baseline=0.4)
    # t=2: v=1, A=.6; t=1: δ=0, v=.4, A = v_2 - .4 = .6; t=0: δ=0, A = v_1 - .4 = 0.
    assert advantages.tolist() == pytest.approx([0.0, 0.6, 0.6])


def test_a_truncated_ratio_bounds_the_advantage() -> None:
    advantages = Vtrace(rho_max=1.0).advantages(np.full(3, 5.0), reward=1.0, baseline=0.0)
    assert np.abs(advantages).max() <= 1.0 + 1e-12


def test_untruncated_it_is_the_exact_importance_weighted_estimate() -> None:
    """With ρ̄ and c̄ unbounded and a baseline of 0, A_t is R times the product of the ratios from t on."""
    log_ratio = np.log([0.5, 1.5, 0.8])
    advantages = Vtrace(rho_max=1e9, c_max=1e9).advantages(log_ratio, reward=2.0, baseline=0.0)
    expected = 2.0 * np.cumprod(np.exp(log_ratio)[::-1])[::-1]
    assert advantages.tolist() == pytest.approx(expected.tolist())


def test_an_empty_response_has_no_advantages() -> None:
    assert Vtrace().advantages(np.zeros(0), 1.0, 0.0).tolist() == []
