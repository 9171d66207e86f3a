"""The two ways of scoring a chunk's logits are one computation: step by step, and as a kernel is compiled from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from learner.chunk_scores import fused_score, fused_slope, score, slope

ROWS, VOCABULARY = 7, 19


def logits(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(ROWS, VOCABULARY, generator=torch.Generator().manual_seed(2)).mul(3.0).to(dtype)


def tokens() -> Tensor:
    return torch.arange(ROWS) * 2


def column(start: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """A factor of each row, in the precision in which scores come for logits of that one."""
    return torch.linspace(start, 1.0, ROWS, dtype=dtype if dtype == torch.float64 else torch.float32)[:, None]


def test_scores_by_hand() -> None:
    """Logits 0 and log 3 are probabilities of 1/4 and 3/4."""
    found = score(torch.tensor([[1.0, 3.0]]).log(), torch.tensor([1]), 1.0, with_entropy=True)
    third, own = torch.tensor(0.25), torch.tensor(0.75)
    wanted = (torch.tensor([4.0]).log(), own.log()[None], -(third * third.log() + own * own.log())[None])
    for one, other in zip(found, wanted, strict=True):
        assert one is not None
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inverse_temperature", [1.0, 1.0 / 0.7])
@pytest.mark.parametrize("with_entropy", [False, True])
def test_both_ways_score_alike(dtype: torch.dtype, inverse_temperature: float, with_entropy: bool) -> None:
    plain = score(logits(dtype), tokens(), inverse_temperature, with_entropy=with_entropy)
    fused = fused_score(logits(dtype), tokens(), inverse_temperature, with_entropy)
    for one, other in zip(plain, fused, strict=True):
        if one is None or other is None:
            assert one is other
            continue
        assert one.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inverse_temperature", [1.0, 1.0 / 0.7])
@pytest.mark.parametrize("with_entropy", [False, True])
def test_both_ways_have_the_gradient_of_the_scores(
    dtype: torch.dtype, inverse_temperature: float, with_entropy: bool
) -> None:
    """As autograd finds it, rounded to the precision of the logits."""
    precise = logits(dtype).double().requires_grad_()
    normaliser, logprob, entropy = fused_score(precise, tokens(), inverse_temperature, True)
    assert entropy is not None
    whole = (column(-1.0)[:, 0] * logprob).sum() + (column(0.3)[:, 0] * entropy).sum() * with_entropy
    (wanted,) = torch.autograd.grad(whole, precise)
    slopes, precision = column(-1.0, dtype), column(0.3, dtype)
    given = (entropy.detach()[:, None].to(precision.dtype), precision) if with_entropy else None
    for way in (slope, fused_slope):
        found = way(
            logits(dtype),
            normaliser.detach()[:, None].to(slopes.dtype),
            tokens()[:, None],
            slopes,
            given,
            inverse_temperature,
        )
        assert found.dtype == dtype
        tolerance = 2e-2 if dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(found.double(), wanted, atol=tolerance, rtol=tolerance)


def test_a_logit_of_minus_infinity_counts_for_nothing_in_either_way() -> None:
    masked, first = torch.tensor([[0.0, 1.0, -torch.inf]]), torch.tensor([0])
    without = score(masked[:, :2].clone(), first, 1.0, with_entropy=True)
    for found in (score(masked.clone(), first, 1.0, with_entropy=True), fused_score(masked, first, 1.0, True)):
        for part, wanted in zip(found, without, strict=True):
            assert part is not None
            assert wanted is not None
            torch.testing.assert_close(part, wanted)
    one = torch.ones(1, 1)
    for way in (slope, fused_slope):
        gradient = way(masked.clone(), one, first[:, None], one, (one, one), 1.0)
        assert torch.isfinite(gradient).all()
        assert gradient[0, 2] == 0.0
