"""Corrected gradients are the exact ones of an enumerable policy; uncorrected ones are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Ratios
from learner.losses.base import TokenBatch
from learner.objective import Objective, effective_share

#: A policy over two steps of three actions each: nine responses, so that every expectation is a short sum.
ACTIONS, STEPS = 3, 2
REWARDS = torch.tensor([[1.0, -0.5, 0.0], [0.3, 2.0, -1.0], [-0.2, 0.1, 0.7]], dtype=torch.float64)


def policy(seed: int) -> torch.Tensor:
    """Logits [first action or start, action]: row 0 for the first step, row 1 + a for the second after a."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1 + ACTIONS, ACTIONS, dtype=torch.float64, generator=generator)


def log_probs(logits: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of responses [n, 2], token by token."""
    first = logits[0].log_softmax(-1)[responses[:, 0]]
    second = logits[1 + responses[:, 0]].log_softmax(-1).gather(1, responses[:, 1:]).squeeze(1)
    return torch.stack([first, second], dim=1)


def all_responses() -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(ACTIONS), torch.arange(ACTIONS))


def exact_gradient(current: torch.Tensor) -> torch.Tensor:
    """Gradient of the expected reward, by enumeration."""
    logits = current.clone().requires_grad_()
    responses = all_responses()
    probabilities = log_probs(logits, responses).sum(1).exp()
    reward = (probabilities * REWARDS[responses[:, 0], responses[:, 1]]).sum()
    return torch.autograd.grad(reward, logits)[0]


def estimated_gradient(
    current: torch.Tensor, behaviour: torch.Tensor, weight: str, responses: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """What the objective makes of responses sampled from `behaviour`, each counted `counts` times."""
    logits = current.clone().requires_grad_()
    theta = log_probs(logits, responses).flatten()
    mu = log_probs(behaviour, responses).flatten()
    sequence = torch.arange(len(responses)).repeat_interleave(STEPS)
    advantages = REWARDS[responses[:, 0], responses[:, 1]].repeat_interleave(STEPS)
    objective = Objective(LossConfig(name="reinforce", weight=weight, tis_cap=1e6))
    batch = TokenBatch(theta, theta.detach(), mu, advantages, sequence, len(responses))
    factor, _ = objective.factors(Ratios.of(theta, mu, advantages, sequence, len(responses)))
    loss, _ = objective.loss(batch, factor, counts / counts.sum())
    return -torch.autograd.grad(loss, logits)[0]


def test_with_the_sequence_weight_stale_data_gives_the_exact_gradient_in_expectation() -> None:
    """Counts are the behaviour policy's own probabilities: the expectation itself, without sampling error."""
    current, behaviour = policy(0), policy(1)
    responses = all_responses()
    probabilities = log_probs(behaviour, responses).sum(1).exp()
    corrected = estimated_gradient(current, behaviour, "sequence_tis", responses, probabilities)
    torch.testing.assert_close(corrected, exact_gradient(current), atol=1e-10, rtol=1e-8)


def test_without_a_weight_stale_data_gives_another_gradient() -> None:
    current, behaviour = policy(0), policy(1)
    responses = all_responses()
    probabilities = log_probs(behaviour, responses).sum(1).exp()
    uncorrected = estimated_gradient(current, behaviour, "none", responses, probabilities)
    exact = exact_gradient(current)
    assert float((uncorrected - exact).norm() / exact.norm()) > 0.2


def test_from_samples_the_corrected_gradient_is_right_within_sampling_error_and_the_uncorrected_is_not() -> None:
    current = policy(0)
    behaviour = current + 0.5 * policy(1)
    responses = all_responses()
    probabilities = log_probs(behaviour, responses).sum(1).exp()
    drawn = np.random.default_rng(0).multinomial(4000, (probabilities / probabilities.sum()).numpy(), size=200)
    exact = exact_gradient(current)

    def distance(weight: str) -> tuple[float, float]:
        estimates = torch.stack(
            [estimated_gradient(current, behaviour, weight, responses, torch.tensor(counts)) for counts in drawn]
        )
        error_of_mean = estimates.std(0).norm() / len(drawn) ** 0.5
        return float((estimates.mean(0) - exact).norm()), float(error_of_mean)

    corrected, sampling_error = distance("sequence_tis")
    assert corrected < 4 * sampling_error
    uncorrected, sampling_error = distance("none")
    assert uncorrected > 20 * sampling_error


def test_on_policy_data_needs_no_weight() -> None:
    current = policy(3)
    responses = all_responses()
    probabilities = log_probs(current, responses).sum(1).exp()
    torch.testing.assert_close(
        estimated_gradient(current, current, "none", responses, probabilities), exact_gradient(current)
    )


def test_factors_multiply_and_metrics_carry_the_name_of_their_rule() -> None:
    log_ratio = torch.tensor([0.5, 0.5, 3.0, 0.0]).log().clamp(min=-5)
    ratios = Ratios(log_ratio, torch.ones(4), torch.tensor([0, 0, 1, 1]), 2)
    weight, metrics = Objective(LossConfig(weight="token_tis", masks=["geometric"])).factors(ratios)
    assert weight.tolist() == [0.0] * 4
    assert {"token_tis/weight", "geometric/geometric_masked_fraction"} <= set(metrics)


@pytest.mark.parametrize("masks", [[], ["m2po"], ["k3", "negative_sequence"]])
def test_without_corrections_every_factor_is_one_on_policy(masks: list[str]) -> None:
    ratios = Ratios(torch.zeros(3), torch.ones(3), torch.zeros(3, dtype=torch.long), 1)
    weight, _ = Objective(LossConfig(weight="none", masks=masks)).factors(ratios)
    assert weight.tolist() == [1.0, 1.0, 1.0]


def test_the_effective_share_is_of_the_factors_in_use_and_not_of_token_ratios() -> None:
    """Tokens whose ratios are all near 1 make sequences whose weights are not."""
    log_ratio = torch.tensor([0.5, 0.5, -0.5, -0.5])
    ratios = Ratios(log_ratio, torch.ones(4), torch.tensor([0, 0, 1, 1]), 2)
    _, metrics = Objective(LossConfig(weight="sequence_tis", tis_cap=2.0)).factors(ratios)
    means = {f"off_policy/{name}": float(share.total / share.count) for name, share in metrics.items()}
    up, down = 2.0, float(torch.tensor(-1.0).exp())
    assert effective_share(means, "off_policy/") == pytest.approx((up + down) ** 2 / (2 * (up**2 + down**2)))
    assert set(means) == {"off_policy/sequence_tis/weight", "off_policy/sequence_tis/truncated_fraction"}


def test_where_nothing_is_corrected_no_factor_is_told() -> None:
    """Ones would hide what the ratios are."""
    ratios = Ratios(torch.tensor([0.5, -0.5]), torch.ones(2), torch.tensor([0, 1]), 2)
    assert Objective(LossConfig(weight="none")).factors(ratios)[1] == {}


def test_masked_tokens_are_no_part_of_the_effective_share() -> None:
    assert effective_share({"p/product": 0.25, "p/product_squared": 0.25}, "p/") == 0.25
    assert effective_share({"p/product": 0.0, "p/product_squared": 0.0}, "p/") == 0.0
    assert effective_share({}, "p/") is None, "nothing is corrected"
