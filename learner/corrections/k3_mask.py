"""K3 mask: drop a sequence whose estimated divergence from the behaviour policy is too large.

k3 = ρ - 1 - log ρ is non-negative and unbiased for the divergence, so that deviations up and down do not cancel as
they may in the geometric mean. Age deviates as well: a low bound drops what is old.
"""

from __future__ import annotations

from dataclasses import dataclass

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios, per_sequence_mean
from learner.losses.base import share_of


@dataclass(frozen=True)
class K3Mask:
    """Keep a sequence if mean_t (ρ_t - 1 - log ρ_t) ≤ bound."""

    bound: float = 0.01

    @classmethod
    def of(cls, config: LossConfig) -> K3Mask:
        """As configured."""
        return cls(config.k3_limit)

    def __call__(self, ratios: Ratios) -> Factor:
        """1 for tokens of kept sequences, else 0."""
        divergence = per_sequence_mean(ratios.log_ratio.exp() - 1.0 - ratios.log_ratio, ratios)
        kept = (divergence <= self.bound)[ratios.sequence]
        return Factor(kept.to(divergence.dtype), {"k3_masked_fraction": share_of(~kept)})
