"""What every loss takes and gives.

Owns the flat, packed view of a micro-batch's response tokens and the loss protocol. Called by
`learner.objective`, which computes the correction weights before and aggregates the per-token losses after.

    tokens of three responses, packed           sequence = [0 0 0 1 1 2 2 2 2]
    ───────────────────────────────────────►    one entry a token in every tensor below

Three policies appear in every formula (all as log-probabilities of the sampled tokens):

* behaviour μ: what the engine recorded when it sampled;
* proximal π_prox: the learner's own weights at the start of the step, fixed for all its mini-batches;
* current π_θ: the weights being changed; the only one that carries a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

#: Log-ratios are clamped here before they are exponentiated: e^20 is past every cap in use and far from overflow,
#: so that one broken token cannot turn a batch into inf or nan.
MAX_LOG_RATIO = 20.0


@dataclass(frozen=True)
class TokenBatch:
    """Response tokens of whole sequences, packed flat. A sequence is never split between micro-batches."""

    current: Tensor
    """log π_θ, shape [tokens], with gradient."""
    proximal: Tensor
    """log π_prox, no gradient."""
    behaviour: Tensor
    """log μ, no gradient."""
    advantages: Tensor
    """One value a token; the estimators give each token of a response the same."""
    sequence: Tensor
    """Index of each token's sequence, 0 … sequences - 1, ascending."""
    sequences: int

    def __post_init__(self) -> None:
        tokens = self.current.shape
        for name in ("proximal", "behaviour", "advantages", "sequence"):
            tensor: Tensor = getattr(self, name)
            if tensor.shape != tokens:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, the current log-probs {tuple(tokens)}")
            if tensor.requires_grad:
                raise ValueError(f"{name} must not carry a gradient: detach it where it is made")


@dataclass(frozen=True)
class Share:
    """A metric as a sum and what to divide it by, so that micro-batches and ranks add up exactly."""

    total: Tensor
    count: Tensor


@dataclass(frozen=True)
class LossOutput:
    """Per-token losses (not yet weighted for aggregation) and the metrics of how they came about."""

    per_token: Tensor
    metrics: dict[str, Share]


class Loss(Protocol):
    """A policy loss. `weight` is what the corrections made of the data's age; it never carries a gradient."""

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token."""
        ...


def bounded_ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """exp(numerator - denominator) in at least fp32, with the log-ratio clamped to ±MAX_LOG_RATIO."""
    difference = wide(numerator) - wide(denominator)
    return difference.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def wide(tensor: Tensor) -> Tensor:
    """The tensor in fp32, or in fp64 where it already is: ratios of bf16 log-probs are noise."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def share_of(mask: Tensor) -> Share:
    """The share of tokens for which the mask holds."""
    return Share(mask.sum(dtype=torch.float32).detach(), torch.tensor(float(mask.numel()), device=mask.device))


def mean_of(values: Tensor) -> Share:
    """The mean over tokens or sequences."""
    detached = wide(values.detach())
    return Share(detached.sum(), torch.tensor(float(values.numel()), device=values.device))


def sequence_mean(values: Tensor, batch: TokenBatch) -> Tensor:
    """Mean over each sequence's tokens, shape [sequences]; 0 for a sequence without tokens. Differentiable."""
    total = torch.zeros(batch.sequences, dtype=values.dtype, device=values.device).index_add(0, batch.sequence, values)
    return total / sequence_lengths(batch).clamp(min=1).to(values.dtype)


def sequence_lengths(batch: TokenBatch) -> Tensor:
    """Number of response tokens of each sequence."""
    return torch.bincount(batch.sequence, minlength=batch.sequences)
