"""Each loss against numbers worked out by hand, an independent numpy version, and finite differences."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import TokenBatch
from learner.losses.cispo import Cispo
from learner.losses.decoupled_ppo import DecoupledPpo, interpolated_proximal
from learner.losses.dppo_tv import DppoTv
from learner.losses.gspo import Gspo
from learner.losses.ppo import Ppo
from learner.losses.registry import LOSSES
from tests.learner.examples import one_token, random_batch
from tests.learner.losses import reference

ONE = torch.ones(1, dtype=torch.float64)


def value(loss: object, batch: TokenBatch, weight: torch.Tensor = ONE) -> float:
    return float(loss(batch, weight).per_token.sum().detach())  # type: ignore[operator]


def gradient(loss: object, batch: TokenBatch, weight: torch.Tensor = ONE) -> float:
    (grad,) = torch.autograd.grad(loss(batch, weight).per_token.sum(), batch.current)  # type: ignore[operator]
    return float(grad[0])


class TestPpoByHand:
    def test_inside_the_clip_the_loss_is_minus_ratio_times_advantage(self) -> None:
        # r = .5/.45 = 1.1111, A = 2: loss -2.2222; d(-rA)/dlogp = -rA.
        batch = one_token(0.5, 0.45, 2.0)
        assert value(Ppo(), batch) == pytest.approx(-2.222222222)
        assert gradient(Ppo(), batch) == pytest.approx(-2.222222222)

    def test_above_the_clip_a_good_token_is_worth_the_bound_and_has_no_gradient(self) -> None:
        # r = .9/.45 = 2 > 1.28: loss -1.28 * 2.
        batch = one_token(0.9, 0.45, 2.0)
        assert value(Ppo(), batch) == pytest.approx(-2.56)
        assert gradient(Ppo(), batch) == 0.0

    def test_below_the_clip_a_bad_token_has_no_gradient(self) -> None:
        # r = .25/.5 = .5 < .8, A = -2: min(-1, -1.6) = -1.6: loss 1.6.
        batch = one_token(0.25, 0.5, -2.0)
        assert value(Ppo(), batch) == pytest.approx(1.6)
        assert gradient(Ppo(), batch) == 0.0

    def test_below_the_clip_a_good_token_keeps_its_gradient(self) -> None:
        # r = .5, A = 2: min(1, 1.6) = 1.
        batch = one_token(0.25, 0.5, 2.0)
        assert value(Ppo(), batch) == pytest.approx(-1.0)
        assert gradient(Ppo(), batch) == pytest.approx(-1.0)

    def test_dual_clip_bounds_an_exploding_ratio_under_a_negative_advantage(self) -> None:
        # r = .8/.1 = 8, A = -2: without the floor -16; with it 3 * -2 = -6: loss 6, no gradient.
        batch = one_token(0.8, 0.1, -2.0)
        assert value(Ppo(dual_clip=None), batch) == pytest.approx(16.0)
        assert value(Ppo(), batch) == pytest.approx(6.0)
        assert gradient(Ppo(), batch) == 0.0

    def test_the_metrics_say_which_bound_acted(self) -> None:
        high = Ppo()(one_token(0.9, 0.45, 2.0), ONE).metrics
        assert float(high["clip_high_fraction"].total) == 1.0
        assert float(high["clip_low_fraction"].total) == 0.0
        low = Ppo()(one_token(0.25, 0.5, -2.0), ONE).metrics
        assert float(low["clip_low_fraction"].total) == 1.0
        dual = Ppo()(one_token(0.8, 0.1, -2.0), ONE).metrics
        assert float(dual["dual_clip_fraction"].total) == 1.0


class TestDecoupledPpoByHand:
    def batch(self) -> TokenBatch:
        # θ = .5, prox = .4, μ = .2: r = 1.25, ρ = 2.
        return replace(one_token(0.5, 0.4, 1.0), behaviour=torch.tensor([0.2], dtype=torch.float64).log())

    def test_the_ratio_is_taken_against_the_proximal_policy(self) -> None:
        assert value(DecoupledPpo(), self.batch()) == pytest.approx(-1.25)

    def test_the_weight_scales_value_and_gradient(self) -> None:
        weight = 2.0 * ONE
        assert value(DecoupledPpo(), self.batch(), weight) == pytest.approx(-2.5)
        assert gradient(DecoupledPpo(), self.batch(), weight) == pytest.approx(-2.5)

    def test_at_the_first_mini_batch_the_ratio_is_one_and_the_gradient_the_weighted_score(self) -> None:
        batch = random_batch(3)
        batch = replace(batch, proximal=batch.current.detach().clone())
        weight = torch.rand(batch.current.shape[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        output = DecoupledPpo()(batch, weight)
        (grad,) = torch.autograd.grad(output.per_token.sum(), batch.current)
        torch.testing.assert_close(grad, -weight * batch.advantages)
        assert float(output.metrics["clip_high_fraction"].total) == 0.0


class TestInterpolatedProximal:
    def at(self, sampled: int, proximal: int, current: int) -> float:
        result = interpolated_proximal(
            torch.tensor([-1.0]),
            torch.tensor([-3.0]),
            sampled_at=torch.tensor([sampled]),
            proximal_at=torch.tensor([proximal]),
            current_at=torch.tensor([current]),
        )
        return float(result)

    def test_half_way_in_versions_is_half_way_in_log_probability(self) -> None:
        assert self.at(0, 2, 4) == pytest.approx(-2.0)

    def test_a_token_of_the_proximal_policy_keeps_its_recorded_log_probability(self) -> None:
        assert self.at(4, 4, 5) == pytest.approx(-3.0)

    def test_a_token_of_the_current_policy_takes_the_learners_own(self) -> None:
        assert self.at(4, 4, 4) == pytest.approx(-1.0)

    def test_it_never_extrapolates(self) -> None:
        assert self.at(5, 2, 7) == pytest.approx(-3.0)
        assert self.at(0, 9, 3) == pytest.approx(-1.0)


class TestCispoByHand:
    def test_the_gradient_is_the_truncated_ratio_times_the_advantage(self) -> None:
        # r = .8/.1 = 8 -> 5: gradient -5 * 2.
        assert gradient(Cispo(), one_token(0.8, 0.1, 2.0)) == pytest.approx(-10.0)

    def test_no_token_loses_its_gradient(self) -> None:
        assert gradient(Cispo(), one_token(0.05, 0.5, -2.0)) == pytest.approx(0.2)


class TestGspoByHand:
    def batch(self, advantages: float = 1.0) -> TokenBatch:
        # log-ratios of a sequence of two: .0002 and .0004, mean .0003.
        start = torch.tensor([-1.0, -2.0], dtype=torch.float64)
        return TokenBatch(
            current=(start + torch.tensor([2e-4, 4e-4], dtype=torch.float64)).requires_grad_(),
            proximal=start,
            behaviour=start,
            advantages=torch.full((2,), advantages, dtype=torch.float64),
            sequence=torch.tensor([0, 0]),
            sequences=1,
        )

    def test_all_tokens_share_the_geometric_mean_ratio(self) -> None:
        output = Gspo()(self.batch(), torch.ones(2, dtype=torch.float64))
        assert output.per_token.tolist() == pytest.approx([-math.exp(3e-4)] * 2)

    def test_the_gradient_is_shared_between_the_tokens(self) -> None:
        batch = self.batch()
        output = Gspo()(batch, torch.ones(2, dtype=torch.float64))
        (grad,) = torch.autograd.grad(output.per_token.mean(), batch.current)
        assert grad.tolist() == pytest.approx([-math.exp(3e-4) / 2] * 2)

    def test_the_clip_acts_on_the_sequence(self) -> None:
        batch = self.batch()
        output = Gspo(clip_high=2e-4)(batch, torch.ones(2, dtype=torch.float64))
        (grad,) = torch.autograd.grad(output.per_token.sum(), batch.current)
        assert grad.tolist() == [0.0, 0.0]
        assert float(output.metrics["clip_high_fraction"].total) == 2.0


class TestDppoTvByHand:
    def test_a_large_ratio_of_a_rare_token_is_no_change_of_the_policy(self) -> None:
        # From 1e-5 to 3e-5: ratio 3, moved 2e-5: the gradient stays.
        assert gradient(DppoTv(pull=0.0), one_token(3e-5, 1e-5, 1.0)) == pytest.approx(-3.0)

    def test_a_probability_moved_too_far_in_the_advantages_direction_is_masked(self) -> None:
        assert gradient(DppoTv(pull=0.0), one_token(0.75, 0.5, 1.0)) == 0.0
        assert gradient(DppoTv(pull=0.0), one_token(0.25, 0.5, -1.0)) == 0.0

    def test_moved_the_other_way_it_may_come_back(self) -> None:
        assert gradient(DppoTv(pull=0.0), one_token(0.25, 0.5, 1.0)) == pytest.approx(-0.5)

    def test_the_pull_draws_back_towards_the_behaviour_policy(self) -> None:
        # 2 κ log(.75/.5) = 2 * .001 * .405465
        assert gradient(DppoTv(pull=1e-3), one_token(0.75, 0.5, 1.0)) == pytest.approx(8.109302e-4)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("seed", range(8))
def test_each_loss_agrees_with_its_independent_version(name: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    lengths = tuple(int(length) for length in generator.integers(1, 9, generator.integers(1, 7)))
    batch = random_batch(seed, lengths)
    weight = generator.uniform(0.0, 2.0, sum(lengths)) * generator.integers(0, 2, sum(lengths))
    output = LOSSES[name](LossConfig())(batch, torch.tensor(weight))
    np.testing.assert_allclose(output.per_token.detach().numpy(), reference.per_token(name, batch, weight), atol=1e-12)


@pytest.mark.parametrize("name", ["ppo", "decoupled_ppo", "gspo", "dppo_tv", "reinforce"])
@pytest.mark.parametrize("seed", range(4))
def test_gradients_agree_with_finite_differences(name: str, seed: int) -> None:
    """CISPO is left out: its stop-gradient makes the gradient another than the value's derivative, by design."""
    batch = random_batch(seed, spread=0.3 if name != "gspo" else 2e-4)
    weight = torch.rand(batch.current.shape[0], dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    loss = LOSSES[name](LossConfig())

    def total(current: torch.Tensor) -> torch.Tensor:
        return loss(replace(batch, current=current), weight).per_token.sum()

    assert torch.autograd.gradcheck(total, (batch.current,), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_cispos_gradient_is_the_score_under_a_frozen_truncated_ratio(seed: int) -> None:
    batch = random_batch(seed)
    (grad,) = torch.autograd.grad(Cispo()(batch, torch.ones_like(batch.advantages)).per_token.sum(), batch.current)
    ratio = np.exp(batch.current.detach().numpy() - batch.behaviour.numpy()).clip(max=5.0)
    np.testing.assert_allclose(grad.numpy(), -ratio * batch.advantages.numpy())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_half_precision_log_probs_are_widened_before_any_ratio(name: str) -> None:
    batch = random_batch(1)
    half = TokenBatch(
        current=batch.current.detach().bfloat16().requires_grad_(),
        proximal=batch.proximal.bfloat16(),
        behaviour=batch.behaviour.bfloat16(),
        advantages=batch.advantages.bfloat16(),
        sequence=batch.sequence,
        sequences=batch.sequences,
    )
    output = LOSSES[name](LossConfig())(half, torch.ones(half.current.shape[0]))
    assert output.per_token.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_an_absurd_log_ratio_gives_a_finite_loss_and_gradient(name: str) -> None:
    batch = replace(one_token(0.9, 0.5, -1.0), behaviour=torch.tensor([-500.0], dtype=torch.float64))
    output = LOSSES[name](LossConfig())(replace(batch, proximal=batch.behaviour), ONE)
    (grad,) = torch.autograd.grad(output.per_token.sum(), batch.current)
    assert torch.isfinite(output.per_token).all()
    assert torch.isfinite(grad).all()


def test_a_batch_whose_shapes_differ_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="advantages has shape"):
        replace(random_batch(0), advantages=torch.zeros(2))


def test_a_proximal_policy_with_a_gradient_is_refused() -> None:
    batch = random_batch(0)
    with pytest.raises(ValueError, match="proximal must not carry a gradient"):
        replace(batch, proximal=batch.proximal.clone().requires_grad_())
