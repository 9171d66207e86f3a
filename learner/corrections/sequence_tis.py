"""Sequence-level truncated importance sampling: min(Π_t ρ_t, C) for all of a sequence's tokens.

The unbiased weight of a whole response before truncation; its variance grows with length, hence the cap.
"""

from __future__ import annotations

from dataclasses import dataclass

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios, per_sequence_sum
from learner.losses.base import MAX_LOG_RATIO, mean_of, share_of


@dataclass(frozen=True)
class SequenceTis:
    """w = min(Π_t ρ_t, cap), the same for each token of the sequence."""

    cap: float = 5.0

    @classmethod
    def of(cls, config: LossConfig) -> SequenceTis:
        """As configured."""
        return cls(config.tis_cap)

    def __call__(self, ratios: Ratios) -> Factor:
        """The truncated product of each token's sequence."""
        product = per_sequence_sum(ratios.log_ratio, ratios).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
        weight = product.clamp(max=self.cap)
        metrics = {"weight": mean_of(weight), "truncated_fraction": share_of(product > self.cap)}
        return Factor(weight[ratios.sequence], metrics)
