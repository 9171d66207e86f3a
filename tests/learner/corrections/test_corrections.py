"""Each correction against numbers worked out by hand and an independent numpy version."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Correction, Ratios
from learner.corrections.geometric_mask import GeometricMask
from learner.corrections.icepop import IcePop
from learner.corrections.k3_mask import K3Mask
from learner.corrections.m2po import M2po, second_moment_threshold
from learner.corrections.negative_sequence_mask import NegativeSequenceMask
from learner.corrections.registry import MASKS, WEIGHTS, configured_corrections
from learner.corrections.sequence_tis import SequenceTis
from learner.corrections.token_tis import TokenTis
from learner.corrections.vtrace import Vtrace
from tests.learner.examples import hand_ratios, random_batch, ratios_of


def test_token_tis_truncates_each_token() -> None:
    factor = TokenTis(cap=2.0)(hand_ratios([0.5, 1.0, 4.0], [0, 0, 0]))
    assert factor.values.tolist() == pytest.approx([0.5, 1.0, 2.0])
    assert float(factor.metrics["truncated_fraction"].total) == 1.0


def test_sequence_tis_truncates_the_product() -> None:
    # Products: .5 * 4 = 2 and 3 * 3 = 9 -> 5.
    factor = SequenceTis(cap=5.0)(hand_ratios([0.5, 4.0, 3.0, 3.0], [0, 0, 1, 1]))
    assert factor.values.tolist() == pytest.approx([2.0, 2.0, 5.0, 5.0])


def test_icepop_masks_on_both_sides_and_does_not_clamp() -> None:
    factor = IcePop(low=0.5, high=5.0)(hand_ratios([0.4, 0.5, 4.9, 5.1], [0, 0, 1, 1]))
    assert factor.values.tolist() == pytest.approx([0.0, 0.5, 4.9, 0.0])


def test_geometric_mask_judges_the_mean_of_a_sequence() -> None:
    # sqrt(.5 * 2) = 1 stays; sqrt(1.05 * 1.05) = 1.05 goes.
    factor = GeometricMask(low=0.99, high=1.01)(hand_ratios([0.5, 2.0, 1.05, 1.05], [0, 0, 1, 1]))
    assert factor.values.tolist() == [1.0, 1.0, 0.0, 0.0]


def test_k3_mask_sees_what_the_geometric_mean_cancels() -> None:
    # k3 of .5: .5 - 1 + .6931 = .1931; of 2: 2 - 1 - .6931 = .3069; mean .25.
    factor = K3Mask(bound=0.2)(hand_ratios([0.5, 2.0, 1.05, 1.05], [0, 0, 1, 1]))
    assert factor.values.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_negative_sequence_mask_drops_stale_bad_sequences_only() -> None:
    # mean log μ/π: log 2 = .69 for the first two, log .5 = -.69 for the third.
    ratios = hand_ratios([0.5, 0.5, 2.0], [0, 1, 2], advantages=[-1.0, 1.0, -1.0])
    assert NegativeSequenceMask(bound=0.5)(ratios).values.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("geometric", GeometricMask(low=0.99, high=1.01)),
        ("k3", K3Mask(bound=0.2)),
        ("negative", NegativeSequenceMask(bound=0.5)),
    ],
)
def test_a_mask_of_sequences_tells_the_share_of_tokens_that_it_masks(name: str, mask: Correction) -> None:
    # The second of two sequences goes, with three of the four tokens.
    factor = mask(hand_ratios([1.0, 0.25, 0.25, 0.25], [0, 1, 1, 1], advantages=[-1.0] * 4))
    assert factor.values.tolist() == [1.0, 0.0, 0.0, 0.0]
    share = factor.metrics[f"{name}_masked_fraction"]
    assert (float(share.total), float(share.count)) == (3.0, 4.0)


def test_m2po_drops_the_largest_until_the_mean_square_is_within_the_budget() -> None:
    # (log ρ)² of .01, .04, .25: mean of all .1; of the first two .025.
    ratios = Ratios(
        torch.tensor([0.5, -0.1, 0.2], dtype=torch.float64), torch.ones(3), torch.zeros(3, dtype=torch.long), 1
    )
    assert M2po(budget=0.04)(ratios).values.tolist() == [0.0, 1.0, 1.0]
    assert M2po(budget=0.1)(ratios).values.tolist() == [1.0, 1.0, 1.0]
    assert M2po(budget=0.001)(ratios).values.tolist() == [0.0, 0.0, 0.0]


def test_m2pos_threshold_treats_equal_values_alike() -> None:
    squares = torch.tensor([0.0, 0.09, 0.09], dtype=torch.float64)
    # With one of the two the mean would be .045 and fit; with both it is .06 and does not: both go.
    assert float(second_moment_threshold(squares, 0.05)) == 0.0
    assert float(second_moment_threshold(torch.zeros(0), 0.05)) == -1.0


def vtrace_advantages(ratio: np.ndarray, *, reward: float, baseline: float) -> np.ndarray:
    """The published recursion, step by step: ρ̄ = c̄ = min(1, ρ), the baseline as the value of every state."""
    clipped = np.minimum(1.0, ratio)
    values = np.append(np.full(len(ratio), baseline), 0.0)
    rewards = np.append(np.zeros(len(ratio) - 1), reward)
    targets = np.zeros(len(ratio) + 1)
    for t in reversed(range(len(ratio))):
        delta = clipped[t] * (rewards[t] + values[t + 1] - values[t])
        targets[t] = values[t] + delta + clipped[t] * (targets[t + 1] - values[t + 1])
    return np.asarray(clipped * (rewards + targets[1:] - values[:-1]))


def test_vtrace_of_two_tokens_by_hand() -> None:
    # ρ = .5, 2: the second token's min is 1, the first's .5 · 1.
    assert Vtrace()(hand_ratios([0.5, 2.0], [0, 0])).values.tolist() == pytest.approx([0.5, 1.0])
    # ρ = 2, .25, .8, and a response of its own after it: what precedes a token does not matter to it.
    assert Vtrace()(hand_ratios([2.0, 0.25, 0.8, 0.5], [0, 0, 0, 1])).values.tolist() == pytest.approx(
        [0.2, 0.2, 0.8, 0.5]
    )


def test_vtrace_times_the_advantage_is_the_published_recursion_whatever_the_baseline() -> None:
    ratio = np.array([0.5, 1.5, 0.8, 3.0, 0.9])
    expected = vtrace_advantages(ratio, reward=2.0, baseline=0.75)
    assert (1.25 * Vtrace()(hand_ratios(ratio.tolist(), [0] * 5)).values.numpy()).tolist() == pytest.approx(
        expected.tolist()
    )


def test_vtrace_is_right_at_the_end_of_a_long_batch() -> None:
    """Running sums reach tens of thousands; their differences still have six digits."""
    generator = np.random.default_rng(0)
    ratio = np.exp(generator.normal(0.0, 0.4, 200_000)).tolist()
    sequence = np.repeat(np.arange(20_000), 10).tolist()
    values = Vtrace()(hand_ratios(ratio, sequence)).values.numpy()[-10:]
    expected = np.cumprod(np.minimum(1.0, np.array(ratio[-10:]))[::-1])[::-1]
    np.testing.assert_allclose(values, expected, rtol=2e-6)


def independent(name: str, log_ratio: np.ndarray, advantages: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    """The corrections once more, sequence by sequence in numpy, with the configuration's defaults."""
    out = np.zeros(len(log_ratio))
    for index in np.unique(sequence):
        own = sequence == index
        logs, ratio = log_ratio[own], np.exp(log_ratio[own])
        if name == "token_tis":
            out[own] = np.minimum(ratio, 2.0)
        elif name == "sequence_tis":
            out[own] = min(np.prod(ratio), 2.0)
        elif name == "icepop":
            out[own] = np.where((ratio < 0.5) | (ratio > 5.0), 0.0, ratio)
        elif name == "vtrace":
            out[own] = vtrace_advantages(ratio, reward=1.0, baseline=0.0)
        elif name == "geometric":
            out[own] = float(0.99 <= np.prod(ratio) ** (1 / len(ratio)) <= 1.01)
        elif name == "k3":
            out[own] = float(np.mean(ratio - 1 - logs) <= 0.01)
        elif name == "negative_sequence":
            out[own] = float(not (advantages[own].mean() < 0 and -logs.mean() > 0.1))
    if name == "m2po":
        order = np.sort(log_ratio**2)
        kept = [count for count in range(1, len(order) + 1) if order[:count].mean() <= 0.04]
        out = (log_ratio**2 <= (order[kept[-1] - 1] if kept else -1)).astype(float)
    return out


@pytest.mark.parametrize("name", [*WEIGHTS, *MASKS])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("spread", [0.005, 0.05, 0.5])
def test_each_correction_agrees_with_its_independent_version(name: str, seed: int, spread: float) -> None:
    generator = np.random.default_rng(seed)
    lengths = tuple(int(length) for length in generator.integers(1, 9, 12))
    batch = random_batch(seed, lengths, spread)
    factor = (WEIGHTS | MASKS)[name](LossConfig())(ratios_of(batch))
    log_ratio = (batch.proximal - batch.behaviour).numpy()
    expected = independent(name, log_ratio, batch.advantages.numpy(), batch.sequence.numpy())
    np.testing.assert_allclose(factor.values.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("name", [*WEIGHTS, *MASKS])
def test_on_policy_data_passes_unchanged(name: str) -> None:
    batch = random_batch(0, spread=0.0)
    assert (WEIGHTS | MASKS)[name](LossConfig())(ratios_of(batch)).values.tolist() == [1.0] * batch.current.shape[0]


def test_factors_never_carry_a_gradient() -> None:
    batch = random_batch(0)
    ratios = Ratios.of(batch.current, batch.behaviour, batch.advantages, batch.sequence, batch.sequences)
    for make in (WEIGHTS | MASKS).values():
        assert not make(LossConfig())(ratios).values.requires_grad


def test_the_configuration_names_a_weight_and_masks() -> None:
    config = LossConfig(weight="icepop", masks=["k3", "geometric"])
    assert list(configured_corrections(config)) == ["icepop", "k3", "geometric"]
    assert configured_corrections(LossConfig(weight="none")) == {}
