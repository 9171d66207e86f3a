"""What every off-policy correction takes and gives.

Owns the `Correction` protocol. A correction looks at ρ = π_prox/μ, the ratio between the learner's weights at the
start of a step and the policy that sampled, and answers one factor a token. Called by `learner.objective` on whole
sequences, and on the step's whole batch for those that are named in `registry.WHOLE_BATCH`, so that nothing depends on
how a batch is cut into micro-batches.

    log ρ ──► weight  (a truncated ratio: undoes age)              factor ≥ 0
          └─► mask    (0 or 1: leaves out what cannot be trusted)  factor in {0, 1}

Two weights would correct one ratio twice and are refused; masks go with anything. Nothing here tells apart why ρ is not
1: it holds the gap between engine and learner at the same version, and the data's age as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from learner.losses.base import MAX_LOG_RATIO, Share, wide


@dataclass(frozen=True)
class Ratios:
    """Flat response tokens of whole sequences, without gradients."""

    log_ratio: Tensor
    """log π_prox - log μ, in fp32."""
    advantages: Tensor
    sequence: Tensor
    """Index of each token's sequence, ascending."""
    sequences: int
    gather: Callable[[Tensor], Tensor] = lambda values: values
    """All ranks' values of a one-dimensional tensor, for rules that judge the whole batch."""

    @classmethod
    def of(
        cls,
        proximal: Tensor,
        behaviour: Tensor,
        advantages: Tensor,
        sequence: Tensor,
        sequences: int,
        gather: Callable[[Tensor], Tensor] = lambda values: values,
    ) -> Ratios:
        """Ratios of recorded log-probabilities, clamped so that no exponential overflows."""
        log_ratio = (wide(proximal.detach()) - wide(behaviour.detach())).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        return cls(log_ratio, wide(advantages.detach()), sequence, sequences, gather)


@dataclass(frozen=True)
class Factor:
    """One factor a token and the metrics of how it came about."""

    values: Tensor
    metrics: dict[str, Share]


class Correction(Protocol):
    """A rule from ratios to factors."""

    def __call__(self, ratios: Ratios) -> Factor:
        """The factor of each token."""
        ...


def per_sequence_sum(values: Tensor, ratios: Ratios) -> Tensor:
    """Sum over each sequence's tokens, shape [sequences]."""
    return values.new_zeros(ratios.sequences).index_add(0, ratios.sequence, values)


def per_sequence_mean(values: Tensor, ratios: Ratios) -> Tensor:
    """Mean over each sequence's tokens, shape [sequences]; 0 for a sequence without tokens."""
    counts = per_sequence_sum(values.new_ones(values.shape), ratios)
    return per_sequence_sum(values, ratios) / counts.clamp(min=1.0)
