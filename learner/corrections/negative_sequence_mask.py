"""Sequence mask for negative advantages: what the policy has already left behind need not be pushed down further.

A stale wrong response that the present policy would hardly sample teaches little, and pushing its tokens down distorts
the policy elsewhere. Stale right responses are kept: they still pull towards something good.
"""

from __future__ import annotations

from dataclasses import dataclass

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios, per_sequence_mean
from learner.losses.base import share_of


@dataclass(frozen=True)
class NegativeSequenceMask:
    """Drop a sequence if its mean advantage is below 0 and mean_t (log μ - log π_prox) > bound."""

    bound: float = 0.5

    @classmethod
    def of(cls, config: LossConfig) -> NegativeSequenceMask:
        """As configured."""
        return cls(config.negative_sequence_limit)

    def __call__(self, ratios: Ratios) -> Factor:
        """1 for tokens of kept sequences, else 0."""
        drift = -per_sequence_mean(ratios.log_ratio, ratios)
        dropped = (per_sequence_mean(ratios.advantages, ratios) < 0) & (drift > self.bound)
        kept = ~dropped[ratios.sequence]
        return Factor(kept.to(drift.dtype), {"negative_masked_fraction": share_of(~kept)})
